package store_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/access"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
)

// admitted returns the nodes that the database admits a reader to.
func admitted(t *testing.T, conn *pgx.Conn, reader string, named ...string) []string {
	t.Helper()
	rows, _ := conn.Query(t.Context(), `SELECT node_id FROM confluence_tree WHERE layer_set IN (SELECT set_id FROM confluence_admitted($1, $2, NULL)) ORDER BY 1`, reader, orNone(named))
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return list
}

func orNone(list []string) []string { return append([]string{}, list...) }

func content(id string, to ...access.Principal) access.Layer {
	return access.Layer{Object: access.Object{Kind: access.ObjectContent, ID: id}, Principals: to}
}

func space(to ...access.Principal) access.Layer {
	return access.Layer{Object: access.Object{Kind: access.ObjectSpace, ID: "7"}, Principals: to}
}

var (
	ann      = access.Principal{Kind: access.KindUser, ID: "ann"}
	staff    = access.Principal{Kind: access.KindGroup, ID: "staff"}
	everyone = access.Principal{Kind: access.KindEveryone}
)

// guarded adds a source whose permissions are enforced, with nodes: "page 2 1" is page 2 below page 1.
func guarded(t *testing.T, s *store.Store, id string, nodes ...store.Node) store.Run {
	t.Helper()
	addSource(t, s, id)
	require.NoError(t, s.SetPermissions(t.Context(), id, store.Enforce, 0))
	run, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: "access " + id, Mode: event.Full, SourceID: id})
	require.NoError(t, err)
	require.NoError(t, s.PutNodes(t.Context(), run, nodes))
	return run
}

// sweep saves a complete reading: the layers, and every node of the tree as covered.
func sweep(t *testing.T, s *store.Store, source string, of []access.Layer, layers ...access.Layer) store.AccessChange {
	t.Helper()
	nodes, now, err := s.AccessNodes(t.Context(), source)
	require.NoError(t, err)
	var ids []string
	for _, n := range nodes {
		ids = append(ids, n.ID)
	}
	change, err := s.SaveAccess(t.Context(), store.AccessRead{SourceID: source, Started: now, Source: of, Layers: layers, Covered: ids, Complete: true})
	require.NoError(t, err)
	return change
}

func node(kind, id, parent string) store.Node {
	n := store.Node{ID: id, Kind: kind, Title: id, ParentID: parent}
	if parent != "" {
		n.ParentKind = "page"
	}
	return n
}

func TestWhatIsUnknownIsHidden(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	run := guarded(t, s, "docs", node("page", "1", ""), node("page", "2", "1"), node("page", "3", "2"), node("page", "9", "8"))
	open := []access.Layer{space(everyone)}
	require.Empty(t, admitted(t, conn, "ann"), "nobody has read anything")
	sweep(t, s, "docs", open)
	require.Equal(t, []string{"1", "2", "3"}, admitted(t, conn, "ann"), "9 has a parent that the tree does not have")

	// A new node is unknown until its own restriction was read, and hides what is below it.
	require.NoError(t, s.PutNodes(t.Context(), run, []store.Node{node("page", "4", "1"), node("page", "3", "4")}))
	require.Equal(t, []string{"1", "2"}, admitted(t, conn, "ann"))
	cover := func(complete bool, layers []access.Layer, ids ...string) {
		_, now, err := s.AccessNodes(t.Context(), "docs")
		require.NoError(t, err)
		_, err = s.SaveAccess(t.Context(), store.AccessRead{SourceID: "docs", Started: now, Layers: layers, Covered: ids, Complete: complete})
		require.NoError(t, err)
	}
	cover(false, nil, "4")
	require.Equal(t, []string{"1", "2", "3", "4"}, admitted(t, conn, "ann"))

	// A reading of a part removes no other layer, and an unreadable layer replaces no known one.
	cover(false, []access.Layer{content("4", ann)}, "4")
	cover(false, nil, "2")
	require.Equal(t, []string{"1", "2", "3", "4"}, admitted(t, conn, "ann"))
	require.Equal(t, []string{"1", "2"}, admitted(t, conn, "bob"))
	unreadable := content("4", everyone)
	unreadable.Unknown = "forbidden"
	cover(true, []access.Layer{unreadable}, "1", "2", "3", "4", "9")
	require.Equal(t, []string{"1", "2", "3", "4"}, admitted(t, conn, "ann"))
	require.Equal(t, []string{"1", "2"}, admitted(t, conn, "bob"))
	unreadable.Object.ID = "1"
	cover(true, []access.Layer{unreadable, content("4", ann)}, "1", "2", "3", "4", "9")
	require.Empty(t, admitted(t, conn, "ann"))
	cover(true, []access.Layer{content("4", ann)}, "1", "2", "3", "9")
	require.Equal(t, []string{"1", "2"}, admitted(t, conn, "ann"), "a complete reading has not covered 4")

	// What is too old is unknown.
	require.NoError(t, s.SetPermissions(t.Context(), "docs", store.Enforce, time.Microsecond))
	require.Empty(t, admitted(t, conn, "ann"))
}

func TestAMovedPageIsHiddenUntilItsBreadcrumbIsNew(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	run := guarded(t, s, "docs", node("page", "1", ""), node("page", "2", ""), node("page", "3", "1"), node("page", "4", "3"))
	require.NoError(t, s.BuildPaths(t.Context(), "docs"))
	put := func(id string) {
		place, err := s.Place(t.Context(), "docs", id, "DOCS", "")
		require.NoError(t, err)
		page := write("docs", "", id, 1, "Page "+id, "alpha")
		page.Path, page.Trail, page.Metadata.Ancestors = place.Path, place.Trail, place.Ancestors
		store1(t, s, page)
	}
	put("3")
	sweep(t, s, "docs", []access.Layer{space(everyone)}, content("1", ann))
	require.Equal(t, []string{"2"}, admitted(t, conn, "bob"))
	require.Equal(t, []string{"1", "2", "3", "4"}, admitted(t, conn, "ann"))
	move := func(id, parent string) {
		t.Helper()
		_, now, err := s.AccessNodes(t.Context(), "docs")
		require.NoError(t, err)
		change, err := s.SaveAccess(t.Context(), moved("docs", now, id, parent))
		require.NoError(t, err)
		require.Equal(t, 1, change.Moved)
	}
	move("3", "2")
	require.Equal(t, []string{"2"}, admitted(t, conn, "bob"), "its breadcrumb still names page 1")
	require.Equal(t, []string{"1", "2"}, admitted(t, conn, "ann"), "page 1 may be another's by now")

	// A page that is stored only now has the breadcrumb of where its tree knows it.
	put("4")
	require.Equal(t, []string{"2"}, admitted(t, conn, "bob"))
	require.NoError(t, s.BuildPaths(t.Context(), "docs"))
	require.Equal(t, []string{"2"}, admitted(t, conn, "bob"))
	sweep(t, s, "docs", []access.Layer{space(everyone)}, content("1", ann))
	require.Equal(t, []string{"2"}, admitted(t, conn, "bob"))
	require.NoError(t, s.Repath(t.Context(), run))
	require.Equal(t, []string{"2", "3", "4"}, admitted(t, conn, "bob"))
	require.NoError(t, s.PutNodes(t.Context(), run, []store.Node{node("page", "2", "1")}))
	require.Empty(t, admitted(t, conn, "bob"), "a move below a restricted page")
}

func moved(source string, now time.Time, id, parent string) store.AccessRead {
	return store.AccessRead{SourceID: source, Started: now, Parents: []store.Node{{ID: id, ParentID: parent, ParentKind: "page"}, {ID: "77", ParentID: parent}}}
}

func TestNobodyInParticularSeesWhatNothingRestricts(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	guarded(t, s, "docs", node("page", "1", ""), node("page", "2", ""))
	sweep(t, s, "docs", []access.Layer{space(everyone)}, content("2", everyone))
	require.Equal(t, []string{"1"}, admitted(t, conn, ""), "whoever a restriction names")
	require.Equal(t, []string{"1", "2"}, admitted(t, conn, "ann"))
	require.NoError(t, s.SetPermissions(t.Context(), "docs", store.UnrestrictedOnly, 0))
	require.Equal(t, []string{"1"}, admitted(t, conn, "ann"))
	sweep(t, s, "docs", []access.Layer{space(ann)}, content("2", ann))
	require.Empty(t, admitted(t, conn, ""))
	require.Equal(t, []string{"1"}, admitted(t, conn, "", "docs"), "an administrator has named the source for the key")
	require.Empty(t, admitted(t, conn, "bob", "docs"), "a reader needs the space")
	require.NoError(t, s.RemoveSource(t.Context(), "docs"))
}

// TestTheDatabaseDecidesAsThePackageDoes: for random trees, restrictions, groups and changes, the database admits each
// reader to the pages to which access.Decide admits.
func TestTheDatabaseDecidesAsThePackageDoes(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	r := rand.New(rand.NewPCG(18, 42))
	readers := []string{"ann", "bob", "cyd"}
	w := world{parents: map[string]string{}, layers: map[string]access.Layer{}, groups: map[string]access.Group{}}
	run := guarded(t, s, "docs")
	for range 60 {
		w.change(r, readers)
		var nodes []store.Node
		for _, id := range slices.Sorted(maps.Keys(w.parents)) {
			nodes = append(nodes, node("page", id, w.parents[id]))
		}
		require.NoError(t, s.PutNodes(t.Context(), run, nodes))
		layers := slices.Collect(maps.Values(w.layers))
		sweep(t, s, "docs", w.source, layers...)
		_, now, err := s.AccessNodes(context.Background(), "docs")
		require.NoError(t, err)
		require.NoError(t, s.SaveGroups(t.Context(), "docs", now, slices.Collect(maps.Values(w.groups))))
		for _, reader := range readers {
			require.Equal(t, w.visible(reader), admitted(t, conn, reader), "%s in %+v", reader, w)
		}
	}
}

// world is a space of Confluence.
type world struct {
	parents map[string]string
	layers  map[string]access.Layer
	groups  map[string]access.Group
	source  []access.Layer
}

func (w *world) change(r *rand.Rand, readers []string) {
	principals := func() []access.Principal {
		list := []access.Principal{}
		for range r.IntN(3) {
			list = append(list, []access.Principal{everyone, staff, {Kind: access.KindGroup, ID: "eng"}, {Kind: "role", ID: "ann"}, ann,
				{Kind: access.KindUser, ID: readers[r.IntN(len(readers))]}}[r.IntN(6)])
		}
		return list
	}
	for range 5 {
		id := fmt.Sprint(len(w.parents) + 1)
		if len(w.parents) > 30 {
			id = fmt.Sprint(1 + r.IntN(30))
		}
		w.parents[id] = ""
		if n := int(id[0]-'0') - 1; len(id) == 1 && n > 0 { // parents have lower numbers, so that there is no cycle
			w.parents[id] = fmt.Sprint(1 + r.IntN(n))
		} else if len(id) > 1 {
			w.parents[id] = fmt.Sprint(1 + r.IntN(9))
		}
	}
	for _, id := range []string{fmt.Sprint(1 + r.IntN(9)), fmt.Sprint(1 + r.IntN(30))} {
		w.layers[id] = content(id, principals()...)
		if r.IntN(3) == 0 {
			delete(w.layers, id)
		}
	}
	w.groups["staff"] = access.Group{ID: "staff", Members: readers[:r.IntN(3)]}
	w.groups["eng"] = access.Group{ID: "eng", Members: readers[1+r.IntN(2):]}
	w.source = []access.Layer{space(everyone)}
	if r.IntN(4) == 0 {
		w.source = []access.Layer{space(staff), {Object: access.Object{Kind: access.ObjectSite}, Principals: []access.Principal{ann, staff}}}
	}
}

func (w *world) visible(reader string) []string {
	list := []string{}
	for id := range w.parents {
		layers := slices.Clone(w.source)
		for at := id; at != ""; at = w.parents[at] {
			if l, ok := w.layers[at]; ok {
				layers = append(layers, l)
			}
		}
		if access.Decide(reader, layers, w.groups, time.Time{}).Visible {
			list = append(list, id)
		}
	}
	slices.Sort(list)
	return list
}

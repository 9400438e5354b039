package store_test

import (
	"cmp"
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/access"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// firstChunks are ids that the first chunks of a database may have.
var firstChunks = []int64{1, 2, 3, 4, 5}

// seenBy returns how many items each method of Reader returns for a viewer. Not found counts as 0.
//
// It requires that the same reads show the same when they read together, also in a request that looks into more sources.
func seenBy(t *testing.T, s *store.Store, v viewer.Viewer) map[string]int {
	t.Helper()
	seen := seenIn(t.Context(), t, s.Reader(), v)
	for _, widest := range []viewer.Viewer{v, viewer.Everywhere().As(v.Account()), viewer.Everywhere().As("cara")} {
		var together map[string]int
		require.NoError(t, s.Reader().Together(t.Context(), widest, func(ctx context.Context) error {
			together = seenIn(ctx, t, s.Reader(), v)
			return nil
		}))
		require.Equal(t, seen, together, "%+v in a request of %+v", v, widest)
	}
	return seen
}

func seenIn(ctx context.Context, t *testing.T, r *store.Reader, v viewer.Viewer) map[string]int {
	t.Helper()
	seen := map[string]int{}
	one := func(name string, err error) {
		if !errors.Is(err, store.ErrNotFound) {
			require.NoError(t, err, name)
			seen[name] = 1
		} else {
			seen[name] = 0
		}
	}
	p, err := r.Page(ctx, v, "1")
	one("Page", err)
	require.Equal(t, err == nil, p.Title != "")
	p, err = r.LivePage(ctx, v, "1")
	one("LivePage", err)
	require.Equal(t, err == nil, p.Title != "")
	src, err := r.Source(ctx, v, "docs")
	one("Source", err)
	seen["Source"] = src.Pages + src.Chunks
	if all, err := r.SeesEveryPage(ctx, v, "docs"); all {
		one("SeesEveryPage", err)
	} else {
		one("SeesEveryPage", cmp.Or(err, store.ErrNotFound))
	}
	run, err := r.Run(ctx, v, "r1")
	one("Run", err)
	require.Equal(t, err == nil, run.SourceID != "")
	story, err := r.Story(ctx, v, "r1")
	one("Story", err)
	seen["Story"] = story.Counts.Listed + len(story.Slowest) + int(story.Bytes) + len(story.Stages)
	op, err := r.Operation(ctx, v, "r1")
	snap := op.Progress
	one("Operation", err)
	require.Equal(t, err == nil, snap.SourceID != "")
	counts, err := r.Counts(ctx, v, "r1")
	one("Counts", err)
	seen["Counts"], seen["Operation's counts"] = counts.Listed, snap.Counts.Listed

	seen["Pages"] = many(r.Pages(ctx, v, "docs", store.PageFilter{}))(t)
	seen["Chunks"] = many(r.Chunks(ctx, v, "docs", "1", store.Whole()))(t)
	seen["Losses"] = many(r.Losses(ctx, v, "docs", store.Whole()))(t)
	seen["LedgerPages"] = many(r.LedgerPages(ctx, v, "r1", event.Created, store.First(10)))(t)
	seen["Journey"] = many(r.Journey(ctx, v, "docs", "1", 10))(t)
	seen["Failures"] = many(r.Failures(ctx, v, "", "", "", store.First(10)))(t)
	seen["Runs"] = many(r.Runs(ctx, v, "", store.First(10)))(t)
	seen["OpenRuns"] = many(r.OpenRuns(ctx, v, store.Whole()))(t)
	ops, err := r.OpenOperations(ctx, v, store.Whole())
	require.NoError(t, err)
	seen["OpenOperations"] = len(ops)
	require.NoError(t, r.Together(ctx, v, func(ctx context.Context) error {
		list, err := r.SourceIDs(ctx, v)
		seen["Together"] = len(list)
		return err
	}))
	seen["HeldRuns"] = many(r.HeldRuns(ctx, v, ""))(t)
	held, err := r.HeldPages(ctx, v, "", "r3", store.First(10))
	require.NoError(t, err)
	seen["HeldPages"] = len(held["r3"].Pages)
	seen["HeldRemovals"] = many(r.HeldRemovals(ctx, v, "r3"))(t)
	seen["RemovedPages"] = many(r.RemovedPages(ctx, v, "", "", store.First(10)))(t)
	seen["Sources"] = many(r.Sources(ctx, v, store.Whole()))(t)
	seen["SourceIDs"] = many(r.SourceIDs(ctx, v))(t)

	seen["Related"] = many(r.Related(ctx, v, store.PageKey{SourceID: "docs", ID: "1"}))(t)
	seen["Headings"] = many(r.Headings(ctx, v, "docs", "1"))(t)
	seen["Tree"] = many(r.Tree(ctx, v, "docs", "", 3, "", 10))(t)
	holds, err := r.Holds(ctx, v, "1")
	require.NoError(t, err)
	if seen["Holds"] = 0; holds {
		seen["Holds"] = 1
	}
	seen["Changed"] = many(r.Changed(ctx, v, []string{"docs"}, time.Time{}, 0, 10))(t)
	at, err := r.PageAt(ctx, v, site+"/spaces/DOCS/pages/1")
	one("PageAt", err)
	require.Equal(t, err == nil, at.ID != "")
	around, err := r.ChunksAround(ctx, v, "docs", site+"/spaces/DOCS/pages/1", 0, 1)
	require.NoError(t, err)
	seen["ChunksAround"] = len(around)
	seen["ChunksByID"] = many(r.ChunksByID(ctx, v, firstChunks))(t)
	hidden, err := r.HiddenText(ctx, v, []store.PageKey{{SourceID: "docs", ID: "1"}})
	require.NoError(t, err)
	seen["HiddenText"] = len(hidden)
	seen["Freshness"] = many(r.Freshness(ctx, v))(t)
	_, err = r.Why(ctx, v, "ann", store.PageKey{SourceID: "docs", ID: "1"})
	one("Why", err)
	return seen
}

func many[T any](list []T, err error) func(*testing.T) int {
	return func(t *testing.T) int {
		t.Helper()
		require.NoError(t, err)
		return len(list)
	}
}

var own = map[string]int{"Sources": 1, "SourceIDs": 1, "Freshness": 1, "Together": 1} // each source has one of its own

// readWorld is a store in which each method of Reader has something to show.
func readWorld(t *testing.T) *store.Store {
	t.Helper()
	s, conn := open(t)
	addSource(t, s, "docs")
	addSource(t, s, "other")
	run := fullRun(t, s, "docs", "r1", listed("1", 1, "Home"), listed("2", 1, "Setup"),
		store.Listed{ID: "3", Version: 1, Title: "Below", Status: "current", ParentID: "1", ParentKind: "page"}, listed("9", 1, "Odd"))
	home := write("docs", "r1", "1", 1, "Home", "alpha")
	home.Headings = []page.Heading{{Level: 1, Text: "Home", Anchor: "Home"}}
	store1(t, s, home)
	below := write("docs", "r1", "3", 1, "Below", "gamma")
	below.Path = "/1/3"
	store1(t, s, below)
	store1(t, s, write("docs", "r1", "2", 1, "Setup", "beta"))
	failPage(t, s, "r1", "9")
	finish(t, s, run)
	remove(t, s, "r2", []store.Removal{{PageID: "2", Title: "Setup", Reason: store.ReasonTrashed}}, listed("1", 1, "Home"),
		store.Listed{ID: "3", Version: 1, Title: "Below", Status: "current", ParentID: "1", ParentKind: "page"})
	hold(t, s, "r3", store.Removal{PageID: "1", Title: "Home", Reason: store.ReasonMoved})
	_, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: "r4", Mode: event.Full, SourceID: "docs"})
	require.NoError(t, err)
	// The full runs have settled the failed page; it fails once more.
	_, err = conn.Exec(t.Context(), `UPDATE confluence_sync_pages SET ended_at = $1 WHERE run_id = 'r1' AND page_id = '9'`, time.Now().Add(time.Hour))
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `UPDATE confluence_page_content SET losses = '[{"element": "hidden-text", "fate": "rendered", "count": 1}]'`)
	require.NoError(t, err)
	return s
}

// TestEveryReadForPeopleObeysPermissions: where Confluence's permissions are enforced, each method of Reader shows to a
// reader what the reader may see, counts included, and nothing else.
func TestEveryReadForPeopleObeysPermissions(t *testing.T) {
	t.Parallel()
	s := readWorld(t)
	require.NoError(t, s.SetPermissions(t.Context(), "docs", store.Enforce, 0))
	run, err := s.Run(t.Context(), "r4")
	require.NoError(t, err)
	require.NoError(t, s.PutNodes(t.Context(), run, []store.Node{
		node("page", "1", ""), node("page", "2", ""), node("page", "3", "1"), node("page", "9", ""),
	}))
	ofSource := map[string]bool{"Run": true, "Together": true, "Runs": true, "OpenRuns": true, "Sources": true, "SourceIDs": true, "Freshness": true, "Operation": true, "OpenOperations": true, "Why": true}
	sees := func(v viewer.Viewer, nothing bool, why string) {
		t.Helper()
		all := seenBy(t, s, viewer.All())
		for name, n := range seenBy(t, s, v) {
			want := all[name]
			if !v.SeesAll() {
				want = cmp.Or(own[name], want)
			}
			switch {
			case name == "SeesEveryPage":
				require.Zero(t, n, "%s: only an operator sees every page, come what may", why)
			case name == "HeldRuns":
				require.Zero(t, n, "%s: only who oversees the source knows what a run holds", why)
			case ofSource[name] || !nothing:
				require.Equal(t, want, n, "%s, %s", why, name)
			default:
				require.Zero(t, n, "%s, but %s shows something", why, name)
			}
		}
	}
	ann, bob := viewer.Everywhere().As("ann"), viewer.Everywhere().As("bob")
	sees(ann, true, "nobody has read the permissions")
	open, restrict := []access.Layer{space(everyone)}, access.Principal{Kind: access.KindUser, ID: "ann"}
	sweep(t, s, "docs", open, content("1", restrict), content("2", restrict), content("9", restrict))
	sees(ann, false, "ann may see it all")
	sees(bob, true, "bob may see nothing")
	sees(viewer.Everywhere(), true, "nobody in particular sees no restricted page")
	sees(viewer.OfSources("docs"), true, "nor does a key that names the source")
	sees(viewer.All().As("bob"), true, "the operator shows what bob sees")
	sees(viewer.OfSources("docs").As("ann"), false, "ann with a key of the source")
	sweep(t, s, "docs", open)
	sees(bob, false, "nothing is restricted")
	sees(viewer.Everywhere(), false, "everyone may read the space")
	sweep(t, s, "docs", []access.Layer{space(restrict)})
	sees(bob, true, "the space is not bob's")
	sees(viewer.OfSources("docs"), false, "an administrator has named the source")
}

func TestEveryReadForPeopleAnswersItsViewer(t *testing.T) {
	t.Parallel()
	s := readWorld(t)

	all := seenBy(t, s, viewer.All())
	require.Equal(t, 2, all["Sources"])
	for name, n := range seenBy(t, s, viewer.OfSources("docs", "archive")) {
		require.Equal(t, cmp.Or(own[name], all[name]), n, name)
		require.Positive(t, n, "%s has something to show", name)
	}
	for name, n := range seenBy(t, s, viewer.OfSources("other")) {
		require.Equal(t, own[name], n, "%s shows data of another source", name)
	}
	for name, n := range seenBy(t, s, viewer.Viewer{}) {
		require.Zero(t, n, "%s shows something to nobody", name)
	}

	reader := reflect.TypeFor[*store.Reader]()
	for i := range reader.NumMethod() {
		require.Contains(t, all, reader.Method(i).Name, "this test does not call the new method")
	}
}

// TestNoReadForPeopleLacksItsViewer: each method of Reader takes a viewer, and no method of Store returns the same
// types without one, except those that stages need.
func TestNoReadForPeopleLacksItsViewer(t *testing.T) {
	t.Parallel()
	ctx, view := reflect.TypeFor[context.Context](), reflect.TypeFor[viewer.Viewer]()
	people := map[reflect.Type]bool{}
	reader := reflect.TypeFor[*store.Reader]()
	require.Positive(t, reader.NumMethod())
	for i := range reader.NumMethod() {
		m := reader.Method(i)
		require.Greater(t, m.Type.NumIn(), 2, m.Name)
		require.Equal(t, ctx, m.Type.In(1), m.Name)
		require.Equal(t, view, m.Type.In(2), m.Name)
		if of := element(m.Type.Out(0)); of.Kind() == reflect.Struct { // a list of names does not show its origin
			people[of] = true
		}
	}
	for _, shared := range []reflect.Type{
		reflect.TypeFor[store.Run](), reflect.TypeFor[store.Source](), reflect.TypeFor[store.Removal](),
	} {
		require.True(t, people[shared], "no method of Reader returns %v: delete it from this list", shared)
		delete(people, shared)
	}
	all := reflect.TypeFor[*store.Store]()
	for i := range all.NumMethod() {
		m := all.Method(i)
		for o := range m.Type.NumOut() {
			if people[element(m.Type.Out(o))] {
				require.Greater(t, m.Type.NumIn(), 2, m.Name)
				require.Equal(t, view, m.Type.In(2), "Store.%s returns data for users without a viewer: make it a method of Reader", m.Name)
			}
		}
	}
}

func element(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

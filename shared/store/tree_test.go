package store_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store"
)

func TestPathsAndPlaces(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	run := fullRun(t, s, "docs", "r1", listed("1", 1, "Home"),
		store.Listed{ID: "2", Version: 1, Title: "Guides", ParentID: "90", ParentKind: "folder"},
		store.Listed{ID: "3", Version: 1, Title: "Deep", ParentID: "2", ParentKind: "page"},
		store.Listed{ID: "4", Version: 1, Title: "Under a hidden page", ParentID: "77", ParentKind: "page"})
	unknown, err := s.UncheckedContainers(t.Context(), run, 10)
	require.NoError(t, err)
	require.Equal(t, []store.Node{{ID: "90", Kind: "folder"}}, unknown)
	require.NoError(t, s.PutNodes(t.Context(), run, []store.Node{{ID: "90", Kind: "folder", Title: "Handbook", ParentID: "1", ParentKind: "page"}}))
	unknown, err = s.UncheckedContainers(t.Context(), run, 10)
	require.NoError(t, err)
	require.Empty(t, unknown)
	require.NoError(t, s.BuildPaths(t.Context(), "docs"))

	place, err := s.Place(t.Context(), "docs", "3", "DOCS", site)
	require.NoError(t, err)
	require.Equal(t, "/1/90/2/3", place.Path)
	require.Equal(t, []page.Ancestor{
		{ID: "1", Title: "Home", URL: site + "/spaces/DOCS/pages/1"},
		{ID: "90", Title: "Handbook", URL: site + "/spaces/DOCS/folder/90"},
		{ID: "2", Title: "Guides", URL: site + "/spaces/DOCS/pages/2"},
	}, place.Ancestors)
	place, err = s.Place(t.Context(), "docs", "4", "DOCS", site)
	require.NoError(t, err)
	require.Equal(t, store.Place{Path: "/77/4", Ancestors: []page.Ancestor{}, Trail: "Under a hidden page"}, place)

	// A listing that takes a while may show a cycle: this must not loop for ever.
	require.NoError(t, s.PutNodes(t.Context(), run, []store.Node{
		{ID: "2", Kind: "page", Title: "Guides", ParentID: "3", ParentKind: "page"}}))
	require.NoError(t, s.BuildPaths(t.Context(), "docs"))
	place, err = s.Place(t.Context(), "docs", "3", "DOCS", site)
	require.NoError(t, err)
	require.Equal(t, "/3", place.Path)
}

func TestAMoveWithoutANewVersionIsFoundByAFullRun(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	child := store.Listed{ID: "3", Version: 1, Title: "Child", Status: "current", ParentID: "1", ParentKind: "page"}
	run := fullRun(t, s, "docs", "r1", listed("1", 1, "A"), listed("2", 1, "B"), child)
	for _, id := range []string{"1", "2"} {
		store1(t, s, write("docs", "r1", id, 1, map[string]string{"1": "A", "2": "B"}[id], "text"))
	}
	w := write("docs", "r1", "3", 1, "Child", "text")
	w.Path = "/1/3"
	store1(t, s, w)
	finish(t, s, run)

	child.ParentID = "2"
	fullRun(t, s, "docs", "r2", listed("1", 1, "A"), listed("2", 1, "B"), child)
	pending, err := s.PendingPages(t.Context(), "r2", "", 10)
	require.NoError(t, err)
	require.Equal(t, []page.Ref{{ID: "3", Version: 1}}, pending)
}

// The last page below a folder is removed while the fetcher looks the folder up.
func TestAFolderWithoutPagesIsNotKept(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "docs")
	child := store.Listed{ID: "2", Version: 1, Title: "Child", ParentID: "90", ParentKind: "folder"}
	first := fullRun(t, s, "docs", "r1", listed("1", 1, "Home"), child)
	for id, title := range map[string]string{"1": "Home", "2": "Child"} {
		store1(t, s, write("docs", first.ID, id, 1, title, "text"))
	}
	finish(t, s, first)
	run := fullRun(t, s, "docs", "r2", listed("1", 1, "Home"))
	asked, err := s.UncheckedContainers(t.Context(), run, 10)
	require.NoError(t, err)
	require.Equal(t, []store.Node{{ID: "90", Kind: "folder"}}, asked)
	_, _, err = s.FindRemovalCandidates(t.Context(), run)
	require.NoError(t, err)
	require.NoError(t, s.RemovePages(t.Context(), run, []store.Removal{{PageID: "2", Reason: store.ReasonTrashed}}))

	require.NoError(t, s.PutNodes(t.Context(), run, []store.Node{{ID: "90", Kind: "folder", Title: "Handbook"}}))
	require.NoError(t, s.FailNodes(t.Context(), run, asked))
	require.Equal(t, []string{"1"}, column[string](t, conn, `SELECT node_id FROM confluence_tree`))
}

// An answer may contain the same node twice in one batch: this is not an error.
func TestANodeTwiceInOneBatch(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	run := fullRun(t, s, "docs", "r1")
	node := store.Node{ID: "1", Kind: "page", Title: "Home"}
	require.NoError(t, s.PutNodes(t.Context(), run, []store.Node{node, node}))
}

// A page's place is looked up step by step, however large the source is. The first sync fills a tree of which the
// server has no statistics yet.
func TestAPlaceIsNotSearchedInTheWholeTree(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "docs")
	_, err := conn.Exec(t.Context(), `ALTER TABLE confluence_tree SET (autovacuum_enabled = false)`)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `INSERT INTO confluence_tree (source_id, node_id, kind, title, path, trail)
		SELECT 'docs', n, 'page', 'Page ' || n, CASE n WHEN 1 THEN '/1' ELSE '/1/' || n END, '' FROM generate_series(1, 2000) n`)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `SET plan_cache_mode = force_generic_plan`)
	require.NoError(t, err)
	_, err = conn.Prepare(t.Context(), "place", store.PlaceSQL)
	require.NoError(t, err)
	rows, _ := conn.Query(t.Context(), `EXPLAIN EXECUTE place ('docs', '1999')`)
	plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	text := strings.Join(plan, "\n")
	require.Equal(t, 2, strings.Count(text, "Index Scan using confluence_tree_pkey"), "%s", text)
	require.NotContains(t, text, "Bitmap", "%s", text)
	place, err := s.Place(t.Context(), "docs", "1999", "DOCS", site)
	require.NoError(t, err)
	require.Equal(t, []string{"Page 1"}, place.Breadcrumb())
}

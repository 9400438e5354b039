package store_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/viewer"
)

// twins stores two sources with the same pages. One page of each is pending in a run that is still open.
func twins(t *testing.T, s *store.Store) {
	t.Helper()
	for _, source := range []string{"docs", "team"} {
		addSource(t, s, source)
		id := func(n string) string { return source + n }
		run := fullRun(t, s, source, source+"-1", listed(id("1"), 1, "Home"), listed(id("2"), 1, "Keys"))
		store1(t, s, write(source, run.ID, id("1"), 1, "Home", "identical words", "twice"))
		store1(t, s, write(source, run.ID, id("2"), 1, "Keys", "identical words"))
		require.Equal(t, event.StateCompleted, finish(t, s, run).State)
		run = fullRun(t, s, source, source+"-2", listed(id("1"), 2, "Home"),
			store.Listed{ID: id("2"), Version: 1, Title: "Keys", ParentID: id("folder"), ParentKind: "folder"})
		require.NoError(t, s.PutNodes(t.Context(), run, []store.Node{{ID: id("folder"), Kind: "folder", Title: "Folder"}}))
	}
}

// everythingOf returns every row of the database that belongs to the source, by table.
func everythingOf(t *testing.T, conn *pgx.Conn, source string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for table, whose := range map[string]string{
		"archon_sources": "source_id", "archon_crawled_pages": "source_id", "confluence_pages": "source_id",
		"confluence_sync_runs": "source_id", "confluence_tree": "source_id",
		"confluence_sync_pages": "split_part(run_id, '-', 1)", "confluence_page_content": "regexp_replace(page_id, '[0-9]', '')",
	} {
		found[table] = column[string](t, conn, `SELECT t::text FROM `+table+` t WHERE `+whose+` = '`+source+`' ORDER BY 1`)
		require.NotEmpty(t, found[table], table)
	}
	return found
}

// Deleting a source, through Sluice or by plain SQL, deletes every row of it and none of another source, even if
// their texts are equal. Web-crawl and upload rows stay.
func TestASourceGoesWithAllThatItHas(t *testing.T) {
	t.Parallel()
	bySQL := func(t *testing.T, _ *store.Store, conn *pgx.Conn) {
		does(t, conn, `DELETE FROM archon_sources WHERE source_id = 'docs'`)
	}
	byUs := func(t *testing.T, s *store.Store, _ *pgx.Conn) {
		require.NoError(t, s.RemoveSource(t.Context(), "docs"))
	}
	for name, c := range map[string]struct {
		files  []string // of testdata/archon; none is stand-alone
		remove func(*testing.T, *store.Store, *pgx.Conn)
	}{
		"stand-alone, by SQL":    {nil, bySQL},
		"stand-alone, by us":     {nil, byUs},
		"a newer Archon, by SQL": {[]string{"base", "chunks", "newer"}, bySQL},
		"an older Archon, by us": {[]string{"base", "chunks"}, byUs},
	} {
		t.Run(name, func(t *testing.T) {
			address, conn := variant{files: c.files}.install(t)
			s := opened(t, address)
			_, err := s.Migrate(t.Context())
			require.NoError(t, err)
			var before []string
			if c.files != nil {
				before = rows(t, conn)
			}
			twins(t, s)
			team := everythingOf(t, conn, "team")
			require.Len(t, everythingOf(t, conn, "docs")["archon_crawled_pages"], 3)
			require.NotEmpty(t, holding(t, conn, "docs"))

			c.remove(t, s, conn)
			require.NoError(t, s.Searcher().Count(t.Context()), "the next search counts deleted chunks")
			require.Empty(t, holding(t, conn, "docs"))
			require.Equal(t, team, everythingOf(t, conn, "team"))
			hits, err := s.Searcher().Search(t.Context(), viewer.All(), `"identical words"`, search.Filter{})
			require.NoError(t, err)
			require.Len(t, hits, 2)
			for _, h := range hits {
				require.Equal(t, "team", h.SourceID)
			}
			require.NoError(t, s.RemoveSource(t.Context(), "team"))
			if c.files != nil {
				same(t, before, rows(t, conn), name)
			}
			require.Empty(t, column[string](t, conn, `SELECT page_id FROM confluence_page_content UNION ALL SELECT page_id FROM confluence_sync_pages
				UNION ALL SELECT node_id FROM confluence_tree UNION ALL SELECT run_id FROM confluence_sync_runs UNION ALL SELECT page_id FROM confluence_pages`))
		})
	}
}

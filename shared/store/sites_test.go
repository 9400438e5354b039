package store_test

import (
	"testing"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/migrations"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/viewer"
)

const otherSite = "https://umbrella.atlassian.net/wiki"

// ofOther is a page of the other site, with the id of one of the first.
func ofOther(runID, id string, version int, title string, texts ...string) store.PageWrite {
	w := write("theirs", runID, id, version, title, texts...)
	w.Page.BaseURL, w.Page.URL = otherSite, otherSite+"/spaces/DOCS/pages/"+id
	for i := range w.Chunks {
		w.Chunks[i].Metadata.URL, w.Chunks[i].Metadata.CitationURL = w.Page.URL, w.Page.URL
	}
	return w
}

// A page id is one site's. What happens to a page leaves that of another site with the same id alone.
func TestTwoSitesSharePageIDs(t *testing.T) {
	s, conn := open(t)
	addSource(t, s, "docs")
	require.NoError(t, s.AddSource(t.Context(), store.Source{ID: "theirs", BaseURL: otherSite, SpaceKey: "DOCS"}))
	all := viewer.All()
	hits := func(v viewer.Viewer, query string, f search.Filter) []string {
		t.Helper()
		list, err := s.Searcher().Search(t.Context(), v, query, f)
		require.NoError(t, err)
		found := []string{}
		for _, h := range list {
			found = append(found, h.SourceID+" "+h.PageID+" "+h.Title)
		}
		return found
	}

	ours := fullRun(t, s, "docs", "r1", listed("1", 1, "Home"), listed("2", 1, "Keys"))
	store1(t, s, write("docs", "r1", "1", 1, "Home", "alpha words"))
	store1(t, s, write("docs", "r1", "2", 1, "Keys", "beta words"))
	require.Equal(t, event.StateCompleted, finish(t, s, ours).State)
	run := fullRun(t, s, "theirs", "o1", listed("1", 7, "Home"), listed("2", 9, "Locks"))
	require.Equal(t, event.Created, store1(t, s, ofOther("o1", "1", 7, "Home", "gamma words")))
	require.Equal(t, event.Created, store1(t, s, ofOther("o1", "2", 9, "Locks", "delta words")))
	require.Equal(t, event.StateCompleted, finish(t, s, run).State)
	require.Equal(t, 4, number(t, conn, `SELECT count(*) FROM confluence_pages`))
	require.ElementsMatch(t, []string{"docs 1 Home", "docs 2 Keys", "theirs 1 Home", "theirs 2 Locks"}, hits(all, "words", search.Filter{}))

	// Who asks by the bare id is told of both, and says which by the source.
	_, err := s.Reader().LivePage(t.Context(), all, "2")
	var ambiguous *store.AmbiguousPageError
	require.ErrorAs(t, err, &ambiguous)
	require.Equal(t, []string{"docs", "theirs"}, ambiguous.Sources)
	for source, title := range map[string]string{"docs": "Keys", "theirs": "Locks"} {
		p, err := s.Reader().LivePage(t.Context(), all.Only(source), "2")
		require.NoError(t, err)
		require.Equal(t, title, p.Title)
	}
	_, err = s.Searcher().Search(t.Context(), all, "words", search.Filter{Under: "2"})
	require.ErrorAs(t, err, &ambiguous)
	require.Equal(t, []string{"theirs 2 Locks"}, hits(all, "words", search.Filter{Under: "2", SourceID: "theirs"}))
	require.Equal(t, []string{"theirs 2 Locks"}, hits(viewer.OfSources("theirs"), "words", search.Filter{Under: "2"}), "a viewer who sees one")
	// Filters of pages find the chunks of the very page.
	_, err = conn.Exec(t.Context(), `UPDATE confluence_pages SET metadata = metadata || '{"labels": ["secret"]}' WHERE source_id = 'theirs' AND page_id = '1'
		OR source_id = 'docs' AND page_id = '2'`)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"docs 2 Keys", "theirs 1 Home"}, hits(all, "words", search.Filter{Label: "secret"}))
	require.Equal(t, []string{"theirs 1 Home"}, hits(all, "words", search.Filter{Label: "secret", Sources: []string{"theirs"}}))

	// An edit, a removal and a return of one leave the other alone.
	run = fullRun(t, s, "theirs", "o2", listed("1", 8, "Home"))
	require.Equal(t, event.Updated, store1(t, s, ofOther("o2", "1", 8, "Home", "gamma changed")))
	gone, live, err := s.FindRemovalCandidates(t.Context(), run)
	require.NoError(t, err)
	require.Equal(t, []string{"2"}, gone)
	require.Equal(t, 2, live)
	require.NoError(t, s.RemovePages(t.Context(), run, []store.Removal{{PageID: "2", Reason: "trashed"}}))
	require.NoError(t, s.MarkRemovalsChecked(t.Context(), run.ID))
	require.Equal(t, event.StateCompleted, advance(t, s, run.ID).State)
	require.Equal(t, []string{"alpha words"}, contents(t, s, "docs", "1"))
	require.Equal(t, []string{"beta words"}, contents(t, s, "docs", "2"))
	require.Empty(t, contents(t, s, "theirs", "2"))
	p, err := s.Reader().LivePage(t.Context(), all, "2")
	require.NoError(t, err, "one is left: the bare id says enough")
	require.Equal(t, "docs", p.SourceID)

	run = fullRun(t, s, "docs", "r2", listed("1", 1, "Home"), listed("2", 2, "Keys"))
	require.Equal(t, event.Updated, store1(t, s, write("docs", "r2", "2", 2, "Keys", "beta again")))
	require.Equal(t, event.StateCompleted, finish(t, s, run).State)
	require.Equal(t, 1, number(t, conn, `SELECT count(*) FROM confluence_removals WHERE restored_at IS NULL`), "theirs has not come back")
	run = fullRun(t, s, "theirs", "o3", listed("1", 8, "Home"), listed("2", 9, "Locks"))
	kept, err := s.KeptPages(t.Context(), run, []string{"1", "2"})
	require.NoError(t, err)
	require.Len(t, kept, 1)
	require.Equal(t, "Locks", kept[0].Page.Title)
	require.NoError(t, s.PurgePages(t.Context(), run, []string{"2"}))
	require.Equal(t, 1, number(t, conn, `SELECT count(*) FROM confluence_page_content WHERE page_id = '2'`), "that of docs")

	require.NoError(t, s.RemoveSource(t.Context(), "theirs"))
	require.Equal(t, []string{"alpha words"}, contents(t, s, "docs", "1"))
	require.Equal(t, 1, number(t, conn, `SELECT count(*) FROM confluence_sites`))
}

// A page that moves between two sources of one site is one page, and of another site none.
func TestAPageMovesWithinItsSiteOnly(t *testing.T) {
	s, conn := open(t)
	addSource(t, s, "docs")
	addSource(t, s, "team")
	require.NoError(t, s.AddSource(t.Context(), store.Source{ID: "theirs", BaseURL: otherSite, SpaceKey: "DOCS"}))
	for source, w := range map[string]store.PageWrite{"docs": write("docs", "docs-1", "1", 1, "Home", "alpha"), "theirs": ofOther("theirs-1", "1", 1, "Home", "gamma")} {
		fullRun(t, s, source, source+"-1", listed("1", 1, "Home"))
		store1(t, s, w)
	}
	fullRun(t, s, "team", "team-1", listed("1", 2, "Home"))
	require.Equal(t, event.Updated, store1(t, s, write("team", "team-1", "1", 2, "Home", "alpha")))
	require.Equal(t, []string{"team", "theirs"}, column[string](t, conn, `SELECT source_id FROM confluence_pages ORDER BY 1`))
	require.Equal(t, []string{"team", "theirs"}, column[string](t, conn, `SELECT source_id FROM archon_crawled_pages ORDER BY 1`))
}

// A database of an older release keeps what it has, and its next run finds everything as listed.
func TestAnOlderDatabaseLearnsItsSites(t *testing.T) {
	s, conn := open(t)
	addSource(t, s, "docs")
	addSource(t, s, "team")
	require.NoError(t, s.AddSource(t.Context(), store.Source{ID: "theirs", BaseURL: otherSite, SpaceKey: "Eng"}))
	require.NoError(t, s.AddSource(t.Context(), store.Source{ID: "notes", System: "folder", Location: "/notes", BaseURL: "file:///notes"}))
	run := fullRun(t, s, "docs", "r1", listed("1", 1, "Home"))
	store1(t, s, write("docs", "r1", "1", 1, "Home", "alpha"))
	require.Equal(t, event.StateCompleted, finish(t, s, run).State)
	chunks := column[int64](t, conn, `SELECT id FROM archon_crawled_pages`)

	db := stdlib.OpenDB(*conn.Config())
	t.Cleanup(func() { _ = db.Close() })
	require.NoError(t, migrations.DownTo(t.Context(), db, 22))
	require.Zero(t, number(t, conn, `SELECT count(*) FROM information_schema.columns WHERE column_name = 'site_id'`))
	_, err := s.Migrate(t.Context())
	require.NoError(t, err)

	require.Equal(t, 3, number(t, conn, `SELECT count(DISTINCT site_id) FROM confluence_spaces`))
	require.Equal(t, 1, number(t, conn, `SELECT count(DISTINCT site_id) FROM confluence_spaces WHERE source_id IN ('docs', 'team')`))
	require.Equal(t, [][]string{{"docs"}, {}, {"team"}, {"eng"}}, column[[]string](t, conn, `SELECT keys FROM confluence_spaces ORDER BY source_id`))
	run = fullRun(t, s, "docs", "r2", listed("1", 1, "Home"))
	snap := finish(t, s, run)
	require.Equal(t, event.Counts{Listed: 1, Unchanged: 1}, snap.Counts)
	require.Equal(t, chunks, column[int64](t, conn, `SELECT id FROM archon_crawled_pages`), "chunks and embeddings stay")
	// Sites that come later have numbers of their own.
	require.NoError(t, s.AddSource(t.Context(), store.Source{ID: "new", BaseURL: "https://new.atlassian.net/wiki", SpaceKey: "NEW"}))
	require.Equal(t, 4, number(t, conn, `SELECT count(DISTINCT site_id) FROM confluence_spaces`))
}

func TestASpaceIsOneSourceHoweverItIsTyped(t *testing.T) {
	s, _ := open(t)
	addSource(t, s, "docs")
	for _, key := range []string{"DOCS", "docs", "Docs"} {
		err := s.AddSource(t.Context(), store.Source{ID: "again", BaseURL: site, SpaceKey: key})
		require.ErrorIs(t, err, store.ErrSpaceTaken, key)
		require.ErrorContains(t, err, "is the source docs already")
		require.NoError(t, s.AddSource(t.Context(), store.Source{ID: "docs", BaseURL: site, SpaceKey: key}), "the same one again")
	}
	require.NoError(t, s.AddSource(t.Context(), store.Source{ID: "theirs", BaseURL: otherSite, SpaceKey: "DOCS"}), "of another site")
}

// Another program writes a page as the specification has the table, without a site.
func TestAPageWrittenWithoutASiteIsOfItsSourcesSite(t *testing.T) {
	s, conn := open(t)
	addSource(t, s, "docs")
	exec := func(sql string) {
		t.Helper()
		_, err := conn.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	exec(`INSERT INTO archon_sources (source_id, summary, metadata) VALUES ('unknown', '', '{"source_type": "confluence"}')`)
	for _, source := range []string{"docs", "unknown"} {
		exec(`INSERT INTO confluence_pages (page_id, source_id, space_key, title, version, last_modified, path)
			VALUES ('of ` + source + `', '` + source + `', 'DOCS', 'By hand', 1, now(), '/by hand')`)
		exec(`INSERT INTO confluence_page_content (page_id, url, markdown, losses, headings, includes, pipeline_version)
			VALUES ('of ` + source + `', 'https://acme.atlassian.net/wiki/` + source + `', 'Words', '[]', '[]', '{}', 1)`)
	}
	require.Equal(t, 2, number(t, conn, `SELECT count(*) FROM confluence_pages p JOIN confluence_spaces s USING (source_id, site_id)
		JOIN confluence_page_content c USING (page_id, site_id)`))
	require.Equal(t, 2, number(t, conn, `SELECT count(DISTINCT site_id) FROM confluence_sites`))
}

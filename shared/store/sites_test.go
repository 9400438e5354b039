package store_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/migrations"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/viewer"
)

const otherSite = "https://umbrella.atlassian.net/wiki"

// ofOther returns a page of the other site, with the id of a page of the first one.
func ofOther(runID, id string, version int, title string, texts ...string) store.PageWrite {
	w := write("theirs", runID, id, version, title, texts...)
	w.Page.BaseURL, w.Page.URL = otherSite, otherSite+"/spaces/DOCS/pages/"+id
	for i := range w.Chunks {
		w.Chunks[i].Metadata.URL, w.Chunks[i].Metadata.CitationURL = w.Page.URL, w.Page.URL
	}
	return w
}

// Two failures at the same moment of pages with one id are two, each of its own site.
func TestFailuresOfTwoSitesAreTwo(t *testing.T) {
	s, conn := open(t)
	addSource(t, s, "docs")
	require.NoError(t, s.AddSource(t.Context(), store.Source{ID: "theirs", BaseURL: otherSite, SpaceKey: "DOCS"}))
	for _, source := range []string{"docs", "theirs"} {
		run := fullRun(t, s, source, "run-"+source, listed("7", 1, "Seven"))
		failPage(t, s, run.ID, "7")
	}
	_, err := conn.Exec(t.Context(), `UPDATE confluence_sync_pages SET ended_at = now()`)
	require.NoError(t, err)
	list, err := s.Reader().Failures(t.Context(), viewer.All(), "", "", "7", store.First(10))
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.NotEqual(t, list[0].Site, list[1].Site)
}

// Page ids are unique per site. Changes of a page do not affect a page of another site with the same id.
func TestTwoSitesSharePageIDs(t *testing.T) {
	t.Parallel()
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

	// A read by id alone gets an error that names both sources; the caller then names the source.
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
	// Page filters match the chunks of exactly that page.
	_, err = conn.Exec(t.Context(), `UPDATE confluence_pages SET metadata = metadata || '{"labels": ["secret"]}' WHERE source_id = 'theirs' AND page_id = '1'
		OR source_id = 'docs' AND page_id = '2'`)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"docs 2 Keys", "theirs 1 Home"}, hits(all, "words", search.Filter{Label: "secret"}))
	require.Equal(t, []string{"theirs 1 Home"}, hits(all, "words", search.Filter{Label: "secret", Sources: []string{"theirs"}}))

	// Editing, removing and restoring one page does not affect the other.
	run = fullRun(t, s, "theirs", "o2", listed("1", 8, "Home"))
	require.Equal(t, event.Updated, store1(t, s, ofOther("o2", "1", 8, "Home", "gamma changed")))
	gone, live, err := s.FindRemovalCandidates(t.Context(), run)
	require.NoError(t, err)
	require.Equal(t, []string{"2"}, gone)
	require.Equal(t, store.Live{Pages: 2}, live)
	require.NoError(t, s.RemovePages(t.Context(), run, []store.Removal{{PageID: "2", Reason: "trashed"}}))
	require.NoError(t, s.MarkRemovalsChecked(t.Context(), run.ID))
	require.Equal(t, event.StateCompleted, advance(t, s, run.ID).State)
	require.Equal(t, []string{"alpha words"}, contents(t, s, "docs", "1"))
	require.Equal(t, []string{"beta words"}, contents(t, s, "docs", "2"))
	require.Empty(t, contents(t, s, "theirs", "2"))
	p, err := s.Reader().LivePage(t.Context(), all, "2")
	require.NoError(t, err, "only one is left, so the id is unique")
	require.Equal(t, "docs", p.SourceID)

	run = fullRun(t, s, "docs", "r2", listed("1", 1, "Home"), listed("2", 2, "Keys"))
	require.Equal(t, event.Updated, store1(t, s, write("docs", "r2", "2", 2, "Keys", "beta again")))
	require.Equal(t, event.StateCompleted, finish(t, s, run).State)
	require.Equal(t, 1, number(t, conn, `SELECT count(*) FROM confluence_removals WHERE restored_at IS NULL`), "the page of theirs is still removed")
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

// A page that moves between two sources of one site is the same page; a page of another site is a different one.
func TestAPageMovesWithinItsSiteOnly(t *testing.T) {
	t.Parallel()
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

// A database of an older release keeps its rows, and its next run finds everything as listed.
func TestAnOlderDatabaseLearnsItsSites(t *testing.T) {
	t.Parallel()
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
	require.Equal(t, chunks, column[int64](t, conn, `SELECT id FROM archon_crawled_pages`), "chunks and embeddings are kept")
	// Sites that are added later have different numbers.
	require.NoError(t, s.AddSource(t.Context(), store.Source{ID: "new", BaseURL: "https://new.atlassian.net/wiki", SpaceKey: "NEW"}))
	require.Equal(t, 4, number(t, conn, `SELECT count(DISTINCT site_id) FROM confluence_spaces`))
}

func TestASpaceIsOneSourceHoweverItIsTyped(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	for _, key := range []string{"DOCS", "docs", "Docs"} {
		err := s.AddSource(t.Context(), store.Source{ID: "again", BaseURL: site, SpaceKey: key})
		require.ErrorIs(t, err, store.ErrSpaceTaken, key)
		require.ErrorContains(t, err, "is already the source docs")
		require.NoError(t, s.AddSource(t.Context(), store.Source{ID: "docs", BaseURL: site, SpaceKey: key}), "the same one again")
	}
	require.NoError(t, s.AddSource(t.Context(), store.Source{ID: "theirs", BaseURL: otherSite, SpaceKey: "DOCS"}), "of another site")
}

// Another program writes a page without a site, as the specification defines the table.
func TestAPageWrittenWithoutASiteIsOfItsSourcesSite(t *testing.T) {
	t.Parallel()
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

	// It gives them to another source, on another site: they are of that site, and their content with them.
	exec(`INSERT INTO archon_sources (source_id, summary, metadata) VALUES ('unknown too', '', '{"source_type": "confluence"}')`)
	exec(`UPDATE confluence_pages SET source_id = 'unknown too' WHERE source_id = 'unknown'; UPDATE confluence_pages SET source_id = 'unknown' WHERE source_id = 'docs'`)
	require.Equal(t, 2, number(t, conn, `SELECT count(*) FROM confluence_pages p JOIN confluence_spaces s USING (source_id, site_id)
		JOIN confluence_page_content c USING (page_id, site_id) WHERE source_id LIKE 'unknown%'`))
	require.Equal(t, 3, number(t, conn, `SELECT count(DISTINCT site_id) FROM confluence_sites`))
}

// known returns what a run finds out about a space of the site c1.
func known(space, key string, more ...string) store.Identity {
	return store.Identity{Site: "c1", ID: space, Key: key, Keys: append([]string{key}, more...)}
}

func TestASpaceIsKnownByItsID(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "docs")
	src, err := s.Identify(t.Context(), "docs", known("65538", "DOCS", "HANDBOOK"))
	require.NoError(t, err)
	require.Equal(t, "65538", src.SpaceID)
	// By its alias, at once; by an unknown name, and at another address of its site, in its first run.
	err = s.AddSource(t.Context(), store.Source{ID: "again", BaseURL: site, SpaceKey: "handbook"})
	require.ErrorIs(t, err, store.ErrSpaceTaken)
	for _, again := range []store.Source{{ID: "again", BaseURL: site, SpaceKey: "OTHER"}, {ID: "again", BaseURL: "https://wiki.acme.example/wiki", SpaceKey: "DOCS"}} {
		require.NoError(t, s.AddSource(t.Context(), again))
		_, err = s.Identify(t.Context(), "again", known("65538", again.SpaceKey))
		require.Equal(t, failure.SpaceTaken, failure.CodeOf(err))
		require.ErrorContains(t, err, "source again is the same space as source docs")
		require.NoError(t, s.RemoveSource(t.Context(), "again"))
	}
	// Another site's space with the same id is a different space.
	require.NoError(t, s.AddSource(t.Context(), store.Source{ID: "theirs", BaseURL: otherSite, SpaceKey: "DOCS"}))
	_, err = s.Identify(t.Context(), "theirs", store.Identity{Site: "c2", ID: "65538", Key: "DOCS"})
	require.NoError(t, err)

	// An address that now belongs to another site, and a key that now belongs to another space, change nothing.
	_, err = s.Identify(t.Context(), "docs", store.Identity{Site: "c3", ID: "65538", Key: "DOCS"})
	require.Equal(t, failure.OtherSite, failure.CodeOf(err))
	require.ErrorContains(t, err, "sluice source set docs --base-url URL")
	_, err = s.Identify(t.Context(), "docs", known("7", "DOCS"))
	require.Equal(t, failure.SpaceNotFound, failure.CodeOf(err))
	require.ErrorIs(t, s.Relocate(t.Context(), "docs", otherSite), store.ErrSpaceTaken, "a source there has its key")
	addSource(t, s, "team")
	require.Equal(t, failure.OtherSite, failure.CodeOf(s.Relocate(t.Context(), "team", otherSite)))

	// Former keys remain keys of the space until another space uses them.
	src, err = s.Identify(t.Context(), "docs", known("65538", "MANUAL"))
	require.NoError(t, err)
	require.Equal(t, "MANUAL", src.SpaceKey)
	require.ElementsMatch(t, []string{"manual", "docs", "handbook"}, src.Keys)
	require.NoError(t, s.AddSource(t.Context(), store.Source{ID: "new", BaseURL: site, SpaceKey: "DOCS"}))
	_, err = s.Identify(t.Context(), "new", known("99", "DOCS"))
	require.NoError(t, err)
	src, err = s.Source(t.Context(), "docs")
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"manual", "handbook"}, src.Keys)
	require.Equal(t, 2, number(t, conn, `SELECT count(*) FROM confluence_sites`))
}

// Two addresses of one site become one site once that is known; a page that both have is one page.
func TestTwoAddressesOfASiteBecomeOne(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "docs")
	require.NoError(t, s.AddSource(t.Context(), store.Source{ID: "theirs", BaseURL: otherSite, SpaceKey: "LAW"}))
	for source, w := range map[string]store.PageWrite{"docs": write("docs", "docs-1", "1", 1, "Home", "alpha"), "theirs": ofOther("theirs-1", "1", 1, "Home", "gamma")} {
		fullRun(t, s, source, source+"-1", listed("1", 1, "Home"), listed("2", 1, "Two"))
		store1(t, s, w)
	}
	store1(t, s, ofOther("theirs-1", "2", 1, "Two", "delta"))
	for source, space := range map[string]string{"docs": "1", "theirs": "2"} {
		_, err := s.Identify(t.Context(), source, store.Identity{Site: "c1", ID: space, Key: "K" + space})
		require.NoError(t, err)
	}
	require.Equal(t, 1, number(t, conn, `SELECT count(*) FROM confluence_sites`))
	require.Equal(t, []string{"1", "2"}, column[string](t, conn, `SELECT page_id FROM confluence_pages ORDER BY 1`))
	require.Equal(t, 1, number(t, conn, `SELECT count(*) FROM archon_crawled_pages c JOIN confluence_pages p ON p.source_id = c.source_id AND p.page_id = '1'
		WHERE c.metadata->>'confluence_page_id' = '1'`))
	require.Equal(t, []string{"delta"}, contents(t, s, "theirs", "2"))
}

// If a source changes its address before its site is verified, the site's other sources keep theirs.
func TestAnUnprovenSiteIsNotTakenAlong(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "docs")
	addSource(t, s, "team")
	fullRun(t, s, "docs", "r1", listed("1", 1, "Home"))
	store1(t, s, write("docs", "r1", "1", 1, "Home", "alpha"))
	require.NoError(t, s.Relocate(t.Context(), "docs", otherSite))
	require.Equal(t, 2, number(t, conn, `SELECT count(DISTINCT site_id) FROM confluence_spaces`))
	require.Equal(t, 1, number(t, conn, `SELECT count(*) FROM confluence_pages p JOIN confluence_spaces n USING (source_id, site_id)`))
	for source, cloud := range map[string]string{"docs": "c2", "team": "c1"} {
		_, err := s.Identify(t.Context(), source, store.Identity{Site: cloud, ID: "1", Key: "K"})
		require.NoError(t, err)
	}
	require.ErrorIs(t, s.Relocate(t.Context(), "nobody", otherSite), store.ErrNotFound)
}

// Renaming a site or a space rewrites addresses in place: rows are kept, and so are embeddings.
func TestPagesGetTheirNewAddresses(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "docs")
	run := fullRun(t, s, "docs", "r1", listed("1", 1, "Home"))
	text := "See [Two](" + site + "/spaces/DOCS/pages/2) and https://acme.atlassian.net/browse/OPS-1, not https://notacme.atlassian.net/wiki/x"
	w := write("docs", "r1", "1", 1, "Home", text, "plain words")
	w.Metadata.InternalLinks = []page.Link{{PageID: "2", PageTitle: "Two", PageURL: site + "/spaces/DOCS/pages/2"}}
	for i := range w.Chunks {
		w.Chunks[i].Metadata.ContentHash = page.ChunkHash(w.Chunks[i].Metadata.HeadingPath, w.Chunks[i].Content)
	}
	store1(t, s, w)
	require.Equal(t, event.StateCompleted, finish(t, s, run).State)
	_, err := s.Identify(t.Context(), "docs", known("65538", "DOCS"))
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `UPDATE archon_crawled_pages SET embedding_model = 'kept'`)
	require.NoError(t, err)
	chunks := column[int64](t, conn, `SELECT id FROM archon_crawled_pages ORDER BY 1`)

	const now = "https://acme2.atlassian.net/wiki"
	require.NoError(t, s.Relocate(t.Context(), "docs", now))
	_, err = s.Identify(t.Context(), "docs", known("65538", "MANUAL"))
	require.NoError(t, err)
	n, err := s.Readdress(t.Context(), "docs")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	n, err = s.Readdress(t.Context(), "docs")
	require.NoError(t, err)
	require.Zero(t, n, "it runs only once")

	require.Equal(t, chunks, column[int64](t, conn, `SELECT id FROM archon_crawled_pages WHERE embedding_model = 'kept' ORDER BY 1`))
	for _, table := range []string{"confluence_pages", "confluence_page_content", "archon_crawled_pages", "archon_sources"} {
		require.Zero(t, number(t, conn, `SELECT count(*) FROM `+table+` t WHERE t::text LIKE '%//acme.atlassian.net%' OR t::text LIKE '%/spaces/DOCS/%'`), table)
		require.NotZero(t, number(t, conn, `SELECT count(*) FROM `+table+` t WHERE t::text LIKE '%`+now+`/spaces/MANUAL%'`), table)
	}
	require.Equal(t, 1, number(t, conn, `SELECT count(*) FROM archon_crawled_pages WHERE content LIKE '%//acme2.atlassian.net/browse/OPS-1, not https://notacme.%'`))
	require.Equal(t, []string{"MANUAL"}, column[string](t, conn, `SELECT space_key FROM confluence_pages`))
	for _, key := range []string{"MANUAL", "manual", "DOCS", "docs"} {
		hits, err := s.Searcher().Search(t.Context(), viewer.All(), "plain words", search.Filter{SpaceKey: key})
		require.NoError(t, err)
		require.Len(t, hits, 1, key)
		require.Equal(t, now+"/spaces/MANUAL/pages/1", hits[0].URL)
	}

	// Stored pages now equal the pages as converted from now on.
	run = fullRun(t, s, "docs", "r2", listed("1", 1, "Home"))
	require.Equal(t, event.Counts{Listed: 1, Unchanged: 1}, finish(t, s, run).Counts)
	run = fullRun(t, s, "docs", "r3", listed("1", 2, "Home"))
	w.RunID, w.Page.Version, w.Page.SpaceKey = run.ID, 2, "MANUAL"
	to := strings.NewReplacer(site+"/spaces/DOCS/", now+"/spaces/MANUAL/", "https://acme.atlassian.net/", "https://acme2.atlassian.net/")
	w.Page.URL, w.Markdown = to.Replace(w.Page.URL), to.Replace(w.Markdown)
	for i := range w.Chunks {
		c := &w.Chunks[i]
		c.Content, c.Metadata.URL, c.Metadata.CitationURL = to.Replace(c.Content), w.Page.URL, w.Page.URL
		c.Metadata.ContentHash = page.ChunkHash(c.Metadata.HeadingPath, c.Content)
	}
	require.Equal(t, event.Updated, store1(t, s, w))
	require.Equal(t, chunks, column[int64](t, conn, `SELECT id FROM archon_crawled_pages WHERE embedding_model = 'kept' ORDER BY 1`))
}

// Two spaces that swap their keys: each is found by the key that it has, and by no key of the other.
func TestSpacesMaySwapTheirKeys(t *testing.T) {
	for name, order := range map[string][2]string{"one first": {"docs", "team"}, "the other first": {"team", "docs"}} {
		t.Run(name, func(t *testing.T) {
			s, _ := open(t)
			addSource(t, s, "docs")
			require.NoError(t, s.AddSource(t.Context(), store.Source{ID: "team", BaseURL: site, SpaceKey: "TEAM"}))
			was, now := map[string]string{"docs": "DOCS", "team": "TEAM"}, map[string]string{"docs": "TEAM", "team": "DOCS"}
			space, page := map[string]string{"docs": "65538", "team": "65539"}, map[string]string{"docs": "1", "team": "2"}
			for id, key := range was {
				run := fullRun(t, s, id, "run-"+id, listed(page[id], 1, "Home"))
				w := write(id, "run-"+id, page[id], 1, "Home", "plain words")
				w.Page.SpaceKey = key
				store1(t, s, w)
				require.Equal(t, event.StateCompleted, finish(t, s, run).State)
				_, err := s.Identify(t.Context(), id, known(space[id], key))
				require.NoError(t, err)
			}
			for _, id := range order {
				_, err := s.Identify(t.Context(), id, known(space[id], now[id]))
				require.NoError(t, err)
				_, err = s.Readdress(t.Context(), id)
				require.NoError(t, err)
			}
			for id, key := range now {
				src, err := s.Source(t.Context(), id)
				require.NoError(t, err)
				require.Equal(t, []string{strings.ToLower(key)}, src.Keys, id)
				hits, err := s.Searcher().Search(t.Context(), viewer.All(), "plain words", search.Filter{SpaceKey: key})
				require.NoError(t, err)
				require.Len(t, hits, 1, key)
				require.Equal(t, id, hits[0].SourceID, key)
			}
		})
	}
}

// Archon's whole pages get new addresses too, and keep the ids that their chunks contain.
func TestArchonsPagesGetTheirNewAddresses(t *testing.T) {
	t.Parallel()
	address, conn := variants[1].install(t)
	s := opened(t, address)
	_, err := s.Migrate(t.Context())
	require.NoError(t, err)
	addSource(t, s, "docs")
	run := fullRun(t, s, "docs", "r1", listed("1", 1, "Home"))
	store1(t, s, write("docs", "r1", "1", 1, "Home", "See "+site+"/spaces/DOCS/pages/2"))
	require.Equal(t, event.StateCompleted, finish(t, s, run).State)
	ids := `SELECT m.id::text FROM archon_page_metadata m JOIN archon_crawled_pages c ON c.page_id = m.id WHERE c.source_id = 'docs'`
	before := column[string](t, conn, ids)
	require.Len(t, before, 1)
	require.NoError(t, s.Relocate(t.Context(), "docs", "https://acme2.atlassian.net/wiki"))
	_, err = s.Readdress(t.Context(), "docs")
	require.NoError(t, err)
	require.Equal(t, before, column[string](t, conn, ids+` AND m.url LIKE 'https://acme2.%' AND m.full_content LIKE '%See https://acme2.%'`))
}

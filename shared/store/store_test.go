package store_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/store/storetest"
	"github.com/sluicehq/sluice/shared/viewer"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const site = storetest.Site

var (
	open      = storetest.Open
	addSource = storetest.AddSource
	write     = storetest.Page
	store1    = storetest.Write
)

// fullRun opens a full run and lists the pages.
func fullRun(t *testing.T, s *store.Store, source, id string, pages ...store.Listed) store.Run {
	t.Helper()
	run, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: id, Mode: event.Full, SourceID: source})
	require.NoError(t, err)
	require.Equal(t, event.StateListing, run.State)
	attempt, err := s.StartListing(t.Context(), run.ID, time.Now())
	require.NoError(t, err)
	require.NoError(t, s.AddListed(t.Context(), run.ID, attempt, pages))
	require.NoError(t, s.TreeFromListing(t.Context(), run))
	require.NoError(t, s.BuildPaths(t.Context(), source))
	listed, err := s.CompleteListing(t.Context(), run, attempt)
	require.NoError(t, err)
	require.Equal(t, len(pages), listed)
	run, err = s.Run(t.Context(), run.ID)
	require.NoError(t, err)
	return run
}

// finish marks the removals as checked, without removing anything, and advances the run as far as possible.
func finish(t *testing.T, s *store.Store, run store.Run) event.Progress {
	t.Helper()
	_, _, err := s.FindRemovalCandidates(t.Context(), run)
	require.NoError(t, err)
	require.NoError(t, s.MarkRemovalsChecked(t.Context(), run.ID))
	return advance(t, s, run.ID)
}

func advance(t *testing.T, s *store.Store, runID string) event.Progress {
	t.Helper()
	snap, _, err := s.Advance(t.Context(), runID)
	require.NoError(t, err)
	return snap
}

func contents(t *testing.T, s *store.Store, source, id string) []string {
	t.Helper()
	chunks, err := s.Reader().Chunks(t.Context(), viewer.All(), source, id, store.Whole())
	require.NoError(t, err)
	list := []string{}
	for _, c := range chunks {
		list = append(list, c.Content)
	}
	return list
}

func listed(id string, version int, title string) store.Listed {
	return store.Listed{ID: id, Version: version, Title: title, Status: "current"}
}

func TestARunFromRequestToWatermark(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	run := fullRun(t, s, "docs", "r1", listed("1", 3, "Home"), listed("2", 1, "Setup"),
		store.Listed{ID: "3", Version: 1, Title: "Old", Status: "archived"})

	pending, err := s.PendingPages(t.Context(), "r1", "", 10)
	require.NoError(t, err)
	require.Equal(t, []page.Ref{{ID: "1", Version: 3}, {ID: "2", Version: 1}}, pending)

	require.Equal(t, event.Created, store1(t, s, write("docs", "r1", "1", 3, "Home", "alpha", "beta")))
	snap := finish(t, s, run)
	require.Equal(t, event.StateFetching, snap.State, "page 2 is still pending")
	require.Equal(t, 66, snap.Percent)

	require.Equal(t, event.Created, store1(t, s, write("docs", "r1", "2", 1, "Setup", "gamma")))
	snap = advance(t, s, "r1")
	require.Equal(t, event.StateCompleted, snap.State)
	require.Equal(t, event.Counts{Listed: 3, Created: 2, Skipped: 1}, snap.Counts)
	require.Equal(t, 100, snap.Percent)

	src, err := s.Source(t.Context(), "docs")
	require.NoError(t, err)
	require.WithinDuration(t, run.ListingStarted, src.LastSync, time.Millisecond, "the watermark is the start of the listing")

	run2 := fullRun(t, s, "docs", "r2", listed("1", 3, "Home"), listed("2", 1, "Setup"))
	snap = finish(t, s, run2)
	require.Equal(t, event.Counts{Listed: 2, Unchanged: 2}, snap.Counts, "nothing changed, so nothing is fetched")
}

func TestASecondRunWaitsForTheFirst(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	run := fullRun(t, s, "docs", "r1", listed("1", 1, "Home"))
	second, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: "r2", Mode: event.Full, SourceID: "docs"})
	require.NoError(t, err)
	require.Equal(t, event.StateRequested, second.State)

	store1(t, s, write("docs", "r1", "1", 1, "Home", "alpha"))
	require.Equal(t, event.StateCompleted, finish(t, s, run).State)
	second, err = s.OpenRun(t.Context(), event.SyncRequested{RequestID: "r2", Mode: event.Full, SourceID: "docs"})
	require.NoError(t, err)
	require.Equal(t, event.StateListing, second.State)
}

func TestRequestsThatCannotBecomeARun(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	addSource(t, s, "other")
	_, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: "r1", Mode: event.Full, SourceID: "nowhere"})
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = s.OpenRun(t.Context(), event.SyncRequested{RequestID: "r1", Mode: event.Full, SourceID: "docs"})
	require.NoError(t, err)
	_, err = s.OpenRun(t.Context(), event.SyncRequested{RequestID: "r1", Mode: event.Full, SourceID: "other"})
	require.ErrorIs(t, err, store.ErrRequestIDTaken)
}

func TestOnlyOneListerAtATime(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "docs")
	run, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: "r1", Mode: event.Full, SourceID: "docs"})
	require.NoError(t, err)
	first, err := s.StartListing(t.Context(), "r1", time.Now())
	require.NoError(t, err)
	require.NoError(t, s.AddListed(t.Context(), "r1", first, []store.Listed{listed("1", 1, "Gone since")}))
	_, err = s.StartListing(t.Context(), "r1", time.Now())
	require.ErrorIs(t, err, store.ErrNotCurrent, "the first lister still has its lease")
	_, err = conn.Exec(t.Context(), `UPDATE confluence_sync_runs SET listing_until = now() - interval '1 second'`)
	require.NoError(t, err)
	second, err := s.StartListing(t.Context(), "r1", time.Now())
	require.NoError(t, err)
	require.ErrorIs(t, s.RenewListing(t.Context(), "r1", first), store.ErrNotCurrent)
	require.NoError(t, s.ReleaseListing(t.Context(), "r1", first), "a replaced lister releases nothing")
	_, err = s.StartListing(t.Context(), "r1", time.Now())
	require.ErrorIs(t, err, store.ErrNotCurrent)

	require.ErrorIs(t, s.AddListed(t.Context(), "r1", first, []store.Listed{listed("2", 1, "B")}), store.ErrNotCurrent)
	_, err = s.CompleteListing(t.Context(), run, first)
	require.ErrorIs(t, err, store.ErrNotCurrent)

	twice := []store.Listed{listed("2", 1, "B"), listed("2", 2, "B")}
	require.NoError(t, s.AddListed(t.Context(), "r1", second, twice))
	n, err := s.CompleteListing(t.Context(), run, second)
	require.NoError(t, err)
	require.Equal(t, 1, n, "the first lister's rows are deleted, and a page listed twice counts once")
}

func TestTheSamePageTwiceAndAnOlderOneLater(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "docs")
	fullRun(t, s, "docs", "r1", listed("1", 2, "Home"))
	w := write("docs", "r1", "1", 2, "Home", "alpha", "beta")
	require.Equal(t, event.Created, store1(t, s, w))
	before := dump(t, conn)

	require.Equal(t, event.Created, store1(t, s, w), "the ledger keeps its outcome")
	require.Equal(t, before, dump(t, conn))
	require.Equal(t, event.Created, store1(t, s, write("docs", "r1", "1", 1, "Home", "older")))
	require.Equal(t, event.Unchanged, store1(t, s, write("docs", "", "1", 1, "Home", "older")))
	require.Equal(t, before, dump(t, conn))
}

// dump returns every row that a page write may change, with the columns that reveal a rewrite.
func dump(t *testing.T, conn *pgx.Conn) []string {
	t.Helper()
	rows, err := conn.Query(t.Context(), `
		SELECT 'page ' || p.xmin || ' ' || p::text FROM confluence_pages p UNION ALL
		SELECT 'content ' || c.xmin || ' ' || c::text FROM confluence_page_content c UNION ALL
		SELECT 'chunk ' || k.xmin || ' ' || k::text FROM archon_crawled_pages k UNION ALL
		SELECT 'ledger ' || l.xmin || ' ' || l::text FROM confluence_sync_pages l ORDER BY 1`)
	require.NoError(t, err)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.NotEmpty(t, list)
	return list
}

func TestOnlyChangedChunksAreWritten(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	fullRun(t, s, "docs", "r1", listed("1", 1, "Home"))
	store1(t, s, write("docs", "r1", "1", 1, "Home", "alpha", "beta", "gamma"))
	before, err := s.Reader().Chunks(t.Context(), viewer.All(), "docs", "1", store.Whole())
	require.NoError(t, err)

	require.Equal(t, event.Updated, store1(t, s, write("docs", "", "1", 2, "Home", "alpha", "BETA", "gamma")))
	after, err := s.Reader().Chunks(t.Context(), viewer.All(), "docs", "1", store.Whole())
	require.NoError(t, err)
	require.Equal(t, before[0].ID, after[0].ID)
	require.NotEqual(t, before[1].ID, after[1].ID)
	require.Equal(t, before[2].ID, after[2].ID)
	p, err := s.Reader().Page(t.Context(), viewer.All(), "1")
	require.NoError(t, err)
	require.Equal(t, []int{2, 1, 0, 2, 1}, []int{p.LastEdit.Version, p.LastEdit.Inserted, p.LastEdit.Renumbered, p.LastEdit.Kept, p.LastEdit.Removed})
	require.Equal(t, []store.ChunkChange{store.ChunkInserted, store.ChunkRemoved}, []store.ChunkChange{p.LastEdit.Chunks[0].Change, p.LastEdit.Chunks[1].Change})

	store1(t, s, write("docs", "", "1", 3, "Home", "alpha"))
	require.Equal(t, []string{"alpha"}, contents(t, s, "docs", "1"))
}

func TestARemovedPageHasNoChunksAndDoesNotComeBackByALateCopy(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "docs")
	_, err := conn.Exec(t.Context(), `INSERT INTO archon_crawled_pages (url, chunk_number, content, metadata, source_id)
		VALUES ('https://web/1', 0, 'crawled', '{"page_id": "1"}', 'docs')`)
	require.NoError(t, err)
	run := fullRun(t, s, "docs", "r1", listed("1", 1, "Home"), listed("2", 1, "Doomed"))
	store1(t, s, write("docs", "r1", "1", 1, "Home", "alpha"))
	late := write("docs", "r1", "2", 1, "Doomed", "beta")
	store1(t, s, late)
	require.Equal(t, event.StateCompleted, finish(t, s, run).State)

	run = fullRun(t, s, "docs", "r2", listed("1", 1, "Home"))
	candidates, live, err := s.FindRemovalCandidates(t.Context(), run)
	require.NoError(t, err)
	require.Equal(t, []string{"2"}, candidates)
	require.Equal(t, store.Live{Pages: 2}, live)
	require.Equal(t, event.StateFinishing, advance(t, s, "r2").State)
	require.NoError(t, s.RemovePages(t.Context(), run, []store.Removal{{PageID: "2", Reason: "trashed"}}))
	require.NoError(t, s.MarkRemovalsChecked(t.Context(), "r2"))
	snap := advance(t, s, "r2")
	require.Equal(t, event.StateCompleted, snap.State)
	require.Equal(t, event.Counts{Listed: 2, Unchanged: 1, Removed: 1}, snap.Counts)

	require.Empty(t, contents(t, s, "docs", "2"))
	store1(t, s, late)
	require.Empty(t, contents(t, s, "docs", "2"), "a copy from before the removal has no effect")
	removed, err := s.Reader().Page(t.Context(), viewer.All(), "2")
	require.NoError(t, err)
	require.True(t, removed.Deleted)
	require.Contains(t, removed.Markdown, "beta", "the Markdown stays")

	fullRun(t, s, "docs", "r3", listed("1", 1, "Home"), listed("2", 1, "Doomed"))
	require.Equal(t, event.Created, store1(t, s, write("docs", "r3", "2", 1, "Doomed", "beta")), "restored in Confluence")
	require.Equal(t, []string{"beta"}, contents(t, s, "docs", "2"))
	var crawled int
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT count(*) FROM archon_crawled_pages WHERE url = 'https://web/1'`).Scan(&crawled))
	require.Equal(t, 1, crawled, "a web crawl's chunk with the same page_id is not Sluice's")
}

func TestRemovingASourceLeavesNothingOfItAndAllOfTheOthers(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	for _, src := range []string{"docs", "other"} {
		addSource(t, s, src)
		id := map[string]string{"docs": "1", "other": "2"}[src]
		run := fullRun(t, s, src, "run-"+src, listed(id, 1, "Home"))
		store1(t, s, write(src, "run-"+src, id, 1, "Home", "the same words"))
		finish(t, s, run)
	}
	hits, err := s.Searcher().Search(t.Context(), viewer.All(), "same words", search.Filter{SourceID: "docs"})
	require.NoError(t, err)
	require.Len(t, hits, 1)
	require.Equal(t, "docs", hits[0].SourceID)

	require.NoError(t, s.RemoveSource(t.Context(), "docs"))
	require.ErrorIs(t, s.RemoveSource(t.Context(), "docs"), store.ErrNotFound)
	for _, table := range []string{"archon_sources", "archon_crawled_pages", "confluence_pages", "confluence_sync_runs", "confluence_tree"} {
		var docs, other int
		require.NoError(t, conn.QueryRow(t.Context(), `SELECT count(*) FILTER (WHERE source_id = 'docs'),
			count(*) FILTER (WHERE source_id = 'other') FROM `+pgx.Identifier{table}.Sanitize()).Scan(&docs, &other))
		require.Zero(t, docs, table)
		require.NotZero(t, other, table)
	}
	var contents, ledger int
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM confluence_page_content), (SELECT count(*) FROM confluence_sync_pages)`).Scan(&contents, &ledger))
	require.Equal(t, []int{1, 1}, []int{contents, ledger})
}

func TestSearch(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	fullRun(t, s, "docs", "r1", listed("1", 1, "Keys"), listed("2", 1, "Lunch"))
	store1(t, s, write("docs", "r1", "1", 1, "Keys", "Rotate the signing keys every ninety days.", "Call svc_billing_v2 first."))
	store1(t, s, write("docs", "r1", "2", 1, "Lunch", "The canteen opens at noon."))

	hits, err := s.Searcher().Search(t.Context(), viewer.All(), "rotating signing key", search.Filter{})
	require.NoError(t, err)
	require.NotEmpty(t, hits)
	require.Equal(t, "1", hits[0].PageID)
	require.Equal(t, "Keys", hits[0].Title)
	require.Contains(t, hits[0].Snippet, search.MarkStart+"Rotate"+search.MarkEnd)

	hits, err = s.Searcher().Search(t.Context(), viewer.All(), "svc_biling_v2", search.Filter{})
	require.NoError(t, err)
	require.NotEmpty(t, hits, "an identifier with a typo")
	require.Contains(t, hits[0].Snippet, "billing")

	for _, query := range []string{"", "   ", `"`, `';DROP TABLE archon_sources;--`, `((( & | !`} {
		_, err = s.Searcher().Search(t.Context(), viewer.All(), query, search.Filter{})
		require.NoError(t, err, query)
	}
}

func TestLossesAddUpOverASourcesLivePages(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	run := fullRun(t, s, "docs", "r1", listed("1", 1, "A"), listed("2", 1, "B"))
	a, b := write("docs", "r1", "1", 1, "A", "text"), write("docs", "r1", "2", 1, "B", "text")
	a.Losses = []page.Loss{{Element: "macro:toc", Fate: page.Dropped, Count: 1, Reason: "navigation"}, {Element: "macro:code", Fate: page.Rendered, Count: 3}}
	b.Losses = []page.Loss{{Element: "macro:toc", Fate: page.Dropped, Count: 2, Reason: "navigation"}}
	store1(t, s, a)
	store1(t, s, b)
	totals, err := s.Reader().Losses(t.Context(), viewer.All(), "docs", store.Whole())
	require.NoError(t, err)
	require.Equal(t, []store.LossTotal{
		{Element: "macro:toc", Fate: page.Dropped, Reason: "navigation", Pages: 2, Count: 3},
		{Element: "macro:code", Fate: page.Rendered, Pages: 1, Count: 3},
	}, totals)
	finish(t, s, run)
	run = fullRun(t, s, "docs", "r2", listed("1", 1, "A"))
	_, _, err = s.FindRemovalCandidates(t.Context(), run)
	require.NoError(t, err)
	require.NoError(t, s.RemovePages(t.Context(), run, []store.Removal{{PageID: "2", Reason: "trashed"}}))
	totals, err = s.Reader().Losses(t.Context(), viewer.All(), "docs", store.Whole())
	require.NoError(t, err)
	require.Equal(t, 1, totals[0].Count, "a removed page no longer counts")
}

func TestLargeChunksAreCompressedAsTheServerDoesBest(t *testing.T) {
	t.Parallel()
	address := pgtest.MigratedURL(t) // never through a pooler, where the store changes no session settings
	s, err := store.Open(t.Context(), address)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	conn, err := pgx.Connect(t.Context(), address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	addSource(t, s, "docs")
	fullRun(t, s, "docs", "r1", listed("1", 1, "A"))
	store1(t, s, write("docs", "r1", "1", 1, "A", strings.Repeat("the same again, ", 1000)))
	var knows, does string
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT CASE WHEN 'lz4' = ANY (enumvals) THEN 'lz4' ELSE 'pglz' END
		FROM pg_settings WHERE name = 'default_toast_compression'`).Scan(&knows))
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT pg_column_compression(content) FROM archon_crawled_pages`).Scan(&does))
	require.Equal(t, knows, does)
}

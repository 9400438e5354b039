package storebench_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/lab/storebench"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/viewer"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// filled returns a database with three pages of two chunks each, from the run "first".
func filled(t *testing.T) (*store.Store, string) {
	t.Helper()
	url := pgtest.MigratedURL(t)
	s, err := store.Open(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	require.NoError(t, s.AddSource(t.Context(), store.Source{ID: "docs", BaseURL: "http://site/wiki", SpaceKey: "DOCS"}))
	write(t, s, "first", 1, "alpha", "10", "20", "30")
	return s, url
}

// write stores a version of pages in a new run.
func write(t *testing.T, s *store.Store, runID string, version int, word string, ids ...string) {
	t.Helper()
	run, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: runID, Mode: event.Incremental, SourceID: "docs"})
	require.NoError(t, err)
	attempt, err := s.StartListing(t.Context(), run.ID, time.Now())
	require.NoError(t, err)
	var listed []store.Listed
	for _, id := range ids {
		listed = append(listed, store.Listed{ID: id, Version: version, Title: "Page", Status: "current"})
	}
	require.NoError(t, s.AddListed(t.Context(), run.ID, attempt, listed))
	_, err = s.CompleteListing(t.Context(), run, attempt)
	require.NoError(t, err)
	for _, id := range ids {
		w := store.PageWrite{
			SourceID: "docs", RunID: runID, Attempt: 1, Path: "/" + id, Markdown: "This is generated page " + id + ".\n",
			FetchedAt: time.Now(), ConvertedAt: time.Now(), BodyBytes: 10,
			Page: page.Facts{ID: id, Version: version, Title: "Tune the queue (" + id + ")", SpaceKey: "DOCS", URL: "http://site/wiki/" + id, Status: "current", ModifiedAt: time.Now()},
		}
		for n, text := range []string{"This is generated page " + id + ".", "The " + word + " of them all."} {
			w.Chunks = append(w.Chunks, store.Chunk{Number: n, Content: text, Metadata: store.ChunkMetadata{
				PageID: id, Title: w.Page.Title, URL: w.Page.URL, SourceID: "docs", ChunkIndex: n, ContentHash: text, CrawlType: "confluence",
			}})
		}
		_, err := s.WritePage(t.Context(), w)
		require.NoError(t, err)
	}
	require.NoError(t, s.MarkRemovalsChecked(t.Context(), runID)) // the first run is full, so it waits for this
	_, _, err = s.Advance(t.Context(), runID)
	require.NoError(t, err)
}

func TestTheSameRowsByCopy(t *testing.T) {
	s, url := filled(t)
	out, err := storebench.CopyOut(t.Context(), url, t.TempDir(), 2)
	require.NoError(t, err)
	require.EqualValues(t, 6, out.Chunks)
	require.Positive(t, out.Bytes)

	other, err := storebench.Create(t.Context(), url, fmt.Sprint("copied_", time.Now().UnixNano()))
	require.NoError(t, err)
	there, err := store.Open(t.Context(), other)
	require.NoError(t, err)
	defer there.Close()
	_, err = there.Migrate(t.Context())
	require.NoError(t, err)
	took, err := storebench.CopyIn(t.Context(), other, out, 2)
	require.NoError(t, err)
	require.Positive(t, took)

	for _, id := range []string{"10", "20", "30"} {
		want, err := s.Reader().Chunks(t.Context(), viewer.All(), "docs", id, store.Whole())
		require.NoError(t, err)
		require.Len(t, want, 2)
		got, err := there.Reader().Chunks(t.Context(), viewer.All(), "docs", id, store.Whole())
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	hits, err := there.Searcher().Search(t.Context(), viewer.All(), "alpha", search.Filter{SourceID: "docs"})
	require.NoError(t, err)
	require.Len(t, hits, 3, "the copies are searchable")
}

func TestWhatIsDifferentSinceAMark(t *testing.T) {
	s, url := filled(t)
	m, err := storebench.Now(t.Context(), url)
	require.NoError(t, err)
	rows, err := storebench.Since(t.Context(), url, m)
	require.NoError(t, err)
	require.Zero(t, rows)

	write(t, s, "second", 2, "beta", "20")
	rows, err = storebench.Since(t.Context(), url, m)
	require.NoError(t, err)
	require.EqualValues(t, 2, rows.Pages, "the page and its Markdown")
	require.EqualValues(t, 1, rows.Ledger)
	require.EqualValues(t, 1, rows.Inserted, "the chunk with the new word")
	require.EqualValues(t, 1, rows.Deleted, "the one with the old word")

	fetched, err := storebench.FetchedAt(t.Context(), url, "second")
	require.NoError(t, err)
	require.Len(t, fetched, 1)
	require.WithinDuration(t, time.Now(), fetched["20"], time.Minute)
}

func TestAKnowledgeBaseGrows(t *testing.T) {
	s, url := filled(t)
	indexes := func() (list []string) {
		c, err := pgx.Connect(t.Context(), url)
		require.NoError(t, err)
		defer c.Close(t.Context())
		rows, err := c.Query(t.Context(), `SELECT indexdef FROM pg_indexes WHERE tablename = 'archon_crawled_pages' ORDER BY 1`)
		require.NoError(t, err)
		list, err = pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		return list
	}
	before := indexes()
	require.Greater(t, len(before), 5)
	require.NoError(t, storebench.Grow(t.Context(), url, "docs", 2, 2))
	require.NoError(t, storebench.Grow(t.Context(), url, "docs", 4, 2))
	require.NoError(t, s.Searcher().Build(t.Context()))
	require.Equal(t, before, indexes(), "the indexes are the same as before")

	src, err := s.Reader().Source(t.Context(), viewer.All(), "docs")
	require.NoError(t, err)
	require.Equal(t, 12, src.Pages)
	require.Equal(t, 24, src.Chunks)
	hits, err := s.Searcher().Search(t.Context(), viewer.All(), `"generated page 20002"`, search.Filter{})
	require.NoError(t, err)
	require.Len(t, hits, 1, "a rare word stays rare")
	require.Equal(t, "20-2", hits[0].PageID)
	require.Equal(t, "Tune the queue (20002)", hits[0].Title)
}

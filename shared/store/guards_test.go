package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// When a page arrives, a source of the same name may sync another space.
func TestALateCopyForARemovedSourceIsNotStored(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	fullRun(t, s, "docs", "r1", listed("1", 1, "Home"))
	require.NoError(t, s.RemoveSource(t.Context(), "docs"))
	require.NoError(t, s.AddSource(t.Context(), store.Source{ID: "docs", BaseURL: site, SpaceKey: "OTHER"}))
	_, err := s.WritePage(t.Context(), write("docs", "r1", "1", 1, "Home", "alpha"))
	require.Equal(t, failure.SourceGone, failure.CodeOf(err))
	_, err = s.Reader().Page(t.Context(), viewer.All(), "1")
	require.ErrorIs(t, err, store.ErrNotFound)
}

// Two sources of one space would take each other's pages with every run.
func TestASpaceHasOneSource(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	addSource(t, s, "docs")
	err := s.AddSource(t.Context(), store.Source{ID: "again", BaseURL: site, SpaceKey: "docs"})
	require.ErrorIs(t, err, store.ErrSpaceTaken)
	require.ErrorContains(t, err, "space docs is already the source docs")
	require.NoError(t, s.AddSource(t.Context(), store.Source{ID: "again", BaseURL: "https://other.atlassian.net/wiki", SpaceKey: "DOCS"}))
}

func TestAPageWithoutTimes(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	w := write("docs", "", "1", 1, "Home", "alpha")
	w.Page.ModifiedAt = time.Time{}
	store1(t, s, w)
	p, err := s.Reader().Page(t.Context(), viewer.All(), "1")
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), p.LastModified, time.Minute, "not the year 1")
	w.Page.ID, w.Page.URL, w.Page.CreatedAt = "2", site+"/2", time.Date(2025, 1, 2, 0, 0, 0, 0, time.UTC)
	w.Chunks = nil
	store1(t, s, w)
	p, err = s.Reader().Page(t.Context(), viewer.All(), "2")
	require.NoError(t, err)
	require.Equal(t, w.Page.CreatedAt, p.LastModified.UTC())
}

// Another tool may have changed the source's metadata.
func TestASourceWithOddMetadata(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "docs")
	for _, odd := range []string{`{"tags": null}`, `{"tags": "wiki"}`, `{"tags": {}}`} {
		_, err := conn.Exec(t.Context(), `UPDATE archon_sources SET metadata = metadata || $1::jsonb`, odd)
		require.NoError(t, err)
		src, err := s.Source(t.Context(), "docs")
		require.NoError(t, err, odd)
		require.Empty(t, src.Tags)
	}
}

// A chunk's URL is unique over all sources; someone may have crawled the page.
func TestAnAddressThatIsTaken(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "docs")
	w := write("docs", "", "1", 1, "Home", "alpha")
	_, err := conn.Exec(t.Context(), `INSERT INTO archon_sources (source_id) VALUES ('web')`)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `INSERT INTO archon_crawled_pages (url, chunk_number, content, source_id) VALUES ($1, 0, 'crawled', 'web')`, w.Page.URL)
	require.NoError(t, err)
	_, err = s.WritePage(t.Context(), w)
	require.ErrorContains(t, err, "under the address "+w.Page.URL)
	require.Equal(t, failure.AddressTaken, failure.CodeOf(err))
	_, err = s.Reader().Page(t.Context(), viewer.All(), "1")
	require.ErrorIs(t, err, store.ErrNotFound, "nothing is partly stored")
}

// Metadata that another tool adds does not make a chunk a changed one: replacing the chunk would lose its embedding.
func TestAChunkThatAnotherToolMarkedStays(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "docs")
	store1(t, s, write("docs", "", "1", 1, "Home", "alpha", "beta"))
	_, err := conn.Exec(t.Context(), `UPDATE archon_crawled_pages SET metadata = metadata || '{"contextual_embedding": true}', embedding_model = 'm'`)
	require.NoError(t, err)
	before, err := s.Reader().Chunks(t.Context(), viewer.All(), "docs", "1", store.Whole())
	require.NoError(t, err)
	store1(t, s, write("docs", "", "1", 2, "Home", "alpha", "gamma"))
	after, err := s.Reader().Chunks(t.Context(), viewer.All(), "docs", "1", store.Whole())
	require.NoError(t, err)
	require.Equal(t, before[0].ID, after[0].ID)
	require.NotEqual(t, before[1].ID, after[1].ID)

	// A chunk whose metadata is no longer valid for Sluice is replaced.
	_, err = conn.Exec(t.Context(), `UPDATE archon_crawled_pages SET metadata = metadata || '{"tags": "one"}' WHERE chunk_number = 0`)
	require.NoError(t, err)
	store1(t, s, write("docs", "", "1", 3, "Home", "alpha", "delta"))
	require.Equal(t, []string{"alpha", "delta"}, contents(t, s, "docs", "1"))
}

package store_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/viewer"
)

func document(source, url string, texts ...string) store.DocumentWrite {
	w := store.DocumentWrite{SourceID: source, URL: url}
	for i, text := range texts {
		w.Chunks = append(w.Chunks, store.Chunk{Number: i, Content: text, Metadata: store.ChunkMetadata{
			URL: url, Title: "Notes", SourceID: source, CrawlType: "document", ChunkIndex: i,
			Tags: []string{}, HeadingPath: []string{}, Breadcrumb: []string{}, CitationURL: url, ContentHash: text,
		}})
	}
	return w
}

func TestADocumentIsReplacedChunkByChunk(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	first, err := s.WriteDocument(t.Context(), document("files", "file://files/notes.md", "alpha", "beta"))
	require.NoError(t, err)
	require.Len(t, first, 2)
	again, err := s.WriteDocument(t.Context(), document("files", "file://files/notes.md", "alpha", "beta"))
	require.NoError(t, err)
	require.Equal(t, first, again)
	then, err := s.WriteDocument(t.Context(), document("files", "file://files/notes.md", "before", "alpha", "gamma"))
	require.NoError(t, err)
	require.Len(t, then, 3)
	require.Equal(t, first[0], then[1], "an unchanged chunk keeps its row")
	require.NotContains(t, then, first[1])

	hits, err := s.Searcher().Search(t.Context(), viewer.All(), "alpha", search.Filter{SourceID: "files"})
	require.NoError(t, err)
	require.Len(t, hits, 1)
	require.Empty(t, hits[0].PageID)
	_, err = s.Source(t.Context(), "files")
	require.ErrorIs(t, err, store.ErrNotFound, "a source of files cannot be synced")

	removed, err := s.RemoveDocument(t.Context(), "files", "file://files/notes.md")
	require.NoError(t, err)
	require.Equal(t, 3, removed)
	rows, _ := conn.Query(t.Context(), `SELECT content FROM archon_crawled_pages`)
	left, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestADocumentLeavesWhatIsNotIts(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "docs")
	store1(t, s, write("docs", "", "1", 1, "Home", "alpha"))
	_, err := conn.Exec(t.Context(), `INSERT INTO archon_crawled_pages (url, chunk_number, content, source_id) VALUES ('https://web/1', 0, 'crawled', 'docs')`)
	require.NoError(t, err)
	before := dump(t, conn)

	_, err = s.WriteDocument(t.Context(), document("docs", "https://web/1", "alpha"))
	require.Equal(t, failure.AddressTaken, failure.CodeOf(err))
	_, err = s.WriteDocument(t.Context(), document("docs", write("docs", "", "1", 1, "Home").Page.URL, "alpha"))
	require.Equal(t, failure.AddressTaken, failure.CodeOf(err))
	removed, err := s.RemoveDocument(t.Context(), "docs", "https://web/1")
	require.NoError(t, err)
	require.Zero(t, removed)
	require.Equal(t, before, dump(t, conn))
}

package store_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
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
	if len(texts) > 0 {
		w.Chunks[0].Metadata.File = &page.File{Format: "markdown", SHA256: "sum"}
	}
	return w
}

// Whoever sees all of its source sees a document, and finds it by its kind and the type of its file.
func TestWhoSeesADocument(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "docs")
	store1(t, s, write("docs", "", "1", 1, "Home", "alpha"))
	for _, d := range []store.DocumentWrite{document("files", "file:///notes.md", "alpha"), document("docs", "file:///secret.md", "alpha")} {
		_, err := s.WriteDocument(t.Context(), d)
		require.NoError(t, err)
	}
	_, err := conn.Exec(t.Context(), `UPDATE confluence_spaces SET permissions = 'enforce' WHERE source_id = 'docs'`)
	require.NoError(t, err)
	for _, c := range []struct {
		who  viewer.Viewer
		sees []string
	}{
		{viewer.All(), []string{"file:///secret.md", "file:///notes.md"}}, {viewer.OfSources("files", "docs"), []string{"file:///notes.md"}},
		{viewer.OfSources("docs"), nil}, {viewer.Everywhere().As("ann"), []string{"file:///notes.md"}},
	} {
		list, err := s.Documents(t.Context(), c.who, "")
		require.NoError(t, err)
		var urls, found []string
		for _, d := range list {
			urls = append(urls, d.URL)
		}
		require.Equal(t, c.sees, urls)
		hits, err := s.Searcher().Search(t.Context(), c.who, "alpha", search.Filter{Kind: search.Document, FileType: "markdown"})
		require.NoError(t, err)
		for _, h := range hits {
			found = append(found, h.URL)
		}
		require.ElementsMatch(t, c.sees, found)
	}
	for _, f := range []search.Filter{{Kind: search.Document, FileType: "pdf"}, {Kind: search.Document, Label: "x"}, {FileType: "markdown"}} {
		hits, err := s.Searcher().Search(t.Context(), viewer.All(), "alpha", f)
		require.NoError(t, err)
		require.Empty(t, hits, "%+v", f)
	}
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
	stored, err := s.Document(t.Context(), "files", "file://files/notes.md")
	require.NoError(t, err)
	require.Equal(t, store.Document{SourceID: "files", URL: "file://files/notes.md", Title: "Notes", Chunks: 3, File: &page.File{Format: "markdown", SHA256: "sum"}}, stored)
	_, err = s.Document(t.Context(), "files", "file://files/other.md")
	require.ErrorIs(t, err, store.ErrNotFound)
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

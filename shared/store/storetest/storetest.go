// Package storetest provides a store with test data: its own database, sources and pages.
package storetest

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
)

// Site is the address of the Confluence site of the test sources.
const Site = "https://acme.atlassian.net/wiki"

// Open returns a store on its own migrated database, and a separate connection for direct SQL.
func Open(t *testing.T, options ...store.Option) (*store.Store, *pgx.Conn) {
	t.Helper()
	return open(t, pgtest.MigratedURL(t), options...)
}

// OpenVectors is Open on a server with pgvector.
func OpenVectors(t *testing.T, options ...store.Option) (*store.Store, *pgx.Conn) {
	t.Helper()
	return open(t, pgtest.MigratedVectorURL(t), options...)
}

func open(t *testing.T, url string, options ...store.Option) (*store.Store, *pgx.Conn) {
	t.Helper()
	s, err := store.Open(t.Context(), pgtest.MaybePooled(t, url), options...)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return s, conn
}

// AddSource adds a source for the space whose key is the id in upper case.
func AddSource(t *testing.T, s *store.Store, id string) {
	t.Helper()
	require.NoError(t, s.AddSource(t.Context(), store.Source{ID: id, BaseURL: Site, SpaceKey: strings.ToUpper(id)}))
}

// Page returns a page with one chunk per text.
func Page(source, runID, id string, version int, title string, texts ...string) store.PageWrite {
	w := store.PageWrite{
		SourceID: source, RunID: runID, Attempt: 1, Path: "/" + id, Markdown: title,
		Page: page.Facts{
			ID: id, Version: version, Title: title, SpaceKey: "DOCS", BaseURL: Site,
			URL: Site + "/spaces/DOCS/pages/" + id, ModifiedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		},
	}
	for i, text := range texts {
		w.Markdown += "\n\n" + text
		w.Chunks = append(w.Chunks, store.Chunk{Number: i, Content: text, Metadata: store.ChunkMetadata{
			URL: w.Page.URL, Title: title, SourceID: source, PageID: id, CrawlType: "confluence", ChunkIndex: i,
			Tags: []string{}, HeadingPath: []string{title}, Breadcrumb: []string{}, CitationURL: w.Page.URL, ContentHash: title + text,
		}})
	}
	return w
}

// Write writes a page and returns its outcome.
func Write(t *testing.T, s *store.Store, w store.PageWrite) event.Outcome {
	t.Helper()
	outcome, err := s.WritePage(t.Context(), w)
	require.NoError(t, err)
	return outcome
}

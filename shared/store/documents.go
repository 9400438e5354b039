package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store/internal/pg"
	"github.com/sluicehq/sluice/shared/viewer"
)

// DocumentWrite is a Markdown document that is not a Confluence page, with its chunks.
type DocumentWrite struct {
	SourceID string // created as a source of files if missing
	URL      string // identifies the document in its source; also the URL of its chunks
	Title    string
	Markdown string
	Chunks   []Chunk
}

func (w DocumentWrite) document() document {
	return document{sourceID: w.SourceID, id: w.URL, title: w.Title, url: w.URL, markdown: w.Markdown}
}

// isDocument is the SQL condition for a document's chunks, by source and URL.
const isDocument = `source_id = $1 AND url = $2 AND metadata->>'crawl_type' = 'document'`

// lockDocumentSQL serializes those who write and remove the document with a URL.
const lockDocumentSQL = `SELECT pg_advisory_xact_lock(hashtextextended('document:' || $1, 0))`

// WriteDocument replaces a document's chunks in one transaction, as WritePage does: unchanged chunks stay, and a
// reader sees all old or all new. It returns the ids of the chunks, in order.
//
// The error carries failure.AddressTaken if chunks of something else have the same URL.
func (s *Store) WriteDocument(ctx context.Context, w DocumentWrite) ([]int64, error) {
	var ids []int64
	err := s.inTx(ctx, "write document "+w.URL, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		b.Queue(`INSERT INTO archon_sources (source_id, source_url, source_display_name, title, metadata)
			VALUES ($1, $2, $1, $1, '{"source_type": "file", "knowledge_type": "technical", "tags": []}')
			ON CONFLICT (source_id) DO NOTHING`, w.SourceID, w.URL)
		b.Queue(`SELECT FROM archon_sources WHERE source_id = $1 FOR KEY SHARE`, w.SourceID)
		b.Queue(lockDocumentSQL, w.URL)
		var archon bool
		b.Queue(`SELECT ` + hasArchonPages).QueryRow(func(row pgx.Row) error { return row.Scan(&archon) })
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
		rows, _ := tx.Query(ctx, storedChunksSQL(isDocument), w.SourceID, w.URL)
		old, err := collectStored(rows)
		if err != nil {
			return err
		}
		b = &pgx.Batch{}
		chunks := setArchonPages(b, archon, w.document(), w.Chunks, old, w.SourceID)
		if err := queueChunks(b, w.SourceID, w.URL, old, chunks, archon); err != nil {
			return err
		}
		if err := addressTaken(tx.SendBatch(ctx, b).Close(), w.URL); err != nil {
			return err
		}
		rows, _ = tx.Query(ctx, `SELECT id FROM archon_crawled_pages WHERE `+isDocument+` ORDER BY chunk_number`, w.SourceID, w.URL)
		ids, err = pgx.CollectRows(rows, pgx.RowTo[int64])
		return err
	})
	return ids, err
}

// Document is a stored document.
type Document struct {
	SourceID string     `json:"source_id"`
	URL      string     `json:"url"`
	Title    string     `json:"title"`
	Chunks   int        `json:"chunks"`
	File     *page.File `json:"file,omitempty"` // nil for what an older release has stored
}

// Documents lists the documents of a source, "" for all sources that the viewer sees, by source and address. A document of a source that
// enforces permissions is on no page, and nobody but the operator sees it.
func (s *Store) Documents(ctx context.Context, v viewer.Viewer, sourceID string) ([]Document, error) {
	var sources []string
	if !v.SeesAll() {
		sources = v.Sources()
	}
	seen, err := pg.See(ctx, s.pool, v, sources)
	if err != nil {
		return nil, err
	}
	return s.documents(ctx, `($1 = '' OR c.source_id = $1) AND ($2::text[] IS NULL OR c.source_id = ANY ($2)) AND `+
		pg.Shows("c.source_id", "NULL", "$3", "$4"), sourceID, sources, seen.Free, seen.Sets)
}

// Document returns the document with an address, or ErrNotFound.
func (s *Store) Document(ctx context.Context, sourceID, url string) (Document, error) {
	list, err := s.documents(ctx, `c.source_id = $1 AND c.url = $2`, sourceID, url)
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Document{}, fmt.Errorf("look for document %s: %w", url, err)
	}
	return list[0], nil
}

func (s *Store) documents(ctx context.Context, where string, args ...any) ([]Document, error) {
	rows, _ := s.pool.Query(ctx, `
		SELECT c.source_id, c.url, min(c.metadata->>'title'), count(*)::int, (array_agg(c.metadata->'file' ORDER BY c.chunk_number))[1]
		FROM archon_crawled_pages c WHERE c.metadata->>'crawl_type' = 'document' AND NOT c.metadata ? '`+pendingDeletion+`' AND `+where+`
		GROUP BY c.source_id, c.url ORDER BY c.source_id COLLATE "C", c.url COLLATE "C"`, args...)
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d Document, err error) {
		var title *string
		err = row.Scan(&d.SourceID, &d.URL, &title, &d.Chunks, &d.File)
		if title != nil {
			d.Title = *title
		}
		return d, err
	})
	if err != nil {
		return nil, fmt.Errorf("list documents: %w", err)
	}
	return list, nil
}

// RemoveDocument deletes a document's chunks and returns their number.
func (s *Store) RemoveDocument(ctx context.Context, sourceID, url string) (int, error) {
	var removed int
	err := s.inTx(ctx, "remove document "+url, func(tx pgx.Tx) error {
		var archon bool
		if _, err := tx.Exec(ctx, lockDocumentSQL, url); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `SELECT `+hasArchonPages).Scan(&archon); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `DELETE FROM archon_crawled_pages WHERE `+isDocument, sourceID, url)
		if err != nil {
			return err
		}
		removed = int(tag.RowsAffected())
		if !archon || removed == 0 {
			return nil
		}
		b := &pgx.Batch{}
		queueDeleteWholePages(b, sourceID, []string{url})
		return tx.SendBatch(ctx, b).Close()
	})
	return removed, err
}

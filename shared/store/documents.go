package store

import (
	"context"

	"github.com/jackc/pgx/v5"
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

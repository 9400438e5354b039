package storebench

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Mark is a point in time in a database.
type Mark struct {
	transaction int64 // the first transaction after the mark
	lastChunk   int64
	chunks      int64
}

// Now returns the current mark. Nothing may write at the same time.
func Now(ctx context.Context, databaseURL string) (Mark, error) {
	var m Mark
	err := with(ctx, databaseURL, func(c *pgx.Conn) error {
		return c.QueryRow(ctx, `SELECT pg_current_xact_id()::text::bigint, coalesce(max(id), 0), count(*) FROM archon_crawled_pages`).
			Scan(&m.transaction, &m.lastChunk, &m.chunks)
	})
	if err != nil {
		return m, fmt.Errorf("mark the database: %w", err)
	}
	return m, nil
}

// Rows counts the rows that differ since a mark. A row that was written twice counts once.
type Rows struct {
	Pages    int64 // of confluence_pages and confluence_page_content
	Inserted int64 // chunks
	Updated  int64 // chunks
	Deleted  int64 // chunks
	Ledger   int64 // of confluence_sync_pages
}

// Since counts the rows that differ since the mark. It assumes that the server's transaction ids have not wrapped
// around.
func Since(ctx context.Context, databaseURL string, m Mark) (Rows, error) {
	var r Rows
	var chunks int64
	err := with(ctx, databaseURL, func(c *pgx.Conn) error {
		return c.QueryRow(ctx, `SELECT
			(SELECT count(*) FROM confluence_pages WHERE xmin::text::bigint >= $1) +
			(SELECT count(*) FROM confluence_page_content WHERE xmin::text::bigint >= $1),
			(SELECT count(*) FROM archon_crawled_pages WHERE id > $2),
			(SELECT count(*) FROM archon_crawled_pages WHERE id <= $2 AND xmin::text::bigint >= $1),
			(SELECT count(*) FROM archon_crawled_pages),
			(SELECT count(*) FROM confluence_sync_pages WHERE xmin::text::bigint >= $1)`, m.transaction, m.lastChunk).
			Scan(&r.Pages, &r.Inserted, &r.Updated, &chunks, &r.Ledger)
	})
	if err != nil {
		return r, fmt.Errorf("count the changed rows: %w", err)
	}
	r.Deleted = m.chunks + r.Inserted - chunks
	return r, nil
}

// FetchedAt returns when the body of each page of a run was fetched.
func FetchedAt(ctx context.Context, databaseURL, runID string) (map[string]time.Time, error) {
	at := map[string]time.Time{}
	err := with(ctx, databaseURL, func(c *pgx.Conn) error {
		rows, err := c.Query(ctx, `SELECT page_id, fetched_at FROM confluence_sync_pages WHERE run_id = $1 AND fetched_at IS NOT NULL`, runID)
		if err != nil {
			return err
		}
		var id string
		var t time.Time
		_, err = pgx.ForEachRow(rows, []any{&id, &t}, func() error {
			at[id] = t
			return nil
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the fetch times: %w", err)
	}
	return at, nil
}

package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/store/internal/pg"
	"github.com/sluicehq/sluice/shared/viewer"
)

// writtenBeforeArchon is the SQL condition for a chunk c of a page that was written before Archon had rows for pages, in a
// database in which it now has them. A single such chunk makes Archon's search for pages fail.
var writtenBeforeArchon = `c.page_id IS NULL AND ` + pg.ChunkPage("c") + ` IS NOT NULL AND c.metadata->>'page_id' IS NOT NULL`

// convertAtOnce is the number of pages that one transaction converts for Archon.
const convertAtOnce = 50

// HasChunksBeforeArchon reports whether there are chunks from before Archon was installed, which Migrate must convert:
// Archon's assistants fail on them.
func (s *Store) HasChunksBeforeArchon(ctx context.Context) (bool, error) {
	var due bool
	err := s.pool.QueryRow(ctx, `SELECT `+hasArchonPages).Scan(&due)
	if err == nil && due {
		err = s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM archon_crawled_pages c WHERE `+writtenBeforeArchon+`)`).Scan(&due)
	}
	if err != nil {
		return false, fmt.Errorf("look for chunks from before Archon: %w", err)
	}
	return due, nil
}

// convertForArchon converts the pages from before Archon was installed, and returns their number. It drops an index
// of Sluice that Archon has too.
func (s *Store) convertForArchon(ctx context.Context) (int, error) {
	due, err := s.HasChunksBeforeArchon(ctx)
	if err != nil {
		return 0, err
	}
	_, err = s.pool.Exec(ctx, `DO $$ BEGIN
		IF to_regclass('idx_archon_crawled_pages_source_id') IS NOT NULL THEN DROP INDEX IF EXISTS idx_confluence_chunks_source; END IF;
	END $$`)
	if err != nil || !due {
		return 0, err
	}
	sources, err := s.Reader().SourceIDs(ctx, viewer.All())
	if err != nil {
		return 0, err
	}
	pages := 0
	for _, id := range sources {
		after := ""
		for {
			var ids []string
			err := s.inTx(ctx, "give pages of "+id+" to Archon", func(tx pgx.Tx) (err error) {
				ids, err = convertSome(ctx, tx, id, after)
				return err
			})
			if err != nil {
				return pages, err
			}
			if len(ids) == 0 {
				break
			}
			pages += len(ids)
			after = ids[len(ids)-1]
		}
	}
	return pages, nil
}

// convertSome converts the next pages of a source and returns their ids.
func convertSome(ctx context.Context, tx pgx.Tx, sourceID, after string) ([]string, error) {
	rows, _ := tx.Query(ctx, `SELECT p.page_id FROM confluence_pages p
		WHERE p.source_id = $1 AND p.page_id > $2 AND p.is_deleted = false AND EXISTS (
			SELECT FROM archon_crawled_pages c WHERE c.source_id = p.source_id AND `+pg.ChunkOfPages("c", "= p.page_id")+` AND `+writtenBeforeArchon+`)
		ORDER BY p.page_id LIMIT $3`, sourceID, after, convertAtOnce)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	if err := lockPages(ctx, tx, sourceID, ids...); err != nil {
		return nil, err
	}
	return ids, rebuildWholePages(ctx, tx, sourceID, ids)
}

// rebuildWholePages rebuilds Archon's rows of a source's live pages, and the references in their chunks, from the
// stored content: after Archon was installed, or after the pages' addresses have changed. The caller has locked the
// pages, and Archon has such rows.
func rebuildWholePages(ctx context.Context, tx pgx.Tx, sourceID string, ids []string) error {
	rows, _ := tx.Query(ctx, `SELECT page_id FROM confluence_pages
		WHERE source_id = $1 AND page_id = ANY ($2) AND is_deleted = false ORDER BY page_id`, sourceID, ids)
	live, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, id := range live {
		if err := rebuildWholePage(ctx, tx, sourceID, id); err != nil {
			return err
		}
	}
	return nil
}

func rebuildWholePage(ctx context.Context, tx pgx.Tx, sourceID, id string) error {
	d := document{sourceID: sourceID, id: id}
	var old []oldChunk
	b := &pgx.Batch{}
	// A page that another program stored may have no text here: its row shows the title, under the address of its chunks.
	b.Queue(`SELECT p.title, coalesce(t.url, ''), coalesce(t.markdown, ''), coalesce(t.headings, '[]') FROM confluence_pages p LEFT JOIN confluence_page_content t USING (page_id, site_id)
		WHERE p.source_id = $1 AND p.page_id = $2`, sourceID, id).
		QueryRow(func(row pgx.Row) error { return row.Scan(&d.title, &d.url, &d.markdown, &d.headings) })
	b.Queue(storedChunksSQL(`c.source_id = $1 AND `+pg.ChunkOfPages("c", "= $2")), sourceID, id).
		Query(func(rows pgx.Rows) (err error) {
			old, err = collectStored(rows)
			return err
		})
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	if d.url == "" && len(old) > 0 {
		d.url = old[0].url
	}
	chunks, at := make([]Chunk, len(old)), make([]int64, len(old))
	for i, c := range old {
		chunks[i], at[i] = Chunk{Number: c.number, Metadata: c.meta}, c.id
	}
	list := assignWholePages(d, chunks)
	named := make([]string, len(chunks))
	for i, c := range chunks {
		named[i] = c.Metadata.ArchonPage
	}
	b = &pgx.Batch{}
	// If Archon has a page of its own under the address, that page is kept.
	queueWholePages(b, d, list, chunks, []string{sourceID},
		`WHERE NOT EXISTS (SELECT FROM archon_page_metadata theirs WHERE theirs.url = n.url AND theirs.id <> n.id)`)
	// Without a row, Archon finds the page by its address.
	b.Queue(`UPDATE archon_crawled_pages c SET page_id = m.id, metadata = c.metadata || jsonb_build_object('page_id', m.id)
		FROM unnest($1::bigint[], $2::uuid[]) AS n (id, page) LEFT JOIN archon_page_metadata m ON m.id = n.page
		WHERE c.id = n.id`, at, named)
	return tx.SendBatch(ctx, b).Close()
}

// LostChunks counts the live pages, by source, whose chunks something other than the store has deleted. The next full
// run writes these chunks again.
func (s *Store) LostChunks(ctx context.Context) (map[string]int, error) {
	rows, _ := s.pool.Query(ctx, `SELECT p.source_id, count(*)::int FROM confluence_pages p JOIN confluence_page_content t USING (page_id, site_id)
		WHERE p.is_deleted = false AND t.pipeline_version = $1 AND NOT `+hasChunks+` GROUP BY 1`, Pipeline)
	lost := map[string]int{}
	var source string
	var pages int
	_, err := pgx.ForEachRow(rows, []any{&source, &pages}, func() error {
		lost[source] = pages
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for pages without chunks: %w", err)
	}
	return lost, nil
}

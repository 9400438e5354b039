package vectors

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/store/internal/pg"
)

// archonsDimensions is the length that an Archon asks for when its settings do not say.
const archonsDimensions = "1536"

// searchesWith reports whether an Archon in the database embeds its questions as the space does, and has a
// column for such vectors.
func (v *Vectors) searchesWith(ctx context.Context, s Space) (bool, error) {
	var is bool
	err := v.pool.QueryRow(ctx, `SELECT to_regclass('archon_code_examples') IS NOT NULL
		AND EXISTS (SELECT FROM archon_settings WHERE key = 'EMBEDDING_MODEL' AND value = $1)
		AND coalesce((SELECT nullif(value, '') FROM archon_settings WHERE key = 'EMBEDDING_DIMENSIONS'), $2) = $3
		AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'archon_crawled_pages'::regclass AND attname = 'embedding_' || $3 AND NOT attisdropped)`,
		s.Model, archonsDimensions, strconv.Itoa(s.Dimensions)).Scan(&is)
	if err != nil {
		return false, fmt.Errorf("look for the model of Archon: %w", err)
	}
	return is, nil
}

// CopyToArchon gives Sluice's chunks their vectors in Archon's own column, if an Archon searches with the
// model of the space, so that it finds them by meaning as well. It returns the number of chunks.
func (v *Vectors) CopyToArchon(ctx context.Context, s Space) (int, error) {
	is, err := v.searchesWith(ctx, s)
	if err != nil || !is {
		return 0, err
	}
	has, err := v.Support(ctx)
	if err != nil {
		return 0, err
	}
	for total := 0; ; {
		var looked, copied int
		err := pg.InTx(ctx, v.pool, "copy vectors to Archon", func(tx pgx.Tx) error {
			return tx.QueryRow(ctx, fmt.Sprintf(`
				WITH due AS MATERIALIZED (
					SELECT t.chunk_id, t.key FROM confluence_chunk_texts t JOIN confluence_texts x USING (space_id, key)
					WHERE t.space_id = $1 AND NOT t.copied AND x.state = 'embedded' ORDER BY t.chunk_id LIMIT $2 FOR UPDATE OF t),
				copied AS (
					UPDATE archon_crawled_pages c SET embedding_%[1]d = v.embedding::%[2]s.vector, embedding_model = $3, embedding_dimension = $4
					FROM due JOIN %[3]s v USING (key) WHERE c.id = due.chunk_id AND confluence_keeps(c.source_id) RETURNING c.id),
				marked AS (UPDATE confluence_chunk_texts t SET copied = true FROM due WHERE t.chunk_id = due.chunk_id AND t.space_id = $1)
				SELECT (SELECT count(*) FROM due), (SELECT count(*) FROM copied)`, s.Dimensions, has.Schema, s.table()),
				s.ID, notedAtOnce, s.Model, s.Dimensions).Scan(&looked, &copied)
		})
		total += copied
		if err != nil || looked < notedAtOnce {
			return total, gone(err)
		}
	}
}

// Stale is an index of Archon's on vectors that may find little.
type Stale struct{ Index, Column string }

// StaleIndexes returns Archon's ivfflat indexes that have not been rebuilt since they were created, on
// columns that have vectors now. Such an index sorts vectors into lists by the rows of its creation: on an
// empty table, it finds a sixth of what it should.
func (v *Vectors) StaleIndexes(ctx context.Context) ([]Stale, error) {
	// REINDEX gives an index another file.
	rows, _ := v.pool.Query(ctx, `SELECT i.indexrelid::regclass::text, a.attname::text
		FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam AND m.amname = 'ivfflat'
			JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
		WHERE i.indrelid = to_regclass('archon_crawled_pages') AND c.relfilenode = c.oid ORDER BY 1`)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Stale])
	if err != nil {
		return nil, fmt.Errorf("look at Archon's indexes: %w", err)
	}
	var list []Stale
	for _, s := range all {
		var full bool
		err := v.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM archon_crawled_pages WHERE `+pgx.Identifier{s.Column}.Sanitize()+` IS NOT NULL OFFSET $1)`, fewForLists).Scan(&full)
		if err != nil {
			return nil, fmt.Errorf("look at Archon's vectors: %w", err)
		}
		if full {
			list = append(list, s)
		}
	}
	return list, nil
}

// fewForLists is the number of vectors that any index finds.
const fewForLists = 100

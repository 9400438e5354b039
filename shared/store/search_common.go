package store

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// What most chunks hold is not looked for in the index, which would be read from end to end for
// the sake of the few hundred chunks that are ranked: one after the other the newest chunks
// are looked at until there are as many that match.
const (
	lookedAt    = 8_000  // chunks that are looked at before it is given up
	lookAtPrice = 20     // to look at a chunk costs what so many entries of the index cost
	fewChunks   = 10_000 // in so few the index is read in no time
	commonFor   = 5 * time.Minute
)

// common are the words that many chunks hold, by the statistics that the database keeps for
// its planner. They change slowly and need not be exact: all that hangs on them is which of two
// ways to the same chunks is taken.
type common struct {
	chunks float64   // how many there are
	pages  float64   // of how many pages
	words  []string  // as the index has them
	shares []float64 // of the chunks that hold each, from 0 to 1
}

// commonWords keeps what was read for a while.
type commonWords struct {
	mu   sync.Mutex
	at   time.Time
	kept common
}

// of returns the words that are common now; none in a small database, or in one that has no
// statistics yet.
func (k *commonWords) of(ctx context.Context, db interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}) (common, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.at.IsZero() && time.Since(k.at) < commonFor {
		return k.kept, nil
	}
	var c common
	err := db.QueryRow(ctx, `SELECT max(reltuples), (SELECT reltuples FROM pg_class WHERE oid = to_regclass('confluence_pages')),
			coalesce(array_agg(word) FILTER (WHERE share >= $1), '{}'),
			coalesce(array_agg(share) FILTER (WHERE share >= $1), '{}')
		FROM pg_class LEFT JOIN (
			SELECT word, share FROM pg_stats, unnest(most_common_elems::text::text[], most_common_elem_freqs) AS u (word, share)
			WHERE schemaname = current_schema AND tablename = 'archon_crawled_pages' AND attname = 'content_search_vector' AND word IS NOT NULL
		) stats ON true
		WHERE oid = to_regclass('archon_crawled_pages')`, float64(rankedStored)/lookedAt).Scan(&c.chunks, &c.pages, &c.words, &c.shares)
	if err != nil {
		return c, fmt.Errorf("read what words are common: %w", err)
	}
	if c.chunks < fewChunks || c.pages < 1 {
		c = common{}
	}
	k.kept, k.at = c, time.Now()
	return c, nil
}

// newest adds the newest chunks that match what is asked for, if by what is known of its words
// there are so many that this is the shorter way. It returns the name of what it added, which
// holds as many chunks as the words leg ranks, or not enough, and then the index is to be asked.
func (b *searchBuilder) newest(vector, query string, most int) string {
	b.with = append(b.with, fmt.Sprintf(`
shares AS MATERIALIZED (
	SELECT count(*) AS words, count(share) AS known, exp(sum(ln(share))) AS together, min(share) AS least
	FROM unnest(tsvector_to_array(%s)) asked_for (word) LEFT JOIN unnest(%s::text[], %s::float8[]) c (word, share) USING (word)
)`, b.call("to_tsvector", b.arg(strings.Join(b.asked.words, " "))), b.arg(b.common.words), b.arg(b.common.shares)))
	passes, share := b.where, "together"
	if b.pages != "" {
		share = fmt.Sprintf("(together * cardinality(%s) / %s::float8)", b.pages, b.arg(b.common.pages))
		passes += " AND (c.metadata->>'page_id' IN (SELECT unnest(" + b.pages + "))) IS TRUE"
	}
	worth := b.once("worthwhile", fmt.Sprintf("words = known AND %[1]s * %[2]d >= %[3]d AND %[3]d * %[4]d < %[1]s * %[5]s::float8 * least * words",
		share, lookedAt, most, lookAtPrice, b.arg(b.common.chunks)), " FROM shares")
	b.with = append(b.with, fmt.Sprintf(`
newest AS MATERIALIZED (
	SELECT c.* FROM (SELECT * FROM archon_crawled_pages WHERE %s ORDER BY id DESC LIMIT %d) c
	WHERE %s @@ %s%s LIMIT %d
)`, worth, lookedAt, vector, query, passes, most))
	return "newest"
}

package search

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicehq/sluice/shared/store/internal/pg"
)

// What most chunks hold is not looked for in the index, which would be read from end to end for
// the sake of the few hundred chunks that are ranked: one after the other the newest chunks
// are looked at until there are as many that match.
const (
	leastShare  = 0.01 // of the chunks that hold a word; what fewer hold is not common
	lookAtPrice = 20   // to look at a chunk costs what so many entries of the index cost
	lookedAt    = 3    // times as many chunks are looked at as should be enough, before it is given up
	mostLooked  = 50_000
	fewChunks   = 10_000 // in so few the index is read in no time
	commonFor   = 5 * time.Minute
	againAfter  = 5 * time.Second // when the statistics could not be read
)

// What share of the chunks that hold all words also pass, where nothing is known of that.
const (
	shareWithout = 0.5 // what is excluded
	sharePhrase  = 0.1 // the words as a phrase
	shareMany    = 0.1 // a filter that many pages pass, or the share of the fewest that are many
)

// common are the words that many chunks hold, by the statistics that the database keeps for
// its planner. They change slowly and need not be exact: by them one of two ways to the same chunks is
// taken, and a word is held to be spelled right.
type common struct {
	chunks float64   // how many there are
	pages  float64   // of how many pages
	words  []string  // as the index has them
	shares []float64 // of the chunks that hold each, from 0 to 1
}

// commonWords keeps what was read for a while.
type commonWords struct {
	reading sync.Mutex
	kept    atomic.Pointer[keptWords]
}

type keptWords struct {
	common
	until time.Time
}

// of returns the words that are common now; none in a small database, or in one that has no
// statistics yet. One search reads them, and who comes meanwhile goes on with those before.
func (k *commonWords) of(ctx context.Context, db pg.Querier) (common, error) {
	old := k.kept.Load()
	if old == nil {
		old = &keptWords{}
	}
	if time.Now().Before(old.until) || !k.reading.TryLock() {
		return old.common, nil
	}
	defer k.reading.Unlock()
	now, err := readCommon(ctx, db)
	if err != nil {
		k.kept.Store(&keptWords{old.common, time.Now().Add(againAfter)})
		return common{}, err
	}
	k.kept.Store(&keptWords{now, time.Now().Add(commonFor)})
	return now, nil
}

func readCommon(ctx context.Context, db pg.Querier) (common, error) {
	var c common
	err := db.QueryRow(ctx, `SELECT max(reltuples), (SELECT reltuples FROM pg_class WHERE oid = to_regclass('confluence_pages')),
			coalesce(array_agg(word) FILTER (WHERE share >= $1), '{}'),
			coalesce(array_agg(share) FILTER (WHERE share >= $1), '{}')
		FROM pg_class LEFT JOIN (
			SELECT word, share FROM pg_stats, unnest(most_common_elems::text::text[], most_common_elem_freqs) AS u (word, share)
			WHERE schemaname = current_schema AND tablename = 'archon_crawled_pages' AND attname = 'content_search_vector' AND word IS NOT NULL
		) stats ON true
		WHERE oid = to_regclass('archon_crawled_pages')`, leastShare).Scan(&c.chunks, &c.pages, &c.words, &c.shares)
	if err != nil {
		return common{}, fmt.Errorf("read what words are common: %w", err)
	}
	if c.chunks < fewChunks || c.pages < 1 {
		return common{}, nil
	}
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
	share, passes := "together", b.where+b.excluding()
	if b.not != "" {
		share += fmt.Sprint(" * ", shareWithout)
	}
	if b.asked.phrase {
		share += fmt.Sprint(" * ", sharePhrase)
	}
	if b.pages != "" {
		share += fmt.Sprintf(" * greatest(cardinality(%[1]s) / %[2]s::float8, CASE WHEN cardinality(%[1]s) > %[3]d THEN %[4]v END)",
			b.pages, b.arg(b.common.pages), manyPages, shareMany)
		passes += b.paged
	}
	atMost := mostLooked
	if b.where != "" {
		atMost = fewChunks // nothing is known of how many are of a source
	}
	// Not more than can be worth it; none where it is not.
	looked := b.once("looked", fmt.Sprintf("CASE WHEN words = known AND %[1]d * %[2]d < share * %[3]s::float8 * least * words THEN least(%[4]d, %[5]d * %[1]d / share)::int ELSE 0 END",
		most, lookAtPrice, b.arg(b.common.chunks), atMost, lookedAt), fmt.Sprintf(" FROM (SELECT *, %s AS share FROM shares) s", share))
	b.with = append(b.with, fmt.Sprintf(`
newest AS MATERIALIZED (
	SELECT c.* FROM (SELECT * FROM archon_crawled_pages ORDER BY id DESC LIMIT %s) c
	WHERE %s @@ %s%s LIMIT %d
)`, looked, vector, query, passes, most))
	return "newest"
}

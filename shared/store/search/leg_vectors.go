package search

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/store/internal/pg"
	"github.com/sluicehq/sluice/shared/store/vectors"
)

// Asker makes the vectors of questions. It has a deadline of its own: a search waits for it.
type Asker interface {
	// Vector returns the vector of a question in the space of a model. The error says, for people, why
	// there is none.
	Vector(ctx context.Context, model string, dimensions int, question string) ([]float32, error)
}

// Ask has searches go by meaning as well, with an asker, from now on. It is called before the first
// search.
func (s *Searcher) Ask(a Asker) { s.asker = a }

// Asks reports whether there is an asker.
func (s *Searcher) Asks() bool { return s.asker != nil }

const (
	vectorsShare = 0.4 // of the ranking, against words; measured: docs/search.md
	// misspelledShare is what remains of the share if a word of the question was misspelled: the words are then
	// searched as corrected, but the vector is of the question as typed, and a poor one.
	misspelledShare = 0.5
	// leastSpread is the least difference between the nearest vector and the last one of the leg that
	// counts in full: chunks that are all about as near as each other differ by chance.
	leastSpread = 0.1
	// fewVectors, unless a test lowers it, is the number of chunks up to which all vectors are compared, without the index: a
	// filter that lets so few through would have the index search nearly everything.
	fewVectors = 10_000
	// efSearch is how many neighbours the index looks at before it answers: enough for a leg of a hundred
	// even through a filter of half of the chunks. With 120, the index missed 2 % of the ten nearest.
	efSearch = 200
	// mostSearched is the most that it looks at before it answers, if a filter lets a smaller part through. Having looked
	// at too few, it begins again, for as long as before.
	mostSearched = 600
)

// leastLeg is the part of the leg that is enough behind a filter: the neighbours for the last of a hundred chunks cost the most.
const leastLeg = 0.8

// neighbours are how many the index looks at, and how many chunks the leg then takes: depth, or behind a filter as few as
// leastLeg of it. A fifth more will probably pass the filter, so that the index need not begin again.
func (s scope) neighbours(depth int) (searched, taken int) {
	const more = 1.2
	passes, least := max(min(s.share, s.passes), 0.01), float64(depth)
	if passes < 1 {
		least *= leastLeg
	}
	searched = min(max(efSearch, int(more*least/passes)), mostSearched)
	return searched, min(depth, int(max(least, float64(searched)*passes/more)))
}

// meant is a question's vector in the space that is searched.
type meant struct {
	space  vectors.Space
	schema string // of pgvector, quoted
	vector string // "" without one
	why    string // there is none, although there is an asker
}

// mean begins to make the question's vector, and returns the function that waits for it.
func (s *Searcher) mean(ctx context.Context, question string) func() meant {
	if s.asker == nil || !s.runs(Meaning) {
		return func() meant { return meant{} }
	}
	done := make(chan meant, 1)
	go func() { done <- s.ask(ctx, question) }()
	return func() meant { return <-done }
}

func (s *Searcher) ask(ctx context.Context, question string) meant {
	var m meant
	err := s.pool.QueryRow(ctx, `SELECT s.space_id, s.model, s.dimensions, e.extnamespace::regnamespace::text
		FROM confluence_vector_spaces s JOIN pg_extension e ON e.extname = 'vector' WHERE s.state = 'active'`).
		Scan(&m.space.ID, &m.space.Model, &m.space.Dimensions, &m.schema)
	if errors.Is(err, pgx.ErrNoRows) {
		return meant{why: "nothing is embedded yet"}
	}
	if err != nil {
		return meant{why: "the database does not say what is embedded"}
	}
	vector, err := s.asker.Vector(ctx, m.space.Model, m.space.Dimensions, question)
	if err == nil {
		err = m.space.Check(vector)
	}
	if err != nil {
		return meant{why: err.Error()}
	}
	m.vector = vectors.Literal(vector)
	return m
}

// vectorsLeg ranks the chunks whose vectors are nearest to the question's, among those that the viewer
// and the filter let through and that have the words that must be there.
func vectorsLeg(m meant, weight float64, all bool, s scope, depth int, p *params) leg {
	question := p.add(m.vector) + "::" + m.schema + ".halfvec"
	near := "embedding OPERATOR(" + m.schema + ".<=>) " + question
	table, id := vectors.Table(m.space.ID), m.space.ID
	joined := fmt.Sprintf(` JOIN confluence_chunk_texts t ON t.space_id = %d AND t.key = v.key JOIN confluence_chunk_words w ON w.chunk_id = t.chunk_id`, id)
	const scored = `SELECT chunk_id, place, round((1 - distance)::numeric, 6)::float8 AS score FROM (SELECT w.chunk_id, w.place, `
	var sql string
	switch {
	case !all:
		sql = fmt.Sprintf(`%s v.%s AS distance FROM %s v%s WHERE true%s ORDER BY v.%[2]s LIMIT %[6]d) near`, scored, near, table, joined, s.where+s.byVector, depth)
	// An expression that is not the index's has the vectors compared.
	case s.narrow():
		// The ids and keys are collected first: an index that is given a list reads it in its own order, in one go and in one
		// process. A join looks up one at a time, for twice as long, in as many processes as there are. The keys are sorted, which
		// the index would do more slowly. With OR, which nothing meets, the table is read by a bitmap: the vectors of a page are
		// side by side there, and each would be read by itself in the order of the keys.
		sql = fmt.Sprintf(`%s v.distance FROM (SELECT v.key, (v.%s) + 0 AS distance FROM %s v WHERE v.key = ANY (ARRAY(
				SELECT t.key FROM confluence_chunk_texts t WHERE t.space_id = %d AND t.chunk_id = ANY (ARRAY(
					SELECT w.chunk_id FROM confluence_chunk_words w WHERE true%s)) ORDER BY t.key)) OR v.key = ANY ('{}'::uuid[]) ORDER BY distance, key LIMIT %d) v%s
			WHERE true%s ORDER BY distance, place, chunk_id LIMIT %[6]d) near`, scored, near, table, id, s.where+s.all, depth, joined, s.where+s.byVector)
	default:
		sql = fmt.Sprintf(`%s (v.%s) + 0 AS distance FROM %s v%s ORDER BY distance, place, chunk_id LIMIT %d) near`, scored, near, table, joined, depth)
	}
	spread := fmt.Sprintf("1 - (max(score) OVER () - score) / greatest(max(score) OVER () - min(score) OVER (), %v)", leastSpread)
	return leg{name: "vectors", weight: weight, part: spread, sql: sql}
}

// share is the part that the vectors have in the ranking.
func (s *Searcher) share(k *known, m meant) float64 {
	switch {
	case m.vector == "":
		return 0
	case slices.ContainsFunc(k.terms, func(t term) bool { return t.For != "" }):
		return s.vectors * misspelledShare
	default:
		return s.vectors
	}
}

// comparesAll reports whether each chunk's vector is compared: the filter leaves few enough of them, or the index is not to
// be used.
func (s *Searcher) comparesAll(k *known, sc scope) bool {
	return !s.runs(Index) || s.few >= 0 && (sc.few || sc.share*k.chunks <= s.few)
}

// find runs the statement of a search. The index on vectors goes on until the filter has let enough
// through.
func (s *Searcher) find(ctx context.Context, searched int, sql string, args []any) (hits []Hit, legs [][]Place, err error) {
	args = append([]any{pgx.QueryExecModeExec}, args...)
	if searched == 0 {
		rows, _ := s.pool.Query(ctx, sql, args...)
		return collect(rows)
	}
	err = pg.InTx(ctx, s.pool, "search by meaning", func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `SELECT set_config('hnsw.iterative_scan', 'relaxed_order', true), set_config('hnsw.ef_search', $1, true)`, fmt.Sprint(searched))
		if err != nil {
			return err
		}
		rows, _ := tx.Query(ctx, sql, args...)
		hits, legs, err = collect(rows)
		return err
	})
	return hits, legs, err
}

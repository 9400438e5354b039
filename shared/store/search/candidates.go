package search

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Limits of the work of one search, whatever the query.
const (
	// mostEntries limits the total index entries of the words that are looked up, the rarest words
	// first. If a filter passes only a part of the chunks, the limit grows to compensate, up to
	// mostFiltered.
	mostEntries  = 2000
	mostFiltered = 20_000
	// mostTogether is the number of words too common for that, which are looked up in pairs. The same
	// number of entries is expected for them; where words occur together more often than by chance,
	// mostPaired is the limit.
	mostTogether = 6
	mostPaired   = 50_000
	mostChecked  = 10   // words that are checked in each chunk with the required phrases, the rarest
	leastFound   = 200  // if fewer are expected, a sample large enough for this number is read too
	sampled      = 3000 // chunks of it at most
	pool         = 100  // chunks that are ranked by all their words, or three for each requested hit
)

// Weights of words. These values worked best on several sets of questions (docs/search.md).
const (
	titleWeight = 0.6 // a word in the title or the heading, relative to one in the text
	typoWeight  = 0.6 // a word that replaces a misspelled one
)

// weigh gives each word a weight by its rarity.
func (k *known) weigh() {
	for i := range k.terms {
		t := &k.terms[i]
		n, of := float64(max(t.chunks, 1)), max(k.chunks, float64(t.chunks), 1)
		t.Worth = math.Log(1 + (of-n+0.5)/(n+0.5))
		if t.title() {
			t.Worth *= titleWeight
		}
		if t.For != "" {
			t.Worth *= typoWeight
		}
	}
}

// reading is one look-up in the index: a word, or words that occur together.
type reading struct {
	query  string // a tsquery
	worth  float64
	chunks float64 // that hold it, or may be expected to
	most   float64 // that hold it at most
}

// choose selects the look-ups in the index: the rarest words, as long as they occur in no more than
// entries chunks together. It looks up the rarest of the other words in pairs.
func (k *known) choose(entries float64) {
	slices.SortFunc(k.terms, func(a, b term) int {
		return cmp.Or(cmp.Compare(a.chunks, b.chunks), strings.Compare(a.Word, b.Word))
	})
	if len(k.must) > 0 {
		k.chooseRequired()
		return
	}
	var rest []term
	for i := range k.terms {
		t := &k.terms[i]
		switch {
		case float64(t.chunks) <= entries:
			t.Read = true
			entries -= float64(t.chunks)
			k.expected += float64(t.chunks)
			k.reads = append(k.reads, reading{lexeme(t.Word), t.Worth, float64(t.chunks), float64(t.chunks)})
		case len(rest) < mostTogether:
			t.rest = true
			rest = append(rest, *t)
		}
	}
	paired := float64(mostPaired)
	for _, p := range pairs(rest, k.chunks) {
		if p.chunks > entries || p.most > paired {
			break
		}
		entries -= p.chunks
		paired -= p.most
		k.expected += p.chunks
		k.reads = append(k.reads, p)
	}
}

// chooseRequired makes every chunk with the required phrases be checked for all words, the rarest first. These chunks are
// read once, for all words: the index knows which chunks hold a phrase's words but not where, so that each has to be
// looked at.
func (k *known) chooseRequired() {
	for i := range k.terms[:min(len(k.terms), mostChecked)] {
		k.terms[i].rest = true
	}
}

// pairs are pairs of words, those with the fewest expected chunks first.
func pairs(of []term, chunks float64) []reading {
	var list []reading
	for i, a := range of {
		for _, b := range of[i+1:] {
			if a.plain() != b.plain() {
				list = append(list, reading{
					query:  lexeme(a.Word) + " & " + lexeme(b.Word),
					chunks: float64(a.chunks) * float64(b.chunks) / max(chunks, 1), most: float64(min(a.chunks, b.chunks)),
				})
			}
		}
	}
	slices.SortFunc(list, func(a, b reading) int {
		return cmp.Or(cmp.Compare(a.chunks, b.chunks), strings.Compare(a.query, b.query))
	})
	return list
}

// sample is the number of chunks to read to find enough with the most common word, if a part of them passes.
func (k *known) sample(passes float64) int {
	var most int64
	for _, t := range k.terms {
		most = max(most, t.chunks)
	}
	share := float64(most) / max(k.chunks, float64(most), 1) * passes
	return int(min(leastFound/max(share, 1e-6)+leastFound, sampled))
}

// candidates are the common tables "term", the words, and "candidate", the chunks to rank: those with
// the rarest of the words.
//
// Each look-up reads its own part of the index. A chunk's weight is the sum of its words' weights; only
// the words that were too common to look up are checked in the chunk itself. Sums are rounded, because
// their last digits depend on the order of the chunks.
func candidates(k *known, s scope, depth int, p *params) []string {
	var queries []string
	var worths []float64
	var title []bool
	for _, t := range k.terms {
		queries = append(queries, lexeme(t.Word))
		worths = append(worths, t.Worth)
		title = append(title, t.title())
	}
	terms := fmt.Sprintf(`
term AS MATERIALIZED (
	SELECT query::tsquery, worth, title FROM unnest(%s::text[], %s::float8[], %s::bool[]) AS t (query, worth, title))`,
		p.add(queries), p.add(worths), p.add(title))

	tables := []string{terms}
	var found string
	late, by := "", "chunk_id, place"
	switch {
	case s.few:
		s.requires(k, p)
		found = oneByOne(queries, "confluence_chunk_words", s.where+s.byWord, p)
	case len(k.must) > 0:
		var holding string
		holding, found = withPhrases(k, s, p)
		tables = append(tables, holding)
	case s.ofListed:
		found = indexedOnce(k, s, p)
		if k.expected < leastFound {
			found += ` UNION ALL ` + oneByOne(queries, fmt.Sprintf(`(SELECT w.* FROM (SELECT w.chunk_id FROM confluence_chunk_words w WHERE true%s
				ORDER BY w.place, w.chunk_id LIMIT %d) first JOIN confluence_chunk_words w USING (chunk_id))`, s.sources+s.each, k.sample(1)), s.where, p)
		}
	default:
		within := s.byWord
		if s.late != "" {
			within, late, by = "", s.late, by+", source_id, page_id"
		}
		found = indexed(k, s.where+within, p)
		if k.expected < leastFound {
			found += ` UNION ALL ` + oneByOne(queries, fmt.Sprintf(`(SELECT * FROM confluence_chunk_words ORDER BY place LIMIT %d)`, k.sample(s.share)), s.where+within, p)
		}
	}
	// A condition that is a look-up for each chunk is checked for the best ones, until there are enough that pass.
	return append(tables, fmt.Sprintf(`
candidate AS MATERIALIZED (
	SELECT chunk_id, place FROM (
		SELECT %[2]s FROM (%[1]s) found GROUP BY %[2]s ORDER BY round((sum(worth) + max(rest))::numeric, 6) DESC, place, chunk_id) w
	WHERE true%[3]s LIMIT %[4]d)`, found, by, late, depth))
}

// withPhrases is the common table "holding", chunks with all required phrases, and SQL that selects those to rank: all, or
// if they are too many, the first ones by their place. They are never those that happen to be written first.
func withPhrases(k *known, s scope, p *params) (holding, found string) {
	s.requires(k, p)
	rows := `SELECT w.chunk_id, w.place, w.source_id, w.page_id, 0::float8 AS worth, ` + k.rest(p) + ` AS rest FROM confluence_chunk_words w WHERE true` + s.where + s.byWord
	holding = fmt.Sprintf(`
holding AS MATERIALIZED (%s LIMIT %d)`, rows, mostEntries+1)
	return holding, fmt.Sprintf(`
		SELECT * FROM holding WHERE (SELECT count(*) FROM holding) <= %[2]d
		UNION ALL SELECT * FROM (%[1]s ORDER BY w.place, w.chunk_id LIMIT %[2]d) w WHERE (SELECT count(*) FROM holding) > %[2]d`, rows, mostEntries)
}

// indexed reads the index once for each look-up.
func indexed(k *known, where string, p *params) string {
	var queries []string
	var worths []float64
	var most []int
	for _, r := range k.reads {
		queries = append(queries, r.query)
		worths = append(worths, r.worth)
		// Only reached if words have not been counted for a long time.
		most = append(most, int(2*r.most)+mostEntries)
	}
	return `
		SELECT w.chunk_id, w.place, w.source_id, w.page_id, r.worth, w.rest
		FROM unnest(` + p.add(queries) + `::text[], ` + p.add(worths) + `::float8[], ` + p.add(most) + `::int[]) r (query, worth, most) CROSS JOIN LATERAL (
			SELECT w.chunk_id, w.place, w.source_id, w.page_id, ` + k.rest(p) + ` AS rest
			FROM confluence_chunk_words w WHERE w.words @@ r.query::tsquery` + where + ` LIMIT r.most) w`
}

// indexedOnce reads the chunks of listed pages for all look-ups together: the index on pages is read once, and the planner, which
// sees the words, combines it with that on words.
func indexedOnce(k *known, s scope, p *params) string {
	var queries []string
	worth, most := "0::float8", mostEntries
	for _, r := range k.reads {
		queries = append(queries, "("+r.query+")")
		worth += " + CASE WHEN w.words @@ " + p.add(r.query) + "::tsquery THEN " + p.add(r.worth) + "::float8 ELSE 0 END"
		most += int(2 * r.most)
	}
	return `
		SELECT * FROM (SELECT w.chunk_id, w.place, w.source_id, w.page_id, ` + worth + ` AS worth, ` + k.rest(p) + ` AS rest
		FROM confluence_chunk_words w WHERE w.words @@ ` + p.add(strings.Join(queries, " | ")) + `::tsquery` + s.where + s.byWord + ` LIMIT ` + fmt.Sprint(most) + `) w`
}

// rest is SQL for the sum of the weights that a chunk w gets from the words that are not looked up. It is an
// expression and no subquery, because it is computed for every entry.
func (k *known) rest(p *params) string {
	sum := "0::float8"
	for _, t := range k.terms {
		if t.rest {
			sum += " + CASE WHEN w.words @@ " + p.add(lexeme(t.Word)) + "::tsquery THEN " + p.add(t.Worth) + "::float8 ELSE 0 END"
		}
	}
	return sum
}

// oneByOne checks every chunk of a table for all the words.
func oneByOne(queries []string, table, where string, p *params) string {
	return `
		SELECT w.chunk_id, w.place, w.source_id, w.page_id, t.worth, 0 AS rest
		FROM (SELECT * FROM ` + table + ` w WHERE w.words @@ ` + p.add(strings.Join(queries, " | ")) + `::tsquery` + where + ` OFFSET 0) w
		JOIN term t ON w.words @@ t.query`
}

package search

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// How much a search looks at, whatever is asked.
const (
	// mostEntries is how many entries of the index the words have together that are looked for,
	// the rarest first. Where a filter passes a part of the chunks, as many more as makes up for
	// it, up to mostFiltered.
	mostEntries  = 2000
	mostFiltered = 20_000
	// mostTogether is how many words that are too common for that are looked for two by two. As many
	// entries are expected of that; where words stand together more often than by chance, they are
	// mostPaired at most.
	mostTogether = 6
	mostPaired   = 50_000
	leastFound   = 200  // when fewer may be expected, a sample is looked at too, large enough to find as many
	sampled      = 3000 // chunks of it at most
	pool         = 100  // chunks that are ranked by all their words, or three for each hit that is wanted
)

// How words are weighed. The figures served best on several sets of questions (docs/search.md).
const (
	titleWeight = 0.6 // of a word in the title or the heading, to one in the text
	typoWeight  = 0.6 // of a word in place of one that is misspelled
)

// weigh says what each word is worth by how rare it is.
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

// reading is what is looked for in the index: a word, or some that stand together.
type reading struct {
	query  string // a tsquery
	worth  float64
	chunks float64 // that hold it, or may be expected to
	most   float64 // that hold it at most
}

// choose says what is looked for in the index: the rarest words, as long as they stand in no
// more chunks than entries. Of the others, the rarest are looked for two by two.
func (k *known) choose(entries float64) {
	slices.SortFunc(k.terms, func(a, b term) int {
		return cmp.Or(cmp.Compare(a.chunks, b.chunks), strings.Compare(a.Word, b.Word))
	})
	for _, p := range k.must {
		k.reads = append(k.reads, reading{query: p.anywhere()})
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

// pairs are two words each, those first that the fewest chunks are expected to hold.
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

// sample is how many chunks are looked at to find enough of the most common word.
func (k *known) sample(s scope) int {
	var most int64
	for _, t := range k.terms {
		most = max(most, t.chunks)
	}
	share := float64(most) / max(k.chunks, float64(most), 1) * s.share
	return int(min(leastFound/max(share, 1e-6)+leastFound, sampled))
}

// candidates are the common tables "term", the words, and "candidate", the chunks that are
// ranked: those that hold the rarest of the words.
//
// Each reading has a part of the index of its own. What is found is added up by how rare its
// words are, with a look at those words only that were too common to be looked for. Sums are
// rounded, since their last digits depend on the order in which chunks come.
func candidates(k *known, s scope, depth int, p *params) []string {
	var queries []string
	var worths []float64
	var title, rest []bool
	for _, t := range k.terms {
		queries = append(queries, lexeme(t.Word))
		worths = append(worths, t.Worth)
		title = append(title, t.title())
		rest = append(rest, t.rest)
	}
	terms := fmt.Sprintf(`
term AS MATERIALIZED (
	SELECT query::tsquery, worth, title, rest FROM unnest(%s::text[], %s::float8[], %s::bool[], %s::bool[]) AS t (query, worth, title, rest)),
rest AS MATERIALIZED (SELECT query, worth FROM term WHERE rest)`,
		p.add(queries), p.add(worths), p.add(title), p.add(rest))

	var found string
	if s.few {
		found = oneByOne(queries, "confluence_chunk_words", s.where, p)
	} else if found = indexed(k, s, p); k.expected < leastFound && len(k.must) == 0 {
		found += ` UNION ALL ` + oneByOne(queries, fmt.Sprintf(`(SELECT * FROM confluence_chunk_words ORDER BY place LIMIT %d)`, k.sample(s)), s.where, p)
	}
	return []string{terms, fmt.Sprintf(`
candidate AS MATERIALIZED (
	SELECT chunk_id, place FROM (%s) found
	GROUP BY chunk_id, place ORDER BY round((sum(worth) + max(rest))::numeric, 6) DESC, place, chunk_id LIMIT %d)`, found, depth)}
}

func indexed(k *known, s scope, p *params) string {
	var queries []string
	var worths []float64
	var most []int
	for _, r := range k.reads {
		queries = append(queries, r.query)
		worths = append(worths, r.worth)
		// Never reached but where words have not been counted for long.
		most = append(most, int(2*r.most)+mostEntries)
	}
	return `
		SELECT w.chunk_id, w.place, r.worth, w.rest
		FROM unnest(` + p.add(queries) + `::text[], ` + p.add(worths) + `::float8[], ` + p.add(most) + `::int[]) r (query, worth, most) CROSS JOIN LATERAL (
			SELECT w.chunk_id, w.place, (SELECT coalesce(sum(t.worth), 0) FROM rest t WHERE w.words @@ t.query) AS rest
			FROM confluence_chunk_words w WHERE w.words @@ r.query::tsquery` + s.where + ` LIMIT r.most) w`
}

// oneByOne looks at every chunk of a table for all the words.
func oneByOne(queries []string, table, where string, p *params) string {
	return `
		SELECT w.chunk_id, w.place, t.worth, 0 AS rest
		FROM (SELECT * FROM ` + table + ` w WHERE w.words @@ ` + p.add(strings.Join(queries, " | ")) + `::tsquery` + where + ` OFFSET 0) w
		JOIN term t ON w.words @@ t.query`
}

package search

import (
	"fmt"
	"strings"
)

const (
	saturation  = 1.4  // BM25's k1: how soon a word that comes again counts no more
	lengthWeigh = 0.45 // BM25's b: by how much a word in a long text counts less
	titlesWeigh = 0.6  // the same for titles
	titleLength = 6    // words of a title and a heading, about
)

// wordsLeg ranks the candidates by BM25, with the titles as a field of their own.
//
// How often a word stands in a text is read off the rank that the database gives for it alone:
// that is the sum of 1/n² over its n places, so that its size tells their number.
func wordsLeg(k *known, depth int) leg {
	longer := func(b float64, of string, average float64) string {
		return fmt.Sprintf("'%v'::float8 * ('%v'::float8 + '%v'::float8 * %s / '%v'::float8)", saturation, 1-b, b, of, max(average, 1))
	}
	return leg{name: "words", weight: 1, sql: fmt.Sprintf(`
		SELECT chunk_id, place, round(sum(worth * often * '%[1]v'::float8 / (often + CASE WHEN title THEN %[2]s ELSE %[3]s END))::numeric, 6)::float8 AS score FROM (
			SELECT w.chunk_id, w.place, t.worth, t.title, w.length, w.titles,
				1 + width_bucket(ts_rank('{1,1,1,1}', w.words, t.query), '%[4]s'::real[]) AS often
			FROM candidate JOIN confluence_chunk_words w USING (chunk_id) JOIN term t ON w.words @@ t.query OFFSET 0) held
		GROUP BY chunk_id, place ORDER BY score DESC, place, chunk_id LIMIT %[5]d`,
		saturation+1, longer(titlesWeigh, "titles", titleLength), longer(lengthWeigh, "length", k.length/max(k.chunks, 1)), oftens, depth)}
}

// oftens are the ranks between which a word stands once, twice and so on in a text.
var oftens = func() string {
	const all = 1.64493406685 // the sum of 1/n² over all n, as the server has it
	var list []string
	sum := 0.0
	for n := 1; n <= 20; n++ {
		sum += 1 / float64(n*n)
		next := 1 / float64((n+1)*(n+1))
		list = append(list, fmt.Sprintf("%.7f", (sum+next/2)/all))
	}
	return "{" + strings.Join(list, ",") + "}"
}()

package search

import (
	"fmt"
	"strings"
)

const (
	saturation  = 1.4  // BM25's k1: how soon further occurrences of a word stop counting
	lengthWeigh = 0.45 // BM25's b: how much less a word counts in a long text
	titlesWeigh = 0.6  // the same for titles
	titleLength = 6    // typical number of words in a title and a heading
)

// wordsLeg ranks the candidates by BM25, with the titles as a separate field.
//
// The number of a word's occurrences in a text is derived from the database's rank for that word alone:
// that rank is the sum of 1/n² over its n occurrences, so it determines n.
func wordsLeg(k *known, weight float64, depth int) leg {
	longer := func(b float64, of string, average float64) string {
		return fmt.Sprintf("'%v'::float8 * ('%v'::float8 + '%v'::float8 * %s / '%v'::float8)", saturation, 1-b, b, of, max(average, 1))
	}
	return leg{name: "words", weight: weight, part: "score / greatest(max(score) OVER (), 1e-6)", sql: fmt.Sprintf(`
		SELECT chunk_id, place, round(sum(worth * often * '%[1]v'::float8 / (often + CASE WHEN title THEN %[2]s ELSE %[3]s END))::numeric, 6)::float8 AS score FROM (
			SELECT w.chunk_id, w.place, t.worth, t.title, w.length, w.titles,
				1 + width_bucket(ts_rank('{1,1,1,1}', w.words, t.query), '%[4]s'::real[]) AS often
			FROM candidate JOIN confluence_chunk_words w USING (chunk_id) JOIN term t ON w.words @@ t.query OFFSET 0) held
		GROUP BY chunk_id, place ORDER BY score DESC, place, chunk_id LIMIT %[5]d`,
		saturation+1, longer(titlesWeigh, "titles", titleLength), longer(lengthWeigh, "length", k.length/max(k.chunks, 1)), oftens, depth)}
}

// oftens are the ranks that separate one occurrence of a word in a text from two, and so on.
var oftens = func() string {
	const all = 1.64493406685 // the sum of 1/n² over all n, with the server's precision
	var list []string
	sum := 0.0
	for n := 1; n <= 20; n++ {
		sum += 1 / float64(n*n)
		next := 1 / float64((n+1)*(n+1))
		list = append(list, fmt.Sprintf("%.7f", (sum+next/2)/all))
	}
	return "{" + strings.Join(list, ",") + "}"
}()

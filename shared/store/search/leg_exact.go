package search

const exactWeight = 0.4 // added to the others, which are 1 together

// exactLeg finds, among the candidates, the chunks that contain the whole query literally, or all its
// words in title and heading: a typed title, an identifier of several words or a sentence comes first.
func exactLeg(k *known, p *params) leg {
	return leg{name: "exact", weight: exactWeight, part: "1.0::float8", sql: `
		SELECT h.chunk_id, h.place, h.score FROM words h JOIN confluence_chunk_words w USING (chunk_id)
		WHERE w.words @@ ` + p.add(k.whole.anywhere()) + `::tsquery`}
}

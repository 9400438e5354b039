package search

// exactLeg finds, of what the words found, the chunks that hold the whole question as it
// stands, or all its words in title and heading: who types a title, an identifier of several
// words or a sentence gets that first.
func exactLeg(k *known, p *params) leg {
	return leg{name: "exact", weight: 1, sql: `
		SELECT h.chunk_id, h.place, h.score FROM words h JOIN confluence_chunk_words w USING (chunk_id)
		WHERE w.words @@ ` + p.add(k.whole.anywhere()) + `::tsquery`}
}

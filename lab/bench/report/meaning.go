package report

import (
	"bytes"
	"fmt"

	"github.com/sluicehq/sluice/lab/bench/figure"
	"github.com/sluicehq/sluice/lab/bench/table"
)

func embeds(b *bytes.Buffer, r Results) {
	for _, e := range r.Embeds {
		fmt.Fprintf(b, "## Vectors\n\nThe server that makes them takes %d ms for a call, of up to %d texts, and %d calls at a time. The first sync of %s pages\n"+
			"(%s chunks, %s texts) ends after %s s; the last of its vectors is stored %s s after the request.\n\n",
			e.Call.Milliseconds(), e.Batch, e.Parallel, whole(float64(e.Pages)), whole(float64(e.Chunks)), whole(float64(e.Texts)),
			figure.Number(took(e.Synced)), figure.Number(took(e.Searchable)))
		t := table.Table{Head: []string{"all texts, from the first call to the last answer", "time:", "texts/s:", "of the server's rate:"}}
		rate := func(seconds float64) string { return whole(float64(e.Texts) / max(seconds, 1e-9)) }
		t.Row("the server alone", seconds(took(e.Server)), rate(took(e.Server)), percent(1))
		t.Row("the embedder", seconds(took(e.Embedder)), rate(took(e.Embedder)), percent(took(e.Server)/max(took(e.Embedder), 1e-9)))
		t.Write(b)
		if e.Edits > 0 {
			fmt.Fprintf(b, "One word changed in each of %d pages: %d texts were embedded again, %.0f tokens an edit.\n\n",
				e.Edits, e.EditTexts, float64(e.EditTokens)/float64(e.Edits))
		}
	}
}

func meaning(b *bytes.Buffer, r Results) {
	if len(r.Meaning) == 0 {
		return
	}
	b.WriteString("## Search by meaning\n\nOne person searching, with the vector of the question at hand: 384 numbers, made up in 2,000 clusters, as for the\n" +
		"chunks. Recall is the share of the ten hits by vectors that the same search finds when it compares all of them. A filter lets a share of the\n" +
		"chunks through. `-meant 250,6250` leaves out the largest knowledge base.\n\n")
	t := table.Table{Head: []string{"chunks:", "filter:", "words, median:", "95th:", "vectors, median:", "95th:", "both, median:", "95th:", "recall:"}}
	for _, m := range r.Meaning {
		filter := "none"
		if m.Share < 1 {
			filter = percent(m.Share)
		}
		t.Row(whole(float64(m.Chunks)), filter, millis(m.Words.P50), millis(m.Words.P95), millis(m.Vectors.P50), millis(m.Vectors.P95),
			millis(m.Both.P50), millis(m.Both.P95), fmt.Sprintf("%.3f", m.Recall))
	}
	t.Write(b)
}

func (r Results) embedded() aim {
	a := aim{what: "the embedder against its server alone", aim: "≥ 95 % of its rate"}
	for _, e := range r.Embeds {
		part := took(e.Server) / max(took(e.Embedder), 1e-9)
		a.is, a.met = percent(part), judge(part >= 0.95)
	}
	return a
}

func (r Results) edited() aim {
	a := aim{what: "an edit of one word", aim: "one text embedded again"}
	for _, e := range r.Embeds {
		if e.Edits > 0 {
			a.is, a.met = fmt.Sprintf("%.2f", float64(e.EditTexts)/float64(e.Edits)), judge(e.EditTexts <= e.Edits)
		}
	}
	return a
}

// meant is the slowest way and filter of searching in about that many chunks.
func (r Results) meant(chunks int, under float64) aim {
	a := aim{what: "search by words and by meaning, about " + whole(float64(chunks)) + " chunks, p95", aim: fmt.Sprintf("< %.0f ms, with and without filters", under)}
	slowest := 0.0
	for _, m := range r.Meaning {
		if m.Chunks > chunks*3/4 && m.Chunks < chunks*3/2 {
			slowest = max(slowest, m.Words.P95, m.Vectors.P95, m.Both.P95)
		}
	}
	if slowest > 0 {
		a.is, a.met = millis(slowest), judge(slowest < under)
	}
	return a
}

func (r Results) recalled() aim {
	a := aim{what: "recall of the index on vectors", aim: "≥ 0.98, with and without filters"}
	least := 1.0
	for _, m := range r.Meaning {
		least = min(least, m.Recall)
		a.is, a.met = fmt.Sprintf("%.3f", least), judge(least >= 0.98)
	}
	return a
}

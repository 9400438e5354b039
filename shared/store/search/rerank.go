package search

import (
	"cmp"
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/store/vectors"
)

// Reranker scores texts by how well they answer a question. It has a deadline of its own: a search waits for it.
type Reranker interface {
	// Scores returns a score for each text, higher for a better answer. The error says, for people, why
	// there are none.
	Scores(ctx context.Context, question string, texts []string) ([]float64, error)
}

// RerankBy has the best hits of searches ordered again, from now on. It is called before the first search.
func (s *Searcher) RerankBy(r Reranker) { s.reranker = r }

const (
	// reranked is how many hits are ordered again: servers take few more texts in one call, TEI 32.
	reranked = 30
	// longestReranked is the part of a text that is judged, in bytes.
	longestReranked = 8000
)

// rerank orders the first hits of an answer again, and keeps as many as were asked for. Without scores the order
// stays, and the answer says why.
func (s *Searcher) rerank(ctx context.Context, question string, a *Answer, limit int) error {
	n := min(len(a.Hits), reranked)
	if n > 1 {
		texts, err := s.textsOf(ctx, a.Hits[:n])
		if err != nil {
			return err
		}
		scores, err := s.reranker.Scores(ctx, question, texts)
		if err != nil {
			a.NotReranked = err.Error()
		} else {
			a.order(scores)
		}
	}
	if keep := min(len(a.Hits), limit); keep < len(a.Hits) {
		a.Hits, a.Legs = a.Hits[:keep], a.Legs[:keep]
	}
	return nil
}

// order puts the first hits into the order of their scores. Their own scores stay those of the search.
func (a *Answer) order(scores []float64) {
	places := make([]int, len(scores))
	for i := range places {
		places[i] = i
	}
	slices.SortStableFunc(places, func(i, j int) int { return cmp.Compare(scores[j], scores[i]) })
	hits, legs := slices.Clone(a.Hits), slices.Clone(a.Legs)
	for rank, i := range places {
		a.Hits[rank] = hits[i]
		a.Legs[rank] = append(slices.Clip(legs[i]), Place{Leg: "rerank", Rank: rank + 1, Score: scores[i]})
	}
}

// textsOf are the texts of hits as they are judged: as they are embedded, up to a length. A chunk that was deleted
// since has none.
func (s *Searcher) textsOf(ctx context.Context, hits []Hit) ([]string, error) {
	ids := make([]int64, len(hits))
	for i, h := range hits {
		ids[i] = h.ChunkID
	}
	contents := map[int64]string{}
	rows, _ := s.pool.Query(ctx, `SELECT id, left(content, $2) FROM archon_crawled_pages WHERE id = ANY ($1)`, ids, longestReranked)
	var id int64
	var content string
	_, err := pgx.ForEachRow(rows, []any{&id, &content}, func() error {
		contents[id] = content
		return nil
	})
	texts := make([]string, len(hits))
	for i, h := range hits {
		texts[i] = vectors.Text(h.Title, h.HeadingPath, contents[h.ChunkID])
	}
	return texts, err
}

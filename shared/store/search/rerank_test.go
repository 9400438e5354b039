package search_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/store/storetest"
	"github.com/sluicehq/sluice/shared/viewer"
)

// judge scores texts by a function.
type judge func(texts []string) ([]float64, error)

func (j judge) Scores(_ context.Context, _ string, texts []string) ([]float64, error) {
	return j(texts)
}

func TestTheBestHitsAreOrderedAgain(t *testing.T) {
	t.Parallel()
	s, _ := storetest.Open(t)
	for _, source := range []string{"docs", "hidden"} {
		storetest.AddSource(t, s, source)
	}
	for i := range 40 {
		storetest.Write(t, s, storetest.Page("docs", "", fmt.Sprint(i), 1, fmt.Sprintf("Page %d", i), "kestrel"+strings.Repeat(" and more", i)))
	}
	storetest.Write(t, s, storetest.Page("hidden", "", "h", 1, "Hidden", "kestrel"))
	searcher := s.Searcher()
	ask := func(limit int) (search.Answer, []string) {
		a, err := searcher.Explain(t.Context(), viewer.OfSources("docs"), "kestrel", search.Filter{Limit: limit})
		require.NoError(t, err)
		require.Len(t, a.Legs, len(a.Hits))
		var pages []string
		for _, h := range a.Hits {
			pages = append(pages, h.PageID)
		}
		return a, pages
	}
	_, plain := ask(40)
	require.Len(t, plain, 40)

	var read []string
	searcher.RerankBy(judge(func(texts []string) ([]float64, error) {
		read = texts
		scores := make([]float64, len(texts))
		for i := range scores {
			scores[i] = float64(i) // the other way round
		}
		return scores, nil
	}))
	a, pages := ask(3)
	require.Equal(t, []string{plain[29], plain[28], plain[27]}, pages)
	require.Empty(t, a.NotReranked)
	require.Equal(t, search.Place{Leg: "rerank", Rank: 1, Score: 29}, a.Legs[0][len(a.Legs[0])-1])
	require.Len(t, read, 30)
	require.Contains(t, read, "Page 0\n\nkestrel")
	require.NotContains(t, strings.Join(read, ""), "Hidden")
	_, pages = ask(40)
	require.Equal(t, plain[30:], pages[30:], "the others follow as they were")
	require.Equal(t, plain[29], pages[0])

	searcher.RerankBy(judge(func([]string) ([]float64, error) { return nil, errors.New("the server is away") }))
	a, pages = ask(3)
	require.Equal(t, plain[:3], pages)
	require.Equal(t, "the server is away", a.NotReranked)
}

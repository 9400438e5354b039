package search_test

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/store/storetest"
	"github.com/sluicehq/sluice/shared/viewer"
)

func TestSearchFindsWhatItsViewerSees(t *testing.T) {
	t.Parallel()
	s, _ := storetest.Open(t)
	for id, source := range map[string]string{"1": "docs", "2": "other"} {
		storetest.AddSource(t, s, source)
		storetest.Write(t, s, storetest.Page(source, "", id, 1, "Home of "+source, "alpha"))
	}
	sources := func(v viewer.Viewer, f search.Filter) []string {
		hits, err := s.Searcher().Search(t.Context(), v, "alpha", f)
		require.NoError(t, err)
		list := []string{}
		for _, h := range hits {
			list = append(list, h.SourceID)
		}
		return list
	}
	both := []string{"docs", "other"}
	require.ElementsMatch(t, both, sources(viewer.All(), search.Filter{}))
	require.ElementsMatch(t, both, sources(viewer.OfSources(both...), search.Filter{}))
	docs := viewer.OfSources("docs")
	require.Equal(t, []string{"docs"}, sources(docs, search.Filter{}))
	require.Equal(t, []string{"docs"}, sources(docs, search.Filter{Sources: both}), "a filter shows nothing more")
	require.Equal(t, []string{"docs"}, sources(viewer.All(), search.Filter{Sources: []string{"docs"}}))
	require.Equal(t, []string{"docs"}, sources(docs, search.Filter{SpaceKey: "DOCS"}))
	require.Empty(t, sources(docs, search.Filter{SourceID: "other"}))
	require.Empty(t, sources(docs, search.Filter{Sources: []string{"other"}}))
	require.Empty(t, sources(docs, search.Filter{Under: "2"}))
	require.Empty(t, sources(viewer.Viewer{}, search.Filter{}))
	require.Empty(t, sources(viewer.Viewer{}, search.Filter{SourceID: "docs"}))
}

// How often a word occurs, and which similar words there are, is counted over all sources.
func TestAnExplanationTellsNothingOfOtherSources(t *testing.T) {
	t.Parallel()
	s, _ := storetest.Open(t)
	for id, source := range map[string]string{"1": "docs", "2": "other"} {
		storetest.AddSource(t, s, source)
		storetest.Write(t, s, storetest.Page(source, "", id, 1, "Home of "+source, "alpha of "+source))
	}
	for _, v := range []viewer.Viewer{viewer.OfSources("docs"), viewer.All().Only("docs"), {}} {
		a, err := s.Searcher().Explain(t.Context(), v, "alpha othet", search.Filter{})
		require.NoError(t, err)
		require.Empty(t, a.Terms)
	}
	a, err := s.Searcher().Explain(t.Context(), viewer.All(), "alpha othet", search.Filter{})
	require.NoError(t, err)
	require.NotEmpty(t, a.Terms)
}

// Every method that returns results takes its viewer.
func TestNoSearchLacksItsViewer(t *testing.T) {
	t.Parallel()
	searcher := reflect.TypeFor[*search.Searcher]()
	for i := range searcher.NumMethod() {
		m := searcher.Method(i)
		if m.Type.NumOut() > 1 {
			require.Equal(t, reflect.TypeFor[viewer.Viewer](), m.Type.In(2), m.Name)
		}
	}
}

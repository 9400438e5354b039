package search_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/store/storetest"
	"github.com/sluicehq/sluice/shared/store/vectors"
	"github.com/sluicehq/sluice/shared/viewer"
)

// meanings are vectors by text, of three dimensions.
type meanings map[string][]float32

func (m meanings) Vector(_ context.Context, model string, dimensions int, question string) ([]float32, error) {
	if v, ok := m[question]; ok && model == "thirds" && dimensions == 3 {
		return v, nil
	}
	return nil, errors.New("the server is away")
}

// embed gives every chunk the vector that of names for its text.
func embed(t *testing.T, s *store.Store, of func(text string) []float32) vectors.Space {
	t.Helper()
	v := s.Vectors()
	space, err := v.Open(t.Context(), vectors.IdentityOf("thirds", 3, 0))
	require.NoError(t, err)
	for after := int64(0); ; {
		after, err = v.NoteNext(t.Context(), space, after)
		require.NoError(t, err)
		if after == 0 {
			break
		}
	}
	for {
		list, err := v.Claim(t.Context(), space, 100, time.Minute)
		require.NoError(t, err)
		if len(list) == 0 {
			return space
		}
		var done []vectors.Vector
		for _, p := range list {
			done = append(done, vectors.Vector{Key: p.Key, Vector: of(p.Text), Tokens: 1})
		}
		require.NoError(t, v.Put(t.Context(), space, done))
	}
}

func TestWhatSharesNoWordIsFoundByItsMeaning(t *testing.T) {
	s, _ := storetest.OpenVectors(t)
	for id, source := range map[string]string{"1": "docs", "2": "other"} {
		storetest.AddSource(t, s, source)
		storetest.Write(t, s, storetest.Page(source, "", id, 1, "Storage", "persist the state of "+source, "something else entirely"))
	}
	near, far, question := []float32{1, 0, 0}, []float32{0, 1, 0}, []float32{0.8, 0.6, 0}
	embed(t, s, func(text string) []float32 {
		if text == "Storage\n\nsomething else entirely" {
			return far
		}
		return near
	})
	asked := meanings{"keep my work": question, "persist": question, "of the": question}
	found := func(v viewer.Viewer, query string, f search.Filter) search.Answer {
		t.Helper()
		a, err := s.Searcher().Explain(t.Context(), v, query, f)
		require.NoError(t, err)
		return a
	}
	require.Empty(t, found(viewer.All(), "keep my work", search.Filter{}).Hits)
	s.Searcher().Ask(asked)

	a := found(viewer.All(), "keep my work", search.Filter{})
	require.Len(t, a.Hits, 4)
	require.Empty(t, a.WordsOnly)
	require.Contains(t, a.Hits[0].Snippet, "persist")
	require.Len(t, a.Legs[0], 1)
	require.Equal(t, "vectors", a.Legs[0][0].Leg)
	require.InDelta(t, 0.8, a.Legs[0][0].Score, 1e-3)
	require.InDelta(t, 0.6, a.Legs[2][0].Score, 1e-3)

	// Each page has a near chunk, and one that is the furthest of all: it adds nothing to the first one.
	require.InDelta(t, 0.4, a.Hits[0].Score, 1e-9)
	require.InDelta(t, 0.4, a.Hits[1].Score, 1e-9)
	require.Zero(t, a.Hits[2].Score)
	for _, heavier := range []*search.Searcher{s.Searcher().Weighing(0.7), s.Searcher().Weighing(0.7).Without(search.Wording)} {
		hits, err := heavier.Search(t.Context(), viewer.All(), "keep my work", search.Filter{})
		require.NoError(t, err)
		require.InDelta(t, 0.7, hits[0].Score, 1e-9)
	}

	// Nothing but what the viewer and the filter let through.
	for name, hits := range map[string][]search.Hit{
		"viewer": found(viewer.OfSources("docs"), "keep my work", search.Filter{}).Hits,
		"source": found(viewer.All(), "keep my work", search.Filter{SourceID: "docs"}).Hits,
		"under":  found(viewer.All(), "keep my work", search.Filter{Under: "1"}).Hits,
	} {
		require.Len(t, hits, 2, name)
		require.Equal(t, "docs", hits[0].SourceID, name)
	}
	require.Empty(t, found(viewer.Viewer{}, "keep my work", search.Filter{}).Hits)
	require.Empty(t, found(viewer.All(), "keep my work", search.Filter{Label: "none"}).Hits)

	// Words and vectors together, words that must be there or must not, and only ignored ones.
	require.Len(t, found(viewer.All(), "persist", search.Filter{}).Legs[0], 3)
	asked["keep"] = question
	require.Len(t, found(viewer.All(), `keep -persist`, search.Filter{}).Hits, 2)
	require.Len(t, found(viewer.All(), "of the", search.Filter{}).Hits, 4)

	// Without an answer the words go on.
	a = found(viewer.All(), "persist state", search.Filter{})
	require.Len(t, a.Hits, 2)
	require.Equal(t, "the server is away", a.WordsOnly)
}

// The words are corrected, but the vector is of the question as it was typed.
func TestMeaningCountsLessForAMisspelledQuestion(t *testing.T) {
	s, _ := storetest.OpenVectors(t)
	storetest.AddSource(t, s, "docs")
	storetest.Write(t, s, storetest.Page("docs", "", "1", 1, "One", "the kestrel flies"))
	storetest.Write(t, s, storetest.Page("docs", "", "2", 1, "Two", "something else"))
	embed(t, s, func(text string) []float32 {
		if text == "Two\n\nsomething else" {
			return []float32{1, 0, 0}
		}
		return []float32{0, 1, 0}
	})
	near := []float32{1, 0, 0}
	s.Searcher().Ask(meanings{"kestrel": near, "kestrle": near})
	of := func(query string) (first string, second float64) {
		hits, err := s.Searcher().Search(t.Context(), viewer.All(), query, search.Filter{})
		require.NoError(t, err)
		require.Len(t, hits, 2)
		return hits[0].PageID, hits[1].Score
	}
	page, meaning := of("kestrel")
	require.Equal(t, "1", page)
	typo, less := of("kestrle")
	require.Equal(t, "1", typo)
	require.InDelta(t, meaning/2, less, 1e-9)
}

func TestTheIndexOnVectorsIsReadThroughFilters(t *testing.T) {
	s, conn := storetest.OpenVectors(t)
	for _, source := range []string{"docs", "rare"} {
		storetest.AddSource(t, s, source)
	}
	var texts []string
	for i := range 300 {
		texts = append(texts, fmt.Sprintf("text %d", i))
	}
	storetest.Write(t, s, storetest.Page("docs", "", "1", 1, "Many", texts...))
	storetest.Write(t, s, storetest.Page("rare", "", "2", 1, "Few", "the last one"))
	space := embed(t, s, func(text string) []float32 {
		if text == "Few\n\nthe last one" {
			return []float32{0, 0, 1} // further away than everything else
		}
		return []float32{1, 0, 0}
	})
	_, err := conn.Exec(t.Context(), `ALTER DATABASE `+conn.Config().Database+` SET enable_sort = off`)
	require.NoError(t, err)
	again, err := store.Open(t.Context(), conn.Config().ConnString())
	require.NoError(t, err)
	t.Cleanup(again.Close)
	searcher := again.Searcher()
	searcher.Ask(meanings{"where": {1, 0, 0}})
	searcher.ByIndexOnly()
	for _, filter := range []search.Filter{{}, {SourceID: "docs"}} {
		hits, err := searcher.Search(t.Context(), viewer.All(), "where", filter)
		require.NoError(t, err)
		require.Len(t, hits, 3, "of one page")
	}
	// The index gives 300 nearer ones first: it goes on until the filter has let one through.
	hits, err := searcher.Search(t.Context(), viewer.All(), "where", search.Filter{SourceID: "rare"})
	require.NoError(t, err)
	require.Len(t, hits, 1)
	again.Close() // the server counts scans when a session ends, or has been idle for ten seconds
	require.Eventually(t, func() bool {
		var scans int
		err := conn.QueryRow(t.Context(), `SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'idx_`+vectors.Table(space.ID)+`'`).Scan(&scans)
		return err == nil && scans > 0
	}, 10*time.Second, 50*time.Millisecond)
}

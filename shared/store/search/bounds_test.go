package search_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/store/storetest"
	"github.com/sluicehq/sluice/shared/viewer"
)

// Whatever the query, the index on words returns at most the stated number of entries, and no table is
// scanned completely.
func TestNoSearchReadsMoreThanIsStated(t *testing.T) {
	t.Parallel()
	s, conn := storetest.Open(t)
	birds(t, s, conn, 3000) // sparrow stands in 27,000 chunks, pelican in 3,000 and each number in 3,000, 7 where pelican does
	const index, entries, sample = "idx_confluence_chunk_words_words", 2000.0, 3000.0
	for query, filter := range map[string]search.Filter{
		"sparrow":               {},
		"pelican":               {},
		"sparrow number chunk":  {},
		"pelican number 7 page": {},
		"sparrow page number pelican chunk 1 2 3 4 5 6 7 8 9 " + strings.Repeat("and so on ", 300): {},
		"sparrow 7 -pelican": {},
		"ostrich sparrow":    {},
		"sparrow number":     {ModifiedSince: time.Unix(0, 0)},
		"pelican number":     {SourceID: "big"},
	} {
		var read, looked float64
		for _, n := range plan(t, conn, s, "ANALYZE, ", query, filter) {
			rows := 0.0
			if r, ok := n["Actual Rows"].(float64); ok {
				rows = r * n["Actual Loops"].(float64)
			}
			switch {
			case n["Index Name"] == index:
				read += rows
			case n["Index Name"] == "idx_confluence_chunk_words_place":
				looked += rows
			case n["Node Type"] == "Seq Scan":
				require.NotContains(t, []any{"confluence_chunk_words", "archon_crawled_pages", "confluence_words"}, n["Relation Name"], query)
			}
		}
		most := entries
		if strings.Contains(query, "pelican") && strings.Contains(query, "7") {
			most += 3000 // the two are expected to stand together by chance
		}
		require.LessOrEqual(t, read, most, query)
		require.LessOrEqual(t, looked, sample, query)
		hits, err := s.Searcher().Search(t.Context(), viewer.All(), query, filter)
		require.NoError(t, err)
		require.Len(t, hits, 10, query)
	}
}

// Of a phrase that stands in very many chunks, not all are ranked. Which ones does not depend on where they are stored.
func TestAPhraseOfManyChunksFindsTheSameWhereverTheyAreStored(t *testing.T) {
	t.Parallel()
	s, conn := storetest.Open(t)
	birds(t, s, conn, 1200)
	found := func() (ids []string) {
		hits, err := s.Searcher().Search(t.Context(), viewer.All(), `"sparrow number" chunk`, search.Filter{})
		require.NoError(t, err)
		for _, h := range hits {
			ids = append(ids, h.URL)
		}
		return ids
	}
	before := found()
	require.Len(t, before, 10)
	for _, index := range []string{"confluence_chunk_words_pkey", "idx_confluence_chunk_words_place", "idx_confluence_chunk_words_of_page"} {
		_, err := conn.Exec(t.Context(), `CLUSTER confluence_chunk_words USING `+index)
		require.NoError(t, err)
		require.Equal(t, before, found(), index)
	}
}

// A query that excludes a word finds the other chunks, and none with that word in its text or its
// titles.
func TestWhatIsExcluded(t *testing.T) {
	t.Parallel()
	s, conn := storetest.Open(t)
	birds(t, s, conn, 1200)
	all := search.Filter{Limit: search.MaxHits}
	for query, hits := range map[string]int{
		"sparrow -pelican":  search.MaxHits,
		"sparrow -number":   0, // what every match has in its text
		"sparrow -sparrow":  0,
		"sparrow -page":     0,              // what every match has in its title
		"sparrow -the":      search.MaxHits, // what the language leaves out is not held by anything
		"sparrow -nowhere":  search.MaxHits,
		`sparrow -"page 7"`: search.MaxHits,
	} {
		got, err := s.Searcher().Search(t.Context(), viewer.All(), query, all)
		require.NoError(t, err)
		require.Len(t, got, hits, query)
		for _, h := range got {
			require.NotContains(t, h.Snippet, "pelican", query)
			require.False(t, query == `sparrow -"page 7"` && h.Title == "Page 7", query)
		}
	}
	got, err := s.Searcher().Search(t.Context(), viewer.All(), `sparrow page 7 -pelican`, all)
	require.NoError(t, err)
	require.NotEmpty(t, got)
	for _, h := range got {
		require.NotContains(t, h.Snippet, "pelican", fmt.Sprint(h))
	}
}

package search_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/store/storetest"
	"github.com/sluicehq/sluice/shared/viewer"
)

// A word that most chunks hold is found in the newest ones, and the index on words, in which it
// stands 10,800 times, is not read for it.
func TestACommonWordIsFoundInTheNewestChunks(t *testing.T) {
	s, conn := storetest.Open(t)
	birds(t, conn, 1200)
	halfway := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(-600 * time.Hour)
	const words = "idx_archon_crawled_pages_content_search"

	for name, c := range map[string]struct {
		query  string
		filter search.Filter
		read   bool // the index
	}{
		"most chunks":             {"sparrow", search.Filter{}, false},
		"two words":               {"sparrow number", search.Filter{}, false},
		"a filter that most pass": {"sparrow", search.Filter{ModifiedSince: time.Unix(0, 0)}, false},
		"half of the pages":       {"sparrow", search.Filter{ModifiedSince: halfway}, true}, // of so few chunks
		"every tenth chunk":       {"pelican", search.Filter{}, true},
		"one that nobody has":     {"sparrow ostrich", search.Filter{}, true},
		"one page in a hundred":   {"sparrow", search.Filter{SpaceKey: "SPACE7"}, true},
		"less what others have":   {"sparrow -pelican", search.Filter{}, true},
		"as a phrase":             {`"sparrow number"`, search.Filter{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.read, indexRead(t, conn, s, c.query, c.filter, words))
			c.filter.Limit = search.MaxHits
			hits, err := s.Searcher().Search(t.Context(), viewer.All(), c.query, c.filter)
			require.NoError(t, err)
			if name == "one that nobody has" {
				require.Empty(t, hits)
				return
			}
			require.Len(t, hits, search.MaxHits)
			seen := map[int64]bool{}
			for _, h := range hits {
				require.False(t, seen[h.ChunkID], "once")
				seen[h.ChunkID] = true
				if c.filter.SpaceKey != "" {
					require.Equal(t, c.filter.SpaceKey, h.SpaceKey)
				}
			}
		})
	}

	require.NotEmpty(t, found(t, s, "sparrow numbre", search.Filter{}), "one of them misspelled")
	require.Empty(t, found(t, s, "sparrow pelican", search.Filter{}), "neither is misspelled, and no chunk has both")

	hits, err := s.Searcher().Search(t.Context(), viewer.All(), "sparrow", search.Filter{SourceID: "small", Limit: search.MaxHits})
	require.NoError(t, err)
	require.Len(t, hits, search.MaxHits, "of the 108 that a small source has among the 10,800")
	for _, h := range hits {
		require.Equal(t, "small", h.SourceID)
	}

	// Statistics are of yesterday, and what was added since then has other words.
	_, err = conn.Exec(t.Context(), `INSERT INTO archon_crawled_pages (url, chunk_number, content, source_id)
		SELECT 'https://example.com/new', i, 'heron of number ' || i, 'big' FROM generate_series(1, 9000) i`)
	require.NoError(t, err)
	require.True(t, indexRead(t, conn, s, "sparrow", search.Filter{}, words))
	require.Len(t, found(t, s, "sparrow", search.Filter{Limit: search.MaxHits}), search.MaxHits)
}

// indexRead reports whether a search reads an index when it runs.
func indexRead(t *testing.T, conn *pgx.Conn, s *store.Store, query string, f search.Filter, index string) bool {
	t.Helper()
	in, read := false, false
	for _, n := range plan(t, conn, s, "ANALYZE, ", query, f) {
		if n["Index Name"] == index {
			in, read = true, read || n["Actual Loops"] != 0.0
		}
	}
	require.True(t, in, "the index is no part of the plan")
	return read
}

// Who excludes something finds the rest, and nothing that holds it in its text or its titles.
func TestWhatIsExcluded(t *testing.T) {
	s, conn := storetest.Open(t)
	birds(t, conn, 1200)
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

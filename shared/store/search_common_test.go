package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// A word that most chunks hold is found in the newest ones, and the index on words, in which it
// stands 10,800 times, is not read for it.
func TestACommonWordIsFoundInTheNewestChunks(t *testing.T) {
	s, conn := open(t)
	birds(t, conn, 1200)
	halfway := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(-600 * time.Hour)
	const words = "idx_archon_crawled_pages_content_search"

	for name, c := range map[string]struct {
		query  string
		filter store.Filter
		read   bool // the index
	}{
		"most chunks":             {"sparrow", store.Filter{}, false},
		"two words":               {"sparrow number", store.Filter{}, false},
		"a filter that most pass": {"sparrow", store.Filter{ModifiedSince: time.Unix(0, 0)}, false},
		"half of the pages":       {"sparrow", store.Filter{ModifiedSince: halfway}, true}, // of so few chunks
		"every tenth chunk":       {"pelican", store.Filter{}, true},
		"one that nobody has":     {"sparrow ostrich", store.Filter{}, true},
		"one page in a hundred":   {"sparrow", store.Filter{SpaceKey: "SPACE7"}, true},
		"less what others have":   {"sparrow -pelican", store.Filter{}, true},
		"as a phrase":             {`"sparrow number"`, store.Filter{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.read, indexRead(t, conn, s, c.query, c.filter, words))
			c.filter.Limit = store.MaxHits
			hits, err := s.Search(t.Context(), viewer.All(), c.query, c.filter)
			require.NoError(t, err)
			if name == "one that nobody has" {
				require.Empty(t, hits)
				return
			}
			require.Len(t, hits, store.MaxHits)
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

	require.NotEmpty(t, found(t, s, "sparrow numbre", store.Filter{}), "one of them misspelled")
	require.Empty(t, found(t, s, "sparrow pelican", store.Filter{}), "neither is misspelled, and no chunk has both")

	hits, err := s.Search(t.Context(), viewer.All(), "sparrow", store.Filter{SourceID: "small", Limit: store.MaxHits})
	require.NoError(t, err)
	require.Len(t, hits, store.MaxHits, "of the 108 that a small source has among the 10,800")
	for _, h := range hits {
		require.Equal(t, "small", h.SourceID)
	}

	// Statistics are of yesterday, and what was added since then has other words.
	_, err = conn.Exec(t.Context(), `INSERT INTO archon_crawled_pages (url, chunk_number, content, source_id)
		SELECT 'https://example.com/new', i, 'heron of number ' || i, 'big' FROM generate_series(1, 9000) i`)
	require.NoError(t, err)
	require.True(t, indexRead(t, conn, s, "sparrow", store.Filter{}, words))
	require.Len(t, found(t, s, "sparrow", store.Filter{Limit: store.MaxHits}), store.MaxHits)
}

// indexRead reports whether a search reads an index when it runs.
func indexRead(t *testing.T, conn *pgx.Conn, s *store.Store, query string, f store.Filter, index string) bool {
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
	s, conn := open(t)
	birds(t, conn, 1200)
	all := store.Filter{Limit: store.MaxHits}
	for query, hits := range map[string]int{
		"sparrow -pelican":  store.MaxHits,
		"sparrow -number":   0, // what every match has in its text
		"sparrow -sparrow":  0,
		"sparrow -page":     0,             // what every match has in its title
		"sparrow -the":      store.MaxHits, // what the language leaves out is not held by anything
		"sparrow -nowhere":  store.MaxHits,
		`sparrow -"page 7"`: store.MaxHits,
	} {
		got, err := s.Search(t.Context(), viewer.All(), query, all)
		require.NoError(t, err)
		require.Len(t, got, hits, query)
		for _, h := range got {
			require.NotContains(t, h.Snippet, "pelican", query)
			require.False(t, query == `sparrow -"page 7"` && h.Title == "Page 7", query)
		}
	}
	got, err := s.Search(t.Context(), viewer.All(), `sparrow page 7 -pelican`, all)
	require.NoError(t, err)
	require.NotEmpty(t, got)
	for _, h := range got {
		require.NotContains(t, h.Snippet, "pelican", fmt.Sprint(h))
	}
}

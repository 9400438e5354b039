package store_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/store"
)

// sparrows are 1,200 pages of ten chunks each. Nine of ten chunks hold the word; every hundredth
// page is of another source.
const sparrows = `
	INSERT INTO archon_sources (source_id) VALUES ('big'), ('small');
	INSERT INTO confluence_pages (page_id, source_id, space_key, title, version, last_modified, path, metadata)
	SELECT n, CASE WHEN n % 100 = 0 THEN 'small' ELSE 'big' END, 'SPACE' || n % 2, 'Page ' || n, 1, now(), '/home/' || n,
		jsonb_build_object('labels', jsonb_build_array('label-' || n % 100))
	FROM generate_series(1, 1200) n;
	INSERT INTO archon_crawled_pages (url, chunk_number, content, source_id, metadata)
	SELECT 'https://example.com/' || n, i, CASE WHEN i = 7 THEN 'pelican' ELSE 'sparrow' END || ' of number ' || i,
		CASE WHEN n % 100 = 0 THEN 'small' ELSE 'big' END, jsonb_build_object('page_id', n::text, 'title', 'Page ' || n)
	FROM generate_series(1, 1200) n, generate_series(0, 9) i;
	ANALYZE archon_crawled_pages, confluence_pages`

// A word that most chunks hold is found in the newest ones, and the index on words, in which it
// stands 10,800 times, is not read for it.
func TestACommonWordIsFoundInTheNewestChunks(t *testing.T) {
	s, conn := open(t)
	_, err := conn.Exec(t.Context(), sparrows)
	require.NoError(t, err)
	const words = "idx_archon_crawled_pages_content_search"

	for name, c := range map[string]struct {
		query  string
		filter store.Filter
		read   bool // the index
	}{
		"most chunks":             {"sparrow", store.Filter{}, false},
		"two words":               {"sparrow number", store.Filter{}, false},
		"a filter that most pass": {"sparrow", store.Filter{ModifiedSince: time.Unix(0, 0)}, false},
		"half of the pages":       {"sparrow", store.Filter{SpaceKey: "SPACE1"}, true}, // of so few chunks
		"every tenth chunk":       {"pelican", store.Filter{}, true},
		"one that nobody has":     {"sparrow ostrich", store.Filter{}, true},
		"one page in a hundred":   {"sparrow", store.Filter{Label: "label-7"}, true},
		"less what others have":   {"sparrow -pelican", store.Filter{}, true},
		"as a phrase":             {`"sparrow of number"`, store.Filter{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.read, indexRead(t, conn, s, c.query, c.filter, words))
			c.filter.Limit = store.MaxHits
			hits, err := s.Search(t.Context(), c.query, c.filter)
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

	hits, err := s.Search(t.Context(), "sparrow", store.Filter{SourceID: "small", Limit: store.MaxHits})
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
	sql, args, err := s.SearchSQL(t.Context(), query, f)
	require.NoError(t, err)
	var raw []byte
	err = conn.QueryRow(t.Context(), "EXPLAIN (ANALYZE, FORMAT JSON) "+sql, append([]any{pgx.QueryExecModeExec}, args...)...).Scan(&raw)
	require.NoError(t, err)
	var plan any
	require.NoError(t, json.Unmarshal(raw, &plan))
	in, read := false, false
	var walk func(node any)
	walk = func(node any) {
		switch n := node.(type) {
		case []any:
			for _, child := range n {
				walk(child)
			}
		case map[string]any:
			if n["Index Name"] == index {
				in, read = true, read || n["Actual Loops"] != 0.0
			}
			for _, child := range n {
				walk(child)
			}
		}
	}
	walk(plan)
	require.True(t, in, "the index is no part of the plan")
	return read
}

// Who excludes something finds the rest, and nothing that holds it in its text or its titles.
func TestWhatIsExcluded(t *testing.T) {
	s, conn := open(t)
	_, err := conn.Exec(t.Context(), sparrows)
	require.NoError(t, err)
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
		got, err := s.Search(t.Context(), query, all)
		require.NoError(t, err)
		require.Len(t, got, hits, query)
		for _, h := range got {
			require.NotContains(t, h.Snippet, "pelican", query)
			require.False(t, query == `sparrow -"page 7"` && h.Title == "Page 7", query)
		}
	}
	got, err := s.Search(t.Context(), `sparrow page 7 -pelican`, all)
	require.NoError(t, err)
	require.NotEmpty(t, got)
	for _, h := range got {
		require.NotContains(t, h.Snippet, "pelican", fmt.Sprint(h))
	}
}

package search_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/store/storetest"
	"github.com/sluicehq/sluice/shared/store/vectors"
	"github.com/sluicehq/sluice/shared/viewer"
)

// meant gives every chunk of birds a vector, in the database itself.
func meant(t *testing.T, s *store.Store, conn *pgx.Conn) (table string) {
	t.Helper()
	space, err := s.Vectors().Open(t.Context(), vectors.IdentityOf("thirds", 3, 0))
	require.NoError(t, err)
	table = vectors.Table(space.ID)
	_, err = conn.Exec(t.Context(), fmt.Sprintf(`
		INSERT INTO confluence_chunk_texts (chunk_id, space_id, key) SELECT id, %[1]d, md5(id::text)::uuid FROM archon_crawled_pages;
		INSERT INTO confluence_texts (space_id, key, state) SELECT space_id, key, 'embedded' FROM confluence_chunk_texts;
		INSERT INTO %[2]s SELECT md5(id::text)::uuid, ARRAY[1, sin(id), cos(id * 7)]::halfvec FROM archon_crawled_pages;
		ANALYZE confluence_chunk_texts, %[2]s, confluence_chunk_words`, space.ID, table))
	require.NoError(t, err)
	return table
}

// A filter costs a search by meaning a look-up for each chunk, in one process, or none at all for chunks
// that the index finds.
func TestAFilterAddsLittleToASearchByMeaning(t *testing.T) {
	s, conn := storetest.OpenVectors(t)
	birds(t, s, conn, 400)
	table := meant(t, s, conn)
	half := search.Filter{ModifiedSince: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(-200 * time.Hour)}
	searcher := s.Searcher().Without(search.Wording)
	searcher.Ask(meanings{"where": {0.8, 0.6, 0}})

	compared := 0.0
	for _, n := range plansOf(t, conn, searcher, viewer.All(), "ANALYZE, ", "where", half) {
		require.NotContains(t, fmt.Sprint(n["Node Type"]), "Gather")
		if strings.HasSuffix(fmt.Sprint(n["Node Type"]), "Sort") && strings.Contains(fmt.Sprint(n["Sort Key"]), "<=>") {
			compared += n["Plans"].([]any)[0].(map[string]any)["Actual Rows"].(float64)
			require.Less(t, n["Plan Width"], 100.0, "vectors are not carried")
		}
		require.NotContains(t, fmt.Sprint(n["Index Cond"]), "page_id = ANY ('", "the planner is given no list of pages to estimate")
		if n["Index Name"] == "idx_confluence_chunk_words_of_page" {
			require.Equal(t, []any{2000.0, 1.0}, []any{n["Actual Rows"], n["Actual Loops"]}, "all pages at once")
		}
		if n["Relation Name"] == table {
			require.Equal(t, "Bitmap Heap Scan", n["Node Type"], "vectors are read in the order of the table, each page of it once")
		}
		if n["Index Name"] == "confluence_chunk_texts_pkey" && n["Actual Rows"] == 2000.0 {
			require.Equal(t, "Index Only Scan", n["Node Type"])
		}
	}
	require.InDelta(t, 2000+100, compared, 0, "each chunk once, and the nearest of them with their place")

	searcher.ByIndexOnly()
	_, err := conn.Exec(t.Context(), `SET enable_sort = off`) // the base is too small for its index
	require.NoError(t, err)
	var used bool
	for _, n := range plansOf(t, conn, searcher, viewer.All(), "ANALYZE, ", "where", half) {
		used = used || n["Index Name"] == "idx_"+table
		require.NotEqual(t, "idx_confluence_chunk_words_of_page", n["Index Name"])
		if n["Relation Name"] == "confluence_chunk_words" {
			require.LessOrEqual(t, n["Actual Loops"], 400.0)
		}
	}
	require.True(t, used, "the index on vectors is read")
}

// Half of the pages cost the index no more neighbours than all of them; the leg is a little shorter instead. A long answer
// is full.
func TestAFilterOfHalfThePagesSearchesNoMoreNeighbours(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		share                  float64
		depth, searched, taken int
	}{
		{1, 100, 200, 100}, {0.6, 100, 200, 100}, {0.5, 100, 200, 83}, {0.25, 100, 384, 80}, {0.01, 100, 600, 80}, {1, 300, 360, 300}, {0.5, 300, 576, 240}, {0.01, 300, 600, 240},
	} {
		searched, taken := search.Neighbours(c.share, c.depth)
		require.Equal(t, []int{c.searched, c.taken}, []int{searched, taken}, "%+v", c)
	}
}

package search_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/store/storetest"
	"github.com/sluicehq/sluice/shared/viewer"
)

// birds fills two sources with that many pages of ten short chunks each: 100 spaces, 200 labels, 500
// issues, 300 people, a page an hour. One source has every hundredth page. One word is in every tenth
// chunk, another in all the others.
func birds(t *testing.T, s *store.Store, conn *pgx.Conn, pages int) {
	t.Helper()
	_, err := conn.Exec(t.Context(), fmt.Sprintf(birdsSQL, pages))
	require.NoError(t, err)
	require.NoError(t, s.Searcher().Build(t.Context()), "the search does not know of them")
	// Entries that wait in the index's list count as its cost, and how many wait is chance: autovacuum takes them in too.
	_, err = conn.Exec(t.Context(), `SELECT gin_clean_pending_list('idx_confluence_chunk_words_words'); ANALYZE confluence_chunk_words`)
	require.NoError(t, err)
}

const birdsSQL = `
	INSERT INTO archon_sources (source_id) VALUES ('big'), ('small');
	INSERT INTO confluence_sites (site_id) VALUES (1);
	INSERT INTO confluence_spaces (source_id, site_id) VALUES ('big', 1), ('small', 1);
	INSERT INTO confluence_pages (page_id, site_id, source_id, space_key, title, version, last_modified, path, metadata)
	SELECT n, 1, CASE WHEN n %% 100 = 0 THEN 'small' ELSE 'big' END, 'SPACE' || n %% 100, 'Page ' || n, 1,
		timestamptz '2026-01-01' - n * interval '1 hour', '/home/' || n / 100 || '/' || n, jsonb_build_object(
			'labels', jsonb_build_array('label-' || n %% 200, 'all'),
			'jira_issue_links', jsonb_build_array(jsonb_build_object('issue_key', 'OPS-' || n %% 500)),
			'user_mentions', jsonb_build_array(jsonb_build_object('account_id', '712020:' || n %% 300)))
	FROM generate_series(1, %[1]d) n;
	UPDATE confluence_pages SET path = '/home/' || page_id WHERE page_id::int < 100;
	INSERT INTO archon_crawled_pages (url, chunk_number, content, source_id, metadata)
	SELECT 'https://example.com/' || n, i, 'chunk ' || CASE WHEN i = 7 THEN 'pelican' ELSE 'sparrow' END || ' number ' || i,
		CASE WHEN n %% 100 = 0 THEN 'small' ELSE 'big' END, jsonb_build_object('confluence_page_id', n::text, 'title', 'Page ' || n)
	FROM generate_series(1, %[1]d) n, generate_series(0, 9) i;
	ANALYZE archon_crawled_pages, confluence_pages`

func TestEachFilterUsesItsIndex(t *testing.T) {
	t.Parallel()
	s, conn := storetest.Open(t)
	birds(t, s, conn, 5000)
	for name, c := range map[string]struct {
		filter search.Filter
		index  string
		hits   int
	}{
		"none":     {search.Filter{}, "idx_confluence_chunk_words_words", search.MaxHits},
		"source":   {search.Filter{SourceID: "small"}, "idx_confluence_chunk_words_source", 50},
		"space":    {search.Filter{SpaceKey: "SPACE7"}, "idx_confluence_pages_space", 50},
		"under":    {search.Filter{Under: "7"}, "idx_confluence_pages_path", search.MaxHits},
		"label":    {search.Filter{Label: "label-7"}, "idx_confluence_pages_labels", 25},
		"jira":     {search.Filter{JiraIssue: "OPS-7"}, "idx_confluence_pages_jira_issue_links", 10},
		"mentions": {search.Filter{Mentions: "712020:7"}, "idx_confluence_pages_user_mentions", 17},
		"modified": {search.Filter{ModifiedSince: time.Date(2025, 12, 31, 0, 0, 0, 0, time.UTC)}, "idx_confluence_pages_last_modified", 24},
	} {
		t.Run(name, func(t *testing.T) {
			c.filter.Limit, c.filter.PerPage = search.MaxHits, 1
			used, read := explain(t, conn, s, "pelican 7", c.filter)
			require.Contains(t, used, c.index)
			small := func(table string) bool { return table == "confluence_spaces" || table == "confluence_sites" }
			require.Empty(t, slices.DeleteFunc(read, small), "no table that grows with the pages is scanned completely")
			require.Len(t, found(t, s, "pelican 7", c.filter), c.hits)
		})
	}
	t.Run("most pages", func(t *testing.T) {
		f := search.Filter{ModifiedSince: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(-4000 * time.Hour)}
		lookedUp := 0.0
		used, _ := explain(t, conn, s, "pelican 7", f)
		require.Contains(t, used, "idx_confluence_chunk_words_words", "chunks are not read one by one")
		for _, n := range plan(t, conn, s, "ANALYZE, ", "pelican 7", f) {
			if n["Relation Name"] == "confluence_pages" && n["Index Name"] == "confluence_pages_pkey" {
				lookedUp += n["Actual Loops"].(float64)
			}
		}
		require.LessOrEqual(t, lookedUp, 100.0, "the pages of the candidates only")
		require.Len(t, found(t, s, "pelican 7", f), 10)
	})
	for _, sql := range []string{guardedBirdsSQL, `VACUUM ANALYZE confluence_tree`} {
		_, err := conn.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	for reader, c := range map[string]struct {
		filter  search.Filter
		most    float64 // pages that are looked up in the tree
		byWords bool
	}{
		"r20": {search.Filter{}, 110, true},
		"r10": {search.Filter{}, 300, true},
		"r1":  {search.Filter{}, 10, false},
		"r2":  {search.Filter{Label: "all"}, 10, true},
	} {
		t.Run("reader "+reader, func(t *testing.T) {
			v := viewer.Everywhere().As(reader)
			lookedUp, chunks := 0.0, 0.0
			byWords, counted := false, false
			for _, n := range plansOf(t, conn, s.Searcher(), v, "ANALYZE, ", "pelican 7", c.filter) {
				if n["Node Type"] == "Seq Scan" {
					require.LessOrEqual(t, n["Actual Rows"], 3001.0, "%v is not scanned completely", n["Relation Name"])
				}
				byWords = byWords || n["Index Name"] == "idx_confluence_chunk_words_words"
				counted = counted || n["Node Type"] == "Index Only Scan" && n["Index Name"] == "idx_confluence_tree_layer_set"
				if n["Index Name"] == "confluence_tree_pkey" {
					lookedUp += n["Actual Loops"].(float64)
				}
				if n["Relation Name"] == "archon_crawled_pages" {
					chunks += n["Actual Loops"].(float64)
				}
			}
			require.True(t, counted, "whether the viewer sees many pages is read from the index alone")
			require.True(t, byWords || !c.byWords, "chunks are not read one by one")
			require.LessOrEqual(t, lookedUp, c.most, "the pages of the best chunks until there are a hundred, and of the hits")
			require.LessOrEqual(t, chunks, 10.0, "the hits alone")
			hits, err := s.Searcher().Search(t.Context(), v, "pelican 7", c.filter)
			require.NoError(t, err)
			require.Len(t, hits, 10)
		})
	}
}

// guardedBirdsSQL gives each page of birds one of 20 restrictions, as guardSQL of lab/permissiontest does: r20 passes
// all, r10 half, r1 one.
const guardedBirdsSQL = `
	INSERT INTO confluence_tree (source_id, node_id, kind, title) SELECT source_id, page_id, 'page', title FROM confluence_pages;
	UPDATE confluence_spaces SET permissions = 'enforce', access_read_at = now(), permissions_max_age = '1 year';
	INSERT INTO confluence_layers (source_id, object_kind, object_id, read_at) SELECT source_id, 'space', '7', now() FROM confluence_spaces;
	INSERT INTO confluence_layer_principals SELECT layer_id, 'everyone', '' FROM confluence_layers;
	INSERT INTO confluence_layers (source_id, object_kind, object_id, read_at) SELECT source_id, 'content', 'none-' || n, now() FROM confluence_spaces, generate_series(0, 19) n;
	INSERT INTO confluence_layer_principals SELECT l.layer_id, 'user', 'r' || r FROM confluence_layers l, unnest(ARRAY[1, 2, 10, 20]) r
	WHERE l.object_kind = 'content' AND split_part(l.object_id, '-', 2)::int < r;
	INSERT INTO confluence_layer_sets (source_id, layers) SELECT source_id, ARRAY[layer_id] FROM confluence_layers WHERE object_kind = 'content';
	UPDATE confluence_tree t SET layer_set = s.set_id FROM confluence_layer_sets s JOIN confluence_layers l ON s.layers = ARRAY[l.layer_id]
	WHERE l.source_id = t.source_id AND l.object_id = 'none-' || abs(hashtext(t.node_id)) % 20`

// explain returns the indexes that a search uses and the tables that it scans completely.
func explain(t *testing.T, conn *pgx.Conn, s *store.Store, query string, f search.Filter) (used, read []string) {
	t.Helper()
	for _, n := range plan(t, conn, s, "", query, f) {
		if name, ok := n["Index Name"].(string); ok {
			used = append(used, name)
		}
		if n["Node Type"] == "Seq Scan" {
			read = append(read, n["Relation Name"].(string))
		}
	}
	slices.Sort(used)
	require.NotEmpty(t, used)
	return slices.Compact(used), read
}

// plan returns the nodes of the plan for a search. Options such as "ANALYZE, " add to EXPLAIN's output.
func plan(t *testing.T, conn *pgx.Conn, s *store.Store, options, query string, f search.Filter) []map[string]any {
	t.Helper()
	return plansOf(t, conn, s.Searcher(), viewer.All(), options, query, f)
}

func plansOf(t *testing.T, conn *pgx.Conn, s *search.Searcher, v viewer.Viewer, options, query string, f search.Filter) (nodes []map[string]any) {
	t.Helper()
	var walk func(node any)
	walk = func(node any) {
		switch n := node.(type) {
		case []any:
			for _, child := range n {
				walk(child)
			}
		case map[string]any:
			nodes = append(nodes, n)
			for _, child := range n {
				walk(child)
			}
		}
	}
	for _, asked := range s.Statements(t.Context(), v, query, f) {
		var raw []byte
		err := conn.QueryRow(t.Context(), "EXPLAIN ("+options+"FORMAT JSON) "+asked.SQL, append([]any{pgx.QueryExecModeExec}, asked.Args...)...).Scan(&raw)
		require.NoError(t, err)
		var root any
		require.NoError(t, json.Unmarshal(raw, &root))
		walk(root)
	}
	return nodes
}

// Queries of the same form as the search's find the links and people of a page through their indexes.
func TestNestedMetadataIsFoundThroughItsIndex(t *testing.T) {
	t.Parallel()
	s, conn := filtered(t)
	_, err := conn.Exec(t.Context(), `
		INSERT INTO confluence_pages (page_id, site_id, source_id, space_key, title, version, last_modified, path, metadata)
		SELECT 'x' || n, site_id, 'docs', 'FILL', 'Filler', 1, now() - interval '10 years', '/x' || n, metadata
			|| '{"labels": ["filler"], "jira_issue_links": [{"issue_key": "FILL-1"}], "user_mentions": [{"account_id": "filler"}]}'
		FROM generate_series(1, 5000) n, confluence_pages WHERE page_id = '1';
		ANALYZE confluence_pages`)
	require.NoError(t, err)
	for index, f := range map[string]search.Filter{
		"idx_confluence_pages_jira_issue_links": {JiraIssue: "OPS-2"},
		"idx_confluence_pages_user_mentions":    {Mentions: "712020:2"},
		"idx_confluence_pages_labels":           {Label: "label-2"},
	} {
		used, _ := explain(t, conn, s, "words", f)
		require.Contains(t, used, index)
		require.Equal(t, []string{"2"}, found(t, s, "words", f), index)
	}
}

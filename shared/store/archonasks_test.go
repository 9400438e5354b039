package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// archon runs the queries that an unmodified Archon of November 2025 runs for its assistants' tools and its pages.
type archon struct {
	t    *testing.T
	conn *pgx.Conn
}

// all reads rows as maps, as Archon gets them from PostgREST.
func (a archon) all(sql string, args ...any) []map[string]any {
	a.t.Helper()
	rows, err := a.conn.Query(a.t.Context(), sql, args...)
	require.NoError(a.t, err)
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (m map[string]any, err error) { return m, row.Scan(&m) })
	require.NoError(a.t, err)
	return list
}

// Archon's two kinds of search: hybrid with words and vectors, its default, or vectors alone.
const (
	hybrid  = "hybrid_search_archon_crawled_pages(array_fill(1::real, ARRAY[1536])::vector, $1, $2, '{}', $3)"
	vectors = "match_archon_crawled_pages(array_fill(1::real, ARRAY[1536])::vector, $2, '{}', CASE WHEN $1::text IS NOT NULL THEN $3 END)"
)

// hits returns the chunks that Archon finds, of one source or, for nil, of all.
func (a archon) hits(by, query string, count int, source any) []map[string]any {
	a.t.Helper()
	return a.all(`SELECT to_jsonb(h) FROM `+by+` h`, query, count, source)
}

// pages returns the default answer of Archon's tool: hits grouped by the page that metadata.page_id names or, if no
// hit has a page_id, the hits themselves. One page_id that is not a uuid makes the whole answer an error, and a hit
// whose page is not found is omitted: both fail the test.
func (a archon) pages(by, query string, source any) []map[string]any {
	a.t.Helper()
	groups := map[string][]map[string]any{}
	named := false
	for _, h := range a.hits(by, query, 50, source) {
		meta := h["metadata"].(map[string]any)
		id, _ := meta["page_id"].(string)
		named = named || id != ""
		key := "id " + id
		if id == "" {
			key = "url " + fmt.Sprint(meta["url"])
		}
		groups[key] = append(groups[key], h)
	}
	if !named {
		return nil
	}
	var list []map[string]any
	for key, of := range groups {
		how, value, _ := strings.Cut(key, " ")
		found := a.all(`SELECT to_jsonb(m) || '{}' FROM (SELECT id, url, section_title, word_count FROM archon_page_metadata WHERE `+how+` = $1) m`, value)
		if !strings.HasPrefix(value, "file://notes.pdf") { // uploads have no pages
			require.Len(a.t, found, 1, "%s is dropped from the answer: %v", key, of[0]["content"])
		}
		for _, p := range found {
			p["chunks"] = len(of)
			list = append(list, p)
		}
	}
	return list
}

// list runs Archon's tool that lists the pages of a source.
func (a archon) list(source string) []map[string]any {
	a.t.Helper()
	return a.all(`SELECT to_jsonb(m) FROM archon_page_metadata m WHERE source_id = $1 ORDER BY section_order, created_at`, source)
}

// read runs Archon's tool that reads a page that a search returned. A page over the length limit is replaced by a
// note.
func (a archon) read(how string, value any) string {
	a.t.Helper()
	found := a.all(`SELECT to_jsonb(m) FROM archon_page_metadata m WHERE `+how+` = $1`, value)
	require.Len(a.t, found, 1)
	for _, key := range []string{"id", "source_id", "url", "full_content", "section_order", "word_count", "char_count", "chunk_count", "metadata", "created_at", "updated_at"} {
		require.NotNil(a.t, found[0][key], "its answer needs %s", key)
	}
	text := found[0]["full_content"].(string)
	require.EqualValues(a.t, utf8.RuneCountInString(text), found[0]["char_count"])
	require.EqualValues(a.t, len(strings.Fields(text)), found[0]["word_count"])
	require.LessOrEqual(a.t, utf8.RuneCountInString(text), 20_000, "Archon would not show it")
	return text
}

// card is what Archon's knowledge page shows of a source, computed as Archon does.
type card struct {
	kind, title, description, url, knowledge string
	pages                                    float64
	tags                                     []any
	chunks                                   int
}

func (a archon) card(source string) card {
	a.t.Helper()
	row := a.all(`SELECT to_jsonb(s) FROM archon_sources s WHERE source_id = $1`, source)[0]
	meta := row["metadata"].(map[string]any)
	c := card{kind: "Document", title: row["title"].(string), knowledge: meta["knowledge_type"].(string), tags: meta["tags"].([]any)}
	first := a.all(`SELECT to_jsonb(c) FROM (SELECT url FROM archon_crawled_pages WHERE source_id = $1 ORDER BY created_at LIMIT 1) c`, source)
	c.url = "source://" + source
	if len(first) > 0 {
		c.url = first[0]["url"].(string)
	}
	if meta["source_type"] == "url" && !strings.HasPrefix(c.url, "file://") {
		c.kind = "Web Page"
	}
	c.description, _ = meta["description"].(string)
	c.pages = row["total_word_count"].(float64) / 250
	c.chunks = int(a.all(`SELECT to_jsonb(c) FROM (SELECT count(*) AS n FROM archon_crawled_pages WHERE source_id = $1) c`, source)[0]["n"].(float64))
	require.NotNil(a.t, meta["update_frequency"])
	require.NotEmpty(a.t, row["summary"], "Archon's tool that lists sources needs a summary")
	return c
}

// refreshes returns what Archon's Refresh would crawl. Its crawler accepts web addresses, files and texts.
func (a archon) refreshes(source string) string {
	a.t.Helper()
	meta := a.all(`SELECT metadata FROM archon_sources WHERE source_id = $1`, source)[0]
	if u, _ := meta["original_url"].(string); u != "" {
		return u
	}
	return a.card(source).url
}

// crawls changes the database as Archon does when it crawls an address, for whatever source: it deletes the chunks of
// that address and inserts its own. If a page with the address exists already, it stores no page of its own.
func (a archon) crawls(source, url, text string) {
	a.t.Helper()
	exec := func(sql string, args ...any) {
		_, err := a.conn.Exec(a.t.Context(), sql, args...)
		require.NoError(a.t, err)
	}
	exec(`INSERT INTO archon_sources (source_id, title, summary, metadata) VALUES ($1::text, $1::text, 'Crawled', '{"source_type": "url", "tags": [], "update_frequency": 7}')
		ON CONFLICT (source_id) DO NOTHING`, source)
	exec(`INSERT INTO archon_page_metadata (source_id, url, full_content, word_count, char_count) VALUES ($1, $2, $3, 1, 1) ON CONFLICT DO NOTHING`, source, url, text)
	exec(`DELETE FROM archon_crawled_pages WHERE url = ANY ($1)`, []string{url})
	exec(`INSERT INTO archon_crawled_pages (url, chunk_number, content, source_id, metadata)
		VALUES ($1::text, 0, $2, $3::text, jsonb_build_object('url', $1::text, 'source_id', $3::text, 'crawl_type', 'webpage'))`, url, text, source)
}

// deletes is Archon's Delete of a source.
func (a archon) deletes(source string) {
	a.t.Helper()
	for _, table := range []string{"archon_crawled_pages", "archon_code_examples", "archon_sources"} {
		_, err := a.conn.Exec(a.t.Context(), `DELETE FROM `+table+` WHERE source_id = $1`, source)
		require.NoError(a.t, err)
	}
}

// pending returns those of Archon's migrations that its migrations page shows as pending.
func (a archon) pending() []string {
	a.t.Helper()
	_, err := a.conn.Exec(a.t.Context(), `SELECT id FROM archon_migrations LIMIT 0`)
	require.NoError(a.t, err)
	applied := column[string](a.t, a.conn, `SELECT version || ' ' || migration_name FROM archon_migrations ORDER BY applied_at DESC`)
	var list []string
	for _, name := range []string{
		"001_add_source_url_display_name", "002_add_hybrid_search_tsvector", "003_ollama_add_columns", "004_ollama_migrate_data",
		"005_ollama_create_functions", "006_ollama_create_indexes_optional", "007_add_priority_column_to_tasks", "008_add_migration_tracking",
		"009_add_cascade_delete_constraints", "010_add_provider_placeholders", "011_add_page_metadata_table",
	} {
		if !slices.Contains(applied, "0.1.0 "+name) {
			list = append(list, name)
		}
	}
	return list
}

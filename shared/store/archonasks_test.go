package store_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// archon asks a database what an unmodified Archon of November 2025 asks it, for its assistants' tools
// and its pages.
type archon struct {
	t    *testing.T
	conn *pgx.Conn
}

// all reads rows as maps, as PostgREST gives them to Archon.
func (a archon) all(sql string, args ...any) []map[string]any {
	a.t.Helper()
	rows, err := a.conn.Query(a.t.Context(), sql, args...)
	require.NoError(a.t, err)
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (m map[string]any, err error) { return m, row.Scan(&m) })
	require.NoError(a.t, err)
	return list
}

// Its two ways to search: words and vectors together, which it is set to, or vectors alone.
const (
	hybrid  = "hybrid_search_archon_crawled_pages(array_fill(1::real, ARRAY[1536])::vector, $1, $2, '{}', $3)"
	vectors = "match_archon_crawled_pages(array_fill(1::real, ARRAY[1536])::vector, $2, '{}', CASE WHEN $1::text IS NOT NULL THEN $3 END)"
)

// hits are chunks that it finds, of one source or, for nil, of all.
func (a archon) hits(by, query string, count int, source any) []map[string]any {
	a.t.Helper()
	return a.all(`SELECT to_jsonb(h) FROM `+by+` h`, query, count, source)
}

// pages is its tool's default way to answer: hits by the page that metadata.page_id names, or where
// none has that, the hits themselves. One page_id that is no uuid is an error for the whole answer,
// and a hit whose page is not found is left out: both fail the test.
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

// list is its tool that lists the pages of a source.
func (a archon) list(source string) []map[string]any {
	a.t.Helper()
	return a.all(`SELECT to_jsonb(m) FROM archon_page_metadata m WHERE source_id = $1 ORDER BY section_order, created_at`, source)
}

// read is its tool that reads a page by what a search gave; what is longer than that is replaced by a note.
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
	require.LessOrEqual(a.t, utf8.RuneCountInString(text), 20_000, "it would not be shown")
	return text
}

// card is what its page of knowledge shows of a source, put together as it does that.
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
	require.NotEmpty(a.t, row["summary"], "its tool that lists sources has nothing to choose by")
	return c
}

// refreshes is what its Refresh would crawl. Its crawler takes web addresses, files and texts.
func (a archon) refreshes(source string) string {
	a.t.Helper()
	meta := a.all(`SELECT metadata FROM archon_sources WHERE source_id = $1`, source)[0]
	if u, _ := meta["original_url"].(string); u != "" {
		return u
	}
	return a.card(source).url
}

// crawls is what it does to the database when it crawls an address, of whatever source: chunks of that
// address go, and its own come. Where a page of the address is there already, it keeps none of its own.
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

// deletes is its Delete of a source.
func (a archon) deletes(source string) {
	a.t.Helper()
	for _, table := range []string{"archon_crawled_pages", "archon_code_examples", "archon_sources"} {
		_, err := a.conn.Exec(a.t.Context(), `DELETE FROM `+table+` WHERE source_id = $1`, source)
		require.NoError(a.t, err)
	}
}

// pending are those of its migrations that its page of migrations says are still to be applied.
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
		if !contains(applied, "0.1.0 "+name) {
			list = append(list, name)
		}
	}
	return list
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// handbook is a page of sections, of which each has so many words.
func handbook(run string, version, words int) store.PageWrite {
	w := write("docs", run, "3", version, "Handbook")
	w.Markdown = "Words before the first heading.\n\n"
	w.Chunks = append(w.Chunks, chunkOf(w, "Words before the first heading."))
	for _, title := range []string{"Lighthouses", "Harbours: *old* and new", "Lighthouses"} {
		text := strings.TrimSpace(strings.Repeat("lamp ", words))
		w.Markdown += "# " + title + "\n\n```\n# no heading\n```\n\n" + text + "\n\n## Details\n\n" + text + "\n\n"
		plain := strings.ReplaceAll(title, "*", "")
		w.Headings = append(w.Headings, page.Heading{Level: 1, Text: plain, Anchor: strings.ReplaceAll(plain, " ", "-")}, page.Heading{Level: 2, Text: "Details", Anchor: "Details"})
		w.Chunks = append(w.Chunks, chunkOf(w, title+" "+text, plain))
		w.Chunks = append(w.Chunks, chunkOf(w, "Details "+text, plain, "Details"))
	}
	return w
}

// chunkOf is the next chunk of a page, under these headings.
func chunkOf(w store.PageWrite, text string, path ...string) store.Chunk {
	n := len(w.Chunks)
	c := write(w.SourceID, "", w.Page.ID, 1, w.Page.Title, text).Chunks[0]
	c.Number, c.Metadata.ChunkIndex, c.Metadata.HeadingPath = n, n, append([]string{}, path...)
	c.Metadata.ContentHash = fmt.Sprint(n, text)
	return c
}

// fill gives the source docs three pages, one of them too long for Archon's assistants.
func fill(t *testing.T, s *store.Store) {
	t.Helper()
	require.NoError(t, s.AddSource(t.Context(), store.Source{ID: "docs", BaseURL: "https://acme.atlassian.net/wiki", SpaceKey: "DOCS", DisplayName: "Docs", Tags: []string{"wiki"}}))
	run := fullRun(t, s, "docs", "r1", listed("1", 1, "Home"), listed("2", 1, "Keys"), listed("3", 1, "Handbook"))
	home := write("docs", "r1", "1", 1, "Home", "our words about harbours")
	home.Metadata.WordCount = 500
	store1(t, s, home)
	store1(t, s, write("docs", "r1", "2", 1, "Keys", "words on keys", "more words"))
	store1(t, s, handbook("r1", 1, 1500))
	require.Equal(t, event.StateCompleted, finish(t, s, run).State)
}

// Its tools and pages find what Sluice has stored as they find their own, whoever was there first.
func TestAnUnmodifiedArchonFindsOurPages(t *testing.T) {
	t.Parallel()
	for name, order := range map[string]string{"Archon first": "archon", "Sluice first": "sluice"} {
		t.Run(name, func(t *testing.T) {
			address := pgtest.VectorURL(t)
			conn := connect(t, address)
			withRoles(t, conn)
			a := archon{t, conn}
			s := opened(t, address)
			files := november("3_vectors")
			apply(t, conn, files[:2]...)
			up := func() []string {
				applied, err := s.Migrate(t.Context())
				require.NoError(t, err)
				due, err := s.BeforeArchon(t.Context())
				require.NoError(t, err)
				require.False(t, due)
				return applied
			}
			if order == "archon" {
				apply(t, conn, files[2:]...)
				up()
				fill(t, s)
			} else {
				up()
				fill(t, s)
				require.Equal(t, []string{"1"}, column[string](t, conn, `SELECT DISTINCT metadata->>'page_id' FROM archon_crawled_pages WHERE content LIKE 'our words%'`),
					"without an Archon it is Confluence's id, as specified")
				apply(t, conn, files[2:]...)
				due, err := s.BeforeArchon(t.Context())
				require.NoError(t, err)
				require.True(t, due)
				require.Equal(t, []string{"archon: its assistants find the 3 pages that were here before it"}, up())
				require.Empty(t, up())
			}

			require.Empty(t, a.pending())
			found := a.pages(hybrid, "words", nil)
			require.GreaterOrEqual(t, len(found), 4, "ours beside its own")
			require.Len(t, a.pages(hybrid, "harbours", "docs"), 2)
			require.Len(t, a.hits(hybrid, "words", 50, "web"), 2, "filtered by source")
			does(t, conn, `UPDATE archon_crawled_pages SET embedding_1536 = array_fill(0.5::real, ARRAY[1536])::vector WHERE source_id IN ('docs', 'web')`)
			require.Len(t, a.pages(vectors, "", "docs"), 6)
			require.NotEmpty(t, a.pages(vectors, "", nil))

			list := a.list("docs")
			require.Len(t, list, 6, "two pages, and the handbook in four parts")
			text := ""
			for _, p := range list {
				require.Contains(t, p["metadata"], "knowledge_type")
				require.Contains(t, p["metadata"], "tags")
				require.Equal(t, a.read("id", p["id"]), a.read("url", p["url"]))
				of := a.all(`SELECT to_jsonb(c) FROM archon_crawled_pages c WHERE page_id = $1`, p["id"])
				require.Len(t, of, int(p["chunk_count"].(float64)))
				for _, c := range of {
					require.Equal(t, p["id"], c["metadata"].(map[string]any)["page_id"])
				}
				if strings.Contains(p["url"].(string), "/3") {
					text += p["full_content"].(string)
				}
			}
			require.Equal(t, handbook("", 1, 1500).Markdown, text, "the parts are the page")
			sections := column[string](t, conn, `SELECT coalesce(section_title, '-') || ' ' || url || ' ' || chunk_count FROM archon_page_metadata WHERE url ~ '/3(#|$)' ORDER BY section_order`)
			const three = "https://acme.atlassian.net/wiki/spaces/DOCS/pages/3"
			require.Equal(t, []string{"- " + three + " 1", "Lighthouses " + three + "#Lighthouses 2",
				"Harbours: old and new " + three + "#Harbours:-old-and-new 2", "Lighthouses " + three + "#Lighthouses-2 2"}, sections)

			c := a.card("docs")
			require.Equal(t, "Web Page", c.kind)
			require.Equal(t, "Docs", c.title)
			require.Equal(t, "Docs: the Confluence space DOCS of acme.atlassian.net, 3 pages, among them Handbook, Home, Keys. Synced by Sluice.", c.description)
			require.InDelta(t, 2, c.pages, 0.001)
			require.Equal(t, "technical", c.knowledge)
			require.Equal(t, []any{"wiki"}, c.tags)
			require.Equal(t, 10, c.chunks)

			a.deletes("docs")
			require.NoError(t, s.Searcher().Count(t.Context()), "what went is counted by whoever searches next")
			require.Empty(t, holding(t, conn, "docs"))
			fill(t, s)
			require.Len(t, a.list("docs"), 6, "and added again")
		})
	}
}

// Rows follow the page: they are as many as it has parts, keep their ids, move with it and go with it.
func TestRowsOfWholePagesFollowThePage(t *testing.T) {
	t.Parallel()
	address, conn := variant{vectors: true, files: november("3_vectors")}.install(t)
	s := opened(t, address)
	_, err := s.Migrate(t.Context())
	require.NoError(t, err)
	a := archon{t, conn}
	fill(t, s)
	ids := func() []string {
		return column[string](t, conn, `SELECT id::text FROM archon_page_metadata WHERE source_id NOT IN ('web') ORDER BY 1`)
	}
	before := ids()
	require.Len(t, before, 6)

	store1(t, s, handbook("", 2, 1600))
	require.Equal(t, before, ids(), "an edit")
	store1(t, s, handbook("", 3, 15))
	require.Len(t, ids(), 3, "it is short enough now")
	require.Subset(t, before, ids())
	require.Len(t, a.pages(hybrid, "lamp", "docs"), 1)
	w := handbook("", 4, 15)
	w.Page.URL += "/Renamed"
	store1(t, s, w)
	require.Len(t, ids(), 3, "renamed")
	require.Contains(t, a.read("url", w.Page.URL), "lamp")

	addSource(t, s, "team")
	w = handbook("", 5, 15)
	w.SourceID = "team"
	w.Page.URL += "/Renamed"
	store1(t, s, w)
	require.Len(t, ids(), 3, "moved to another space")
	require.Len(t, a.list("team"), 1)
	require.Len(t, a.pages(hybrid, "lamp", nil), 1)

	run := fullRun(t, s, "docs", "r2", listed("1", 1, "Home"))
	require.NoError(t, s.RemovePages(t.Context(), run, []store.Removal{}))
	candidates, _, err := s.FindRemovalCandidates(t.Context(), run)
	require.NoError(t, err)
	require.Equal(t, []string{"2"}, candidates)
	require.NoError(t, s.RemovePages(t.Context(), run, []store.Removal{{PageID: "2", Reason: "trashed"}}))
	require.Len(t, a.list("docs"), 1, "removed")

	d := store.DocumentWrite{SourceID: "files", URL: "file://files/notes.md", Title: "Notes", Markdown: "notes on lamps"}
	d.Chunks = write("files", "", "", 1, "Notes", "notes on lamps").Chunks
	d.Chunks[0].Metadata.CrawlType, d.Chunks[0].Metadata.URL = "document", d.URL
	_, err = s.WriteDocument(t.Context(), d)
	require.NoError(t, err)
	require.Equal(t, "notes on lamps", a.read("url", d.URL))
	require.Len(t, a.pages(hybrid, "notes", nil), 1)
	n, err := s.RemoveDocument(t.Context(), "files", d.URL)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Empty(t, a.list("files"))
}

// A crawl cannot reach our pages by its Refresh. Should somebody crawl the wiki otherwise, the next full
// run takes notice and the page's failure says what is in the way.
func TestArchonsCrawlDoesNoHarm(t *testing.T) {
	t.Parallel()
	address, conn := variant{vectors: true, files: november("3_vectors")}.install(t)
	s := opened(t, address)
	_, err := s.Migrate(t.Context())
	require.NoError(t, err)
	a := archon{t, conn}
	fill(t, s)
	for _, takes := range []string{"http://", "https://", "file://", "raw:"} {
		require.False(t, strings.HasPrefix(a.refreshes("docs"), takes))
	}

	url := write("docs", "", "2", 1, "Keys").Page.URL
	a.crawls("crawled", url, "Log in to continue")
	require.Empty(t, contents(t, s, "docs", "2"))
	lost, err := s.LostChunks(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[string]int{"docs": 1}, lost)
	run := fullRun(t, s, "docs", "r2", listed("1", 1, "Home"), listed("2", 1, "Keys"), listed("3", 1, "Handbook"))
	require.Equal(t, []string{"2"}, waiting(t, s, "r2"), "it is fetched again")
	_, err = s.WritePage(t.Context(), write("docs", "r2", "2", 1, "Keys", "words on keys", "more words"))
	require.ErrorContains(t, err, "chunks of something else stand under the address")

	a.deletes("crawled")
	require.Equal(t, event.Updated, store1(t, s, write("docs", "r2", "2", 1, "Keys", "words on keys", "more words")))
	require.Equal(t, []string{"words on keys", "more words"}, contents(t, s, "docs", "2"))
	require.Equal(t, event.StateCompleted, finish(t, s, run).State)
	require.NotEmpty(t, a.pages(hybrid, "keys", "docs"))
	lost, err = s.LostChunks(t.Context())
	require.NoError(t, err)
	require.Empty(t, lost)
}

// Archon's whole set-up runs after ours, with what it makes without asking.
func TestArchonCanBeSetUpAfterUs(t *testing.T) {
	t.Parallel()
	for extension, server := range map[string]func(testing.TB) string{"3_vectors": pgtest.VectorURL, "4_trigrams": pgtest.URL} {
		t.Run(extension, func(t *testing.T) {
			files := november(extension)
			var alone []pgtest.Object
			t.Run("alone", func(t *testing.T) {
				address, _ := variant{files: files, vectors: extension == "3_vectors"}.install(t)
				alone = schema(t, address)
			})
			address := server(t)
			conn := connect(t, address)
			withRoles(t, conn)
			s := opened(t, address)
			apply(t, conn, files[:2]...)
			_, err := s.Migrate(t.Context())
			require.NoError(t, err)
			apply(t, conn, files[2:]...)
			_, err = s.Migrate(t.Context())
			require.NoError(t, err)
			require.NoError(t, s.VerifyMigrations(t.Context()))

			there := map[string]string{}
			for _, o := range schema(t, address) {
				there[o.Name] = o.SQL
			}
			for _, o := range alone {
				if strings.HasPrefix(o.Name, "index ") || strings.HasPrefix(o.Name, "trigger ") {
					require.Equal(t, o.SQL, there[o.Name], o.Name)
				}
			}
			require.NotContains(t, there, "index public.idx_confluence_chunks_source on public.archon_crawled_pages", "Archon's own does")
			require.Empty(t, archon{t, conn}.pending())
		})
	}
}

// What somebody has put in place of our summary stays.
func TestASummaryOfSomebodysStays(t *testing.T) {
	s, conn := open(t)
	fill(t, s)
	does(t, conn, `UPDATE archon_sources SET summary = 'Mine', metadata = metadata || '{"description": "Mine too"}'`)
	run := fullRun(t, s, "docs", "r2", listed("1", 1, "Home"), listed("2", 1, "Keys"), listed("3", 1, "Handbook"))
	require.Equal(t, event.StateCompleted, finish(t, s, run).State)
	require.Equal(t, []string{"Mine", "Mine too"}, column[string](t, conn, `SELECT unnest(ARRAY[summary, metadata->>'description']) FROM archon_sources`))
	src, err := s.Reader().Source(t.Context(), viewer.All(), "docs")
	require.NoError(t, err)
	require.Equal(t, "confluence", src.System)
}

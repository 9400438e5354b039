package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/migrations"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// handbook returns a page of sections with the given number of words each.
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

// chunkOf returns the next chunk of a page, under these headings.
func chunkOf(w store.PageWrite, text string, path ...string) store.Chunk {
	n := len(w.Chunks)
	c := write(w.SourceID, "", w.Page.ID, 1, w.Page.Title, text).Chunks[0]
	c.Number, c.Metadata.ChunkIndex, c.Metadata.HeadingPath = n, n, append([]string{}, path...)
	c.Metadata.ContentHash = fmt.Sprint(n, text)
	return c
}

// fill stores three pages in the source docs, one of them too long for Archon's assistants.
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

// Archon's tools and pages find Sluice's chunks like their own, whichever was installed first.
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
				due, err := s.HasChunksBeforeArchon(t.Context())
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
					"without an Archon, it is Confluence's id, as specified")
				apply(t, conn, files[2:]...)
				due, err := s.HasChunksBeforeArchon(t.Context())
				require.NoError(t, err)
				require.True(t, due)
				require.Equal(t, []string{"archon: converted 3 pages that were written before it was installed"}, up())
				require.Empty(t, up())
			}

			require.Empty(t, a.pending())
			found := a.pages(hybrid, "words", nil)
			require.GreaterOrEqual(t, len(found), 4, "Sluice's as well as its own")
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
			require.NoError(t, s.Searcher().Count(t.Context()), "the next search counts deleted chunks")
			require.Empty(t, holding(t, conn, "docs"))
			fill(t, s)
			require.Len(t, a.list("docs"), 6, "and added again")
		})
	}
}

// The rows match the page: there is one per part; they keep their ids and are moved and deleted with the page.
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
	long := handbook("", 3, 3000)
	store1(t, s, long)
	text := ""
	parts := 0
	for _, p := range a.list("docs") {
		if strings.Contains(p["url"].(string), "/3") {
			parts++
			text += a.read("id", p["id"])
			require.EqualValues(t, 1, p["chunk_count"])
		}
	}
	require.Equal(t, long.Markdown, text)
	require.Equal(t, 7, parts, "a section that is too long is cut at its subheadings")
	require.Len(t, a.pages(hybrid, "lamp", "docs"), 6)
	store1(t, s, handbook("", 3, 1600)) // the same version again changes nothing
	w := handbook("", 4, 1600)
	store1(t, s, w)
	require.Equal(t, before, ids(), "and back")
	store1(t, s, handbook("", 5, 15))
	require.Len(t, ids(), 3, "it is short enough now")
	require.Subset(t, before, ids())
	require.Len(t, a.pages(hybrid, "lamp", "docs"), 1)
	w = handbook("", 6, 15)
	w.Page.URL += "/Renamed"
	store1(t, s, w)
	require.Len(t, ids(), 3, "renamed")
	require.Contains(t, a.read("url", w.Page.URL), "lamp")

	addSource(t, s, "team")
	w = handbook("", 7, 15)
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

// Archon's Refresh cannot crawl Sluice's pages. If somebody crawls the wiki in another way, the next full run detects
// it, and the page's failure says what has the same address.
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

// Archon's whole setup runs after Sluice's, including what it creates without asking.
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
			require.NotContains(t, there, "index public.idx_confluence_chunks_source on public.archon_crawled_pages", "Archon's own index replaces it")
			require.Empty(t, archon{t, conn}.pending())
		})
	}
}

// A summary that somebody has written is kept.
func TestASummaryOfSomebodysStays(t *testing.T) {
	t.Parallel()
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

// What a chunk shows is found through an index that does not contain Archon's own chunks.
func TestWhatAChunkShowsIsFoundByAnIndex(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "docs")
	w := write("docs", "", "1", 1, "Home", "OPS-42 by @Ann", "nothing")
	m := &w.Chunks[0].Metadata
	m.JiraIssueLinks = []page.JiraIssue{{IssueKey: "OPS-42", IssueURL: "https://acme.atlassian.net/browse/OPS-42"}}
	m.UserMentions = []page.User{{AccountID: "712020:a", DisplayName: "Ann"}}
	m.InternalLinks = []page.Link{{PageID: "2", PageTitle: "Keys"}}
	store1(t, s, w)
	does(t, conn, `INSERT INTO archon_crawled_pages (url, chunk_number, content, source_id, metadata)
		SELECT 'https://example.com/' || n, 0, 'crawled', 'docs', '{"page_id": null, "title": "A"}' FROM generate_series(1, 2000) n; ANALYZE archon_crawled_pages`)
	for _, c := range [][3]string{
		{"jira_issue_links", `[{"issue_key": "OPS-42"}]`, "idx_confluence_chunks_jira_issue_links"},
		{"user_mentions", `[{"account_id": "712020:a"}]`, "idx_confluence_chunks_user_mentions"},
		{"internal_links", `[{"page_id": "2"}]`, "idx_confluence_chunks_internal_links"},
	} {
		where := `FROM archon_crawled_pages WHERE metadata ? '` + c[0] + `' AND metadata->'` + c[0] + `' @> '` + c[1] + `'`
		require.Equal(t, []string{"OPS-42 by @Ann"}, column[string](t, conn, `SELECT content `+where))
		require.Contains(t, strings.Join(column[string](t, conn, `EXPLAIN SELECT content `+where), "\n"), c[2])
	}
	require.Contains(t, strings.Join(column[string](t, conn, `EXPLAIN SELECT content FROM archon_crawled_pages WHERE metadata ? 'confluence_page_id' AND metadata->>'confluence_page_id' = '1'`), "\n"),
		"idx_confluence_chunks_confluence_page_id")
}

// A database of the previous release, with its rows.
func TestChunksOfAnOlderReleaseAreTiedToTheirPages(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "docs")
	store1(t, s, write("docs", "", "1", 1, "Home", "alpha", "beta"))
	file, err := os.ReadFile(filepath.Join("..", "..", "migrations", "025_add_confluence_page_id_to_chunks.sql"))
	require.NoError(t, err)
	up, down, _ := strings.Cut(string(file), "-- +goose Down")
	does(t, conn, down)
	does(t, conn, `UPDATE archon_crawled_pages SET metadata = metadata - 'confluence_page_id'; UPDATE archon_sources SET metadata = metadata - 'sluice_system' - 'update_frequency';
		INSERT INTO archon_sources (source_id) VALUES ('web');
		INSERT INTO archon_crawled_pages (url, chunk_number, content, source_id, metadata) VALUES ('https://example.com', 0, 'crawled', 'web', '{"page_id": "1", "crawl_type": "page"}')`)
	require.Equal(t, []string{"confluence"}, column[string](t, conn, `SELECT metadata->>'source_type' FROM archon_sources WHERE source_id = 'docs'`))
	does(t, conn, up)
	require.Equal(t, []string{"alpha", "beta"}, contents(t, s, "docs", "1"))
	require.Equal(t, []string{"{\"page_id\": \"1\", \"crawl_type\": \"page\"}"}, column[string](t, conn, `SELECT metadata::text FROM archon_crawled_pages WHERE source_id = 'web'`))
	require.Equal(t, []string{"url confluence 7 sluice+https://acme.atlassian.net/wiki/spaces/DOCS"}, column[string](t, conn,
		`SELECT concat_ws(' ', metadata->>'source_type', metadata->>'sluice_system', metadata->>'update_frequency', metadata->>'original_url') FROM archon_sources WHERE source_id = 'docs'`))
	store1(t, s, write("docs", "", "1", 2, "Home", "alpha", "gamma"))
	require.Equal(t, []string{"alpha", "gamma"}, contents(t, s, "docs", "1"))
}

// A source that another program made, without a page yet, is as open after the upgrade as it was before.
func TestASourceWithoutASpaceStaysOpen(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	does(t, conn, `INSERT INTO archon_sources (source_id, metadata) VALUES ('theirs', '{"source_type": "confluence"}');
		INSERT INTO archon_crawled_pages (url, chunk_number, content, source_id) VALUES ('https://example.com', 0, 'text', 'theirs')`)
	file, err := os.ReadFile(filepath.Join("..", "..", "migrations", "043_bind_api_keys_to_readers.sql"))
	require.NoError(t, err)
	up, down, _ := strings.Cut(string(file), "-- +goose Down")
	does(t, conn, down)
	does(t, conn, up)
	list, err := s.Reader().ChunksAround(t.Context(), viewer.Everywhere(), "theirs", "https://example.com", 0, 1)
	require.NoError(t, err)
	require.Len(t, list, 1)
}

// Older releases identify chunks by page_id alone, and store only one page per id.
func TestOlderReleasesFindTheirChunksAfterDown(t *testing.T) {
	t.Parallel()
	address, conn := variant{vectors: true, files: november("3_vectors")}.install(t)
	s := opened(t, address)
	_, err := s.Migrate(t.Context())
	require.NoError(t, err)
	fill(t, s)
	require.NoError(t, s.AddSource(t.Context(), store.Source{ID: "theirs", BaseURL: otherSite, SpaceKey: "DOCS"}))
	run := fullRun(t, s, "theirs", "o1", listed("1", 7, "Home"), listed("2", 9, "Locks"))
	store1(t, s, ofOther("o1", "1", 7, "Home", "gamma words"))
	store1(t, s, ofOther("o1", "2", 9, "Locks", "delta words"))
	require.Equal(t, event.StateCompleted, finish(t, s, run).State)
	_, err = conn.Exec(t.Context(), `UPDATE confluence_pages SET is_deleted = true WHERE source_id = 'docs' AND page_id = '2'`)
	require.NoError(t, err)

	db := stdlib.OpenDB(*conn.Config())
	t.Cleanup(func() { _ = db.Close() })
	require.NoError(t, migrations.DownTo(t.Context(), db, 22))
	require.Equal(t, []string{"docs 1", "docs 3", "theirs 2"}, column[string](t, conn, `SELECT source_id || ' ' || page_id FROM confluence_pages ORDER BY 1`),
		"of two pages, the one that is live, or the older one")
	require.Equal(t, []string{"docs 1", "docs 3", "theirs 2"}, column[string](t, conn, `SELECT DISTINCT source_id || ' ' || (metadata->>'page_id')
		FROM archon_crawled_pages WHERE source_id IN ('docs', 'theirs') ORDER BY 1`))
	require.Zero(t, number(t, conn, `SELECT count(*) FROM archon_crawled_pages WHERE source_id IN ('docs', 'theirs') AND page_id IS NOT NULL`))
	require.Zero(t, number(t, conn, `SELECT count(*) FROM archon_page_metadata WHERE source_id IN ('docs', 'theirs')`))

	_, err = s.Migrate(t.Context())
	require.NoError(t, err, "up again")
}

// A page that another program stored, without the text that Sluice keeps, does not stop the conversion of the others.
func TestPagesWithoutKeptTextAreGivenToArchonToo(t *testing.T) {
	t.Parallel()
	address := pgtest.URL(t)
	conn := connect(t, address)
	withRoles(t, conn)
	s := opened(t, address)
	_, err := s.Migrate(t.Context())
	require.NoError(t, err)
	fill(t, s)
	does(t, conn, `DELETE FROM confluence_page_content WHERE page_id = '1'`)
	apply(t, conn, november("4_trigrams")...)
	_, err = s.Migrate(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"Home"}, column[string](t, conn, `SELECT full_content FROM archon_page_metadata WHERE url ~ '/1$'`))
	due, err := s.HasChunksBeforeArchon(t.Context())
	require.NoError(t, err)
	require.False(t, due)
}

// A page moves to another space after something else has deleted its chunks: its rows of the old source go with it.
func TestRowsOfAWholePageMoveWithoutItsChunks(t *testing.T) {
	t.Parallel()
	address, conn := variant{vectors: true, files: november("3_vectors")}.install(t)
	s := opened(t, address)
	_, err := s.Migrate(t.Context())
	require.NoError(t, err)
	fill(t, s)
	addSource(t, s, "hr")
	does(t, conn, `DELETE FROM archon_crawled_pages WHERE metadata->>'confluence_page_id' = '2'`)
	store1(t, s, write("hr", "", "2", 2, "Keys", "words on keys"))
	require.Equal(t, []string{"hr"}, column[string](t, conn, `SELECT source_id FROM archon_page_metadata WHERE metadata->>'sluice_document' = '2'`))
}

// Whoever removes a document while another writes it leaves either all of it or nothing.
func TestADocumentIsWrittenAndRemovedAtOnce(t *testing.T) {
	t.Parallel()
	address, conn := variant{vectors: true, files: november("3_vectors")}.install(t)
	s := opened(t, address)
	_, err := s.Migrate(t.Context())
	require.NoError(t, err)
	const url = "file://files/notes.md"
	for n := range 20 {
		var both errgroup.Group
		both.Go(func() error {
			_, err := s.WriteDocument(t.Context(), document("files", url, "always", fmt.Sprint("only ", n)))
			return err
		})
		both.Go(func() error {
			_, err := s.RemoveDocument(t.Context(), "files", url)
			return err
		})
		require.NoError(t, both.Wait())
		require.Contains(t, []string{"0 0 0", "2 2 1"}, column[string](t, conn, `SELECT (SELECT count(*) || ' ' || count(page_id) FROM archon_crawled_pages WHERE source_id = 'files')
			|| ' ' || (SELECT count(*) FROM archon_page_metadata WHERE source_id = 'files')`)[0])
	}
}

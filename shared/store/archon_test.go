package store_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/viewer"
)

// variant is a possible installation of Archon: files of testdata/archon, in order.
type variant struct {
	name    string
	vectors bool // needs the server with pgvector
	files   []string
}

var variants = []variant{
	{"older, without vectors", false, []string{"base", "chunks", "trigrams"}},
	{"newer, without vectors", false, []string{"base", "chunks", "trigrams", "newer"}},
	{"newer, without vectors, on Supabase", false, []string{"base", "chunks", "newer", "roles", "supabase"}},
	{"older", true, []string{"base", "chunks", "vectors"}},
	{"newer", true, []string{"base", "chunks", "vectors", "newer"}},
	{"newer, on Supabase", true, []string{"base", "chunks", "vectors", "newer", "roles", "supabase"}},
	{"the last, without vectors", false, november("4_trigrams")},
	{"the last", true, november("3_vectors")},
}

// november returns the files of the last Archon, of November 2025, for a server with the extension. It needs a
// Supabase.
func november(extension string) []string {
	return []string{"roles", "november/1_supabase", "november/2_tables", "november/" + extension, "november/5_policies", "november/6_rows"}
}

func (v variant) last() bool { return slices.Contains(v.files, "november/2_tables") }

func (v variant) cascades() bool { return v.last() || slices.Contains(v.files, "newer") }

// rows returns the number of rows in the variant's tables.
func (v variant) rows() int {
	switch {
	case v.last():
		return 24
	case v.cascades():
		return 14
	default:
		return 13
	}
}

// query returns the beginning of an embedding in the form that Archon's functions accept.
func (v variant) query() string {
	if v.last() {
		return "array_fill(1::real, ARRAY[1536])::vector"
	}
	return "array_fill(1::real, ARRAY[384])::extensions.vector"
}

// install creates the variant's database and returns its address and a connection.
func (v variant) install(t *testing.T) (string, *pgx.Conn) {
	t.Helper()
	url := pgtest.URL
	if v.vectors {
		url = pgtest.VectorURL
	}
	address := url(t)
	conn := connect(t, address)
	if slices.Contains(v.files, "roles") {
		withRoles(t, conn)
	}
	apply(t, conn, v.files...)
	return address, conn
}

// apply runs files of testdata/archon.
func apply(t *testing.T, conn *pgx.Conn, files ...string) {
	t.Helper()
	for _, name := range files {
		b, err := os.ReadFile(filepath.Join("testdata", "archon", name+".sql"))
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), string(b))
		require.NoError(t, err, name)
	}
}

func connect(t *testing.T, address string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// rolesInUse serializes tests that create roles: otherwise one would remove those of another.
var rolesInUse sync.Mutex

// withRoles removes newly created roles when the test ends: they belong to the server, which may be in use by others.
func withRoles(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	rolesInUse.Lock()
	t.Cleanup(rolesInUse.Unlock)
	var there []string
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT coalesce(array_agg(rolname::text), '{}') FROM pg_roles`).Scan(&there))
	t.Cleanup(func() {
		for _, role := range []string{"anon", "authenticated", "service_role"} {
			if !slices.Contains(there, role) {
				_, err := conn.Exec(context.Background(), `DROP OWNED BY `+role+`; DROP ROLE `+role)
				require.NoError(t, err)
			}
		}
	})
}

// opened returns a store on the database at address, without migrating it.
func opened(t *testing.T, address string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), address)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

func schema(t *testing.T, address string) []pgtest.Object {
	t.Helper()
	list, err := pgtest.Schema(t.Context(), address)
	require.NoError(t, err)
	return list
}

// ours matches the names of what may be added to an existing Archon: Sluice's tables with everything that belongs to
// them, and Sluice's indexes on the chunks.
var ours = regexp.MustCompile(`\b(confluence_|sluice_migrations|idx_confluence_)`)

// theirs removes Sluice's objects from the list.
func theirs(list []pgtest.Object) []pgtest.Object {
	return slices.DeleteFunc(slices.Clone(list), func(o pgtest.Object) bool { return ours.MatchString(o.Name) })
}

// pgDump returns the schema as dumped by pg_dump, one element per object, without Sluice's objects.
func pgDump(t *testing.T, address string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(pgtest.VectorBinDir(t), "pg_dump"), "--schema-only", "--restrict-key=none", "--dbname", address)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		require.NoError(t, err, string(exit.Stderr))
	}
	require.NoError(t, err)
	body, _, whole := strings.Cut(string(out), "\n--\n-- PostgreSQL database dump complete")
	require.True(t, whole)
	pieces := strings.Split(strings.TrimRight(body, "\n")+"\n\n", "\n--\n-- Name: ")
	require.Greater(t, len(pieces), 40)
	return slices.DeleteFunc(pieces[1:], func(piece string) bool {
		title, _, _ := strings.Cut(piece, ";")
		return ours.MatchString(title)
	})
}

// ourMigrations is a pattern for the names of Sluice's migrations in Archon's table.
func ourMigrations(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("../../migrations/[0-9]*.sql")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for i, file := range files {
		files[i] = strings.TrimSuffix(filepath.Base(file), ".sql")
	}
	return "^(" + strings.Join(files, "|") + ")$"
}

// rows returns every row of Archon's tables except those of the source docs and those that record Sluice's
// migrations. Each row comes with its transaction and its position, so even an update that changes nothing is
// visible.
func rows(t *testing.T, conn *pgx.Conn) []string {
	t.Helper()
	tables, err := conn.Query(t.Context(), `SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE 'archon\_%' ORDER BY 1`)
	require.NoError(t, err)
	names, err := pgx.CollectRows(tables, pgx.RowTo[string])
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(names), 6)
	var list []string
	for _, name := range names {
		found, err := conn.Query(t.Context(), `SELECT '`+name+` ' || t.xmin || ' ' || t.ctid || ' ' || t FROM `+name+` t
			WHERE to_jsonb(t)->>'source_id' IS DISTINCT FROM 'docs' AND coalesce(to_jsonb(t)->>'migration_name', '') !~ $1 ORDER BY 1`, ourMigrations(t))
		require.NoError(t, err)
		of, err := pgx.CollectRows(found, pgx.RowTo[string])
		require.NoError(t, err, name)
		list = append(list, of...)
	}
	return list
}

// Sluice's migrations, the whole life of a source, and migrating down leave everything that Archon created unchanged.
func TestAnExistingArchonIsNotAltered(t *testing.T) {
	t.Parallel()
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			address, conn := v.install(t)
			before, rowsBefore := schema(t, address), rows(t, conn)
			var dumpBefore []string
			if v.vectors {
				dumpBefore = pgDump(t, address)
			}
			require.Greater(t, len(before), 40, "the dump is almost empty, so it proves nothing")
			require.Len(t, rowsBefore, v.rows())

			unaltered := func(when string) {
				t.Helper()
				same(t, before, theirs(schema(t, address)), when)
				same(t, rowsBefore, rows(t, conn), when)
				if v.vectors {
					same(t, dumpBefore, pgDump(t, address), when)
				}
			}
			s := opened(t, address)
			for _, round := range []string{"up", "up again"} {
				applied, err := s.Migrate(t.Context())
				require.NoError(t, err)
				require.Contains(t, applied, "010_add_confluence_pages")
				require.Empty(t, slices.DeleteFunc(applied, regexp.MustCompile(`^\d{3}_`).MatchString), "nothing is added to a table of Archon's")
				unaltered(round)
				wholeLife(t, s, conn, v)
				unaltered(round + ", after a source's life")
				require.NoError(t, s.MigrateDown(t.Context()))
				same(t, before, schema(t, address), round+", and down")
				same(t, rowsBefore, everyRow(t, conn), round+", and down")
			}
		})
	}
}

// same is require.Equal for long lists: it reports only the differences.
func same[T comparable](t *testing.T, want, got []T, when string) {
	t.Helper()
	without := func(list, other []T) []T {
		return slices.DeleteFunc(slices.Clone(list), func(x T) bool { return slices.Contains(other, x) })
	}
	require.Empty(t, without(want, got), "gone: %s", when)
	require.Empty(t, without(got, want), "new: %s", when)
	require.True(t, slices.Equal(want, got), "in another order: %s", when)
}

// everyRow returns the same as rows, and fails the test if rows omits any row.
func everyRow(t *testing.T, conn *pgx.Conn) []string {
	t.Helper()
	var hidden int
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM archon_migrations WHERE migration_name ~ $1)
		+ (SELECT count(*) FROM archon_sources WHERE source_id = 'docs') + (SELECT count(*) FROM archon_crawled_pages WHERE source_id = 'docs')`, ourMigrations(t)).Scan(&hidden))
	require.Zero(t, hidden)
	return rows(t, conn)
}

// wholeLife adds a source, writes pages, edits one, removes one, and removes the source.
func wholeLife(t *testing.T, s *store.Store, conn *pgx.Conn, v variant) {
	t.Helper()
	addSource(t, s, "docs")
	run := fullRun(t, s, "docs", "r1", listed("1", 1, "Home"), listed("2", 1, "Keys"))
	store1(t, s, write("docs", "r1", "1", 1, "Home", "our words"))
	store1(t, s, write("docs", "r1", "2", 1, "Keys", "words on keys", "more words"))
	require.Equal(t, event.StateCompleted, finish(t, s, run).State)
	hits, err := s.Searcher().Search(t.Context(), viewer.All(), "words", search.Filter{})
	require.NoError(t, err)
	require.Len(t, hits, 6, "web and upload chunks are found as well as Sluice's")
	if v.vectors {
		require.Equal(t, 3, archonFinds(t, conn, v))
	}
	_, err = s.Source(t.Context(), "web")
	require.ErrorIs(t, err, store.ErrNotFound, "Sluice does not sync a web source")
	require.ErrorIs(t, s.RemoveSource(t.Context(), "web"), store.ErrNotFound)

	run = fullRun(t, s, "docs", "r2", listed("2", 2, "Keys"))
	store1(t, s, write("docs", "r2", "2", 2, "Keys", "more words", "edited words"))
	candidates, _, err := s.FindRemovalCandidates(t.Context(), run)
	require.NoError(t, err)
	require.Equal(t, []string{"1"}, candidates)
	require.NoError(t, s.RemovePages(t.Context(), run, []store.Removal{{PageID: "1", Reason: "trashed"}}))
	require.NoError(t, s.MarkRemovalsChecked(t.Context(), run.ID))
	require.Equal(t, event.StateCompleted, advance(t, s, run.ID).State)
	if v.vectors {
		require.Equal(t, 2, archonFinds(t, conn, v), "Archon's own search does not find a removed page either")
	}
	if v.cascades() {
		_, err = conn.Exec(t.Context(), `DELETE FROM archon_sources WHERE source_id = 'docs'`)
		require.NoError(t, err)
	} else {
		_, err = conn.Exec(t.Context(), `DELETE FROM archon_sources WHERE source_id = 'docs'`)
		require.ErrorContains(t, err, "violates foreign key constraint", "this is why RemoveSource deletes chunks first")
		require.NoError(t, s.RemoveSource(t.Context(), "docs"))
	}
	require.NoError(t, s.Searcher().Count(t.Context()), "the next search counts deleted chunks")
	require.Empty(t, holding(t, conn, "docs"))
}

// archonFinds returns how many chunks of the source docs Archon's own search finds.
func archonFinds(t *testing.T, conn *pgx.Conn, v variant) int {
	t.Helper()
	var n int
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT count(*) FROM hybrid_search_archon_crawled_pages(
		`+v.query()+`, 'words', 10, '{"crawl_type": "confluence"}', 'docs')`).Scan(&n))
	return n
}

// holding returns the tables that have a row of the source, of its pages or of its runs.
func holding(t *testing.T, conn *pgx.Conn, source string) []string {
	t.Helper()
	found, err := conn.Query(t.Context(), `SELECT DISTINCT table_name::text FROM information_schema.columns
		WHERE table_schema = 'public' AND column_name IN ('source_id', 'page_id', 'run_id') AND table_name ~ '^(archon|confluence)_' ORDER BY 1`)
	require.NoError(t, err)
	tables, err := pgx.CollectRows(found, pgx.RowTo[string])
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(tables), 7)
	holders := []string{}
	for _, name := range tables {
		var n int
		// A table without a source_id refers to a run or a page: no row of it may be an orphan.
		require.NoError(t, conn.QueryRow(t.Context(), `SELECT count(*) FROM (SELECT to_jsonb(t) AS row FROM `+name+` t) t
			WHERE CASE WHEN row ? 'source_id' THEN row->>'source_id' = $1
				WHEN row ? 'run_id' THEN NOT EXISTS (SELECT FROM confluence_sync_runs r WHERE r.run_id = row->>'run_id' AND r.source_id <> $1)
				ELSE NOT EXISTS (SELECT FROM confluence_pages p WHERE p.page_id = row->>'page_id' AND p.source_id <> $1) END`, source).Scan(&n), name)
		if n > 0 {
			holders = append(holders, name)
		}
	}
	return holders
}

// A table that an old Archon created with one embedding column resembles a table of Sluice without vectors, and must
// still not be changed.
func TestAnArchonWithOneEmbeddingColumnIsLeftAlone(t *testing.T) {
	t.Parallel()
	v := variant{vectors: true, files: []string{"base", "single_embedding"}}
	address, _ := v.install(t)
	before := schema(t, address)
	s := opened(t, address)
	_, err := s.Migrate(t.Context())
	require.NoError(t, err)
	same(t, before, theirs(schema(t, address)), "up")
	for _, e := range extensions(t, s) {
		if e.Name == "vector" {
			require.True(t, e.Used)
		} else {
			require.Contains(t, e.Advice, "stays as Archon made it")
		}
	}
}

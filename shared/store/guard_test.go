package store_test

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/seal"
	"github.com/sluicehq/sluice/shared/secret"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/vault"
)

func column[T any](t *testing.T, conn *pgx.Conn, sql string) []T {
	t.Helper()
	found, err := conn.Query(t.Context(), sql)
	require.NoError(t, err)
	list, err := pgx.CollectRows(found, pgx.RowTo[T])
	require.NoError(t, err)
	return list
}

func TestEveryTableAndColumnOfOursIsExplained(t *testing.T) {
	t.Parallel()
	_, conn := open(t)
	const things = `FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND (a.attnum > 0 AND NOT a.attisdropped OR a.attname = 'tableoid')
		LEFT JOIN pg_description d ON d.classoid = 'pg_class'::regclass AND d.objoid = c.oid AND d.objsubid = greatest(a.attnum, 0)
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') AND c.relname !~ '^archon_'`
	require.Greater(t, column[int](t, conn, `SELECT count(*) `+things)[0], 60)
	require.Empty(t, column[string](t, conn, `SELECT CASE WHEN a.attnum > 0 THEN c.relname || '.' || a.attname ELSE c.relname END `+things+` AND coalesce(d.description, '') = ''`))
}

// as runs f as one of Supabase's roles.
func as(t *testing.T, conn *pgx.Conn, role string, f func()) {
	t.Helper()
	does(t, conn, `SET ROLE `+role+`; SET request.jwt.claim.role = '`+role+`'`)
	defer does(t, conn, `RESET ROLE`)
	f()
}

var strangers = []string{"anon", "authenticated"}

// ourTables returns the tables that are not in before: those that the migrations added.
func ourTables(t *testing.T, conn *pgx.Conn, before []string) []string {
	t.Helper()
	return slices.DeleteFunc(allTables(t, conn), func(name string) bool { return slices.Contains(before, name) })
}

func allTables(t *testing.T, conn *pgx.Conn) []string {
	t.Helper()
	return column[string](t, conn, `SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm') ORDER BY 1`)
}

// nothingOf requires that the public roles can do nothing with the tables.
func nothingOf(t *testing.T, conn *pgx.Conn, tables []string) {
	t.Helper()
	for _, role := range strangers {
		as(t, conn, role, func() {
			for _, table := range tables {
				for _, sql := range []string{"SELECT count(*) FROM ", "DELETE FROM ", "TRUNCATE "} {
					_, err := conn.Exec(t.Context(), sql+table)
					require.Error(t, err)
					require.Regexp(t, "permission denied|is not a table|cannot delete from view", err.Error(), "%s: %s%s", role, sql, table)
				}
			}
		})
	}
	require.Empty(t, column[string](t, conn, `SELECT c.relname || ' ' || a.privilege_type FROM pg_class c, aclexplode(c.relacl) a
		WHERE a.grantee::regrole::text IN ('anon', 'authenticated') AND c.relname ~ '^(confluence|sluice)_'`), "sequences too")
	require.Empty(t, column[string](t, conn, `SELECT r.rolname || ' ' || p.proname FROM pg_roles r, pg_proc p
		WHERE r.rolname IN ('anon', 'authenticated') AND p.proname ~ '^confluence_' AND p.prosecdef AND p.proname <> 'confluence_keeps' AND has_function_privilege(r.oid, p.oid, 'EXECUTE')`), "functions with their owner's rights, but for the one that guards Archon's deletions")
	require.Empty(t, column[string](t, conn, `SELECT relname::text FROM pg_class
		WHERE relkind = 'r' AND relname ~ '^(confluence|sluice)_' AND NOT relrowsecurity`))
}

// If Archon runs on Supabase, its own policies let everybody read its tables, and anyone with the project's public
// key may read, change and empty every new table.
func TestOnSupabaseNobodySeesOrChangesWhatIsOurs(t *testing.T) {
	t.Parallel()
	v := variant{files: []string{"base", "chunks", "newer", "roles", "supabase"}}
	address, conn := v.install(t)
	before := allTables(t, conn)
	s := opened(t, address)
	_, err := s.Migrate(t.Context())
	require.NoError(t, err)
	addSource(t, s, "docs")
	key, err := seal.ParseKey(secret.New(strings.Repeat("0f", seal.KeySize)))
	require.NoError(t, err)
	ring := seal.NewRing(key)
	_, err = s.Vault().SetSecret(t.Context(), ring, "docs", vault.Credential{Site: "https://acme.atlassian.net/wiki", Email: "a@acme.com", Token: secret.New("t")})
	require.NoError(t, err)
	run := fullRun(t, s, "docs", "r1", listed("1", 1, "Home"))
	store1(t, s, write("docs", "r1", "1", 1, "Home", "alpha"))
	does(t, conn, `INSERT INTO archon_page_metadata (source_id, url, full_content, word_count, char_count) VALUES ('docs', 'https://acme.atlassian.net/1', 'alpha', 1, 5)`)
	require.Equal(t, event.StateCompleted, finish(t, s, run).State, "the tables' owner is not restricted")
	exposed(t, s)

	tables := ourTables(t, conn, before)
	require.Contains(t, tables, "sluice_migrations")
	require.Contains(t, tables, "confluence_pages")
	require.GreaterOrEqual(t, len(tables), 10)
	nothingOf(t, conn, tables)
	as(t, conn, "service_role", func() {
		for _, table := range tables {
			if n := column[int](t, conn, `SELECT count(*) FROM `+table)[0]; table == "confluence_pages" || table == "sluice_migrations" {
				require.Positive(t, n, table)
			}
		}
	})

	// In Archon's tables, its own rows stay as readable as before, and Sluice's rows are invisible.
	const theirsOnly = `SELECT count(*) FILTER (WHERE source_id = 'docs'), count(*) FILTER (WHERE source_id <> 'docs') FROM `
	for _, role := range strangers {
		as(t, conn, role, func() {
			for _, table := range []string{"archon_sources", "archon_crawled_pages", "archon_page_metadata"} {
				var ours, others int
				require.NoError(t, conn.QueryRow(t.Context(), theirsOnly+table).Scan(&ours, &others))
				require.Zero(t, ours, "%s reads %s", role, table)
				require.Positive(t, others, "%s reads %s", role, table)
			}
			for _, sql := range []string{
				`DELETE FROM archon_settings WHERE key LIKE 'confluence%'`, `UPDATE archon_settings SET category = 'x' WHERE key LIKE 'confluence%'`,
				`DELETE FROM archon_crawled_pages`, `DELETE FROM archon_sources`, `DELETE FROM archon_migrations`,
				`UPDATE archon_migrations SET checksum = 'x'`,
			} {
				tag, err := conn.Exec(t.Context(), sql)
				require.NoError(t, err)
				require.Zero(t, tag.RowsAffected(), "%s: %s", role, sql)
			}
			for _, sql := range []string{
				`INSERT INTO archon_settings (key, value) VALUES ('confluence_token:hr', 'x')`,
				`INSERT INTO archon_migrations (version, migration_name) VALUES ('0.1.0', '999_x')`,
				`INSERT INTO archon_crawled_pages (url, chunk_number, content, source_id) VALUES ('x', 9, 'forged', 'docs')`,
			} {
				_, err := conn.Exec(t.Context(), sql)
				require.ErrorContains(t, err, "row-level security", "%s: %s", role, sql)
			}
		})
	}
	as(t, conn, "authenticated", func() {
		require.Positive(t, column[int](t, conn, `SELECT count(*) FROM archon_settings`)[0], "Archon's own settings")
	})
	require.Equal(t, []string{"alpha"}, contents(t, s, "docs", "1"))
	_, err = s.Vault().Secret(t.Context(), ring, "docs")
	require.NoError(t, err)

	// A table that is added later is protected at the next migration check.
	does(t, conn, `CREATE TABLE confluence_later (id bigserial)`)
	exposed(t, s, "anon may select confluence_later", "authenticated may truncate confluence_later")
	_, err = s.Migrate(t.Context())
	require.NoError(t, err)
	nothingOf(t, conn, []string{"confluence_later"})
	exposed(t, s)
	does(t, conn, `ALTER TABLE archon_crawled_pages DISABLE ROW LEVEL SECURITY`)
	exposed(t, s, "anon may select archon_crawled_pages, which has no row level security")
	does(t, conn, `ALTER TABLE archon_crawled_pages ENABLE ROW LEVEL SECURITY; DROP POLICY confluence_rows ON archon_settings`)
	exposed(t, s, "authenticated may delete archon_settings")
}

// exposed requires that the store reports exactly these permissions of the public roles.
func exposed(t *testing.T, s *store.Store, what ...string) {
	t.Helper()
	server, err := s.Server(t.Context())
	require.NoError(t, err)
	if len(what) == 0 {
		require.Empty(t, server.Exposed)
	}
	for _, w := range what {
		require.Contains(t, server.Exposed, w)
	}
}

// If Sluice is installed first, it creates Archon's tables, and Archon may be installed afterwards.
func TestOnSupabaseBeforeArchon(t *testing.T) {
	t.Parallel()
	v := variant{files: []string{"roles", "supabase"}}
	address, conn := v.install(t)
	s := opened(t, address)
	_, err := s.Migrate(t.Context())
	require.NoError(t, err)
	addSource(t, s, "docs")
	tables := allTables(t, conn)
	require.Contains(t, tables, "archon_crawled_pages")
	nothingOf(t, conn, tables)
	exposed(t, s)
	as(t, conn, "service_role", func() {
		require.Equal(t, 1, column[int](t, conn, `SELECT count(*) FROM archon_sources`)[0])
	})

	// What Archon's installer does to existing tables.
	does(t, conn, `CREATE TABLE archon_code_examples (id bigserial, source_id text);
		ALTER TABLE archon_sources ENABLE ROW LEVEL SECURITY;
		CREATE POLICY "Allow public read access to archon_sources" ON archon_sources FOR SELECT TO public USING (true);
		GRANT ALL ON archon_sources TO anon, authenticated;
		INSERT INTO archon_sources (source_id) VALUES ('web')`)
	_, err = s.Migrate(t.Context())
	require.NoError(t, err)
	for _, role := range strangers {
		as(t, conn, role, func() {
			require.Equal(t, []string{"web"}, column[string](t, conn, `SELECT source_id FROM archon_sources`))
		})
	}
	exposed(t, s)
}

// The guard fails closed: a user without permission to set it up gets an error, and nothing starts unprotected.
func TestTheGuardNeedsTheOwnerOfArchonsTables(t *testing.T) {
	t.Parallel()
	v := variant{files: []string{"base", "chunks", "newer", "roles", "supabase"}}
	address, conn := v.install(t)
	s := opened(t, address)
	_, err := s.Migrate(t.Context())
	require.NoError(t, err)
	does(t, conn, `DROP POLICY confluence_rows ON archon_settings`)
	withRole(t, conn, "sluice_guest")
	does(t, conn, `GRANT ALL ON ALL TABLES IN SCHEMA public TO sluice_guest; GRANT USAGE ON SCHEMA public, auth TO sluice_guest`)
	u, err := url.Parse(address)
	require.NoError(t, err)
	u.User = url.UserPassword("sluice_guest", "x")
	_, err = opened(t, u.String()).Migrate(t.Context())
	require.ErrorContains(t, err, "away from Sluice's rows")
	require.ErrorContains(t, err, "as the owner of Archon's tables")
}

// withRole creates a login role for the duration of the test.
func withRole(t *testing.T, conn *pgx.Conn, role string) {
	t.Helper()
	does(t, conn, `CREATE ROLE `+role+` LOGIN BYPASSRLS PASSWORD 'x'`)
	t.Cleanup(func() {
		_, err := conn.Exec(context.Background(), `DROP OWNED BY `+role+`; DROP ROLE `+role)
		require.NoError(t, err)
	})
}

func TestElsewhereNothingIsGuarded(t *testing.T) {
	t.Parallel()
	address := pgtest.URL(t)
	_, err := opened(t, address).Migrate(t.Context())
	require.NoError(t, err)
	for _, o := range schema(t, address) {
		require.NotContains(t, o.Name, "row level security")
		require.NotContains(t, o.Name, "policy")
	}
}

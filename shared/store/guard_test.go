package store_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/pgtest"
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
	_, conn := open(t)
	const things = `FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND (a.attnum > 0 AND NOT a.attisdropped OR a.attname = 'tableoid')
		LEFT JOIN pg_description d ON d.classoid = 'pg_class'::regclass AND d.objoid = c.oid AND d.objsubid = greatest(a.attnum, 0)
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') AND c.relname !~ '^archon_'`
	require.Greater(t, column[int](t, conn, `SELECT count(*) `+things)[0], 60)
	require.Empty(t, column[string](t, conn, `SELECT CASE WHEN a.attnum > 0 THEN c.relname || '.' || a.attname ELSE c.relname END `+things+` AND coalesce(d.description, '') = ''`))
}

// Where Archon runs on Supabase, a table without row level security is open to anyone who has
// the site's public key.
func TestOnSupabaseEveryTableIsGuarded(t *testing.T) {
	v := variant{files: []string{"base", "chunks", "newer", "roles", "supabase"}}
	address, conn := v.install(t)
	s := opened(t, address)
	_, err := s.Migrate(t.Context())
	require.NoError(t, err)
	addSource(t, s, "docs")
	run := fullRun(t, s, "docs", "r1", listed("1", 1, "Home"))
	store1(t, s, write("docs", "r1", "1", 1, "Home", "alpha"))
	require.Equal(t, event.StateCompleted, finish(t, s, run).State, "the tables' owner is not held back")

	tables := column[string](t, conn, `SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE 'confluence\_%' ORDER BY 1`)
	require.GreaterOrEqual(t, len(tables), 5)
	sees := func(role, table string) int {
		t.Helper()
		does(t, conn, `SET ROLE `+role+`; SET request.jwt.claim.role = '`+role+`'`)
		defer does(t, conn, `RESET ROLE`)
		return column[int](t, conn, `SELECT count(*) FROM `+table)[0]
	}
	for _, table := range tables {
		all := column[int](t, conn, `SELECT count(*) FROM `+table)[0]
		require.Equal(t, all, sees("service_role", table), table)
		require.Zero(t, sees("anon", table), table)
		want := 0
		if table == "confluence_pages" {
			want = all
		}
		require.Equal(t, want, sees("authenticated", table), table)
		require.Empty(t, column[string](t, conn, `SELECT relname::text FROM pg_class WHERE relname = '`+table+`' AND NOT relrowsecurity`))
	}
	for _, role := range []string{"anon", "authenticated"} {
		does(t, conn, `SET ROLE `+role+`; SET request.jwt.claim.role = '`+role+`'`)
		_, err = conn.Exec(t.Context(), `INSERT INTO confluence_pages (page_id, source_id, space_key, title, version, last_modified, path) VALUES ('9', 'docs', 'X', 'X', 1, now(), '/9')`)
		require.ErrorContains(t, err, "row-level security")
		for _, table := range tables {
			tag, err := conn.Exec(t.Context(), `DELETE FROM `+table)
			require.NoError(t, err)
			require.Zero(t, tag.RowsAffected(), table)
		}
		does(t, conn, `RESET ROLE`)
	}
	require.Equal(t, []string{"alpha"}, contents(t, s, "docs", "1"))
}

func TestElsewhereNothingIsGuarded(t *testing.T) {
	address := pgtest.URL(t)
	_, err := opened(t, address).Migrate(t.Context())
	require.NoError(t, err)
	for _, o := range schema(t, address) {
		require.NotContains(t, o.Name, "row level security")
		require.NotContains(t, o.Name, "policy")
	}
}

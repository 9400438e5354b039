package store_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/access"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// A role that has the views sees what store.Reader shows to the account in sluice.reader, and nothing behind them.
func TestARoleSeesWhatItsReaderSees(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "free")
	store1(t, s, write("free", "", "900", 1, "Open", "alpha"))
	store1(t, s, write("free", "", "901", 1, "Removed", "alpha"))
	does(t, conn, `UPDATE confluence_pages SET is_deleted = true WHERE page_id = '901'`)
	guarded(t, s, "docs", node("page", "1", ""), node("page", "2", ""), node("page", "3", ""))
	for _, id := range []string{"1", "2", "3"} {
		store1(t, s, write("docs", "", id, 1, "Page "+id, "alpha "+id))
	}
	sweep(t, s, "docs", []access.Layer{space(everyone)}, content("1", ann), content("2", access.Principal{Kind: access.KindUser, ID: "bob"}))
	role := "reader_" + strings.ToLower(strings.NewReplacer("-", "", " ", "").Replace(fmt.Sprint(conn.PgConn().PID())))
	does(t, conn, `CREATE ROLE `+role)
	t.Cleanup(func() { // roles belong to the server, not to the database
		_, err := conn.Exec(context.Background(), `RESET ROLE; DROP OWNED BY `+role+`; DROP ROLE `+role)
		require.NoError(t, err)
	})

	// A role that reads the tables is refused.
	does(t, conn, `GRANT SELECT (title) ON confluence_pages TO `+role)
	_, err := conn.Exec(t.Context(), `SELECT confluence_enable_row_security($1)`, role)
	require.ErrorContains(t, err, "reads the tables themselves")
	require.ErrorContains(t, err, "confluence_pages")
	_, err = conn.Exec(t.Context(), `SELECT confluence_enable_row_security('nobody_of_this_name')`)
	require.ErrorContains(t, err, "there is no role")
	does(t, conn, `REVOKE SELECT (title) ON confluence_pages FROM `+role)
	does(t, conn, `CREATE ROLE `+role+`_all; GRANT SELECT ON confluence_pages TO `+role+`_all; ALTER ROLE `+role+` NOINHERIT; GRANT `+role+`_all TO `+role)
	_, err = conn.Exec(t.Context(), `SELECT confluence_enable_row_security($1)`, role)
	require.ErrorContains(t, err, "reads the tables themselves", "it can become a role that does")
	does(t, conn, `DROP OWNED BY `+role+`_all; DROP ROLE `+role+`_all; GRANT CREATE ON SCHEMA public TO `+role)
	_, err = conn.Exec(t.Context(), `SELECT confluence_enable_row_security($1)`, role)
	require.ErrorContains(t, err, "may create functions")
	does(t, conn, `REVOKE CREATE ON SCHEMA public FROM `+role)
	does(t, conn, `SET ROLE `+role)
	for _, hidden := range []string{`TABLE confluence_readable_pages`, `SELECT confluence_readable()`, `SELECT confluence_enable_row_security('` + role + `')`} {
		_, err = conn.Exec(t.Context(), hidden)
		require.ErrorContains(t, err, "permission denied", hidden)
	}
	does(t, conn, `RESET ROLE`)
	does(t, conn, `SELECT confluence_enable_row_security('`+role+`')`)
	does(t, conn, `SET ROLE `+role)

	ids := func(sql string) []string {
		t.Helper()
		rows, _ := conn.Query(t.Context(), sql)
		list, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		return list
	}
	seen := func(account string) {
		t.Helper()
		var pages []string
		v := viewer.Everywhere().As(account)
		for _, source := range []string{"docs", "free"} {
			list, err := s.Reader().Pages(t.Context(), v, source, store.PageFilter{Part: store.Whole()})
			require.NoError(t, err)
			for _, p := range list {
				pages = append(pages, p.ID)
			}
		}
		require.NotEmpty(t, pages)
		require.Equal(t, pages, ids(`SELECT page_id FROM confluence_readable_pages ORDER BY source_id, page_id`), account)
		require.Equal(t, pages, ids(`SELECT page_id FROM confluence_readable_chunks ORDER BY source_id, page_id`), account)
	}
	seen("")
	for _, account := range []string{"ann", "bob", "cyd"} {
		does(t, conn, `SET sluice.reader = '`+account+`'`)
		seen(account)
	}
	does(t, conn, `RESET sluice.reader`)
	seen("")
	for _, table := range []string{"confluence_pages", "archon_crawled_pages", "confluence_tree", "confluence_layers", "archon_sources", "confluence_chunk_words"} {
		_, err = conn.Exec(t.Context(), `TABLE `+table)
		require.ErrorContains(t, err, "permission denied", table)
	}
	// No function of the role's sees a row before the view has decided.
	does(t, conn, `CREATE FUNCTION pg_temp.spy(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$ BEGIN
		IF $1 LIKE 'alpha 1%' THEN RAISE EXCEPTION 'seen'; END IF; RETURN true; END $$`)
	require.Len(t, ids(`SELECT page_id FROM confluence_readable_chunks WHERE pg_temp.spy(content)`), 2)
}

// A role with policies reads the tables of pages and chunks as far as its reader may see them. Others keep what they may do:
// the owner, a stage that does not own the tables, and a role that comes later.
func TestPoliciesBindOnlyTheirRole(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "free")
	store1(t, s, write("free", "", "900", 1, "Open", "alpha"))
	store1(t, s, write("free", "", "901", 1, "Removed", "alpha"))
	does(t, conn, `UPDATE confluence_pages SET is_deleted = true WHERE page_id = '901'`)
	guarded(t, s, "docs", node("page", "1", ""), node("page", "2", ""), node("page", "3", ""))
	for _, id := range []string{"1", "2", "3"} {
		store1(t, s, write("docs", "", id, 1, "Page "+id, "alpha "+id))
	}
	sweep(t, s, "docs", []access.Layer{space(everyone)}, content("1", ann), content("2", access.Principal{Kind: access.KindUser, ID: "bob"}))
	pid := fmt.Sprint(conn.PgConn().PID())
	reader, stage, later := "p_reader_"+pid, "p_stage_"+pid, "p_later_"+pid
	does(t, conn, `CREATE ROLE `+reader+`; CREATE ROLE `+stage)
	t.Cleanup(func() { // roles belong to the server, not to the database
		for _, role := range []string{reader, stage, later} {
			_, err := conn.Exec(context.Background(), `RESET ROLE; DROP OWNED BY `+role+`; DROP ROLE `+role)
			require.NoError(t, err)
		}
	})
	all := func(role string) {
		does(t, conn, `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO `+role+`; GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO `+role)
	}
	all(stage)
	tables := map[string]string{
		"confluence_pages":        `SELECT source_id || ' ' || page_id FROM confluence_pages ORDER BY 1`,
		"confluence_page_content": `SELECT p.source_id || ' ' || c.page_id FROM confluence_page_content c JOIN confluence_pages p USING (page_id, site_id) ORDER BY 1`,
		"archon_crawled_pages":    `SELECT source_id || ' ' || (metadata->>'confluence_page_id') FROM archon_crawled_pages ORDER BY 1`,
	}
	as := func(role, sql string) []string {
		t.Helper()
		does(t, conn, `SET ROLE `+role)
		rows, _ := conn.Query(t.Context(), sql)
		list, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err, "%s: %s", role, sql)
		does(t, conn, `RESET ROLE`)
		return list
	}
	before := map[string][]string{}
	for table, sql := range tables {
		before[table] = as(stage, sql)
		require.Len(t, before[table], 5, table)
	}
	enables := func(role string) error {
		_, err := conn.Exec(t.Context(), `SELECT confluence_enable_policies($1)`, role)
		return err
	}
	require.ErrorContains(t, enables(stage), "reads the tables themselves")
	require.ErrorContains(t, enables(strings.Repeat("r", 42)), "too long")
	does(t, conn, `ALTER ROLE `+reader+` BYPASSRLS`)
	require.ErrorContains(t, enables(reader), "passes row level security by")
	does(t, conn, `ALTER ROLE `+reader+` NOBYPASSRLS`)
	var on bool
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT bool_or(relrowsecurity) FROM pg_class WHERE relname = ANY ($1)`, slices.Collect(maps.Keys(tables))).Scan(&on))
	require.False(t, on, "off by default")
	require.NoError(t, enables(reader))
	require.NoError(t, enables(reader), "twice is once")
	does(t, conn, `CREATE ROLE `+later)
	all(later)

	owner := fmt.Sprint(conn.Config().User)
	for _, role := range []string{owner, stage, later} {
		for table, sql := range tables {
			require.Equal(t, before[table], as(role, sql), "%s reads %s as before", role, table)
		}
		as(role, `UPDATE confluence_pages SET title = title RETURNING title`)
		require.Len(t, as(role, `INSERT INTO archon_crawled_pages (url, chunk_number, content, metadata, source_id)
			SELECT url || '?`+role+`', 0, content, metadata, source_id FROM archon_crawled_pages WHERE source_id = 'docs' RETURNING url`), 3)
		require.Len(t, as(role, `DELETE FROM archon_crawled_pages WHERE url LIKE '%?`+role+`' RETURNING url`), 3)
	}
	seen := func(account string) {
		t.Helper()
		var want []string
		v := viewer.Everywhere().As(account)
		for _, source := range []string{"docs", "free"} {
			list, err := s.Reader().Pages(t.Context(), v, source, store.PageFilter{Part: store.Whole()})
			require.NoError(t, err)
			for _, p := range list {
				want = append(want, source+" "+p.ID)
			}
		}
		require.NotEmpty(t, want)
		for table, sql := range tables {
			require.Equal(t, want, as(reader, sql), "%s in %s", account, table)
		}
		require.Equal(t, want, as(reader, `SELECT source_id || ' ' || page_id FROM confluence_readable_pages ORDER BY 1`), "the views agree")
	}
	seen("")
	for _, account := range []string{"ann", "bob", "cyd"} {
		does(t, conn, `SET sluice.reader = '`+account+`'`)
		seen(account)
	}
	does(t, conn, `RESET sluice.reader`)
	does(t, conn, `GRANT UPDATE, DELETE ON confluence_pages TO `+reader) // somebody's mistake
	require.Len(t, as(reader, `UPDATE confluence_pages SET title = title RETURNING page_id`), 2, "what it may not see, it cannot change")
	does(t, conn, `SET ROLE `+reader)
	for _, table := range []string{"confluence_tree", "confluence_layers", "archon_sources", "confluence_chunk_words", "confluence_sync_pages"} {
		_, err := conn.Exec(t.Context(), `TABLE `+table)
		require.ErrorContains(t, err, "permission denied", table)
	}
	does(t, conn, `RESET ROLE`)

	// What docs/permissions.md says takes all of it away.
	does(t, conn, `DROP OWNED BY `+reader)
	for table, sql := range tables {
		require.Equal(t, before[table], as(stage, sql), table)
		does(t, conn, `ALTER TABLE `+table+` DISABLE ROW LEVEL SECURITY; DROP POLICY confluence_others ON `+table)
		require.Equal(t, before[table], as(stage, sql), table)
	}
	require.Zero(t, number(t, conn, `SELECT count(*) FROM pg_policy p WHERE p.polrelid::regclass::text = ANY ($1)`, slices.Collect(maps.Keys(tables))))
}

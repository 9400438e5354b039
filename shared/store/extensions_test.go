package store_test

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/migrations"
	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/store"
)

func extensions(t *testing.T, s *store.Store) []migrations.Extension {
	t.Helper()
	list, err := s.Extensions(t.Context())
	require.NoError(t, err)
	return list
}

func extension(t *testing.T, s *store.Store, name string) migrations.Extension {
	t.Helper()
	for _, e := range extensions(t, s) {
		if e.Name == name {
			return e
		}
	}
	t.Fatalf("there is no entry for %s", name)
	return migrations.Extension{}
}

func does(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	_, err := conn.Exec(t.Context(), sql)
	require.NoError(t, err)
}

// Dropping an extension with everything that depends on it leaves the same schema as a server without it. When it
// returns, the result is the same as if it had been there from the start.
func TestWhatAnExtensionBringsComesWithIt(t *testing.T) {
	t.Parallel()
	for name, server := range map[string]func(testing.TB) string{"vector": pgtest.VectorURL, "pg_trgm": pgtest.URL} {
		t.Run(name, func(t *testing.T) {
			address := server(t)
			conn := connect(t, address)
			s := opened(t, address)
			applied, err := s.Migrate(t.Context())
			require.NoError(t, err)
			require.NotContains(t, strings.Join(applied, " "), name+":", "created with the table")
			atOnce := schema(t, address)
			require.True(t, extension(t, s, name).Used)
			require.NotEmpty(t, extension(t, s, name).Version)
			require.Empty(t, extension(t, s, name).Advice)

			does(t, conn, `DROP EXTENSION `+name+` CASCADE`)
			e := extension(t, s, name)
			require.False(t, e.Used)
			require.Empty(t, e.Version)
			require.Contains(t, e.Advice, "sluice migrate up")
			addSource(t, s, "docs")
			run := fullRun(t, s, "docs", "r1", listed("1", 1, "Home"))
			store1(t, s, write("docs", "r1", "1", 1, "Home", "our words"))
			finish(t, s, run)

			applied, err = s.Migrate(t.Context())
			require.NoError(t, err)
			require.Len(t, applied, 1)
			require.Contains(t, applied[0], name+": ")
			require.Equal(t, atOnce, schema(t, address))
			require.True(t, extension(t, s, name).Used)
			require.Equal(t, []string{"our words"}, contents(t, s, "docs", "1"))

			applied, err = s.Migrate(t.Context())
			require.NoError(t, err)
			require.Empty(t, applied)
		})
	}
}

// On Supabase, extensions are in their own schema, which may not be in the search path.
func TestAnExtensionMayLiveAnywhere(t *testing.T) {
	t.Parallel()
	address := pgtest.VectorURL(t)
	conn := connect(t, address)
	s := opened(t, address)
	_, err := s.Migrate(t.Context())
	require.NoError(t, err)
	does(t, conn, `DROP EXTENSION vector CASCADE; CREATE SCHEMA "Their place"; CREATE EXTENSION vector SCHEMA "Their place"`)
	require.Equal(t, "run: sluice migrate up", extension(t, s, "vector").Advice)
	applied, err := s.Migrate(t.Context())
	require.NoError(t, err)
	require.Len(t, applied, 1)
	does(t, conn, `SELECT embedding_3072 FROM archon_crawled_pages`)
}

func TestWithoutAnExtensionItIsSaidWhatToDo(t *testing.T) {
	t.Parallel()
	for missing, server := range map[string]func(testing.TB) string{"vector": pgtest.URL, "pg_trgm": pgtest.VectorURL} {
		t.Run(missing, func(t *testing.T) {
			address := server(t)
			conn := connect(t, address)
			var available bool
			require.NoError(t, conn.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = $1)`, missing).Scan(&available))
			s := opened(t, address)
			_, err := s.Migrate(t.Context())
			require.NoError(t, err)
			e := extension(t, s, missing)
			require.Equal(t, available, e.Used, "the developer's own server may have it")
			require.Equal(t, available, strings.Count(e.Advice, "install ") == 0, e.Advice)
			require.NoError(t, s.VerifyMigrations(t.Context()))
		})
	}
}

// A database owner that is not a superuser may not create pgvector. Sluice works without it, says what to do, and
// uses it once it exists.
func TestAUserWhoMayNotCreateTheExtension(t *testing.T) {
	t.Parallel()
	address := pgtest.VectorURL(t)
	admin := connect(t, address)
	s := opened(t, address)
	_, err := s.Migrate(t.Context())
	require.NoError(t, err)
	does(t, admin, `DROP EXTENSION vector CASCADE; CREATE ROLE sluice_plain LOGIN PASSWORD 'plain';
		DO $$ DECLARE t text; BEGIN
			FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP EXECUTE format('ALTER TABLE %I OWNER TO sluice_plain', t); END LOOP;
		END $$; GRANT CREATE ON SCHEMA public TO sluice_plain`)
	t.Cleanup(func() {
		_, err := admin.Exec(context.Background(), `REASSIGN OWNED BY sluice_plain TO CURRENT_USER; DROP OWNED BY sluice_plain; DROP ROLE sluice_plain`)
		require.NoError(t, err)
	})
	u, err := url.Parse(address)
	require.NoError(t, err)
	u.User = url.UserPassword("sluice_plain", "plain")
	plain := opened(t, u.String())
	applied, err := plain.Migrate(t.Context())
	require.NoError(t, err)
	require.Empty(t, applied)
	require.Contains(t, extension(t, plain, "vector").Advice, "as a superuser, CREATE EXTENSION vector")

	does(t, admin, `CREATE EXTENSION vector`)
	applied, err = plain.Migrate(t.Context())
	require.NoError(t, err)
	require.Len(t, applied, 1)
	require.True(t, extension(t, plain, "vector").Used)

	does(t, admin, `DROP EXTENSION vector CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION sluice_plain`)
	_, err = plain.Migrate(t.Context())
	require.ErrorContains(t, err, "as a superuser: CREATE EXTENSION")
}

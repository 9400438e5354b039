package store_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/migrations"
	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/store"
)

// archon is what an older Archon installation has: no cascade on chunks, indexes of its
// own choice, and rows.
const archon = `
	CREATE TABLE archon_sources (source_id text PRIMARY KEY, source_url text, source_display_name text, summary text,
		total_word_count integer DEFAULT 0, title text, metadata jsonb DEFAULT '{}',
		created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
	CREATE TABLE archon_crawled_pages (id bigserial PRIMARY KEY, url varchar NOT NULL, chunk_number integer NOT NULL,
		content text NOT NULL, metadata jsonb NOT NULL DEFAULT '{}', source_id text NOT NULL REFERENCES archon_sources,
		llm_chat_model text, embedding_model text, embedding_dimension integer,
		content_search_vector tsvector GENERATED ALWAYS AS (to_tsvector('english', content)) STORED,
		created_at timestamptz NOT NULL DEFAULT now(), page_id uuid, UNIQUE (url, chunk_number));
	CREATE TABLE archon_migrations (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), version varchar(20) NOT NULL,
		migration_name varchar(255) NOT NULL, applied_at timestamptz DEFAULT now(), checksum varchar(32), UNIQUE (version, migration_name));
	INSERT INTO archon_migrations (version, migration_name, checksum) VALUES ('0.1.0', '010_add_provider_placeholders', 'theirs');
	INSERT INTO archon_sources (source_id, metadata) VALUES ('web', '{"source_type": "url"}');
	INSERT INTO archon_crawled_pages (url, chunk_number, content, source_id, metadata)
		VALUES ('https://example.com', 0, 'crawled words', 'web', '{"page_id": "5d7e4e0e-0000-4000-8000-000000000000"}');`

// shape is every column, index and constraint of Archon's tables, and Archon's rows.
func shape(t *testing.T, conn *pgx.Conn) []string {
	t.Helper()
	rows, err := conn.Query(t.Context(), `
		SELECT concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default) FROM information_schema.columns
			WHERE table_name IN ('archon_sources', 'archon_crawled_pages', 'archon_migrations') UNION ALL
		SELECT indexdef FROM pg_indexes WHERE tablename LIKE 'archon\_%' AND tablename <> 'archon_settings' AND indexname <> 'idx_confluence_chunks_page_id' UNION ALL
		SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid IN ('archon_sources'::regclass, 'archon_crawled_pages'::regclass, 'archon_migrations'::regclass) UNION ALL
		SELECT c::text FROM archon_crawled_pages c WHERE source_id = 'web' UNION ALL
		SELECT s::text FROM archon_sources s WHERE source_id = 'web' UNION ALL
		SELECT m::text FROM archon_migrations m WHERE checksum = 'theirs' ORDER BY 1`)
	require.NoError(t, err)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.NotEmpty(t, list)
	return list
}

func TestAnExistingArchonIsNotAltered(t *testing.T) {
	url := pgtest.URL(t)
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	_, err = conn.Exec(t.Context(), archon)
	require.NoError(t, err)
	before := shape(t, conn)

	s, err := store.Open(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	applied, err := s.Migrate(t.Context())
	require.NoError(t, err)
	require.Contains(t, applied, "010_add_confluence_pages")
	require.Equal(t, before, shape(t, conn))

	addSource(t, s, "docs")
	run := fullRun(t, s, "docs", "r1", listed("1", 1, "Home"))
	store1(t, s, write("docs", "r1", "1", 1, "Home", "our words"))
	finish(t, s, run)
	hits, err := s.Search(t.Context(), "words", store.Filter{})
	require.NoError(t, err)
	require.Len(t, hits, 2, "web chunks are found beside ours")
	_, err = s.Source(t.Context(), "web")
	require.ErrorIs(t, err, store.ErrNotFound, "a web source is not ours to sync")
	require.ErrorIs(t, s.RemoveSource(t.Context(), "web"), store.ErrNotFound)
	require.NoError(t, s.RemoveSource(t.Context(), "docs"), "also where chunks do not cascade")
	require.Equal(t, before, shape(t, conn))
}

func TestMigrationsAreRecordedAndVerified(t *testing.T) {
	s, conn := open(t)
	require.NoError(t, s.VerifyMigrations(t.Context()))
	var version, checksum string
	err := conn.QueryRow(t.Context(), `SELECT version, checksum FROM archon_migrations WHERE migration_name = '010_add_confluence_pages'`).Scan(&version, &checksum)
	require.NoError(t, err)
	require.Equal(t, "0.1.0", version)
	require.Regexp(t, "^[0-9a-f]{32}$", checksum)

	_, err = conn.Exec(t.Context(), `UPDATE archon_migrations SET checksum = 'tampered' WHERE migration_name = '010_add_confluence_pages'`)
	require.NoError(t, err)
	err = s.VerifyMigrations(t.Context())
	require.ErrorIs(t, err, migrations.ErrChanged)
	require.ErrorContains(t, err, "010_add_confluence_pages")

	_, err = conn.Exec(t.Context(), `DELETE FROM archon_migrations`)
	require.NoError(t, err)
	require.ErrorIs(t, s.VerifyMigrations(t.Context()), migrations.ErrChanged)
	applied, err := s.Migrate(t.Context())
	require.NoError(t, err)
	require.Empty(t, applied)
	require.NoError(t, s.VerifyMigrations(t.Context()), "a crash between applying and recording heals")
}

func TestManyMigrateAtOnce(t *testing.T) {
	url := pgtest.URL(t)
	var group errgroup.Group
	for range 4 {
		group.Go(func() error {
			s, err := store.Open(t.Context(), url)
			if err != nil {
				return err
			}
			defer s.Close()
			_, err = s.Migrate(t.Context())
			return err
		})
	}
	require.NoError(t, group.Wait())
}

func TestDownLeavesNothingOfOursBehind(t *testing.T) {
	s, conn := open(t)
	require.NoError(t, s.MigrateDown(t.Context()))
	rows, err := conn.Query(t.Context(), `SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i', 'S') AND relname ~ 'confluence'`)
	require.NoError(t, err)
	left, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Empty(t, left)
	_, err = s.Migrate(t.Context())
	require.NoError(t, err, "up again")
	require.NoError(t, s.VerifyMigrations(t.Context()))
}

func TestABadAddressIsNamedWithoutItsPassword(t *testing.T) {
	_, err := store.Open(t.Context(), "postgres://user:hunter2@host:notaport/db")
	require.Error(t, err)
	require.False(t, strings.Contains(err.Error(), "hunter2"), err.Error())
}

// Where Archon runs on Supabase, a table without row level security is open to anyone who has
// the site's public key.
func TestOnSupabaseEveryTableIsGuarded(t *testing.T) {
	url := pgtest.URL(t)
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	_, err = conn.Exec(t.Context(), `
		CREATE SCHEMA auth;
		CREATE FUNCTION auth.role() RETURNS text LANGUAGE sql STABLE AS $$ SELECT 'anon' $$`)
	require.NoError(t, err)
	var there bool
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'authenticated')`).Scan(&there))
	if !there {
		_, err = conn.Exec(t.Context(), `CREATE ROLE authenticated`)
		require.NoError(t, err)
	}
	s, err := store.Open(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	_, err = s.Migrate(t.Context())
	require.NoError(t, err)
	rows, err := conn.Query(t.Context(), `SELECT relname::text FROM pg_class
		WHERE relkind = 'r' AND relname LIKE 'confluence\_%' AND NOT relrowsecurity`)
	require.NoError(t, err)
	open, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Empty(t, open)
	addSource(t, s, "docs")
	run := fullRun(t, s, "docs", "r1", listed("1", 1, "Home"))
	store1(t, s, write("docs", "r1", "1", 1, "Home", "alpha"))
	require.True(t, finish(t, s, run).State.Final(), "the tables' owner is not held back")
	if !there {
		_, err = conn.Exec(t.Context(), `DROP OWNED BY authenticated; DROP ROLE authenticated`)
		require.NoError(t, err)
	}
}

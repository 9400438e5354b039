//go:build unix

package local

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/localpg"
	"github.com/sluicehq/sluice/shared/store"
)

// folder is a temporary folder that Postgres can enter as its own user; t.TempDir may not be one.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sluice-local-test-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func started(t *testing.T, dir string) *Servers {
	t.Helper()
	s, err := Start(t.Context(), Options{DataDir: dir, NatsURL: "nats://elsewhere:4222", PGBinDir: os.Getenv("SLUICE_PG_BINDIR"), Log: zerolog.Nop()})
	require.NoError(t, err)
	t.Cleanup(s.Stop)
	return s
}

func connected(t *testing.T, address string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func does(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	_, err := conn.Exec(t.Context(), sql)
	require.NoError(t, err, sql)
}

func one[T any](t *testing.T, conn *pgx.Conn, sql string) T {
	t.Helper()
	var v T
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&v), sql)
	return v
}

func migrated(t *testing.T, address string) {
	t.Helper()
	s, err := store.Open(t.Context(), address)
	require.NoError(t, err)
	defer s.Close()
	_, err = s.Migrate(t.Context())
	require.NoError(t, err)
}

// asBefore makes a data folder as earlier releases did, whose superuser owned everything, with objects of
// every kind that people add. It also stands for a folder that an earlier release has used in between.
func asBefore(t *testing.T, dir, sql string) {
	t.Helper()
	pg, err := localpg.Start(t.Context(), localpg.Options{DataDir: filepath.Join(dir, "postgres"), BinDir: os.Getenv("SLUICE_PG_BINDIR"), NoSync: true})
	require.NoError(t, err)
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, pg.Stop(ctx))
	}()
	migrated(t, pg.URL())
	conn := connected(t, pg.URL())
	does(t, conn, sql)
	require.NoError(t, conn.Close(t.Context()))
}

const everyKind = `
	INSERT INTO archon_settings (key, value) VALUES ('a.setting', 'still here');
	CREATE SCHEMA "Their place";
	CREATE TABLE "Their place".t (id serial PRIMARY KEY, n bigint GENERATED ALWAYS AS IDENTITY, v text) PARTITION BY RANGE (id);
	CREATE TABLE "Their place".part PARTITION OF "Their place".t FOR VALUES FROM (0) TO (1000);
	CREATE SEQUENCE alone;
	CREATE VIEW a_view AS SELECT 1 AS x; CREATE MATERIALIZED VIEW kept AS SELECT 2 AS x;
	CREATE TYPE mood AS ENUM ('good'); CREATE DOMAIN short AS varchar(3); CREATE TYPE pair AS (a int, b text); CREATE TYPE span AS RANGE (subtype = int);
	CREATE FUNCTION twice(int, "Their place".t DEFAULT NULL) RETURNS int LANGUAGE sql AS 'SELECT 2 * $1';
	CREATE PROCEDURE nothing() LANGUAGE sql AS 'SELECT 1'; CREATE AGGREGATE total(int) (sfunc = int4pl, stype = int);
	CREATE OPERATOR @#@ (leftarg = int, rightarg = int, function = int4pl);
	CREATE TEXT SEARCH DICTIONARY words (template = simple); CREATE TEXT SEARCH CONFIGURATION words (copy = simple);
	CREATE COLLATION bytes FROM "C"; CREATE STATISTICS related ON n, v FROM "Their place".t;`

// What no role may do that is no superuser: each is a way from the database to the machine, or around
// another's rules.
var onlySuperusers = []string{
	`COPY (SELECT 1) TO PROGRAM 'true'`,
	`SELECT pg_read_file('postgresql.conf')`,
	`COPY archon_settings FROM '/etc/passwd'`,
	`ALTER SYSTEM SET work_mem = '1MB'`,
	`CREATE ROLE another SUPERUSER`,
	`CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'libc', 'system'`,
	`SET ROLE sluice`,
}

// The database's owner is no superuser, whether the folder is new, was made by an earlier release, or was
// used by one in between; and it may do everything with what is in the database.
// In a container, a user often has no home.
func TestThereIsADataFolderWithoutAHome(t *testing.T) {
	require.Equal(t, "/var/lib/sluice", dataDir(false, "", ""))
	require.Equal(t, "/var/lib/sluice", dataDir(true, "/root/data", "/root"))
	require.Equal(t, "/data/sluice", dataDir(false, "/data", "/home/ann"))
	require.Equal(t, "/home/ann/.local/share/sluice", dataDir(false, "", "/home/ann"))
}

func TestTheEmbeddedDatabaseIsNotTheSuperusers(t *testing.T) {
	dir := folder(t)
	asBefore(t, dir, everyKind)
	var before string
	for _, again := range []string{"", `CREATE TABLE later (id serial); CREATE FUNCTION three() RETURNS int LANGUAGE sql AS 'SELECT 3'`} {
		if again != "" {
			asBefore(t, dir, again)
		}
		s := started(t, dir)
		require.NotEqual(t, before, s.DatabaseURL, "the password is a new one each time")
		before = s.DatabaseURL
		info, err := os.Stat(filepath.Join(dir, "running.json"))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "it holds the passwords")
		conn := connected(t, s.DatabaseURL)
		require.Equal(t, "sluice_owner", one[string](t, conn, `SELECT current_user`))
		for _, sql := range onlySuperusers {
			_, err := conn.Exec(t.Context(), sql)
			var refused *pgconn.PgError
			require.ErrorAs(t, err, &refused, sql)
			require.Equal(t, "42501", refused.Code, sql)
		}
		require.Empty(t, one[string](t, conn, `SELECT coalesce(string_agg(c.oid::regclass::text, ' '), '') FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
			WHERE relowner <> 'sluice_owner'::regrole AND nspname !~ '^pg_|information_schema'
				AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')`))
		require.Equal(t, "still here", one[string](t, conn, `SELECT value FROM archon_settings WHERE key = 'a.setting'`))
		migrated(t, s.DatabaseURL)
		if again != "" {
			does(t, conn, `DROP TABLE later; DROP FUNCTION three()`)
		}
		require.NoError(t, conn.Close(t.Context()))
		s.Stop()
	}

	// The owner changes and removes what the superuser had made.
	s := started(t, dir)
	conn := connected(t, s.DatabaseURL)
	does(t, conn, `
		ALTER TABLE "Their place".t ADD COLUMN w int; ALTER SEQUENCE alone RESTART; CREATE OR REPLACE VIEW a_view AS SELECT 3 AS x;
		REFRESH MATERIALIZED VIEW kept; ALTER TYPE mood ADD VALUE 'bad'; ALTER DOMAIN short SET NOT NULL; ALTER TYPE pair ADD ATTRIBUTE c int;
		DROP STATISTICS related; DROP COLLATION bytes; DROP TEXT SEARCH CONFIGURATION words; DROP TEXT SEARCH DICTIONARY words;
		DROP OPERATOR @#@ (int, int); DROP AGGREGATE total(int); DROP PROCEDURE nothing(); DROP TYPE span;
		DROP FUNCTION twice(int, "Their place".t); DROP SCHEMA "Their place" CASCADE`)
	u, err := url.Parse(s.DatabaseURL)
	require.NoError(t, err)
	require.Equal(t, "sluice_owner", u.User.Username())
}

// A new folder needs no more than the owner's rights for all of Sluice's tables.
func TestANewEmbeddedDatabaseIsItsOwners(t *testing.T) {
	s := started(t, folder(t))
	migrated(t, s.DatabaseURL)
	conn := connected(t, s.DatabaseURL)
	require.False(t, one[bool](t, conn, `SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls FROM pg_roles WHERE rolname = current_user`))
	require.Equal(t, "sluice_owner", one[string](t, conn, `SELECT tableowner FROM pg_tables WHERE tablename = 'confluence_pages'`))
}

// Commands that only read share one Postgres; one that goes on running waits until it has ended.
func TestReadersShareADatabase(t *testing.T) {
	dir := folder(t)
	started(t, dir).Stop()
	var noticed string
	waits := make(chan struct{})
	o := Options{DataDir: dir, NatsURL: "nats://elsewhere:4222", PGBinDir: os.Getenv("SLUICE_PG_BINDIR"), Log: zerolog.Nop(), Notice: func(text string) {
		if strings.Contains(text, "Waiting") {
			noticed = text
			close(waits)
		}
	}}
	first, err := StartDatabase(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(first.Stop)
	second, err := StartDatabase(t.Context(), o)
	require.NoError(t, err)
	require.Equal(t, first.DatabaseURL, second.DatabaseURL)
	second.Stop()
	require.EqualValues(t, 1, one[int32](t, connected(t, first.DatabaseURL), "SELECT 1"))
	_, err = Running(dir)
	require.ErrorIs(t, err, ErrNotRunning)
	go func() {
		<-waits
		first.Stop()
	}()
	all, err := Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(all.Stop)
	require.Contains(t, noticed, "sluice mcp")
}

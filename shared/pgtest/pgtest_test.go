package pgtest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// part makes a run of this test binary play a role in one of its tests: how Main ends a process is
// visible only from outside.
const part = "PGTEST_PART"

func TestMain(m *testing.M) {
	if os.Getenv(part) == "without-main" {
		os.Exit(m.Run())
	}
	Main(m)
}

func scan[T any](t *testing.T, address, sql string) T {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()
	var v T
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&v))
	return v
}

func TestEveryTestHasItsOwnEmptyDatabase(t *testing.T) {
	t.Setenv("DATABASE_URL", "postgres://nobody@127.0.0.1:1/not-for-tests")
	a, b := URL(t), URL(t)
	require.NotEqual(t, a, b)
	conn, err := pgx.Connect(t.Context(), a)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `CREATE TABLE mine (id int)`)
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
	const tables = `SELECT count(*) FROM pg_tables WHERE schemaname = 'public'`
	require.Equal(t, 1, scan[int](t, a, tables))
	require.Equal(t, 0, scan[int](t, b, tables))
	require.Equal(t, "UTF8", scan[string](t, a, `SHOW server_encoding`))
}

func TestTheDatabaseGoesWithTheTest(t *testing.T) {
	var address string
	var left *pgx.Conn
	t.Run("uses one", func(t *testing.T) {
		address = URL(t)
		var err error
		left, err = pgx.Connect(context.Background(), address) // forgotten by the test
		require.NoError(t, err)
	})
	defer left.Close(context.Background())
	_, err := pgx.Connect(t.Context(), address)
	var pg *pgconn.PgError
	require.ErrorAs(t, err, &pg)
	require.Equal(t, "3D000", pg.Code) // there is no such database
}

func TestParallelTestsShareOneServer(t *testing.T) {
	for i := range 8 {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			require.Equal(t, 1, scan[int](t, URL(t), `SELECT 1`))
		})
	}
}

// play runs the test TestPart of this binary in a separate process.
func play(t *testing.T, role string, env ...string) (string, int, string) {
	t.Helper()
	tmp, err := os.MkdirTemp("", "pgtest-test-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(tmp, 0o755))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(tmp)) })
	cmd := exec.Command(os.Args[0], "-test.run=^TestPart$", "-test.v")
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp, part+"="+role, ServerVariable+"=")
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil {
		require.True(t, errors.As(err, &exit), "%v", err)
	}
	return string(out), cmd.ProcessState.ExitCode(), tmp
}

// TestPart is the test that play runs. In an ordinary run it does nothing.
func TestPart(t *testing.T) {
	switch os.Getenv(part) {
	case "use", "without-main":
		t.Log("version", scan[string](t, URL(t), `SHOW server_version`))
		scan[int](t, MigratedURL(t), `SELECT count(*) FROM archon_sources`)
	case "leak":
		URL(t)
		block := make(chan struct{})
		go func() { <-block }()
	case "server-dies":
		URL(t)
		p, err := os.FindProcess(tests.plain.server.pg.PID())
		require.NoError(t, err)
		require.NoError(t, p.Kill())
		<-tests.plain.server.pg.Done()
	}
}

func TestMainLeavesNothingBehind(t *testing.T) {
	out, code, tmp := play(t, "use")
	require.Zero(t, code, out)
	require.Contains(t, out, "version")
	left, err := filepath.Glob(filepath.Join(tmp, "*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestMainFailsTheRun(t *testing.T) {
	for role, want := range map[string]string{
		"leak":         "found unexpected goroutines",
		"without-main": "pgtest.Main(m)",
		"server-dies":  "ended by itself",
	} {
		t.Run(role, func(t *testing.T) {
			out, code, _ := play(t, role)
			require.Equal(t, 1, code, out)
			require.Contains(t, out, want)
			require.NotContains(t, out, "SKIP")
		})
	}
}

func TestWithoutPostgresTheRunFails(t *testing.T) {
	out, code, _ := play(t, "use", "SLUICE_PG_BINDIR="+t.TempDir())
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "these tests need PostgreSQL")
	require.Contains(t, out, "SLUICE_PG_BINDIR")
	require.NotContains(t, out, "SKIP")
}

func TestAnotherServerCanBeNamed(t *testing.T) {
	address := URL(t) // of the test's own server, which plays the external one
	const others = `SELECT count(*) FROM pg_database WHERE datname LIKE 'sluice\_test\_%' AND datname <> current_database()`
	before := scan[int](t, address, others) // databases of this process that still exist
	out, code, tmp := play(t, "use", ServerVariable+"="+address)
	require.Zero(t, code, out)
	left, err := filepath.Glob(filepath.Join(tmp, "*"))
	require.NoError(t, err)
	require.Empty(t, left)
	require.Equal(t, before, scan[int](t, address, others))

	out, code, _ = play(t, "use", ServerVariable+"=mysql://root:hunter2@localhost/x")
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "not a postgres:// address")
	require.NotContains(t, out, "hunter2")
}

func TestFoldersOfKilledRunsAreRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dead := exec.Command("true")
	require.NoError(t, dead.Run())
	folder := func(pid int, age time.Duration) string {
		dir := filepath.Join(os.TempDir(), dirPrefix+strconv.Itoa(pid)+"-x")
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "postgres"), 0o755))
		require.NoError(t, os.Chtimes(dir, time.Now(), time.Now().Add(-age)))
		return dir
	}
	gone := folder(dead.Process.Pid, time.Hour)
	live := folder(os.Getpid(), time.Hour)
	sweep()
	require.NoDirExists(t, gone)
	require.DirExists(t, live)

	young := folder(dead.Process.Pid, 0)
	sweep()
	require.DirExists(t, young) // its server may still be shutting down
}

package localpg

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// folder is a temporary folder that the server's user can reach, unlike t.TempDir
// for a test that runs as root with a strict umask.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "localpg-test-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func run(t *testing.T, o Options) *Server {
	t.Helper()
	o.NoSync = true
	s, err := Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	require.NoError(t, s.Stop(ctx))
}

func query[T any](t *testing.T, url, sql string, args ...any) T {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	var v T
	require.NoError(t, conn.QueryRow(t.Context(), sql, args...).Scan(&v))
	return v
}

func execute(t *testing.T, url, sql string, args ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
}

func TestDataOutlivesTheServer(t *testing.T) {
	data := filepath.Join(folder(t), "postgres")
	s := run(t, Options{DataDir: data})
	execute(t, s.URL(), `CREATE TABLE t AS SELECT 'still here' AS v`)
	stop(t, s)

	again := run(t, Options{DataDir: data})
	require.Equal(t, "still here", query[string](t, again.URL(), `SELECT v FROM t`))
}

//go:build unix

package localpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// partData and partBin make a run of this test binary act as a program that starts a server and is then
// killed: the kernel's reaction to a dead parent is visible only from outside.
const (
	partData = "LOCALPG_PART_DATA"
	partBin  = "LOCALPG_PART_BIN"
)

func TestMain(m *testing.M) {
	if data := os.Getenv(partData); data != "" {
		os.Exit(playPart(Options{DataDir: data, BinDir: os.Getenv(partBin), NoSync: true}))
	}
	goleak.VerifyTestMain(m)
}

// playPart starts a server, prints its address and process id, and waits for its own end.
func playPart(o Options) int {
	s, err := Start(context.Background(), o)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(s.URL(), s.PID())
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// part runs this binary as another program on data.
func part(t *testing.T, data, bin string) (*exec.Cmd, io.Reader) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), partData+"="+data, partBin+"="+bin)
	cmd.Stderr = os.Stderr
	_, err := cmd.StdinPipe() // open until the program is gone
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, out
}

func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	require.NoError(t, cmd.Process.Kill())
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit)
}

// folder is a temporary folder that the server's user can enter. When root runs the tests, t.TempDir may
// not be one.
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

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func query[T any](t *testing.T, url, sql string, args ...any) T {
	t.Helper()
	conn := connect(t, url)
	defer conn.Close(context.Background())
	var v T
	require.NoError(t, conn.QueryRow(t.Context(), sql, args...).Scan(&v))
	return v
}

func execute(t *testing.T, url, sql string) {
	t.Helper()
	conn := connect(t, url)
	defer conn.Close(context.Background())
	_, err := conn.Exec(t.Context(), sql)
	require.NoError(t, err)
}

// script writes a program.
func script(t *testing.T, path string, lines ...string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+strings.Join(lines, "\n")+"\n"), 0o755))
	require.NoError(t, os.Chmod(path, 0o755))
}

// fake writes programs that claim to be PostgreSQL of the version.
func fake(t *testing.T, dir, version string) string {
	t.Helper()
	script(t, filepath.Join(dir, "postgres"), "echo 'postgres (PostgreSQL) "+version+"'")
	script(t, filepath.Join(dir, "initdb"), "exit 1")
	return dir
}

// wrap writes programs in dir that run the real ones, except for the given replacements.
func wrap(t *testing.T, dir string, instead map[string][]string) string {
	t.Helper()
	real := installed(t)
	for _, name := range []string{"postgres", "initdb"} {
		lines, ok := instead[name]
		if !ok {
			lines = []string{`exec ` + real.path(name) + ` "$@"`}
		}
		script(t, filepath.Join(dir, name), lines...)
	}
	return dir
}

// installed are the binaries that the tests use.
func installed(t *testing.T) Binaries {
	t.Helper()
	b, err := EnsureBinaries(t.Context(), Options{DataDir: filepath.Join(folder(t), "none")})
	require.NoError(t, err)
	return b
}

// gone waits until the process pid no longer exists.
func gone(t *testing.T, pid int) {
	t.Helper()
	require.Eventually(t, func() bool {
		p, err := os.FindProcess(pid)
		return err != nil || errors.Is(p.Signal(syscall.Signal(0)), os.ErrProcessDone)
	}, 20*time.Second, 10*time.Millisecond)
}

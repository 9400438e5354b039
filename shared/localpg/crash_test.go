//go:build unix

package localpg

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheServerEndsWithAKilledParent(t *testing.T) {
	t.Parallel()
	data := filepath.Join(folder(t), "postgres")
	parent, out := part(t, data, "")
	var url string
	var pid int
	_, err := fmt.Fscan(out, &url, &pid)
	require.NoError(t, err)
	execute(t, url, `CREATE TABLE t AS SELECT 'committed' AS v`)
	_, err = Start(t.Context(), Options{DataDir: data})
	require.ErrorIs(t, err, ErrRunning)
	require.ErrorContains(t, err, fmt.Sprintf("process %d runs", parent.Process.Pid))

	kill(t, parent)
	// Immediately: Start must wait for the orphan.
	s := run(t, Options{DataDir: data})
	require.Equal(t, "committed", query[string](t, s.URL(), `SELECT v FROM t`))
	gone(t, pid)
}

func TestAKilledParentLeavesNoHalfCluster(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	data := filepath.Join(dir, "postgres")
	// initdb stops half-way, with files in place, until its parent is killed.
	bin := wrap(t, filepath.Join(dir, "bin"), map[string][]string{
		"initdb": {`while [ "$1" != "-D" ]; do shift; done`, `mkdir -p "$2/base"`, `echo 15 > "$2/PG_VERSION"`, "exec sleep 10"},
	})
	parent, _ := part(t, data, bin)
	require.Eventually(t, func() bool {
		left, err := filepath.Glob(data + ".init/data/PG_VERSION")
		return err == nil && len(left) == 1
	}, 20*time.Second, 5*time.Millisecond)
	kill(t, parent)
	require.NoDirExists(t, data)
	require.DirExists(t, data+".init")

	s := run(t, Options{DataDir: data})
	require.Equal(t, 1, query[int](t, s.URL(), `SELECT 1`))
	require.NoDirExists(t, data+".init")
}

func TestAServerThatDiesIsNoticed(t *testing.T) {
	t.Parallel()
	data := filepath.Join(folder(t), "postgres")
	s := run(t, Options{DataDir: data})
	execute(t, s.URL(), `CREATE TABLE t AS SELECT 'committed' AS v`)
	require.NoError(t, s.Err())
	require.NoError(t, signalProcess(s.PID(), syscall.SIGKILL))
	<-s.Done()
	require.ErrorContains(t, s.Err(), "killed")
	require.ErrorContains(t, s.Err(), data+".log")

	again := run(t, Options{DataDir: data})
	require.Equal(t, "committed", query[string](t, again.URL(), `SELECT v FROM t`))
}

func TestAServerThatFailsToStartIsQuoted(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	data := filepath.Join(dir, "postgres")
	stop(t, run(t, Options{DataDir: data}))
	bin := wrap(t, filepath.Join(dir, "bin"), map[string][]string{
		"postgres": {`case "$1" in --version) echo "postgres (PostgreSQL) ` + installed(t).Version + `";;`,
			`*) echo "the disk is on fire" >&2; exit 3;; esac`},
	})
	_, err := Start(t.Context(), Options{DataDir: data, BinDir: bin})
	require.ErrorContains(t, err, "the disk is on fire")
	require.ErrorContains(t, err, "exit status 3")
	run(t, Options{DataDir: data})
}

func TestAnInitdbThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	data := filepath.Join(dir, "postgres")
	for name, instead := range map[string]map[string][]string{
		"initdb":      {"initdb": {"echo 'no room left' >&2; exit 1"}},
		"single-user": {"postgres": {`case "$1" in --single) echo 'no room left' >&2; exit 1;; esac`, `exec ` + installed(t).path("postgres") + ` "$@"`}},
	} {
		t.Run(name, func(t *testing.T) {
			bin := wrap(t, filepath.Join(dir, name), instead)
			_, err := Start(t.Context(), Options{DataDir: data, BinDir: bin, NoSync: true})
			require.ErrorContains(t, err, "no room left")
			require.NoDirExists(t, data)
			require.NoDirExists(t, data+".init")
		})
	}
}

// A system without the preferred locale gets the next best one; other failures of initdb are not
// retried.
func TestAMissingLocaleIsReplaced(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	data := filepath.Join(dir, "postgres")
	bin := wrap(t, filepath.Join(dir, "bin"), map[string][]string{
		"initdb": {`case "$*" in *UTF-8*) echo 'initdb: error: invalid locale name "C.UTF-8"' >&2; exit 1;; esac`,
			`exec ` + installed(t).path("initdb") + ` "$@"`},
	})
	s := run(t, Options{DataDir: data, BinDir: bin})
	require.Equal(t, "C", query[string](t, s.URL(), `SELECT datctype FROM pg_database WHERE datname = current_database()`))
	require.Equal(t, "UTF8", query[string](t, s.URL(), `SHOW server_encoding`))
}

// A process id in a pid file that a crash left may belong to any other process by now. In a restarted
// container it usually does.
func TestAPidFileMayNameAStranger(t *testing.T) {
	t.Parallel()
	data := filepath.Join(folder(t), "postgres")
	s := run(t, Options{DataDir: data})
	pidfile, err := os.ReadFile(pidFilePath(data))
	require.NoError(t, err)
	stop(t, s)
	stranger := exec.Command("sleep", "100")
	require.NoError(t, stranger.Start())
	defer func() { kill(t, stranger) }()
	stale := bytes.Replace(pidfile, []byte(strconv.Itoa(s.PID())), []byte(strconv.Itoa(stranger.Process.Pid)), 1)
	require.NoError(t, os.WriteFile(pidFilePath(data), stale, 0o600))
	require.NoError(t, os.Chown(pidFilePath(data), owner(t, data), -1))

	o := Options{DataDir: data, NoSync: true, patience: 200 * time.Millisecond}
	if runtime.GOOS != "linux" { // the process cannot be identified
		_, err := Start(t.Context(), o)
		require.ErrorIs(t, err, ErrRunning)
		return
	}
	again := run(t, o)
	require.Equal(t, 1, query[int](t, again.URL(), `SELECT 1`))
	require.True(t, processAlive(stranger.Process.Pid))
}

func TestAServerThatWasStartedByHandIsRespected(t *testing.T) {
	t.Parallel()
	data := filepath.Join(folder(t), "postgres")
	stop(t, run(t, Options{DataDir: data}))
	as, err := accountFor(data)
	require.NoError(t, err)
	port, err := pickPort(0)
	require.NoError(t, err)
	c := cluster{dir: data, bin: installed(t), opts: Options{NoSync: true}}
	byHand := runner{as: as}.command(t.Context(), c.bin.path("postgres"), c.serverArgs(port)...)
	require.NoError(t, byHand.Start())
	defer func() {
		require.NoError(t, byHand.Process.Signal(syscall.SIGINT))
		require.NoError(t, byHand.Wait())
	}()
	require.Eventually(t, func() bool {
		f, err := readPidFile(data)
		return err == nil && f.ready
	}, 20*time.Second, 5*time.Millisecond)

	_, err = Start(t.Context(), Options{DataDir: data, patience: 100 * time.Millisecond})
	require.ErrorIs(t, err, ErrRunning)
	require.ErrorContains(t, err, fmt.Sprintf("kill -INT %d", byHand.Process.Pid))
	require.True(t, processAlive(byHand.Process.Pid))
}

//go:build unix

package localpg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

func TestDataOutlivesTheServer(t *testing.T) {
	t.Parallel()
	data := filepath.Join(folder(t), "deep", "down", "postgres")
	var told []string
	s := run(t, Options{DataDir: data, Notice: func(text string) { told = append(told, text) }})
	execute(t, s.URL(), `CREATE TABLE t AS SELECT 'still here' AS v`)
	stop(t, s)
	require.NoError(t, s.Err())
	require.Len(t, told, 1)
	require.Contains(t, told[0], data)

	again := run(t, Options{DataDir: data})
	require.Equal(t, "still here", query[string](t, again.URL(), `SELECT v FROM t`))
	require.NoDirExists(t, data+".init")
	require.NotEqual(t, s.PID(), again.PID())
}

func TestAnEmptyFolderIsFilled(t *testing.T) {
	t.Parallel()
	data := folder(t)
	t.Cleanup(func() {
		for _, suffix := range []string{".lock", ".log"} {
			require.NoError(t, os.Remove(data+suffix))
		}
	})
	s := run(t, Options{DataDir: data})
	require.Equal(t, 1, query[int](t, s.URL(), `SELECT 1`))
}

func TestTheClusterIsWhatSluiceNeeds(t *testing.T) {
	t.Parallel()
	s := run(t, Options{
		DataDir:  filepath.Join(folder(t), "postgres"),
		Settings: map[string]string{"work_mem": "7MB", "shared_buffers": "32MB"},
	})
	for sql, want := range map[string]string{
		`SHOW server_encoding`:        "UTF8",
		`SHOW data_checksums`:         "on",
		`SHOW password_encryption`:    "scram-sha-256",
		`SHOW listen_addresses`:       "127.0.0.1",
		`SHOW TimeZone`:               "UTC",
		`SHOW work_mem`:               "7MB",
		`SHOW shared_buffers`:         "32MB",
		`SELECT current_database()`:   "sluice",
		`SELECT lower('ÀÉ Straße Ж')`: "àé straße ж",
		`SELECT 'true' FROM pg_hba_file_rules HAVING bool_and(auth_method = 'scram-sha-256')`: "true",
	} {
		require.Equal(t, want, query[string](t, s.URL(), sql), sql)
	}

	u, err := url.Parse(s.URL())
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("127.0.0.1:%d", s.Port()), u.Host)
	u.User = url.UserPassword("sluice", "wrong")
	_, err = pgx.Connect(t.Context(), u.String())
	var refused *pgconn.PgError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "28P01", refused.Code)
}

func TestThePasswordStaysPrivate(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	data := filepath.Join(folder(t), "postgres")
	s := run(t, Options{DataDir: data, Log: zerolog.New(&log)})
	u, err := url.Parse(s.URL())
	require.NoError(t, err)
	password, _ := u.User.Password()
	require.GreaterOrEqual(t, len(password), 20)
	require.Contains(t, log.String(), "PostgreSQL is running")
	require.NotContains(t, log.String(), password)

	info, err := os.Stat(filepath.Join(data, passwordFile))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	info, err = os.Stat(data)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
}

func TestTheServerSeesNoneOfOurSecrets(t *testing.T) {
	t.Setenv("CONFLUENCE_API_TOKEN", "hunter2")
	t.Setenv("PGPORT", "1")
	t.Setenv("PGDATA", "/nowhere")
	data := filepath.Join(folder(t), "postgres")
	// A script in place of the server can print its arguments.
	bin := wrap(t, filepath.Join(filepath.Dir(data), "bin"), map[string][]string{
		"postgres": {"env >&2", `exec ` + installed(t).path("postgres") + ` "$@"`},
	})
	run(t, Options{DataDir: data, BinDir: bin})
	log, err := os.ReadFile(data + ".log")
	require.NoError(t, err)
	require.Contains(t, string(log), "PATH=")
	require.NotContains(t, string(log), "hunter2")
	require.NotContains(t, string(log), "PGPORT")
	require.NotContains(t, string(log), "PGDATA")
}

func TestOnlyOneMayRunOnAFolder(t *testing.T) {
	t.Parallel()
	data := filepath.Join(folder(t), "postgres")
	const starts = 6
	servers := make([]*Server, starts)
	errs := make([]error, starts)
	var wg sync.WaitGroup
	for i := range starts {
		wg.Go(func() { servers[i], errs[i] = Start(t.Context(), Options{DataDir: data, NoSync: true}) })
	}
	wg.Wait()
	var winner *Server
	for i, s := range servers {
		if s != nil {
			require.Nil(t, winner, "two servers on one folder")
			winner = s
			t.Cleanup(func() { stop(t, s) })
			continue
		}
		require.ErrorIs(t, errs[i], ErrRunning)
		require.ErrorContains(t, errs[i], "process") // its number may not be written yet
		require.ErrorContains(t, errs[i], data)
	}
	require.NotNil(t, winner, "%v", errs)
	require.Equal(t, 1, query[int](t, winner.URL(), `SELECT 1`))

	// Also by another name.
	link := data + "-link"
	require.NoError(t, os.Symlink(data, link))
	_, err := Start(t.Context(), Options{DataDir: link})
	require.ErrorIs(t, err, ErrRunning)
	require.ErrorContains(t, err, fmt.Sprintf("process %d runs", os.Getpid()))
	stop(t, winner)
	run(t, Options{DataDir: link})
}

func TestABusyPort(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer busy.Close()
	port := busy.Addr().(*net.TCPAddr).Port
	data := filepath.Join(folder(t), "postgres")
	_, err = Start(t.Context(), Options{DataDir: data, NoSync: true, Port: port})
	require.ErrorIs(t, err, ErrPortBusy)
	require.ErrorContains(t, err, fmt.Sprint(port))

	// A port that is taken between choosing and using it: the server detects it.
	as, err := accountFor(data)
	require.NoError(t, err)
	log, err := os.OpenFile(data+".log", os.O_RDWR|os.O_APPEND, 0)
	require.NoError(t, err)
	defer log.Close()
	c := cluster{dir: data, bin: installed(t), run: runner{as: as}, opts: Options{NoSync: true}}
	_, err = c.launch(t.Context(), log, port)
	require.ErrorIs(t, err, ErrPortBusy)

	require.NoError(t, busy.Close())
	require.Equal(t, port, run(t, Options{DataDir: data, Port: port}).Port())
}

func TestAFolderThatIsNotOursIsLeftAlone(t *testing.T) {
	t.Parallel()
	data := filepath.Join(folder(t), "postgres")
	require.NoError(t, os.Mkdir(data, 0o755))
	precious := filepath.Join(data, "thesis.txt")
	require.NoError(t, os.WriteFile(precious, []byte("ten years"), 0o644))
	_, err := Start(t.Context(), Options{DataDir: data, NoSync: true})
	require.ErrorContains(t, err, "thesis.txt")
	require.ErrorContains(t, err, data)
	require.FileExists(t, precious)

	// A cluster that someone else made.
	require.NoError(t, os.WriteFile(filepath.Join(data, "PG_VERSION"), fmt.Appendln(nil, installed(t).major), 0o644))
	_, err = Start(t.Context(), Options{DataDir: data, NoSync: true})
	require.ErrorContains(t, err, "Sluice did not make")
	require.FileExists(t, precious)
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), Options{})
	require.ErrorContains(t, err, "no data folder")
	_, err = Start(t.Context(), Options{DataDir: folder(t), Settings: map[string]string{"port": "1"}})
	require.ErrorContains(t, err, `"port"`)
}

func TestABadSettingIsExplained(t *testing.T) {
	t.Parallel()
	data := filepath.Join(folder(t), "postgres")
	o := Options{DataDir: data, NoSync: true, Settings: map[string]string{"work_mem": "plenty"}}
	_, err := Start(t.Context(), o)
	require.ErrorContains(t, err, "work_mem")
	require.ErrorContains(t, err, data+".log")
	// The failed start left the folder free and intact.
	run(t, Options{DataDir: data})
}

func TestALargeLogIsPutAside(t *testing.T) {
	t.Parallel()
	data := filepath.Join(folder(t), "postgres")
	require.NoError(t, os.WriteFile(data+".log", nil, 0o600))
	require.NoError(t, os.Truncate(data+".log", maxLog+1))
	run(t, Options{DataDir: data})
	info, err := os.Stat(data + ".log.old")
	require.NoError(t, err)
	require.EqualValues(t, maxLog+1, info.Size())
	info, err = os.Stat(data + ".log")
	require.NoError(t, err)
	require.Less(t, info.Size(), int64(maxLog))
	_, err = Start(t.Context(), Options{DataDir: data})
	require.ErrorIs(t, err, ErrRunning)
}

func TestStopRollsBackWhatIsOpen(t *testing.T) {
	t.Parallel()
	data := filepath.Join(folder(t), "postgres")
	s := run(t, Options{DataDir: data})
	execute(t, s.URL(), `CREATE TABLE t (v int)`)
	tx, err := connect(t, s.URL()).Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `INSERT INTO t VALUES (1)`)
	require.NoError(t, err)
	stop(t, s)
	stop(t, s) // a second time does nothing
	require.Equal(t, 0, query[int](t, run(t, Options{DataDir: data}).URL(), `SELECT count(*) FROM t`))
}

func TestStopDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	data := filepath.Join(folder(t), "postgres")
	s := run(t, Options{DataDir: data, patience: 100 * time.Millisecond})
	execute(t, s.URL(), `CREATE TABLE t AS SELECT 'committed' AS v`)
	require.NoError(t, signalProcess(s.PID(), syscall.SIGSTOP)) // deaf to all but a kill
	late, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("out of patience"))
	require.ErrorContains(t, s.Stop(late), "out of patience")
	<-s.Done()
	require.NoError(t, s.Err(), "it was told to end")
	require.False(t, processAlive(s.PID()))
	again := run(t, Options{DataDir: data})
	require.Equal(t, "committed", query[string](t, again.URL(), `SELECT v FROM t`))
}

func TestAStartCanBeCanceled(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	data := filepath.Join(dir, "postgres")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "seen"), 0o777))
	require.NoError(t, os.Chmod(filepath.Join(dir, "seen"), 0o777))
	bin := wrap(t, filepath.Join(dir, "bin"), map[string][]string{
		"initdb": {"touch " + filepath.Join(dir, "seen", "it"), "exec sleep 100"},
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := Start(ctx, Options{DataDir: data, BinDir: bin, NoSync: true})
		ended <- err
	}()
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(dir, "seen", "it"))
		return err == nil
	}, 20*time.Second, 5*time.Millisecond)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	require.NoDirExists(t, data)
	require.NoDirExists(t, data+".init")
	run(t, Options{DataDir: data})
}

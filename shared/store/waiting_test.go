package store_test

import (
	"context"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/localpg"
	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/store"
)

// changed returns the address of the tests' server with a change.
func changed(t *testing.T, address string, change func(*url.URL)) string {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	change(u)
	return u.String()
}

func TestWhatWaitingDoesNotMendEndsAtOnce(t *testing.T) {
	t.Parallel()
	address := pgtest.MigratedURL(t)
	u, err := url.Parse(address)
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		change func(*url.URL)
		says   []string
	}{
		"password": {func(u *url.URL) { u.User = url.UserPassword(u.User.Username(), "hunter2") },
			[]string{"refuses user", "password authentication failed", "28P01", "the password in DATABASE_URL"}},
		"user":     {func(u *url.URL) { u.User = url.UserPassword("nobody_here", "hunter2") }, []string{`user "nobody_here"`, "28P01"}},
		"database": {func(u *url.URL) { u.Path = "/not_there" }, []string{`database "not_there"`, "3D000", "create it"}},
		"TLS":      {func(u *url.URL) { u.RawQuery = "sslmode=require" }, []string{"refuses TLS", "sslmode"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := store.Open(t.Context(), changed(t, address, tc.change))
			require.Error(t, err)
			for _, text := range append(tc.says, u.Host) {
				assert.ErrorContains(t, err, text)
			}
			assert.NotContains(t, err.Error(), "hunter2")
			assert.NotContains(t, err.Error(), "\n")
		})
	}
}

// told records what a wait has reported.
type told struct {
	mu   sync.Mutex
	list []string
}

func (l *told) add(what string, why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, what+": "+why.Error())
}

func (l *told) has(text string) func() bool {
	return func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return slices.ContainsFunc(l.list, func(line string) bool { return strings.Contains(line, text) })
	}
}

// free returns a port on which nothing listens.
func free(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	return l.Addr().(*net.TCPAddr).Port
}

func TestAServerThatIsAwayIsWaitedForAndSaid(t *testing.T) {
	t.Parallel()
	at := "127.0.0.1:" + strconv.Itoa(free(t))
	var said told
	_, err := store.Open(t.Context(), "postgres://app:hunter2@"+at+"/sluice", store.Waiting(2*time.Second, said.add))
	require.ErrorContains(t, err, "Postgres at "+at+" does not answer: connect: connection refused; is it running")
	require.NotContains(t, err.Error(), "hunter2")
	require.True(t, store.Unavailable(err))
	require.True(t, said.has("Postgres: Postgres at "+at+" does not answer")())

	// A server that accepts the connection and never answers.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	var heard told
	_, err = store.Open(t.Context(), "postgres://app:hunter2@"+l.Addr().String()+"/sluice", store.Waiting(2*time.Second, heard.add))
	require.ErrorContains(t, err, l.Addr().String()+" does not answer: no answer in time")
	require.True(t, heard.has("Postgres: no answer yet")())
}

func TestAHostThatDoesNotResolve(t *testing.T) {
	t.Parallel()
	_, err := store.Open(t.Context(), "postgres://app:hunter2@postgres.invalid/sluice", store.Waiting(time.Second, nil))
	require.ErrorContains(t, err, `Postgres at postgres.invalid:5432 cannot be reached: the name "postgres.invalid" does not resolve`)

	// An unresolvable name fails after a limit.
	began := time.Now()
	_, err = store.Open(t.Context(), "postgres://app:hunter2@postgres.invalid/sluice")
	require.ErrorContains(t, err, "does not resolve")
	require.Less(t, time.Since(began), time.Minute)
}

func TestAServerThatStartsLater(t *testing.T) {
	t.Parallel()
	port := free(t)
	var said told
	type result struct {
		s   *store.Store
		err error
	}
	opened := make(chan result, 1)
	dir, err := os.MkdirTemp("", "sluice-store-pg-")
	require.NoError(t, err)
	defer func() { require.NoError(t, os.RemoveAll(dir)) }()
	require.NoError(t, os.Chmod(dir, 0o755)) // as root, Postgres runs as another user
	// Once it has run, its address and password are known.
	options := localpg.Options{DataDir: filepath.Join(dir, "postgres"), BinDir: os.Getenv("SLUICE_PG_BINDIR"), Port: port, NoSync: true}
	pg, err := localpg.Start(t.Context(), options)
	require.NoError(t, err)
	address := pg.URL()
	require.NoError(t, pg.Stop(t.Context()))
	go func() {
		s, err := store.Open(t.Context(), address, store.Waiting(0, said.add))
		opened <- result{s, err}
	}()
	require.Eventually(t, said.has("does not answer"), 20*time.Second, 10*time.Millisecond)
	pg, err = localpg.Start(t.Context(), options)
	require.NoError(t, err)
	defer func() { require.NoError(t, pg.Stop(context.WithoutCancel(t.Context()))) }()
	r := <-opened
	require.NoError(t, r.err)
	r.s.Close()
}

func TestTooManyConnectionsIsWaitedFor(t *testing.T) {
	t.Parallel()
	address := pgtest.MigratedURL(t)
	conn, err := pgx.Connect(t.Context(), address)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	_, err = conn.Exec(t.Context(), `CREATE ROLE crowded LOGIN PASSWORD 'hunter2' CONNECTION LIMIT 0`)
	require.NoError(t, err)
	defer func() {
		_, err := conn.Exec(context.WithoutCancel(t.Context()), `DROP ROLE crowded`)
		require.NoError(t, err)
	}()
	var said told
	opened := make(chan error, 1)
	go func() {
		s, err := store.Open(t.Context(), changed(t, address, func(u *url.URL) { u.User = url.UserPassword("crowded", "hunter2") }), store.Waiting(0, said.add))
		if err == nil {
			s.Close()
		}
		opened <- err
	}()
	require.Eventually(t, said.has("does not accept connections yet"), 20*time.Second, 10*time.Millisecond)
	_, err = conn.Exec(t.Context(), `ALTER ROLE crowded CONNECTION LIMIT -1`)
	require.NoError(t, err)
	require.NoError(t, <-opened)
}

func TestMissingMigrationsAreWaitedForAndSaid(t *testing.T) {
	t.Parallel()
	var said told
	s, err := store.Open(t.Context(), pgtest.URL(t), store.Waiting(2*time.Second, said.add))
	require.NoError(t, err)
	defer s.Close()
	require.ErrorContains(t, s.Ready(t.Context()), "run: sluice migrate up")
	require.True(t, said.has("the migrations of the database: the database is not migrated")())
	_, err = s.Migrate(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.Ready(t.Context()))
}

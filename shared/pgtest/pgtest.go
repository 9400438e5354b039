// Package pgtest gives tests a real PostgreSQL: one server for each test process, started for the first
// test that needs it, and an empty database for each test.
//
// A package that uses it has
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
//
// and its tests call URL, or MigratedURL. Without a server the tests fail; they never skip. The package
// never reads DATABASE_URL: it may name a database with real data.
//
// VectorURL does the same on a server with pgvector, which few machines have installed; Pooled puts
// PgBouncer in front of a database; Schema describes a database's schema.
package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/shared/localpg"
)

// ServerVariable names the variable with a server for the tests' databases, a postgres:// address whose
// user may create databases. If it is empty, the package starts a server.
const ServerVariable = "SLUICE_TEST_DATABASE_URL"

// namePrefix begins the name of every database that this package creates.
const namePrefix = "sluice_test_"

// adminTimeout limits creating or dropping one database.
const adminTimeout = time.Minute

// tests is the state of this test process.
var tests struct {
	inUse  bool
	plain  shared
	vector shared
	pooler bouncer
}

// shared is a server that the process's tests share, opened for the first test that needs it.
type shared struct {
	start  sync.Once
	server *server
	err    error
}

func (s *shared) get(open func() (*server, error)) (*server, error) {
	s.start.Do(func() { s.server, s.err = open() })
	return s.server, s.err
}

func (s *shared) close() error {
	if s.server == nil {
		return nil
	}
	return s.server.close()
}

// server is a server for the tests' databases.
type server struct {
	url    *url.URL
	suffix string          // options of CREATE DATABASE for speed
	pg     *localpg.Server // nil for an external server
	dir    string
	ready  prepared // the template of MigratedURL
}

// atOnce is the least number of parallel tests that run at the same time, whatever the number of cores:
// they wait for the server and for each other more than they compute.
const atOnce = 4

// Main runs the tests of a package and ends the process: it stops the server, removes its folder, and
// fails the run if goroutines remain. The options are goleak's, for goroutines that are known to stay.
func Main(m *testing.M, options ...goleak.Option) {
	tests.inUse = true
	if err := flag.Set("test.parallel", strconv.Itoa(max(atOnce, runtime.GOMAXPROCS(0)))); err != nil {
		panic(err)
	}
	code := m.Run()
	err := errors.Join(tests.pooler.close(), tests.plain.close(), tests.vector.close())
	if err == nil && code == 0 {
		// Each Find looks for a second. A busy machine may need more to end what was closed last.
		for range 10 {
			if err = goleak.Find(options...); err == nil {
				break
			}
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// URL creates an empty database for the test and returns its address. When the test ends, the database
// is dropped, even with open connections.
func URL(tb testing.TB) string {
	tb.Helper()
	return newDatabase(tb, &tests.plain, "PostgreSQL", openPlain, empty)
}

func openPlain() (*server, error) {
	return open(ServerVariable, func() (string, error) { return os.Getenv("SLUICE_PG_BINDIR"), nil })
}

// empty is the template for a database without any content.
func empty(*server) (string, error) { return "template0", nil }

// newDatabase creates a database as a copy of another one, on the server that open opens.
func newDatabase(tb testing.TB, on *shared, what string, open func() (*server, error), of func(*server) (string, error)) string {
	tb.Helper()
	if !tests.inUse {
		tb.Fatal("pgtest: the package needs func TestMain(m *testing.M) { pgtest.Main(m) }, which stops the server")
	}
	s, err := on.get(open)
	if err != nil {
		tb.Fatalf("pgtest: these tests need %s: %v", what, err)
	}
	template, err := of(s)
	if err != nil {
		tb.Fatalf("pgtest: making the database to copy: %v", err)
	}
	name := namePrefix + strings.ToLower(rand.Text())
	if err := s.exec("CREATE DATABASE " + name + " TEMPLATE " + template + s.suffix); err != nil {
		tb.Fatalf("pgtest: creating a database: %v", err)
	}
	tb.Cleanup(func() {
		if err := s.exec("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			tb.Errorf("pgtest: dropping the test's database: %v", err)
		}
	})
	u := *s.url
	u.Path = "/" + name
	return u.String()
}

// open connects to the server in the environment variable. If the variable is empty, open starts a
// server with the binaries of binDir; "" means any binaries.
func open(variable string, binDir func() (string, error)) (*server, error) {
	if address := os.Getenv(variable); address != "" {
		u, err := url.Parse(address)
		if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
			return nil, fmt.Errorf("%s is not a postgres:// address", variable) // no cause: it would quote the password
		}
		s := &server{url: u}
		return s, s.exec("SELECT 1")
	}
	sweep()
	bin, err := binDir()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", dirPrefix+strconv.Itoa(os.Getpid())+"-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for the server: %w", err)
	}
	s := &server{dir: dir}
	if err := s.run(bin); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// run starts the server. Initialising a cluster takes half a second, once for each test process; copying
// a prepared cluster would save two thirds of that but could hide that initialising is broken.
func (s *server) run(binDir string) error {
	// For tests that run as root: the server runs as another user.
	if err := os.Chmod(s.dir, 0o755); err != nil { //nolint:gosec // Postgres, as another user, enters it
		return fmt.Errorf("opening the server's folder: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute) // it may have to be downloaded
	defer cancel()
	pg, err := localpg.Start(ctx, localpg.Options{
		DataDir:  filepath.Join(s.dir, "postgres"),
		BinDir:   binDir,
		NoSync:   true,
		Settings: map[string]string{"max_connections": "200"},
		Notice:   notice,
	})
	if err != nil {
		return err
	}
	s.pg = pg
	if s.url, err = url.Parse(pg.URL()); err != nil {
		return fmt.Errorf("reading the server's address: %w", err)
	}
	// Without fsync, copying files is three times as fast as logging every block.
	if major, _, _ := strings.Cut(pg.Version(), "."); major != "14" {
		s.suffix = " STRATEGY file_copy"
	}
	return nil
}

func notice(text string) { fmt.Fprintln(os.Stderr, "pgtest:", text) }

func (s *server) close() error {
	errs := []error{s.dropMigrated()}
	if s.pg != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		errs = append(errs, s.pg.Err(), s.pg.Stop(ctx))
	}
	if s.dir != "" {
		errs = append(errs, os.RemoveAll(s.dir))
	}
	return errors.Join(errs...)
}

// exec runs one statement on a separate connection: no connection stays open that would look like a
// leak.
func (s *server) exec(sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), adminTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.url.String())
	if err != nil {
		return fmt.Errorf("connecting to the tests' server: %w", err)
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(ctx))
}

const dirPrefix = "sluice-pgtest-"

// sweep removes the folders of killed test processes. Their servers ended with them.
func sweep() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), dirPrefix+"*"))
	for _, dir := range dirs {
		owner, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), dirPrefix), "-")
		pid, err := strconv.Atoi(owner)
		if err != nil {
			continue
		}
		info, err := os.Stat(dir)
		if err != nil || time.Since(info.ModTime()) < time.Minute || alive(pid) {
			continue
		}
		_ = os.RemoveAll(dir) // another process may be removing it, or own it
	}
}

func alive(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	return !errors.Is(p.Signal(syscall.Signal(0)), os.ErrProcessDone)
}

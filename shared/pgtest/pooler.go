package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/localpg"
)

// PoolerVariable makes every store that tests open through MaybePooled reach its database through
// PgBouncer, if it is not empty.
const PoolerVariable = "SLUICE_TEST_POOLER"

// bouncer is the PgBouncer of a test process.
type bouncer struct {
	start sync.Once
	addr  string
	dir   string
	cmd   *exec.Cmd
	err   error
}

// Pooled returns the address of a database of URL or MigratedURL through PgBouncer in transaction mode.
// Consecutive transactions of one client use different sessions of the server, so that code that depends
// on a session fails immediately.
//
// Pooled uses the installed PgBouncer, or Debian's package, which apt-get downloads into localpg's
// download folder.
func Pooled(tb testing.TB, database string) string {
	tb.Helper()
	b := &tests.pooler
	b.start.Do(func() { b.err = b.run(tests.plain.server) })
	if b.err != nil {
		tb.Fatalf("pgtest: these tests need PgBouncer: %v", b.err)
	}
	u, err := url.Parse(database)
	if err != nil {
		tb.Fatal("pgtest: the database has no postgres:// address")
	}
	u.Host, u.RawQuery, u.User = b.addr, "sslmode=disable", url.UserPassword("tests", "tests")
	return u.String()
}

// MaybePooled is Pooled if PoolerVariable is set, else it returns the address unchanged.
func MaybePooled(tb testing.TB, database string) string {
	tb.Helper()
	if os.Getenv(PoolerVariable) == "" {
		return database
	}
	return Pooled(tb, database)
}

// run starts PgBouncer in front of a server, for any of its databases.
func (b *bouncer) run(s *server) error {
	program, libraries, err := findBouncer()
	if err != nil {
		return err
	}
	cfg, err := pgx.ParseConfig(s.url.String())
	if err != nil {
		return errors.New("reading the address of the tests' server") // no cause: it would quote the password
	}
	if b.addr, err = freeAddr(); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", dirPrefix+strconv.Itoa(os.Getpid())+"-"); err != nil {
		return fmt.Errorf("making a folder for PgBouncer: %w", err)
	}
	host, port, _ := strings.Cut(b.addr, ":")
	file := filepath.Join(b.dir, "pgbouncer.ini")
	ini := fmt.Sprintf(`[databases]
* = host='%s' port=%d user='%s' password='%s'
[pgbouncer]
listen_addr = %s
listen_port = %s
unix_socket_dir =
auth_type = any
pool_mode = transaction
server_round_robin = 1
default_pool_size = 8
min_pool_size = 2
max_client_conn = 500
server_idle_timeout = 2
log_connections = 0
log_disconnections = 0
`, cfg.Host, cfg.Port, cfg.User, cfg.Password, host, port)
	// For tests that run as root: PgBouncer runs as another user.
	err = errors.Join(os.Chmod(b.dir, 0o755), os.WriteFile(file, []byte(ini), 0o644)) //nolint:gosec // a server of tests
	if err != nil {
		return fmt.Errorf("writing PgBouncer's settings: %w", err)
	}
	var arguments []string
	if os.Geteuid() == 0 {
		arguments = append(arguments, "-u", "nobody")
	}
	b.cmd = exec.CommandContext(context.Background(), program, append(arguments, file)...) //nolint:gosec // the program that was found, without a shell
	b.cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+libraries)
	var out strings.Builder
	b.cmd.Stderr = &out
	if err := b.cmd.Start(); err != nil {
		return fmt.Errorf("starting PgBouncer: %w", err)
	}
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	dialer := net.Dialer{Timeout: time.Second}
	for range 200 {
		<-tick.C
		conn, dialErr := dialer.DialContext(context.Background(), "tcp", b.addr)
		if dialErr == nil {
			return conn.Close()
		}
		err = dialErr
	}
	return fmt.Errorf("waiting for PgBouncer: %w", errors.Join(err, b.close(), errors.New(out.String())))
}

func (b *bouncer) close() error {
	if b.cmd != nil && b.cmd.Process != nil {
		_ = b.cmd.Process.Kill()
		_ = b.cmd.Wait() // ending by that signal is not an error
	}
	if b.dir == "" {
		return nil
	}
	return os.RemoveAll(b.dir)
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("looking for a port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// bouncerPackages are Debian's package and the libraries that few machines have installed.
var bouncerPackages = []string{"pgbouncer", "libc-ares2", "libevent-2.1-7"}

// findBouncer returns PgBouncer's program and the folder of the libraries that it needs besides the
// system's, "" if it needs none.
func findBouncer() (program, libraries string, err error) {
	for _, place := range []string{"pgbouncer", "/usr/sbin/pgbouncer"} {
		if program, err = exec.LookPath(place); err == nil {
			return program, "", nil
		}
	}
	cache, err := localpg.DefaultCacheDir()
	if err != nil {
		return "", "", err
	}
	root := filepath.Join(cache, "pgbouncer-debian-"+runtime.GOARCH)
	program = filepath.Join(root, "usr", "sbin", "pgbouncer")
	if _, err := os.Stat(program); err != nil {
		if err := fetchBouncer(root); err != nil {
			return "", "", fmt.Errorf("%w; install it (apt-get install pgbouncer, brew install pgbouncer)", err)
		}
	}
	found, err := filepath.Glob(filepath.Join(root, "usr", "lib", "*"))
	found = slices.DeleteFunc(found, func(dir string) bool { return !strings.Contains(filepath.Base(dir), "linux-gnu") })
	if err != nil || len(found) == 0 {
		return "", "", fmt.Errorf("%s is incomplete: delete it", root)
	}
	return program, found[0], nil
}

// fetchBouncer unpacks Debian's packages in a temporary folder next to root, then moves the result to
// root.
func fetchBouncer(root string) error {
	notice("Downloading PgBouncer into " + root + " …")
	if err := os.MkdirAll(filepath.Dir(root), 0o755); err != nil { //nolint:gosec // as localpg makes it
		return fmt.Errorf("making the folder for downloads: %w", err)
	}
	work, err := os.MkdirTemp(filepath.Dir(root), "download-")
	if err != nil {
		return fmt.Errorf("making a folder for PgBouncer: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	in := func(program string, arguments ...string) error {
		cmd := exec.CommandContext(ctx, program, arguments...) //nolint:gosec // fixed programs, without a shell
		cmd.Dir = work
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", program, err, out)
		}
		return nil
	}
	if err := in("apt-get", append([]string{"download"}, bouncerPackages...)...); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(work, "*.deb"))
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := in("dpkg-deb", "-x", f, filepath.Join(work, "root")); err != nil {
			return err
		}
	}
	if err := os.Chmod(filepath.Join(work, "root"), 0o755); err != nil { //nolint:gosec // another user runs it
		return err
	}
	if err := os.Rename(filepath.Join(work, "root"), root); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("putting PgBouncer in place: %w", err)
	}
	return nil
}

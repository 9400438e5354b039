// Package localpg finds or downloads PostgreSQL's server binaries and runs a server as a child of this
// process, so that one program is enough to try and to run Sluice. The data outlives the process, the
// server does not: Stop stops it, and on Linux it also stops when this process is killed.
//
// Nothing in a cluster's folder is ever removed or overwritten. Next to the folder D are D.lock (who
// runs it), D.log (the server's log) and, while a new cluster is being made, D.init.
package localpg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/rs/zerolog"
)

// Errors that a caller may want to distinguish. Each is wrapped in a text that names the folder, the
// process or the versions, and the way out.
var (
	// ErrRunning: another process runs a server on the data folder.
	ErrRunning = errors.New("the data folder is in use")
	// ErrVersion: another major version made the data folder, and there are no binaries of that version
	// here.
	ErrVersion = errors.New("no PostgreSQL of the data folder's version")
	// ErrNoBinaries: no usable PostgreSQL was found and none could be downloaded.
	ErrNoBinaries = errors.New("no PostgreSQL server to run")
	// ErrPortBusy: Options.Port is taken by another program.
	ErrPortBusy = errors.New("the port is taken")
)

// Options configure a server. DataDir is required.
type Options struct {
	DataDir  string            // the cluster's folder; created if missing, never wiped
	CacheDir string            // folder of downloaded binaries; empty = DefaultCacheDir()
	BinDir   string            // the binaries to use; empty = search, then download
	Port     int               // TCP port on 127.0.0.1; 0 = any free port
	NoSync   bool              // survive a crash of the server, but not of the machine; for tests only
	Settings map[string]string // more settings, as in postgresql.conf; they override the defaults
	Log      zerolog.Logger
	Notice   func(string) // receives progress messages for people; may be nil

	// Vector asks for a server with pgvector. For a new cluster, binaries that have it go before others; otherwise it
	// is downloaded, and PostgreSQL 18 with it. Server.NoVector says why there is none in the end.
	Vector bool

	// DownloadBase is the Maven repository to download from; empty = Maven Central. Downloads are
	// verified with checksums in this package.
	DownloadBase string

	patience time.Duration // how long to wait for an orphaned server to end; 0 = orphanPatience
	search   *search       // where to look for binaries; nil = the usual places
	artifact *artifact     // the download; nil = the pinned one for this platform
	pgvector *Archive      // the download with pgvector; nil = the pinned one for this platform
}

// DefaultCacheDir is the default folder of downloaded binaries: the user's cache folder, or
// /var/cache/sluice for root, because the server's unprivileged user cannot enter root's own folders.
func DefaultCacheDir() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/cache/sluice", nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding a folder for downloaded binaries: %w", err)
	}
	return filepath.Join(dir, "sluice"), nil
}

// resolve makes the paths absolute, follows the data folder's symbolic link (its lock and log must be
// the same under every name) and fills in defaults.
func (o Options) resolve() (Options, error) {
	if o.DataDir == "" {
		return o, errors.New("localpg: no data folder given")
	}
	for name := range o.Settings {
		switch name {
		case "port", "listen_addresses", "data_directory":
			return o, fmt.Errorf("localpg: the setting %q is fixed by the launcher", name)
		}
	}
	o, err := o.defaults()
	if err != nil {
		return o, err
	}
	for _, p := range []*string{&o.DataDir, &o.CacheDir, &o.BinDir} {
		if *p == "" {
			continue
		}
		abs, err := filepath.Abs(*p)
		if err != nil {
			return o, fmt.Errorf("resolving %s: %w", *p, err)
		}
		*p = abs
	}
	if real, err := filepath.EvalSymlinks(o.DataDir); err == nil {
		o.DataDir = real
	}
	return o, nil
}

// defaults fills in empty fields, except the folders of one server.
func (o Options) defaults() (Options, error) {
	if o.CacheDir == "" {
		dir, err := DefaultCacheDir()
		if err != nil {
			return o, err
		}
		o.CacheDir = dir
	}
	if o.DownloadBase == "" {
		o.DownloadBase = mavenCentral
	}
	if o.Notice == nil {
		o.Notice = func(string) {}
	}
	if o.patience == 0 {
		o.patience = orphanPatience
	}
	return o, nil
}

// Start runs a server on the data folder, making a cluster first if there is none, and returns once it
// accepts connections and its database exists. Recovery from a crash may take a while: only ctx limits
// the wait, and ctx has no effect after Start has returned.
func Start(ctx context.Context, o Options) (*Server, error) {
	if !supported {
		return nil, fmt.Errorf("%w: %s cannot run one as a child; set DATABASE_URL", ErrNoBinaries, runtime.GOOS)
	}
	o, err := o.resolve()
	if err != nil {
		return nil, err
	}
	if err := mkdirOpen(filepath.Dir(o.DataDir)); err != nil {
		return nil, fmt.Errorf("making the folder for the data: %w", err)
	}
	hold, err := lockCluster(ctx, o.DataDir, o.patience)
	if err != nil {
		return nil, err
	}
	s, err := start(ctx, o, hold)
	if err != nil {
		hold.release()
		return nil, err
	}
	go s.finish(hold)
	return s, nil
}

func start(ctx context.Context, o Options, hold *clusterLock) (*Server, error) {
	bin, lacking, err := binariesFor(ctx, o)
	if err != nil {
		return nil, err
	}
	as, err := accountFor(o.DataDir)
	if err != nil {
		return nil, err
	}
	c := cluster{dir: o.DataDir, bin: bin, run: runner{as: as, hold: hold.log}, opts: o}
	password, err := c.ensure(ctx)
	if err != nil {
		return nil, err
	}
	c.extensions, err = c.giveVector(ctx)
	s, serr := c.serve(ctx, hold.log, password)
	if serr == nil {
		s.lacking = cmp.Or(lacking, err)
	}
	return s, serr
}

// serve starts the server. Another program may take a free port before the server does, so with Port 0 a
// collision leads to another port.
func (c cluster) serve(ctx context.Context, log *os.File, password string) (*Server, error) {
	const attempts = 5
	for attempt := 1; ; attempt++ {
		port, err := pickPort(c.opts.Port)
		if err != nil {
			return nil, err
		}
		s, err := c.launch(ctx, log, port)
		if err == nil {
			s.password = password
			c.opts.Log.Info().Int("pid", s.pid).Int("port", port).Str("version", c.bin.Version).
				Str("data", c.dir).Msg("PostgreSQL is running")
			return s, nil
		}
		if c.opts.Port != 0 || !errors.Is(err, ErrPortBusy) || attempt == attempts {
			return nil, err
		}
	}
}

func pickPort(port int) (int, error) {
	l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return 0, fmt.Errorf("%w: 127.0.0.1:%d: %w; choose another, or 0 for any free one", ErrPortBusy, port, err)
	}
	port = l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return 0, fmt.Errorf("freeing port %d: %w", port, err)
	}
	return port, nil
}

// URL is the address of the database "sluice", with its password: a secret.
func (s *Server) URL() string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, s.password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Package broker runs a NATS server with JetStream inside this process, for the program that runs every
// stage in one process, and for tests. A cluster of services uses a separate server instead; no other
// package depends on the difference.
package broker

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"
	"golang.org/x/crypto/bcrypt"

	"github.com/sluicehq/sluice/shared/secret"
)

// ErrPortBusy says that another process, or another server of this process, uses the port.
var ErrPortBusy = errors.New("port is in use")

const (
	// defaultPort is the port that NATS clients try by default.
	defaultPort = 4222
	// maxStore and maxMemory are limits, not reservations on the disk. By default the server would limit
	// itself to a share of the currently free space and reject the streams on a nearly full disk,
	// although they stay almost empty.
	maxStore  = 8 << 30
	maxMemory = 64 << 20
	// syncInterval limits the loss after a power cut. Postgres is the system of record: messages that
	// the broker lost are sent again from the ledger.
	syncInterval = 10 * time.Second
	// startTimeout includes reading a large store, which takes seconds at most.
	startTimeout = 30 * time.Second
)

// Options configure the server's address and the folder of its streams.
type Options struct {
	StoreDir   string        // required; created when missing
	Host       string        // default 127.0.0.1
	Port       int           // 0 is 4222, -1 any free port
	MaxPayload int32         // bytes of the largest message, headers included; 0 is NATS's default of 1 MiB
	User       string        // with Password, the only one who may log in; "" for everybody whom ConfigFile lets in
	Password   secret.String // random, at most 72 bytes
	ConfigFile string        // a NATS configuration with users and TLS; the fields above override it
	Log        zerolog.Logger
}

// Server is a running server.
type Server struct {
	srv  *server.Server
	once sync.Once
}

// Start starts a server and returns once it accepts connections and JetStream answers. The error is
// ErrPortBusy if another process listens there; another error says that the store folder cannot be
// written. Start installs no signal handlers and never ends the process.
func Start(o Options) (*Server, error) {
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	if o.Port == 0 {
		o.Port = defaultPort
	}
	if err := writable(o.StoreDir); err != nil {
		return nil, fmt.Errorf("start NATS: %w", err)
	}
	// The server opens its store before its port. Checking the port first keeps a second server away
	// from the files of the first.
	if err := free(o.Host, o.Port); err != nil {
		return nil, fmt.Errorf("start NATS: %w", err)
	}
	opts := &server.Options{}
	if o.ConfigFile != "" {
		var err error
		if opts, err = server.ProcessConfigFile(o.ConfigFile); err != nil {
			return nil, fmt.Errorf("start NATS: %w", err)
		}
	}
	opts.ServerName, opts.Host, opts.Port = "sluice", o.Host, o.Port
	if o.MaxPayload > 0 {
		opts.MaxPayload = o.MaxPayload
	}
	if o.User != "" {
		// A plain password in the server's options is one that NATS warns about. The lowest cost is enough for one that
		// is random.
		hash, err := bcrypt.GenerateFromPassword([]byte(o.Password.Reveal()), bcrypt.MinCost)
		if err != nil {
			return nil, fmt.Errorf("start NATS: its password: %w", err)
		}
		opts.Username, opts.Password = o.User, string(hash)
	}
	opts.JetStream, opts.StoreDir = true, o.StoreDir
	opts.JetStreamMaxStore, opts.JetStreamMaxMemory, opts.SyncInterval = maxStore, maxMemory, syncInterval
	opts.HTTPPort = 0 // only a separate server needs its health check
	opts.NoSigs, opts.DisableJetStreamBanner = true, true
	srv, err := server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("start NATS: %w", err)
	}
	log := &serverLog{log: o.Log}
	srv.SetLoggerV2(log, false, false, false)
	srv.Start()
	s := &Server{srv: srv}
	if cause := log.cause(); cause != nil {
		s.Stop()
		if err := free(o.Host, o.Port); errors.Is(err, ErrPortBusy) {
			cause = err // another process took the port after the check
		}
		return nil, fmt.Errorf("start NATS: %w", cause)
	}
	if !srv.ReadyForConnections(startTimeout) {
		s.Stop()
		return nil, fmt.Errorf("start NATS: not ready after %s", startTimeout)
	}
	return s, nil
}

// URL is the clients' address, nats://host:port.
func (s *Server) URL() string { return s.srv.ClientURL() }

// Stop stops the server and returns when it has stopped. A second call does nothing.
func (s *Server) Stop() {
	s.once.Do(func() {
		s.srv.Shutdown()
		s.srv.WaitForShutdown()
	})
}

func writable(dir string) error {
	if dir == "" {
		return errors.New("no store folder is given")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("the store folder cannot be made: %w", err)
	}
	f, err := os.CreateTemp(dir, ".writable-*")
	if err != nil {
		return fmt.Errorf("the store folder %s cannot be written: %w", dir, err)
	}
	return errors.Join(f.Close(), os.Remove(filepath.Clean(f.Name())))
}

func free(host string, port int) error {
	address := net.JoinHostPort(host, strconv.Itoa(max(port, 0)))
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s: %w", address, ErrPortBusy)
	}
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	return l.Close()
}

// serverLog writes the server's log lines. It only reports fatal errors: the server's own logger would
// end the process.
type serverLog struct {
	log zerolog.Logger

	mu    sync.Mutex
	fatal error
}

var _ server.Logger = (*serverLog)(nil)

func (l *serverLog) cause() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fatal
}

// Fatalf keeps the first fatal error for Start.
func (l *serverLog) Fatalf(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fatal == nil {
		l.fatal = fmt.Errorf(format, v...)
	}
}

// Noticef logs the server's own notices at debug level.
func (l *serverLog) Noticef(format string, v ...any) { l.log.Debug().Msgf("nats: "+format, v...) }

// Warnf logs at warn level.
func (l *serverLog) Warnf(format string, v ...any) { l.log.Warn().Msgf("nats: "+format, v...) }

// Errorf logs at error level.
func (l *serverLog) Errorf(format string, v ...any) { l.log.Error().Msgf("nats: "+format, v...) }

// Debugf drops the server's own debug lines; they are switched off.
func (*serverLog) Debugf(string, ...any) {}

// Tracef drops the server's trace lines, which hold messages; they are switched off.
func (*serverLog) Tracef(string, ...any) {}

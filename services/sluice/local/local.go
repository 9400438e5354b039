// Package local gives one process what it needs of NATS and Postgres: the servers that the
// environment names, or servers of its own that it starts and stops.
package local

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/shared/broker"
	"github.com/sluicehq/sluice/shared/localpg"
	"github.com/sluicehq/sluice/shared/secret"
	"github.com/sluicehq/sluice/shared/store"
)

// Options say what is named already and where the rest lives.
type Options struct {
	DataDir     string // holds nats/, postgres/ and running.json
	NatsURL     string // a server to use; empty: start one
	DatabaseURL string // a database to use; empty: start one
	PGBinDir    string
	Log         zerolog.Logger
	Notice      func(string) // tells a person what is being done; may be nil
}

// Servers are the two addresses, and the servers behind them that are ours.
type Servers struct {
	NatsURL     string
	DatabaseURL string
	// NoVector is why the Postgres that was started here has no pgvector, and the way out: nothing is found by meaning.
	// It is nil if it has, and for a server that was named.
	NoVector error

	nats *broker.Server
	pg   *localpg.Server
	file string
}

// ErrNotRunning is returned by Running when no process serves the data folder.
var ErrNotRunning = errors.New("no sluice is running here")

// DefaultDataDir is the folder that is used when none is named: the user's data folder, or /var/lib/sluice for root,
// whose own folders Postgres's unprivileged user cannot enter, and for a user without a home, as in a container.
func DefaultDataDir() string {
	return dataDir(os.Geteuid() == 0, os.Getenv("XDG_DATA_HOME"), os.Getenv("HOME"))
}

func dataDir(root bool, xdg, home string) string {
	switch {
	case root, xdg == "" && home == "":
		return "/var/lib/sluice"
	case xdg != "":
		return filepath.Join(xdg, "sluice")
	}
	return filepath.Join(home, ".local", "share", "sluice")
}

// Start gives both servers, starting those that are not named. What it starts is told to
// other commands by a file in the data folder until Stop.
func Start(ctx context.Context, o Options) (*Servers, error) {
	s := &Servers{NatsURL: o.NatsURL, DatabaseURL: o.DatabaseURL}
	if err := s.start(ctx, o); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

func (s *Servers) start(ctx context.Context, o Options) error {
	if s.DatabaseURL == "" {
		if err := s.startPostgres(ctx, o, false); err != nil {
			return err
		}
	}
	if s.NatsURL == "" {
		if err := s.startNats(o); err != nil {
			return err
		}
	}
	if s.pg == nil && s.nats == nil {
		return nil
	}
	if err := os.MkdirAll(o.DataDir, 0o755); err != nil { //nolint:gosec // Postgres, as another user, enters it; running.json in it is 0600
		return fmt.Errorf("make the data folder: %w", err)
	}
	return s.tell(filepath.Join(o.DataDir, runningFile))
}

// StartDatabase gives the database alone, for a command that only reads.
func StartDatabase(ctx context.Context, o Options) (*Servers, error) {
	s := &Servers{DatabaseURL: o.DatabaseURL}
	if s.DatabaseURL != "" {
		return s, nil
	}
	if _, err := os.Stat(filepath.Join(o.DataDir, "postgres")); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w, and nothing has been synced into %s yet; start with: sluice up, or sluice demo, or set DATABASE_URL", ErrNotRunning, o.DataDir)
	}
	if err := s.startPostgres(ctx, o, true); err != nil || s.pg == nil {
		return s, err
	}
	if err := s.tell(filepath.Join(o.DataDir, readingFile)); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// The files in the data folder that tell others where the servers are: of a process that runs all of Sluice,
// and of one that only reads and ends soon.
const (
	runningFile = "running.json"
	readingFile = "reading.json"
)

// How long to wait for a Postgres of another process that is about to end: one that says that it only reads, and
// one that is on its way down or says nothing yet.
const (
	readerPatience  = 15 * time.Second
	unknownPatience = 2 * time.Second
)

// ownPostgres starts Postgres. If another process runs it, and that is not one that goes on running, it waits until
// that has ended. A command that only reads takes the address of that one instead, and needs no pgvector, which may
// have to be downloaded.
func ownPostgres(ctx context.Context, o Options, reads bool) (pg *localpg.Server, joined string, err error) {
	began := time.Now()
	seen := began // when another process last said that it reads
	for told := false; ; {
		pg, err = localpg.Start(ctx, localpg.Options{
			DataDir: filepath.Join(o.DataDir, "postgres"), BinDir: o.PGBinDir, Log: o.Log, Notice: o.Notice, Vector: !reads,
		})
		if !errors.Is(err, localpg.ErrRunning) {
			return pg, "", err
		}
		if at, none := Database(o.DataDir); reads && none == nil {
			return nil, at, nil
		}
		if _, none := Running(o.DataDir); none == nil {
			return nil, "", err
		}
		if _, none := serving(filepath.Join(o.DataDir, readingFile)); none == nil {
			seen = time.Now()
			if !told && o.Notice != nil {
				o.Notice("Waiting for another sluice, such as sluice mcp, to be done with the database …")
			}
			told = true
		}
		if time.Since(seen) > unknownPatience || time.Since(began) > readerPatience {
			return nil, "", err
		}
		select {
		case <-ctx.Done():
			return nil, "", err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (s *Servers) startPostgres(ctx context.Context, o Options, reads bool) error {
	if err := os.MkdirAll(o.DataDir, 0o755); err != nil { //nolint:gosec // Postgres, as another user, enters it; running.json in it is 0600
		return fmt.Errorf("make the data folder (name another with --data): %w", err)
	}
	pg, joined, err := ownPostgres(ctx, o, reads)
	if errors.Is(err, localpg.ErrRunning) {
		return fmt.Errorf("sluice is running already with the data folder %s; stop it, or name another folder with --data: %w", o.DataDir, err)
	}
	if err != nil {
		return fmt.Errorf("start Postgres: %w", err)
	}
	if pg == nil {
		s.DatabaseURL = joined
		return nil
	}
	s.pg = pg
	if s.DatabaseURL, err = store.HandOver(ctx, pg.URL()); err != nil {
		s.Stop()
		return err
	}
	return nil
}

// startNats takes the usual port, where other clients look first, or any free one. The password is a new
// one each time: whoever may read running.json may log in.
func (s *Servers) startNats(o Options) error {
	user, password := "sluice", rand.Text()
	opts := broker.Options{StoreDir: filepath.Join(o.DataDir, "nats"), User: user, Password: secret.New(password), Log: o.Log}
	nats, err := broker.Start(opts)
	if errors.Is(err, broker.ErrPortBusy) {
		opts.Port = -1
		nats, err = broker.Start(opts)
	}
	if err != nil {
		return fmt.Errorf("start NATS: %w", err)
	}
	u, err := url.Parse(nats.URL())
	if err != nil {
		nats.Stop()
		return fmt.Errorf("start NATS: %w", err)
	}
	u.User = url.UserPassword(user, password)
	s.nats, s.NatsURL = nats, u.String()
	return nil
}

// OwnDatabase reports whether the Postgres was started here.
func (s *Servers) OwnDatabase() bool { return s.pg != nil }

// Done is closed when the Postgres that was started here has ended by itself. It is nil,
// and so never ready, when there is none.
func (s *Servers) Done() <-chan struct{} {
	if s.pg == nil {
		return nil
	}
	return s.pg.Done()
}

// Stop stops what was started here.
func (s *Servers) Stop() {
	if s.file != "" {
		_ = os.Remove(s.file)
	}
	if s.nats != nil {
		s.nats.Stop()
	}
	if s.pg != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_ = s.pg.Stop(ctx)
	}
}

// running is what other commands read to find the servers of a running process.
type running struct {
	PID         int    `json:"pid"`
	NatsURL     string `json:"nats_url"`
	DatabaseURL string `json:"database_url"`
}

// tell writes the addresses, which hold the database's password, for this user alone.
func (s *Servers) tell(file string) error {
	text, err := json.Marshal(running{PID: os.Getpid(), NatsURL: s.NatsURL, DatabaseURL: s.DatabaseURL})
	if err != nil {
		return fmt.Errorf("write where the servers are: %w", err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return fmt.Errorf("write where the servers are: %w", err)
	}
	s.file = file
	return nil
}

// Running returns the addresses that a running process on the data folder serves, or
// ErrNotRunning. A process that was killed may have left its file behind.
func Running(dataDir string) (*Servers, error) { return serving(filepath.Join(dataDir, runningFile)) }

// Database returns the address of the database that a process on the data folder serves, also one that only reads, or
// ErrNotRunning.
func Database(dataDir string) (string, error) {
	there, err := Running(dataDir)
	if errors.Is(err, ErrNotRunning) {
		there, err = serving(filepath.Join(dataDir, readingFile))
	}
	if err != nil {
		return "", err
	}
	return there.DatabaseURL, nil
}

func serving(file string) (*Servers, error) {
	text, err := os.ReadFile(file) //nolint:gosec // its own file
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotRunning
	}
	if err != nil {
		return nil, fmt.Errorf("read where the servers are: %w", err)
	}
	var r running
	if err := json.Unmarshal(text, &r); err != nil || !alive(r.PID) {
		return nil, ErrNotRunning
	}
	return &Servers{NatsURL: r.NatsURL, DatabaseURL: r.DatabaseURL}, nil
}

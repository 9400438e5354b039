package torture

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/shared/broker"
	"github.com/sluicehq/sluice/shared/localpg"
)

// These make the test binary run as the broker.
const (
	natsStore = "TORTURE_NATS_STORE"
	natsPort  = "TORTURE_NATS_PORT"
)

// maxPayload is small so that larger bodies go to the object store.
const maxPayload = 64 << 10

// serveNats runs the broker in this process.
func serveNats() int {
	log := zerolog.New(os.Stderr).Level(zerolog.InfoLevel).With().Timestamp().Logger()
	port, err := strconv.Atoi(os.Getenv(natsPort))
	if err != nil {
		log.Error().Err(err).Msg("no port")
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	srv, err := broker.Start(broker.Options{StoreDir: os.Getenv(natsStore), Port: port, MaxPayload: maxPayload, Log: log})
	if err != nil {
		log.Error().Err(err).Msg("not started")
		return 1
	}
	<-ctx.Done()
	srv.Stop()
	return 0
}

// newNats prepares the broker's process on a free port.
func newNats(dir string) (p *process, url string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", fmt.Errorf("find a port: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return nil, "", fmt.Errorf("free a port: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, "", fmt.Errorf("find this program: %w", err)
	}
	p = &process{name: "nats", path: self, dir: dir, env: []string{
		natsStore + "=" + filepath.Join(dir, "nats-store"), fmt.Sprint(natsPort, "=", port),
	}}
	return p, fmt.Sprint("nats://127.0.0.1:", port), nil
}

// database is a Postgres that survives being killed: unlike the tests' usual one, it runs with fsync.
type database struct {
	opts localpg.Options
	url  string // the same after every start

	mu     sync.Mutex
	server *localpg.Server
}

func startDatabase(ctx context.Context, dir string) (*database, error) {
	d := &database{opts: localpg.Options{
		DataDir: filepath.Join(dir, "postgres"), BinDir: os.Getenv("SLUICE_PG_BINDIR"),
		Settings: map[string]string{"max_connections": "200", "log_min_messages": "warning"}, Log: zerolog.Nop(),
		Vector: *withVectors,
	}}
	if err := d.start(ctx); err != nil {
		return nil, err
	}
	d.opts.Port, d.url = d.server.Port(), d.server.URL()
	return d, nil
}

func (d *database) start(ctx context.Context) error {
	s, err := localpg.Start(ctx, d.opts)
	if err != nil {
		return fmt.Errorf("start Postgres: %w", err)
	}
	d.server = s
	return nil
}

// strike kills the server and its backends, and restarts it with its data after the pause.
func (d *database) strike(ctx context.Context, pauseFor time.Duration) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	children := childrenOf(d.server.PID())
	_ = syscall.Kill(d.server.PID(), syscall.SIGKILL)
	for _, pid := range children {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	<-d.server.Done()
	pause(ctx, pauseFor)
	return d.start(context.WithoutCancel(ctx))
}

// create creates another database on the server and returns its address.
func (d *database) create(ctx context.Context, name string) (string, error) {
	conn, err := pgx.Connect(ctx, d.url)
	if err != nil {
		return "", fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		return "", fmt.Errorf("create database %s: %w", name, err)
	}
	return strings.Replace(d.url, "/sluice?", "/"+name+"?", 1), nil
}

// childrenOf returns the child processes of a process, if the system reports them.
func childrenOf(parent int) []int {
	var pids []int
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // the process has ended
		}
		// "pid (name) state parent …"; the name may contain any character.
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(fields) < 2 || fields[1] != strconv.Itoa(parent) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// leftovers returns the processes that have the text in their command line.
func leftovers(of string) []string {
	var found []string
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range lines {
		text, err := os.ReadFile(name)
		if err == nil && bytes.Contains(text, []byte(of)) {
			found = append(found, strings.ReplaceAll(strings.TrimRight(string(text), "\x00"), "\x00", " "))
		}
	}
	return found
}

package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/lab/bench/site"
	"github.com/sluicehq/sluice/lab/bench/warm"
	"github.com/sluicehq/sluice/lab/child"
	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/services/sluice/local"
	"github.com/sluicehq/sluice/services/stages"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/localpg"
	"github.com/sluicehq/sluice/shared/service"
	"github.com/sluicehq/sluice/shared/store"
)

const (
	source = "docs"
	seed   = 1

	// patience is the limit of one run. A run that takes longer is stuck.
	patience = time.Hour
	// startPatience is the limit for a server or a stage to become ready.
	startPatience = time.Minute
)

// layout describes a world.
type layout struct {
	pages    int
	replicas map[string]int      // of a stage; 1 where it is not named
	env      map[string][]string // more settings of a stage; "" for all
	vectors  bool                // the database has pgvector
	one      bool                // every stage and NATS in one process
	heard    *listener           // receives the stages' logs, unless it is nil
}

// world is a site, two servers and the stages, each a separate process.
type world struct {
	layout layout
	dir    string
	bin    string
	self   string
	site   standIn
	pg     *localpg.Server
	store  *store.Store
	bus    *bus.Bus
	nats   string
	procs  []running // all except Postgres, which knows its own
	runs   int       // number of requested runs
	others int       // number of added spaces
}

// running is a watched process.
type running struct {
	name string
	*child.Process
	log *os.File
}

// newWorld starts everything and waits until it is ready. The caller must close it even if the error is
// not nil.
func (b *bench) newWorld(ctx context.Context, l layout) (*world, error) {
	w := &world{layout: l, bin: b.bin, self: b.self}
	ctx, cancel := context.WithTimeout(ctx, 2*startPatience)
	defer cancel()
	var err error
	if w.dir, err = os.MkdirTemp(b.dir, "world-"); err != nil {
		return w, fmt.Errorf("make a folder: %w", err)
	}
	if err := os.Chmod(w.dir, 0o755); err != nil { //nolint:gosec // Postgres runs as another user if this process is root
		return w, fmt.Errorf("open the folder to Postgres: %w", err)
	}
	w.pg, err = localpg.Start(ctx, localpg.Options{
		DataDir: filepath.Join(w.dir, "postgres"), BinDir: os.Getenv("SLUICE_PG_BINDIR"), Log: zerolog.Nop(),
		Vector: l.vectors,
	})
	if err != nil {
		return w, fmt.Errorf("start Postgres: %w", err)
	}
	if err := w.pg.NoVector(); err != nil {
		return w, err
	}
	if w.store, err = store.Open(ctx, w.pg.URL()); err != nil {
		return w, err
	}
	if _, err := w.store.Migrate(ctx); err != nil {
		return w, err
	}
	if err := w.startSite(ctx); err != nil {
		return w, err
	}
	src := store.Source{ID: source, BaseURL: w.site.URL + "/wiki", SpaceKey: sandbox.GeneratedSpace}
	if err := w.store.AddSource(ctx, src); err != nil {
		return w, err
	}
	if err := w.startPipeline(ctx); err != nil {
		return w, err
	}
	return w, warm.Up(ctx)
}

func (w *world) startSite(ctx context.Context) error {
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	w.site = standIn{site.Site{URL: "http://" + addr}}
	if err := w.start("stand-in", w.self, nil, roleSite, addr, strconv.Itoa(w.layout.pages)); err != nil {
		return err
	}
	return until(ctx, "the stand-in", func() error { return w.site.forget(ctx) })
}

func (w *world) startPipeline(ctx context.Context) error {
	if w.layout.one {
		return w.startOne(ctx)
	}
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(addr)
	w.nats = "nats://" + addr
	if err := w.start("nats", w.self, nil, roleNats, filepath.Join(w.dir, "nats"), port); err != nil {
		return err
	}
	if err := w.connect(ctx); err != nil {
		return err
	}
	for _, name := range stages.Names() {
		n, named := w.layout.replicas[name]
		if !named {
			n = 1
		}
		for range n {
			if err := w.startStage(ctx, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// startOne starts sluice up, which has an embedded NATS.
func (w *world) startOne(ctx context.Context) error {
	data := filepath.Join(w.dir, "data")
	env, health, err := w.env("sluice")
	if err != nil {
		return err
	}
	env = append(env, "GATEWAY_ADDR=", "SLUICE_DATA_DIR="+data)
	if err := w.start("sluice", filepath.Join(w.bin, "sluice"), env, "up"); err != nil {
		return err
	}
	if err := until(ctx, "sluice", func() error { return service.AskHealth(health) }); err != nil {
		return err
	}
	servers, err := local.Running(data)
	if err != nil {
		return err
	}
	w.nats = servers.NatsURL
	return w.connect(ctx)
}

func (w *world) startStage(ctx context.Context, name string) error {
	health, err := w.launch(name)
	if err != nil {
		return err
	}
	return until(ctx, name, func() error { return service.AskHealth(health) })
}

// launch starts a stage and does not wait until it is ready.
func (w *world) launch(name string) (health string, err error) {
	env, health, err := w.env(name)
	if err != nil {
		return "", err
	}
	return health, w.start(name, filepath.Join(w.bin, name), append(env, "NATS_URL="+w.nats))
}

// env is the environment of a stage and the address of its health page.
func (w *world) env(stage string) (env []string, health string, err error) {
	if health, err = freeAddr(); err != nil {
		return nil, "", err
	}
	env = []string{
		"DATABASE_URL=" + w.pg.URL(), "HEALTH_ADDR=" + health, "LOG_LEVEL=warn", "LOG_FORMAT=json",
		"CONFLUENCE_BASE_URL=" + w.site.URL + "/wiki", "CONFLUENCE_ALLOW_HTTP=true",
		"CONFLUENCE_EMAIL=" + sandbox.DefaultEmail, "CONFLUENCE_API_TOKEN=" + sandbox.DefaultToken,
		"CONFLUENCE_REQUESTS_PER_SECOND=1000", // the largest value: Sluice's own limit must not be measured
	}
	return append(append(env, w.layout.env[""]...), w.layout.env[stage]...), health, nil
}

func (w *world) start(name, path string, env []string, args ...string) error {
	log, err := os.OpenFile(filepath.Join(w.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600) //nolint:gosec // its own log in its temporary folder
	if err != nil {
		return fmt.Errorf("open the log of %s: %w", name, err)
	}
	var output io.Writer = log // the process writes this file itself
	if w.layout.heard != nil {
		output = io.MultiWriter(log, w.layout.heard.from())
	}
	p, err := child.Start(child.Spec{Name: name, Path: path, Args: args, Env: env, Output: output}, nil)
	if err != nil {
		return errors.Join(err, log.Close())
	}
	w.procs = append(w.procs, running{name, p, log})
	return nil
}

func (w *world) connect(ctx context.Context) (err error) {
	w.bus, err = bus.Connect(ctx, bus.Options{URL: w.nats, Name: "bench", Log: zerolog.Nop()})
	if err != nil {
		return err
	}
	return w.bus.Apply(ctx)
}

// stop stops the processes with that name, or all stages for "".
func (w *world) stop(name string) error {
	var left []running
	var errs []error
	for _, p := range w.procs {
		if name != p.name && (name != "" || p.name == "stand-in" || p.name == "nats") {
			left = append(left, p)
			continue
		}
		errs = append(errs, p.Terminate(30*time.Second), p.log.Close())
	}
	w.procs = left
	return errors.Join(errs...)
}

// synced returns a world whose knowledge base has been synced with its site.
func (b *bench) synced(ctx context.Context) (*world, error) {
	if w := b.kept; w != nil {
		b.kept = nil
		return w, nil
	}
	w, err := b.newWorld(ctx, layout{pages: b.pages})
	if err == nil {
		_, err = w.firstSync(ctx)
	}
	return w, err
}

// leave closes a world, or keeps it for the next section.
func (b *bench) leave(w *world, err *error) {
	if b.share && *err == nil {
		b.kept = w
		return
	}
	w.close(err)
}

// close stops everything; it removes the folder unless an error occurred.
func (w *world) close(failed *error) {
	err := w.stop("")
	if w.bus != nil {
		w.bus.Close()
	}
	if w.store != nil {
		w.store.Close()
	}
	err = errors.Join(err, w.stop("nats"), w.stop("stand-in"))
	if w.pg != nil {
		ctx, cancel := context.WithTimeout(context.Background(), startPatience)
		defer cancel()
		err = errors.Join(err, w.pg.Stop(ctx))
	}
	if err = errors.Join(*failed, err); err != nil {
		*failed = fmt.Errorf("%w\nlogs are in %s", err, w.dir)
		return
	}
	*failed = os.RemoveAll(w.dir)
}

// sync asks for a run and returns how it ended, and how long that took from the request.
func (w *world) sync(ctx context.Context, sourceID string, mode event.Mode) (event.Progress, time.Duration, error) {
	w.runs++
	id := fmt.Sprintf("bench-%d", w.runs)
	ctx, cancel := w.whileAllRun(ctx)
	defer cancel()
	began := time.Now()
	if err := w.bus.Publish(ctx, event.SyncRequested{SourceID: sourceID, RequestID: id, Mode: mode}); err != nil {
		return event.Progress{}, 0, err
	}
	var last event.Progress
	for p, err := range w.bus.FollowProgress(ctx, sourceID, id) {
		if err != nil {
			return last, 0, err
		}
		last = p
	}
	took := time.Since(began)
	if ctx.Err() != nil {
		return last, took, fmt.Errorf("run %s of %s: %w", id, sourceID, context.Cause(ctx))
	}
	if last.State != event.StateCompleted {
		return last, took, fmt.Errorf("run %s of %s is %q and not completed after %s: %s", id, sourceID, last.State, took.Round(time.Millisecond), last.Message)
	}
	return last, took, nil
}

// whileAllRun gives a context that ends, with the reason as its cause, when a process ends by
// itself or when patience does: what is waited for would never come.
func (w *world) whileAllRun(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("nothing came of it within %s", patience))
	ctx, ended := context.WithCancelCause(ctx)
	for _, p := range w.procs {
		go func() {
			select {
			case <-p.Done():
				ended(fmt.Errorf("%s has ended by itself; %s.log says why", p.name, p.name))
			case <-ctx.Done():
			}
		}()
	}
	return ctx, func() { ended(nil); cancel() }
}

// until asks again and again until there is no error.
func until(ctx context.Context, what string, ask func() error) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, err)
		}
	}
}

// freeAddr is an address on which nobody listens now.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

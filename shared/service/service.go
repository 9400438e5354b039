// Package service is the life of a process: settings, connections, health page, signals,
// and the stages that run in it. What differs between one process and many is only how many
// stages are given to it.
package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/store"
)

// Settings is what a stage's configuration comes down to. A nil part is one that the stage
// does without.
type Settings struct {
	config.Service
	Nats       config.Nats
	Postgres   *config.Postgres
	Confluence *config.Confluence
	Master     config.Master
	Sites      *config.Sites // of the gateway alone; the others have Confluence
	Chunks     *config.Chunks
	Brake      *config.Brake
	History    *config.History
	API        *config.API   // of the gateway alone
	StallAfter time.Duration // of the progress stage alone
}

// Stage is one step of the way of a page, as a process runs it.
type Stage struct {
	Name string
	// Load reads the stage's settings; the error is a *config.ConfigurationError.
	Load func(lookup func(string) (string, bool)) (Settings, error)
	// Run works until ctx ends, finishes or hands back what is under way, and returns nil.
	// An error ends the process.
	Run func(ctx context.Context, d Deps) error
	// GCPercent is the garbage, in percent of what lives, that a process of this stage alone
	// gathers before it collects; 0 leaves it at Go's 100, and GOGC in the environment comes
	// first. A stage that works on pages one by one has little that lives and makes much: at
	// 100 it spends a seventh of its time on collecting.
	GCPercent int
}

// Deps is what stages stand on. A stage that names no Postgres or Confluence in its
// settings finds nil there.
type Deps struct {
	Bus        *bus.Bus
	Store      *store.Store
	Confluence *Site
	Chunks     config.Chunks
	Brake      config.Brake
	History    config.History
	API        config.API
	Trust      Trust         // of the gateway alone
	Workers    int           // messages at a time, 0 for the stage's own choice
	StallAfter time.Duration // 0 for the default; see the progress stage
	Log        zerolog.Logger
}

// Main is a service's main: it runs the stage until SIGINT or SIGTERM and exits, with 0
// after a clean stop, 1 after an error and 2 when the settings are wrong. With the argument
// "health" it asks the running service for its health instead, for a container's check.
func Main(stage Stage) {
	os.Exit(run(stage, os.Args[1:], os.LookupEnv, os.Stderr))
}

func run(stage Stage, args []string, lookup func(string) (string, bool), stderr io.Writer) int {
	settings, err := stage.Load(lookup)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 2
	}
	if len(args) == 1 && args[0] == "health" {
		if err := AskHealth(settings.HealthAddr); err != nil {
			fmt.Fprintln(stderr, err)
			return 1
		}
		return 0
	}
	if len(args) > 0 {
		fmt.Fprintf(stderr, "%s takes its settings from the environment; its only argument is: health\n", stage.Name)
		return 2
	}
	stage.collect(lookup)
	log := Logger(stderr, settings.Process).With().Str("service", stage.Name).Logger()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, stage, settings, log); err != nil {
		log.Error().Err(err).Msg("stopped")
		return 1
	}
	log.Info().Msg("stopped")
	return 0
}

// collect sets how often garbage is collected, unless the environment does.
func (s Stage) collect(lookup func(string) (string, bool)) {
	if _, chosen := lookup("GOGC"); !chosen && s.GCPercent > 0 {
		debug.SetGCPercent(s.GCPercent)
	}
}

func serve(ctx context.Context, stage Stage, settings Settings, log zerolog.Logger) error {
	var deps Deps
	health := NewHealth()
	stopHealth, err := health.Serve(settings.HealthAddr, log)
	if err != nil {
		return err
	}
	defer stopHealth()

	deps, closeDeps, err := connect(ctx, stage.Name, settings, log)
	if err != nil {
		if ctx.Err() != nil {
			return nil // asked to stop while it waited for a server
		}
		return err
	}
	defer closeDeps()
	health.Check("nats", func(context.Context) error { return deps.Bus.Healthy() })
	if deps.Store != nil {
		health.Check("postgres", deps.Store.Ping)
	}
	log.Info().Msg("started")
	return Run(ctx, deps, settings.ShutdownGrace, stage)
}

// connect waits for the servers that the settings name. Streams and consumers are applied
// by every service: whichever comes first makes them.
func connect(ctx context.Context, name string, settings Settings, log zerolog.Logger) (Deps, func(), error) {
	deps := Deps{Workers: settings.Workers, StallAfter: settings.StallAfter, Log: log}
	if settings.Chunks != nil {
		deps.Chunks = *settings.Chunks
	}
	if settings.Brake != nil {
		deps.Brake = *settings.Brake
	}
	if settings.History != nil {
		deps.History = *settings.History
	}
	if settings.API != nil {
		deps.API = *settings.API
	}
	if settings.Postgres != nil {
		st, err := store.Open(ctx, settings.Postgres.DatabaseURL.Reveal())
		if err != nil {
			return deps, nil, err
		}
		if err := st.Ready(ctx); err != nil {
			st.Close()
			return deps, nil, err
		}
		deps.Store = st
	}
	closeStore := func() {
		if deps.Store != nil {
			deps.Store.Close()
		}
	}
	b, err := bus.Connect(ctx, BusOptions(name, settings.Nats, log))
	if err != nil {
		closeStore()
		return deps, nil, err
	}
	if err := b.Apply(ctx); err != nil {
		b.Close()
		closeStore()
		return deps, nil, err
	}
	deps.Bus = b
	if settings.Sites != nil {
		if deps.Trust, err = trust(ctx, settings, deps.Store); err != nil {
			b.Close()
			closeStore()
			return deps, nil, err
		}
	}
	if settings.Confluence != nil {
		if deps.Confluence, err = openSite(ctx, settings, deps.Store, b, log); err != nil {
			b.Close()
			closeStore()
			return deps, nil, err
		}
	}
	return deps, func() { b.Close(); closeStore() }, nil
}

// BusOptions are the options of a service's connection to the bus. The service's name is the
// role that its credential has.
func BusOptions(name string, n config.Nats, log zerolog.Logger) bus.Options {
	return bus.Options{
		URL: n.NatsURL.Reveal(), Name: name, AckWait: n.NatsAckWait, Replicas: n.NatsReplicas, Log: log,
		Login: bus.Login{
			Role: name, CredsFile: n.NatsCredsFile, NkeyFile: n.NatsNkeyFile,
			CAFile: n.NatsCAFile, CertFile: n.NatsCertFile, KeyFile: n.NatsKeyFile,
		},
	}
}

// trust is what a stage needs that stores tokens.
func trust(ctx context.Context, settings Settings, st *store.Store) (Trust, error) {
	ring, err := Keys(ctx, settings.Master, st)
	return Trust{Hosts: settings.Sites.Hosts(), AllowHTTP: settings.Sites.AllowHTTP, Ring: ring}, err
}

// openSite makes the site, with the stored credentials where the stage has a database.
func openSite(ctx context.Context, settings Settings, st *store.Store, b *bus.Bus, log zerolog.Logger) (*Site, error) {
	with := []SiteOption{Sharing(b)}
	if st != nil {
		ring, err := Keys(ctx, settings.Master, st)
		if err != nil {
			return nil, err
		}
		with = append(with, Stored(st.Vault(), ring))
	}
	return NewSite(*settings.Confluence, log, with...)
}

// ErrGrace is returned by Run when a stage has not ended in the time given to it. What it
// had in hand is delivered again.
var ErrGrace = errors.New("work under way did not end in the grace time")

// Run runs stages in this process until ctx ends or one of them fails, which stops the
// others. After ctx has ended they have the grace time to finish.
func Run(ctx context.Context, deps Deps, grace time.Duration, stages ...Stage) error {
	group, stageCtx := errgroup.WithContext(ctx)
	for _, s := range stages {
		d := deps
		d.Log = deps.Log.With().Str("stage", s.Name).Logger()
		group.Go(func() error {
			err := s.Run(stageCtx, d)
			if err == nil || stageCtx.Err() != nil && errors.Is(err, context.Canceled) {
				return nil // asked to stop while it was still starting
			}
			return fmt.Errorf("%s: %w", s.Name, err)
		})
	}
	ended := make(chan error, 1)
	go func() { ended <- group.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(grace):
		return ErrGrace
	}
}

// Logger makes the process's logger as its settings say.
func Logger(w io.Writer, p config.Process) zerolog.Logger {
	level, err := zerolog.ParseLevel(p.LogLevel)
	if err != nil {
		level = zerolog.InfoLevel
	}
	if p.LogFormat == "console" {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: time.TimeOnly, NoColor: !terminal(w)}
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger()
}

// terminal reports whether w shows to a person rather than going into a file or a pipe.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

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

	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/terminal"
)

// Stage is one step of the way of a page, as a process runs it.
type Stage struct {
	Name string // as its folder under services/, and as its row in bus.Stages
	// Settings is the stage's configuration type, made of the groups that it needs. What Open asks
	// the host for has to be in it.
	Settings config.Type
	// Open takes from the host what the stage stands on, and returns the stage ready to run.
	Open func(ctx context.Context, h *Host) (Runner, error)
	// GCPercent is the garbage, in percent of what lives, that a process of this stage alone
	// gathers before it collects; 0 leaves it at Go's 100, and GOGC in the environment comes
	// first. A stage that works on pages one by one has little that lives and makes much: at
	// 100 it spends a seventh of its time on collecting.
	GCPercent int
}

// Program is the stage as a program of its own.
func (s Stage) Program() config.Program {
	return config.NewProgram(s.Name, s.Settings)
}

// Runner is a stage that was opened. Run works until ctx ends, finishes or hands back what is
// under way, and returns nil; an error ends the process.
type Runner interface {
	Run(ctx context.Context) error
}

// RunnerFunc is a function as a Runner.
type RunnerFunc func(ctx context.Context) error

// Run calls f.
func (f RunnerFunc) Run(ctx context.Context) error { return f(ctx) }

// All runs several runners as one: when one of them fails, the others are stopped.
func All(runners ...Runner) Runner {
	return RunnerFunc(func(ctx context.Context) error {
		group, ctx := errgroup.WithContext(ctx)
		for _, r := range runners {
			group.Go(func() error { return r.Run(ctx) })
		}
		return group.Wait()
	})
}

// Main is a service's main: it runs the stage until SIGINT or SIGTERM and exits, with 0
// after a clean stop, 1 after an error and 2 when the settings are wrong. With the argument
// "health" it asks the running service for its health instead, for a container's check.
func Main(stage Stage) {
	os.Exit(run(stage, os.Args[1:], os.LookupEnv, os.Stderr))
}

func run(stage Stage, args []string, lookup func(string) (string, bool), stderr io.Writer) int {
	stderr = terminal.NewWriter(stderr)
	env := config.Read(stage.Program(), lookup)
	if err := env.Check(stage.Settings); err != nil {
		fmt.Fprintln(stderr, err)
		return 2
	}
	process, err := config.Of[config.Process](env)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 2
	}
	if len(args) == 1 && args[0] == "health" {
		if err := AskHealth(process.HealthAddr); err != nil {
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
	log := Logger(stderr, process).With().Str("service", stage.Name).Logger()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, stage, env, process, log); err != nil {
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

func serve(ctx context.Context, stage Stage, env config.Environment, process config.Process, log zerolog.Logger) error {
	health := NewHealth()
	stopHealth, err := health.Serve(process.HealthAddr, log)
	if err != nil {
		return err
	}
	defer stopHealth()
	host := NewHost(HostOptions{Name: stage.Name, Env: env, Log: log, Health: health})
	defer host.Close()
	return Run(ctx, host, process.ShutdownGrace, stage)
}

// ErrGrace is returned by Run when a stage has not ended in the time given to it. What it
// had in hand is delivered again.
var ErrGrace = errors.New("work under way did not end in the grace time")

// Run opens stages on the host and runs them until ctx ends or one of them fails, which stops the
// others. After ctx has ended they have the grace time to finish. The host stays open.
func Run(ctx context.Context, h *Host, grace time.Duration, stages ...Stage) error {
	runners := make([]Runner, len(stages))
	for i, s := range stages {
		var err error
		if runners[i], err = s.Open(ctx, h.named(s.Name)); err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // asked to stop while it waited for a server
			}
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	h.o.Health.Ready()
	h.Log.Info().Msg("started")
	group, stageCtx := errgroup.WithContext(ctx)
	for i, s := range stages {
		group.Go(func() error {
			err := runners[i].Run(stageCtx)
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
	return zerolog.New(logWriter(w, p.LogFormat)).Level(level).With().Timestamp().Logger()
}

// logWriter writes events to w in the format, "json" or "console". What a page or a site says may be part
// of an event; nothing of it is obeyed by a terminal, or begins a line of its own.
func logWriter(w io.Writer, format string) io.Writer {
	if format != "console" {
		return escaping{w}
	}
	return zerolog.ConsoleWriter{
		Out: terminal.NewWriter(w), TimeFormat: time.TimeOnly, NoColor: !terminal.Is(w),
		FormatPrepare: func(fields map[string]any) error {
			// Other fields are quoted where it needs be.
			if text, ok := fields[zerolog.MessageFieldName].(string); ok {
				fields[zerolog.MessageFieldName] = terminal.Line(text)
			}
			return nil
		},
	}
}

// escaping writes JSON events.
type escaping struct{ to io.Writer }

func (e escaping) Write(event []byte) (int, error) {
	if _, err := e.to.Write(terminal.EscapeJSON(event)); err != nil {
		return 0, err
	}
	return len(event), nil
}

// Package service is the lifecycle of a process: settings, connections, health page, signals, and the
// stages that run in it. One process and many differ only in the number of their stages.
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

// Stage is one step of a page's path, as a process runs it.
type Stage struct {
	Name string // as its folder under services/, and as its row in bus.Stages
	// Settings is the stage's configuration type, made of the groups that it needs. It must contain
	// everything that Open requests from the host.
	Settings config.Type
	// Open takes the stage's connections from the host, and returns the stage ready to run.
	Open func(ctx context.Context, h *Host) (Runner, error)
	// GCPercent is the garbage, in percent of the live heap, at which a process of this stage alone
	// collects; 0 leaves it at Go's 100, and GOGC in the environment takes precedence. A stage that
	// handles pages one by one has a small live heap and much garbage: at 100 it spends a seventh of its
	// time on collecting.
	GCPercent int
	// Child, if there is one, is what a process does that the stage starts of its own program, in place of everything else. It
	// gets the arguments after those that name it, and returns the exit code.
	Child func(args []string) int
}

// ChildVariable is set for the child of a stage, to the stage's name.
const ChildVariable = "SLUICE_CHILD"

// childWord begins the arguments of a child.
const childWord = "child"

// ChildArgs are the arguments of a stage's child.
func ChildArgs(stage string, args ...string) []string {
	return append([]string{childWord, stage}, args...)
}

// BeChild ends the process with the child's exit code if it was started as the child of one of the stages. Every main of a program with
// such a stage calls it first, also that of a test.
func BeChild(stages ...Stage) {
	if len(os.Args) < 3 || os.Args[1] != childWord || os.Getenv(ChildVariable) != os.Args[2] {
		return
	}
	for _, s := range stages {
		if s.Name == os.Args[2] && s.Child != nil {
			os.Exit(s.Child(os.Args[3:]))
		}
	}
}

// Program is the stage as a separate program.
func (s Stage) Program() config.Program {
	return config.NewProgram(s.Name, s.Settings)
}

// Runner is an opened stage. Run works until ctx ends, finishes or hands back its current work, and
// returns nil; an error ends the process.
type Runner interface {
	Run(ctx context.Context) error
}

// RunnerFunc is a function as a Runner.
type RunnerFunc func(ctx context.Context) error

// Run calls f.
func (f RunnerFunc) Run(ctx context.Context) error { return f(ctx) }

// All runs several runners as one: if one of them fails, it stops the others.
func All(runners ...Runner) Runner {
	return RunnerFunc(func(ctx context.Context) error {
		group, ctx := errgroup.WithContext(ctx)
		for _, r := range runners {
			group.Go(func() error { return r.Run(ctx) })
		}
		return group.Wait()
	})
}

// Main is a service's main: it runs the stage until SIGINT or SIGTERM and exits, with 0 after a clean
// stop, 1 after an error and 2 if the settings are wrong. With the argument "health" it checks the
// health of the running service instead, for a container's health check.
func Main(stage Stage) {
	BeChild(stage)
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

// ErrGrace is returned by Run if a stage has not ended in the grace time. Its current messages are
// redelivered.
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

// Logger makes the process's logger from its settings.
func Logger(w io.Writer, p config.Process) zerolog.Logger {
	level, err := zerolog.ParseLevel(p.LogLevel)
	if err != nil {
		level = zerolog.InfoLevel
	}
	return zerolog.New(logWriter(w, p.LogFormat)).Level(level).With().Timestamp().Logger()
}

// logWriter writes events to w in the format, "json" or "console". Text from pages and sites may be part
// of an event; it can neither control a terminal nor begin a new line.
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

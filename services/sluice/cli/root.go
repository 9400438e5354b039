// Package cli is the sluice command line program.
package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/services/stages"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/service"
	"github.com/sluicehq/sluice/shared/terminal"
)

// The exit codes. Scripts may rely on them.
const (
	exitFailed   = 1 // the command could not do its work, or the sync failed or was cancelled
	exitUsage    = 2 // wrong arguments or settings
	exitFailures = 3 // the sync completed, but some pages failed
	exitHeld     = 4 // the sync was held: it would have removed too much
)

// exit is an error that sets the exit code. The error text has already been shown.
type exit struct{ code int }

func (e exit) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// usageError is an error in the command line.
type usageError struct{ error }

// brokeDown is the error of stages that ended before they were asked to. It is reported even if the user presses
// Ctrl-C while the servers stop.
type brokeDown struct{ error }

func (e brokeDown) Unwrap() error { return e.error }

// Main runs the program and exits.
func Main() {
	service.BeChild(stages.Pipeline()...)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := Run(ctx, os.Args[1:], os.LookupEnv, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Run runs one command line and returns its exit code. Ending ctx stops the command like Ctrl-C.
func Run(ctx context.Context, args []string, lookup func(string) (string, bool), stdin io.Reader, stdout, stderr io.Writer) int {
	if _, file := stderr.(*os.File); !file {
		stderr = zerolog.SyncWriter(stderr) // the stages' loggers and the program itself write to it
	}
	return run(ctx, args, lookup, stdin, stdout, stderr, widthOf(stdout), widthOf(stderr))
}

func run(ctx context.Context, args []string, lookup func(string) (string, bool), stdin io.Reader, stdout, stderr io.Writer, outWidth, errWidth int) int {
	a := &app{lookup: lookup, in: stdin, raw: stdout, width: outWidth, plain: terminal.NewWriter(stdout), log: terminal.NewWriter(stderr)}
	root := a.root()
	a.out, a.err = &wrapper{to: a.plain, width: outWidth, whole: a.commandsIn}, &wrapper{to: a.log, width: errWidth, whole: a.commandsIn}
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(a.plain)
	root.SetErr(a.err)
	err := root.ExecuteContext(ctx)
	var code exit
	var wrong *config.ConfigurationError
	var usage usageError
	var broke brokeDown
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return code.code
	case errors.As(err, &wrong):
		a.notice(err.Error()) // the error contains the program's name
		return exitUsage
	case errors.As(err, &usage):
		a.notice("sluice: " + err.Error())
		return exitUsage
	case ctx.Err() != nil && !errors.As(err, &broke):
		return 128 + int(syscall.SIGINT)
	default:
		a.notice("sluice: " + err.Error())
		return exitFailed
	}
}

// app is the state that the commands of one invocation share.
type app struct {
	lookup   func(string) (string, bool)
	in       io.Reader
	out, err io.Writer // wrap texts of this program where they are a terminal
	plain    io.Writer // out without wrapping, for what is used as it is
	log      io.Writer // err without wrapping: an event is a line
	raw      io.Writer // out as it is, for a protocol that no person reads
	width    int       // the terminal's characters per line; 0 if out is not a terminal

	dataDir string
	output  string

	self     string         // how the person calls the program
	commands *regexp.Regexp // matches "sluice" before the name of a command
	begins   *regexp.Regexp // matches the program's name at the beginning of a command in a line of output
	grammar  *grammar       // of all commands

	env *config.Environment // nil until it is read
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "sluice",
		Short: "Stream Confluence spaces into Postgres as search-ready Markdown chunks",
		Long: `sluice keeps Confluence Cloud spaces in Postgres as Markdown chunks that an assistant
can search and cite. It runs every stage in one process (sluice up), requests syncs, shows
their progress, and searches.

Settings come from the environment; docs/configuration.md lists them. Without NATS_URL
and DATABASE_URL sluice starts its own NATS and Postgres under --data.

Exit codes: 0 done, 1 failed or cancelled, 2 wrong arguments or settings, 3 some pages failed,
4 the sync was held because it would have removed too much.`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.ValidateFlagGroups() != nil {
				return usageError{exclusive(cmd)}
			}
			if a.output != "text" && a.output != "json" {
				return usageError{fmt.Errorf("--output must be text or json, not %q", a.output)}
			}
			return nil
		},
	}
	root.SetFlagErrorFunc(flagError)
	root.PersistentFlags().StringVar(&a.dataDir, "data", "", "`folder` of the servers that sluice starts itself (default $SLUICE_DATA_DIR, else the user's data folder)")
	root.PersistentFlags().StringVarP(&a.output, "output", "o", "text", "text or json")
	root.AddCommand(a.up(), a.demo(), a.sync(), a.status(), a.cancel(), a.failed(), a.removals(), a.search(), a.embeddings(), a.source(), a.secret(), a.key(), a.page(), a.why(), a.document(), a.mcp(),
		a.convert(), a.sandbox(), a.migrate(), a.nats(), a.doctor(), a.version())
	a.prepare(root)
	return root
}

func (a *app) json() bool { return a.output == "json" }

// printJSON prints v as indented JSON, for --output json. It escapes what a terminal would interpret, so that nothing
// is lost.
func (a *app) printJSON(v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := a.plain.Write(terminal.EscapeJSON(b.Bytes()))
	return err
}

// printf prints a text of this program, in which the person may find commands to paste.
func (a *app) printf(format string, args ...any) { fmt.Fprintf(a.out, a.named(format), args...) }

// verbatim prints text that is used as it is, such as Markdown or a configuration.
func (a *app) verbatim(text string) { fmt.Fprint(a.plain, text) }

// notice prints a message to standard error, apart from the command's output.
func (a *app) notice(text string) { fmt.Fprintln(a.err, a.named(text)) }

func (a *app) logger(c config.Process) zerolog.Logger { return service.Logger(a.log, c) }

// Package bench measures all of Sluice against the Confluence stand-in: every stage, the broker, the
// database and the site are separate processes. Package report writes the results, figure summarizes
// measurements, and proc reads a process's resource use.
package bench

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/lab/bench/proc"
	"github.com/sluicehq/sluice/lab/bench/report"
	"github.com/sluicehq/sluice/lab/bench/versus"
	"github.com/sluicehq/sluice/lab/child"
	"github.com/sluicehq/sluice/services/stages"
	"github.com/sluicehq/sluice/shared/broker"
)

// The roles of this program when it starts itself.
const (
	roleSite = "serve-site"
	roleNats = "serve-nats"
)

// bench is one run of the benchmark.
type bench struct {
	size
	rounds int
	only   []string
	dir    string // of the worlds
	bin    string // folder of the programs
	self   string
	peers  string // the file of the comparison with the peers, which may be missing
	kept   *world // see size.share
	out    io.Writer
	r      report.Results
}

// size is the size of a benchmark.
type size struct {
	full         []int // pages of the full syncs
	pages        int   // of everything else
	edits        int   // of a round of the latency
	ratePages    int   // under a site's limits
	searchesEach int   // with each filter, in a round
	large        int   // pages of the large knowledge base
	meant        []int // pages of the knowledge bases with vectors, each a multiple of the first
	fetchers     []int // replicas
	converters   []int
	share        bool // sections that need a synced knowledge base reuse the previous section's
}

var (
	whole = size{full: []int{1_000, 4_000, 10_000, 40_000}, pages: 4_000, edits: 30, ratePages: 10_000, searchesEach: 200, large: 100_000, meant: []int{250, 6_250, 62_500},
		fetchers: []int{1, 2, 4}, converters: []int{1, 2}}
	small = size{full: []int{200}, pages: 200, edits: 3, ratePages: 200, searchesEach: 20, large: 400, meant: []int{40},
		fetchers: []int{2}, converters: []int{2}, share: true}
)

// onceFrom is the number of pages from which a figure is measured in one round: it takes minutes then,
// and other load on the machine averages out.
const onceFrom = 20_000

func (b *bench) roundsOf(pages int) int {
	if pages >= onceFrom {
		return 1
	}
	return b.rounds
}

// section is a part of the benchmark that can run alone.
type section struct {
	name string
	run  func(*bench, context.Context) error
}

// sections are in the order of the report.
var sections = []section{
	{"full", (*bench).fullSyncs},
	{"stages", (*bench).whereTimeGoes},
	{"incremental", (*bench).incrementals},
	{"latency", (*bench).latencies},
	{"rate", (*bench).underRate},
	{"scaling", (*bench).scaling},
	{"search", (*bench).searches},
	{"meaning", (*bench).meanings},
}

// Main runs the benchmark, or serves one of its servers, and exits.
func Main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	switch {
	case len(args) == 3 && args[0] == roleSite:
		pages, err := strconv.Atoi(args[2]) //nolint:gosec // len(args) is asked first
		if err != nil {
			return fmt.Errorf("how many pages: %w", err)
		}
		return serveSite(ctx, args[1], pages)
	case len(args) == 3 && args[0] == roleNats:
		return serveNats(ctx, args[1], args[2]) //nolint:gosec // len(args) is asked first
	}
	return measure(ctx, args, out)
}

// serveNats is the broker's process.
func serveNats(ctx context.Context, dir, port string) error {
	n, err := strconv.Atoi(port)
	if err != nil {
		return fmt.Errorf("the port: %w", err)
	}
	srv, err := broker.Start(broker.Options{StoreDir: dir, Port: n, Log: zerolog.New(os.Stderr).Level(zerolog.WarnLevel)})
	if err != nil {
		return err
	}
	<-ctx.Done()
	srv.Stop()
	return nil
}

func measure(ctx context.Context, args []string, out io.Writer) error {
	b := &bench{size: whole, rounds: 3, out: out}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	form := f.String("form", "whole", "whole, or small to see that every part works")
	only := f.String("only", "", "comma-separated sections to run: "+strings.Join(names(), ", "))
	f.IntVar(&b.rounds, "rounds", b.rounds, "how often each figure is measured")
	write := f.String("write", "", "the `file` that a run of every section writes its report to")
	raw := f.String("raw", "", "the `file` for what was measured, as JSON, after each section")
	f.StringVar(&b.peers, "peers", "", "the `file` that the comparison with the peers has left, if there is one")
	from := f.String("from", "", "measure nothing: make the report of this `file` that -raw wrote")
	tmp := f.String("tmp", os.TempDir(), "the `folder` in which servers keep their data meanwhile")
	fullPages := f.String("full", "", "how many pages the full syncs have, comma-separated")
	pages := f.Int("pages", 0, "how many pages all other sections have")
	meant := f.String("meant", "", "how many pages the knowledge bases with vectors have, comma-separated, each a multiple of the first")
	large := f.Int("large", 0, "how many pages the large knowledge base of the search has")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("there is nothing to do with %q", f.Arg(0))
	}
	switch *form {
	case "small":
		b.size, b.rounds = small, 1
	case "whole":
	default:
		return fmt.Errorf("-form is whole or small, not %q", *form)
	}
	if *large > 0 {
		b.large = *large
	}
	if *meant != "" {
		list, err := numbers("-meant", *meant)
		if err != nil {
			return err
		}
		b.meant = list
	}
	if err := b.choose(*only, *fullPages, *pages); err != nil {
		return err
	}
	if *from != "" {
		return b.again(*from, *write)
	}
	if err := b.prepare(ctx, *tmp); err != nil {
		return err
	}
	defer os.Remove(b.dir) // which fails while the logs of something that went wrong are in it
	b.r.Command = strings.Join(append([]string{".cache/bench/bench"}, args...), " ")
	err := b.runSections(ctx, *raw)
	if b.kept != nil {
		b.kept.close(&err)
	}
	if err != nil {
		return err
	}
	return b.conclude(*write)
}

func (b *bench) runSections(ctx context.Context, raw string) error {
	for _, s := range sections {
		if !slices.Contains(b.only, s.name) {
			continue
		}
		began := time.Now()
		b.say("=== %s", s.name)
		if err := s.run(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		b.r.Took[s.name] = time.Since(began)
		if err := save(raw, b.r); err != nil {
			return err
		}
	}
	return nil
}

func names() []string {
	var list []string
	for _, s := range sections {
		list = append(list, s.name)
	}
	return list
}

// choose reads the names of the sections and their sizes, if given.
func (b *bench) choose(only, full string, pages int) error {
	b.only = names()
	if only != "" {
		b.only = strings.Split(only, ",")
		for _, name := range b.only {
			if !slices.Contains(names(), name) {
				return fmt.Errorf("no section is called %q; there are %s", name, strings.Join(names(), ", "))
			}
		}
	}
	if full != "" {
		list, err := numbers("-full", full)
		if err != nil {
			return err
		}
		b.full = list
	}
	if pages > 0 {
		b.pages, b.ratePages = pages, pages
	}
	if b.rounds < 1 {
		return errors.New("-rounds is at least 1")
	}
	return nil
}

// numbers reads the comma-separated numbers of pages that a flag takes.
func numbers(flag, text string) (list []int, err error) {
	for one := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(one)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%s takes numbers of pages, not %q", flag, one)
		}
		list = append(list, n)
	}
	return list, nil
}

// prepare builds the programs and describes the machine.
func (b *bench) prepare(ctx context.Context, tmp string) (err error) {
	b.r.Began, b.r.Took = time.Now().UTC(), map[string]time.Duration{}
	if b.self, err = os.Executable(); err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if b.bin, err = filepath.Abs(filepath.Join(".cache", "bench", "bin")); err != nil {
		return fmt.Errorf("find a place for the programs: %w", err)
	}
	packages := []string{"./services/sluice"}
	for _, name := range stages.Names() {
		packages = append(packages, "./services/"+name)
	}
	b.say("building the programs")
	if err := child.Build(ctx, b.bin, ".", packages...); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp(tmp, "sluice-bench-"); err != nil {
		return fmt.Errorf("make a folder for the servers' data: %w", err)
	}
	if err := os.Chmod(b.dir, 0o755); err != nil { //nolint:gosec // Postgres runs as another user if this process is root
		return fmt.Errorf("open the folder to Postgres: %w", err)
	}
	b.r.Machine = proc.ThisMachine(b.dir)
	b.r.Versions = versions(ctx)
	return nil
}

// conclude prints the report and, when every section was run, writes it to the file.
func (b *bench) conclude(write string) (err error) {
	if b.peers != "" {
		if b.r.Peers, err = versus.Read(b.peers); err != nil {
			return err
		}
	}
	if err := report.Markdown(b.out, b.r); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	if write == "" {
		return nil
	}
	if len(b.only) < len(sections) {
		return fmt.Errorf("%s is written by a run of every section only", write)
	}
	f, err := os.Create(write) //nolint:gosec // the file that the person at the prompt names
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return errors.Join(report.Markdown(f, b.r), f.Close())
}

func save(file string, r report.Results) error {
	if file == "" {
		return nil
	}
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return fmt.Errorf("save what was measured: %w", err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return fmt.Errorf("save what was measured: %w", err)
	}
	return nil
}

// again writes the report from an earlier run's saved results.
func (b *bench) again(file, write string) error {
	text, err := os.ReadFile(file) //nolint:gosec // the file that the person at the prompt names
	if err != nil {
		return fmt.Errorf("read what was measured: %w", err)
	}
	if err := json.Unmarshal(text, &b.r); err != nil {
		return fmt.Errorf("read what was measured: %w", err)
	}
	b.only = nil
	for _, s := range sections {
		if b.r.Took[s.name] > 0 {
			b.only = append(b.only, s.name)
		}
	}
	return b.conclude(write)
}

// say prints a progress message.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

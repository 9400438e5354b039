// Command bench-peers compares Sluice with other tools:
//
//	go run ./lab/bench/peers/bench-peers -sluice bin/sluice
//
// "serve N" serves the stand-in, and "embed" vectors; "convert" and "markdown" are the drivers of Sluice's converter and of
// Sluice up to its Markdown. The comparison starts them itself.
package main

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/sluicehq/sluice/lab/bench/peers"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-peers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 2 && args[0] == "serve":
		n, err := strconv.Atoi(args[1])
		if err != nil {
			return fmt.Errorf("serve %s pages: %w", args[1], err)
		}
		return whileHeard(ctx, func(ctx context.Context) error { return peers.ServeSite(ctx, n, os.Stdout) })
	case len(args) == 1 && args[0] == "embed":
		return whileHeard(ctx, func(ctx context.Context) error { return peers.ServeEmbeddings(ctx, os.Stdout) })
	case len(args) == 1 && args[0] == "convert":
		return peers.Convert(os.Getenv, os.Stdin, os.Stdout)
	case len(args) == 1 && args[0] == "markdown":
		return peers.ToMarkdown(ctx, os.LookupEnv, os.Stdin, os.Stdout)
	}
	flags := flag.NewFlagSet("bench-peers", flag.ContinueOnError)
	pages := flags.String("pages", "1000", "how many `pages`; several sizes with commas")
	rounds := flags.Int("rounds", 3, "how often each is measured")
	limited := flags.Int("limited", 200, "pages of the comparison at 10 requests a second; 0 leaves it out")
	slow := flags.Int("slow", -1, "pages of the comparison at 200 ms an answer; 0 leaves it out, less takes the first of -pages")
	dir := flags.String("dir", ".cache/peers", "the `folder` to install the peers in")
	program := flags.String("sluice", "bin/sluice", "the sluice `program`")
	only := flags.String("only", "pages", "what to compare: pages, or vectors (a space searchable by words and by meaning, of the first of -pages)")
	doc := flags.String("doc", "", "the `file` to write the report to, instead of the one in docs/bench")
	raw := flags.String("raw", "", "the `file` for what was measured, as JSON, after each table")
	if err := flags.Parse(args); err != nil {
		return err
	}
	o := peers.Options{Rounds: *rounds, Limited: *limited, Slow: *slow, Raw: *raw, Notice: os.Stderr}
	for field := range strings.SplitSeq(*pages, ",") {
		n, err := strconv.Atoi(field)
		if err != nil || n < 1 {
			return fmt.Errorf("-pages %q is not a number of pages", field)
		}
		o.Pages = append(o.Pages, n)
	}
	if o.Rounds < 1 {
		return fmt.Errorf("-rounds %d: at least one is needed", o.Rounds)
	}
	if o.Slow < 0 {
		o.Slow = o.Pages[0]
	}
	var err error
	for path, given := range map[*string]string{&o.Dir: *dir, &o.Program: *program} {
		if *path, err = filepath.Abs(given); err != nil {
			return fmt.Errorf("find %s: %w", given, err)
		}
	}
	if o.Self, err = os.Executable(); err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	var out bytes.Buffer
	page := map[string]string{"pages": "docs/bench/benchmarks-peers.md", "vectors": "docs/bench/benchmarks-peers-vectors.md"}[*only]
	switch *only {
	case "pages":
		err = peers.Compare(ctx, o, &out)
	case "vectors":
		err = peers.CompareBases(ctx, o, o.Pages[0], &out)
	default:
		err = fmt.Errorf("-only %q is neither pages nor vectors", *only)
	}
	if err != nil {
		return err
	}
	if err := os.WriteFile(cmp.Or(*doc, page), out.Bytes(), 0o644); err != nil { //nolint:gosec // a page for everybody
		return fmt.Errorf("write the report: %w", err)
	}
	_, err = os.Stdout.Write(out.Bytes())
	return err
}

// whileHeard serves until its parent closes the standard input.
func whileHeard(ctx context.Context, serve func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	return serve(ctx)
}

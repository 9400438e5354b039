// Command measure measures how well search answers a set of questions (pages.jsonl and questions.jsonl in a folder),
// in a database of its own:
//
//	go run ./lab/retrieval/measure [DIR]
//
// Without a folder, it uses our own questions about the pages of the stand-in's built-in space.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/sluicehq/sluice/lab/retrieval"
	"github.com/sluicehq/sluice/services/chunk-writer/chunk"
	"github.com/sluicehq/sluice/shared/localpg"
	"github.com/sluicehq/sluice/shared/store"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	missed := flag.Int("missed", 0, "how many of the questions without a right page to print")
	var o chunk.Options
	flag.IntVar(&o.MaxTokens, "max-tokens", chunk.DefaultMaxTokens, "the maximum size of a chunk, in tokens")
	flag.IntVar(&o.OverlapTokens, "overlap", 0, "how much of the previous chunk to repeat, in tokens")
	flag.Parse()
	read := func() (retrieval.Set, error) { return retrieval.Read(flag.Arg(0)) }
	switch flag.NArg() {
	case 0:
		read = func() (retrieval.Set, error) {
			return retrieval.ReadBuiltin("services/sandbox/sandbox/pages", "lab/retrieval/testdata/questions.jsonl")
		}
	case 1:
	default:
		return fmt.Errorf("want one folder, got %d", flag.NArg())
	}
	set, err := read()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "sluice-retrieval-")
	if err != nil {
		return fmt.Errorf("create a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	pg, err := localpg.Start(ctx, localpg.Options{DataDir: dir, NoSync: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pg.Stop(ctx)) }()
	s, err := store.Open(ctx, pg.URL())
	if err != nil {
		return err
	}
	defer s.Close()
	if _, err := s.Migrate(ctx); err != nil {
		return err
	}
	reports, err := retrieval.Measure(ctx, s, set, o)
	if err != nil {
		return err
	}
	return retrieval.Write(os.Stdout, reports, *missed)
}

// Command measure measures how well search answers a set of questions (pages.jsonl and questions.jsonl in a folder),
// in a database of its own, by words, by meaning, and by both:
//
//	go run ./lab/retrieval/measure [DIR]
//
// Without a folder, it uses our own questions about the pages of the stand-in's built-in space. The model is that of
// the settings EMBEDDINGS_…, or MiniLM, which is downloaded once. The vectors of passages are kept for the next time.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/sluicehq/sluice/lab/retrieval"
	"github.com/sluicehq/sluice/services/chunk-writer/chunk"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/embedding"
	"github.com/sluicehq/sluice/shared/localpg"
	"github.com/sluicehq/sluice/shared/store"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
}

func notice(text string) { fmt.Fprintln(os.Stderr, text) }

func run(ctx context.Context) (err error) {
	missed := flag.Int("missed", 0, "how many of the questions without a right page to print")
	words := flag.Bool("words", false, "measure words alone, which needs neither a model nor pgvector")
	ways := flag.String("ways", "", "the ways of searching to measure, by their names in the tables, separated by commas; none for all")
	weights := flag.String("weights", "", "further shares of meaning in the ranking, from 0 to 1, separated by commas")
	bin := flag.String("bin", os.Getenv("SLUICE_PG_BINDIR"), "the `folder` of a Postgres, with pgvector unless -words; else it is found or downloaded")
	o := retrieval.Options{Notice: notice}
	flag.IntVar(&o.Chunks.MaxTokens, "max-tokens", chunk.DefaultMaxTokens, "the maximum size of a chunk, in tokens")
	flag.IntVar(&o.Chunks.OverlapTokens, "overlap", 0, "how much of the previous chunk to repeat, in tokens")
	flag.BoolVar(&o.Bare, "bare", false, "embed the text of a chunk without the page's title and the headings above it")
	flag.Parse()
	set, err := read(flag.Args())
	if err != nil {
		return err
	}
	if o.Weights, err = numbers(*weights); err != nil {
		return err
	}
	o.Ways = strings.FieldsFunc(*ways, func(r rune) bool { return r == ',' })
	if !*words {
		if err := model(ctx, &o); err != nil {
			return err
		}
		if *bin == "" {
			if *bin, err = localpg.FetchVector(ctx, localpg.Options{Notice: notice}); err != nil {
				return fmt.Errorf("%w; -bin names one that is there, and -words does without", err)
			}
		}
	}
	return measure(ctx, set, o, *bin, *missed)
}

func read(args []string) (retrieval.Set, error) {
	switch len(args) {
	case 0:
		return retrieval.ReadBuiltin("services/sandbox/sandbox/pages", "lab/retrieval/testdata/questions.jsonl")
	case 1:
		return retrieval.Read(args[0])
	default:
		return retrieval.Set{}, fmt.Errorf("want one folder, got %d", len(args))
	}
}

func numbers(list string) (weights []float64, err error) {
	for _, text := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' }) {
		weight, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("-weights: %q is not a number", text)
		}
		weights = append(weights, weight)
	}
	return weights, nil
}

// model is the model of the settings, or MiniLM.
func model(ctx context.Context, o *retrieval.Options) (err error) {
	if o.Embeddings, err = config.Load[config.Embeddings](os.LookupEnv); err != nil {
		return err
	}
	if !o.Embeddings.Configured() {
		o.Embeddings.EmbeddingsModel = "all-MiniLM-L6-v2"
		if o.Embeddings.EmbeddingsPath, err = embedding.FetchMiniLM(ctx, notice); err != nil {
			return err
		}
	}
	dir, err := localpg.DefaultCacheDir()
	o.Vectors = filepath.Join(dir, "retrieval")
	return err
}

func measure(ctx context.Context, set retrieval.Set, o retrieval.Options, bin string, missed int) (err error) {
	dir, err := os.MkdirTemp("", "sluice-retrieval-")
	if err != nil {
		return fmt.Errorf("create a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // Postgres, as another user if we are root, enters it
		return fmt.Errorf("open the folder: %w", err)
	}
	pg, err := localpg.Start(ctx, localpg.Options{DataDir: filepath.Join(dir, "postgres"), BinDir: bin, NoSync: true})
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
	return retrieval.Write(os.Stdout, reports, missed)
}

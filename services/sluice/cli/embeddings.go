package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/embedding"
	"github.com/sluicehq/sluice/shared/service"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/vectors"
	"github.com/sluicehq/sluice/shared/viewer"
)

func (a *app) embeddings() *cobra.Command {
	cmd := &cobra.Command{Use: "embeddings", Short: "Show what has a vector, and change the model"}
	var active bool
	drop := &cobra.Command{
		Use: "drop SPACE", Short: "Delete the vectors of a space",
		Long: "Delete the vectors of a space, by its number in sluice embeddings status. With --active also those\n" +
			"that are searched: search then works by words, until an embedder fills a new space.",
		Example: "  sluice embeddings drop 1",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			id, err := strconv.Atoi(argv[0])
			if err != nil {
				return usageError{fmt.Errorf("SPACE is a number from sluice embeddings status, not %q", argv[0])}
			}
			return a.withControl(cmd.Context(), func(s *session) error { return a.dropEmbeddings(cmd.Context(), s, id, active) })
		},
	}
	drop.Flags().BoolVar(&active, "active", false, "drop the space even if it is searched")
	var reads func() (viewer.Viewer, error)
	status := &cobra.Command{
		Use: "status", Short: "Show the spaces, and how many chunks are embedded, pending and failed",
		Example: "  sluice embeddings status\n  sluice embeddings status -o json | jq '.spaces[].total'",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withControl(cmd.Context(), func(s *session) error {
				reader, err := reads()
				if err != nil {
					return err
				}
				return a.showEmbeddings(cmd.Context(), s, reader)
			})
		},
	}
	reads = readsAs(status)
	cmd.AddCommand(status,
		&cobra.Command{
			Use: "plan", Short: "Estimate tokens, time and cost of the model in the settings",
			Long: "Estimate what it takes to embed all chunks with the model in the settings. A few chunks are embedded to\n" +
				"measure it. EMBEDDINGS_PRICE is the price of a million tokens.",
			Example: "  EMBEDDINGS_MODEL=text-embedding-3-large sluice embeddings plan",
			Args:    args(cobra.NoArgs),
			RunE: func(cmd *cobra.Command, _ []string) error {
				return a.withModel(cmd.Context(), func(s *session, m embedding.Model, price float64) error {
					return a.planEmbeddings(cmd.Context(), s, m, price)
				})
			},
		},
		&cobra.Command{
			Use: "switch", Short: "Have the model in the settings replace the searched one",
			Long: "Have the model in the settings replace the searched one. Its space fills beside the other, and replaces it\n" +
				"when it is complete; until then the other is searched. An embedder with the same settings fills it.",
			Example: "  EMBEDDINGS_MODEL=text-embedding-3-large sluice embeddings switch",
			Args:    args(cobra.NoArgs),
			RunE: func(cmd *cobra.Command, _ []string) error {
				return a.withModel(cmd.Context(), func(s *session, m embedding.Model, _ float64) error {
					space, err := s.SwitchEmbeddings(cmd.Context(), operator, m)
					if err != nil {
						return err
					}
					if a.json() {
						return a.printJSON(space)
					}
					a.printf("Space %d, %s, is %s.\n", space.ID, space.Identity, space.State)
					return nil
				})
			},
		},
		&cobra.Command{
			Use: "retry", Short: "Try failed texts again",
			Example: "  sluice embeddings retry",
			Args:    args(cobra.NoArgs),
			RunE: func(cmd *cobra.Command, _ []string) error {
				return a.withControl(cmd.Context(), func(s *session) error {
					n, err := s.RetryEmbeddings(cmd.Context(), operator)
					if err != nil {
						return err
					}
					if a.json() {
						return a.printJSON(map[string]int{"texts": n})
					}
					a.printf("%s will be tried again.\n", plural(n, "text", "texts"))
					return nil
				})
			},
		},
		drop,
	)
	return cmd
}

// withModel runs fn with the model in the settings.
func (a *app) withModel(ctx context.Context, fn func(*session, embedding.Model, float64) error) error {
	return a.withControl(ctx, func(s *session) error {
		cfg, err := service.Config[config.Embeddings](s.host)
		if err != nil {
			return err
		}
		m, err := embedding.Open(cfg, embedding.WithLogger(s.host.Log))
		if err != nil {
			return err
		}
		if m == nil {
			return usageError{errors.New("the settings name no model: set EMBEDDINGS_URL and EMBEDDINGS_MODEL, or EMBEDDINGS_PATH")}
		}
		return errors.Join(fn(s, m, cfg.EmbeddingsPrice), m.Close())
	})
}

func (a *app) showEmbeddings(ctx context.Context, s *session, reader viewer.Viewer) error {
	e, err := s.Embeddings(ctx, reader)
	if err != nil {
		return err
	}
	if err := a.whoSeesAny(ctx, s, reader, ""); err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(e)
	}
	if e.Advice != "" {
		a.printf("The database cannot search by meaning: %s\n", a.named(e.Advice))
	}
	if len(e.Spaces) == 0 {
		a.printf("Nothing is embedded: search works by words. An embedder with EMBEDDINGS_URL or EMBEDDINGS_PATH changes that.\n")
		return nil
	}
	rows := [][]string{{"SPACE", "MODEL", "DIMENSIONS", "STATE", "SOURCE", "CHUNKS", "EMBEDDED", "PENDING", "FAILED"}}
	for _, sp := range e.Spaces {
		row := func(source string, c vectors.Count) []string {
			return []string{
				fmt.Sprint(sp.ID), sp.Model, fmt.Sprint(sp.Dimensions), string(sp.State), source,
				fmt.Sprint(c.Chunks), fmt.Sprint(c.Embedded), fmt.Sprint(c.Pending), failed(c),
			}
		}
		for _, source := range slices.Sorted(maps.Keys(sp.Sources)) {
			rows = append(rows, row(source, sp.Sources[source]))
		}
		rows = append(rows, row("all", sp.Total))
	}
	a.table(rows)
	for _, sp := range e.Spaces {
		if sp.Waiting > 0 {
			a.printf("Space %d: %s after a failure (%s).\n", sp.ID, plural(sp.Waiting, "text waits", "texts wait"), sp.Trouble)
		}
	}
	return nil
}

// failed is the number of failed chunks, with their codes.
func failed(c vectors.Count) string {
	text := fmt.Sprint(c.AllFailed())
	for _, code := range slices.Sorted(maps.Keys(c.Failed)) {
		text += fmt.Sprintf(" (%s: %d)", code, c.Failed[code])
	}
	return text
}

func (a *app) planEmbeddings(ctx context.Context, s *session, m embedding.Model, price float64) error {
	p, err := s.PlanEmbeddings(ctx, operator, m, price)
	if err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(p)
	}
	a.printf("%s: %s with %s, about %d tokens", p.Identity, plural(p.Chunks, "chunk", "chunks"), plural(p.Texts, "text", "different texts"), p.Tokens)
	if price > 0 {
		a.printf(", which cost %.2f", p.Cost)
	}
	a.printf(", in about %s.\n", time.Duration(p.Took*float64(time.Second)).Round(time.Second))
	if p.State != "" {
		a.printf("Its space is %s already; what is embedded in it costs nothing more.\n", p.State)
	}
	return nil
}

func (a *app) dropEmbeddings(ctx context.Context, s *session, id int, active bool) error {
	err := s.DropEmbeddings(ctx, operator, id, active)
	switch {
	case errors.Is(err, vectors.ErrActive):
		return fmt.Errorf("space %d is searched: to drop it anyway, stop the embedder and add --active", id)
	case errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("there is no space %d; sluice embeddings status lists them", id)
	case err != nil:
		return err
	}
	if a.json() {
		return a.printJSON(map[string]int{"dropped": id})
	}
	a.printf("Space %d is dropped.\n", id)
	return nil
}

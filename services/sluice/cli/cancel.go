package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

func (a *app) cancel() *cobra.Command {
	return &cobra.Command{
		Use:   "cancel RUN",
		Short: "End a run that is under way or waits for its turn",
		Long: `End a run that is under way or waits for its turn. What it has stored stays. The pages that
it still waited for end as skipped, and the next run of the source lists them again. The
running stages tell whoever follows the run.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			return a.withStore(cmd.Context(), func(s *store.Store) error {
				run, err := s.CancelRun(cmd.Context(), argv[0])
				if errors.Is(err, store.ErrEnded) {
					return fmt.Errorf("run %s cannot be cancelled: it ended %s as %s", run.ID, ago(run.FinishedAt), words(run.State))
				}
				if err != nil {
					return noRun(argv[0], err)
				}
				return a.showCancelled(cmd.Context(), s, run)
			})
		},
	}
}

func (a *app) showCancelled(ctx context.Context, s *store.Store, run store.Run) error {
	counts, err := s.Reader().Counts(ctx, viewer.All(), run.ID)
	if err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(struct {
			store.Run
			Counts event.Counts `json:"counts"`
		}{run, counts})
	}
	a.printf("Run %s of %s is cancelled: %s\n", run.ID, run.SourceID, tally(counts))
	if counts.Skipped > 0 {
		a.printf("What it did not come to is listed again by the next sync.\n")
	}
	return nil
}

// noRun turns a missing run into an error that says where to look.
func noRun(id string, err error) error {
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return fmt.Errorf("there is no run %q; the newest are shown by: sluice status", id)
}

// words is a state as people read it.
func words(s event.State) string { return strings.ReplaceAll(string(s), "_", " ") }

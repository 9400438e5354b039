package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
)

// runStatus is what status shows of one run.
type runStatus struct {
	store.Run
	Counts   event.Counts       `json:"counts"`
	Failures []store.LedgerPage `json:"failures"`
	Removals []store.LedgerPage `json:"removals"`
}

func (a *app) status() *cobra.Command {
	var sourceID string
	cmd := &cobra.Command{
		Use:     "status [RUN]",
		Short:   "Show the sources and their newest runs, or one run",
		Example: "  sluice status\n  sluice status nightly-7",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			return a.withStore(cmd.Context(), func(s *store.Store) error {
				if len(argv) == 1 {
					return a.showRun(cmd.Context(), s, argv[0])
				}
				return a.showRuns(cmd.Context(), s, sourceID)
			})
		},
	}
	cmd.Flags().StringVar(&sourceID, "source", "", "only the runs of this `source`")
	return cmd
}

func (a *app) showRuns(ctx context.Context, s *store.Store, sourceID string) error {
	runs, err := s.Runs(ctx, sourceID, 10)
	if err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(orEmpty(runs))
	}
	if err := a.listSources(ctx, s); err != nil || len(runs) == 0 {
		return err
	}
	rows := [][]string{{"RUN", "SOURCE", "MODE", "STATE", "LISTED", "REQUESTED", "TOOK"}}
	for _, r := range runs {
		rows = append(rows, []string{r.ID, r.SourceID, string(r.Mode), string(r.State), fmt.Sprint(r.Listed), ago(r.RequestedAt), took(r)})
	}
	a.printf("\n")
	a.table(rows)
	return nil
}

func took(r store.Run) string {
	if r.StartedAt.IsZero() || r.FinishedAt.IsZero() {
		return "-"
	}
	return r.FinishedAt.Sub(r.StartedAt).Round(10 * time.Millisecond).String()
}

func (a *app) showRun(ctx context.Context, s *store.Store, id string) error {
	run, err := s.Run(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("there is no run %q; the newest are shown by: sluice status", id)
	}
	if err != nil {
		return err
	}
	st := runStatus{Run: run}
	if st.Counts, err = s.Counts(ctx, id); err != nil {
		return err
	}
	if st.Failures, err = s.LedgerPages(ctx, id, event.Failed, 100); err != nil {
		return err
	}
	if st.Removals, err = s.LedgerPages(ctx, id, event.Removed, 100); err != nil {
		return err
	}
	if a.json() {
		st.Failures, st.Removals = orEmpty(st.Failures), orEmpty(st.Removals)
		return a.printJSON(st)
	}
	a.printf("Run %s of %s, %s: %s\n", run.ID, run.SourceID, run.Mode, run.State)
	if run.Message != "" {
		a.printf("  %s\n", run.Message)
	}
	a.printf("  requested %s, took %s\n  %s", ago(run.RequestedAt), took(run), tally(st.Counts))
	if st.Counts.Pending > 0 {
		a.printf(", %d under way", st.Counts.Pending)
	}
	a.printf("\n")
	for _, f := range st.Failures {
		a.printf("  failed   %s %q in %s after %s: %s: %s\n", f.PageID, f.Title, f.Stage, plural(f.Attempts, "attempt", "attempts"), f.Reason, f.Message)
	}
	for _, r := range st.Removals {
		a.printf("  removed  %s %q: %s\n", r.PageID, r.Title, r.Reason)
	}
	return nil
}

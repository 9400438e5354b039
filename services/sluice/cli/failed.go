package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// allFailures is more than a table is for; what is beyond it is still tried again.
const allFailures = 10_000

func (a *app) failed() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "failed",
		Short: "List the pages that failed, and try them again",
		Long: `List the pages that failed and that no later run has cured, and try them again. Every
incremental sync tries them again too; a full one compares all pages anyway.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.failedList(), a.failedRetry())
	return cmd
}

func (a *app) failedList() *cobra.Command {
	var sourceID, runID string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the pages that are failed now, the newest first",
		Example: "  sluice failed list --source docs\n  sluice failed list -o json | jq -r '.[].message'",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withStore(cmd.Context(), func(s *store.Store) error {
				if err := a.known(cmd.Context(), s, sourceID, runID); err != nil {
					return err
				}
				list, err := s.Reader().Failures(cmd.Context(), viewer.All(), sourceID, runID, "", allFailures)
				if err != nil {
					return err
				}
				return a.showFailures(list)
			})
		},
	}
	cmd.Flags().StringVar(&sourceID, "source", "", "only the pages of this `source`")
	cmd.Flags().StringVar(&runID, "run", "", "only the pages that failed in this `run`")
	return cmd
}

func (a *app) showFailures(list []store.Failure) error {
	if a.json() {
		return a.printJSON(orEmpty(list))
	}
	if len(list) == 0 {
		a.printf("No page is failed.\n")
		return nil
	}
	rows := [][]string{{"PAGE", "TITLE", "SOURCE", "RUN", "STAGE", "CODE", "ATTEMPTS", "WHEN", "MESSAGE"}}
	for _, f := range list {
		rows = append(rows, []string{f.PageID, cut(f.Title, 30), f.SourceID, f.RunID, f.Stage, f.Code, fmt.Sprint(f.Attempts), ago(f.FailedAt), cut(f.Message, 60)})
	}
	a.table(rows)
	a.printf("\nTry them again: sluice failed retry\n")
	return nil
}

// known complains about a source or run that does not exist; "" stands for any.
func (a *app) known(ctx context.Context, s *store.Store, sourceID, runID string) error {
	if sourceID != "" {
		if _, err := s.Source(ctx, sourceID); err != nil {
			return a.noSource(ctx, s, sourceID, err)
		}
	}
	if runID != "" {
		if _, err := s.Run(ctx, runID); err != nil {
			return noRun(runID, err)
		}
	}
	return nil
}

func (a *app) failedRetry() *cobra.Command {
	var sourceID string
	var wait bool
	cmd := &cobra.Command{
		Use:   "retry [PAGE|RUN]",
		Short: "Ask for a sync of each source that has failed pages",
		Long: `Ask for an incremental sync of each source that has failed pages, of those of a page, of a
run or of a source when one is named. Such a sync lists every failed page of its source
again, and what changed since the last one.`,
		Example: "  sluice failed retry --wait\n  sluice failed retry 98310\n  sluice failed retry --source docs",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			about := ""
			if len(argv) == 1 {
				about = argv[0]
			}
			var reqs []retry
			err := a.withStore(cmd.Context(), func(s *store.Store) (err error) {
				reqs, err = a.retries(cmd.Context(), s, sourceID, about)
				return err
			})
			if err != nil {
				return err
			}
			return a.withBus(cmd.Context(), func(b *bus.Bus) error { return a.retry(cmd.Context(), b, reqs, wait) })
		},
	}
	cmd.Flags().StringVar(&sourceID, "source", "", "only the pages of this `source`")
	cmd.Flags().BoolVar(&wait, "wait", false, "follow the syncs to their ends")
	return cmd
}

// retry is a sync that is to be asked for because pages have failed.
type retry struct {
	SourceID string `json:"source_id"`
	RunID    string `json:"run_id"`
	Subject  string `json:"progress_subject"`
	Failed   int    `json:"failed_pages"` // of the source, all of which it lists again
}

// retries finds the sources with failed pages that match.
func (a *app) retries(ctx context.Context, s *store.Store, sourceID, about string) ([]retry, error) {
	if err := a.known(ctx, s, sourceID, ""); err != nil {
		return nil, err
	}
	list, err := s.Reader().Failures(ctx, viewer.All(), sourceID, "", about, allFailures)
	if err == nil && len(list) == 0 && about != "" {
		list, err = s.Reader().Failures(ctx, viewer.All(), sourceID, about, "", allFailures)
	}
	switch {
	case err != nil:
		return nil, err
	case len(list) == 0:
		return nil, nothingFailed(ctx, s, sourceID, about)
	}
	var ids []string
	for _, f := range list {
		ids = append(ids, f.SourceID)
	}
	slices.Sort(ids)
	var reqs []retry
	for _, id := range slices.Compact(ids) {
		all, err := s.Reader().Failures(ctx, viewer.All(), id, "", "", allFailures)
		if err != nil {
			return nil, err
		}
		run := newRequestID()
		reqs = append(reqs, retry{SourceID: id, RunID: run, Subject: event.ProgressSubject(id, run), Failed: len(all)})
	}
	return reqs, nil
}

func nothingFailed(ctx context.Context, s *store.Store, sourceID, about string) error {
	of := ""
	if sourceID != "" {
		of = " of " + sourceID
	}
	if about == "" {
		return fmt.Errorf("no page%s is failed: there is nothing to try again", of)
	}
	switch _, err := s.Run(ctx, about); {
	case err == nil:
		return fmt.Errorf("no page%s that failed in run %s is still failed", of, about)
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
	return fmt.Errorf("no page%s is failed that has the id %q, and no run has it; see: sluice failed list", of, about)
}

// retry asks for the syncs, and with wait follows one after the other. The exit code is
// that of the one that ended worst.
func (a *app) retry(ctx context.Context, b *bus.Bus, reqs []retry, wait bool) error {
	for _, r := range reqs {
		if err := b.Publish(ctx, event.SyncRequested{RequestID: r.RunID, Mode: event.Incremental, SourceID: r.SourceID}); err != nil {
			return err
		}
		if !a.json() {
			a.printf("Run %s lists %s of %s again.\n", r.RunID, plural(r.Failed, "failed page", "failed pages"), r.SourceID)
		}
	}
	if !wait {
		if a.json() {
			return a.printJSON(reqs)
		}
		a.printf("Follow it: sluice status %s\n", reqs[0].RunID)
		return nil
	}
	var ends []event.Progress
	var worst error
	for _, r := range reqs {
		last, err := a.follow(ctx, b, r.SourceID, r.RunID)
		if err != nil {
			return err
		}
		ends = append(ends, last)
		worst = worse(worst, ending(last))
		if !a.json() {
			a.printf("%s\n", summary(last))
		}
	}
	if a.json() {
		if err := a.printJSON(ends); err != nil {
			return err
		}
	}
	return worst
}

// worse returns which of two ends of runs says more about what is wrong.
func worse(a, b error) error {
	rank := func(err error) int {
		var e exit
		if !errors.As(err, &e) {
			return 0
		}
		return map[int]int{exitFailures: 1, exitHeld: 2, exitFailed: 3}[e.code]
	}
	if cmp.Less(rank(a), rank(b)) {
		return b
	}
	return a
}

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

func (a *app) failed() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "failed",
		Short: "List the pages that failed, and retry them",
		Long: `List the pages that failed and that no later run has fixed, and retry them. Every
incremental sync retries them too; a full one compares all pages anyway.`,
	}
	cmd.AddCommand(a.failedList(), a.failedRetry())
	return cmd
}

func (a *app) failedList() *cobra.Command {
	var sourceID, runID string
	var reads func() (viewer.Viewer, error)
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the pages that are failed now, newest first",
		Example: "  sluice failed list --source docs\n  sluice failed list -o json | jq -r '.[].message'",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withControl(cmd.Context(), func(s *session) error {
				reader, err := reads()
				if err != nil {
					return err
				}
				list, err := s.Failures(cmd.Context(), reader, sourceID, runID, "", store.Whole())
				if err != nil {
					return err
				}
				if err := a.whoSeesAny(cmd.Context(), s, reader, sourceID); err != nil {
					return err
				}
				return a.showFailures(list)
			})
		},
	}
	cmd.Flags().StringVar(&sourceID, "source", "", "only the pages of this `source`")
	cmd.Flags().StringVar(&runID, "run", "", "only the pages that failed in this `run`")
	reads = readsAs(cmd)
	return cmd
}

func (a *app) showFailures(list []store.Failure) error {
	if a.json() {
		return a.printJSON(list)
	}
	if len(list) == 0 {
		a.printf("No page is failed.\n")
		return nil
	}
	a.table(failureRows(list))
	a.printf("\nRetry them: sluice failed retry\n")
	return nil
}

// failureRows returns the table of failed pages, which fits into 80 columns.
func failureRows(list []store.Failure) [][]string {
	rows := [][]string{{"PAGE", "TITLE", "SOURCE", "WHEN", "WHY"}}
	for _, f := range list {
		why := fmt.Sprintf("%s in the %s, after %s, in run %s: %s", f.Code, f.Stage, plural(f.Attempts, "attempt", "attempts"), f.RunID, cut(f.Message, 60))
		rows = append(rows, []string{f.PageID, cut(f.Title, 30), f.SourceID, ago(f.FailedAt), why})
	}
	return rows
}

func (a *app) failedRetry() *cobra.Command {
	var sourceID string
	var wait bool
	cmd := &cobra.Command{
		Use:   "retry [SOURCE [PAGE…]|PAGE|RUN]",
		Short: "Request a sync that lists failed pages again",
		Long: `Request a sync that lists failed pages again. Without arguments, with a source, or with a
run, it is an incremental sync of each source that has failed pages, or of this one: it lists
all its failed pages, and the pages that changed. With pages, it lists these and no others.
Page ids are per site: if failed pages of several sites have the id, --source selects one.`,
		Example: "  sluice failed retry --wait\n  sluice failed retry docs\n  sluice failed retry docs 98310 98311\n  sluice failed retry 98310",
		Args:    args(cobra.ArbitraryArgs),
		RunE: func(cmd *cobra.Command, argv []string) error {
			r := control.RetryRequest{SourceID: sourceID}
			switch {
			case len(argv) == 1:
				r.About = argv[0]
			case len(argv) > 1 && sourceID == "":
				r.SourceID, r.Pages = argv[0], argv[1:]
			default:
				r.Pages = argv
			}
			return a.withBroker(cmd.Context(), func(s *session) error {
				runs, err := s.Retry(cmd.Context(), operator, r)
				var none *control.NothingFailedError
				if errors.As(err, &none) && none.About != "" && !none.IsRun && sourceID == "" && a.isSource(cmd.Context(), s, none.About) {
					runs, err = s.Retry(cmd.Context(), operator, control.RetryRequest{SourceID: none.About})
				}
				if errors.As(err, &none) && (none.About == "" || none.IsRun) {
					return a.nothingToRetry(none)
				}
				if err != nil {
					return err
				}
				return a.showRetried(cmd.Context(), s, runs, wait)
			})
		},
	}
	cmd.Flags().StringVar(&sourceID, "source", "", "only the pages of this `source`")
	cmd.Flags().BoolVar(&wait, "wait", false, "follow the syncs until they end")
	return cmd
}

func (a *app) isSource(ctx context.Context, s *session, id string) bool {
	_, err := s.Source(ctx, operator, id)
	return err == nil
}

// nothingToRetry says that no page is failed. That is how it should be, so it is no error.
func (a *app) nothingToRetry(none *control.NothingFailedError) error {
	if a.json() {
		return a.printJSON([]string{})
	}
	text := nothingFailed(none).Error()
	a.printf("%s\n", strings.ToUpper(text[:1])+text[1:]+".")
	return nil
}

// showRetried shows the requested runs, and with wait follows them one after the other. The exit code is that of the
// worst end.
func (a *app) showRetried(ctx context.Context, s *session, runs []control.Retried, wait bool) error {
	type retried struct {
		SourceID string `json:"source_id"`
		requested
		Failed int `json:"failed_pages"` // all failed pages of the source; the run lists them again
	}
	var asked []retried
	for _, r := range runs {
		a.noticeUnsent(r.Asked)
		asked = append(asked, retried{r.Run.SourceID, requested{r.Run.ID, s.progressSubject(r.Run), r.WaitsFor, false, r.Unsent == nil}, r.Failed})
		if !a.json() {
			a.printf("Run %s lists %s of %s again.\n", r.Run.ID, plural(r.Failed, "failed page", "failed pages"), r.Run.SourceID)
		}
	}
	if !wait {
		if a.json() {
			return a.printJSON(asked)
		}
		a.printf("Follow it: %s\n", a.named(following(runs[0].Run.ID)))
		return nil
	}
	var ends []event.Progress
	var worst error
	for _, r := range runs {
		last, err := a.follow(ctx, s, r.Run)
		if err != nil {
			return err
		}
		ends = append(ends, last)
		worst = worse(worst, exitError(last))
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

// worse returns the more serious of two runs' ends.
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

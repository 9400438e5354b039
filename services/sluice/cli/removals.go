package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

const (
	heldShown    = 20 // pages of a held run in the list of all held runs
	removedShown = 50
)

func (a *app) removals() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "removals",
		Short: "List removed pages, and decide on held removals",
		Long: `List which pages were removed and why, and decide on held runs. A run is held if it would
remove more pages than the limit allows; it removes none.`,
	}
	cmd.AddCommand(a.removalsList(), a.removalsApprove(), a.removalsReject())
	return cmd
}

func (a *app) removalsList() *cobra.Command {
	var runID string
	var limit int
	var reads func() (viewer.Viewer, error)
	cmd := &cobra.Command{
		Use:     "list [SOURCE]",
		Short:   "List held runs that wait for a decision, and recent removals",
		Example: "  sluice removals list\n  sluice removals list docs\n  sluice removals list --run 20260102-030405-abcdef",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			sourceID := ""
			if len(argv) == 1 {
				sourceID = argv[0]
			}
			if limit < 1 {
				return usageError{fmt.Errorf("--limit must be at least 1, not %d", limit)}
			}
			return a.withControl(cmd.Context(), func(s *session) error {
				reader, err := reads()
				if err != nil {
					return err
				}
				list, err := s.Removals(cmd.Context(), reader, sourceID, runID, store.Whole(), store.First(min(limit, 1<<30)+1))
				if err != nil {
					return err
				}
				if err := a.whoSeesAny(cmd.Context(), s, reader, sourceID); err != nil {
					return err
				}
				more := len(list.Removed) > limit
				list.Removed = list.Removed[:min(len(list.Removed), limit)]
				if err := a.showRemovals(list, runID != ""); err != nil || !more || a.json() {
					return err
				}
				a.printf("… and more: --limit %d\n", 10*limit)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&runID, "run", "", "only pages that this `run` removed or held back")
	cmd.Flags().IntVar(&limit, "limit", removedShown, "maximum `number` of removals, newest first")
	reads = readsAs(cmd)
	return cmd
}

// showRemovals shows removed pages and held runs; all shows every page of a held run.
func (a *app) showRemovals(list control.Removals, all bool) error {
	if a.json() {
		return a.printJSON(list)
	}
	held, removed := list.Held, list.Removed
	if len(held)+len(removed) == 0 {
		a.printf("Nothing was removed or held back.\n")
		return nil
	}
	for i, h := range held {
		if i > 0 {
			a.printf("\n")
		}
		shown := heldShown
		if all {
			shown = len(h.Pages)
		}
		a.showHeld(h, shown)
	}
	if len(removed) == 0 {
		return nil
	}
	if len(held) > 0 {
		a.printf("\n")
	}
	a.table(removedRows(removed))
	return nil
}

// removedRows returns the table of removed pages, which fits into 80 columns.
func removedRows(removed []store.RemovedPage) [][]string {
	rows := [][]string{{"REMOVED", "PAGE", "TITLE", "SOURCE", "WHY, AND SINCE THEN"}}
	for _, r := range removed {
		rows = append(rows, []string{ago(r.RemovedAt), r.PageID, cut(r.Title, 40), r.SourceID, r.Reason + " in run " + r.RunID + "; " + since(r)})
	}
	return rows
}

func (a *app) showHeld(h control.HeldRun, shown int) {
	a.printf("Run %s of %s was held %s: %s would have been removed.\n", h.ID, h.SourceID, ago(h.FinishedAt), plural(len(h.Pages), "page", "pages"))
	rows := [][]string{{"  PAGE", "TITLE", "REASON"}}
	for _, p := range h.Pages[:min(shown, len(h.Pages))] {
		rows = append(rows, []string{"  " + p.PageID, cut(p.Title, 60), p.Reason})
	}
	a.table(rows)
	if more := len(h.Pages) - shown; more > 0 {
		a.printf("  … and %d more: sluice removals list --run %s\n", more, h.ID)
	}
	a.printf("%s", a.named(decideHint(h.Run)))
}

// decideHint tells how the held run was decided on, or how to decide.
func decideHint(run store.Run) string {
	switch run.Decision {
	case store.Approved:
		return fmt.Sprintf("  Approved. To request the run that removes the pages again: sluice removals approve %s\n", run.ID)
	case store.Rejected:
		return "  Rejected: the pages stay.\n"
	default:
		return fmt.Sprintf("  to remove them: sluice removals approve %s\n  to keep them:   sluice removals reject %s\n", run.ID, run.ID)
	}
}

// since returns what has happened to a page since its removal.
func since(r store.RemovedPage) string {
	switch {
	case !r.RestoredAt.IsZero():
		return "restored " + ago(r.RestoredAt)
	case !r.PurgedAt.IsZero():
		return "purged " + ago(r.PurgedAt)
	default:
		return "its Markdown is kept"
	}
}

func (a *app) removalsApprove() *cobra.Command {
	var wait bool
	cmd := &cobra.Command{
		Use:   "approve RUN",
		Short: "Approve the removals that a run held back",
		Long: `Approve the removals that a run held back. This requests a full sync, which checks each page
again: a page that was restored since stays, and further removals count against the limit.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			return a.withBroker(cmd.Context(), func(s *session) error {
				asked, err := s.Approve(cmd.Context(), operator, argv[0], "")
				if err != nil {
					return err
				}
				return a.showAsked(cmd.Context(), s, asked, wait)
			})
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "follow the sync until it ends")
	return cmd
}

func (a *app) removalsReject() *cobra.Command {
	return &cobra.Command{
		Use:   "reject RUN",
		Short: "Reject the removals that a run held back",
		Long: `Reject the removals that a run held back: its pages stay. This counts as a check for removals:
the next one follows the source's deletion strategy, or sluice sync SOURCE --mode full.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			return a.withControl(cmd.Context(), func(s *session) error {
				run, err := s.Reject(cmd.Context(), operator, argv[0])
				if err != nil {
					return err
				}
				if a.json() {
					return a.printJSON(run)
				}
				a.printf("The pages that run %s of %s held back stay.\n", run.ID, run.SourceID)
				return nil
			})
		},
	}
}

package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/store"
)

const (
	heldShown    = 20 // pages of a held run that a list of all shows
	removedShown = 50
)

func (a *app) removals() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "removals",
		Short: "See what left, and decide on what was held back",
		Long: `See which pages left the knowledge base and why, and decide on runs that were held. A run
is held when it would remove more pages than the brake permits; it removes nothing.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.removalsList(), a.removalsApprove(), a.removalsReject())
	return cmd
}

func (a *app) removalsList() *cobra.Command {
	var runID string
	var limit int
	cmd := &cobra.Command{
		Use:     "list [SOURCE]",
		Short:   "List the held runs that wait for a decision, and what was removed of late",
		Example: "  sluice removals list\n  sluice removals list docs\n  sluice removals list --run 20260102-030405-abcdef",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			sourceID := ""
			if len(argv) == 1 {
				sourceID = argv[0]
			}
			if limit < 1 {
				return usageError{fmt.Errorf("--limit is at least 1, not %d", limit)}
			}
			return a.withControl(cmd.Context(), func(s *session) error {
				list, err := s.Removals(cmd.Context(), operator, sourceID, runID, limit)
				if err != nil {
					return err
				}
				return a.showRemovals(list, runID != "")
			})
		},
	}
	cmd.Flags().StringVar(&runID, "run", "", "only what this `run` removed or held back")
	cmd.Flags().IntVar(&limit, "limit", removedShown, "at most so many removals, the newest")
	return cmd
}

// showRemovals shows what left and what was held back: of one run all of it.
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

// removedRows is the table of removed pages, which fits into 80 columns.
func removedRows(removed []store.RemovedPage) [][]string {
	rows := [][]string{{"REMOVED", "PAGE", "TITLE", "SOURCE", "WHY, AND SINCE THEN"}}
	for _, r := range removed {
		rows = append(rows, []string{ago(r.RemovedAt), r.PageID, cut(r.Title, 40), r.SourceID, r.Reason + " in run " + r.RunID + "; " + since(r)})
	}
	return rows
}

func (a *app) showHeld(h control.HeldRun, shown int) {
	a.printf("Run %s of %s was held %s: %s would have gone.\n", h.ID, h.SourceID, ago(h.FinishedAt), plural(len(h.Pages), "page", "pages"))
	rows := [][]string{{"  PAGE", "TITLE", "REASON"}}
	for _, p := range h.Pages[:min(shown, len(h.Pages))] {
		rows = append(rows, []string{"  " + p.PageID, cut(p.Title, 60), p.Reason})
	}
	a.table(rows)
	if more := len(h.Pages) - shown; more > 0 {
		a.printf("  … and %d more: sluice removals list --run %s\n", more, h.ID)
	}
	a.printf("%s", decideHint(h.Run))
}

// decideHint says what was or can be decided on a held run.
func decideHint(run store.Run) string {
	switch run.Decision {
	case store.Approved:
		return fmt.Sprintf("  That was approved. To ask for the run that carries it out again: sluice removals approve %s\n", run.ID)
	case store.Rejected:
		return "  That was rejected: the pages stay.\n"
	default:
		return fmt.Sprintf("  to remove them: sluice removals approve %s\n  to keep them:   sluice removals reject %s\n", run.ID, run.ID)
	}
}

// since is what became of a removed page.
func since(r store.RemovedPage) string {
	switch {
	case !r.RestoredAt.IsZero():
		return "back " + ago(r.RestoredAt)
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
		Short: "Let the pages go that a held run held back",
		Long: `Let the pages go that a held run held back. It asks for a full sync, which looks each page
up again: one that came back since stays, and pages that left since count against the brake.`,
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
	cmd.Flags().BoolVar(&wait, "wait", false, "follow the sync to its end")
	return cmd
}

func (a *app) removalsReject() *cobra.Command {
	return &cobra.Command{
		Use:   "reject RUN",
		Short: "Keep the pages that a held run held back",
		Long: `Keep the pages that a held run held back. It counts as a check for removals: the next one
comes when the source's strategy wants it, or with sluice sync SOURCE --mode full.`,
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

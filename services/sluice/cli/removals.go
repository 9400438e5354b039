package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
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

// heldRun is a held run with the pages that it would have removed.
type heldRun struct {
	store.Run
	Pages []store.Removal `json:"pages"`
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
			return a.withStore(cmd.Context(), func(s *store.Store) error {
				return a.listRemovals(cmd.Context(), s, sourceID, runID, limit)
			})
		},
	}
	cmd.Flags().StringVar(&runID, "run", "", "only what this `run` removed or held back")
	cmd.Flags().IntVar(&limit, "limit", removedShown, "at most so many removals, the newest")
	return cmd
}

func (a *app) listRemovals(ctx context.Context, s *store.Store, sourceID, runID string, limit int) error {
	if err := a.known(ctx, s, sourceID, runID); err != nil {
		return err
	}
	held, err := heldOf(ctx, s, sourceID, runID)
	if err != nil {
		return err
	}
	removed, err := s.Reader().RemovedPages(ctx, viewer.All(), sourceID, runID, limit)
	if err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(struct {
			Held    []heldRun           `json:"held"`
			Removed []store.RemovedPage `json:"removed"`
		}{orEmpty(held), orEmpty(removed)})
	}
	if len(held)+len(removed) == 0 {
		a.printf("Nothing was removed or held back.\n")
		return nil
	}
	for i, h := range held {
		if i > 0 {
			a.printf("\n")
		}
		shown := heldShown
		if runID != "" {
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
	rows := [][]string{{"REMOVED", "PAGE", "TITLE", "SOURCE", "REASON", "RUN", "SINCE THEN"}}
	for _, r := range removed {
		rows = append(rows, []string{ago(r.RemovedAt), r.PageID, cut(r.Title, 40), r.SourceID, r.Reason, r.RunID, since(r)})
	}
	a.table(rows)
	return nil
}

// heldOf returns the held runs that wait for a decision; of the run that is named also when
// it was decided on.
func heldOf(ctx context.Context, s *store.Store, sourceID, runID string) ([]heldRun, error) {
	var runs []store.Run
	if runID == "" {
		var err error
		if runs, err = s.Reader().HeldRuns(ctx, viewer.All(), sourceID); err != nil {
			return nil, err
		}
	} else {
		run, err := s.Run(ctx, runID)
		if err != nil {
			return nil, err
		}
		if run.State == event.StateHeld && (sourceID == "" || run.SourceID == sourceID) {
			runs = append(runs, run)
		}
	}
	var held []heldRun
	for _, run := range runs {
		pages, err := s.Reader().HeldRemovals(ctx, viewer.All(), run.ID)
		if err != nil {
			return nil, err
		}
		held = append(held, heldRun{run, pages})
	}
	return held, nil
}

func (a *app) showHeld(h heldRun, shown int) {
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
			// The bus first: a decision that nobody hears of would look as if it had failed.
			return a.withBus(cmd.Context(), func(b *bus.Bus) error {
				var req event.SyncRequested
				var done store.Run
				err := a.withStore(cmd.Context(), func(s *store.Store) error {
					run, err := decide(cmd.Context(), s, argv[0], store.Approved)
					if err == nil {
						req, done, err = approval(cmd.Context(), s, run)
					}
					return err
				})
				if err != nil {
					return err
				}
				if done.State.Final() && !wait {
					return a.showApproved(argv[0], done)
				}
				return a.request(cmd.Context(), b, req, wait)
			})
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "follow the sync to its end")
	return cmd
}

func (a *app) showApproved(id string, done store.Run) error {
	if a.json() {
		return a.printJSON(map[string]string{"run_id": done.ID, "progress_subject": event.ProgressSubject(done.SourceID, done.ID)})
	}
	a.printf("What run %s held back was removed %s by run %s.\n", id, ago(done.FinishedAt), done.ID)
	return nil
}

// approval is the request for the run that carries out what was approved, and that run where
// it is there already: approving twice is one request, unless the first has come to nothing.
func approval(ctx context.Context, s *store.Store, held store.Run) (event.SyncRequested, store.Run, error) {
	req := event.SyncRequested{RequestID: "approve-" + held.ID, Mode: event.Full, ApprovesRun: held.ID, SourceID: held.SourceID}
	if !event.ValidID(req.RequestID) {
		req.RequestID = newRequestID()
		return req, store.Run{}, nil
	}
	there, err := s.Run(ctx, req.RequestID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return req, store.Run{}, nil
	case err != nil:
		return req, there, err
	}
	completed := there.State == event.StateCompleted || there.State == event.StateCompletedWithFailures
	if there.ApprovesRun != held.ID || there.State.Final() && !completed {
		req.RequestID = newRequestID()
		return req, store.Run{}, nil
	}
	return req, there, nil
}

func (a *app) removalsReject() *cobra.Command {
	return &cobra.Command{
		Use:   "reject RUN",
		Short: "Keep the pages that a held run held back",
		Long: `Keep the pages that a held run held back. It counts as a check for removals: the next one
comes when the source's strategy wants it, or with sluice sync SOURCE --mode full.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			return a.withStore(cmd.Context(), func(s *store.Store) error {
				run, err := decide(cmd.Context(), s, argv[0], store.Rejected)
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

// decide writes the decision down, or says why there is nothing to decide.
func decide(ctx context.Context, s *store.Store, id string, d store.Decision) (store.Run, error) {
	run, err := s.Decide(ctx, id, d)
	switch {
	case errors.Is(err, store.ErrNotHeld) && run.State == event.StateHeld:
		return run, fmt.Errorf("run %s was %s already; to look at the pages again: sluice sync %s --mode full", id, run.Decision, run.SourceID)
	case errors.Is(err, store.ErrNotHeld):
		return run, fmt.Errorf("run %s holds nothing back: it is %s; what waits for a decision: sluice removals list", id, words(run.State))
	case err != nil:
		return run, noRun(id, err)
	}
	return run, nil
}

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

const (
	ledgerShown = 20      // failures and removals of a run in the text output
	newest      = 10      // runs in the list
	ledgerAll   = 1 << 30 // all of them, for --output json
)

func (a *app) status() *cobra.Command {
	var sourceID string
	var follow bool
	var reads func() (viewer.Viewer, error)
	cmd := &cobra.Command{
		Use:   "status [RUN]",
		Short: "Show the sources and their newest runs, or the full report of one run",
		Long: `Show the sources and their newest runs, or the full report of one run.

With --follow it shows a run's progress until the run ends, then its report; the exit code is that of
sync --wait. Ctrl-C stops following, not the run.`,
		Example: "  sluice status\n  sluice status nightly-7\n  sluice status nightly-7 --follow\n  sluice status nightly-7 -o json | jq .stages",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			if follow && len(argv) == 0 {
				return usageError{errors.New("which run? sluice status RUN --follow follows one; sluice status lists the newest")}
			}
			if follow {
				return a.withBroker(cmd.Context(), func(s *session) error { return a.followRun(cmd.Context(), s, argv[0]) })
			}
			return a.withControl(cmd.Context(), func(s *session) error {
				reader, err := reads()
				if err != nil {
					return err
				}
				if len(argv) == 1 {
					return a.showRun(cmd.Context(), s, reader, argv[0])
				}
				return a.showRuns(cmd.Context(), s, reader, sourceID)
			})
		},
	}
	cmd.Flags().StringVar(&sourceID, "source", "", "only the runs of this `source`")
	cmd.Flags().BoolVar(&follow, "follow", false, "show the run's progress until it ends")
	reads = readsAs(cmd)
	cmd.MarkFlagsMutuallyExclusive("as", "follow")
	return cmd
}

// followRun shows a run's progress until the run ends, and then its report.
func (a *app) followRun(ctx context.Context, s *session, id string) error {
	st, err := s.Story(ctx, operator, id, control.StoryParts{})
	if err != nil {
		return err
	}
	if st.WaitsFor != "" {
		a.notice(fmt.Sprintf("Run %s waits for run %s to end.", id, st.WaitsFor))
	}
	last, err := a.follow(ctx, s, st.Run)
	if err != nil {
		return err
	}
	return cmp.Or(a.showRun(ctx, s, operator, id), exitError(last))
}

func (a *app) showRuns(ctx context.Context, s *session, reader viewer.Viewer, sourceID string) error {
	runs, err := s.Runs(ctx, reader, sourceID, store.First(newest+1))
	if err != nil {
		return err
	}
	more := len(runs) > newest
	runs = runs[:min(newest, len(runs))]
	if a.json() {
		if err := a.whoSeesAny(ctx, s, reader, sourceID); err != nil {
			return err
		}
		return a.printJSON(runs)
	}
	if err := a.listSources(ctx, s, reader); err != nil || len(runs) == 0 {
		return err
	}
	rows := [][]string{{"RUN", "SOURCE", "MODE", "STATE", "LISTED", "REQUESTED", "TOOK"}}
	for _, r := range runs {
		rows = append(rows, []string{r.ID, r.SourceID, string(r.Mode), string(r.State), fmt.Sprint(r.Listed), ago(r.RequestedAt), took(r)})
	}
	a.printf("\n")
	a.table(rows)
	if more {
		a.printf("These are the %d newest runs; --source shows those of one source.\n", newest)
	}
	return a.embeddingLines(ctx, s, reader)
}

// embeddingLines shows a line for each space of vectors.
func (a *app) embeddingLines(ctx context.Context, s *session, reader viewer.Viewer) error {
	e, err := s.Embeddings(ctx, reader)
	if err != nil {
		return err
	}
	for i, sp := range e.Spaces {
		if i == 0 {
			a.printf("\n")
		}
		a.printf("Vectors of %s, %s: %d of %s embedded, %d pending, %d failed", sp.Model, sp.State, sp.Total.Embedded,
			plural(sp.Total.Chunks, "chunk", "chunks"), sp.Total.Pending, sp.Total.AllFailed())
		if sp.Waiting > 0 {
			a.printf("; %s after %s", plural(sp.Waiting, "text waits", "texts wait"), sp.Trouble)
		}
		a.printf("\n")
	}
	return nil
}

func took(r store.Run) string {
	if r.StartedAt.IsZero() || r.FinishedAt.IsZero() {
		return "-"
	}
	return r.FinishedAt.Sub(r.StartedAt).Round(10 * time.Millisecond).String()
}

func (a *app) showRun(ctx context.Context, s *session, reader viewer.Viewer, id string) error {
	st, err := s.Story(ctx, reader, id, control.StoryPages(ledgerAll))
	if err != nil {
		return err
	}
	if err := a.whoSees(ctx, s, reader, st.SourceID); err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(st)
	}
	a.printf("Run %s of %s, %s: %s\n", st.ID, st.SourceID, st.Mode, words(st.State))
	if st.Mode != st.RequestedMode {
		a.printf("  %s was requested; a full sync was due\n", st.RequestedMode)
	}
	if st.ApprovesRun != "" {
		a.printf("  removes what run %s held back\n", st.ApprovesRun)
	}
	if st.Message != "" && st.State != event.StateHeld {
		a.printf("%s\n", indent(st.Message, "  "))
	}
	a.showTimes(st)
	if !st.State.Final() {
		src, err := s.Source(ctx, reader, st.SourceID)
		if err != nil {
			return err
		}
		a.showPauses([]store.Source{src})
		a.noticeUnread(ctx, s, src)
	}
	a.printf("  %s", tally(st.Counts))
	if st.Counts.Pending > 0 {
		a.printf(", %d pending", st.Counts.Pending)
	}
	a.printf("\n")
	for _, k := range st.ByKind {
		a.printf("    of kind %s: %s\n", k.Kind, cmp.Or(outcomes(k.Counts), "all pending"))
	}
	if st.APICalls > 0 {
		a.printf("  %s to Confluence, %s in their answers, %s of page bodies\n",
			plural(st.APICalls, "call", "calls"), size(st.APIBytes), size(st.Bytes))
	}
	for _, note := range st.Notes {
		a.printf("%s\n", indent("Note: "+note, "  "))
	}
	a.showStages(st.Story)
	a.showLedger(st)
	return nil
}

func (a *app) showTimes(st control.Story) {
	a.printf("  requested %s", ago(st.RequestedAt))
	switch {
	case st.WaitsFor != "":
		a.printf(", waits for run %s to end", st.WaitsFor)
	case !st.StartedAt.IsZero() && !st.FinishedAt.IsZero():
		a.printf(", took %s", took(st.Run))
	case !st.StartedAt.IsZero():
		a.printf(", running for %s", time.Since(st.StartedAt).Round(time.Second))
	}
	if !st.ListingDone.IsZero() {
		a.printf(": listing %s, pages %s", lasted(st.Listing), lasted(st.Fetching))
	}
	a.printf("\n")
}

// showStages shows the time that pages took from each stage to the next, including waiting.
func (a *app) showStages(st store.Story) {
	if len(st.Stages) == 0 {
		return
	}
	rows := [][]string{{"  STAGE", "PAGES", "HALF WITHIN", "95 % WITHIN"}}
	for _, t := range st.Stages {
		rows = append(rows, []string{"  " + t.Stage, fmt.Sprint(t.Pages), lasted(t.P50), lasted(t.P95)})
	}
	a.printf("\n")
	a.table(rows)
	rows = [][]string{{"  SLOWEST", "PAGE", "TITLE", "BODY"}}
	for _, p := range st.Slowest {
		rows = append(rows, []string{"  " + lasted(p.Seconds), p.PageID, cut(p.Title, 50), size(int64(p.Bytes))})
	}
	a.printf("\n")
	a.table(rows)
}

// showLedger shows the failed, removed and held pages of a run, and the commands for them.
func (a *app) showLedger(st control.Story) {
	a.ledgerTable(st.ID, "FAILED", []string{"STAGE", "CODE", "ATTEMPTS", "MESSAGE"}, st.Failures, func(p store.LedgerPage) []string {
		return []string{p.Stage, p.Reason, fmt.Sprint(p.Attempts), cut(p.Message, 60)}
	})
	if len(st.Failures) > 0 {
		a.printf("  to retry them: sluice failed retry %s\n", st.ID)
	}
	a.ledgerTable(st.ID, "REMOVED", []string{"REASON"}, st.Removals, func(p store.LedgerPage) []string { return []string{p.Reason} })
	if st.State == event.StateHeld {
		a.printf("\n")
		a.showHeld(control.HeldRun{Run: st.Run, Pages: st.Held}, ledgerShown)
	}
}

func (a *app) ledgerTable(runID, what string, columns []string, pages []store.LedgerPage, cells func(store.LedgerPage) []string) {
	if len(pages) == 0 {
		return
	}
	rows := [][]string{append([]string{"  " + what, "TITLE"}, columns...)}
	for _, p := range pages[:min(ledgerShown, len(pages))] {
		rows = append(rows, append([]string{"  " + p.PageID, cut(p.Title, 40)}, cells(p)...))
	}
	a.printf("\n")
	a.table(rows)
	if more := len(pages) - ledgerShown; more > 0 {
		a.printf("  … and %d more: sluice status %s -o json\n", more, runID)
	}
}

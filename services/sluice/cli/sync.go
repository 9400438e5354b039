package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
)

func (a *app) sync() *cobra.Command {
	var mode, requestID string
	var wait, approve bool
	cmd := &cobra.Command{
		Use:   "sync SOURCE",
		Short: "Request a sync of a source",
		Long: `Request a sync of a source from the running stages. The request is stored and then published on
sluice.v1.sync.requested.SOURCE; if NATS is down, it is published when NATS is back.

incremental gets the changes from the search index; full compares every page of the space,
and also finds moves and removals. The first sync of a source is always full.`,
		Example: "  sluice sync docs --wait\n  sluice sync docs --mode full --wait\n  sluice sync docs --wait --output json | jq .counts",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			r := control.SyncRequest{SourceID: argv[0], Mode: event.Mode(mode), ApproveRemovals: approve, RunID: requestID}
			if err := r.Check(); err != nil {
				return reword(err)
			}
			return a.withBroker(cmd.Context(), func(s *session) error {
				if err := a.refuseDemo(cmd.Context(), s, argv[0]); err != nil {
					return err
				}
				asked, err := s.Sync(cmd.Context(), operator, r)
				if err != nil {
					return err
				}
				return a.showAsked(cmd.Context(), s, asked, wait)
			})
		},
	}
	cmd.Flags().StringVar(&mode, "mode", string(event.Incremental), "incremental or full")
	cmd.Flags().BoolVar(&wait, "wait", false, "follow the sync until it ends")
	cmd.Flags().StringVar(&requestID, "request-id", "", "`id` of the request and its run (default: a new one)")
	cmd.Flags().BoolVar(&approve, "approve-removals", false, "let this sync remove more pages than the limit allows")
	return cmd
}

// refuseDemo returns an error for the source of a demo that has stopped: its sync would fail for want of a token, which
// is not what is missing.
func (a *app) refuseDemo(ctx context.Context, s *session, id string) error {
	if id != control.DemoSource {
		return nil
	}
	src, err := s.Source(ctx, operator, id)
	if err != nil {
		return err
	}
	if demo, runs := control.OfDemo(ctx, s.store, src); demo && !runs {
		return fmt.Errorf("source %[1]s cannot be synced: %[2]s; to remove it: sluice source remove %[1]s", id, control.LeftByDemo)
	}
	return nil
}

// showAsked shows the state of a requested run, and with wait follows the run until it ends.
func (a *app) showAsked(ctx context.Context, s *session, asked control.Asked, wait bool) error {
	run := asked.Run
	a.noticeUnsent(asked)
	if wait {
		if asked.WaitsFor != "" {
			a.notice(fmt.Sprintf("Run %s waits for run %s to end.", run.ID, asked.WaitsFor))
		}
		last, err := a.follow(ctx, s, run)
		if err != nil {
			return err
		}
		if a.json() {
			err = a.printJSON(last)
		} else {
			a.printf("%s\n", summary(last))
		}
		return cmp.Or(err, exitError(last))
	}
	switch {
	case a.json():
		return a.printJSON(requested{RunID: run.ID, Subject: s.progressSubject(run), WaitsFor: asked.WaitsFor, Joined: asked.Joined, Sent: asked.Unsent == nil})
	case run.State.Final() && run.ApprovesRun != "":
		a.printf("What run %s held back was removed %s by run %s.\n", run.ApprovesRun, ago(run.FinishedAt), run.ID)
	case run.State.Final():
		a.printf("Run %s of %s ended %s: %s. Show it: sluice status %s\n", run.ID, run.SourceID, ago(run.FinishedAt), words(run.State), run.ID)
	case asked.Joined:
		a.printf("Run %s of %s waits already and does the same. Follow it: %s\n", run.ID, run.SourceID, a.named(following(run.ID)))
	case asked.WaitsFor != "":
		a.printf("Run %s of %s is requested and waits for run %s to end. Follow it: %s\n", run.ID, run.SourceID, asked.WaitsFor, a.named(following(run.ID)))
	case run.State != event.StateRequested:
		a.printf("Run %s of %s is already active: %s. Follow it: %s\n", run.ID, run.SourceID, words(run.State), a.named(following(run.ID)))
	default:
		a.printf("Run %s of %s is requested. Follow it: %s\n", run.ID, run.SourceID, a.named(following(run.ID)))
	}
	return nil
}

// following returns the command that follows a run.
func following(runID string) string { return "sluice status " + runID + " --follow" }

// progressSubject returns the subject that a run's progress is published on.
func (s *session) progressSubject(run store.Run) string {
	return bus.Prefix(s.cfg.NatsPrefix).Subject(event.ProgressSubject(run.SourceID, run.ID))
}

// requested is the JSON output of a requested run.
type requested struct {
	RunID   string `json:"run_id"`
	Subject string `json:"progress_subject"`
	// WaitsFor is the run that must end first.
	WaitsFor string `json:"waits_for,omitempty"`
	// Joined says that the run was requested before.
	Joined bool `json:"joined,omitempty"`
	Sent   bool `json:"sent"` // false while the broker is unavailable; the request is in the ledger
}

// noticeUnsent prints that a request is stored but not yet sent.
func (a *app) noticeUnsent(asked control.Asked) {
	if asked.Unsent != nil {
		a.notice(fmt.Sprintf("NATS does not respond: %v. The request is stored: run %s starts a few minutes after NATS is back.", asked.Unsent, asked.Run.ID))
	}
}

// follow shows a run's progress until it ends, and returns its last snapshot.
func (a *app) follow(ctx context.Context, s *session, run store.Run) (event.Progress, error) {
	if run.State.Final() {
		op, err := s.Progress(ctx, operator, run.ID)
		return op.Progress, err
	}
	b, err := s.host.Bus(ctx)
	if err == nil {
		var last event.Progress
		if last, err = a.followBroker(ctx, s, b, run); err == nil && last.State.Final() {
			return last, nil
		}
	}
	if ctx.Err() != nil { // after Ctrl-C, errors are of no interest
		a.notice(fmt.Sprintf("Stopped following; run %s continues: %s", run.ID, a.named(following(run.ID))))
	}
	return event.Progress{}, cmp.Or(err, ctx.Err(), fmt.Errorf("lost track of the run; it continues: %s", a.named(following(run.ID))))
}

// followBroker shows the run's progress from the broker, and returns its last snapshot.
func (a *app) followBroker(ctx context.Context, s *session, b *bus.Bus, run store.Run) (last event.Progress, err error) {
	show := a.progressView()
	defer show.close()
	watching, stop := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	defer watcher.Wait()
	defer stop()
	watcher.Go(func() { a.watchPauses(watching, show, s.Reader, run.SourceID) })
	for p, err := range b.FollowProgress(ctx, run.SourceID, run.ID) {
		if err != nil {
			return last, err
		}
		last = p
		show.update(p)
	}
	return last, nil
}

// summary returns one sentence about how a run ended.
func summary(p event.Progress) string {
	took := ""
	if !p.StartedAt.IsZero() && !p.FinishedAt.IsZero() {
		took = " in " + p.FinishedAt.Sub(p.StartedAt).Round(10*time.Millisecond).String()
	}
	text := fmt.Sprintf("%s: %s%s: %s", p.SourceID, words(p.State), took, tally(p.Counts))
	if p.Message != "" {
		text += "\n" + p.Message
	}
	return text
}

// tally returns the number of a run's pages and the counts that are not zero. The pages are those that the site listed
// and those that are gone from it.
func tally(c event.Counts) string {
	pages := plural(c.Listed, "page", "pages")
	if some := outcomes(c); some != "" {
		return pages + ": " + some
	}
	return pages
}

// outcomes are the counts that are not zero.
func outcomes(c event.Counts) string {
	var parts []string
	for _, one := range []struct {
		n    int
		what string
	}{{c.Created, "created"}, {c.Updated, "updated"}, {c.Unchanged, "unchanged"}, {c.Removed, "removed"}, {c.Skipped, "skipped"}, {c.Failed, "failed"}} {
		if one.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", one.n, one.what))
		}
	}
	return strings.Join(parts, ", ")
}

// exitError converts a run's final state to the exit code.
func exitError(p event.Progress) error {
	switch p.State {
	case event.StateCompleted:
		return nil
	case event.StateCompletedWithFailures:
		return exit{exitFailures}
	case event.StateHeld:
		return exit{exitHeld}
	default:
		return exit{exitFailed}
	}
}

package cli

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
)

func (a *app) sync() *cobra.Command {
	var mode, requestID string
	var wait, approve bool
	cmd := &cobra.Command{
		Use:   "sync SOURCE",
		Short: "Ask for a sync of a source",
		Long: `Ask the running stages for a sync of a source. It publishes one message on
sluice.v1.sync.requested.SOURCE, which any other NATS client may do as well.

incremental asks the search index what has changed; full compares every page of the
space, and finds moves and removals too. The first sync of a source is always full.`,
		Example: "  sluice sync docs --wait\n  sluice sync docs --mode full --wait\n  sluice sync docs --wait --output json | jq .counts",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			req := event.SyncRequested{RequestID: requestID, Mode: event.Mode(mode), ApproveRemovals: approve, SourceID: argv[0]}
			if req.RequestID == "" {
				req.RequestID = newRequestID()
			}
			if !event.ValidID(req.RequestID) {
				return usageError{fmt.Errorf("--request-id %q is not 1 to 64 letters, digits, '-' or '_'", requestID)}
			}
			if req.Mode != event.Incremental && req.Mode != event.Full {
				return usageError{fmt.Errorf("--mode is incremental or full, not %q", mode)}
			}
			err := a.withStore(cmd.Context(), func(s *store.Store) error {
				_, err := s.Source(cmd.Context(), req.SourceID)
				if err != nil {
					return a.noSource(cmd.Context(), s, req.SourceID, err)
				}
				return nil
			})
			if err != nil {
				return err
			}
			return a.withBus(cmd.Context(), func(b *bus.Bus) error { return a.request(cmd.Context(), b, req, wait) })
		},
	}
	cmd.Flags().StringVar(&mode, "mode", string(event.Incremental), "incremental or full")
	cmd.Flags().BoolVar(&wait, "wait", false, "follow the sync to its end")
	cmd.Flags().StringVar(&requestID, "request-id", "", "`id` of the request and its run (default a new one)")
	cmd.Flags().BoolVar(&approve, "approve-removals", false, "let this sync remove more pages than the brake permits")
	return cmd
}

// newRequestID is short enough to read out and unlikely enough to be new.
func newRequestID() string {
	return time.Now().UTC().Format("20060102-150405") + "-" + strings.ToLower(rand.Text()[:6])
}

func (a *app) request(ctx context.Context, b *bus.Bus, req event.SyncRequested, wait bool) error {
	if err := b.Publish(ctx, req); err != nil {
		return err
	}
	if !wait {
		if a.json() {
			return a.printJSON(map[string]string{"run_id": req.RequestID, "progress_subject": event.ProgressSubject(req.SourceID, req.RequestID)})
		}
		a.printf("Run %s of %s is asked for. Follow it: sluice status %s\n", req.RequestID, req.SourceID, req.RequestID)
		return nil
	}
	last, err := a.follow(ctx, b, req.SourceID, req.RequestID)
	if err != nil {
		return err
	}
	if a.json() {
		if err := a.printJSON(last); err != nil {
			return err
		}
	} else {
		a.printf("%s\n", summary(last))
	}
	return ending(last)
}

// follow shows a run's progress until it ends, and returns its last snapshot.
func (a *app) follow(ctx context.Context, b *bus.Bus, sourceID, runID string) (event.Progress, error) {
	show := a.progressView()
	defer show.close()
	var last event.Progress
	for p, err := range b.FollowProgress(ctx, sourceID, runID) {
		if err != nil {
			return last, err
		}
		last = p
		show.update(p)
	}
	if !last.State.Final() {
		return last, fmt.Errorf("stopped following; the sync goes on: sluice status %s", runID)
	}
	return last, nil
}

// summary is one sentence about how a run ended.
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

// tally names the counts that are not zero.
func tally(c event.Counts) string {
	parts := []string{plural(c.Listed, "page listed", "pages listed")}
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

// ending turns a run's last state into the program's exit code.
func ending(p event.Progress) error {
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

package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// operation is how far a sync is, in the shape in which Archon tells of any operation: what
// it calls each thing first, and what is ours after it.
type operation struct {
	ProgressID string     `json:"progress_id" doc:"the run's id"`
	Type       string     `json:"type" enum:"confluence_sync"`
	StartTime  time.Time  `json:"start_time"`
	Status     string     `json:"status" enum:"initializing,starting,processing,finalizing,completed,failed,cancelled"`
	Progress   int        `json:"progress" minimum:"0" maximum:"100" doc:"never goes back"`
	Log        string     `json:"log" doc:"where it is, for people"`
	Logs       []logEntry `json:"logs" nullable:"false" doc:"how it came there"`

	SourceID   string       `json:"source_id"`
	State      event.State  `json:"state" doc:"where the run stands, in Sluice's own words"`
	Mode       event.Mode   `json:"mode"`
	Counts     event.Counts `json:"counts"`
	Code       failure.Code `json:"code,omitempty" doc:"why it failed or was held"`
	FinishedAt time.Time    `json:"finished_at,omitzero"`
}

// logEntry is one line of how a run came to where it is.
type logEntry struct {
	Timestamp time.Time `json:"timestamp"`
	Log       string    `json:"log"`
}

// statuses are Archon's words for the states of a run. A held run has done all but the
// removals, which wait for a person: its state says so.
var statuses = map[event.State]string{
	event.StateRequested:             "initializing",
	event.StateListing:               "starting",
	event.StateFetching:              "processing",
	event.StateFinishing:             "finalizing",
	event.StateCompleted:             "completed",
	event.StateCompletedWithFailures: "completed",
	event.StateHeld:                  "completed",
	event.StateFailed:                "failed",
	event.StateCancelled:             "cancelled",
}

// operationOf puts a run and its newest snapshot together.
func operationOf(run store.Run, p event.Progress) operation {
	op := operation{
		ProgressID: p.RunID, Type: "confluence_sync", StartTime: run.RequestedAt, Status: statuses[p.State], Progress: p.Percent,
		Log: sentence(p), SourceID: p.SourceID, State: p.State, Mode: p.Mode, Counts: p.Counts, Code: p.Code, FinishedAt: p.FinishedAt,
	}
	for _, one := range []struct {
		at   time.Time
		text string
	}{
		{run.RequestedAt, fmt.Sprintf("%s sync of %s asked for", run.RequestedMode, run.SourceID)},
		{run.StartedAt, "listing the pages"},
		{run.ListingDone, fmt.Sprintf("%d pages listed", run.Listed)},
		{run.RemovalsChecked, "removals checked"},
		{p.FinishedAt, sentence(p)},
	} {
		if !one.at.IsZero() {
			op.Logs = append(op.Logs, logEntry{Timestamp: one.at, Log: one.text})
		}
	}
	return op
}

// sentence says where a run is.
func sentence(p event.Progress) string {
	c := p.Counts
	ended := c.Listed - c.Pending
	tally := fmt.Sprintf("%d created, %d updated, %d unchanged, %d removed, %d skipped, %d failed", c.Created, c.Updated, c.Unchanged, c.Removed, c.Skipped, c.Failed)
	switch p.State {
	case event.StateRequested:
		return "waits for its turn"
	case event.StateListing:
		return "listing the pages"
	case event.StateFetching:
		return fmt.Sprintf("%d of %d pages done", ended, c.Listed)
	case event.StateFinishing:
		return "checking removals"
	case event.StateCompleted:
		return "completed: " + tally
	case event.StateCompletedWithFailures:
		return "completed with failures: " + tally
	case event.StateHeld:
		return "completed but for its removals, which wait for a decision: " + p.Message
	case event.StateCancelled:
		return "cancelled: " + tally
	default:
		return "failed: " + p.Message
	}
}

// operations lists the runs under way that v sees, the oldest first.
func (g *Gateway) operations(ctx context.Context, v viewer.Viewer) ([]operation, error) {
	runs, err := g.store.Reader().OpenRuns(ctx, v)
	if err != nil {
		return nil, err
	}
	ops := []operation{}
	for _, run := range runs {
		snap, err := g.store.Reader().Snapshot(ctx, v, run.ID)
		if errors.Is(err, store.ErrNotFound) {
			continue // its source was removed just now
		}
		if err != nil {
			return nil, err
		}
		if !snap.State.Final() {
			ops = append(ops, operationOf(run, snap))
		}
	}
	return ops, nil
}

type activeOutput struct {
	Body struct {
		Operations []operation `json:"operations" nullable:"false"`
		Count      int         `json:"count"`
	}
}

func (g *Gateway) active(ctx context.Context, _ *struct{}) (*activeOutput, error) {
	ops, err := g.operations(ctx, viewing(ctx))
	out := &activeOutput{}
	out.Body.Operations, out.Body.Count = ops, len(ops)
	return out, err
}

// ProgressInput is the part of a path that names a run.
type ProgressInput struct {
	OperationID string `path:"operation_id" maxLength:"64" doc:"the run's id"`
}

type progressOutput struct{ Body operation }

func (g *Gateway) progress(ctx context.Context, in *ProgressInput) (*progressOutput, error) {
	run, snap, err := g.snapshot(ctx, in.OperationID)
	if err != nil {
		return nil, err
	}
	return &progressOutput{Body: operationOf(run, snap)}, nil
}

// snapshot reads a run that the caller may see, and how far it is.
func (g *Gateway) snapshot(ctx context.Context, id string) (store.Run, event.Progress, error) {
	if err := validRun(id); err != nil {
		return store.Run{}, event.Progress{}, err
	}
	snap, err := g.store.Reader().Snapshot(ctx, viewing(ctx), id)
	if errors.Is(err, store.ErrNotFound) {
		return store.Run{}, snap, noRun(id)
	}
	if err != nil {
		return store.Run{}, snap, err
	}
	run, err := g.store.Reader().Run(ctx, viewing(ctx), id)
	if errors.Is(err, store.ErrNotFound) {
		err = noRun(id)
	}
	return run, snap, err
}

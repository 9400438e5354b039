package gateway

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
)

// operation is the progress of a sync in the three shapes that Archon uses: one for a single operation, one for the
// list of active ones, and the one that Archon stores. It contains the fields of all three, and then Sluice's own.
type operation struct {
	ProgressID string   `json:"progressId" doc:"the run's id"`
	Status     string   `json:"status" enum:"initializing,starting,processing,finalization,completed,failed,cancelled"`
	Progress   int      `json:"progress" minimum:"0" maximum:"100" doc:"never decreases"`
	Message    string   `json:"message" doc:"the current step, for people"`
	Error      string   `json:"error,omitempty" doc:"why it failed, for people"`
	Logs       []string `json:"logs" nullable:"false" doc:"the steps so far"`

	OperationID   string    `json:"operation_id" doc:"the run's id"`
	OperationType string    `json:"operation_type" enum:"confluence_sync"`
	StartedAt     time.Time `json:"started_at"`

	KeptID    string    `json:"progress_id" doc:"the run's id"`
	Type      string    `json:"type" enum:"confluence_sync"`
	StartTime time.Time `json:"start_time"`
	Log       string    `json:"log" doc:"same as message"`

	Steps      []logEntry   `json:"steps" nullable:"false" doc:"same as logs, with the time of each"`
	SourceID   string       `json:"source_id"`
	State      event.State  `json:"state" doc:"the run's state as Sluice names it"`
	Mode       event.Mode   `json:"mode"`
	Counts     event.Counts `json:"counts"`
	Code       failure.Code `json:"code,omitempty" doc:"why it failed or was held"`
	FinishedAt time.Time    `json:"finished_at,omitzero"`
}

// logEntry is one step of a run.
type logEntry struct {
	Timestamp time.Time `json:"timestamp"`
	Log       string    `json:"log"`
}

// statuses maps a run's states to Archon's. A held run has completed all but its removals, which wait for a person's
// decision; its state shows that.
var statuses = map[event.State]string{
	event.StateRequested:             "initializing",
	event.StateListing:               "starting",
	event.StateFetching:              "processing",
	event.StateFinishing:             "finalization",
	event.StateCompleted:             "completed",
	event.StateCompletedWithFailures: "completed",
	event.StateHeld:                  "completed",
	event.StateFailed:                "failed",
	event.StateCancelled:             "cancelled",
}

// operationOf combines a run and its newest snapshot.
func operationOf(of control.Operation) operation {
	run, p := of.Run, of.Progress
	const kind = "confluence_sync"
	op := operation{
		ProgressID: p.RunID, OperationID: p.RunID, KeptID: p.RunID, OperationType: kind, Type: kind,
		StartedAt: run.RequestedAt, StartTime: run.RequestedAt, Status: statuses[p.State], Progress: p.Percent,
		Message: sentence(p), Log: sentence(p), SourceID: p.SourceID, State: p.State, Mode: p.Mode, Counts: p.Counts, Code: p.Code, FinishedAt: p.FinishedAt,
	}
	for _, one := range []struct {
		at   time.Time
		text string
	}{
		{run.RequestedAt, fmt.Sprintf("%s sync of %s requested", run.RequestedMode, run.SourceID)},
		{run.StartedAt, "listing the pages"},
		{run.ListingDone, fmt.Sprintf("%d pages listed", run.Listed)},
		{run.RemovalsChecked, "removals checked"},
		{p.FinishedAt, sentence(p)},
	} {
		if !one.at.IsZero() {
			op.Logs = append(op.Logs, one.text)
			op.Steps = append(op.Steps, logEntry{Timestamp: one.at, Log: one.text})
		}
	}
	if p.State == event.StateFailed {
		op.Error = p.Message
	}
	return op
}

// sentence describes the current step of a run.
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
		return "completed, except removals that wait for a decision: " + p.Message
	case event.StateCancelled:
		return "cancelled: " + tally
	default:
		return "failed: " + p.Message
	}
}

type activeInput struct {
	Window
	Limit int `query:"limit" minimum:"1" maximum:"500" default:"50"`
}

type activeOutput struct {
	Body struct {
		Operations []operation `json:"operations" nullable:"false"`
		Count      int         `json:"count" doc:"number of operations in this response"`
		Timestamp  time.Time   `json:"timestamp" doc:"the time of this response"`
		Next       string      `json:"next,omitempty" doc:"cursor of the next part; missing in the last one"`
	}
}

func (g *Gateway) active(ctx context.Context, in *activeInput) (*activeOutput, error) {
	w, err := in.walk(in.Limit)
	if err != nil {
		return nil, err
	}
	ops, err := g.control.Active(ctx, viewerOf(ctx), w.part("operations"))
	if err != nil {
		return nil, err
	}
	ops = show(w, "operations", ops)
	out := &activeOutput{}
	out.Body.Operations, out.Body.Count = operations(ops), len(ops)
	out.Body.Timestamp = time.Now().UTC()
	out.Body.Next, err = w.cursor()
	return out, err
}

// ProgressInput is the part of a path with a run's id.
type ProgressInput struct {
	OperationID string `path:"operation_id" maxLength:"64" doc:"the run's id"`
}

type progressOutput struct{ Body operation }

func (g *Gateway) progress(ctx context.Context, in *ProgressInput) (*progressOutput, error) {
	op, err := g.control.Progress(ctx, viewerOf(ctx), in.OperationID)
	if err != nil {
		return nil, err
	}
	return &progressOutput{Body: operationOf(op)}, nil
}

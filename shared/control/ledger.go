package control

import (
	"context"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
)

// Recorded is the run of a request, as far as it does not depend on who asks: no answer can contain it.
type Recorded struct {
	ID      string
	Ended   bool
	Waits   bool                // it waits for its turn
	Request event.SyncRequested // that made the run
}

func recorded(run store.Run) Recorded {
	return Recorded{ID: run.ID, Ended: run.State.Final(), Waits: run.State == event.StateRequested, Request: event.SyncRequested{
		RequestID: run.ID, SourceID: run.SourceID, Mode: run.RequestedMode, ApproveRemovals: run.ApproveRemovals, ApprovesRun: run.ApprovesRun, OnlyPages: run.OnlyPages,
	}}
}

// ledger is the store's ledger without its runs.
type ledger struct{ *store.Store }

func (l ledger) RequestRun(ctx context.Context, req event.SyncRequested) (Recorded, error) {
	run, err := l.Store.RequestRun(ctx, req)
	return recorded(run), err
}

func (l ledger) JoinRun(ctx context.Context, req event.SyncRequested) (Recorded, bool, error) {
	run, joined, err := l.Store.JoinRun(ctx, req)
	return recorded(run), joined, err
}

func (l ledger) CancelRun(ctx context.Context, id string) error {
	_, err := l.Store.CancelRun(ctx, id)
	return err
}

func (l ledger) LiftPause(ctx context.Context, sourceID string) (store.Pause, []event.SyncRequested, error) {
	pause, runs, err := l.Store.LiftPause(ctx, sourceID)
	again := make([]event.SyncRequested, len(runs))
	for i, run := range runs {
		again[i] = run.Again()
	}
	return pause, again, err
}

func (l ledger) Decide(ctx context.Context, runID string, d store.Decision) error {
	_, err := l.Store.Decide(ctx, runID, d)
	return err
}

package control

import (
	"context"
	"errors"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// HeldRun is a held run with the pages that it would have removed.
type HeldRun struct {
	store.Run
	Pages []store.Removal `json:"pages"`
}

// Removals lists the removed pages and the held runs.
type Removals struct {
	Held    []HeldRun           `json:"held"`    // runs that wait for a decision; a run that was named is listed also after its decision
	Removed []store.RemovedPage `json:"removed"` // the newest first
}

// Removals lists removed pages, and all held runs. Each of sourceID and runID filters both lists if it
// is not empty. It returns an *UnknownSourceError or an *UnknownRunError.
func (c *Control) Removals(ctx context.Context, v viewer.Viewer, sourceID, runID string, p store.Part) (Removals, error) {
	list := Removals{Held: []HeldRun{}}
	v, err := c.narrow(ctx, v, sourceID, runID)
	if err != nil {
		return list, err
	}
	var runs []store.Run
	if runID == "" {
		runs, err = c.Reader.HeldRuns(ctx, v, sourceID)
	} else {
		var run store.Run
		if run, err = c.visibleRun(ctx, v, runID); run.State == event.StateHeld {
			runs = append(runs, run)
		}
	}
	if err != nil {
		return list, err
	}
	for _, run := range runs {
		pages, err := c.Reader.HeldRemovals(ctx, v, run.ID)
		if err != nil {
			return list, err
		}
		list.Held = append(list.Held, HeldRun{Run: run, Pages: orEmpty(pages)})
	}
	removed, err := c.Reader.RemovedPages(ctx, v, sourceID, runID, p)
	list.Removed = orEmpty(removed)
	return list, err
}

// Approve approves the removals of a held run and requests the run that carries them out: a full run, which checks
// each page again. Approving twice is one request, unless the first one's run did not complete; then the same key
// means the same run. It returns an *UnknownRunError or a *NotHeldError.
func (c *Control) Approve(ctx context.Context, v viewer.Viewer, id, key string) (Asked, error) {
	held, err := c.decide(ctx, v, id, store.Approved)
	if err != nil {
		return Asked{}, err
	}
	req := event.SyncRequested{RequestID: "approve-" + held.ID, Mode: event.Full, ApprovesRun: held.ID, SourceID: held.SourceID}
	if !event.ValidID(req.RequestID) {
		req.RequestID = runID("approve", held.SourceID, held.ID)
	}
	there, err := c.Reader.Run(ctx, v, req.RequestID)
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return Asked{}, err
	case there.ApprovesRun != held.ID || there.State.Final() && !completed(there.State):
		// The same key must neither name the run that did not complete, nor a new run each time.
		req.RequestID = runID("approve again", held.SourceID, key)
	}
	return c.request(ctx, v, req, true, false)
}

func completed(s event.State) bool {
	return s == event.StateCompleted || s == event.StateCompletedWithFailures
}

// Reject keeps the pages that a held run would have removed. It counts as a check for removals. It returns an
// *UnknownRunError or a *NotHeldError.
func (c *Control) Reject(ctx context.Context, v viewer.Viewer, id string) (store.Run, error) {
	return c.decide(ctx, v, id, store.Rejected)
}

func (c *Control) decide(ctx context.Context, v viewer.Viewer, id string, d store.Decision) (store.Run, error) {
	if _, err := c.visibleRun(ctx, v, id); err != nil {
		return store.Run{}, err
	}
	run, err := c.Ledger.Decide(ctx, id, d)
	if errors.Is(err, store.ErrNotHeld) {
		return run, &NotHeldError{Run: run}
	}
	return run, unknownRun(id, err)
}

// orEmpty turns a nil list into an empty one, which JSON shows as [] rather than null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

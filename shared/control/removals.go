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
	Pages []store.Removal `json:"pages"` // that the viewer may see, or a part of them
	Seen  int             `json:"-"`     // how many the viewer may see
	All   int             `json:"-"`     // how many pages it would have removed; for who does not oversee it, as many as they may see
}

// Removals lists the removed pages and the held runs.
type Removals struct {
	Held    []HeldRun           `json:"held"`    // runs that wait for a decision; a run that was named is listed also after its decision
	Removed []store.RemovedPage `json:"removed"` // the newest first
}

// Removals lists a part of the removed pages, and all held runs, each with a part of its pages. Each of sourceID and runID
// filters both lists if it is not empty. It returns an *UnknownSourceError or an *UnknownRunError.
func (c *Control) Removals(ctx context.Context, v viewer.Viewer, sourceID, runID string, ofHeld, removed store.Part) (Removals, error) {
	list := Removals{Held: []HeldRun{}}
	only := v
	if sourceID != "" {
		only = v.Only(sourceID)
	}
	var runs []store.Run
	var pages map[string]store.HeldPages
	err := c.Reader.Together(ctx, v, func(ctx context.Context) error {
		if sourceID == "" {
			return nil
		}
		_, err := c.visibleSource(ctx, v, sourceID)
		return err
	}, func(ctx context.Context) (err error) {
		if runID == "" {
			runs, err = c.Reader.HeldRuns(ctx, only, sourceID)
			return err
		}
		run, err := c.visibleRun(ctx, only, runID)
		if run.State == event.StateHeld {
			runs = append(runs, run)
		}
		return err
	}, func(ctx context.Context) (err error) {
		pages, err = c.Reader.HeldPages(ctx, only, sourceID, runID, ofHeld)
		return err
	}, func(ctx context.Context) (err error) {
		list.Removed, err = c.Reader.RemovedPages(ctx, only, sourceID, runID, removed)
		return err
	})
	list.Removed = orEmpty(list.Removed)
	if err != nil {
		return Removals{Held: list.Held, Removed: []store.RemovedPage{}}, err
	}
	for _, run := range runs {
		of := pages[run.ID]
		list.Held = append(list.Held, HeldRun{Run: run, Pages: orEmpty(of.Pages), Seen: of.Seen, All: of.All})
	}
	return list, nil
}

// Approve approves the removals of a held run and requests the run that carries them out: a full run, which checks
// each page again. Approving twice is one request, unless the first one's run did not complete; then the same key
// means the same run. It returns an *UnknownRunError or a *NotHeldError.
func (c *Control) Approve(ctx context.Context, v viewer.Viewer, id, key string) (Asked, error) {
	held, err := c.decide(ctx, v, id, store.Approved)
	if err != nil {
		return Asked{}, err
	}
	// The id says nothing: readers who may not know that something was held see the run in lists.
	req := event.SyncRequested{Mode: event.Full, ApprovesRun: held.ID, SourceID: held.SourceID}
	if req.RequestID, err = c.runID(ctx, "approve", held.SourceID, held.ID); err != nil {
		return Asked{}, err
	}
	there, err := c.Reader.Run(ctx, v, req.RequestID)
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return Asked{}, err
	case there.ApprovesRun != held.ID || there.State.Final() && !completed(there.State):
		// The same key must neither name the run that did not complete, nor a new run each time.
		if req.RequestID, err = c.runID(ctx, "approve again", held.SourceID, key); err != nil {
			return Asked{}, err
		}
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
	run, err := c.visibleRun(ctx, v, id)
	if err != nil {
		return store.Run{}, err
	}
	if !v.Oversees() && run.State != event.StateHeld { // nobody decides on pages that they may not know of
		return run, &NotHeldError{Run: run}
	}
	decided := c.Ledger.Decide(ctx, id, d)
	if decided != nil && !errors.Is(decided, store.ErrNotHeld) {
		return store.Run{}, unknownRun(id, decided)
	}
	if run, err = c.visibleRun(ctx, v, id); err == nil && decided != nil {
		err = &NotHeldError{Run: run}
	}
	return run, err
}

// orEmpty turns a nil list into an empty one, which JSON shows as [] rather than null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

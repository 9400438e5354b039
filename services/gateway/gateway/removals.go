package gateway

import (
	"context"
	"errors"
	"net/http"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
)

type listRemovalsInput struct {
	SourcePath
	Run   string `query:"run" maxLength:"64" doc:"only what this run removed or held back"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"the most pages, of those removed and of each held run"`
}

// heldRun is a held run with pages that it would have removed.
type heldRun struct {
	Run   store.Run       `json:"run"`
	Count int             `json:"count" doc:"how many pages it would have removed"`
	Pages []store.Removal `json:"pages" nullable:"false"`
}

type removals struct {
	Held    []heldRun           `json:"held" nullable:"false" doc:"runs that wait for a decision; the run that is asked for also when it was decided on"`
	Removed []store.RemovedPage `json:"removed" nullable:"false" doc:"what left, the newest first"`
}

type listRemovalsOutput struct{ Body removals }

func (g *Gateway) listRemovals(ctx context.Context, in *listRemovalsInput) (*listRemovalsOutput, error) {
	if err := g.known(ctx, in.SourceID); err != nil {
		return nil, err
	}
	out := &listRemovalsOutput{Body: removals{Held: []heldRun{}}}
	var runs []store.Run
	if in.Run == "" {
		var err error
		if runs, err = g.store.Reader().HeldRuns(ctx, viewing(ctx), in.SourceID); err != nil {
			return nil, err
		}
	} else {
		run, err := g.runOf(ctx, in.SourceID, in.Run)
		if err != nil {
			return nil, err
		}
		if run.State == event.StateHeld {
			runs = append(runs, run)
		}
	}
	for _, run := range runs {
		pages, err := g.store.Reader().HeldRemovals(ctx, viewing(ctx), run.ID)
		if err != nil {
			return nil, err
		}
		out.Body.Held = append(out.Body.Held, heldRun{Run: run, Count: len(pages), Pages: orEmpty(pages[:min(len(pages), in.Limit)])})
	}
	removed, err := g.store.Reader().RemovedPages(ctx, viewing(ctx), in.SourceID, in.Run, in.Limit)
	out.Body.Removed = orEmpty(removed)
	return out, err
}

// runOf reads a run of the source.
func (g *Gateway) runOf(ctx context.Context, sourceID, id string) (store.Run, error) {
	if err := validRun(id); err != nil {
		return store.Run{}, err
	}
	run, err := g.store.Reader().Run(ctx, viewing(ctx), id)
	if errors.Is(err, store.ErrNotFound) || err == nil && run.SourceID != sourceID {
		return run, noRun(id)
	}
	return run, err
}

type decideInput struct {
	SourcePath
	Idempotent
	Run string `path:"run" maxLength:"64" doc:"the run that holds removals back"`
}

func (g *Gateway) decide(ctx context.Context, in *decideInput, d store.Decision) (store.Run, error) {
	if _, err := g.runOf(ctx, in.SourceID, in.Run); err != nil {
		return store.Run{}, err
	}
	run, err := g.store.Decide(ctx, in.Run, d)
	if errors.Is(err, store.ErrNotHeld) {
		why := "the run holds nothing back: it is " + string(run.State)
		if run.State == event.StateHeld {
			why = "the run was " + string(run.Decision) + " already; a full sync looks at the pages again"
		}
		return run, fail(http.StatusConflict, "not_held", why)
	}
	return run, err
}

// approve asks for the run that carries out what was held back. Approving twice is one
// request, unless the first has come to nothing.
func (g *Gateway) approve(ctx context.Context, in *decideInput) (*acceptedOutput, error) {
	held, err := g.decide(ctx, in, store.Approved)
	if err != nil {
		return nil, err
	}
	req := event.SyncRequested{RequestID: "approve-" + held.ID, Mode: event.Full, ApprovesRun: held.ID, SourceID: held.SourceID}
	if !event.ValidID(req.RequestID) {
		req.RequestID = runID("approve", held.SourceID, held.ID)
	}
	there, err := g.store.Run(ctx, req.RequestID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return g.request(ctx, req)
	case err != nil:
		return nil, err
	case there.ApprovesRun == held.ID && (!there.State.Final() || done(there.State)):
		return acceptedRun(there), nil
	}
	// The same key must not be the run that came to nothing, nor a new one each time.
	req.RequestID = runID("approve again", held.SourceID, in.Key)
	return g.request(ctx, req)
}

func done(s event.State) bool {
	return s == event.StateCompleted || s == event.StateCompletedWithFailures
}

type rejectOutput struct{ Body store.Run }

func (g *Gateway) reject(ctx context.Context, in *decideInput) (*rejectOutput, error) {
	run, err := g.decide(ctx, in, store.Rejected)
	if err != nil {
		return nil, err
	}
	return &rejectOutput{Body: run}, nil
}

package gateway

import (
	"context"
	"errors"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
)

// Idempotent is the header by which a client marks repeated requests as the same.
type Idempotent struct {
	Key string `header:"Idempotency-Key" maxLength:"255" doc:"requests with the same key are one sync" example:"nightly-2026-01-31"`
}

// accepted is the response to a request for a sync.
type accepted struct {
	OperationID string      `json:"operation_id" doc:"the run's id" example:"20260131-020000-k3x9qd"`
	SourceID    string      `json:"source_id"`
	State       event.State `json:"state"`
	Progress    string      `json:"progress_url" doc:"the URL of the run's progress"`
	Events      string      `json:"events_url" doc:"the URL of the run's event stream"`
	Joined      bool        `json:"joined,omitempty" doc:"the run was requested before, still waits and does the same"`
}

type acceptedOutput struct {
	Location string `header:"Location" doc:"the URL of the run's progress"`
	Body     accepted
}

// accept returns the response to a request for a run.
func (g *Gateway) accept(ctx context.Context, asked control.Asked) *acceptedOutput {
	run := asked.Run
	if asked.Unsent != nil {
		g.log.Warn().Err(asked.Unsent).Str("run", run.ID).Str("request_id", requestID(ctx)).Msg("the broker did not accept the request; it will be sent again from the ledger")
	}
	at := "/api/progress/" + run.ID
	return &acceptedOutput{Location: at, Body: accepted{
		OperationID: run.ID, SourceID: run.SourceID, State: run.State, Progress: at, Events: at + "/events", Joined: asked.Joined,
	}}
}

type syncInput struct {
	SourcePath
	Idempotent
	Body *struct {
		Mode            event.Mode `json:"mode,omitempty" enum:"incremental,full" default:"incremental" doc:"the first sync of a source is always full"`
		ApproveRemovals bool       `json:"approve_removals,omitempty" doc:"let this sync remove more pages than the limit allows"`
	}
}

func (g *Gateway) sync(ctx context.Context, in *syncInput) (*acceptedOutput, error) {
	req := control.SyncRequest{SourceID: in.SourceID, Key: in.Key}
	if in.Body != nil {
		req.Mode, req.ApproveRemovals = in.Body.Mode, in.Body.ApproveRemovals
	}
	asked, err := g.control.Sync(ctx, viewerOf(ctx), req)
	if err != nil {
		return nil, err
	}
	return g.accept(ctx, asked), nil
}

type listRunsInput struct {
	SourcePath
	Window
	Limit int `query:"limit" minimum:"1" maximum:"200" default:"20"`
}

func (g *Gateway) listRuns(ctx context.Context, in *listRunsInput) (*listOutput[store.Run], error) {
	return listOf(in.Window, in.Limit, func(p store.Part) ([]store.Run, error) {
		return g.control.Runs(ctx, viewerOf(ctx), in.SourceID, p)
	})
}

// RunPath is the part of a path with a source's id and a run's id.
type RunPath struct {
	SourcePath
	Run string `path:"run" maxLength:"64" doc:"the run's id"`
}

type getRunInput struct {
	RunPath
	Window
	Limit int `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"maximum number of pages of each kind: failed, removed, held back"`
}

// runReport is the story of a run with a part of each of its lists of pages.
type runReport struct {
	control.Story
	Next string `json:"next,omitempty" doc:"cursor of the next part of failures, removals and held; missing in the last one"`
}

type getRunOutput struct{ Body runReport }

func (g *Gateway) getRun(ctx context.Context, in *getRunInput) (*getRunOutput, error) {
	w, err := in.walk(in.Limit)
	if err != nil {
		return nil, err
	}
	st, err := g.control.Story(ctx, viewerOf(ctx).Only(in.SourceID), in.Run, control.StoryParts{
		Failures: w.part("failures"), Removals: w.part("removals"), Held: w.part("held"),
	})
	if err != nil {
		return nil, err
	}
	st.Failures, st.Removals, st.Held = show(w, "failures", st.Failures), show(w, "removals", st.Removals), show(w, "held", st.Held)
	out := &getRunOutput{Body: runReport{Story: st}}
	out.Body.Next, err = w.cursor()
	return out, err
}

type cancelOutput struct{ Body control.Cancelled }

func (g *Gateway) cancelRun(ctx context.Context, in *RunPath) (*cancelOutput, error) {
	run, err := g.control.Cancel(ctx, viewerOf(ctx).Only(in.SourceID), in.Run)
	return &cancelOutput{Body: run}, err
}

// cancelledRuns are all runs that a request ended, the newest first.
type cancelledRuns struct {
	Items []control.Cancelled `json:"items" nullable:"false"`
}

type cancelAllOutput struct{ Body cancelledRuns }

func (g *Gateway) cancelSource(ctx context.Context, in *SourcePath) (*cancelAllOutput, error) {
	runs, err := g.control.CancelAll(ctx, viewerOf(ctx), in.SourceID)
	return &cancelAllOutput{Body: cancelledRuns{orEmpty(runs)}}, err
}

func (g *Gateway) cancelAll(ctx context.Context, _ *struct{}) (*cancelAllOutput, error) {
	runs, err := g.control.CancelAll(ctx, viewerOf(ctx), "")
	return &cancelAllOutput{Body: cancelledRuns{orEmpty(runs)}}, err
}

type listFailuresInput struct {
	SourcePath
	Window
	Run    string `query:"run" maxLength:"64" doc:"only pages that failed in this run"`
	PageID string `query:"page_id" maxLength:"64" doc:"only this page"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

func (g *Gateway) listFailures(ctx context.Context, in *listFailuresInput) (*listOutput[store.Failure], error) {
	return listOf(in.Window, in.Limit, func(p store.Part) ([]store.Failure, error) {
		failed, err := g.control.Failures(ctx, viewerOf(ctx), in.SourceID, in.Run, in.PageID, p)
		var noRun *control.UnknownRunError
		if errors.As(err, &noRun) { // an unknown run has no failures
			err = nil
		}
		return failed, err
	})
}

type retryInput struct {
	SourcePath
	Idempotent
	Body *struct {
		Pages []string `json:"pages,omitempty" minItems:"1" maxItems:"1000" doc:"ids of failed pages: the sync lists these and no others. Without them, it lists all failed pages and what changed"`
	}
}

func (g *Gateway) retryFailures(ctx context.Context, in *retryInput) (*acceptedOutput, error) {
	req := control.RetryRequest{SourceID: in.SourceID, Key: in.Key}
	if in.Body != nil {
		req.Pages = in.Body.Pages
	}
	runs, err := g.control.Retry(ctx, viewerOf(ctx), req)
	if err != nil {
		return nil, err
	}
	return g.accept(ctx, runs[0].Asked), nil
}

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
	Cursor string `query:"cursor" maxLength:"200" doc:"next of the previous response"`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"20"`
}

type listRunsOutput struct{ Body list[store.Run] }

func (g *Gateway) listRuns(ctx context.Context, in *listRunsInput) (*listRunsOutput, error) {
	before, err := cursorOf(in.Cursor)
	if err != nil {
		return nil, err
	}
	runs, err := g.control.RunsBefore(ctx, viewerOf(ctx), in.SourceID, before, in.Limit+1)
	return &listRunsOutput{Body: part(runs, in.Limit, func(r store.Run) string { return r.ID })}, err
}

// RunPath is the part of a path with a source's id and a run's id.
type RunPath struct {
	SourcePath
	Run string `path:"run" maxLength:"64" doc:"the run's id"`
}

type getRunInput struct {
	RunPath
	Limit int `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"maximum number of pages of each kind: failed, removed, held back"`
}

type getRunOutput struct{ Body control.Story }

func (g *Gateway) getRun(ctx context.Context, in *getRunInput) (*getRunOutput, error) {
	story, err := g.control.Story(ctx, viewerOf(ctx).Only(in.SourceID), in.Run, in.Limit)
	return &getRunOutput{Body: story}, err
}

type cancelOutput struct{ Body control.Cancelled }

func (g *Gateway) cancelRun(ctx context.Context, in *RunPath) (*cancelOutput, error) {
	run, err := g.control.Cancel(ctx, viewerOf(ctx).Only(in.SourceID), in.Run)
	return &cancelOutput{Body: run}, err
}

type cancelAllOutput struct{ Body list[control.Cancelled] }

func (g *Gateway) cancelAll(ctx context.Context, in *SourcePath) (*cancelAllOutput, error) {
	runs, err := g.control.CancelAll(ctx, viewerOf(ctx), in.SourceID)
	return &cancelAllOutput{Body: list[control.Cancelled]{Items: orEmpty(runs)}}, err
}

type listFailuresInput struct {
	SourcePath
	Run    string `query:"run" maxLength:"64" doc:"only pages that failed in this run"`
	PageID string `query:"page_id" maxLength:"64" doc:"only this page"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type listFailuresOutput struct{ Body list[store.Failure] }

func (g *Gateway) listFailures(ctx context.Context, in *listFailuresInput) (*listFailuresOutput, error) {
	failed, err := g.control.Failures(ctx, viewerOf(ctx), in.SourceID, in.Run, in.PageID, in.Limit)
	var noRun *control.UnknownRunError
	if errors.As(err, &noRun) { // an unknown run has no failures
		err = nil
	}
	return &listFailuresOutput{Body: list[store.Failure]{Items: orEmpty(failed)}}, err
}

type retryInput struct {
	SourcePath
	Idempotent
}

func (g *Gateway) retryFailures(ctx context.Context, in *retryInput) (*acceptedOutput, error) {
	runs, err := g.control.Retry(ctx, viewerOf(ctx), control.RetryRequest{SourceID: in.SourceID, Key: in.Key})
	if err != nil {
		return nil, err
	}
	return g.accept(ctx, runs[0].Asked), nil
}

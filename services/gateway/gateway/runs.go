package gateway

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/store"
)

// Idempotent is the header by which a client says that two requests are one.
type Idempotent struct {
	Key string `header:"Idempotency-Key" maxLength:"255" doc:"the same key again is the same sync, however often it comes" example:"nightly-2026-01-31"`
}

// accepted is the answer to a request for a sync.
type accepted struct {
	OperationID string      `json:"operation_id" doc:"the run's id" example:"20260131-020000-k3x9qd"`
	SourceID    string      `json:"source_id"`
	State       event.State `json:"state"`
	Progress    string      `json:"progress_url" doc:"where to see how far it is"`
	Events      string      `json:"events_url" doc:"where to follow it"`
}

type acceptedOutput struct {
	Location string `header:"Location" doc:"where to see how far it is"`
	Body     accepted
}

type syncInput struct {
	SourcePath
	Idempotent
	Body *struct {
		Mode            event.Mode `json:"mode,omitempty" enum:"incremental,full" default:"incremental" doc:"the first sync of a source is full in any case"`
		ApproveRemovals bool       `json:"approve_removals,omitempty" doc:"let this sync remove more pages than the brake permits"`
	}
}

func (g *Gateway) sync(ctx context.Context, in *syncInput) (*acceptedOutput, error) {
	req := event.SyncRequested{RequestID: runID("sync", in.SourceID, in.Key), Mode: event.Incremental, SourceID: in.SourceID}
	if in.Body != nil {
		req.Mode, req.ApproveRemovals = in.Body.Mode, in.Body.ApproveRemovals
	}
	return g.request(ctx, req)
}

// runID makes the id of a new run. With an idempotency key it is made of the key, so that the
// same key names the same run on every replica and after any restart.
func runID(what, sourceID, key string) string {
	if key == "" {
		return time.Now().UTC().Format("20060102-150405") + "-" + strings.ToLower(rand.Text()[:6])
	}
	sum := sha256.Sum256([]byte(what + "\x00" + sourceID + "\x00" + key))
	return "idem-" + hex.EncodeToString(sum[:16])
}

// publishWithin bounds the wait for the broker. The request is in the ledger by then, from
// which it is asked for again.
const publishWithin = 5 * time.Second

// request writes a request down and publishes it.
func (g *Gateway) request(ctx context.Context, req event.SyncRequested) (*acceptedOutput, error) {
	run, err := g.store.RequestRun(ctx, req)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, noSource(req.SourceID)
	case errors.Is(err, store.ErrRequestIDTaken):
		return nil, fail(http.StatusConflict, string(failure.RequestIDTaken), "the id of the run is that of another source's run")
	case err != nil:
		return nil, err
	case run.RequestedMode != req.Mode || run.ApproveRemovals != req.ApproveRemovals || run.ApprovesRun != req.ApprovesRun:
		return nil, fail(http.StatusConflict, "idempotency_key_reused", "the Idempotency-Key was used for a sync that was asked for differently; a new sync needs a new key")
	}
	if !run.State.Final() {
		pubCtx, cancel := context.WithTimeout(ctx, publishWithin)
		defer cancel()
		if err := g.bus.Publish(pubCtx, req); err != nil {
			g.log.Warn().Err(err).Str("run", run.ID).Str("request_id", requestID(ctx)).Msg("the broker did not take the request; the run is asked for again from its ledger")
		}
	}
	return acceptedRun(run), nil
}

func acceptedRun(run store.Run) *acceptedOutput {
	at := "/api/progress/" + run.ID
	return &acceptedOutput{Location: at, Body: accepted{
		OperationID: run.ID, SourceID: run.SourceID, State: run.State, Progress: at, Events: at + "/events",
	}}
}

type listRunsInput struct {
	SourcePath
	Cursor string `query:"cursor" maxLength:"200" doc:"next of the part before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"20"`
}

type listRunsOutput struct{ Body list[store.Run] }

func (g *Gateway) listRuns(ctx context.Context, in *listRunsInput) (*listRunsOutput, error) {
	before, err := cursorOf(in.Cursor)
	if err == nil {
		err = g.known(ctx, in.SourceID)
	}
	if err != nil {
		return nil, err
	}
	runs, err := g.store.Reader().RunsBefore(ctx, viewing(ctx), in.SourceID, before, in.Limit+1)
	out := &listRunsOutput{Body: list[store.Run]{Items: orEmpty(runs)}}
	if len(runs) > in.Limit {
		out.Body.Items = runs[:in.Limit]
		out.Body.Next = cursor(runs[in.Limit-1].ID)
	}
	return out, err
}

type listFailuresInput struct {
	SourcePath
	Run    string `query:"run" maxLength:"64" doc:"only pages that failed in this run"`
	PageID string `query:"page_id" maxLength:"64" doc:"only this page"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type listFailuresOutput struct{ Body list[store.Failure] }

func (g *Gateway) listFailures(ctx context.Context, in *listFailuresInput) (*listFailuresOutput, error) {
	if err := g.known(ctx, in.SourceID); err != nil {
		return nil, err
	}
	if in.Run != "" && !event.ValidID(in.Run) || in.PageID != "" && !event.ValidID(in.PageID) {
		return &listFailuresOutput{Body: list[store.Failure]{Items: []store.Failure{}}}, nil
	}
	failed, err := g.store.Reader().Failures(ctx, viewing(ctx), in.SourceID, in.Run, in.PageID, in.Limit)
	return &listFailuresOutput{Body: list[store.Failure]{Items: orEmpty(failed)}}, err
}

type retryInput struct {
	SourcePath
	Idempotent
}

func (g *Gateway) retryFailures(ctx context.Context, in *retryInput) (*acceptedOutput, error) {
	if err := g.known(ctx, in.SourceID); err != nil {
		return nil, err
	}
	req := event.SyncRequested{RequestID: runID("retry", in.SourceID, in.Key), Mode: event.Incremental, SourceID: in.SourceID}
	if in.Key != "" {
		// The run of the same key may have cured the pages.
		if run, err := g.store.Run(ctx, req.RequestID); err == nil {
			return acceptedRun(run), nil
		} else if !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
	}
	failed, err := g.store.Reader().Failures(ctx, viewing(ctx), in.SourceID, "", "", 1)
	if err != nil {
		return nil, err
	}
	if len(failed) == 0 {
		return nil, fail(http.StatusConflict, "nothing_failed", "no page of the source is failed: there is nothing to try again")
	}
	return g.request(ctx, req)
}

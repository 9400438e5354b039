package control

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// publishWithin is how long a request waits for the broker by default.
const publishWithin = 5 * time.Second

// SyncRequest requests a run of a source.
type SyncRequest struct {
	SourceID        string
	Mode            event.Mode // "" means incremental
	ApproveRemovals bool       // let the run remove more pages than the limit allows

	// RunID is the id of the run. If a run with this id exists, the request joins it, whatever its settings. Key is
	// not the id, but the same key always means the same run. Both may be empty.
	RunID, Key string
}

// Check returns an *InvalidError if the request can never become a run.
func (r SyncRequest) Check() error {
	switch {
	case r.RunID != "" && !event.ValidID(r.RunID):
		return &InvalidError{Field: "request_id", Reason: "must be 1 to 64 letters, digits, '-' or '_'"}
	case r.Mode != "" && r.Mode != event.Incremental && r.Mode != event.Full:
		return &InvalidError{Field: "mode", Reason: "must be incremental or full"}
	}
	return nil
}

// Asked is the result of a request. The request is stored in any case.
type Asked struct {
	Run store.Run
	// WaitsFor is the run that must end before this one begins, or "". Runs of one source never overlap.
	WaitsFor string
	// Joined says that the run was requested before, still waits, and will do what this request asks for.
	Joined bool
	// Unsent is the error if the broker did not accept the request in time, or nil. The run begins once the broker is
	// available.
	Unsent error
}

// Sync requests a run of a source. A request that names no run joins one that waits for its turn and will do the same.
// It returns an *InvalidError, an *UnknownSourceError, a *RunIDTakenError, a *KeyReusedError or a *TooManyRunsError.
func (c *Control) Sync(ctx context.Context, v viewer.Viewer, r SyncRequest) (Asked, error) {
	if err := r.Check(); err != nil {
		return Asked{}, err
	}
	req := event.SyncRequested{RequestID: r.RunID, Mode: r.Mode, ApproveRemovals: r.ApproveRemovals, SourceID: r.SourceID}
	if req.RequestID == "" {
		var err error
		if req.RequestID, err = c.runID(ctx, "sync", r.SourceID, r.Key); err != nil {
			return Asked{}, err
		}
	}
	if req.Mode == "" {
		req.Mode = event.Incremental
	}
	return c.request(ctx, v, req, r.Key != "" && r.RunID == "", r.Key == "" && r.RunID == "")
}

// runID returns the id of a new run, as event.NewID makes it. With a key, the id is derived from the key, so the same key
// names the same run on every replica and after any restart. Everybody who may read the source sees the id, and must not
// find out what the run is for by trying: that it approves the removals of a run which they were told is completed, or
// that pages failed which they may not see. So the id depends on the id of the
// installation, which no answer contains. That holds against API keys, not against those who may read the broker or database.
func (c *Control) runID(ctx context.Context, what, sourceID, key string) (string, error) {
	if key == "" {
		return event.NewID(), nil
	}
	secret, err := c.Ledger.Installation(ctx, false)
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte(what + "\x00" + sourceID + "\x00" + key))
	return "idem-" + hex.EncodeToString(mac.Sum(nil)[:16]), nil
}

// request stores a request and then publishes it, so it survives the loss of the broker. If the run exists already,
// the request joins it; if same is true, the run must come from the same request. If join is true, any run that waits and
// does the same will do.
func (c *Control) request(ctx context.Context, v viewer.Viewer, req event.SyncRequested, same, join bool) (Asked, error) {
	if !v.Sees(req.SourceID) {
		return Asked{}, c.unknownSource(ctx, v, req.SourceID, store.ErrNotFound)
	}
	rec, joined, err := c.record(ctx, req, join)
	switch {
	case errors.Is(err, store.ErrRequestIDTaken):
		return Asked{}, &RunIDTakenError{ID: req.RequestID}
	case errors.Is(err, store.ErrTooManyRuns):
		return Asked{}, &TooManyRunsError{SourceID: req.SourceID}
	case err != nil:
		return Asked{}, c.unknownSource(ctx, v, req.SourceID, err)
	case same && (rec.Request.Mode != req.Mode || rec.Request.ApproveRemovals != req.ApproveRemovals || rec.Request.ApprovesRun != req.ApprovesRun || !slices.Equal(rec.Request.OnlyPages, req.OnlyPages)):
		return Asked{}, &KeyReusedError{ID: rec.ID}
	}
	asked := Asked{Joined: joined}
	if asked.Run, err = c.visibleRun(ctx, v, rec.ID); err != nil {
		return Asked{}, err
	}
	if !rec.Ended && !joined { // a run that was joined was sent before, or is in the ledger and will be
		pubCtx, cancel := context.WithTimeout(ctx, c.publishWithin())
		defer cancel()
		asked.Unsent = c.Bus.Publish(pubCtx, req)
	}
	if rec.Waits {
		asked.WaitsFor, err = c.waitsFor(ctx, v, asked.Run)
	}
	return asked, err
}

func (c *Control) record(ctx context.Context, req event.SyncRequested, join bool) (run Recorded, joined bool, err error) {
	if join {
		return c.Ledger.JoinRun(ctx, req)
	}
	run, err = c.Ledger.RequestRun(ctx, req)
	return run, false, err
}

// Cancelled is a run that was cancelled, with its counts.
type Cancelled struct {
	store.Run
	Counts event.Counts `json:"counts"`
}

// Cancel ends an open run. What it has stored stays; the next run lists its pending pages again. It returns an
// *UnknownRunError or an *EndedError.
func (c *Control) Cancel(ctx context.Context, v viewer.Viewer, id string) (Cancelled, error) {
	if _, err := c.visibleRun(ctx, v, id); err != nil {
		return Cancelled{}, err
	}
	err := c.Ledger.CancelRun(ctx, id)
	ended := errors.Is(err, store.ErrEnded)
	if err != nil && !ended {
		return Cancelled{}, unknownRun(id, err)
	}
	run, err := c.visibleRun(ctx, v, id) // as this viewer may know it
	if err != nil {
		return Cancelled{}, err
	}
	if ended {
		return Cancelled{}, &EndedError{Run: run}
	}
	counts, err := c.Reader.Counts(ctx, v, id)
	return Cancelled{Run: run, Counts: counts}, err
}

// CancelAll ends all open runs, or those of one source if sourceID is not empty: first those that wait, so that none
// of them begins meanwhile. It returns the runs that it ended, and an *UnknownSourceError.
func (c *Control) CancelAll(ctx context.Context, v viewer.Viewer, sourceID string) ([]Cancelled, error) {
	v, err := c.narrow(ctx, v, sourceID, "")
	if err != nil {
		return nil, err
	}
	open, err := c.Reader.OpenRuns(ctx, v, store.Whole())
	if err != nil {
		return nil, err
	}
	ended := []Cancelled{}
	for _, run := range slices.Backward(open) { // the oldest is first
		one, err := c.Cancel(ctx, v, run.ID)
		var over *EndedError
		if errors.As(err, &over) {
			continue
		}
		if err != nil {
			return ended, err
		}
		ended = append(ended, one)
	}
	return ended, nil
}

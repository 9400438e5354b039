package control

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
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
		req.RequestID = runID("sync", r.SourceID, r.Key)
	}
	if req.Mode == "" {
		req.Mode = event.Incremental
	}
	return c.request(ctx, v, req, r.Key != "" && r.RunID == "", r.Key == "" && r.RunID == "")
}

// runID returns the id of a new run: short enough to read aloud and random enough to be unique. With a key, the id is
// derived from the key, so the same key names the same run on every replica and after any restart.
func runID(what, sourceID, key string) string {
	if key == "" {
		return time.Now().UTC().Format("20060102-150405") + "-" + strings.ToLower(rand.Text()[:6])
	}
	sum := sha256.Sum256([]byte(what + "\x00" + sourceID + "\x00" + key))
	return "idem-" + hex.EncodeToString(sum[:16])
}

// request stores a request and then publishes it, so it survives the loss of the broker. If the run exists already,
// the request joins it; if same is true, the run must come from the same request. If join is true, any run that waits and
// does the same will do.
func (c *Control) request(ctx context.Context, v viewer.Viewer, req event.SyncRequested, same, join bool) (Asked, error) {
	if !v.Sees(req.SourceID) {
		return Asked{}, c.unknownSource(ctx, v, req.SourceID, store.ErrNotFound)
	}
	run, joined, err := c.record(ctx, req, join)
	switch {
	case errors.Is(err, store.ErrRequestIDTaken):
		return Asked{}, &RunIDTakenError{ID: req.RequestID}
	case errors.Is(err, store.ErrTooManyRuns):
		return Asked{}, &TooManyRunsError{SourceID: req.SourceID}
	case err != nil:
		return Asked{}, c.unknownSource(ctx, v, req.SourceID, err)
	case same && (run.RequestedMode != req.Mode || run.ApproveRemovals != req.ApproveRemovals || run.ApprovesRun != req.ApprovesRun):
		return Asked{}, &KeyReusedError{Run: run}
	case run.State.Final():
		return Asked{Run: run}, nil
	case joined: // it was sent before, or is in the ledger and will be
		asked := Asked{Run: run, Joined: true}
		asked.WaitsFor, err = c.waitsFor(ctx, v, run)
		return asked, err
	}
	pubCtx, cancel := context.WithTimeout(ctx, c.publishWithin())
	defer cancel()
	asked := Asked{Run: run, Unsent: c.Bus.Publish(pubCtx, req)}
	if run.State == event.StateRequested {
		asked.WaitsFor, err = c.waitsFor(ctx, v, run)
	}
	return asked, err
}

func (c *Control) record(ctx context.Context, req event.SyncRequested, join bool) (run store.Run, joined bool, err error) {
	if join {
		return c.Ledger.JoinRun(ctx, req)
	}
	run, err = c.Ledger.RequestRun(ctx, req)
	return run, false, err
}

// RetryRequest selects the failed pages to retry: those of a source, and of a page or run, if these are given.
type RetryRequest struct {
	SourceID string
	About    string // the id of a page or a run
	Key      string // the same key means the same run; for one source only
}

// Retried is a run that lists all failed pages of its source again.
type Retried struct {
	Asked
	Failed int // number of pages of the source that are failed now
}

// mostFailures is the maximum number of failed pages that are counted.
const mostFailures = 10_000

// Retry requests a run of each source that has such failed pages. It returns an *UnknownSourceError, a
// *NothingFailedError, or a *store.AmbiguousPageError if failed pages of several sites have the id and no source is
// given.
func (c *Control) Retry(ctx context.Context, v viewer.Viewer, r RetryRequest) ([]Retried, error) {
	v, err := c.narrow(ctx, v, r.SourceID, "")
	if err != nil {
		return nil, err
	}
	if r.Key != "" { // the run of the same key may already have succeeded, so that no page is failed now
		run, err := c.Reader.Run(ctx, v, runID("retry", r.SourceID, r.Key))
		if err == nil {
			return []Retried{{Asked: Asked{Run: run}}}, nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
	}
	sources, err := c.failedSources(ctx, v, r)
	if err != nil {
		return nil, err
	}
	var all []Retried
	var unsent error
	for _, id := range sources {
		failed, err := c.Reader.Failures(ctx, v, id, "", "", store.First(mostFailures))
		if err != nil {
			return all, err
		}
		one := *c
		if unsent != nil { // wait for an unavailable broker only once
			one.Bus = unreachable{unsent}
		}
		asked, err := one.request(ctx, v, event.SyncRequested{RequestID: runID("retry", id, r.Key), Mode: event.Incremental, SourceID: id}, true, false)
		if err != nil {
			return all, err
		}
		unsent = asked.Unsent
		all = append(all, Retried{Asked: asked, Failed: len(failed)})
	}
	return all, nil
}

// unreachable is a broker that is known to be unavailable.
type unreachable struct{ err error }

func (a unreachable) Publish(context.Context, event.Event) error { return a.err }

// failedSources returns the sources of the selected failed pages.
func (c *Control) failedSources(ctx context.Context, v viewer.Viewer, r RetryRequest) ([]string, error) {
	list, err := c.Reader.Failures(ctx, v, r.SourceID, "", r.About, store.First(mostFailures))
	if err == nil && len(list) == 0 && r.About != "" {
		list, err = c.Reader.Failures(ctx, v, r.SourceID, r.About, "", store.First(mostFailures))
	}
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		nothing := &NothingFailedError{SourceID: r.SourceID, About: r.About}
		if r.About != "" {
			_, err := c.Reader.Run(ctx, v, r.About)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return nil, err
			}
			nothing.IsRun = err == nil
		}
		return nil, nothing
	}
	var ids []string
	sites := map[int64]bool{}
	for _, f := range list {
		ids, sites[f.Site] = append(ids, f.SourceID), true
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if r.About != "" && len(sites) > 1 { // About is a page: a run belongs to one source
		return nil, &store.AmbiguousPageError{ID: r.About, Sources: ids}
	}
	return ids, nil
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
	run, err := c.Ledger.CancelRun(ctx, id)
	if errors.Is(err, store.ErrEnded) {
		return Cancelled{}, &EndedError{Run: run}
	}
	if err != nil {
		return Cancelled{}, unknownRun(id, err)
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

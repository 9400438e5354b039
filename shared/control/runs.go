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

// publishWithin is how long a request waits for the broker.
const publishWithin = 5 * time.Second

// SyncRequest asks for a run of a source.
type SyncRequest struct {
	SourceID        string
	Mode            event.Mode // "" is incremental
	ApproveRemovals bool       // let the run remove more pages than the brake permits

	// RunID names the run: a run of this id is joined, whatever it was asked for as. Key does not
	// name it, but the same key again is the same run. Both may be empty.
	RunID, Key string
}

// Check returns an *InvalidError for what can never become a run.
func (r SyncRequest) Check() error {
	switch {
	case r.RunID != "" && !event.ValidID(r.RunID):
		return &InvalidError{Field: "request_id", Reason: "is not 1 to 64 letters, digits, '-' or '_'"}
	case r.Mode != "" && r.Mode != event.Incremental && r.Mode != event.Full:
		return &InvalidError{Field: "mode", Reason: "is incremental or full"}
	}
	return nil
}

// Asked is what became of a request. It is written down in any case.
type Asked struct {
	Run store.Run
	// WaitsFor is the run after which it is this one's turn, "" for none. Its source's runs go one
	// after the other.
	WaitsFor string
	// Unsent is why the broker did not take the request in time, nil when it did. The run begins
	// once the broker is back.
	Unsent error
}

// Sync asks for a run of a source. It returns an *InvalidError, an *UnknownSourceError, a
// *RunIDTakenError or a *KeyReusedError.
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
	return c.request(ctx, v, req, r.Key != "" && r.RunID == "")
}

// runID makes the id of a new run: short enough to read out and unlikely enough to be new. With
// a key it is made of the key, so that the same key names the same run from everywhere and after
// any restart.
func runID(what, sourceID, key string) string {
	if key == "" {
		return time.Now().UTC().Format("20060102-150405") + "-" + strings.ToLower(rand.Text()[:6])
	}
	sum := sha256.Sum256([]byte(what + "\x00" + sourceID + "\x00" + key))
	return "idem-" + hex.EncodeToString(sum[:16])
}

// request writes a request down and then publishes it, so that none is lost with the broker. A
// run that is there already is joined, unless it has to be the same request and is not.
func (c *Control) request(ctx context.Context, v viewer.Viewer, req event.SyncRequested, same bool) (Asked, error) {
	if !v.Sees(req.SourceID) {
		return Asked{}, c.unknownSource(ctx, v, req.SourceID, store.ErrNotFound)
	}
	run, err := c.Ledger.RequestRun(ctx, req)
	switch {
	case errors.Is(err, store.ErrRequestIDTaken):
		return Asked{}, &RunIDTakenError{ID: req.RequestID}
	case err != nil:
		return Asked{}, c.unknownSource(ctx, v, req.SourceID, err)
	case same && (run.RequestedMode != req.Mode || run.ApproveRemovals != req.ApproveRemovals || run.ApprovesRun != req.ApprovesRun):
		return Asked{}, &KeyReusedError{Run: run}
	case run.State.Final():
		return Asked{Run: run}, nil
	}
	within := publishWithin
	if c.PublishWithin > 0 {
		within = c.PublishWithin
	}
	pubCtx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	asked := Asked{Run: run, Unsent: c.Bus.Publish(pubCtx, req)}
	if run.State == event.StateRequested {
		asked.WaitsFor, err = c.waitsFor(ctx, v, run)
	}
	return asked, err
}

// RetryRequest says which failed pages are to be tried again: those of a source, and of a page or run,
// where these are named.
type RetryRequest struct {
	SourceID string
	About    string // the id of a page or of a run
	Key      string // the same key again is the same run; of one source only
}

// Retried is a run that lists failed pages of its source again: all of them.
type Retried struct {
	Asked
	Failed int // pages of the source that are failed now
}

// mostFailures is as far as failed pages are counted.
const mostFailures = 10_000

// Retry asks for a run of each source that has such failed pages. It returns an
// *UnknownSourceError or a *NothingFailedError.
func (c *Control) Retry(ctx context.Context, v viewer.Viewer, r RetryRequest) ([]Retried, error) {
	v, err := c.narrow(ctx, v, r.SourceID, "")
	if err != nil {
		return nil, err
	}
	if r.Key != "" { // the run of the same key may have cured the pages
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
		failed, err := c.Reader.Failures(ctx, v, id, "", "", mostFailures)
		if err != nil {
			return all, err
		}
		one := *c
		if unsent != nil { // nobody waits for the broker once for each source
			one.Bus = away{unsent}
		}
		asked, err := one.request(ctx, v, event.SyncRequested{RequestID: runID("retry", id, r.Key), Mode: event.Incremental, SourceID: id}, true)
		if err != nil {
			return all, err
		}
		unsent = asked.Unsent
		all = append(all, Retried{Asked: asked, Failed: len(failed)})
	}
	return all, nil
}

// away is a broker that is known not to answer.
type away struct{ err error }

func (a away) Publish(context.Context, event.Event) error { return a.err }

// failedSources finds the sources of the failed pages that are meant.
func (c *Control) failedSources(ctx context.Context, v viewer.Viewer, r RetryRequest) ([]string, error) {
	list, err := c.Reader.Failures(ctx, v, r.SourceID, "", r.About, mostFailures)
	if err == nil && len(list) == 0 && r.About != "" {
		list, err = c.Reader.Failures(ctx, v, r.SourceID, r.About, "", mostFailures)
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
	for _, f := range list {
		ids = append(ids, f.SourceID)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// Cancelled is a run that was ended before its time.
type Cancelled struct {
	store.Run
	Counts event.Counts `json:"counts"`
}

// Cancel ends a run that is under way or waits for its turn. What it has stored stays; what it
// still waited for is listed again by the next run. It returns an *UnknownRunError or an
// *EndedError.
func (c *Control) Cancel(ctx context.Context, v viewer.Viewer, id string) (Cancelled, error) {
	if _, err := c.knownRun(ctx, v, id); err != nil {
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

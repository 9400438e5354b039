package lister

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/run"
	"github.com/sluicehq/sluice/shared/store"
)

// partsInTask is how many parts of pages, such as threads of comments, are a task.
const partsInTask = 20

// waitForTurn is how long a request waits before it checks again whether its source's open run has
// ended.
const waitForTurn = 2 * time.Second

// publishWithin limits the time for publishing a snapshot.
const publishWithin = 5 * time.Second

var errBusy = errors.New("another run of the source is open")

// HandleSync turns a request into a run and processes the run until its tasks are sent. On redelivery,
// for any reason, it continues from the ledger.
func (l *Lister) HandleSync(ctx context.Context, d bus.Delivery) error {
	req, err := parseRequest(d)
	if err != nil {
		return l.reject(ctx, req, err)
	}
	run, err := l.ledger.OpenRun(ctx, req)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return l.reject(ctx, req, failure.New(failure.UnknownSource,
			"no source %q is registered; add it with: sluice source add %s", req.SourceID, req.SourceID))
	case errors.Is(err, store.ErrRequestIDTaken):
		return l.reject(ctx, req, failure.New(failure.RequestIDTaken,
			"request id %q was used for another source; choose one of your own, a UUID for example", req.RequestID))
	case errors.Is(err, store.ErrTooManyRuns):
		return l.reject(ctx, req, failure.New(failure.TooManyRuns,
			"%d runs of source %s wait for their turn already; to cancel them: sluice cancel --all --source %s", store.MaxWaiting, req.SourceID, req.SourceID))
	case err != nil:
		return err
	}
	switch run.State {
	case event.StateRequested:
		if err := l.announce(ctx, run.ID); err != nil {
			return err
		}
		return failure.Later(errBusy, waitForTurn)
	case event.StateListing:
		if err := l.announce(ctx, run.ID); err != nil {
			return err
		}
		err := l.list(ctx, run)
		if errors.Is(err, store.ErrNotCurrent) {
			return failure.Later(err, waitForTurn)
		}
		if err != nil {
			return err
		}
		if run, err = l.ledger.Run(ctx, run.ID); err != nil {
			return err
		}
	}
	if !run.State.Final() {
		if err := l.send(ctx, run); err != nil {
			return err
		}
	}
	return l.announce(ctx, run.ID)
}

// SyncFailed ends a run whose listing cannot be made. A run with a finished listing continues if only an
// outage of servers was too long: its pages are on their way, and its ledger requests the others again.
func (l *Lister) SyncFailed(ctx context.Context, d bus.Delivery, cause error) error {
	req, err := parseRequest(d)
	if err != nil {
		return l.reject(ctx, req, err)
	}
	run, err := l.ledger.Run(ctx, req.RequestID)
	code := failure.CodeOf(cause)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && run.SourceID != req.SourceID:
		return l.reject(ctx, req, cause) // it failed before the request had a run
	case err != nil:
		return err
	case !run.ListingDone.IsZero() && code == failure.Exhausted:
		return nil
	}
	if err := l.ledger.FailRun(ctx, run.ID, code, cause.Error()); err != nil {
		return err
	}
	err = l.announce(ctx, run.ID)
	if errors.Is(err, store.ErrNotFound) {
		return l.reject(ctx, req, cause) // its source was removed meanwhile
	}
	return err
}

// send publishes the tasks that the run still waits for. The tasks go first: readers may treat a listing
// as complete only when its pages are on their way.
func (l *Lister) send(ctx context.Context, run store.Run) error {
	after := ""
	for {
		refs, err := l.ledger.PendingPages(ctx, run.ID, after, 20*event.MaxListed)
		if err != nil {
			return err
		}
		if len(refs) == 0 {
			break
		}
		after = refs[len(refs)-1].ID
		// A task of pages and blog posts would cost a call for each kind. Parts of pages cost some calls each.
		slices.SortStableFunc(refs, func(a, b page.Ref) int { return cmp.Compare(a.Kind, b.Kind) })
		var tasks []event.Event
		for len(refs) > 0 {
			n, most := 1, event.MaxListed
			if page.IsPart(refs[0].Kind) {
				most = partsInTask
			}
			for n < min(len(refs), most) && refs[n].Kind == refs[0].Kind {
				n++
			}
			tasks = append(tasks, event.PagesListed{SourceID: run.SourceID, RunID: run.ID, Attempt: run.Attempt, Pages: refs[:n]})
			refs = refs[n:]
		}
		if err := l.bus.PublishAll(ctx, tasks); err != nil {
			return err
		}
	}
	return l.bus.Publish(ctx, event.ListingCompleted{
		SourceID: run.SourceID, RunID: run.ID, Mode: run.Mode, Listed: run.Listed, At: time.Now().UTC(),
	})
}

// announce publishes a run's progress. While the broker does not accept it, the request is redelivered,
// and the announcement with it.
func (l *Lister) announce(ctx context.Context, runID string) error {
	snap, _, err := l.ledger.Advance(ctx, runID)
	if err != nil {
		return err
	}
	soon, cancel := context.WithTimeout(ctx, publishWithin)
	defer cancel()
	return failure.Later(l.bus.Publish(soon, snap), waitForTurn)
}

// reject answers a request that cannot become a run: on the source's rejections, and, if the request has
// a valid id that no run has, on the progress subject that the requester follows.
func (l *Lister) reject(ctx context.Context, req event.SyncRequested, why error) error {
	l.log.Warn().Str("source", req.SourceID).Str("run", req.RequestID).Err(why).Msg("sync request rejected")
	now, code := time.Now().UTC(), failure.CodeOf(why)
	if event.ValidID(req.SourceID) && event.ValidID(req.RequestID) {
		other, err := l.ledger.Run(ctx, req.RequestID)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if other.SourceID != req.SourceID {
			err := l.bus.Publish(ctx, event.Progress{
				SourceID: req.SourceID, RunID: req.RequestID, Mode: req.Mode, State: event.StateFailed,
				Code: code, Message: why.Error(), FinishedAt: now, At: now, Seq: run.NextSeq(0, now),
			})
			if err != nil {
				return err
			}
		}
	}
	return l.bus.Publish(ctx, event.SyncRejected{
		SourceID: req.SourceID, RequestID: req.RequestID, Code: code, Message: why.Error(), At: now,
	})
}

// parseRequest parses a request from any client. With an error, it returns the readable fields, so that
// the rejection can name the request.
func parseRequest(d bus.Delivery) (event.SyncRequested, error) {
	const example = `{"request_id": "nightly-7", "mode": "incremental"}`
	req := event.SyncRequested{SourceID: d.SourceID}
	if err := json.Unmarshal(d.Data, &req); err != nil {
		return event.SyncRequested{SourceID: d.SourceID}, failure.New(failure.BadRequest, "the request is not JSON as in %s: %w", example, err)
	}
	if req.Mode == "" {
		req.Mode = event.Incremental
	}
	switch {
	case !event.ValidID(req.SourceID):
		return req, failure.New(failure.BadRequest, "the subject's source %q is not a source id: 1 to 64 letters, digits, '-' or '_'", req.SourceID)
	case !event.ValidID(req.RequestID):
		return req, failure.New(failure.BadRequest, "request_id %q is not 1 to 64 letters, digits, '-' or '_'; for example %s", req.RequestID, example)
	case len(req.OnlyPages) > event.MaxOnly:
		return req, failure.New(failure.BadRequest, "only_pages has %d pages; at most %d are retried at once", len(req.OnlyPages), event.MaxOnly)
	case len(req.OnlyPages) > 0 && req.Mode != event.Incremental:
		return req, failure.New(failure.BadRequest, "only_pages needs the mode incremental: a full run lists every page")
	case slices.ContainsFunc(req.OnlyPages, func(id string) bool { return !event.ValidID(id) }):
		return req, failure.New(failure.BadRequest, "only_pages has what is not a page id: 1 to 64 letters, digits, '-' or '_'")
	case req.Mode != event.Incremental && req.Mode != event.Full:
		return req, failure.New(failure.BadRequest, "mode %q is neither incremental nor full", req.Mode)
	}
	return req, nil
}

package control

import (
	"context"
	"errors"
	"time"

	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// Resumed is a pause that was lifted.
type Resumed struct {
	Pause store.Pause
	Runs  []store.Run // the site's open runs that go on at once and that the viewer may see
	// Unsent is the error if the broker did not accept the requests in time, or nil. The runs then go on later, as
	// stalled runs do.
	Unsent error
}

// Resume lifts the pause that a source's site has asked for, for all sources of the site, and requests the site's open
// runs again, because their messages wait for the end of the pause. If the site still refuses, it asks for another
// pause. It returns an *UnknownSourceError or a *NotPausedError.
func (c *Control) Resume(ctx context.Context, v viewer.Viewer, sourceID string) (Resumed, error) {
	if _, err := c.visibleSource(ctx, v, sourceID); err != nil {
		return Resumed{}, err
	}
	pause, requests, err := c.Ledger.LiftPause(ctx, sourceID)
	if errors.Is(err, store.ErrNotPaused) {
		return Resumed{}, &NotPausedError{ID: sourceID}
	}
	if err != nil {
		return Resumed{}, err
	}
	// The pause is lifted by now: a caller that disconnects must not leave runs parked.
	ctx = context.WithoutCancel(ctx)
	pubCtx, cancel := context.WithTimeout(ctx, c.publishWithin())
	defer cancel()
	done := Resumed{Pause: pause, Runs: []store.Run{}}
	for _, req := range requests {
		if done.Unsent == nil {
			done.Unsent = c.Bus.Publish(pubCtx, req)
		}
	}
	ctx, stop := context.WithTimeout(ctx, finishWithin)
	defer stop()
	for _, req := range requests {
		run, err := c.Reader.Run(ctx, v, req.RequestID)
		if errors.Is(err, store.ErrNotFound) { // another source's
			continue
		}
		if err != nil {
			return done, err
		}
		done.Runs = append(done.Runs, run)
	}
	return done, nil
}

// publishWithin is how long a request waits for the broker.
func (c *Control) publishWithin() time.Duration {
	if c.PublishWithin > 0 {
		return c.PublishWithin
	}
	return publishWithin
}

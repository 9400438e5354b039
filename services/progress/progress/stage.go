// Package progress is the stage that follows every run to its end: it writes failures into
// the ledger, moves runs to the state that their ledger proves, publishes snapshots, and
// asks again for runs in which nothing moves.
//
// Events are nudges: each snapshot is counted from the ledger, so that replicas, lost
// events and repeated ones make no difference to what it says.
package progress

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/run"
	"github.com/sluicehq/sluice/shared/service"
	"github.com/sluicehq/sluice/shared/store"
)

const (
	snapshotEvery = 200 * time.Millisecond // at most one snapshot of a run in this time
	lookEvery     = time.Second            // open runs are looked at even when no event came
	stallEvery    = 5 * time.Second        // how often stalled runs are looked for
	repeatEvery   = 10 * time.Second       // a snapshot that has not changed is published again after this
	stallAfter    = 2 * time.Minute        // longer than a message may be in one handler's hands without a sign
	restFor       = 9                      // a run rests so many times longer than its snapshot took to count
	pruneEvery    = time.Hour
	lookBack      = time.Hour       // a run that ended while nobody looked is announced for so long
	publishWithin = 5 * time.Second // one run must not keep all others waiting for the broker
)

// ledger is what the progress stage needs of the store.
type ledger interface {
	FailPage(ctx context.Context, f event.PageFailed) error
	OpenRuns(ctx context.Context) ([]store.Run, error)
	EndedRuns(ctx context.Context, within time.Duration) ([]string, error)
	Advance(ctx context.Context, runID string) (snap event.Progress, first bool, err error)
	StalledSources(ctx context.Context, idle time.Duration) ([]string, error)
	ClaimStalled(ctx context.Context, idle time.Duration, queued ...string) ([]store.Run, error)
	Prune(ctx context.Context, keep time.Duration) (int, error)
	SweepTokens(ctx context.Context) ([]string, error)
}

// publisher is what the progress stage needs of the bus.
type publisher interface {
	Publish(ctx context.Context, e event.Event) error
	LatestProgress(ctx context.Context, sourceID, runID string) (event.Progress, bool, error)
	Queued(ctx context.Context, sourceID string) (bool, error)
}

var (
	_ ledger    = (*store.Store)(nil)
	_ publisher = (*bus.Bus)(nil)
)

// Follower follows runs. Its methods may be called from many goroutines.
type Follower struct {
	ledger ledger
	bus    publisher
	stall  time.Duration
	keep   time.Duration
	log    zerolog.Logger

	caughtUp bool // what ended while nobody looked is noted; of look alone

	mu   sync.Mutex
	runs map[string]*followed
}

// followed is what one replica remembers of a run between snapshots.
type followed struct {
	dirty  bool
	waited bool      // for another replica to tell its end
	rest   time.Time // not before
	last   event.Progress
}

// New returns a follower. A run in which nothing has moved for stall is asked for again;
// 0 stands for two minutes. What is older than keep is deleted; 0 keeps everything.
func New(l ledger, b publisher, stall, keep time.Duration, log zerolog.Logger) *Follower {
	if stall <= 0 {
		stall = stallAfter
	}
	return &Follower{ledger: l, bus: b, stall: stall, keep: keep, log: log, runs: map[string]*followed{}}
}

// Handle takes note of a fact about a page or a listing. A failure is written into the
// ledger before the fact is acknowledged; the rest of the facts stand there already.
func (f *Follower) Handle(ctx context.Context, d bus.Delivery) error {
	if d.Type == event.TypePageFailed {
		failed, err := bus.Decode[event.PageFailed](d)
		if err != nil {
			return err
		}
		if err := f.ledger.FailPage(ctx, failed); err != nil {
			return err
		}
	}
	about, err := bus.Decode[struct {
		RunID string `json:"run_id"`
	}](d)
	if err != nil {
		return err
	}
	f.mark(about.RunID)
	return nil
}

// GiveUp stands in for the bus's page.failed: that a fact cannot be handled says nothing
// about the page, which is stored or removed whatever becomes of the fact. Its run is moved
// on without it, since open runs are looked at all the same.
func (f *Follower) GiveUp(context.Context, bus.Delivery, error) error { return nil }

func (f *Follower) mark(runID string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.note(runID)
}

// note is mark for a caller that holds the lock.
func (f *Follower) note(runID string) {
	if f.runs[runID] == nil {
		f.runs[runID] = &followed{}
	}
	f.runs[runID].dirty = true
}

// Follow publishes snapshots and moves runs on until ctx ends.
func (f *Follower) Follow(ctx context.Context) error {
	var loops sync.WaitGroup
	loops.Go(func() { f.every(ctx, snapshotEvery, f.advance) })
	loops.Go(func() { f.every(ctx, lookEvery, f.look) })
	// Requests wait for room on the broker, which they get when runs end: by the other loops.
	loops.Go(func() { f.every(ctx, min(stallEvery, f.stall), f.nudge) })
	loops.Go(func() { f.every(ctx, pruneEvery, f.prune) })
	loops.Wait()
	return nil
}

// every calls do at most so often until ctx ends.
func (f *Follower) every(ctx context.Context, interval time.Duration, do func(context.Context) error) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := do(ctx); err != nil && ctx.Err() == nil {
				// The next tick tries again; the ledger has lost nothing.
				f.log.Warn().Err(err).Msg("runs are not looked at")
			}
		}
	}
}

// advance moves on every run that something was heard of.
func (f *Follower) advance(ctx context.Context) error {
	now := time.Now()
	f.mu.Lock()
	var due []string
	for id, r := range f.runs {
		if r.dirty && !now.Before(r.rest) {
			r.dirty = false
			due = append(due, id)
		}
	}
	f.mu.Unlock()
	for _, id := range due {
		if err := f.advanceOne(ctx, id); err != nil && ctx.Err() == nil {
			f.log.Warn().Str("run", id).Err(err).Msg("run is not advanced")
			f.mark(id)
		}
	}
	return nil
}

func (f *Follower) advanceOne(ctx context.Context, runID string) error {
	begun := time.Now()
	f.mu.Lock()
	last := f.runs[runID].last
	f.mu.Unlock()
	snap, first, err := f.ledger.Advance(ctx, runID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		if snap, err = f.cancelled(ctx, last); err != nil {
			return err
		}
	case err != nil:
		return err
	case snap.State.Final():
		told, err := f.tellEnd(ctx, snap, first)
		if err != nil || !told {
			return err
		}
	case !same(last, snap) || snap.At.Sub(last.At) >= repeatEvery:
		if err := f.publish(ctx, snap); err != nil {
			return err
		}
		last = snap
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if snap.State.Final() {
		delete(f.runs, runID)
		return nil
	}
	// Counting a large ledger takes a while, and each replica counts for itself.
	f.runs[runID].rest = time.Now().Add(restFor * time.Since(begun))
	f.runs[runID].last = last
	return nil
}

// tellEnd publishes the end of a run unless those who follow it know it, and reports whether they
// do now. The replica whose snapshot is the first to say so publishes it at once; the others give
// it time, and publish it when it has not come by then.
func (f *Follower) tellEnd(ctx context.Context, end event.Progress, first bool) (bool, error) {
	newest, told, err := f.said(ctx, end)
	if err != nil || told && newest.Counts == end.Counts { // else somebody else has said so
		return told, err
	}
	f.mu.Lock()
	r := f.runs[end.RunID]
	if !first && !r.waited {
		r.waited, r.dirty, r.rest = true, true, time.Now().Add(publishWithin)
		f.mu.Unlock()
		return false, nil
	}
	r.waited = true
	f.mu.Unlock()
	f.log.Info().Str("source", end.SourceID).Str("run", end.RunID).Str("state", string(end.State)).
		Int("listed", end.Counts.Listed).Int("failed", end.Counts.Failed).Msg("run ended")
	err = f.publish(ctx, end)
	return err == nil, err
}

// said reports whether the end of the run is known to those who follow it, and what they know.
func (f *Follower) said(ctx context.Context, p event.Progress) (event.Progress, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, publishWithin)
	defer cancel()
	newest, there, err := f.bus.LatestProgress(ctx, p.SourceID, p.RunID)
	return newest, there && newest.State == p.State, err
}

// cancelled tells whoever follows a run that it went with its source: the ledger is no longer
// there to tell it. What is said is the last that was known.
func (f *Follower) cancelled(ctx context.Context, last event.Progress) (event.Progress, error) {
	if last.RunID == "" { // nothing was ever known of it here
		last.State = event.StateCancelled
		return last, nil
	}
	last.State, last.Code = event.StateCancelled, failure.SourceGone
	last.Message = "the source was removed while its run was under way"
	last.At = time.Now().UTC()
	last.FinishedAt = last.At
	newest, said, err := f.said(ctx, last)
	if err != nil || said {
		return last, err
	}
	// Another replica, by the database's clock, may have numbered the newest one.
	if newest.Absurd(last.At) {
		newest.Seq = 0
	}
	last.Seq = run.NextSeq(max(last.Seq, newest.Seq), last.At)
	return last, f.publish(ctx, last)
}

func (f *Follower) publish(ctx context.Context, e event.Event) error {
	ctx, cancel := context.WithTimeout(ctx, publishWithin)
	defer cancel()
	return f.bus.Publish(ctx, e)
}

// same reports whether two snapshots tell the same.
func same(a, b event.Progress) bool {
	a.At, a.Seq = b.At, b.Seq
	return a == b
}

func (f *Follower) look(ctx context.Context) error {
	open, err := f.ledger.OpenRuns(ctx)
	if err != nil {
		return err
	}
	var ended []string
	if !f.caughtUp {
		if ended, err = f.ledger.EndedRuns(ctx, lookBack); err != nil {
			return err
		}
	}
	f.caughtUp = true
	f.mu.Lock()
	defer f.mu.Unlock()
	known := maps.Clone(f.runs)
	for _, run := range open {
		// A run that waits for its turn has nothing to count, and there may be many.
		if run.State != event.StateRequested {
			f.note(run.ID)
		}
		delete(known, run.ID)
	}
	// What is left was ended by another replica, or went with its source.
	for id := range known {
		f.note(id)
	}
	for _, id := range ended {
		f.note(id)
	}
	return nil
}

// nudge asks again for runs that stand still: their request makes the fetcher go on where
// the ledger says they are. Where pages wait for a stage nothing is lost, and it is that stage
// that the run waits for.
func (f *Follower) nudge(ctx context.Context) error {
	sources, err := f.ledger.StalledSources(ctx, f.stall)
	if err != nil || len(sources) == 0 {
		return err
	}
	var queued []string
	for _, source := range sources {
		waits, err := f.bus.Queued(ctx, source)
		if err != nil {
			return err
		}
		if waits {
			queued = append(queued, source)
		}
	}
	stalled, err := f.ledger.ClaimStalled(ctx, f.stall, queued...)
	if err != nil {
		return err
	}
	for _, run := range stalled {
		f.log.Warn().Str("source", run.SourceID).Str("run", run.ID).Str("state", string(run.State)).
			Int("attempt", run.Attempt).Msg("nothing moved, run is asked for again")
		err := f.publish(ctx, event.SyncRequested{
			SourceID: run.SourceID, RequestID: run.ID, Mode: run.RequestedMode,
			ApproveRemovals: run.ApproveRemovals, Nudge: run.Attempt,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// prune deletes what is only of the past.
func (f *Follower) prune(ctx context.Context) error {
	swept, err := f.ledger.SweepTokens(ctx)
	for _, name := range swept {
		f.log.Warn().Str("source", name).Msg("stored token deleted, because its source was deleted elsewhere; at Atlassian it counts until it is revoked")
	}
	if err != nil || f.keep <= 0 {
		return err
	}
	n, err := f.ledger.Prune(ctx, f.keep)
	if n > 0 {
		f.log.Info().Int("runs", n).Msg("old runs deleted")
	}
	return err
}

// Stage is the progress service as a process runs it.
func Stage() service.Stage {
	return service.Stage{Name: "progress", Settings: config.TypeOf[config.Progress](), Open: open}
}

func open(ctx context.Context, h *service.Host) (service.Runner, error) {
	cfg, s, b, err := service.Open[config.Progress](ctx, h)
	if err != nil {
		return nil, err
	}
	f := New(s, b, cfg.StallAfter, cfg.Keep, h.Log)
	return service.All(
		service.Consume(b, bus.Ledger, f.Handle, bus.OnPermanent(f.GiveUp)),
		service.RunnerFunc(f.Follow),
	), nil
}

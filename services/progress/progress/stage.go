// Package progress is the stage that follows every run to its end: it writes failures into the ledger,
// moves runs to the state that their ledger proves, publishes snapshots, and repeats the request of
// stalled runs.
//
// Events are nudges: each snapshot is counted from the ledger, so that replicas, lost events and
// repeated events do not change the result.
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
	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/run"
	"github.com/sluicehq/sluice/shared/service"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/vault"
)

const (
	snapshotEvery = 200 * time.Millisecond // at most one snapshot of a run in this time
	lookEvery     = time.Second            // open runs are checked even without an event
	stallEvery    = 5 * time.Second        // interval of the search for stalled runs
	repeatEvery   = 10 * time.Second       // an unchanged snapshot is published again after this time
	stallAfter    = 2 * time.Minute        // longer than a handler may keep a message without a progress report
	restFor       = 9                      // a run rests this many times longer than its snapshot took to count
	pruneEvery    = time.Hour
	lookBack      = time.Hour       // a run that ended unobserved is announced within this time
	publishWithin = 5 * time.Second // one run must not block the others while the broker is slow
)

// ledger is the part of the store that the progress stage uses.
type ledger interface {
	FailPage(ctx context.Context, f event.PageFailed) error
	OpenRuns(ctx context.Context) ([]store.Run, error)
	EndedRuns(ctx context.Context, within time.Duration) ([]string, error)
	Advance(ctx context.Context, runID string) (snap event.Progress, first bool, err error)
	StalledSources(ctx context.Context, idle time.Duration) ([]string, error)
	ClaimStalled(ctx context.Context, idle time.Duration, queued ...string) ([]store.Run, error)
	Prune(ctx context.Context, keep time.Duration) (int, error)
	SweepTokens(ctx context.Context) ([]string, error)
	// Tokens describes the stored tokens.
	Tokens(ctx context.Context) ([]vault.Secret, error)
}

// publisher is the part of the bus that the progress stage uses.
type publisher interface {
	Publish(ctx context.Context, e event.Event) error
	LatestProgress(ctx context.Context, sourceID, runID string) (event.Progress, bool, error)
	Queued(ctx context.Context, sourceID string) (bool, error)
}

var (
	_ ledger    = (*store.Store)(nil)
	_ publisher = (*bus.Bus)(nil)
)

// Follower follows runs. Its methods are safe for concurrent use.
type Follower struct {
	ledger ledger
	bus    publisher
	stall  time.Duration
	keep   time.Duration
	log    zerolog.Logger

	warned   time.Time // when tokens that expire soon were last logged; used by prune only
	caughtUp bool      // runs that ended unobserved are marked; used by look only

	mu   sync.Mutex
	runs map[string]*followed
}

// followed is one replica's memory of a run between snapshots.
type followed struct {
	dirty  bool
	waited bool      // for another replica to tell its end
	rest   time.Time // no snapshot before this time
	last   event.Progress
}

// New returns a follower. It repeats the request of a run in which nothing has moved for stall; 0 means
// two minutes. It deletes runs that are older than keep; 0 keeps everything.
func New(l ledger, b publisher, stall, keep time.Duration, log zerolog.Logger) *Follower {
	if stall <= 0 {
		stall = stallAfter
	}
	return &Follower{ledger: l, bus: b, stall: stall, keep: keep, log: log, runs: map[string]*followed{}}
}

// Handle records a fact about a page or a listing. It writes a failure into the ledger before it
// acknowledges the fact; the ledger already contains all other facts.
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

// GiveUp replaces the bus's page.failed: a fact that cannot be handled says nothing about its page,
// which is already stored or removed. The run continues without it, because open runs are checked
// anyway.
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

// Follow publishes snapshots and moves runs to their next state until ctx ends.
func (f *Follower) Follow(ctx context.Context) error {
	var loops sync.WaitGroup
	loops.Go(func() { f.every(ctx, snapshotEvery, f.advance) })
	loops.Go(func() { f.every(ctx, lookEvery, f.look) })
	// Requests wait for room on the broker, which they get when the other loops end runs.
	loops.Go(func() { f.every(ctx, min(stallEvery, f.stall), f.nudge) })
	loops.Go(func() { f.every(ctx, pruneEvery, f.prune) })
	loops.Wait()
	return nil
}

// every calls do once per interval until ctx ends.
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
	// Counting a large ledger takes a while, and each replica counts it.
	f.runs[runID].rest = time.Now().Add(restFor * time.Since(begun))
	f.runs[runID].last = last
	return nil
}

// tellEnd publishes the end of a run unless it is already published, and reports whether it is published
// now. The replica that makes the first final snapshot publishes it immediately; the others wait for it,
// and publish the end if it has not appeared by then.
func (f *Follower) tellEnd(ctx context.Context, end event.Progress, first bool) (bool, error) {
	newest, told, err := f.said(ctx, end)
	if err != nil || told && newest.Counts == end.Counts { // otherwise another replica has published it
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

// said reports whether the end of the run is published, and returns the newest published snapshot.
func (f *Follower) said(ctx context.Context, p event.Progress) (event.Progress, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, publishWithin)
	defer cancel()
	newest, there, err := f.bus.LatestProgress(ctx, p.SourceID, p.RunID)
	return newest, there && newest.State == p.State, err
}

// cancelled publishes the end of a run that was removed with its source: its ledger no longer exists.
// The counts are the last known ones.
func (f *Follower) cancelled(ctx context.Context, last event.Progress) (event.Progress, error) {
	if last.RunID == "" { // this replica never knew the run
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
	// Another replica may have numbered the newest snapshot by the database's clock.
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

// same reports whether two snapshots have the same content.
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
		// A run that waits for its turn has nothing to count, and there may be many such runs.
		if run.State != event.StateRequested {
			f.note(run.ID)
		}
		delete(known, run.ID)
	}
	// Another replica ended the remaining runs, or they were removed with their source.
	for id := range known {
		f.note(id)
	}
	for _, id := range ended {
		f.note(id)
	}
	return nil
}

// nudge repeats the requests of stalled runs: the request makes the fetcher continue from the ledger. If
// pages wait for a stage, nothing is lost, and the run waits for that stage.
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
			Int("attempt", run.Attempt).Msg("the run has stalled, requesting it again")
		if err := f.publish(ctx, run.Again()); err != nil {
			return err
		}
	}
	return nil
}

// prune deletes old data.
func (f *Follower) prune(ctx context.Context) error {
	swept, err := f.ledger.SweepTokens(ctx)
	for _, name := range swept {
		f.log.Warn().Str("source", name).Msg("stored token deleted, because its source was deleted elsewhere; at Atlassian it counts until it is revoked")
	}
	if err != nil {
		return err
	}
	if err := f.warnOfTokens(ctx); err != nil || f.keep <= 0 {
		return err
	}
	n, err := f.ledger.Prune(ctx, f.keep)
	if n > 0 {
		f.log.Info().Int("runs", n).Msg("old runs deleted")
	}
	return err
}

// warnOfTokens logs, once a day, which stored tokens have expired or expire soon.
func (f *Follower) warnOfTokens(ctx context.Context) error {
	if time.Since(f.warned) < 24*time.Hour {
		return nil
	}
	list, err := f.ledger.Tokens(ctx)
	if err != nil {
		return err
	}
	f.warned = time.Now()
	for _, e := range credential.Expiring(list, config.Confluence{}, f.warned) {
		f.log.Warn().Str("credential", e.Name).Time("expires_at", e.At).Str("mend", e.Mend()).Msg(e.Says())
	}
	return nil
}

// Stage describes the progress service as a stage of a process.
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

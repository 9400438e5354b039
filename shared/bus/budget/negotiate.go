package budget

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/sluicehq/sluice/shared/bus"
)

const (
	// budgetLead is the time before its last slot at which a replica with more calls requests more
	// slots.
	budgetLead = 200 * time.Millisecond
	// budgetLinger is how long a free place is kept for the next call if no other replica wants it.
	budgetLinger = 100 * time.Millisecond
	// clockAge is how long a reading of the broker's clock stays valid.
	clockAge = 10 * time.Second
	// shortestTrip and longestTrip limit the estimate of the time to the broker. No slot is given further
	// ahead than budgetAhead: with a longer estimate a replica would get none, write nothing, and so never
	// learn that the broker is fast again.
	shortestTrip, longestTrip = 2 * time.Millisecond, budgetAhead
)

// table is the state of the negotiation.
type table struct {
	trip    time.Duration // generous estimate of the time from the plan to its confirmation
	retries int           // consecutive failures
}

// run negotiates until ctx ends.
func (g *Budget) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(g.negotiate(ctx))
		select {
		case <-g.kick:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// negotiate exchanges data with the broker if necessary, and returns the time until the next look.
func (g *Budget) negotiate(ctx context.Context) time.Duration {
	if wait := g.silence(time.Now()); wait > 0 {
		return wait
	}
	err := g.bargain(ctx)
	switch {
	case err == nil:
		g.table.retries = 0
		return 0
	case ctx.Err() != nil, g.cell.Ending(err):
		return time.Hour // run ends it
	case errors.Is(err, bus.ErrChanged):
		g.table.retries++
		select {
		case <-time.After(rand.N(time.Millisecond << min(g.table.retries, 5))): //nolint:gosec // spreads the retries of replicas
		case <-ctx.Done():
		}
	case g.cell.Heal(ctx, err):
	default:
		g.cell.Log().Warn().Err(err).Msg("the request budget does not answer, nothing is called until it does")
		g.cell.Rest(ctx, g.table.retries)
		g.table.retries++
	}
	return 0
}

// silence returns how long no exchange is necessary.
func (g *Budget) silence(now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.calls) > 0 && now.Sub(g.calls[0]) > budgetLease {
		g.calls = g.calls[1:]
		g.freed()
	}
	if g.look || g.lifted.After(g.seen.lifted) || g.pause.After(now) && g.pause.Sub(g.seen.pause) > pauseSlack {
		return 0
	}
	wait := time.Hour
	if len(g.queue) > 0 {
		at := g.after
		if n := len(g.ready); n > 0 {
			at = latest(at, g.ready[n-1].slot.Add(-budgetLead))
		}
		if g.pause.After(now) {
			at = latest(at, g.pause.Add(rand.N(pauseSlack))) //nolint:gosec // spreads the retries of replicas
		}
		wait = at.Sub(now)
	}
	free := g.seen.places > len(g.ready)+len(g.calls)
	switch {
	case free && g.seen.othersWait:
		return 0
	case free || g.seen.waiting && len(g.queue) == 0:
		wait = min(wait, g.idleAt.Add(budgetLinger).Sub(now))
	}
	if g.seen.places > 0 {
		wait = min(wait, g.seen.at.Add(budgetLease/3).Sub(now))
	}
	return wait
}

// bargain reads the schedule, claims the slots that this replica needs and may have, and writes it back.
func (g *Budget) bargain(ctx context.Context) error {
	if err := g.cell.Connected(ctx); err != nil {
		return err
	}
	line, _ := g.cell.Line()
	ctx, cancel := context.WithTimeout(ctx, g.cell.Timeout())
	defer cancel()
	clock, err := g.readClock(ctx, line)
	if err != nil {
		return fmt.Errorf("read the broker's clock: %w", err)
	}
	s, revision, err := g.load(ctx, clock)
	if err != nil {
		return fmt.Errorf("read the request budget: %w", err)
	}
	lifted := s.Lifted
	d := g.demand(s, clock, line)
	start := clock.now()
	got := s.reserve(g.id, start, d, g.terms)
	if got.wrote || revision == 0 || s.Lifted.After(lifted) {
		s.By = g.id
		err := g.store(ctx, s, revision)
		// A slot that comes before its confirmation is lost, so the next plan allows for twice this
		// time.
		g.table.trip = min(max(2*clock.now().Sub(start), g.table.trip*7/8, shortestTrip), longestTrip)
		if err != nil {
			return err
		}
	}
	g.accept(s, got, d)
	return nil
}

// load returns the schedule and its revision, which is 0 for a new schedule.
func (g *Budget) load(ctx context.Context, clock brokerClock) (*schedule, uint64, error) {
	value, revision, err := g.cell.Read(ctx)
	if err != nil {
		return nil, 0, err
	}
	if revision == 0 {
		_, touched, err := g.cell.Clock(ctx)
		return g.blank(clock, touched), 0, err
	}
	var s schedule
	if err := json.Unmarshal(value, &s); err != nil || s.Epoch == "" {
		g.cell.Log().Warn().Err(err).Msg("the request budget cannot be read, beginning a new one")
		return g.blank(clock, clock.now()), revision, nil
	}
	return &s, revision, nil
}

// blank is a new schedule; nothing has been written to its bucket since the given time.
func (g *Budget) blank(clock brokerClock, since time.Time) *schedule {
	return &schedule{Epoch: g.id + "-" + clock.there.UTC().Format(time.RFC3339Nano), Next: g.terms.first(clock.now(), since)}
}

func (g *Budget) store(ctx context.Context, s *schedule, revision uint64) error {
	data, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode the request budget: %w", err)
	}
	if err := g.cell.Write(ctx, data, revision); err != nil {
		return fmt.Errorf("write the request budget: %w", err)
	}
	return nil
}

// demand adopts the schedule's state and returns this replica's demand. Slots of another schedule, or
// from before the connection broke, do not count. Nor does a pause from before a lift that only one of the
// two knows of: otherwise a replica that has not heard of the lift would announce its old pause again.
func (g *Budget) demand(s *schedule, clock brokerClock, line uint64) demand {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.clock, g.look = clock, false
	if s.Epoch != g.seen.epoch || line != g.line {
		g.dropAll()
	}
	g.line = line
	g.hearLift(s.Lifted)
	if g.lifted.After(s.Lifted) {
		s.Lifted, s.Pause = g.lifted, time.Time{}
	}
	g.hearPause(s.Pause)
	d := demand{busy: len(g.ready) + len(g.calls), queued: len(g.queue), yield: g.gave, trip: g.table.trip}
	if g.pause.After(time.Now()) {
		d.pause = clock.there.Add(g.pause.Sub(clock.here))
	}
	return d
}

// accept assigns the granted slots to the waiters.
func (g *Budget) accept(s *schedule, got grant, d demand) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	mine := s.Replicas[g.id]
	g.gave = false
	g.seen = sight{
		epoch: s.Epoch, pause: g.clock.local(s.Pause), lifted: s.Lifted, places: got.places, waiting: mine.Waiting > 0,
		at: g.clock.local(mine.At), othersWait: s.othersWait(g.id, g.clock.now()),
	}
	g.after = now.Add(got.again)
	if mine.Waiting > 0 && d.yield {
		g.after = now.Add(20*time.Millisecond + rand.N(20*time.Millisecond)) //nolint:gosec // spreads the retries of replicas
	}
	for _, slot := range got.slots {
		if len(g.queue) == 0 {
			g.idleAt = now
			return // the waiter has given up
		}
		w := g.queue[0]
		g.queue = g.queue[1:]
		w.slot = g.clock.local(slot)
		g.ready = append(g.ready, w)
		w.rouse()
	}
}

// hear follows the other replicas' writes, so that a pause applies immediately and a free place is found
// soon. The values are hints: the write may have been rejected, or belong to a lost schedule.
func (g *Budget) hear(value []byte) {
	var s schedule
	if err := json.Unmarshal(value, &s); err != nil || s.By == g.id {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if s.Epoch != g.seen.epoch || g.clock.here.IsZero() {
		g.dropAll()
		g.look = true
		g.nudge()
		return
	}
	lifted := g.hearLift(s.Lifted)
	if !s.Lifted.Before(g.lifted) {
		g.hearPause(s.Pause)
	}
	g.seen.othersWait = s.othersWait(g.id, g.clock.now())
	if g.seen.waiting && s.places() < g.terms.concurrency {
		g.after = time.Time{}
	}
	if g.seen.waiting || g.seen.othersWait || lifted {
		g.nudge()
	}
}

func (g *Budget) hearPause(until time.Time) {
	if until.After(g.clock.now()) {
		g.pauseUntil(g.clock.local(until))
	}
}

// brokerClock is the broker's time: one reading, and its age by this machine's monotonic clock.
type brokerClock struct {
	here, there time.Time
	line        uint64
}

func (c brokerClock) now() time.Time { return c.there.Add(time.Since(c.here)) }

func (c brokerClock) local(t time.Time) time.Time { return c.here.Add(t.Sub(c.there)) }

// readClock reads the broker's time if the last reading is old. Of three readings it uses the one with
// the shortest round trip, whose error is at most half of that trip.
func (g *Budget) readClock(ctx context.Context, line uint64) (brokerClock, error) {
	g.mu.Lock()
	known := g.clock
	g.mu.Unlock()
	if !known.here.IsZero() && known.line == line && time.Since(known.here) < clockAge {
		return known, nil
	}
	var best brokerClock
	var shortest time.Duration
	for range 3 {
		asked := time.Now()
		there, _, err := g.cell.Clock(ctx)
		if err != nil {
			return best, err
		}
		if way := time.Since(asked); best.here.IsZero() || way < shortest {
			shortest = way
			best = brokerClock{here: asked.Add(way / 2), there: there, line: line}
		}
	}
	return best, nil
}

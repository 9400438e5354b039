// Package budget is the budget of calls to a site, shared by all processes on one broker.
package budget

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluicehq/sluice/shared/bus"
)

// PausedError says that a site requested a longer pause than callers wait in place.
type PausedError struct {
	Until time.Time // by this machine's clock
}

func (e *PausedError) Error() string {
	return "the site has asked for a pause until " + e.Until.UTC().Format(time.RFC3339)
}

// PausedUntil returns Until.
func (e *PausedError) PausedUntil() time.Time { return e.Until }

// Limits are the limits for all processes on one broker together. All processes should have the same
// configuration: each applies its own.
type Limits struct {
	PerSecond   float64       // calls a second; a fraction is rounded up within one second
	Concurrency int           // concurrent calls
	MaxWait     time.Duration // for a longer pause, Wait returns a *PausedError
}

// Budget is this process's part in a site's budget of calls, shared by all processes that call the same
// site and use the same broker. They keep a schedule of slots in a bucket of the broker: each claims a
// few slots at a time by compare-and-set, and lets its calls go at the times of their slots. An unused
// slot is lost and not made up for: there is no burst.
//
// Without the broker there are no calls. Budget's methods are safe for concurrent use.
type Budget struct {
	cell    *bus.Cell
	id      string // of this replica
	terms   terms
	maxWait time.Duration
	kick    chan struct{} // signals a change to the negotiation
	table   table         // owned by the negotiation

	mu     sync.Mutex
	clock  brokerClock
	queue  []*waiter   // waiting for a slot, in order of arrival
	ready  []*waiter   // with a slot, in order of slots
	calls  []time.Time // start times of the current calls
	pause  time.Time   // no call before it, by this machine's clock
	lifted time.Time   // the last known lift of a pause; see Lift
	seen   sight       // the last known schedule
	after  time.Time   // requesting slots before it is useless
	gave   bool        // a place was released since the schedule was last written
	look   bool        // the schedule must be read: it may have been replaced
	line   uint64      // number of the connection through which the slots were claimed
	idleAt time.Time   // time when the last place was released
}

// sight is a replica's memory of the schedule.
type sight struct {
	epoch      string
	pause      time.Time // by this machine's clock
	lifted     time.Time // the last lift that the schedule has
	places     int       // places of this replica
	waiting    bool      // it has announced that it waits
	at         time.Time // when it last wrote
	othersWait bool
}

// waiter is one waiting call. The budget's mutex guards its fields.
type waiter struct {
	slot time.Time     // by this machine's clock; zero without one
	wake chan struct{} // holds one token when slot or pause has changed
}

// Join joins the budget of a site, which is identified by its address alone. It lasts until the bus is
// closed. The error is bus.ErrClosed, or says that the limits are invalid.
func Join(b *bus.Bus, site string, l Limits) (*Budget, error) {
	if !(l.PerSecond > 0) || l.Concurrency < 1 {
		return nil, fmt.Errorf("budget of %g calls a second, %d at a time: both must be above 0", l.PerSecond, l.Concurrency)
	}
	g := &Budget{
		id: rand.Text(), terms: newTerms(l.PerSecond, l.Concurrency),
		maxWait: l.MaxWait, kick: make(chan struct{}, 1),
	}
	var err error
	if g.cell, err = b.Cell(key(site), g.hear); err != nil {
		return nil, err
	}
	g.cell.Keep(g.run)
	return g, nil
}

// key distinguishes sites without revealing anything about them.
func key(site string) string {
	site = strings.TrimRight(strings.ToLower(strings.TrimSpace(site)), "/")
	sum := sha256.Sum256([]byte(strings.TrimSuffix(site, "/wiki")))
	return hex.EncodeToString(sum[:16])
}

// Wait blocks until one call may be made. The call must start immediately and end within half a minute;
// Done then reports its end. Wait returns the context's error, *PausedError, or bus.ErrClosed; after an
// error no call may be made.
func (g *Budget) Wait(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w := &waiter{wake: make(chan struct{}, 1)}
	g.join(w)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		slot, err := g.state(w)
		if err != nil {
			g.leave(w)
			return err
		}
		var due <-chan time.Time
		if !slot.IsZero() {
			timer.Reset(time.Until(slot))
			due = timer.C
		}
		select {
		case <-due:
			if g.take(w) {
				return nil
			}
		case <-w.wake:
		case <-ctx.Done():
			g.leave(w)
			return ctx.Err()
		case <-g.cell.Closed():
			g.leave(w)
			return bus.ErrClosed
		}
	}
}

// Done releases the place of a call that Wait let through. Without Done, the place stays taken for the
// time of a lease.
func (g *Budget) Done() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.calls) == 0 {
		return
	}
	g.calls = slices.Delete(g.calls, 0, 1)
	g.freed()
}

// Pause blocks all calls in all processes until the given time. It never shortens a pause, and it does
// not wait for the broker.
func (g *Budget) Pause(until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pauseUntil(time.Now().Add(time.Until(until))) // with the monotonic clock
	g.nudge()
}

// Lift ends the pause for all processes, and reports whether at is news here. at says when somebody lifted
// the pause, by a clock that all lifts of the site share; it is compared only with other lifts, so every
// process may repeat a lift without ending a later pause.
func (g *Budget) Lift(at time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.hearLift(at) {
		return false
	}
	g.nudge()
	return true
}

// hearLift drops a pause that was lifted, and reports whether the lift is news.
func (g *Budget) hearLift(at time.Time) bool {
	if !at.After(g.lifted) {
		return false
	}
	g.lifted = at
	g.pause = time.Time{}
	return true
}

func (g *Budget) join(w *waiter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.queue = append(g.queue, w)
	g.nudge()
}

// state returns a waiter's slot, or the error that ends its wait.
func (g *Budget) state(w *waiter) (time.Time, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if time.Until(g.pause) > g.maxWait {
		return time.Time{}, &PausedError{Until: g.pause}
	}
	return w.slot, nil
}

// take starts a waiter's call when its slot comes. A missed slot is lost: using it late would put two
// calls together.
func (g *Budget) take(w *waiter) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	i := slices.Index(g.ready, w)
	if i < 0 || now.Before(w.slot) {
		return false // the slot was withdrawn, or moved, while the timer ran
	}
	g.ready = slices.Delete(g.ready, i, i+1)
	if now.Sub(w.slot) > budgetLate || now.Before(g.pause) || !g.online() {
		w.slot = time.Time{}
		g.queue = slices.Insert(g.queue, 0, w)
		g.freed()
		return false
	}
	g.calls = append(g.calls, now)
	return true
}

// online reports whether the connection through which the slots were claimed is still up. If it broke,
// the broker may have lost its store, and others may have made a new schedule.
func (g *Budget) online() bool {
	line, up := g.cell.Line()
	return up && line == g.line
}

// leave removes a waiter that has given up. The next in the queue gets its slot.
func (g *Budget) leave(w *waiter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.queue, w); i >= 0 {
		g.queue = slices.Delete(g.queue, i, i+1)
		return
	}
	i := slices.Index(g.ready, w)
	if i < 0 {
		return
	}
	if len(g.queue) == 0 {
		g.ready = slices.Delete(g.ready, i, i+1)
		g.freed()
		return
	}
	next := g.queue[0]
	g.queue = slices.Delete(g.queue, 0, 1)
	next.slot, g.ready[i] = w.slot, next
	next.rouse()
}

// freed records that a place was released.
func (g *Budget) freed() {
	g.gave, g.idleAt = true, time.Now()
	g.after = time.Time{}
	g.nudge()
}

func (g *Budget) pauseUntil(until time.Time) {
	if !until.After(g.pause) {
		return
	}
	g.pause = until
	g.drop(until)
	for _, w := range g.queue {
		w.rouse() // the pause may be longer than its longest wait
	}
}

// dropAll withdraws every slot.
func (g *Budget) dropAll() {
	if n := len(g.ready); n > 0 {
		g.drop(g.ready[n-1].slot.Add(time.Hour))
	}
}

// drop withdraws the slots before a time. Their waiters return to the front of the queue.
func (g *Budget) drop(before time.Time) {
	var back, keep []*waiter
	for _, w := range g.ready {
		if w.slot.Before(before) {
			w.slot = time.Time{}
			w.rouse()
			back = append(back, w)
		} else {
			keep = append(keep, w)
		}
	}
	if len(back) > 0 {
		g.queue, g.ready = append(back, g.queue...), keep
		g.freed()
	}
}

func (w *waiter) rouse() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (g *Budget) nudge() {
	select {
	case g.kick <- struct{}{}:
	default:
	}
}

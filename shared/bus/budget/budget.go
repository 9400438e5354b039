// Package budget is the budget of calls to a site that all processes on one broker share.
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

// PausedError says that a site wants no calls for longer than is waited in place.
type PausedError struct {
	Until time.Time // by this machine's clock
}

func (e *PausedError) Error() string {
	return "the site has asked for a pause until " + e.Until.UTC().Format(time.RFC3339)
}

// PausedUntil returns Until.
func (e *PausedError) PausedUntil() time.Time { return e.Until }

// Limits are what all processes on one broker may do together. They should be told the
// same: a process goes by its own.
type Limits struct {
	PerSecond   float64       // calls a second; a fraction is rounded up within one second
	Concurrency int           // calls under way at one time
	MaxWait     time.Duration // a longer pause is not waited for but is a *PausedError
}

// Budget is this process's part in a site's budget of calls, which all processes that ask
// for the same site on the same broker share. They keep a schedule of slots in a bucket of
// the broker: each takes a few at a time by compare-and-set, and lets its calls go when
// their slots come. What is not used in time is lost, never made up for: there is no burst.
//
// Without the broker there are no calls. Its methods may be called from many goroutines.
type Budget struct {
	cell    *bus.Cell
	id      string // of this replica
	terms   terms
	maxWait time.Duration
	kick    chan struct{} // something has changed that the negotiation should look at
	table   table         // the negotiation's own

	mu     sync.Mutex
	clock  brokerClock
	queue  []*waiter   // without a slot, first come first served
	ready  []*waiter   // with one, in their order
	calls  []time.Time // when each call under way began
	pause  time.Time   // no call before it, by this machine's clock
	seen   sight       // the schedule as it was last seen
	after  time.Time   // no use in asking for slots before it
	gave   bool        // a place came free since the schedule was last written
	look   bool        // the schedule must be read: it may be another one
	line   uint64      // which connection to the broker the slots were taken through
	idleAt time.Time   // when the last place came free
}

// sight is what a replica remembers of the schedule.
type sight struct {
	epoch      string
	pause      time.Time // by this machine's clock
	places     int       // that it has
	waiting    bool      // it said that it waits
	at         time.Time // when it last wrote
	othersWait bool
}

// waiter is one call that waits. Its fields are guarded by the budget's mutex.
type waiter struct {
	slot time.Time     // by this machine's clock; zero without one
	wake chan struct{} // holds one token when slot or pause has changed
}

// Join joins the budget of a site, which is known by its address alone. It lasts until the bus is
// closed. The error is bus.ErrClosed, or says that the limits are none.
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

// key tells sites apart and tells nothing about them.
func key(site string) string {
	site = strings.TrimRight(strings.ToLower(strings.TrimSpace(site)), "/")
	sum := sha256.Sum256([]byte(strings.TrimSuffix(site, "/wiki")))
	return hex.EncodeToString(sum[:16])
}

// Wait blocks until one call may be made, which has to begin at once and end within
// half a minute; Done then says that it has ended. Wait returns the context's error,
// *PausedError, or bus.ErrClosed, and after an error no call may be made.
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

// Done gives back the place of a call that Wait let through. Whoever never says so keeps the
// place for the time of a lease.
func (g *Budget) Done() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.calls) == 0 {
		return
	}
	g.calls = slices.Delete(g.calls, 0, 1)
	g.freed()
}

// Pause lets no call through before the time given, in any process. A pause is never
// shortened. It does not wait for the broker.
func (g *Budget) Pause(until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pauseUntil(time.Now().Add(time.Until(until))) // with a reading of the steady clock
	g.nudge()
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

// take makes a call of a waiter whose slot has come. A slot that is missed is lost: to use
// it late would push two calls together.
func (g *Budget) take(w *waiter) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	i := slices.Index(g.ready, w)
	if i < 0 || now.Before(w.slot) {
		return false // it was taken back, or moved, while the timer ran
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

// online reports whether the connection that the slots were taken through still stands. When
// it has broken, the broker may have come back without its store, and others may have made a
// new schedule.
func (g *Budget) online() bool {
	line, up := g.cell.Line()
	return up && line == g.line
}

// leave takes out a waiter that has given up. The next in the queue gets its slot.
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

// freed notes that a place came free.
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
		w.rouse() // the pause may be longer than it waits for
	}
}

// dropAll takes back every slot.
func (g *Budget) dropAll() {
	if n := len(g.ready); n > 0 {
		g.drop(g.ready[n-1].slot.Add(time.Hour))
	}
}

// drop takes back the slots before a time. Their waiters are the first of the queue again.
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

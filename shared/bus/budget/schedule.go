package budget

import "time"

const (
	// spacing stretches the interval between two calls, so that calls that leave up to budgetLate after
	// their slot, with clocks that differ by up to 8 ms, still keep the rate in every window of one
	// second.
	spacing    = 1.02
	budgetLate = 12 * time.Millisecond

	// budgetBatch is the part of the schedule that a replica claims at a time, and budgetAhead is how
	// far all replicas together claim it: claimed and unused slots are lost.
	budgetBatch = 500 * time.Millisecond
	budgetAhead = 2 * time.Second

	// budgetLease is how long the places of a dead replica stay taken. It is longer than a call may
	// take, and is renewed while there are calls.
	budgetLease = 40 * time.Second
	// budgetClaim is how long a replica counts as waiting after its last announcement.
	budgetClaim = 3 * time.Second
	// budgetQuiet is the silent time before the first slot of a new schedule, unless no schedule can
	// have been lost. Owners of slots of a lost schedule may have used them until now.
	budgetQuiet = time.Second
	// pauseSlack is the largest difference between two readings of one pause, which is announced by the
	// broker's clock and waited for by the process's own.
	pauseSlack = 50 * time.Millisecond
	// budgetJump is the limit for how far ahead a schedule can be. If it is further ahead, the broker's
	// clock was set back.
	budgetJump = time.Minute
)

// schedule is the agreement of the replicas that share a site, as stored in the bucket. Its times are
// the broker's.
type schedule struct {
	Epoch    string             `json:"epoch"`           // of this schedule; a new one begins when the old one is lost
	Next     time.Time          `json:"next"`            // the first free slot
	Pause    time.Time          `json:"pause,omitzero"`  // no call before it
	Lifted   time.Time          `json:"lifted,omitzero"` // the last lift of a pause, by the clock of lifts
	Replicas map[string]replica `json:"replicas"`
	By       string             `json:"by"` // the replica that wrote it
}

// replica is one process's share of the budget.
type replica struct {
	Places  int       `json:"places"`  // current and imminent calls
	Waiting int       `json:"waiting"` // calls without a place
	At      time.Time `json:"at"`      // when it last wrote
}

// demand is one process's demand on the budget.
type demand struct {
	busy   int           // calls that have a place
	queued int           // calls that wait for a place
	yield  bool          // others come first: this replica has just had a place
	trip   time.Duration // the time until this replica learns of its slots
	pause  time.Time     // by the broker's clock; zero for none
}

// terms are a replica's configured limits.
type terms struct {
	interval    time.Duration // between two slots
	concurrency int
}

func newTerms(perSecond float64, concurrency int) terms {
	return terms{
		interval:    time.Duration(spacing * float64(time.Second) / perSecond),
		concurrency: concurrency,
	}
}

func (t terms) batch() int { return max(1, int(budgetBatch/t.interval)) }

// ahead leaves room for two slots at the slowest rates.
func (t terms) ahead() time.Duration { return max(budgetAhead, t.interval) }

// first is the earliest start of a new schedule, if its bucket was not touched since the given time, for
// example its creation. A lost schedule was written before that time, so its last slot is at most the
// claimed distance after it, and one second after that slot nothing of it counts.
func (t terms) first(now, since time.Time) time.Time {
	quiet := now.Add(budgetQuiet)
	if known := since.Add(t.ahead() + budgetQuiet); known.Before(quiet) {
		return known
	}
	return quiet
}

// grant is a replica's result.
type grant struct {
	slots  []time.Time // one for each call, by the broker's clock
	places int         // that the replica has now
	wrote  bool        // the schedule has changed and must be stored
	again  time.Duration
}

// reserve gives the replica me its possible share of its demand and records it in s. Slots are one
// interval apart and have one owner; places never exceed the limit. If a demand is not met in full,
// again is the time of the next try.
func (s *schedule) reserve(me string, now time.Time, d demand, t terms) grant {
	if s.Replicas == nil {
		s.Replicas = map[string]replica{}
	}
	before, known := s.Replicas[me]
	g := grant{wrote: s.forget(now)}
	if d.pause.Sub(s.Pause) > pauseSlack {
		s.Pause, g.wrote = d.pause, true
	}
	room := s.room(me, now, d, t)
	n := 0
	if !s.Pause.After(now) {
		n = min(d.queued, room, t.batch())
	}
	if s.Next.After(now.Add(budgetJump + 2*t.ahead())) {
		s.Next, g.wrote = now.Add(budgetQuiet), true
	}
	for range n {
		slot := latest(s.Next, now.Add(d.trip))
		if early := slot.Sub(now.Add(t.ahead())); early > 0 {
			g.again = early
			break
		}
		g.slots = append(g.slots, slot)
		s.Next = slot.Add(t.interval)
	}
	after := replica{Places: d.busy + len(g.slots), At: now}
	if room < min(d.queued, t.batch()) {
		after.Waiting = d.queued - room
		g.again = time.Second
	}
	g.places = after.Places
	switch {
	case after.Places == 0 && after.Waiting == 0:
		delete(s.Replicas, me)
		g.wrote = g.wrote || known
		return g
	case len(g.slots) > 0 || !known || before.Places != after.Places || before.Waiting != after.Waiting,
		now.Sub(before.At) > budgetLease/4 || after.Waiting > 0 && now.Sub(before.At) > budgetClaim/4:
		g.wrote = true
		s.Replicas[me] = after
	}
	return g
}

// room is the number of further places that me may take. While others wait, no replica gets more than
// one place more than the one with the fewest; and a replica that has just released a place does not
// take it again before replicas without one.
func (s *schedule) room(me string, now time.Time, d demand, t terms) int {
	room := t.concurrency - d.busy
	least := -1
	for id, r := range s.Replicas {
		if id == me {
			continue
		}
		room -= r.Places
		if r.waits(now) && (least < 0 || r.Places < least) {
			least = r.Places
		}
	}
	if least >= 0 {
		room = min(room, least+1-d.busy)
	}
	if least == 0 && d.yield {
		room = 0
	}
	return max(room, 0)
}

// othersWait reports whether another replica would immediately take a place that me does not need.
func (s *schedule) othersWait(me string, now time.Time) bool {
	for id, r := range s.Replicas {
		if id != me && r.waits(now) {
			return true
		}
	}
	return false
}

// places is the number of taken places.
func (s *schedule) places() int {
	n := 0
	for _, r := range s.Replicas {
		n += r.Places
	}
	return n
}

func (r replica) waits(now time.Time) bool { return r.Waiting > 0 && now.Sub(r.At) < budgetClaim }

// forget removes replicas whose last write is so old that all their calls have ended. It reports whether
// there was one.
func (s *schedule) forget(now time.Time) bool {
	gone := false
	for id, r := range s.Replicas {
		if age := now.Sub(r.At); age > budgetLease || age < -budgetJump {
			delete(s.Replicas, id)
			gone = true
		}
	}
	return gone
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

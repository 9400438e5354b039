package budget

import "time"

const (
	// spacing stretches the interval between two calls, so that calls which leave up to
	// budgetLate after their slot, by clocks that differ by up to 8 ms, still keep the rate in
	// every window of one second.
	spacing    = 1.02
	budgetLate = 12 * time.Millisecond

	// budgetBatch is how much of the schedule a replica takes at a time, and budgetAhead how
	// far all of them together take it: what is taken and not used is lost.
	budgetBatch = 500 * time.Millisecond
	budgetAhead = 2 * time.Second

	// budgetLease is how long the places of a replica that died stay taken. It is longer than
	// a call may take, and renewed while there are calls.
	budgetLease = 40 * time.Second
	// budgetClaim is how long a replica counts as waiting after it last said so.
	budgetClaim = 3 * time.Second
	// budgetQuiet is before the first slot of a schedule made from nothing, unless there was
	// none that could have been lost. Whoever had slots of it may have used them until now.
	budgetQuiet = time.Second
	// pauseSlack is how much two readings of one pause may differ, since it is told by the
	// broker's clock and waited for by the process's own.
	pauseSlack = 50 * time.Millisecond
	// budgetJump is how far ahead a schedule is believed. Further ahead, it is the broker's
	// clock that was set back.
	budgetJump = time.Minute
)

// schedule is what the replicas that share a site agree on, as it lies in the bucket. Its
// times are the broker's.
type schedule struct {
	Epoch    string             `json:"epoch"`          // of this schedule; a new one begins when the old one is lost
	Next     time.Time          `json:"next"`           // the first slot that nobody has
	Pause    time.Time          `json:"pause,omitzero"` // no call before it
	Replicas map[string]replica `json:"replicas"`
	By       string             `json:"by"` // who wrote it
}

// replica is what one process has of the budget.
type replica struct {
	Places  int       `json:"places"`  // calls under way or about to be
	Waiting int       `json:"waiting"` // calls that found no place
	At      time.Time `json:"at"`      // when it last wrote
}

// demand is what one process wants of the budget.
type demand struct {
	busy   int           // calls that have a place
	queued int           // calls that want one
	yield  bool          // others come first: this replica has just had a place
	trip   time.Duration // the time until this replica learns of its slots
	pause  time.Time     // by the broker's clock; zero for none
}

// terms are the limits that a replica was configured with.
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

// ahead leaves room for two slots at the slowest of rates.
func (t terms) ahead() time.Duration { return max(budgetAhead, t.interval) }

// first is when a schedule made from nothing may begin, if its bucket was not touched since a
// time, when it was made for example. A schedule that got lost was written before that, so that
// its last slot is as far ahead of it as slots are given, and a second after that slot nothing
// of it counts.
func (t terms) first(now, since time.Time) time.Time {
	quiet := now.Add(budgetQuiet)
	if known := since.Add(t.ahead() + budgetQuiet); known.Before(quiet) {
		return known
	}
	return quiet
}

// grant is what a replica got.
type grant struct {
	slots  []time.Time // one for each call, by the broker's clock
	places int         // that the replica has now
	wrote  bool        // the schedule has changed and must be stored
	again  time.Duration
}

// reserve gives the replica me what it may have of its demand and notes it in s. Slots are
// one interval apart and in nobody else's hand; there are never more places than the limit
// permits. When a demand is not met in full, again is when to come back.
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

// room is how many more places me may take. While others wait, nobody gets more than one
// ahead of the one that has least; and who has just given a place back does not take it
// again before those who have none.
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

// othersWait reports whether a place that me does not need would be taken at once.
func (s *schedule) othersWait(me string, now time.Time) bool {
	for id, r := range s.Replicas {
		if id != me && r.waits(now) {
			return true
		}
	}
	return false
}

// places is how many are taken.
func (s *schedule) places() int {
	n := 0
	for _, r := range s.Replicas {
		n += r.Places
	}
	return n
}

func (r replica) waits(now time.Time) bool { return r.Waiting > 0 && now.Sub(r.At) < budgetClaim }

// forget removes replicas that have not written for so long that none of their calls can be
// under way. It reports whether there was one.
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

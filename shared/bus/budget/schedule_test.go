package budget

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// Whatever replicas demand, and whenever some of them die, slots keep their distance and places never
// exceed the limit.
func TestScheduleHoldsWhateverIsAsked(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		limits := newTerms(1+r.Float64()*50, 1+r.IntN(8))
		s := schedule{Next: noon}
		busy := map[string]int{}
		now, last := noon, time.Time{}
		for range 500 {
			now = now.Add(time.Duration(r.IntN(300)) * time.Millisecond)
			me := fmt.Sprint(r.IntN(6))
			busy[me] -= r.IntN(busy[me] + 1)
			d := demand{busy: busy[me], queued: r.IntN(10), yield: r.IntN(2) == 0, trip: time.Duration(r.IntN(20)) * time.Millisecond}
			if r.IntN(50) == 0 {
				d.pause = now.Add(time.Duration(r.IntN(3000)) * time.Millisecond)
			}
			g := s.reserve(me, now, d, limits)
			busy[me] += len(g.slots)
			require.Equal(t, busy[me], g.places)
			for _, slot := range g.slots {
				require.GreaterOrEqual(t, slot.Sub(last), limits.interval, "seed %d", seed)
				require.False(t, slot.Before(s.Pause), "a slot in the pause")
				require.LessOrEqual(t, slot.Sub(now), limits.ahead())
				last = slot
			}
			require.LessOrEqual(t, s.places(), limits.concurrency, "seed %d", seed)
			require.LessOrEqual(t, len(s.Replicas), 6)
		}
	}
}

// One slow answer of the broker must not be the last: only a written slot shows that it is fast again.
func TestScheduleGivesSlotsHoweverSlowTheBrokerWas(t *testing.T) {
	for _, perSecond := range []float64{0.1, 1, 50, 1000} {
		limits := newTerms(perSecond, 4)
		for trip := shortestTrip; trip <= longestTrip; trip = min(2*trip, max(longestTrip, trip+1)) {
			s := schedule{Next: noon}
			g := s.reserve("me", noon, demand{queued: 4, trip: trip}, limits)
			require.NotEmpty(t, g.slots, "%g a second, %s to the broker", perSecond, trip)
			require.True(t, g.wrote)
			require.False(t, g.slots[0].Before(noon.Add(trip)))
		}
	}
}

func TestScheduleFreesThePlacesOfTheDead(t *testing.T) {
	limits := newTerms(10, 2)
	s := schedule{Next: noon}
	require.Len(t, s.reserve("dead", noon, demand{queued: 2}, limits).slots, 2)
	require.Empty(t, s.reserve("heir", noon.Add(budgetLease), demand{queued: 2}, limits).slots, "its calls may be under way")
	require.Len(t, s.reserve("heir", noon.Add(budgetLease+1), demand{queued: 2}, limits).slots, 2)
	require.NotContains(t, s.Replicas, "dead")
}

func TestScheduleForgetsWhoDiedWaiting(t *testing.T) {
	limits := newTerms(10, 4)
	s := schedule{Next: noon, Replicas: map[string]replica{"dead": {Waiting: 3, At: noon}}}
	require.Len(t, s.reserve("me", noon.Add(time.Second), demand{queued: 4}, limits).slots, 1, "the other may want some")
	require.Len(t, s.reserve("me", noon.Add(budgetClaim), demand{busy: 1, queued: 3}, limits).slots, 3)
}

func TestScheduleLetsOthersGoFirst(t *testing.T) {
	limits := newTerms(10, 1)
	s := schedule{Next: noon}
	require.Len(t, s.reserve("a", noon, demand{queued: 5}, limits).slots, 1)
	require.Empty(t, s.reserve("b", noon, demand{queued: 5}, limits).slots)
	require.Empty(t, s.reserve("a", noon, demand{queued: 4, yield: true}, limits).slots, "a has just had it")
	require.Len(t, s.reserve("b", noon, demand{queued: 5}, limits).slots, 1)
	require.Equal(t, map[string]replica{"a": {Waiting: 4, At: noon}, "b": {Places: 1, Waiting: 4, At: noon}}, s.Replicas)
}

// A broker whose clock is set back must not block all calls until the old time is reached again.
func TestScheduleSurvivesTheClock(t *testing.T) {
	limits := newTerms(10, 4)
	s := schedule{Next: noon, Replicas: map[string]replica{"other": {Places: 4, Waiting: 1, At: noon}}}
	back := noon.Add(-time.Hour)
	g := s.reserve("me", back, demand{queued: 1}, limits)
	require.Len(t, g.slots, 1)
	require.Equal(t, back.Add(budgetQuiet), g.slots[0], "others may hold slots by the clock as it was")
}

// A new schedule keeps a distance from the slots of a possibly lost one, and does not wait if none can
// have been lost.
func TestScheduleFromNothingWaitsForThoseOfALostOne(t *testing.T) {
	for name, limits := range map[string]terms{"fast": newTerms(10, 4), "slow": newTerms(0.1, 4)} {
		t.Run(name, func(t *testing.T) {
			lost := schedule{Next: noon}
			var last time.Time
			for g := lost.reserve("old", noon, demand{queued: 4}, limits); len(g.slots) > 0; g = lost.reserve("old", noon, demand{queued: 4}, limits) {
				last = g.slots[len(g.slots)-1]
				lost.Replicas = nil // the maximum number
			}
			require.True(t, last.After(noon))
			for wait := time.Duration(0); wait < 2*limits.ahead()+2*budgetQuiet; wait += 100 * time.Millisecond {
				now := noon.Add(wait)
				first := limits.first(now, noon)
				require.False(t, first.After(now.Add(budgetQuiet)), "no one has used a slot later than now")
				if first.Before(now.Add(budgetQuiet)) {
					require.False(t, first.Before(last.Add(budgetQuiet)))
				}
			}
			late := noon.Add(limits.ahead() + budgetQuiet)
			require.False(t, limits.first(late, noon).After(late), "at once")
		})
	}
}

func TestScheduleIsNotWrittenForNothing(t *testing.T) {
	limits := newTerms(10, 4)
	s := schedule{Next: noon}
	require.False(t, s.reserve("me", noon, demand{}, limits).wrote)
	require.True(t, s.reserve("me", noon, demand{queued: 1}, limits).wrote)
	require.False(t, s.reserve("me", noon.Add(time.Second), demand{busy: 1}, limits).wrote)
	require.True(t, s.reserve("me", noon.Add(budgetLease/3), demand{busy: 1}, limits).wrote, "the lease is renewed")
	require.True(t, s.reserve("me", noon.Add(budgetLease/3), demand{}, limits).wrote, "the place is released")
	require.Empty(t, s.Replicas)
}

// A call without Done keeps its place for the time of a lease, not forever.
func TestBudgetForgetsCallsWithoutAnEnd(t *testing.T) {
	g := &Budget{kick: make(chan struct{}, 1), calls: []time.Time{noon, noon.Add(time.Second)}}
	g.silence(noon.Add(budgetLease + time.Millisecond))
	require.Equal(t, []time.Time{noon.Add(time.Second)}, g.calls)
}

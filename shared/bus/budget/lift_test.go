package budget

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// meet makes a replica exchange its state with the schedule.
func (g *Budget) meet(s *schedule) {
	now := time.Now()
	d := g.demand(s, brokerClock{here: now, there: now.Add(time.Hour)}, 0)
	got := s.reserve(g.id, g.clock.now(), d, g.terms)
	s.By = g.id
	g.accept(s, got, d)
}

func (g *Budget) paused() bool { return g.pause.After(time.Now()) }

// Replicas hear of a pause and of its lift in any order, late, or never.
func TestALiftHoldsAgainstReplicasThatDoNotKnowIt(t *testing.T) {
	replica := func(id string) *Budget {
		return &Budget{id: id, terms: newTerms(10, 4), maxWait: time.Second, kick: make(chan struct{}, 1)}
	}
	one, deaf, idle := replica("one"), replica("deaf"), replica("idle")
	s := &schedule{}
	all := []*Budget{one, deaf, idle}
	for _, g := range all {
		g.meet(s)
	}
	one.Pause(time.Now().Add(time.Hour))
	for _, g := range all {
		g.meet(s)
		require.True(t, g.paused(), g.id)
	}
	s.By = "deaf"
	old, err := json.Marshal(s)
	require.NoError(t, err)

	require.True(t, one.Lift(noon))
	require.Zero(t, one.silence(time.Now()), "the others must learn of it")
	one.hear(old)
	require.False(t, one.paused(), "a write from before the lift comes late")
	one.meet(s)
	require.Positive(t, one.silence(time.Now()))
	require.Zero(t, s.Pause)
	deaf.meet(s)
	require.False(t, deaf.paused())
	require.Zero(t, s.Pause, "its old pause is not announced again")

	news, err := json.Marshal(s)
	require.NoError(t, err)
	idle.hear(news)
	require.False(t, idle.paused())
	idle.Pause(time.Now().Add(time.Minute))
	require.Zero(t, idle.silence(time.Now()), "a new pause is announced, although it is shorter than the old one")
	idle.meet(s)
	one.hear(news) // which is late
	require.False(t, one.Lift(noon))
	for _, g := range all {
		g.meet(s)
		require.True(t, g.paused(), g.id)
	}
}

package run_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/run"
)

func TestTheStateThatTheLedgerProves(t *testing.T) {
	for name, tc := range map[string]struct {
		s    run.Standing
		want event.State
	}{
		"waits for its turn":             {run.Standing{State: event.StateRequested}, event.StateRequested},
		"is still listed":                {run.Standing{State: event.StateListing, AwaitBody: 3}, event.StateListing},
		"bodies are missing":             {run.Standing{State: event.StateFetching, AwaitBody: 1, Counts: event.Counts{Listed: 9, Pending: 1}}, event.StateFetching},
		"a body is missing again":        {run.Standing{State: event.StateFinishing, AwaitBody: 1, Counts: event.Counts{Pending: 1}}, event.StateFetching},
		"removals are to be checked":     {run.Standing{State: event.StateFetching, Mode: event.Full}, event.StateFinishing},
		"a candidate is pending":         {run.Standing{State: event.StateFinishing, Mode: event.Full, RemovalsChecked: true, Counts: event.Counts{Pending: 1}}, event.StateFinishing},
		"incremental checks no removals": {run.Standing{State: event.StateFetching, Mode: event.Incremental}, event.StateCompleted},
		"all is done":                    {run.Standing{State: event.StateFinishing, Mode: event.Full, RemovalsChecked: true}, event.StateCompleted},
		"a page failed":                  {run.Standing{State: event.StateFetching, Mode: event.Incremental, Counts: event.Counts{Listed: 2, Created: 1, Failed: 1}}, event.StateCompletedWithFailures},
		"the brake":                      {run.Standing{State: event.StateFinishing, Mode: event.Full, RemovalsChecked: true, TooManyRemovals: true, Counts: event.Counts{Failed: 1}}, event.StateHeld},
		"has failed":                     {run.Standing{State: event.StateFailed, AwaitBody: 3}, event.StateFailed},
		"was cancelled":                  {run.Standing{State: event.StateCancelled}, event.StateCancelled},
	} {
		require.Equal(t, tc.want, tc.s.Next(), name)
	}
}

func TestHowFarARunIs(t *testing.T) {
	for name, tc := range map[string]struct {
		s    run.Standing
		want int
	}{
		"listing":            {run.Standing{State: event.StateListing, Listed: 10}, 0},
		"nothing is fetched": {run.Standing{State: event.StateFetching, ListingDone: true, Listed: 10, AwaitBody: 10}, 0},
		"half":               {run.Standing{State: event.StateFetching, ListingDone: true, Listed: 10, AwaitBody: 5}, 49},
		"finishing":          {run.Standing{State: event.StateFinishing, ListingDone: true, Listed: 10}, 99},
		"nothing was listed": {run.Standing{State: event.StateFetching, ListingDone: true}, 99},
		"completed":          {run.Standing{State: event.StateCompleted, ListingDone: true, Listed: 10}, 100},
		"with failures":      {run.Standing{State: event.StateCompletedWithFailures}, 100},
		"held":               {run.Standing{State: event.StateHeld}, 100},
		"failed on its way":  {run.Standing{State: event.StateFailed, ListingDone: true, Listed: 4, AwaitBody: 3}, 24},
	} {
		require.Equal(t, tc.want, tc.s.Percent(), name)
	}
}

func TestALedgerBalances(t *testing.T) {
	each := event.Counts{Listed: 6, Created: 1, Updated: 1, Unchanged: 1, Removed: 1, Skipped: 1, Failed: 1}
	require.True(t, run.Balances(6, each))
	require.True(t, run.Balances(0, event.Counts{}))
	require.False(t, run.Balances(7, each), "a row is missing")
	require.False(t, run.Balances(5, each), "a row is too many")
	require.False(t, run.Balances(2, event.Counts{Listed: 2, Pending: 1, Created: 1}), "a page has no outcome")
}

func TestRunsTakeTurns(t *testing.T) {
	at := time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)
	early := run.Place{ID: "b-early", State: event.StateRequested, Requested: at}
	twin := run.Place{ID: "c-twin", State: event.StateRequested, Requested: at}
	late := run.Place{ID: "a-late", State: event.StateRequested, Requested: at.Add(time.Minute)}
	under := run.Place{ID: "under-way", State: event.StateFetching, Requested: at.Add(time.Hour)}
	require.Equal(t, []run.Place{early, twin, late}, run.Line([]run.Place{late, twin, early}))
	open := []run.Place{late, early, under, twin}
	require.Equal(t, []run.Place{under, early, twin, late}, run.Line(open), "the one under way is first, however late it was asked for")
	require.Equal(t, []run.Place{late, early, under, twin}, open, "what is given stays as it is")
	for id, want := range map[string]string{"under-way": "", "b-early": "under-way", "c-twin": "b-early", "a-late": "c-twin", "nobody": ""} {
		require.Equal(t, want, run.WaitsFor(open, id), id)
	}
}

func TestTheBrakeHoldsWhatIsManyAndAShare(t *testing.T) {
	b := run.Brake{Pages: 10, Percent: 20}
	for name, tc := range map[string]struct {
		removals, live int
		held           bool
	}{
		"nothing":                 {0, 0, false},
		"few of a small space":    {10, 10, false},
		"many of a small space":   {11, 50, true},
		"exactly the share":       {20, 100, false},
		"just above":              {21, 100, true},
		"many, a small share":     {100, 1000, false},
		"all":                     {11, 11, true},
		"all of a space now gone": {11, 0, true},
	} {
		require.Equal(t, tc.held, b.Holds(tc.removals, tc.live), name)
	}
}

func TestTheBrakeHoldsEachSortAndAllTogether(t *testing.T) {
	b := run.Brake{Pages: 10, Percent: 20}
	for name, tc := range map[string]struct {
		pages, threads run.Share
		held           bool
	}{
		"nothing":                           {run.Share{}, run.Share{}, false},
		"most pages beside many threads":    {run.Share{Removals: 60, Live: 100}, run.Share{Live: 400}, true},
		"most threads beside many pages":    {run.Share{Live: 400}, run.Share{Removals: 60, Live: 100}, true},
		"few of both":                       {run.Share{Removals: 20, Live: 100}, run.Share{Removals: 20, Live: 100}, false},
		"few of each, many of a small all":  {run.Share{Removals: 10, Live: 20}, run.Share{Removals: 10, Live: 20}, true},
		"few of each, a small share of all": {run.Share{Removals: 10, Live: 20}, run.Share{Removals: 10, Live: 200}, false},
	} {
		require.Equal(t, tc.held, b.HoldsAny(tc.pages, tc.threads), name)
	}
}

func TestASequenceNumberAlwaysGrows(t *testing.T) {
	at := time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)
	first := run.NextSeq(0, at)
	require.Equal(t, at.UnixMicro(), first)
	require.Greater(t, run.NextSeq(first, at.Add(time.Second)), first)
	require.Equal(t, first+1, run.NextSeq(first, at), "at the same time")
	require.Equal(t, first+1, run.NextSeq(first, at.Add(-time.Hour)), "the clock went back")
	require.Less(t, first, int64(1)<<53, "any reader of JSON has it exactly")
}

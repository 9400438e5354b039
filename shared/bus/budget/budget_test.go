package budget_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/budget"
	"github.com/sluicehq/sluice/shared/bus/bustest"
)

func TestMain(m *testing.M) { bustest.Main(m) }

const site = "https://acme.atlassian.net/wiki"

// fleet is several replicas that call a site, with a record of the calls.
type fleet struct {
	t   *testing.T
	kit *bustest.Kit

	mu    sync.Mutex
	times []time.Time
	by    map[int]int
	news  chan struct{}

	underWay, most atomic.Int64
}

func newFleet(t *testing.T) *fleet {
	return &fleet{t: t, kit: bustest.New(t), by: map[int]int{}, news: make(chan struct{}, 1)}
}

func (f *fleet) budget(l budget.Limits) *budget.Budget {
	f.t.Helper()
	g, err := budget.Join(f.kit.Connect(), site, l)
	require.NoError(f.t, err)
	return g
}

// busy starts a replica with several workers; each calls again as soon as a call has ended, until stop
// is called.
func (f *fleet) busy(replica, workers int, call time.Duration, l budget.Limits) (g *budget.Budget, stop func()) {
	f.t.Helper()
	g = f.budget(l)
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for ctx.Err() == nil {
				if g.Wait(ctx) != nil {
					return
				}
				f.called(replica)
				busyFor(call)
				f.underWay.Add(-1)
				g.Done()
			}
		})
	}
	stop = sync.OnceFunc(func() { cancel(); group.Wait() })
	f.t.Cleanup(stop)
	return g, stop
}

func busyFor(d time.Duration) { <-time.After(d) }

func (f *fleet) called(replica int) {
	now := time.Now()
	n := f.underWay.Add(1)
	for most := f.most.Load(); n > most && !f.most.CompareAndSwap(most, n); most = f.most.Load() {
	}
	f.mu.Lock()
	f.times = append(f.times, now)
	f.by[replica]++
	f.mu.Unlock()
	select {
	case f.news <- struct{}{}:
	default:
	}
}

func (f *fleet) calls() []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	times := slices.Clone(f.times)
	slices.SortFunc(times, time.Time.Compare)
	return times
}

// reach waits until n calls were made since a time.
func (f *fleet) reach(n int, since time.Time) {
	f.t.Helper()
	timeout := time.After(bustest.Patience)
	for len(after(f.calls(), since)) < n {
		select {
		case <-f.news:
		case <-timeout:
			require.Failf(f.t, "too few calls", "%d of %d", len(after(f.calls(), since)), n)
		}
	}
}

func after(times []time.Time, t time.Time) []time.Time {
	i, _ := slices.BinarySearchFunc(times, t, time.Time.Compare)
	return times[i:]
}

// worst is the largest number of calls in any window of one second.
func worst(times []time.Time) int {
	most, from := 0, 0
	for i := range times {
		for times[i].Sub(times[from]) >= time.Second {
			from++
		}
		most = max(most, i-from+1)
	}
	return most
}

// used is the used share of the rate between the first call and the last.
func used(times []time.Time, perSecond float64) float64 {
	return float64(len(times)-1) / times[len(times)-1].Sub(times[0]).Seconds() / perSecond
}

// metronome ticks until it is stopped, and returns the share of its ticks that were too late for a slot:
// the budget is not responsible for the time that a busy machine sleeps.
func metronome(every time.Duration) (stop func() float64) {
	ended, share := make(chan struct{}), make(chan float64)
	go func() {
		late, ticks := 0, 0
		for next := time.Now().Add(every); ; next = next.Add(every) {
			select {
			case <-time.After(time.Until(next)):
				ticks++
				if time.Since(next) > 12*time.Millisecond {
					late++
				}
			case <-ended:
				share <- float64(late) / float64(max(ticks, 1))
				return
			}
		}
	}()
	return func() float64 { close(ended); return <-share }
}

func TestBudgetIsKeptAndUsed(t *testing.T) {
	for _, tc := range []struct {
		name            string
		replicas, calls int
		use             float64
	}{{"three replicas", 3, 250, 0.95}, {"eight replicas", 8, 150, 0.9}} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFleet(t)
			l := budget.Limits{PerSecond: 50, Concurrency: 40, MaxWait: time.Minute}
			for i := range tc.replicas {
				f.busy(i, 16, 20*time.Millisecond, l)
			}
			slept := metronome(20 * time.Millisecond)
			f.reach(tc.calls, time.Time{})
			missed, times := slept(), f.calls()
			t.Logf("%.1f %% used, %.1f %% slept through, at most %d a second, shares %v", 100*used(times, 50), 100*missed, worst(times), f.by)
			require.LessOrEqual(t, worst(times), 50)
			require.GreaterOrEqual(t, used(times, 50)+missed, tc.use)
			for i := range tc.replicas {
				require.GreaterOrEqual(t, f.by[i], tc.calls/tc.replicas/3, "every replica has its part: %v", f.by)
			}
		})
	}
}

func TestBudgetConcurrencyIsTheFleets(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name                  string
		replicas, concurrency int
	}{{"fewer replicas than places", 3, 5}, {"more replicas than places", 3, 2}, {"one place", 3, 1}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t)
			l := budget.Limits{PerSecond: 1000, Concurrency: tc.concurrency, MaxWait: time.Minute}
			for i := range tc.replicas {
				f.busy(i, 4, 30*time.Millisecond, l)
			}
			f.reach(20*tc.concurrency, time.Time{})
			require.EqualValues(t, tc.concurrency, f.most.Load(), "all places are used and not one more")
			require.Eventually(t, func() bool {
				f.mu.Lock()
				defer f.mu.Unlock()
				least := f.by[0]
				for i := range tc.replicas {
					least = min(least, f.by[i])
				}
				return least >= 2
			}, time.Minute, 10*time.Millisecond, "nobody starves")
		})
	}
}

func TestBudgetPauseIsObeyedByAll(t *testing.T) {
	f := newFleet(t)
	l := budget.Limits{PerSecond: 50, Concurrency: 40, MaxWait: time.Minute}
	first, _ := f.busy(0, 4, 5*time.Millisecond, l)
	f.busy(1, 4, 5*time.Millisecond, l)
	f.reach(20, time.Time{})

	begin := time.Now()
	until := begin.Add(2 * time.Second)
	first.Pause(until)
	first.Pause(begin.Add(time.Second)) // which would shorten it
	f.busy(2, 4, 5*time.Millisecond, l) // starts when the pause has begun
	f.reach(100, until)

	times := f.calls()
	// The news needs time to reach the others, and calls that had started are made.
	told := begin.Add(200 * time.Millisecond)
	require.Empty(t, between(times, told, until.Add(-10*time.Millisecond)), "calls in the pause")
	require.LessOrEqual(t, worst(times), 50, "no rush after the pause")
	f.mu.Lock()
	defer f.mu.Unlock()
	require.Positive(t, f.by[2])
}

func between(times []time.Time, from, to time.Time) []time.Time {
	return after(times, from)[:len(after(times, from))-len(after(times, to))]
}

func TestBudgetLongPauseIsAnErrorForAll(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	l := budget.Limits{PerSecond: 1, Concurrency: 4, MaxWait: 2 * time.Second}
	one, two := f.budget(l), f.budget(l)
	require.NoError(t, one.Wait(t.Context()))
	one.Done()
	waits := make(chan error, 8)
	for range cap(waits) {
		go func() { waits <- two.Wait(t.Context()) }()
	}
	require.NoError(t, <-waits, "the second begins")
	until := time.Now().Add(time.Hour)
	one.Pause(until)
	var late []error
	for range cap(waits) - 1 {
		late = append(late, <-waits)
	}
	refused := 0
	for _, err := range append(late, one.Wait(t.Context()), f.budget(l).Wait(t.Context())) {
		var paused *budget.PausedError
		if errors.As(err, &paused) {
			refused++
			require.WithinDuration(t, until, paused.Until, 100*time.Millisecond)
		}
	}
	require.GreaterOrEqual(t, refused, 8, "all but one that had its slot already")
}

// A replica that has not heard of a lift must not bring the old pause back, whoever writes first, and a
// lift that is repeated must not end the next pause.
func TestBudgetPauseIsLiftedForAll(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	l := budget.Limits{PerSecond: 50, Concurrency: 4, MaxWait: time.Second}
	replicas := []*budget.Budget{f.budget(l), f.budget(l), f.budget(l)}
	call := func(g *budget.Budget) error {
		err := g.Wait(t.Context())
		if err == nil {
			g.Done()
		}
		return err
	}
	paused := func(g *budget.Budget) bool {
		var e *budget.PausedError
		return errors.As(call(g), &e)
	}
	all := func(is bool) {
		t.Helper()
		for i, g := range append(slices.Clone(replicas), f.budget(l)) {
			require.Eventually(t, func() bool { return paused(g) == is }, bustest.Patience, 10*time.Millisecond, "replica %d", i)
		}
	}
	for _, g := range replicas {
		require.NoError(t, call(g))
	}
	lifts := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC) // by no clock of these machines
	require.True(t, replicas[0].Lift(lifts), "no pause to lift")
	for i := range replicas {
		for _, g := range replicas {
			g.Pause(time.Now().Add(time.Hour))
		}
		all(true)
		replicas[i].Lift(lifts) // an old one
		all(true)
		lifts = lifts.Add(time.Second)
		require.True(t, replicas[i].Lift(lifts))
		if i == 0 {
			require.NoError(t, call(replicas[i]), "at once")
		}
		all(false) // also if the replica that knows of the lift makes no call
	}
	replicas[0].Pause(time.Now().Add(30 * time.Minute)) // shorter than the one before
	all(true)

	// A schedule that is lost takes no lift with it.
	require.True(t, replicas[1].Lift(lifts.Add(time.Second)))
	f.kit.Stop()
	f.kit.Wipe()
	f.kit.Start()
	all(false)
}

func TestBudgetCancel(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	g := f.budget(budget.Limits{PerSecond: 0.1, Concurrency: 4, MaxWait: time.Minute})
	ctx, cancel := context.WithCancel(t.Context())
	waits := make(chan error, 20)
	for range cap(waits) {
		go func() { waits <- g.Wait(ctx) }()
	}
	require.NoError(t, <-waits, "the first has its slot")
	began := time.Now()
	cancel()
	for range cap(waits) - 1 {
		require.ErrorIs(t, <-waits, context.Canceled)
	}
	require.Less(t, time.Since(began), time.Second)
	require.ErrorIs(t, g.Wait(ctx), context.Canceled)
}

func TestBudgetEndsWithItsBus(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	b := f.kit.Connect()
	g, err := budget.Join(b, site, budget.Limits{PerSecond: 0.1, Concurrency: 1, MaxWait: time.Minute})
	require.NoError(t, err)
	require.NoError(t, g.Wait(t.Context()))
	waits := make(chan error, 1)
	go func() { waits <- g.Wait(context.Background()) }()
	b.Close()
	require.ErrorIs(t, <-waits, bus.ErrClosed)
	_, err = budget.Join(b, site, budget.Limits{PerSecond: 1, Concurrency: 1})
	require.ErrorIs(t, err, bus.ErrClosed)
}

func TestBudgetOfNothingIsRefused(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	for _, l := range []budget.Limits{{PerSecond: 0, Concurrency: 1}, {PerSecond: 1}, {PerSecond: -1, Concurrency: 1}} {
		_, err := budget.Join(f.kit.Bus, site, l)
		require.Error(t, err)
	}
}

// The name of a site reveals neither its owner nor its token.
func TestBudgetSitesAreApartAndUnnamed(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	l := budget.Limits{PerSecond: 1, Concurrency: 1, MaxWait: time.Minute}
	for _, address := range []string{site, "https://ACME.atlassian.net/wiki/", "https://acme.atlassian.net", "https://other.atlassian.net/wiki"} {
		g, err := budget.Join(f.kit.Bus, address, l)
		require.NoError(t, err)
		if address != site && address != "https://other.atlassian.net/wiki" {
			continue
		}
		require.NoError(t, g.Wait(t.Context()), "each site has its own places")
	}
	kv, err := f.kit.JetStream().KeyValue(t.Context(), "SLUICE_BUDGETS")
	require.NoError(t, err)
	keys, err := kv.Keys(t.Context())
	require.NoError(t, err)
	require.Len(t, keys, 2)
	for _, key := range keys {
		require.Regexp(t, `^[0-9a-f]{32}$`, key)
		entry, err := kv.Get(t.Context(), key)
		require.NoError(t, err)
		require.NotContains(t, string(entry.Value()), "atlassian")
	}
}

func TestBudgetSurvivesGarbageInItsPlace(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	g := f.budget(budget.Limits{PerSecond: 10, Concurrency: 1, MaxWait: time.Minute})
	require.NoError(t, g.Wait(t.Context()))
	g.Done()
	kv, err := f.kit.JetStream().KeyValue(t.Context(), "SLUICE_BUDGETS")
	require.NoError(t, err)
	keys, err := kv.Keys(t.Context())
	require.NoError(t, err)
	for _, garbage := range []string{"", "null", "[]", "{}", `{"epoch":1}`} {
		_, err = kv.PutString(t.Context(), keys[0], garbage)
		require.NoError(t, err)
		require.NoError(t, g.Wait(t.Context()), garbage)
		g.Done()
	}
}

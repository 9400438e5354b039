package progress_test

import (
	"context"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/progress/progress"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/service"
	"github.com/sluicehq/sluice/shared/store"
)

// ends waits for the final snapshot of the run.
func ends(t *testing.T, snapshots *bustest.Collector[event.Progress], runID string) event.Progress {
	t.Helper()
	var last event.Progress
	require.Eventually(t, func() bool {
		for _, p := range snapshots.All() {
			if p.RunID == runID && p.State.Final() {
				last = p
				return true
			}
		}
		return false
	}, bustest.Patience, tick)
	return last
}

// The source and its ledger are removed. Followers of the run must still get an end.
func TestARunWhoseSourceIsRemovedIsCancelled(t *testing.T) {
	t.Parallel()
	s, k := open(t), bustest.New(t)
	snapshots := bustest.Collect[event.Progress](k)
	replica(t, k, s, never)
	run := listed(t, s, "run-1", 3)
	storePage(t, s, k, run, 0)
	require.Eventually(t, func() bool {
		all := snapshots.All()
		return len(all) > 0 && all[len(all)-1].Counts.Created == 1
	}, bustest.Patience, tick)
	require.NoError(t, s.RemoveSource(t.Context(), "docs"))
	last := ends(t, snapshots, "run-1")
	require.Equal(t, event.StateCancelled, last.State)
	require.Equal(t, failure.SourceGone, last.Code)
	require.NotEmpty(t, last.Message)
	require.Equal(t, 1, last.Counts.Created, "the last known count")
	require.False(t, last.FinishedAt.IsZero())
}

// A replica that knows a run notices its end even if another replica ended it without an event;
// otherwise it would remember the run forever.
func TestARunThatAnotherReplicaEnded(t *testing.T) {
	t.Parallel()
	s, k := open(t), bustest.New(t)
	snapshots := bustest.Collect[event.Progress](k)
	replica(t, k, s, never)
	run := listed(t, s, "run-1", 1)
	require.Eventually(t, func() bool { return len(snapshots.All()) > 0 }, bustest.Patience, tick)
	require.NoError(t, s.FailRun(t.Context(), run.ID, failure.Unauthorized, "no longer"))
	require.Equal(t, event.StateFailed, ends(t, snapshots, "run-1").State)
}

// A run may end while no replica of the stage is running: its end is still announced, and an end that
// was announced is not announced again.
func TestWhatEndedWhileNobodyLooked(t *testing.T) {
	t.Parallel()
	s, k := open(t), bustest.New(t)
	snapshots := bustest.Collect[event.Progress](k)
	for _, id := range []string{"run-1", "run-2"} {
		listed(t, s, id, 3)
		_, err := s.CancelRun(t.Context(), id)
		require.NoError(t, err)
		replica(t, k, s, never)
		last := ends(t, snapshots, id)
		require.Equal(t, event.StateCancelled, last.State)
		require.Equal(t, event.Counts{Listed: 3, Skipped: 3}, last.Counts)
	}
	run := listed(t, s, "run-3", 0)
	judge(t, s, run)
	ends(t, snapshots, "run-3") // by now both have looked at the others
	said := map[string]int{}
	for _, p := range snapshots.All() {
		if p.State.Final() {
			said[p.RunID]++
		}
	}
	require.Equal(t, map[string]int{"run-1": 1, "run-2": 1, "run-3": 1}, said)
}

// A fact that this stage cannot handle is lost only to this stage: the page is stored.
func TestAFactThatIsGivenUpFailsNoPage(t *testing.T) {
	t.Parallel()
	s := open(t)
	k := bustest.New(t, bustest.With(func(o *bus.Options) { o.AckWait, o.MaxAttempts = 500*time.Millisecond, 1 }))
	failures := bustest.Collect[event.PageFailed](k)
	run := listed(t, s, "run-1", 2)
	storePage(t, s, k, run, 0)
	// A process crashes on it.
	consumer, err := k.JetStream().Consumer(t.Context(), bus.Ledger.Stream, bus.Ledger.Durable)
	require.NoError(t, err)
	_, err = consumer.Next()
	require.NoError(t, err)

	host := service.NewHost(service.HostOptions{
		Name: "progress", Log: zerolog.Nop(), Store: s, Bus: k.Bus,
		Env: config.Read(progress.Stage().Program(), func(name string) (string, bool) {
			return map[string]string{"DATABASE_URL": "postgres://unused"}[name], true
		}),
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- service.Run(ctx, host, time.Minute, progress.Stage())
	}()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	k.Empty(bus.Ledger)
	k.Publish(failed(run, 1))
	require.Equal(t, pageID(1), failures.Wait(1)[0].PageID, "the stored page did not fail")
	judge(t, s, run)
	snapshots := bustest.Collect[event.Progress](k)
	last := ends(t, snapshots, "run-1")
	require.Equal(t, event.Counts{Listed: 2, Created: 1, Failed: 1}, last.Counts)
}

// fullOfRequests is a broker without room for another request.
type fullOfRequests struct {
	*bus.Bus
	refused chan struct{}
}

func (f fullOfRequests) Publish(ctx context.Context, e event.Event) error {
	if e.EventType() != event.TypeSyncRequested {
		return f.Bus.Publish(ctx, e)
	}
	select {
	case f.refused <- struct{}{}:
	default:
	}
	<-ctx.Done()
	return ctx.Err()
}

// Requests get room when runs end, and runs end by their snapshots: a repeated request for a stalled run
// must not block other runs' ends.
func TestAFullBrokerDoesNotKeepRunsFromEnding(t *testing.T) {
	t.Parallel()
	s, k := open(t), bustest.New(t)
	require.NoError(t, s.AddSource(t.Context(), store.Source{ID: "stuck", BaseURL: "https://acme.atlassian.net/wiki", SpaceKey: "STUCK"}))
	_, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: "stuck-run", Mode: event.Full, SourceID: "stuck"})
	require.NoError(t, err)
	snapshots := bustest.Collect[event.Progress](k)
	b := fullOfRequests{k.Bus, make(chan struct{}, 1)}
	f := progress.New(s, b, 50*time.Millisecond, 0, zerolog.Nop())
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Follow(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	<-b.refused
	run := listed(t, s, "run-1", 0)
	judge(t, s, run)
	require.Equal(t, event.StateCompleted, ends(t, snapshots, "run-1").State)
}

// counting counts the snapshots that are made.
type counting struct {
	*store.Store
	asked chan string
	slow  time.Duration
}

func (c counting) Advance(ctx context.Context, runID string) (event.Progress, bool, error) {
	c.asked <- runID
	timer := time.NewTimer(c.slow)
	defer timer.Stop()
	<-timer.C
	return c.Store.Advance(ctx, runID)
}

// delivery is a fact about the run, as the bus delivers it.
func delivery(run store.Run) bus.Delivery {
	return bus.Delivery{
		Type: event.TypeListingCompleted, SourceID: run.SourceID, Attempt: 1,
		Data: []byte(`{"source_id": "docs", "run_id": "` + run.ID + `"}`),
	}
}

// Requests that wait for their turn are not counted, and a ledger that is slow to count is counted less
// often: a count of 100 ms fits into one second once, not five times.
func TestWhatIsCountedAndHowOften(t *testing.T) {
	t.Parallel()
	s, k := open(t), bustest.New(t)
	run := listed(t, s, "run-1", 1)
	_, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: "waiting", Mode: event.Full, SourceID: "docs"})
	require.NoError(t, err)
	c := counting{s, make(chan string, 1000), 100 * time.Millisecond}
	f := progress.New(c, k.Bus, never, 0, zerolog.Nop())
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	stored := bustest.Collect[event.Progress](k)
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				_ = f.Handle(ctx, delivery(run))
			}
		}
	}()
	require.NoError(t, f.Follow(ctx))
	close(c.asked)
	n := 0
	for id := range c.asked {
		require.Equal(t, "run-1", id)
		n++
	}
	require.Positive(t, n)
	require.LessOrEqual(t, n, 5)
	require.NotEmpty(t, stored.All())
}

// While the broker is down, the run's row must not stay locked: cancelling the run needs it.
func TestARunIsCancelledWhileTheBrokerIsAway(t *testing.T) {
	t.Parallel()
	s, k := open(t), bustest.New(t)
	snapshots := bustest.Collect[event.Progress](k)
	replica(t, k, s, never)
	run := listed(t, s, "run-1", 3)
	snapshots.Wait(1)
	k.Stop()
	c := counting{s, make(chan string, 1000), 0}
	f := progress.New(c, k.Bus, never, 0, zerolog.Nop())
	require.NoError(t, f.Handle(t.Context(), delivery(run)))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Follow(ctx) }()
	<-c.asked // and its snapshot is waiting for the broker
	soon, done := context.WithTimeout(t.Context(), 2*time.Second)
	defer done()
	_, err := s.CancelRun(soon, "run-1")
	require.NoError(t, err)
	cancel()
	require.NoError(t, <-ended)
	k.Start()
	last := ends(t, snapshots, "run-1")
	require.Equal(t, event.StateCancelled, last.State)
	require.Equal(t, event.Counts{Listed: 3, Skipped: 3}, last.Counts)
}

// The replica that makes the first snapshot of an end publishes it. If that replica dies, another one
// publishes the end after a delay.
func TestAnEndThatItsFirstReplicaDidNotTell(t *testing.T) {
	t.Parallel()
	s, k := open(t), bustest.New(t)
	snapshots := bustest.Collect[event.Progress](k)
	run := listed(t, s, "run-1", 0)
	judge(t, s, run)
	_, first, err := s.Advance(t.Context(), "run-1")
	require.NoError(t, err)
	require.True(t, first)
	_, again, err := s.Advance(t.Context(), "run-1")
	require.NoError(t, err)
	require.False(t, again)
	replica(t, k, s, never)
	require.Equal(t, event.StateCompleted, ends(t, snapshots, "run-1").State)
}

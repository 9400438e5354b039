package bus_test

import (
	"context"
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/shared/broker"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/event"
)

var began = time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)

func snapshot(percent int, state event.State) event.Progress {
	return event.Progress{
		SourceID: "docs", RunID: "run-1", Mode: event.Full, State: state, Percent: percent,
		At: began.Add(time.Duration(percent) * time.Second),
	}
}

// follow reads a run's progress in the background.
func follow(ctx context.Context, b *bus.Bus) (<-chan event.Progress, <-chan error) {
	got, ended := make(chan event.Progress, 100), make(chan error, 1)
	go func() {
		for p, err := range b.FollowProgress(ctx, "docs", "run-1") {
			if err != nil {
				ended <- err
				return
			}
			got <- p
		}
		ended <- nil
	}()
	return got, ended
}

func percents(t *testing.T, got <-chan event.Progress, n int) []int {
	t.Helper()
	var out []int
	for range n {
		select {
		case p := <-got:
			out = append(out, p.Percent)
		case <-time.After(bustest.Patience):
			require.Failf(t, "no snapshot", "after %v", out)
		}
	}
	return out
}

func TestLatestProgress(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	_, ok, err := k.Bus.LatestProgress(t.Context(), "docs", "run-1")
	require.NoError(t, err)
	require.False(t, ok)
	k.Publish(snapshot(1, event.StateListing), snapshot(7, event.StateFetching))
	other := snapshot(50, event.StateFetching)
	other.RunID = "run-2"
	k.Publish(other)
	p, ok, err := k.Bus.LatestProgress(t.Context(), "docs", "run-1")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, snapshot(7, event.StateFetching), p)
	require.Equal(t, 2, stored(t, k, "SLUICE_PROGRESS"), "only the newest of a run is kept")

	require.NoError(t, k.JetStream().DeleteStream(t.Context(), "SLUICE_PROGRESS"))
	_, ok, err = k.Bus.LatestProgress(t.Context(), "docs", "run-1")
	require.NoError(t, err)
	require.False(t, ok)
}

func TestFollowProgress(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	k.Publish(snapshot(1, event.StateListing), snapshot(2, event.StateListing))
	got, ended := follow(t.Context(), k.Bus)
	require.Equal(t, []int{2}, percents(t, got, 1), "the newest at once")
	for n := 3; n <= 40; n++ {
		k.Publish(snapshot(n, event.StateFetching))
	}
	k.Publish(snapshot(100, event.StateCompleted))
	all := percents(t, got, 39)
	for i, p := range all[:38] {
		require.Equal(t, i+3, p, "each one, in order")
	}
	require.Equal(t, 100, all[38])
	require.NoError(t, <-ended)
	require.Empty(t, got)

	got, ended = follow(t.Context(), k.Bus)
	require.Equal(t, []int{100}, percents(t, got, 1), "a late subscriber gets the end")
	require.NoError(t, <-ended)
}

// A look at the stored snapshot may be answered after later snapshots have arrived live. They are not lost.
func TestFollowProgressSkipsNothingWhenItLooks(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	b := k.Connect(func(o *bus.Options) { o.ProgressPoll = time.Millisecond })
	k.Publish(snapshot(1, event.StateListing))
	got, ended := follow(t.Context(), b)
	require.Equal(t, []int{1}, percents(t, got, 1))
	for n := 2; n < 100; n++ {
		k.Publish(snapshot(n, event.StateFetching))
	}
	k.Publish(snapshot(100, event.StateCompleted))
	for i, p := range percents(t, got, 99) {
		require.Equal(t, i+2, p, "each one, in order")
	}
	require.NoError(t, <-ended)
}

func TestFollowProgressBeforeTheRun(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	got, ended := follow(t.Context(), k.Bus)
	k.Publish(snapshot(1, event.StateRequested))
	require.Equal(t, []int{1}, percents(t, got, 1))
	k.Publish(snapshot(1, event.StateCancelled))
	require.NoError(t, <-ended)
	require.Equal(t, event.StateCancelled, (<-got).State)
}

func TestFollowProgressEndsWithItsContext(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	_, ended := follow(ctx, k.Bus)
	cancel()
	require.NoError(t, <-ended)
	k.Publish(snapshot(1, event.StateListing))
	for p, err := range k.Bus.FollowProgress(t.Context(), "docs", "run-1") {
		require.NoError(t, err)
		require.Equal(t, 1, p.Percent)
		break // a reader may leave
	}
}

func TestFollowProgressOutlastsTheBroker(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	k.Publish(snapshot(1, event.StateListing))
	got, ended := follow(t.Context(), k.Bus)
	require.Equal(t, []int{1}, percents(t, got, 1))

	k.Stop()
	k.Start()
	k.Publish(snapshot(2, event.StateFetching))
	require.Equal(t, []int{2}, percents(t, got, 1))

	k.Stop()
	k.Wipe()
	k.Start()
	k.Publish(snapshot(3, event.StateFetching), snapshot(100, event.StateCompletedWithFailures))
	var last int
	for last != 100 {
		last = percents(t, got, 1)[0]
	}
	require.NoError(t, <-ended)
}

// The reader finds a snapshot that was published while it was disconnected.
func TestFollowProgressFindsWhatItMissed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	serve := func(port int) *broker.Server {
		s, err := broker.Start(broker.Options{StoreDir: dir, Port: port, Log: zerolog.Nop()})
		require.NoError(t, err)
		t.Cleanup(s.Stop)
		return s
	}
	connect := func(s *broker.Server) *bus.Bus {
		b, err := bus.Connect(t.Context(), bustest.Options(t, s.URL()))
		require.NoError(t, err)
		return b
	}
	port := freePort(t)
	s := serve(port)
	reader := connect(s)
	defer reader.Close()
	require.NoError(t, reader.Apply(t.Context()))
	require.NoError(t, reader.Publish(t.Context(), snapshot(1, event.StateListing)))
	got, ended := follow(t.Context(), reader)
	require.Equal(t, []int{1}, percents(t, got, 1))
	s.Stop()

	elsewhere := serve(-1)
	writer := connect(elsewhere)
	require.NoError(t, writer.Publish(t.Context(), snapshot(100, event.StateFailed)))
	writer.Close()
	elsewhere.Stop()

	serve(port)
	require.Equal(t, []int{100}, percents(t, got, 1))
	require.NoError(t, <-ended)
}

// numbered is a snapshot of the current version.
func numbered(seq int64, percent int, state event.State) event.Progress {
	p := snapshot(percent, state)
	p.Seq = seq
	return p
}

// Snapshots are published after the transactions that made them, so an older one may arrive last.
func TestAnOlderSnapshotDoesNotReplaceANewerOne(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	kept := func() event.Progress {
		p, there, err := k.Bus.LatestProgress(t.Context(), "docs", "run-1")
		require.NoError(t, err)
		require.True(t, there)
		return p
	}
	k.Publish(numbered(7, 50, event.StateFetching))
	got, ended := follow(t.Context(), k.Bus)
	require.Equal(t, []int{50}, percents(t, got, 1))
	k.Publish(numbered(6, 40, event.StateFetching))
	require.Equal(t, numbered(7, 50, event.StateFetching), kept())
	// An older snapshot can still reach the subject, from a publisher that does not number them, or that
	// had looked before the newer one arrived.
	late, err := json.Marshal(numbered(5, 30, event.StateFailed))
	require.NoError(t, err)
	_, err = k.JetStream().Publish(t.Context(), event.ProgressSubject("docs", "run-1"), late)
	require.NoError(t, err)
	k.Publish(numbered(9, 60, event.StateFetching), numbered(10, 100, event.StateCompleted), numbered(8, 55, event.StateFetching))
	require.Equal(t, []int{60, 100}, percents(t, got, 2), "a reader never gets an older snapshot or a wrong end")
	require.NoError(t, <-ended)
	require.Equal(t, numbered(10, 100, event.StateCompleted), kept())
	got, ended = follow(t.Context(), k.Bus)
	require.Equal(t, []int{100}, percents(t, got, 1), "a late subscriber gets the end")
	require.NoError(t, <-ended)

	// The end may be requested again, and is then published again.
	heard := bustest.Collect[event.Progress](k)
	k.Publish(numbered(10, 100, event.StateCompleted))
	require.Equal(t, numbered(10, 100, event.StateCompleted), heard.Wait(1)[0])
}

func TestPublishersOfOneRunOutOfOrder(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	got, ended := follow(t.Context(), k.Bus)
	const publishers, each = 4, 25
	var group errgroup.Group
	for n := range publishers {
		b := k.Connect()
		group.Go(func() error {
			for i := range each {
				seq := i*publishers + n + 1
				state := event.StateFetching
				if seq == publishers*each {
					state = event.StateCompleted
				}
				if err := b.Publish(t.Context(), numbered(int64(seq), seq, state)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	require.NoError(t, <-ended)
	last := event.Progress{}
	for range len(got) {
		p := <-got
		require.True(t, p.After(last))
		require.GreaterOrEqual(t, p.Percent, last.Percent)
		last = p
	}
	require.Equal(t, numbered(publishers*each, publishers*each, event.StateCompleted), last)
	p, _, err := k.Bus.LatestProgress(t.Context(), "docs", "run-1")
	require.NoError(t, err)
	require.Equal(t, last, p)
}

func TestProgressOfWhatIsNoRun(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	for _, id := range []string{"", "*", ">", "a.b", "a b"} {
		_, _, err := k.Bus.LatestProgress(t.Context(), "docs", id)
		require.Error(t, err)
		n := 0
		for _, err := range k.Bus.FollowProgress(t.Context(), id, "run-1") {
			require.Error(t, err)
			n++
		}
		require.Equal(t, 1, n)
	}
}

func TestListen(t *testing.T) {
	t.Parallel()
	k := bustest.New(t, bustest.MaxPayload(64<<10))
	heard := make(chan bus.Delivery, 10)
	stop, err := k.Bus.Listen(event.TypePageFetched, "docs", func(d bus.Delivery) { heard <- d })
	require.NoError(t, err)
	elsewhere := fetched(1)
	elsewhere.SourceID = "other"
	k.Publish(elsewhere, large(2), event.SyncRequested{SourceID: "docs", RequestID: "r"})
	d := <-heard
	in, err := bus.Decode[event.PageFetched](d)
	require.NoError(t, err)
	require.Equal(t, large(2).Page, in.Page)
	require.Equal(t, "docs", d.SourceID)
	stop()
	k.Publish(fetched(3))
	require.Empty(t, heard)
	require.Equal(t, 3, stored(t, k, bus.Convert.Stream), "listening takes nothing away")

	for _, source := range []string{"*", "a.b", " "} {
		_, err = k.Bus.Listen(event.TypePageFetched, source, func(bus.Delivery) {})
		require.Error(t, err)
	}
}

// Every client that may publish can publish any snapshot of a run. An absurd number silences neither
// publishers nor followers.
func TestAnAbsurdSnapshotMutesNothing(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	for name, forged := range map[string]event.Progress{
		"a number": {Seq: math.MaxInt64, At: began},
		"a time":   {At: time.Now().Add(time.Hour)},
	} {
		forged.SourceID, forged.RunID, forged.Mode, forged.State, forged.Percent = "docs", "run-1", event.Full, event.StateFetching, 5
		got, ended := follow(t.Context(), k.Bus)
		data, err := json.Marshal(forged)
		require.NoError(t, err)
		_, err = k.JetStream().Publish(t.Context(), forged.Subject(), data)
		require.NoError(t, err)
		require.Equal(t, []int{5}, percents(t, got, 1), name)
		for i, p := range []event.Progress{snapshot(20, event.StateFetching), snapshot(100, event.StateCompleted)} {
			p.Seq = time.Now().UnixMicro() + int64(i)
			k.Publish(p)
			require.Equal(t, []int{p.Percent}, percents(t, got, 1), name)
		}
		require.NoError(t, <-ended)
		require.NoError(t, k.JetStream().DeleteStream(t.Context(), "SLUICE_PROGRESS"))
		require.NoError(t, k.Bus.Apply(t.Context()))
	}
}

package bus_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/event"
)

func TestWorkersBoundWhatRunsAtOnce(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	var now, most atomic.Int32
	var group sync.WaitGroup
	group.Add(20)
	gate := make(chan struct{})
	k.Consume(bus.Convert, func(context.Context, bus.Delivery) error {
		defer group.Done()
		n := now.Add(1)
		defer now.Add(-1)
		for {
			m := most.Load()
			if n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		<-gate
		return nil
	}, bus.Workers(3))
	open := sync.OnceFunc(func() { close(gate) })
	t.Cleanup(open) // or a failure below would wait for the handlers forever
	for n := range 20 {
		k.Publish(fetched(n))
	}
	require.Eventually(t, func() bool { return now.Load() == 3 }, bustest.Patience, time.Millisecond)
	consumer, err := k.JetStream().Consumer(t.Context(), bus.Convert.Stream, bus.Convert.Durable)
	require.NoError(t, err)
	require.Equal(t, 3, consumer.CachedInfo().NumAckPending, "nothing is fetched before a worker is free")
	open()
	group.Wait()
	require.EqualValues(t, 3, most.Load())
	k.Empty(bus.Convert)
}

// A worker's memory does not grow with the number of messages: each worker uses one subscription,
// requests one message, and only after it has finished the last.
func TestAWorkerAsksThroughOneSubscription(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	asked, err := k.JetStream().Conn().SubscribeSync("$JS.API.CONSUMER.MSG.NEXT." + bus.Convert.Stream + "." + bus.Convert.Durable)
	require.NoError(t, err)
	require.NoError(t, asked.SetPendingLimits(-1, -1))
	const messages = 100
	got := newRecorder()
	for n := range messages {
		k.Publish(fetched(n))
	}
	stop := k.Consume(bus.Convert, got.handle(func(bus.Delivery) error { return nil }), bus.Workers(1))
	for range messages {
		got.next(t)
	}
	k.Empty(bus.Convert)
	stop()
	inboxes := map[string]int{}
	for range messages {
		m, err := asked.NextMsg(bustest.Patience)
		require.NoError(t, err)
		require.Contains(t, string(m.Data), `"batch":1,`)
		inboxes[m.Reply]++
	}
	require.Len(t, inboxes, 1)
}

func TestLongWorkIsNotDeliveredAgain(t *testing.T) {
	t.Parallel()
	k := bustest.New(t, bustest.With(func(o *bus.Options) { o.AckWait = time.Second }))
	got := newRecorder()
	k.Consume(bus.Convert, got.handle(func(bus.Delivery) error {
		<-time.After(3 * time.Second)
		return nil
	}))
	k.Publish(fetched(1))
	got.next(t)
	k.Empty(bus.Convert)
	require.Empty(t, got.ch)
}

func TestStoppingHandsEverythingBack(t *testing.T) {
	t.Parallel()
	k := bustest.New(t, bustest.With(func(o *bus.Options) { o.AckWait = time.Minute }))
	const messages = 60
	for n := range messages {
		k.Publish(fetched(n))
	}
	for range 3 { // however often it is stopped
		got := newRecorder()
		stop := k.Consume(bus.Convert, func(ctx context.Context, d bus.Delivery) error {
			got.ch <- d
			<-ctx.Done()
			return ctx.Err()
		}, bus.Workers(8))
		for range 8 {
			got.next(t)
		}
		stop()
	}
	got := newRecorder()
	began := time.Now()
	k.Consume(bus.Convert, got.handle(nil), bus.Workers(8))
	for range messages {
		require.Equal(t, 1, got.next(t).Attempt, "being stopped is not an attempt")
	}
	require.Less(t, time.Since(began), 30*time.Second, "no worker waits for the ack time")
	k.Empty(bus.Convert)
	require.Empty(t, got.ch)
	noCounterStays(t, k)
}

// Stopping under load: messages are constantly on their way to the workers.
func TestStoppingUnderLoad(t *testing.T) {
	t.Parallel()
	k := bustest.New(t, bustest.With(func(o *bus.Options) { o.AckWait = time.Minute }))
	const messages = 600
	var events []event.Event
	for n := range messages {
		events = append(events, fetched(n))
	}
	require.NoError(t, k.Bus.PublishAll(t.Context(), events))
	var handled atomic.Int32
	began := time.Now()
	for handled.Load() < messages {
		before := handled.Load()
		stop := k.Consume(bus.Convert, func(_ context.Context, d bus.Delivery) error {
			if d.Attempt != 1 {
				t.Errorf("attempt %d", d.Attempt)
			}
			handled.Add(1)
			return nil
		}, bus.Workers(4))
		require.Eventually(t, func() bool { return handled.Load() >= min(messages, before+100) }, bustest.Patience, time.Millisecond)
		stop()
	}
	require.Less(t, time.Since(began), 30*time.Second)
	require.EqualValues(t, messages, handled.Load())
	k.Empty(bus.Convert)
}

func TestFinishedWorkIsAckedWhileStopping(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	got := newRecorder()
	stop := k.Consume(bus.Convert, func(ctx context.Context, d bus.Delivery) error {
		got.ch <- d
		<-ctx.Done()
		return nil // it has finished just in time
	})
	k.Publish(fetched(1))
	got.next(t)
	stop()
	k.Empty(bus.Convert)
	require.Zero(t, stored(t, k, bus.Convert.Stream))
}

func TestConsumeOutlastsTheBroker(t *testing.T) {
	t.Parallel()
	for name, between := range map[string]func(*bustest.Kit){
		"restart":   func(*bustest.Kit) {},
		"new store": func(k *bustest.Kit) { k.Wipe() },
	} {
		t.Run(name, func(t *testing.T) {
			k := bustest.New(t)
			got := newRecorder()
			k.Consume(bus.Convert, got.handle(nil))
			k.Publish(fetched(1))
			got.next(t)
			k.Empty(bus.Convert)
			for n := 2; n <= 3; n++ {
				k.Stop()
				between(k)
				k.Start()
				k.Publish(fetched(n))
				in, err := bus.Decode[event.PageFetched](got.next(t))
				require.NoError(t, err)
				require.Equal(t, n, in.Page.Version)
				k.Empty(bus.Convert) // an ack that the broker has not received does not count
			}
		})
	}
}

// Work in progress when the broker stops is repeated at most once, and never lost.
func TestBrokerRestartsDuringWork(t *testing.T) {
	t.Parallel()
	k := bustest.New(t, bustest.With(func(o *bus.Options) { o.AckWait = time.Second }))
	got, gate := newRecorder(), make(chan struct{})
	k.Consume(bus.Convert, got.handle(func(bus.Delivery) error { <-gate; return nil }), bus.Workers(2))
	k.Publish(fetched(1), fetched(2), fetched(3))
	got.next(t)
	got.next(t)
	k.Stop()
	k.Start()
	close(gate)
	k.Empty(bus.Convert)
	require.GreaterOrEqual(t, len(got.ch), 1)
	require.LessOrEqual(t, len(got.ch), 3)
	require.Zero(t, stored(t, k, bus.Convert.Stream))
}

func TestMissingTopologyComesBack(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(*testing.T, *bustest.Kit){
		"consumer": func(t *testing.T, k *bustest.Kit) {
			require.NoError(t, k.JetStream().DeleteConsumer(t.Context(), bus.Convert.Stream, bus.Convert.Durable))
		},
		"stream": func(t *testing.T, k *bustest.Kit) {
			require.NoError(t, k.JetStream().DeleteStream(t.Context(), bus.Convert.Stream))
		},
		"counters": func(t *testing.T, k *bustest.Kit) {
			require.NoError(t, k.JetStream().DeleteKeyValue(t.Context(), "SLUICE_UNCOUNTED"))
		},
		"claims": func(t *testing.T, k *bustest.Kit) {
			require.NoError(t, k.JetStream().DeleteObjectStore(t.Context(), "SLUICE_CLAIMS"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			// What is missing comes back within a call's time: a slow machine must not use it up.
			k := bustest.New(t, bustest.MaxPayload(64<<10), bustest.With(func(o *bus.Options) { o.AckTimeout = bustest.Patience }))
			got, call := newRecorder(), 0
			k.Consume(bus.Convert, got.handle(func(bus.Delivery) error {
				if call++; call == 2 {
					return bus.RetryAfter(errPlain, time.Millisecond)
				}
				return nil
			}), bus.Workers(1))
			k.Publish(fetched(1))
			got.next(t)
			k.Empty(bus.Convert)
			harm(t, k)
			k.Publish(large(2))
			for range 2 {
				require.Equal(t, 1, got.next(t).Attempt)
			}
			k.Empty(bus.Convert)
		})
	}
}

// Bodies near the payload limit, more than the 64 MiB that the broker buffers for one connection: a
// client that requested them all together would be disconnected.
func TestLargeMessagesDoNotMakeASlowConsumer(t *testing.T) {
	t.Parallel()
	var log lines
	k := bustest.New(t, bustest.With(func(o *bus.Options) {
		o.AckWait, o.Heartbeat = time.Minute, 5*time.Second
		o.Log = zerolog.New(&log).Level(zerolog.InfoLevel)
	}))
	const messages = 150
	body := noise(600 << 10)
	for n := range messages {
		e := fetched(n)
		e.Body = body
		k.Publish(e)
	}
	got := newRecorder()
	k.Consume(bus.Convert, got.handle(nil), bus.Workers(32))
	for range messages {
		require.Equal(t, 1, got.next(t).Attempt)
	}
	k.Empty(bus.Convert)
	require.Empty(t, log.String(), "the connection was not cut")
	require.Empty(t, got.ch)
}

func TestSourcesThatAreNoSources(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	got := newRecorder()
	k.Consume(bus.Sync, got.handle(nil))
	_, err := k.JetStream().Publish(t.Context(), "sluice.v1.sync.requested.*", []byte("{}"))
	require.NoError(t, err)
	d := got.next(t)
	require.Equal(t, event.TypeSyncRequested, d.Type)
	require.Equal(t, "*", d.SourceID, "the stage has to look at it")
}

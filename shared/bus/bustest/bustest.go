// Package bustest gives tests their own broker with the topology applied, and all stages a common test
// suite.
package bustest

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/shared/broker"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/event"
)

// Patience is how long a test waits for an expected event.
const Patience = 20 * time.Second

// atOnce is the least number of parallel tests that run at the same time, whatever the number of cores:
// they mostly wait for deliveries and for delays.
const atOnce = 8

// Main runs the tests of a package and ends the process. It fails the run if goroutines remain.
func Main(m *testing.M) {
	if err := flag.Set("test.parallel", strconv.Itoa(max(atOnce, runtime.GOMAXPROCS(0)))); err != nil {
		panic(err)
	}
	code := m.Run()
	var err error
	// Each Find looks for a second. A busy machine may need more to end what was closed last.
	for range 10 {
		if err = goleak.Find(); err == nil {
			break
		}
	}
	if err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, "bustest:", err)
		code = 1
	}
	os.Exit(code)
}

// Kit is a broker with a bus. Everything ends with the test.
type Kit struct {
	Bus *bus.Bus

	t      testing.TB
	dir    string
	port   int
	broker *broker.Server
	max    int32
}

// Option changes the kit.
type Option func(*settings)

type settings struct {
	broker broker.Options
	bus    []func(*bus.Options)
}

// MaxPayload sets the broker's payload limit, in bytes.
func MaxPayload(n int32) Option { return func(s *settings) { s.broker.MaxPayload = n } }

// With changes the options of the kit's bus.
func With(f func(*bus.Options)) Option { return func(s *settings) { s.bus = append(s.bus, f) } }

// New starts a broker in a folder of the test and connects a bus with short delays.
func New(t testing.TB, opts ...Option) *Kit {
	t.Helper()
	var s settings
	for _, o := range opts {
		o(&s)
	}
	k := &Kit{t: t, dir: t.TempDir(), port: -1, max: s.broker.MaxPayload}
	k.Start()
	t.Cleanup(func() { k.broker.Stop() })
	u, err := url.Parse(k.URL())
	require.NoError(t, err)
	k.port, err = strconv.Atoi(u.Port())
	require.NoError(t, err)
	k.Bus = k.Connect(s.bus...)
	require.NoError(t, k.Bus.Apply(t.Context()))
	return k
}

// URL is the broker's address. It stays the same after a restart.
func (k *Kit) URL() string { return k.broker.URL() }

// Start starts the broker after Stop, with the streams it had.
func (k *Kit) Start() {
	k.t.Helper()
	var err error
	k.broker, err = broker.Start(broker.Options{StoreDir: k.dir, Port: k.port, MaxPayload: k.max, Log: log(k.t).Level(zerolog.WarnLevel)})
	require.NoError(k.t, err)
}

// Stop stops the broker.
func (k *Kit) Stop() { k.broker.Stop() }

// Wipe deletes the stopped broker's streams.
func (k *Kit) Wipe() {
	k.t.Helper()
	require.NoError(k.t, os.RemoveAll(k.dir))
}

// Connect returns another bus on the same broker.
func (k *Kit) Connect(change ...func(*bus.Options)) *bus.Bus {
	k.t.Helper()
	o := Options(k.t, k.URL())
	for _, f := range change {
		f(&o)
	}
	b, err := bus.Connect(k.t.Context(), o)
	require.NoError(k.t, err)
	k.t.Cleanup(b.Close)
	return b
}

// Options are a bus's options with delays suitable for tests.
func Options(t testing.TB, url string) bus.Options {
	return bus.Options{
		URL: url, Name: t.Name(), Log: log(t),
		AckWait: 3 * time.Second, RetryBase: 10 * time.Millisecond, RetryCap: 100 * time.Millisecond,
		Heartbeat: 2 * time.Second, AckTimeout: 2 * time.Second, ProgressPoll: 500 * time.Millisecond,
	}
}

// JetStream returns a plain client, to inspect the bus's data or to act as a foreign client.
func (k *Kit) JetStream() jetstream.JetStream {
	k.t.Helper()
	nc, err := nats.Connect(k.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	require.NoError(k.t, err)
	k.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(k.t, err)
	return js
}

// Publish publishes events one after the other.
func (k *Kit) Publish(events ...event.Event) {
	k.t.Helper()
	for _, e := range events {
		require.NoError(k.t, k.Bus.Publish(k.t.Context(), e))
	}
}

// Consume runs a consumer until stop is called; stop returns when the consumer has ended. The end of the
// test calls it at the latest.
func (k *Kit) Consume(c bus.Consumer, h bus.Handler, opts ...bus.ConsumeOption) (stop func()) {
	k.t.Helper()
	return Consume(k.t, k.Bus, c, h, opts...)
}

// Consume is Kit.Consume for any bus.
func Consume(t testing.TB, b *bus.Bus, c bus.Consumer, h bus.Handler, opts ...bus.ConsumeOption) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Consume(ctx, c, h, opts...) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			require.NoError(t, err, "consumer %s", c.Durable)
		case <-time.After(Patience):
			require.Fail(t, "consumer does not end", c.Durable)
		}
	})
	t.Cleanup(stop)
	return stop
}

// Empty waits until a consumer has no work: every message has been answered.
func (k *Kit) Empty(c bus.Consumer) {
	k.t.Helper()
	js := k.JetStream()
	require.EventuallyWithT(k.t, func(t *assert.CollectT) {
		consumer, err := js.Consumer(k.t.Context(), c.Stream, c.Durable)
		require.NoError(t, err)
		info := consumer.CachedInfo()
		// A message that was just published is in the stream before the consumer counts it.
		stream, err := js.Stream(k.t.Context(), c.Stream)
		require.NoError(t, err)
		for _, of := range c.Types {
			last, err := stream.GetLastMsgForSubject(k.t.Context(), event.Subject(of, "*"))
			if !errors.Is(err, jetstream.ErrMsgNotFound) { // it never came, or is done with and gone
				require.NoError(t, err)
				require.GreaterOrEqual(t, info.Delivered.Stream, last.Sequence, "messages wait")
			}
		}
		require.Zero(t, info.NumPending, "messages wait")
		require.Zero(t, info.NumAckPending, "messages are under way")
	}, Patience, 10*time.Millisecond)
}

// Collector gathers the events of one type as they are published.
type Collector[T event.Event] struct {
	t   testing.TB
	mu  sync.Mutex
	got []T
	new chan struct{}
}

// Collect gathers events from now on, whoever consumes them. It also sees events that are published
// without a stream, or twice.
func Collect[T event.Event](k *Kit) *Collector[T] {
	k.t.Helper()
	c := &Collector[T]{t: k.t, new: make(chan struct{}, 1)}
	var zero T
	stop, err := k.Bus.Listen(zero.EventType(), "", func(d bus.Delivery) {
		var e T
		if json.Unmarshal(d.Data, &e) != nil {
			return
		}
		c.mu.Lock()
		c.got = append(c.got, e)
		c.mu.Unlock()
		select {
		case c.new <- struct{}{}:
		default:
		}
	})
	require.NoError(k.t, err)
	k.t.Cleanup(stop)
	return c
}

// All returns the events so far.
func (c *Collector[T]) All() []T {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]T(nil), c.got...)
}

// Wait returns when at least n events have arrived.
func (c *Collector[T]) Wait(n int) []T {
	c.t.Helper()
	timeout := time.After(Patience)
	for {
		if got := c.All(); len(got) >= n {
			return got
		}
		select {
		case <-c.new:
		case <-timeout:
			var zero T
			require.Failf(c.t, "too few events", "%d of %d %s have come", len(c.All()), n, zero.EventType())
		}
	}
}

// log writes log lines to the test's output, which is shown only if the test fails or is verbose. It
// drops lines after the end of the test.
func log(t testing.TB) zerolog.Logger {
	w := &testWriter{t: t}
	t.Cleanup(w.end)
	return zerolog.New(w)
}

type testWriter struct {
	mu sync.Mutex
	t  testing.TB
}

func (w *testWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.t != nil {
		w.t.Logf("%s", p)
	}
	return len(p), nil
}

func (w *testWriter) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.t = nil
}

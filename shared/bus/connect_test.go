package bus_test

import (
	"bytes"
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/broker"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/bustest"
)

// lines is a log that a test can read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// freePort returns a free port.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	return l.Addr().(*net.TCPAddr).Port
}

func TestConnectWaitsForTheBroker(t *testing.T) {
	t.Parallel()
	s, err := broker.Start(broker.Options{StoreDir: t.TempDir(), Port: freePort(t), Log: zerolog.Nop()})
	require.NoError(t, err)
	url := s.URL()
	s.Stop()

	var log lines
	o := bustest.Options(t, url)
	o.Log = zerolog.New(&log)
	connected := make(chan *bus.Bus)
	go func() {
		b, err := bus.Connect(context.Background(), o)
		if err == nil {
			err = b.Apply(context.Background())
		}
		if err != nil {
			close(connected)
			return
		}
		connected <- b
	}()
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "waiting for NATS") }, bustest.Patience, 5*time.Millisecond)

	port := 0
	for _, c := range url[strings.LastIndex(url, ":")+1:] {
		port = port*10 + int(c-'0')
	}
	s, err = broker.Start(broker.Options{StoreDir: t.TempDir(), Port: port, Log: zerolog.Nop()})
	require.NoError(t, err)
	defer s.Stop()
	b, ok := <-connected
	require.True(t, ok)
	defer b.Close()
	require.NoError(t, b.Healthy())
	require.Equal(t, 1, strings.Count(log.String(), "waiting for NATS"))
}

func TestConnectEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	o := bustest.Options(t, "nats://someone:hunter2@127.0.0.1:1")
	var log lines
	o.Log = zerolog.New(&log)
	_, err := bus.Connect(ctx, o)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "127.0.0.1:1")
	require.NotContains(t, err.Error()+log.String(), "hunter2")
	require.NotContains(t, err.Error()+log.String(), "someone")
}

func TestConnectRefusesWhatIsNoURL(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "nats://", "nats://user:hunter2@[half", "nats://a:4222,,nats://b:4222", "nats://user:hunter2@ho st:4222"} {
		_, err := bus.Connect(t.Context(), bus.Options{URL: url, Log: zerolog.Nop()})
		require.ErrorContains(t, err, "not of the form", url)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func TestHealthy(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	require.NoError(t, k.Bus.Healthy())
	k.Stop()
	require.Eventually(t, func() bool { return k.Bus.Healthy() != nil }, bustest.Patience, 5*time.Millisecond)
	k.Start()
	require.Eventually(t, func() bool { return k.Bus.Healthy() == nil }, bustest.Patience, 5*time.Millisecond)
}

func TestClosedBus(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	b, err := bus.Connect(t.Context(), bustest.Options(t, k.URL()))
	require.NoError(t, err)
	b.Close()
	require.Error(t, b.Healthy())
	require.ErrorIs(t, b.Publish(t.Context(), fetched(1)), bus.ErrClosed)
	require.ErrorIs(t, b.Apply(t.Context()), bus.ErrClosed)
	require.ErrorIs(t, b.Consume(t.Context(), bus.Convert, func(context.Context, bus.Delivery) error { return nil }), bus.ErrClosed)
	for _, err := range b.FollowProgress(t.Context(), "docs", "run-1") {
		require.ErrorIs(t, err, bus.ErrClosed)
	}
}

func TestCloseWithoutBroker(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	b, err := bus.Connect(t.Context(), bustest.Options(t, k.URL()))
	require.NoError(t, err)
	k.Stop()
	b.Close()
}

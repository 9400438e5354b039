package bustest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
)

// Stage is a stage under test.
type Stage struct {
	Consumer bus.Consumer
	// Handler makes the stage's handler, publishing through b.
	Handler func(b *bus.Bus) bus.Handler
	// Options are the stage's options for Consume.
	Options []bus.ConsumeOption
	// Event is the n-th message of a subtest, valid and different from the others.
	Event func(n int) event.Event
	// Publishes is the type that handling one message publishes, at least once; empty for a stage that
	// publishes nothing.
	Publishes event.Type
	// Fails is the number of page.failed events for one message that is given up.
	Fails int
}

// Suite checks the requirements for every stage: it handles a message once, again after a failure, and
// twice without harm; it gives up permanent failures; and it hands back its work when it is stopped.
func Suite(t *testing.T, s Stage) {
	t.Run("ack", s.ack)
	t.Run("retry", s.retry)
	t.Run("permanent", s.permanent)
	t.Run("replay", s.replay)
	t.Run("garbage", s.garbage)
	t.Run("shutdown", s.shutdown)
}

// run is one running subtest.
type run struct {
	*Kit
	s      Stage
	mu     sync.Mutex
	calls  []bus.Delivery
	heard  int
	news   chan struct{}
	failed *Collector[event.PageFailed]
}

func (s Stage) start(t *testing.T) *run {
	t.Helper()
	r := &run{Kit: New(t), s: s, news: make(chan struct{}, 1)}
	r.failed = Collect[event.PageFailed](r.Kit)
	if s.Publishes != "" {
		stop, err := r.Bus.Listen(s.Publishes, "", func(bus.Delivery) {
			r.note(func() { r.heard++ })
		})
		require.NoError(t, err)
		t.Cleanup(stop)
	}
	return r
}

func (r *run) note(change func()) {
	r.mu.Lock()
	change()
	r.mu.Unlock()
	select {
	case r.news <- struct{}{}:
	default:
	}
}

// until waits for a condition on the run's records.
func (r *run) until(what string, condition func() bool) {
	r.t.Helper()
	timeout := time.After(Patience)
	for {
		r.mu.Lock()
		ok := condition()
		r.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-r.news:
		case <-timeout:
			require.Fail(r.t, "it does not happen", what)
		}
	}
}

// stage consumes with the stage's handler inside wrap.
func (r *run) stage(wrap func(ctx context.Context, d bus.Delivery, call int, handler bus.Handler) error) (stop func()) {
	handler := r.s.Handler(r.Bus)
	return r.Consume(r.s.Consumer, func(ctx context.Context, d bus.Delivery) error {
		var call int
		r.note(func() { r.calls = append(r.calls, d); call = len(r.calls) })
		return wrap(ctx, d, call, handler)
	}, r.s.Options...)
}

// done waits until the stage has made n calls and has published, and no work is left.
func (r *run) done(calls, published int) {
	r.t.Helper()
	r.until("the handler is called", func() bool { return len(r.calls) >= calls })
	if r.s.Publishes != "" {
		r.until(string(r.s.Publishes)+" is published", func() bool { return r.heard >= published })
	}
	r.Empty(r.s.Consumer)
	require.Len(r.t, r.calls, calls, "a message that was handled does not come again")
	require.Empty(r.t, r.failed.All())
}

func plain(ctx context.Context, d bus.Delivery, _ int, handler bus.Handler) error {
	return handler(ctx, d)
}

func (s Stage) ack(t *testing.T) {
	r := s.start(t)
	r.stage(plain)
	r.Publish(s.Event(1), s.Event(2))
	r.done(2, 2)
}

func (s Stage) retry(t *testing.T) {
	r := s.start(t)
	r.stage(func(ctx context.Context, d bus.Delivery, call int, handler bus.Handler) error {
		switch call {
		case 1:
			return errors.New("the first attempt fails")
		case 2:
			return bus.RetryAfter(errors.New("the second has to wait"), time.Millisecond)
		}
		return handler(ctx, d)
	})
	r.Publish(s.Event(1))
	r.done(3, 1)
	require.Equal(t, 1, r.calls[0].Attempt)
	require.Equal(t, 2, r.calls[1].Attempt)
	require.Equal(t, 2, r.calls[2].Attempt, "waiting is not a failure")
}

func (s Stage) permanent(t *testing.T) {
	r := s.start(t)
	r.stage(func(context.Context, bus.Delivery, int, bus.Handler) error {
		return bus.Permanent(failure.New(failure.NotFound, "given up by the suite"))
	})
	r.Publish(s.Event(1))
	for _, f := range r.failed.Wait(s.Fails) {
		require.Equal(t, failure.NotFound, f.Code)
		require.Equal(t, s.Consumer.Stage, f.Stage)
		require.Equal(t, 1, f.Attempts)
	}
	r.until("the handler is called", func() bool { return len(r.calls) > 0 })
	r.Empty(s.Consumer)
	require.Len(t, r.failed.All(), s.Fails)
	require.Len(t, r.calls, 1)
}

// replay is a crash between the work and its ack: the whole work is done twice.
func (s Stage) replay(t *testing.T) {
	r := s.start(t)
	r.stage(func(ctx context.Context, d bus.Delivery, call int, handler bus.Handler) error {
		if err := handler(ctx, d); err != nil {
			return err
		}
		if call == 1 {
			return errors.New("the ack is lost")
		}
		return nil
	})
	r.Publish(s.Event(1))
	r.done(2, 1)
}

func (s Stage) garbage(t *testing.T) {
	r := s.start(t)
	calls := 0
	r.stage(func(ctx context.Context, d bus.Delivery, call int, handler bus.Handler) error {
		err := handler(ctx, d)
		r.note(func() { calls++ })
		return err
	})
	_, err := r.JetStream().PublishMsg(t.Context(), &nats.Msg{Subject: s.Event(1).Subject(), Data: []byte("{")})
	require.NoError(t, err)
	r.until("the handler has seen the garbage", func() bool { return calls >= 1 })
	r.Empty(s.Consumer)
	r.Publish(s.Event(1))
	r.done(2, 1)
}

func (s Stage) shutdown(t *testing.T) {
	r := s.start(t)
	stop := r.stage(func(ctx context.Context, _ bus.Delivery, _ int, _ bus.Handler) error {
		<-ctx.Done()
		return ctx.Err()
	})
	r.Publish(s.Event(1))
	r.until("the handler is called", func() bool { return len(r.calls) == 1 })
	stop()
	r.stage(plain)
	r.done(2, 1)
	require.Equal(t, 1, r.calls[1].Attempt, "being stopped is not a failure")
}

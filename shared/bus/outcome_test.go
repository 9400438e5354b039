package bus_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
)

var errPlain = errors.New("it did not work")

// counted returns the keys of the existing counters.
func counted(t *testing.T, k *bustest.Kit) []string {
	t.Helper()
	s, err := k.JetStream().Stream(t.Context(), "KV_SLUICE_UNCOUNTED")
	require.NoError(t, err)
	info, err := s.Info(t.Context(), jetstream.WithSubjectFilter(">"))
	require.NoError(t, err)
	var keys []string
	for subject := range info.State.Subjects {
		keys = append(keys, subject)
	}
	return keys
}

// noCounterStays waits until no counter is left: a message is acknowledged before its counter is deleted.
func noCounterStays(t *testing.T, k *bustest.Kit) {
	t.Helper()
	require.Eventually(t, func() bool { return len(counted(t, k)) == 0 }, bustest.Patience, 5*time.Millisecond)
}

// Each case lists a handler's results, attempt by attempt; the last one repeats.
func TestWhatBecomesOfAMessage(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	failed := bustest.Collect[event.PageFailed](k)
	for i, tc := range []struct {
		name     string
		returns  []func() error
		attempts []int // as the handler sees them
		code     failure.Code
		message  string
	}{
		{"nil", []func() error{nothing}, []int{1}, "", ""},
		{"an error, then nil", []func() error{plainly, nothing}, []int{1, 2}, "", ""},
		{"an error always", []func() error{plainly}, []int{1, 2, 3, 4, 5}, failure.Exhausted, "it did not work"},
		{
			"an error with a code always",
			[]func() error{func() error { return failure.New(failure.Protocol, "no answer") }},
			[]int{1, 2, 3, 4, 5}, failure.Protocol, "no answer",
		},
		{
			"parked again and again, then nil",
			[]func() error{
				parked, parked, parked,
				parked, parked, parked, nothing,
			},
			[]int{1, 1, 1, 1, 1, 1, 1}, "", "",
		},
		{
			"parked between failures",
			[]func() error{plainly, parked, plainly, parked, plainly},
			[]int{1, 2, 2, 3, 3, 4, 5}, failure.Exhausted, "it did not work",
		},
		{
			"permanent",
			[]func() error{func() error { return fmt.Errorf("look: %w", bus.Permanent(failure.New(failure.NotFound, "no page"))) }},
			[]int{1}, failure.NotFound, "look: no page",
		},
		{
			"permanent without a code",
			[]func() error{func() error { return bus.Permanent(errPlain) }},
			[]int{1}, failure.Internal, "it did not work",
		},
		{
			"permanent after an error",
			[]func() error{plainly, func() error { return bus.Permanent(errPlain) }},
			[]int{1, 2}, failure.Internal, "it did not work",
		},
		{
			"the outer word counts",
			[]func() error{func() error { return bus.RetryAfter(bus.Permanent(errPlain), time.Millisecond) }, nothing},
			[]int{1, 1}, "", "",
		},
		{"a panic", []func() error{func() error { panic("boom") }}, []int{1}, failure.Panic, "panic: boom"},
		{"a panic after an error", []func() error{plainly, func() error { panic(errPlain) }}, []int{1, 2}, failure.Panic, "panic: it did not work"},
		{
			"a long message",
			[]func() error{func() error { return bus.Permanent(errors.New(strings.Repeat("é", 5000))) }},
			[]int{1}, failure.Internal, strings.Repeat("é", 498) + "…",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := len(failed.All())
			got, call := newRecorder(), 0
			stop := k.Consume(bus.Convert, got.handle(func(bus.Delivery) error {
				f := tc.returns[min(call, len(tc.returns)-1)]
				call++
				return f()
			}), bus.Workers(1))
			k.Publish(fetched(1000 + i))
			for _, want := range tc.attempts {
				require.Equal(t, want, got.next(t).Attempt)
			}
			k.Empty(bus.Convert)
			stop()
			require.Empty(t, got.ch, "it does not come again")
			noCounterStays(t, k)
			events := failed.All()[before:]
			if tc.code == "" {
				require.Empty(t, events)
				return
			}
			require.Len(t, events, 1)
			f := events[0]
			require.WithinDuration(t, time.Now(), f.At, time.Minute)
			f.At = time.Time{}
			require.Equal(t, event.PageFailed{
				SourceID: "docs", RunID: "run-1", PageID: fmt.Sprint(1100 + i), Version: 1000 + i, Stage: "converter",
				Code: tc.code, Message: tc.message, Attempts: tc.attempts[len(tc.attempts)-1],
			}, f)
		})
	}
}

func nothing() error { return nil }

func plainly() error { return errPlain }

func parked() error { return bus.RetryAfter(errPlain, time.Millisecond) }

func TestEveryPageOfATaskFails(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	failed := bustest.Collect[event.PageFailed](k)
	task := event.PagesListed{SourceID: "docs", RunID: "run-1", Attempt: 1}
	for n := 1; n <= event.MaxListed; n++ {
		task.Pages = append(task.Pages, page.Ref{ID: fmt.Sprint(n), Version: n})
	}
	k.Consume(bus.Fetch, func(context.Context, bus.Delivery) error {
		return bus.Permanent(failure.New(failure.Unauthorized, "the token is dead"))
	})
	k.Publish(task)
	var refs []page.Ref
	for _, f := range failed.Wait(event.MaxListed) {
		require.Equal(t, failure.Unauthorized, f.Code)
		require.Equal(t, "fetcher", f.Stage)
		refs = append(refs, page.Ref{ID: f.PageID, Version: f.Version})
	}
	require.ElementsMatch(t, task.Pages, refs)
}

// A message without pages is given up silently, and so is a page.failed that cannot be handled.
func TestWhatIsGivenUpWithoutPageFailed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		consumer bus.Consumer
		event    event.Event
		fails    int
	}{
		"a request":    {bus.Sync, event.SyncRequested{SourceID: "docs", RequestID: "run-1"}, 0},
		"a listing":    {bus.Removals, event.ListingCompleted{SourceID: "docs", RunID: "run-1"}, 0},
		"a failure":    {bus.Ledger, event.PageFailed{SourceID: "docs", RunID: "run-1", PageID: "1", At: time.Now()}, 1}, // itself
		"another fact": {bus.Ledger, event.PageStored{SourceID: "docs", RunID: "run-1", PageID: "1", Version: 3}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			k := bustest.New(t)
			failed := bustest.Collect[event.PageFailed](k)
			var calls atomic.Int32
			k.Consume(tc.consumer, func(_ context.Context, d bus.Delivery) error {
				if d.Type == tc.event.EventType() {
					calls.Add(1)
					return bus.Permanent(errPlain)
				}
				return nil
			})
			k.Publish(tc.event)
			require.Eventually(t, func() bool { return calls.Load() == 1 }, bustest.Patience, time.Millisecond)
			k.Empty(tc.consumer)
			failed.Wait(tc.fails)
			require.Len(t, failed.All(), tc.fails)
			require.EqualValues(t, 1, calls.Load())
		})
	}
}

func TestDelaysGrowAndAreKept(t *testing.T) {
	t.Parallel()
	k := bustest.New(t, bustest.With(func(o *bus.Options) {
		o.RetryBase, o.RetryCap = 100*time.Millisecond, 250*time.Millisecond
	}))
	var at []time.Time
	got := newRecorder()
	k.Consume(bus.Convert, got.handle(func(d bus.Delivery) error {
		at = append(at, time.Now())
		switch d.Attempt {
		case 1, 2, 3:
			return errPlain
		}
		if len(at) == 4 {
			return bus.RetryAfter(errPlain, 400*time.Millisecond)
		}
		return nil
	}), bus.Workers(1))
	k.Publish(fetched(1))
	for range 5 {
		got.next(t)
	}
	k.Empty(bus.Convert)
	for i, least := range []int64{100, 200, 250, 400} {
		pause := at[i+1].Sub(at[i]).Milliseconds()
		require.GreaterOrEqual(t, pause, least, "pause %d", i+1)
		require.Less(t, pause, least+2000, "pause %d", i+1)
	}
}

// die takes a message like a process that then crashes.
func die(t *testing.T, k *bustest.Kit, c bus.Consumer) {
	t.Helper()
	consumer, err := k.JetStream().Consumer(t.Context(), c.Stream, c.Durable)
	require.NoError(t, err)
	_, err = consumer.Next(jetstream.FetchMaxWait(bustest.Patience))
	require.NoError(t, err)
}

func TestMessageThatKills(t *testing.T) {
	t.Parallel()
	k := bustest.New(t, bustest.With(func(o *bus.Options) { o.AckWait, o.MaxAttempts = 500*time.Millisecond, 3 }))
	failed := bustest.Collect[event.PageFailed](k)
	k.Publish(fetched(1))
	for range 3 {
		die(t, k, bus.Convert)
	}
	k.Consume(bus.Convert, func(context.Context, bus.Delivery) error {
		t.Error("it must not be retried")
		return nil
	})
	f := failed.Wait(1)[0]
	require.Equal(t, failure.Crashed, f.Code)
	require.Equal(t, "101", f.PageID)
	require.Equal(t, 3, f.Attempts)
	k.Empty(bus.Convert)
}

func TestCrashCounts(t *testing.T) {
	t.Parallel()
	k := bustest.New(t, bustest.With(func(o *bus.Options) { o.AckWait, o.MaxAttempts = 500*time.Millisecond, 3 }))
	failed := bustest.Collect[event.PageFailed](k)
	k.Publish(fetched(1))
	die(t, k, bus.Convert)
	got := newRecorder()
	k.Consume(bus.Convert, got.handle(func(bus.Delivery) error { return errPlain }))
	require.Equal(t, 2, got.next(t).Attempt)
	require.Equal(t, 3, got.next(t).Attempt)
	require.Equal(t, failure.Exhausted, failed.Wait(1)[0].Code)
	k.Empty(bus.Convert)
}

func TestFailureThatCannotBePublished(t *testing.T) {
	t.Parallel()
	k := bustest.New(t, bustest.With(func(o *bus.Options) { o.AckWait = time.Second }))
	js := k.JetStream()
	narrow(t, k, bus.Ledger.Stream, 1)
	k.Publish(event.PageStored{SourceID: "docs", RunID: "run-1", PageID: "9"})
	var log lines
	b := k.Connect(func(o *bus.Options) { o.AckWait, o.Log = time.Second, zerolog.New(&log) })
	got := newRecorder()
	bustest.Consume(t, b, bus.Convert, got.handle(func(bus.Delivery) error { return bus.Permanent(failure.New(failure.NotFound, "no page")) }))
	k.Publish(fetched(1))
	for range 3 {
		require.Equal(t, 1, got.next(t).Attempt, "the message comes again and nothing is counted")
	}
	require.Contains(t, log.String(), "cannot be recorded")

	failed := bustest.Collect[event.PageFailed](k)
	facts, err := js.Stream(t.Context(), bus.Ledger.Stream)
	require.NoError(t, err)
	require.NoError(t, facts.Purge(t.Context()))
	require.Equal(t, failure.NotFound, failed.Wait(1)[0].Code)
	k.Empty(bus.Convert)
}

func TestOnPermanent(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]func() error{
		"works at once":   nothing,
		"fails at first":  plainly,
		"panics at first": func() error { panic("boom") },
		"cannot be done":  func() error { return bus.Permanent(errPlain) },
	} {
		t.Run(name, func(t *testing.T) {
			k := bustest.New(t)
			failed := bustest.Collect[event.PageFailed](k)
			calls, causes := newRecorder(), make(chan error, 10)
			once := false
			k.Consume(bus.Convert, calls.handle(func(bus.Delivery) error { return errPlain }),
				bus.OnPermanent(func(ctx context.Context, d bus.Delivery, cause error) error {
					require.NoError(t, ctx.Err())
					require.Equal(t, event.TypePageFetched, d.Type)
					require.Equal(t, 5, d.Attempt)
					causes <- cause
					if !once {
						once = true
						return first()
					}
					return nil
				}))
			k.Publish(fetched(1))
			require.Equal(t, failure.Exhausted, failure.CodeOf(<-causes))
			k.Empty(bus.Convert)
			repeated := name == "fails at first" || name == "panics at first"
			if repeated {
				require.ErrorIs(t, <-causes, errPlain)
				require.Len(t, calls.ch, 6, "the handler has another go")
			} else {
				require.Len(t, calls.ch, 5)
			}
			require.Empty(t, causes)
			require.Empty(t, failed.All(), "page.failed is replaced")
		})
	}
}

func TestSteeringNothingIsNothing(t *testing.T) {
	t.Parallel()
	require.NoError(t, bus.Permanent(nil))
	require.NoError(t, bus.RetryAfter(nil, time.Second))
	require.ErrorIs(t, bus.Permanent(errPlain), errPlain)
	require.EqualError(t, bus.RetryAfter(errPlain, time.Second), errPlain.Error())
	require.Equal(t, failure.Gone, failure.CodeOf(bus.Permanent(failure.Wrap(failure.Gone, errPlain))))
}

func TestLogHasOneLineAMessageAndNoBody(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	var log lines
	b := k.Connect(func(o *bus.Options) { o.Log = zerolog.New(&log) })
	call := 0
	bustest.Consume(t, b, bus.Convert, func(_ context.Context, d bus.Delivery) error {
		call++
		switch call {
		case 1:
			return nil
		case 2:
			return errPlain
		case 3:
			panic("boom")
		}
		_, err := bus.Decode[event.PageStored](d)
		return err
	}, bus.Workers(1))
	for n := range 3 {
		e := fetched(n)
		e.Body = "<p>the secret of the page</p>"
		require.NoError(t, b.Publish(t.Context(), e))
	}
	k.Empty(bus.Convert)
	require.NotContains(t, log.String(), "secret")
	var handled, failed, given int
	for line := range strings.Lines(log.String()) {
		require.Contains(t, line, `"stage":"converter"`)
		require.Contains(t, line, `"source":"docs"`)
		require.Contains(t, line, `"run":"run-1"`)
		require.Contains(t, line, `"page":"10`)
		switch {
		case strings.Contains(line, `"level":"debug"`) && strings.Contains(line, "handled"):
			handled++
		case strings.Contains(line, `"level":"warn"`) && strings.Contains(line, "it did not work"):
			failed++
		case strings.Contains(line, `"level":"error"`) && strings.Contains(line, "given up"):
			given++
			require.Equal(t, strings.Contains(line, "panic: boom"), strings.Contains(line, "outcome_test.go"), "a panic has its stack: %s", line)
		}
	}
	require.Equal(t, []int{1, 1, 2}, []int{handled, failed, given}, log.String())
}

// After a crash, the messages that the process was handling are handled one by one, and a message that
// waits for that loses no attempt.
func TestAfterACrashMessagesAreHandledAlone(t *testing.T) {
	t.Parallel()
	k := bustest.New(t, bustest.With(func(o *bus.Options) { o.AckWait = time.Second }))
	for i := range 3 {
		k.Publish(fetched(i + 1))
	}
	for range 3 {
		die(t, k, bus.Convert)
	}
	began, goOn := make(chan bus.Delivery, 3), make(chan struct{})
	k.Consume(bus.Convert, func(_ context.Context, d bus.Delivery) error {
		began <- d
		<-goOn
		return nil
	}, bus.Workers(3))
	require.Equal(t, 2, (<-began).Attempt)
	counters, err := k.JetStream().KeyValue(t.Context(), "SLUICE_UNCOUNTED")
	require.NoError(t, err)
	uncounted := func() int {
		keys, err := counters.Keys(t.Context())
		if errors.Is(err, jetstream.ErrNoKeysFound) {
			return 0
		}
		require.NoError(t, err)
		n := 0
		for _, key := range keys {
			if entry, err := counters.Get(t.Context(), key); err == nil && string(entry.Value()) == "1" {
				n++
			}
		}
		return n
	}
	require.Eventually(t, func() bool { return uncounted() == 2 }, bustest.Patience, 20*time.Millisecond, "two wait")
	require.Empty(t, began, "and are not handled")
	goOn <- struct{}{}
	<-began
	require.Equal(t, 1, uncounted(), "what is handled counts")
	goOn <- struct{}{}
	<-began
	goOn <- struct{}{}
	k.Empty(bus.Convert)
	require.Eventually(t, func() bool { return uncounted() == 0 }, bustest.Patience, 20*time.Millisecond)
}

// The total size of concurrent documents is limited, for any number of workers.
func TestLargeDocumentsAreNotInHandTogether(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	for i := range 4 {
		e := fetched(i + 1)
		e.Body = strings.Repeat("words and more words ", 6<<20/21) // twice that fits
		k.Publish(e)
	}
	var now, most atomic.Int64
	k.Consume(bus.Convert, func(context.Context, bus.Delivery) error {
		n := now.Add(1)
		defer now.Add(-1)
		for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
		}
		<-time.After(50 * time.Millisecond) // long enough for the others to start
		return nil
	}, bus.Workers(4))
	k.Empty(bus.Convert)
	require.EqualValues(t, 2, most.Load())
}

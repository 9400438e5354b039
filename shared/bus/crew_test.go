package bus_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/page"
)

func task(source string, n int) event.PagesListed {
	return event.PagesListed{SourceID: source, RunID: "run-" + source, Attempt: 1, Pages: []page.Ref{{ID: fmt.Sprint(n), Version: 1}}}
}

// held are handlers that wait for their site, by site.
type held struct {
	mu        sync.Mutex
	now, most map[string]int
	gate      chan struct{}
}

func (h *held) wait(ctx context.Context, site string) error {
	h.mu.Lock()
	h.now[site]++
	h.most[site] = max(h.most[site], h.now[site])
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.now[site]--
	}()
	select {
	case <-h.gate:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *held) counts() (now, most map[string]int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now, most = map[string]int{}, map[string]int{}
	for s, n := range h.now {
		now[s], most[s] = n, h.most[s]
	}
	return now, most
}

// Four sites that do not answer, each with more work than there are workers and in front of the fifth,
// do not stop the fifth.
func TestSitesThatDoNotAnswerStopNoOther(t *testing.T) {
	k := bustest.New(t, bustest.With(func(o *bus.Options) { o.Slow = 50 * time.Millisecond }))
	const workers, tasks = 4, 12
	slow := []string{"a", "b", "c", "d"}
	h := &held{now: map[string]int{}, most: map[string]int{}, gate: make(chan struct{})}
	free := newRecorder()
	for _, s := range slow {
		for n := range tasks {
			k.Publish(task(s, n))
		}
	}
	site := func(_ context.Context, source string) string {
		if source == "a2" {
			return "a"
		}
		return source
	}
	k.Consume(bus.Fetch, func(ctx context.Context, d bus.Delivery) error {
		if d.SourceID == "free" {
			return free.handle(func(bus.Delivery) error { return nil })(ctx, d)
		}
		return h.wait(ctx, site(ctx, d.SourceID))
	}, bus.Workers(workers), bus.Lanes(site))
	open := sync.OnceFunc(func() { close(h.gate) })
	t.Cleanup(open)
	require.Eventually(t, func() bool {
		now, _ := h.counts()
		return len(now) == len(slow)
	}, bustest.Patience, 5*time.Millisecond, "every site has a worker")
	for n := range 3 {
		k.Publish(task("a2", n)) // of a site that has its share
	}
	const wanted = 20
	for n := range wanted {
		k.Publish(task("free", n))
	}
	for range wanted {
		require.Equal(t, 1, free.next(t).Attempt, "what goes back to the broker is no attempt")
	}
	_, most := h.counts()
	total := 0
	for s, n := range most {
		require.LessOrEqual(t, n, workers, "site %s", s)
		total += n
	}
	require.Less(t, total, 4*workers)
	open()
	k.Empty(bus.Fetch)
}

// While its servers answer in time, a consumer has its number of workers and no more, also after some
// did not.
func TestACrewShrinksAgain(t *testing.T) {
	k := bustest.New(t, bustest.With(func(o *bus.Options) { o.Slow = 100 * time.Millisecond }))
	h := &held{now: map[string]int{}, most: map[string]int{}, gate: make(chan struct{})}
	for n := range 2 {
		k.Publish(task("slow", n))
	}
	quick := make(chan chan struct{})
	k.Consume(bus.Fetch, func(ctx context.Context, d bus.Delivery) error {
		if d.SourceID == "slow" {
			return h.wait(ctx, "slow")
		}
		end := make(chan struct{})
		select {
		case quick <- end:
			<-end
		case <-ctx.Done():
		}
		return ctx.Err()
	}, bus.Workers(2))
	k.Publish(task("quick", 1))
	first := <-quick // by a worker that was hired
	close(h.gate)
	close(first)
	k.Empty(bus.Fetch)
	consumer, err := k.JetStream().Consumer(t.Context(), bus.Fetch.Stream, bus.Fetch.Durable)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		info, err := consumer.Info(t.Context())
		return err == nil && info.NumWaiting == 2
	}, bustest.Patience, 10*time.Millisecond, "two workers wait for messages")
}

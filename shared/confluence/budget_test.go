package confluence_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/confluence"
)

// A 429 for one call delays every call of the budget.
func TestRateLimitPausesTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var mu sync.Mutex
		var at []time.Duration
		budget := confluence.NewBudget(1000, 10, time.Minute)
		answer := wire(func(*http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			at = append(at, time.Since(start))
			if len(at) == 1 {
				return response(429, `{}`, "Retry-After", "25"), nil
			}
			return response(200, pageRow(1001, 1, "")), nil
		})
		one, two := wired(t, answer, confluence.WithLimiter(budget)), wired(t, answer, confluence.WithLimiter(budget))
		var wg sync.WaitGroup
		wg.Go(func() { require.NoError(t, readPage(one)) })
		synctest.Wait()
		wg.Go(func() { require.NoError(t, readPage(two)) })
		wg.Wait()
		require.Len(t, at, 3)
		for _, d := range at[1:] {
			require.GreaterOrEqual(t, d, 25*time.Second)
		}
	})
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		c := wired(t, func(*http.Request) (*http.Response, error) { return response(200, pageRow(1001, 1, "")), nil },
			confluence.WithRate(10, 2))
		for range 22 {
			require.NoError(t, readPage(c))
		}
		require.Equal(t, 2*time.Second, time.Since(start).Round(time.Millisecond))
	})
}

func TestBudgetWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := confluence.NewBudget(1, 1, time.Minute)
		ctx, cancel := context.WithCancel(context.Background())
		require.NoError(t, b.Wait(ctx))
		start := time.Now()
		time.AfterFunc(300*time.Millisecond, cancel)
		require.ErrorIs(t, b.Wait(ctx), context.Canceled)
		require.Equal(t, 300*time.Millisecond, time.Since(start))

		// A pause that begins while a call waits in the queue delays it too. A later, shorter pause does
		// not shorten it.
		ctx = context.Background()
		require.NoError(t, b.Wait(ctx))
		start = time.Now()
		time.AfterFunc(500*time.Millisecond, func() { b.Pause(start.Add(20 * time.Second)) })
		time.AfterFunc(600*time.Millisecond, func() { b.Pause(start.Add(5 * time.Second)) })
		require.NoError(t, b.Wait(ctx))
		require.GreaterOrEqual(t, time.Since(start), 20*time.Second)

		b.Pause(time.Now().Add(time.Hour))
		var limited *confluence.RateLimitError
		require.ErrorAs(t, b.Wait(ctx), &limited)
	})
}

type pausedError struct{ at time.Time }

func (e pausedError) Error() string          { return "paused" }
func (e pausedError) PausedUntil() time.Time { return e.at }

// fleet is a budget shared with other processes.
type fleet struct {
	err   error
	waits int
	dones int
	until time.Time
}

func (f *fleet) Wait(context.Context) error { f.waits++; return f.err }
func (f *fleet) Done()                      { f.dones++ }
func (f *fleet) Pause(until time.Time)      { f.until = until }

// Every attempt waits for the budget and releases its place afterwards. The client reports pauses to the
// budget; a pause that the budget reports is returned immediately, however short.
func TestBudgetOfAFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fleet{}
		status := 503
		start := time.Now()
		c := wired(t, func(*http.Request) (*http.Response, error) {
			require.Equal(t, f.waits-1, f.dones, "one call under way")
			return response(status, `{}`, "Retry-After", "2"), nil
		}, confluence.WithLimiter(f))
		require.Error(t, readPage(c))
		require.Equal(t, 4, f.waits)
		require.Equal(t, 4, f.dones)
		require.Zero(t, f.until, "a failing server's wait is not the tenant's")

		status = 429
		require.Error(t, readPage(c))
		require.True(t, f.until.After(start))
		require.Equal(t, 8, f.dones)

		at := time.Now().Add(time.Second)
		f.err = fmt.Errorf("budget: %w", pausedError{at})
		err := readPage(c)
		var limited *confluence.RateLimitError
		require.ErrorAs(t, err, &limited)
		require.Equal(t, at, limited.RetryAt)
		require.Equal(t, "/wiki/api/v2/pages/{id}", limited.Route)
		require.Equal(t, 9, f.waits)
		require.Equal(t, 8, f.dones, "no call, no place to give back")

		f.err = io.ErrClosedPipe
		require.ErrorIs(t, readPage(c), io.ErrClosedPipe)
		require.Equal(t, 10, f.waits)
	})
}

func TestBreakerOpensAndCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls, healthy := 0, false
		c := wired(t, func(*http.Request) (*http.Response, error) {
			calls++
			if healthy {
				return response(200, pageRow(1001, 1, "")), nil
			}
			return response(502, ``), nil
		}, confluence.WithRetryDelays(), confluence.WithBreaker(3, 20*time.Second))
		for range 3 {
			require.Error(t, readPage(c))
		}
		start := time.Now()
		err := readPage(c)
		var server *confluence.ServerError
		require.ErrorAs(t, err, &server)
		require.Zero(t, server.Status)
		require.Equal(t, "/wiki/api/v2/pages/{id}", server.Route)
		require.Equal(t, start.Add(20*time.Second), server.RetryAt)
		require.Equal(t, 3, calls, "an open circuit makes no call")

		healthy = true
		require.NoError(t, sleepUntil(server.RetryAt))
		require.NoError(t, readPage(c))
		require.NoError(t, readPage(c))
	})
}

func TestOpenCircuitIsNotRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at, took, err := schedule(t, func(int) (*http.Response, error) { return response(502, ``), nil }, confluence.WithBreaker(2, time.Hour))
		require.Error(t, err)
		require.Len(t, at, 2)
		require.Less(t, took, 4*time.Second, "1 s and 2 s, then the circuit is open")
	})
}

// A rejected call does not mean that Confluence is unhealthy.
func TestRefusalsDoNotOpenTheCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		status := 403
		c := wired(t, func(*http.Request) (*http.Response, error) {
			if status == 200 {
				return response(200, pageRow(1001, 1, "")), nil
			}
			return response(status, `{}`), nil
		}, confluence.WithBreaker(2, time.Hour), confluence.WithRetryDelays())
		for _, status = range []int{403, 404, 400, 410, 429, 403, 404} {
			require.Error(t, readPage(c))
		}
		status = 200
		require.NoError(t, readPage(c))
	})
}

func TestConcurrencyIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		now, most := 0, 0
		c := wired(t, func(*http.Request) (*http.Response, error) {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			<-time.After(time.Second)
			mu.Lock()
			now--
			mu.Unlock()
			return response(200, pageRow(1001, 1, "")), nil
		}, confluence.WithConcurrency(3), confluence.WithRate(math.Inf(1), 1))
		var wg sync.WaitGroup
		for range 12 {
			wg.Go(func() { require.NoError(t, readPage(c)) })
		}
		wg.Wait()
		require.Equal(t, 3, most)
	})
}

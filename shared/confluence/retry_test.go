package confluence_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/confluence"
)

// schedule answers every call by answer and returns the times of the calls, on the bubble's clock.
func schedule(t *testing.T, answer func(call int) (*http.Response, error), opts ...confluence.Option) (at []time.Duration, took time.Duration, err error) {
	t.Helper()
	start := time.Now()
	c := wired(t, func(*http.Request) (*http.Response, error) {
		at = append(at, time.Since(start))
		return answer(len(at))
	}, opts...)
	err = readPage(c)
	return at, time.Since(start), err
}

// within checks that a wait is at least d, and at most the jitter longer.
func within(t *testing.T, d, got time.Duration) {
	t.Helper()
	require.GreaterOrEqual(t, got, d)
	require.LessOrEqual(t, got, d+d*3/10+time.Millisecond)
}

// At most three retries, after 1 s, 2 s and 4 s.
func TestRetryScheduleOnRateLimitServerErrorAndBrokenConnection(t *testing.T) {
	for name, answer := range map[string]func(int) (*http.Response, error){
		"429":       func(int) (*http.Response, error) { return response(429, `{}`), nil },
		"500":       func(int) (*http.Response, error) { return response(500, `{}`), nil },
		"503":       func(int) (*http.Response, error) { return response(503, ``, "Content-Type", "text/html"), nil },
		"504":       func(int) (*http.Response, error) { return response(504, ``), nil },
		"reset":     func(int) (*http.Response, error) { return nil, syscall.ECONNRESET },
		"cut short": func(int) (*http.Response, error) { return cutShort(), nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				at, _, err := schedule(t, answer)
				require.True(t, strings.HasPrefix(err.Error(), "GET /wiki/api/v2/pages/{id}: "), "the last attempt's own error: %v", err)
				require.Len(t, at, 4)
				require.Zero(t, at[0])
				within(t, time.Second, at[1])
				within(t, 2*time.Second, at[2]-at[1])
				within(t, 4*time.Second, at[3]-at[2])
			})
		})
	}
}

func cutShort() *http.Response {
	r := response(200, "")
	r.Body, r.ContentLength = io.NopCloser(&brokenReader{}), 100
	return r
}

type brokenReader struct{ read bool }

func (b *brokenReader) Read(p []byte) (int, error) {
	if b.read {
		return 0, io.ErrUnexpectedEOF
	}
	b.read = true
	return copy(p, `{"id":"10`), nil
}

func TestRetrySucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at, _, err := schedule(t, func(call int) (*http.Response, error) {
			if call < 4 {
				return response(429, `{}`), nil
			}
			return response(200, pageRow(1001, 1, "")), nil
		})
		require.NoError(t, err)
		require.Len(t, at, 4)
	})
}

func TestWhatIsNotRepeated(t *testing.T) {
	for _, status := range []int{200, 301, 400, 401, 403, 404, 405, 409, 410, 413, 415, 422, 501} {
		synctest.Test(t, func(t *testing.T) {
			at, took, err := schedule(t, func(int) (*http.Response, error) { return response(status, `{"message":"no"}`), nil })
			require.Error(t, err, status)
			require.Len(t, at, 1, status)
			require.Zero(t, took, status)
		})
	}
}

// The client waits as long as Confluence requests, never shorter.
func TestRetryAfter(t *testing.T) {
	date := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
	for name, tc := range map[string]struct {
		headers func() []string
		status  int
		want    time.Duration
	}{
		"seconds":                 {func() []string { return []string{"Retry-After", "7"} }, 429, 7 * time.Second},
		"zero is not sooner":      {func() []string { return []string{"Retry-After", "0"} }, 429, time.Second},
		"fewer than the own wait": {func() []string { return []string{"Retry-After", "0.5"} }, 429, time.Second},
		"date":                    {func() []string { return []string{"Retry-After", date(9 * time.Second)} }, 429, 9 * time.Second},
		"date in the past":        {func() []string { return []string{"Retry-After", date(-time.Hour)} }, 429, time.Second},
		"503":                     {func() []string { return []string{"Retry-After", "20"} }, 503, 20 * time.Second},
		"at the bound":            {func() []string { return []string{"Retry-After", "30"} }, 429, 30 * time.Second},
		"reset": {func() []string {
			return []string{"X-RateLimit-Reset", time.Now().Add(12 * time.Second).UTC().Format(time.RFC3339)}
		}, 429, 12 * time.Second},
		"reset, gateway, no Z": {func() []string {
			return []string{"X-Ratelimit-Reset", time.Now().Add(12 * time.Second).Format("2006-01-02T15:04:05+00:00"), "X-Failure-Category", "FAILURE CLIENT RATE LIMITED"}
		}, 429, 12 * time.Second},
		"Retry-After before reset": {func() []string { return []string{"Retry-After", "3", "X-RateLimit-Reset", "2030-01-01T00:00:00Z"} }, 429, 3 * time.Second},
		"nonsense":                 {func() []string { return []string{"Retry-After", "soon", "X-RateLimit-Reset", "later"} }, 429, time.Second},
		"negative":                 {func() []string { return []string{"Retry-After", "-5"} }, 429, time.Second},
		"server's clock is behind": {func() []string {
			return []string{"Date", date(-time.Hour), "Retry-After", date(-time.Hour + 10*time.Second)}
		}, 429, 10 * time.Second},
		"server's clock is before us": {func() []string {
			return []string{"Date", date(time.Hour), "X-RateLimit-Reset", time.Now().Add(time.Hour + 8*time.Second).UTC().Format(time.RFC3339)}
		}, 429, 8 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				at, _, err := schedule(t, func(call int) (*http.Response, error) {
					if call == 1 {
						return response(tc.status, `{}`, tc.headers()...), nil
					}
					return response(200, pageRow(1001, 1, "")), nil
				})
				require.NoError(t, err)
				require.Len(t, at, 2)
				within(t, tc.want, at[1])
			})
		})
	}
}

func TestResetWithoutSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at, _, err := schedule(t, func(call int) (*http.Response, error) {
			if call == 1 {
				return response(429, `{}`, "X-RateLimit-Reset", time.Now().Add(time.Minute).UTC().Format("2006-01-02T15:04Z")), nil
			}
			return response(200, pageRow(1001, 1, "")), nil
		}, confluence.WithMaxWait(2*time.Minute))
		require.NoError(t, err)
		within(t, time.Minute, at[1])
	})
}

// A long wait is returned immediately, so that no worker is blocked, and everyone who shares the budget
// waits.
func TestLongWaitComesBackAtOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		header []string
	}{
		"Atlassian's example": {429, []string{"Retry-After", "1847", "X-RateLimit-Limit", "40000", "X-RateLimit-Remaining", "0", "RateLimit-Reason", "confluence-quota-global-based"}},
		"503":                 {503, []string{"Retry-After", "1847"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				start := time.Now()
				c := wired(t, func(*http.Request) (*http.Response, error) {
					calls++
					if time.Since(start) < 1847*time.Second {
						return response(tc.status, ``, tc.header...), nil
					}
					return response(200, pageRow(1001, 1, "")), nil
				})
				err := readPage(c)
				var limited *confluence.RateLimitError
				require.ErrorAs(t, err, &limited)
				require.Equal(t, start.Add(1847*time.Second), limited.RetryAt)
				require.Equal(t, tc.status, limited.Status)
				require.Zero(t, time.Since(start))
				require.Equal(t, 1, calls)

				if tc.status == 429 {
					require.Equal(t, "confluence-quota-global-based", limited.Reason)
					err = readPage(c)
					require.ErrorAs(t, err, &limited)
					require.Equal(t, start.Add(1847*time.Second), limited.RetryAt)
					require.Equal(t, "/wiki/api/v2/pages/{id}", limited.Route)
					require.Equal(t, 1, calls, "a requested pause is kept without another call")
				}
				require.NoError(t, sleepUntil(limited.RetryAt))
				require.NoError(t, readPage(c))
			})
		})
	}
}

func sleepUntil(at time.Time) error {
	<-time.After(time.Until(at))
	return nil
}

func TestRateLimitWithoutATimeHasARetryAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, err := schedule(t, func(int) (*http.Response, error) { return response(429, `{}`), nil })
		var limited *confluence.RateLimitError
		require.ErrorAs(t, err, &limited)
		require.True(t, limited.RetryAt.After(time.Now()))
	})
}

func TestCancellationEndsAtOnce(t *testing.T) {
	type step = func(r *http.Request) (*http.Response, error)
	for name, answer := range map[string]step{
		"in the exchange":     func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() },
		"before the retry":    func(*http.Request) (*http.Response, error) { return response(500, ``), nil },
		"while asked to wait": func(*http.Request) (*http.Response, error) { return response(429, ``, "Retry-After", "29"), nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := wired(t, wire(answer))
				ctx, cancel := context.WithCancel(context.Background())
				time.AfterFunc(500*time.Millisecond, cancel)
				start := time.Now()
				_, err := c.GetPageByID(ctx, "1001", "")
				require.ErrorIs(t, err, context.Canceled)
				require.Equal(t, 500*time.Millisecond, time.Since(start))

				ctx, cancel = context.WithTimeout(context.Background(), 300*time.Millisecond)
				defer cancel()
				_, err = c.GetPageByID(ctx, "1001", "")
				require.ErrorIs(t, err, context.DeadlineExceeded)
				var broken *confluence.TransportError
				require.False(t, errors.As(err, &broken), "the caller's own deadline is not the site's fault")
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		c := wired(t, func(*http.Request) (*http.Response, error) { calls++; return nil, io.EOF })
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, err := c.GetPageByID(ctx, "1001", "")
		require.ErrorIs(t, err, context.Canceled)
		require.Zero(t, calls)
	})
}

func TestCancellationWhileWaitingForAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := wired(t, func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() },
			confluence.WithConcurrency(1), confluence.WithTimeout(time.Hour))
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				_, err := c.GetPageByID(ctx, "1001", "")
				require.ErrorIs(t, err, context.Canceled)
			})
		}
		synctest.Wait()
		cancel()
		wg.Wait()
	})
}

// The timeout applies to one attempt, including the body.
func TestTimeoutCoversTheBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		calls := 0
		c := wired(t, func(r *http.Request) (*http.Response, error) {
			calls++
			resp := response(200, "")
			resp.Body = io.NopCloser(&drip{rest: make([]byte, 1<<20), n: 8 << 10, pause: time.Second, call: r.Context()})
			resp.ContentLength = -1
			return resp, nil
		}, confluence.WithTimeout(10*time.Second))
		err := readPage(c)
		var broken *confluence.TransportError
		require.ErrorAs(t, err, &broken)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 4, calls)
		require.GreaterOrEqual(t, time.Since(start), 47*time.Second)
		require.Less(t, time.Since(start), 50*time.Second)
	})
}

func TestStatsAndTrace(t *testing.T) {
	var calls []confluence.Call
	_, c := serve(t, script(html(503), always(200, pageRow(1001, 1, "")), always(404, errorV2(404, "NOT_FOUND", "Cannot find a page with id [1001]"))),
		confluence.WithTrace(func(c confluence.Call) { calls = append(calls, c) }))
	require.NoError(t, readPage(c))
	require.Error(t, readPage(c))
	s := c.Stats()
	require.Equal(t, map[string]int64{"GET /wiki/api/v2/pages/{id}": 3}, s.Calls)
	require.Equal(t, map[string]int64{"GET /wiki/api/v2/pages/{id}": 2}, s.Failed)
	require.EqualValues(t, 1, s.Retries)
	require.Positive(t, s.Bytes)
	require.Equal(t, []string{"1 503 true", "2 200 false", "1 404 true"}, []string{brief(calls[0]), brief(calls[1]), brief(calls[2])})
	s.Calls["x"] = 1
	require.NotContains(t, c.Stats().Calls, "x", "a copy")
}

func brief(c confluence.Call) string { return fmt.Sprint(c.Attempt, " ", c.Status, " ", c.Err != nil) }

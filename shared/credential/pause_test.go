package credential

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/storetest"
	"github.com/sluicehq/sluice/shared/viewer"
)

// A long pause is in the database with its reason, and whoever lifts it there lifts it for every process, also for
// one that has not called the site yet.
func TestAPauseIsRecordedAndLiftedForAllProcesses(t *testing.T) {
	var calls, wait atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		if seconds := wait.Load(); seconds > 0 {
			w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
			w.Header().Set("RateLimit-Reason", "quota of the tenant")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(server.Close)
	address := server.URL + "/wiki"
	s, _ := storetest.Open(t)
	require.NoError(t, s.AddSource(t.Context(), store.Source{ID: "docs", BaseURL: address, SpaceKey: "DOCS"}))
	kit := bustest.New(t)
	one, two, three := replica(t, kit, address, Telling(s)), replica(t, kit, address, Telling(s)), replica(t, kit, address, Telling(s))
	paused := func(c *confluence.Client) bool {
		_, err := c.SpaceByKey(t.Context(), "DOCS")
		var limited *confluence.RateLimitError
		return errors.As(err, &limited)
	}
	pause := func() *store.Pause {
		src, err := s.Reader().Source(t.Context(), viewer.All(), "docs")
		require.NoError(t, err)
		return src.Pause
	}

	for range 2 { // a second pause is lifted as well
		wait.Store(315_360_000)
		require.True(t, paused(one))
		known := pause()
		require.NotNil(t, known)
		require.WithinDuration(t, time.Now().Add(time.Hour), known.Until, time.Minute)
		require.Equal(t, "GET /wiki/api/v2/spaces was answered with 429 and a wait of 315360000 seconds, which is cut to the limit: quota of the tenant", known.Why)
		require.Eventually(t, func() bool { return paused(two) }, bustest.Patience, 10*time.Millisecond)

		wait.Store(0)
		began := calls.Load()
		require.True(t, paused(one), "until somebody lifts it")
		require.Equal(t, began, calls.Load())
		_, _, err := s.LiftPause(t.Context(), "docs")
		require.NoError(t, err)
		require.False(t, paused(replica(t, kit, address, Telling(s))), "a new process finds the pause in the budget")
		for _, c := range []*confluence.Client{one, two, three} {
			require.False(t, paused(c))
		}
		require.Nil(t, pause())
	}
}

// While a call waits in place, for less time than parks its work, people see why nothing goes on.
func TestAPauseThatACallWaitsForIsTold(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "6")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	t.Cleanup(server.Close)
	s, _ := storetest.Open(t)
	require.NoError(t, s.AddSource(t.Context(), store.Source{ID: "docs", BaseURL: server.URL + "/wiki", SpaceKey: "DOCS"}))
	client := replica(t, bustest.New(t), server.URL+"/wiki", Telling(s))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := client.SpaceByKey(ctx, "DOCS")
		ended <- err
	}()
	require.Eventually(t, func() bool {
		src, err := s.Reader().Source(t.Context(), viewer.All(), "docs")
		require.NoError(t, err)
		return src.Pause != nil && time.Until(src.Pause.Until) > 3*time.Second
	}, bustest.Patience, 10*time.Millisecond)
	select {
	case err := <-ended:
		require.FailNow(t, "the call does not wait", "%v", err)
	default:
	}
	cancel()
	require.Error(t, <-ended)
}

// A pause of a second or two is over before anybody would wonder.
func TestAShortPauseIsNotRecorded(t *testing.T) {
	var calls atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(server.Close)
	s, conn := storetest.Open(t)
	_, err := replica(t, bustest.New(t), server.URL+"/wiki", Telling(s)).SpaceByKey(t.Context(), "DOCS")
	require.Error(t, err)
	require.EqualValues(t, 2, calls.Load())
	var rows int
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT count(*) FROM confluence_pauses`).Scan(&rows))
	require.Zero(t, rows)
}

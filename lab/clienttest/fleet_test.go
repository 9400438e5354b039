package clienttest

import (
	"context"
	"flag"
	"net/http"
	"net/http/httptest"
	"path"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/secret"
	"github.com/sluicehq/sluice/shared/store"
)

var (
	fleetRate = flag.Int("fleet-rate", 20, "the requests a second of TestThreeReplicasShareOneBudget")
	fleetTime = flag.Duration("fleet-time", 6*time.Second, "how long it measures")
)

// fleet is three replicas, each with a bus connection and a client of its own, that read all
// they may from one stand-in.
type fleet struct {
	site *sandbox.Site

	mu      sync.Mutex
	arrived []arrival
}

type arrival struct {
	at      time.Time
	replica string // the page that it reads
	status  int
}

const replicas = 3

func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{site: sandbox.New(sandbox.Options{Email: email, Token: canary, Latency: 30 * time.Millisecond})}
	f.site.AddGenerated("GEN", replicas, 1)
	handler := f.site.Handler()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := arrival{at: time.Now(), replica: path.Base(r.URL.Path)}
		rec := &status{ResponseWriter: w, code: http.StatusOK}
		handler.ServeHTTP(rec, r)
		a.status = rec.code
		f.mu.Lock()
		f.arrived = append(f.arrived, a)
		f.mu.Unlock()
	}))
	t.Cleanup(srv.Close)
	kit := bustest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	var workers sync.WaitGroup
	for _, p := range f.site.Pages("GEN") {
		site, err := credential.NewSite(config.Confluence{
			BaseURL: srv.URL + "/wiki", Email: email, APIToken: secret.New(canary), Sites: config.Sites{AllowHTTP: true},
			RequestsPerSecond: float64(*fleetRate), Concurrency: 12,
		}, zerolog.Nop(), credential.Sharing(kit.Connect()))
		require.NoError(t, err)
		client, err := site.Client(t.Context(), store.Source{ID: "gen", BaseURL: srv.URL + "/wiki"})
		require.NoError(t, err)
		t.Cleanup(client.Close)
		for range 8 {
			workers.Go(func() {
				for ctx.Err() == nil {
					_, _ = client.GetPageByID(ctx, p.ID, "") // what came of it, the stand-in knows
				}
			})
		}
	}
	t.Cleanup(func() { cancel(); workers.Wait() }) // before the broker and the stand-in end
	return f
}

type status struct {
	http.ResponseWriter
	code int
}

func (s *status) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}

// since returns the calls that came after a time, by replica.
func (f *fleet) since(from time.Time) (all []arrival, by map[string]int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	by = map[string]int{}
	for _, a := range f.arrived {
		if a.at.After(from) {
			all = append(all, a)
			by[a.replica]++
		}
	}
	return all, by
}

// all waits until every replica has made calls since a time.
func (f *fleet) all(t *testing.T, from time.Time) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, by := f.since(from)
		return len(by) == replicas
	}, 20*time.Second, 10*time.Millisecond)
}

// What a machine with other things to do does to a budget: a slot that is missed by this much
// is lost, and a call that is held up by this much may come in together with the next.
const (
	slotLost      = 12 * time.Millisecond
	arrivesWithin = 6 * time.Millisecond
)

// tick ticks until a time and says which share of its ticks came too late for a slot, and how
// late the latest came.
func tick(t *testing.T, every time.Duration, until time.Time) (missed float64, latest time.Duration) {
	t.Helper()
	n, lost := 0, 0
	for at := time.Now().Add(every); at.Before(until); at = at.Add(every) {
		<-time.After(time.Until(at))
		late := time.Since(at)
		latest = max(latest, late)
		if n++; late > slotLost {
			lost++
		}
	}
	return float64(lost) / float64(n), latest
}

// Three replicas use a budget of calls together: all of it, never more, and a 429 that one of
// them gets stops all.
func TestThreeReplicasShareOneBudget(t *testing.T) {
	f := newFleet(t)
	f.all(t, time.Time{})
	f.site.ResetStats()
	began := time.Now()
	missed, latest := tick(t, time.Second/time.Duration(*fleetRate), began.Add(*fleetTime))
	stats, took := f.site.Stats(), time.Since(began)
	_, by := f.since(began)
	used := float64(stats.Total) / (took.Seconds() * float64(*fleetRate))
	t.Logf("%d calls in %s at %d/s: %.1f %% used, at most %d within a second, %d at once, by replica %v; the machine slept through %.1f %%, at most for %s",
		stats.Total, took.Round(time.Millisecond), *fleetRate, 100*used, stats.PeakRate, stats.Peak, by, 100*missed, latest.Round(time.Millisecond))
	// Calls leave at their times. Where they come in late because the machine was busy, more
	// may come in together.
	late := 0
	if latest > arrivesWithin {
		late = 1 + int(latest.Seconds()*float64(*fleetRate))
	}
	require.LessOrEqual(t, stats.PeakRate, *fleetRate+late)
	share := 0.95
	if latest > slotLost { // a call has more to wait for than a tick
		share = 0.6
	}
	require.GreaterOrEqual(t, used+missed, share)
	require.Len(t, by, replicas)
	for replica, n := range by {
		require.Greater(t, n, int(stats.Total)/(2*replicas), "%s has its part: %v", replica, by)
	}

	const pause, heard = 2 * time.Second, 500 * time.Millisecond // a call may be on its way when the others hear of it
	before := time.Now()
	require.NoError(t, f.site.SetFaults(1, sandbox.Fault{Kind: sandbox.FaultTooMany, RetryAfter: int(pause.Seconds()), Times: 1}))
	var refused time.Time
	require.Eventually(t, func() bool {
		calls, _ := f.since(before)
		for _, a := range calls {
			if a.status == http.StatusTooManyRequests {
				refused = a.at
			}
		}
		return !refused.IsZero()
	}, 10*time.Second, 5*time.Millisecond)
	f.all(t, refused.Add(heard))
	calls, _ := f.since(refused.Add(heard))
	for _, a := range calls {
		require.GreaterOrEqual(t, a.at.Sub(refused), pause-10*time.Millisecond, "replica %s did not pause", a.replica)
	}
	first := calls[0].at
	t.Logf("after the 429 nobody called for %s", first.Sub(refused).Round(time.Millisecond))
}

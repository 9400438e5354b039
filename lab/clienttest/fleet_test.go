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
	fleetRate = flag.Int("fleet-rate", 20, "requests per second in TestThreeReplicasShareOneBudget")
	fleetTime = flag.Duration("fleet-time", 6*time.Second, "how long TestThreeReplicasShareOneBudget measures")
)

// fleet is three replicas, each with its own bus connection and client, that make as many calls to one stand-in as
// they may.
type fleet struct {
	site *sandbox.Site

	mu      sync.Mutex
	arrived []arrival
}

type arrival struct {
	at      time.Time
	replica string // identified by the page that it reads
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
					_, _ = client.GetPageByID(ctx, p.ID, "") // the stand-in records the result
				}
			})
		}
	}
	t.Cleanup(func() { cancel(); workers.Wait() }) // before the broker and the stand-in stop
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

// since returns the calls after a time, in total and per replica.
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

// all waits until every replica has made a call after the time.
func (f *fleet) all(t *testing.T, from time.Time) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, by := f.since(from)
		return len(by) == replicas
	}, 20*time.Second, 10*time.Millisecond)
}

// Tolerances for a busy machine: a slot that is missed by slotLost is lost, and a call that is delayed by this much
// may arrive together with the next one.
const (
	slotLost      = 12 * time.Millisecond
	arrivesWithin = 6 * time.Millisecond
)

// tick ticks until the given time. It returns the share of ticks that came too late for a slot, and the longest
// delay.
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

// Three replicas share one budget of calls: they use all of it and never more, and when one of them gets a 429, all
// pause.
func TestThreeReplicasShareOneBudget(t *testing.T) {
	f := newFleet(t)
	f.all(t, time.Time{})
	f.site.ResetStats()
	began := time.Now()
	missed, latest := tick(t, time.Second/time.Duration(*fleetRate), began.Add(*fleetTime))
	stats, took := f.site.Stats(), time.Since(began)
	_, by := f.since(began)
	used := float64(stats.Total) / (took.Seconds() * float64(*fleetRate))
	t.Logf("%d calls in %s at %d/s: %.1f %% used, at most %d within a second, %d at once, by replica %v; the machine missed %.1f %%, by at most %s",
		stats.Total, took.Round(time.Millisecond), *fleetRate, 100*used, stats.PeakRate, stats.Peak, by, 100*missed, latest.Round(time.Millisecond))
	// Calls leave at their times. If they arrive late because the machine is busy, more of them may arrive together.
	late := 0
	if latest > arrivesWithin {
		late = 1 + int(latest.Seconds()*float64(*fleetRate))
	}
	require.LessOrEqual(t, stats.PeakRate, *fleetRate+late)
	share := 0.95
	if latest > slotLost { // a call waits for more than a tick does
		share = 0.6
	}
	require.GreaterOrEqual(t, used+missed, share)
	require.Len(t, by, replicas)
	for replica, n := range by {
		require.Greater(t, n, int(stats.Total)/(2*replicas), "%s has its part: %v", replica, by)
	}

	const pause, heard = 2 * time.Second, 500 * time.Millisecond // the others' calls may be in flight when they learn of it
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
	t.Logf("no calls for %s after the 429", first.Sub(refused).Round(time.Millisecond))
}

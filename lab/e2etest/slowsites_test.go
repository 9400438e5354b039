package e2etest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
)

// siteOf is a site with a space of so many pages.
func siteOf(t *testing.T, cloud string, pages int) *sandbox.Site {
	t.Helper()
	site := sandbox.New(sandbox.Options{CloudID: cloud})
	require.NoError(t, site.AddSpace("TEAM", "Home"))
	for n := range pages {
		_, err := site.CreatePage(sandbox.Draft{Space: "TEAM", Title: fmt.Sprint("Page ", n), Body: "<p>Words.</p>"})
		require.NoError(t, err)
	}
	return site
}

// Four sites answer a byte a second when they are listed, as many as there are workers for requests, and a
// fifth answers so when its bodies are fetched, with more tasks than there are workers. The sixth does not
// wait for any of them.
func TestSitesThatTrickleStopNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "TEAM", siteOf(t, "c0", 20))
	w.keys, w.hosts = canaryKey, hosts(w.served)
	w.give(source, w.served.URL)
	bodies := sandbox.Fault{Kind: sandbox.FaultTrickle, Query: "body-format=storage"}
	var slow []string
	for n := range 5 {
		pages, fault := 3, sandbox.Fault{Kind: sandbox.FaultTrickle}
		if n == 4 {
			pages, fault = 1000, bodies
		}
		site := siteOf(t, fmt.Sprint("c", n+1), pages)
		served := serve(t, site)
		id := fmt.Sprint("slow", n)
		require.NoError(t, w.store.AddSource(t.Context(), store.Source{ID: id, BaseURL: served.URL + "/wiki", SpaceKey: "TEAM"}))
		w.give(id, served.URL)
		require.NoError(t, site.SetFaults(1, fault))
		w.hosts += "," + hosts(served)
		slow = append(slow, id)
	}
	w.startAll()
	require.Equal(t, event.StateCompleted, w.syncOf(source, event.Full).State)
	timed := func() time.Duration {
		for _, p := range w.site.Pages("TEAM") {
			_, err := w.site.EditPage(p.ID, sandbox.Edit{})
			require.NoError(t, err)
		}
		began := time.Now()
		last := w.syncOf(source, event.Full)
		require.Equal(t, event.StateCompleted, last.State)
		require.Equal(t, 21, last.Counts.Updated)
		return time.Since(began)
	}
	alone := timed()

	for _, id := range slow {
		require.NoError(t, w.bus.Publish(t.Context(), event.SyncRequested{RequestID: id, Mode: event.Full, SourceID: id}))
	}
	require.Eventually(t, func() bool {
		return w.count(`SELECT count(*) FROM confluence_sync_runs WHERE state = 'listing'`) == 4 &&
			w.count(`SELECT count(*) FROM confluence_sync_runs WHERE state = 'fetching'`) == 1
	}, time.Minute, 20*time.Millisecond)
	beside := timed()
	t.Logf("alone %v, beside sites that trickle %v", alone, beside)
	require.Less(t, beside, alone+10*time.Second)
}

package permissiontest

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/fetcher/lister"
	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/event"
)

var large = flag.Int("pages", 120, "the pages of the space whose sweep is measured; docs/permissions.md has 4000")

// TestWhatASweepCosts counts the calls of a sweep: they grow with the pages in hundreds, not with the pages.
func TestWhatASweepCosts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.person("ann", "bob")
	w.site.AddGenerated("BIG", *large, 1)
	for i := range 10 {
		require.NoError(t, w.site.SetGroup(sandbox.Group{Name: fmt.Sprintf("g%d", i), Members: []string{"ann", api}}))
	}
	pages := w.site.Pages("BIG")
	for i := range min(200, len(pages)/20) {
		require.NoError(t, w.site.Restrict(pages[(i+1)*19].ID, []string{api}, []string{fmt.Sprintf("g%d", i%10)}))
	}
	require.NoError(t, w.store.RemoveSource(t.Context(), docs))
	w.source("BIG")
	l := lister.New(w.store, w, w.systems, zerolog.Nop())
	require.NoError(t, l.HandleSync(t.Context(), w.delivery(event.SyncRequested{RequestID: "cost", SourceID: docs, Mode: event.Full})))
	w.site.ResetStats()
	began := time.Now()
	w.sweep()
	took := time.Since(began)
	require.Empty(t, w.problem())
	calls := int64(0)
	for route, n := range w.site.Stats().Calls {
		calls += n
		t.Logf("%4d %s", n, route)
	}
	t.Logf("a sweep of %d pages: %d calls, %s", len(pages), calls, took.Round(time.Millisecond))

	// The page above the most others is restricted: the next sweep writes it.
	top := w.top(pages)
	require.NoError(t, w.site.Restrict(top, []string{api, "ann"}, nil))
	began = time.Now()
	w.sweep()
	t.Logf("a restriction above all pages: hidden after a sweep of %s", time.Since(began).Round(time.Millisecond))
	require.Less(t, calls, int64(len(pages)/50+60))
}

// top returns the homepage.
func (w *world) top(pages []sandbox.Page) string {
	for _, p := range pages {
		if p.ParentID == "" {
			return p.ID
		}
	}
	return ""
}

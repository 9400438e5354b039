//go:build !race

// Thousands of pages take the race detector minutes and show it nothing that the small spaces do not: "make test" runs
// this file once more without it.

package e2etest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/event"
)

// The site counts the calls of a run.
func TestCallsOfALargeSpace(t *testing.T) {
	t.Parallel()
	const pages = 4000
	c := &clock{}
	c.ahead.Store(-int64(24 * time.Hour))
	site := sandbox.New(sandbox.Options{Now: c.now})
	require.NoError(t, site.AddSpace(gardenSpace, "Home"))
	for i := range pages - 1 {
		_, err := site.CreatePage(sandbox.Draft{Space: gardenSpace, Title: fmt.Sprintf("Page %d", i), Body: fmt.Sprintf("<p>Words of page %d.</p>", i)})
		require.NoError(t, err)
	}
	c.ahead.Store(0)
	w := newWorld(t, gardenSpace, site)
	w.startAll()
	calls := func(mode event.Mode) (int64, event.Counts) {
		site.ResetStats()
		last := w.sync(mode)
		require.Equal(t, event.StateCompleted, last.State, last.Message)
		require.EqualValues(t, site.Stats().Total, w.count(`SELECT api_calls FROM confluence_sync_runs WHERE run_id = $1`, last.RunID), "the run has the number of its calls")
		return site.Stats().Total, last.Counts
	}
	n, counts := calls(event.Full)
	require.Equal(t, pages, counts.Created)
	require.LessOrEqual(t, n, int64(100), "a full run: %v", site.Stats().Calls)
	n, counts = calls(event.Incremental)
	require.Zero(t, counts.Updated)
	require.LessOrEqual(t, n, int64(2), "nothing changed: %v", site.Stats().Calls)
	_, err := site.EditSome(gardenSpace, 40, 1)
	require.NoError(t, err)
	n, counts = calls(event.Incremental)
	require.Equal(t, 40, counts.Updated)
	require.LessOrEqual(t, n, int64(4), "forty changes: %v", site.Stats().Calls)
}

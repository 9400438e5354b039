package e2etest

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/event"
)

// Simultaneous requests for one source are runs that take turns, and each ends with a final snapshot on its own
// subject.
func TestRequestsThatComeTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.GeneratedSpace, generated(40))
	w.startAll()
	modes := []event.Mode{event.Full, event.Incremental, event.Full}
	ends := make([]event.Progress, len(modes))
	var followers, askers errgroup.Group
	for i, mode := range modes {
		id := fmt.Sprintf("together-%d", i)
		askers.Go(func() error {
			return w.bus.Publish(t.Context(), event.SyncRequested{RequestID: id, Mode: mode, SourceID: source})
		})
		followers.Go(func() error {
			for p, err := range w.bus.FollowProgress(t.Context(), source, id) {
				if err != nil {
					return err
				}
				if p.RunID != id {
					return fmt.Errorf("on the subject of %s: %+v", id, p)
				}
				ends[i] = p
			}
			return nil
		})
	}
	require.NoError(t, askers.Wait())
	require.NoError(t, followers.Wait())

	created := 0
	for _, p := range ends {
		require.Equal(t, event.StateCompleted, p.State, "%+v", p)
		created += p.Counts.Created
	}
	require.Equal(t, 40, created, "the first one stores the space, the others find it unchanged")
	slices.SortFunc(ends, func(a, b event.Progress) int { return a.StartedAt.Compare(b.StartedAt) })
	asked := make([]int64, len(ends))
	for i, p := range ends {
		run, err := w.store.Run(t.Context(), p.RunID)
		require.NoError(t, err)
		asked[i] = run.RequestedAt.UnixMicro()
		if i > 0 {
			require.False(t, p.StartedAt.Before(ends[i-1].FinishedAt), "%s began before %s had ended", p.RunID, ends[i-1].RunID)
		}
	}
	require.True(t, slices.IsSortedFunc(asked, cmp.Compare), "they run in the order of their requests")
}

package control_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/store"
)

// Requests that name no run and come at the same time are one run, whichever of them is first.
func TestSyncsAtTheSameTimeJoin(t *testing.T) {
	w := newWorld(t)
	const askers = 8
	for round := range 5 {
		start, asked := make(chan struct{}), make(chan control.Asked, askers)
		for range askers {
			go func() {
				<-start
				a, err := w.Sync(t.Context(), everyone, control.SyncRequest{SourceID: "docs"})
				if err != nil {
					t.Error(err)
				}
				asked <- a
			}()
		}
		close(start)
		runs, joined := map[string]bool{}, 0
		for range askers {
			a := <-asked
			runs[a.Run.ID] = true
			if a.Joined {
				joined++
			}
		}
		require.Len(t, runs, 1, "round %d", round)
		require.Equal(t, askers-1, joined, "one of them made the run")
		open, err := w.Reader.OpenRuns(t.Context(), everyone, store.Whole())
		require.NoError(t, err)
		require.Len(t, open, 1)
		_, err = w.CancelAll(t.Context(), everyone, "")
		require.NoError(t, err)
	}
}

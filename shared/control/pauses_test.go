package control_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store/storetest"
)

// A pause is the site's: who may see one of its sources lifts it for all, and is not told of the others.
func TestAPauseIsLiftedForTheWholeSite(t *testing.T) {
	w := newWorld(t)
	w.listed("docs", "d1", "1")
	w.listed("hr", "h1", "2")
	only := everyone.Only("hr")
	var running *control.NotPausedError
	_, err := w.Resume(t.Context(), only, "hr")
	require.ErrorAs(t, err, &running)
	require.NoError(t, w.store.RecordPause(t.Context(), storetest.Site, time.Hour, "why"))
	var unknown *control.UnknownSourceError
	_, err = w.Resume(t.Context(), only, "docs")
	require.ErrorAs(t, err, &unknown)

	requests := bustest.Collect[event.SyncRequested](w.kit)
	done, err := w.Resume(t.Context(), only, "hr")
	require.NoError(t, err)
	require.NoError(t, done.Unsent)
	require.Equal(t, "why", done.Pause.Why)
	require.Len(t, done.Runs, 1)
	require.Equal(t, "h1", done.Runs[0].ID)
	var asked []string
	for _, req := range requests.Wait(2) {
		asked = append(asked, req.RequestID)
	}
	require.ElementsMatch(t, []string{"d1", "h1"}, asked)
	_, err = w.Resume(t.Context(), everyone, "docs")
	require.ErrorAs(t, err, &running)
}

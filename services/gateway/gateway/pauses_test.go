package gateway

import (
	"net/http"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/store"
)

// checkPause reads and lifts the pause of a site.
func (w *world) checkPause() {
	t := w.t
	t.Helper()
	const resume = "/api/confluence/hr/resume"
	require.Equal(t, "not_paused", w.wants(http.StatusConflict, "operate", "POST", resume, "").code())
	var asked accepted
	w.wants(http.StatusAccepted, "operate", "POST", "/api/confluence/docs/sync", "").into(&asked)
	require.NoError(t, w.store.RecordPause(t.Context(), site, time.Hour, "GET /wiki/api/v2/pages was answered with 429"))
	var src store.Source
	w.wants(http.StatusOK, "read", "GET", "/api/confluence/hr", "").into(&src)
	require.WithinDuration(t, time.Now().Add(time.Hour), src.Pause.Until, time.Minute)
	require.Equal(t, "GET /wiki/api/v2/pages was answered with 429", src.Pause.Why)
	var st sourceStatus
	w.wants(http.StatusOK, "docs", "GET", "/api/confluence/docs/status", "").into(&st)
	require.Equal(t, src.Pause, st.Source.Pause, "of all sources of the site")
	var list items
	w.wants(http.StatusOK, "read", "GET", "/api/confluence/sources", "").into(&list)
	require.Contains(t, list.Items[0], "pause")

	w.wants(http.StatusForbidden, "read", "POST", resume, "")
	require.Equal(t, "unknown_source", w.wants(http.StatusNotFound, "operate", "POST", "/api/confluence/nowhere/resume", "").code())
	var done struct {
		Pause store.Pause `json:"pause"`
		Runs  []string    `json:"runs"`
	}
	w.wants(http.StatusOK, "operate", "POST", resume, "").into(&done)
	require.Equal(t, *src.Pause, done.Pause)
	require.Contains(t, done.Runs, asked.OperationID, "the site's other source waits no longer either")
	require.Equal(t, "not_paused", w.wants(http.StatusConflict, "operate", "POST", resume, "").code())
	var after store.Source
	w.wants(http.StatusOK, "read", "GET", "/api/confluence/hr", "").into(&after)
	require.Nil(t, after.Pause)
	w.wants(http.StatusOK, "operate", "POST", "/api/confluence/docs/cancel", "").into(&list)
	require.Contains(t, ids(list, "run_id"), asked.OperationID)
}

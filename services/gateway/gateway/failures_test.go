package gateway

import (
	"net/http"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
)

// checkFailuresAndRemovals makes a run with a failed page, and runs that hold removals.
func (w *world) checkFailuresAndRemovals() {
	t := w.t
	t.Helper()
	run := w.run("docs", "second", append(listed("11", "12", "13"), store.Listed{ID: "14", Version: 1, Title: "Bad", Status: "current"})...)
	require.NoError(t, w.store.FailPage(t.Context(), event.PageFailed{
		SourceID: "docs", RunID: "second", PageID: "14", Version: 1, Stage: "converter", Code: "convert_too_deep", Message: "too deep", Attempts: 1,
	}))
	left, err := w.store.PendingPages(t.Context(), "second", "", 10)
	require.NoError(t, err)
	for _, p := range left {
		require.NoError(t, w.store.SkipPage(t.Context(), "second", p.ID, "archived"))
	}
	require.Equal(t, event.StateCompletedWithFailures, w.end(run).State)
	var list items
	w.wants(http.StatusOK, "read", "GET", "/api/confluence/docs/failures", "").into(&list)
	require.Equal(t, "convert_too_deep", list.Items[0]["code"])
	w.wants(http.StatusOK, "read", "GET", "/api/confluence/docs/failures?run=first-docs", "").into(&list)
	require.Empty(t, list.Items)
	require.Equal(t, "nothing_failed", w.wants(http.StatusConflict, "operate", "POST", "/api/confluence/hr/failures/retry", "").code())
	var ok, again accepted
	w.wants(http.StatusAccepted, "operate", "POST", "/api/confluence/docs/failures/retry", "", "Idempotency-Key", "k").into(&ok)
	w.wants(http.StatusAccepted, "operate", "POST", "/api/confluence/docs/failures/retry", "", "Idempotency-Key", "k").into(&again)
	require.Equal(t, ok, again)
	_, err = w.store.CancelRun(t.Context(), ok.OperationID)
	require.NoError(t, err)
	w.wants(http.StatusAccepted, "operate", "POST", "/api/confluence/docs/failures/retry", `{"pages":["14"]}`).into(&ok)
	some, err := w.store.Run(t.Context(), ok.OperationID)
	require.NoError(t, err)
	require.Equal(t, []string{"14"}, some.OnlyPages)
	var joined accepted
	w.wants(http.StatusAccepted, "operate", "POST", "/api/confluence/docs/failures/retry", `{"pages":["14"]}`).into(&joined)
	require.True(t, joined.Joined)
	require.Equal(t, "not_failed", w.wants(http.StatusConflict, "operate", "POST", "/api/confluence/docs/failures/retry", `{"pages":["14","11"]}`).code())
	w.wants(http.StatusUnprocessableEntity, "operate", "POST", "/api/confluence/docs/failures/retry", `{"pages":[]}`)
	_, err = w.store.CancelRun(t.Context(), ok.OperationID)
	require.NoError(t, err)

	hold := func(id string) {
		run := w.run("hr", id)
		gone, _, err := w.store.FindRemovalCandidates(t.Context(), run)
		require.NoError(t, err)
		require.NotEmpty(t, gone)
		require.NoError(t, w.store.HoldRun(t.Context(), id, []store.Removal{{PageID: "22", Title: "Harbour hr", Reason: store.ReasonTrashed}}, []string{"21", "23"}, "too many"))
		require.Equal(t, event.StateHeld, w.advance(run).State)
	}
	hold("held-1")
	var rem removals
	w.wants(http.StatusOK, "operate", "GET", "/api/confluence/hr/removals", "").into(&rem)
	require.Equal(t, "held-1", rem.Held[0].Run.ID)
	require.Equal(t, []store.Removal{{PageID: "22", Title: "Harbour hr", Reason: "trashed"}}, rem.Held[0].Pages)
	var op operation
	w.wants(http.StatusOK, "read", "GET", "/api/progress/held-1", "").into(&op)
	require.Equal(t, []any{"completed", event.StateHeld, 100}, []any{op.Status, op.State, op.Progress})
	w.wants(http.StatusOK, "operate", "POST", "/api/confluence/hr/removals/held-1/reject", "")
	require.Equal(t, "not_held", w.wants(http.StatusConflict, "operate", "POST", "/api/confluence/hr/removals/held-1/approve", "").code())
	require.Equal(t, "unknown_run", w.wants(http.StatusNotFound, "operate", "POST", "/api/confluence/docs/removals/held-1/approve", "").code(), "another source's run")

	hold("held-2")
	w.wants(http.StatusAccepted, "operate", "POST", "/api/confluence/hr/removals/held-2/approve", "").into(&ok)
	w.wants(http.StatusAccepted, "operate", "POST", "/api/confluence/hr/removals/held-2/approve", "").into(&again)
	require.Equal(t, ok, again, "approving twice is one run")
	approving, err := w.store.Run(t.Context(), ok.OperationID)
	require.NoError(t, err)
	require.Equal(t, "held-2", approving.ApprovesRun)
	_, err = w.store.CancelRun(t.Context(), ok.OperationID)
	require.NoError(t, err)
	w.wants(http.StatusAccepted, "operate", "POST", "/api/confluence/hr/removals/held-2/approve", "").into(&again)
	require.NotEqual(t, ok.OperationID, again.OperationID, "the first run was cancelled")
}

package gateway

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
)

// A key that asks too much is told to wait, and no other key is.
func TestAKeyHasItsShareOfRequests(t *testing.T) {
	t.Parallel()
	w := bareWorld(t, func(o *setup) { o.API.KeyRate = 0.1 }) // one at once
	w.addKey("busy", apikey.Read)
	w.addKey("other", apikey.Read)
	w.wants(http.StatusOK, "busy", "GET", "/api/confluence/sources", "")
	a := w.wants(http.StatusTooManyRequests, "busy", "GET", "/api/confluence/sources", "")
	require.Equal(t, "too_many_requests", a.code())
	require.Equal(t, "10", a.header.Get("Retry-After"))
	w.wants(http.StatusOK, "other", "GET", "/api/confluence/sources", "")
}

// A thousand syncs that are asked for are two runs: the one under way and the one that waits. Those that insist on
// runs of their own end at the limit, and one request cancels them all.
func TestSyncsThatWaitAreJoinedAndLimited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run("docs", "r1", listed("11")...)
	ask := func(mode, key string) answer {
		headers := []string{}
		if key != "" {
			headers = []string{"Idempotency-Key", key}
		}
		return w.ask("operate", "POST", "/api/confluence/docs/sync", `{"mode":"`+mode+`"}`, headers...)
	}
	var first, next accepted
	a := ask("full", "")
	require.Equal(t, http.StatusAccepted, a.status)
	a.into(&first)
	require.False(t, first.Joined)
	for range 30 {
		a := ask("full", "")
		require.Equal(t, http.StatusAccepted, a.status)
		a.into(&next)
		require.Equal(t, first.OperationID, next.OperationID)
		require.True(t, next.Joined)
	}
	ask("incremental", "").into(&next)
	require.Equal(t, first.OperationID, next.OperationID, "a full run does what an incremental one does")
	for n := range store.MaxWaiting - 1 {
		require.Equal(t, http.StatusAccepted, ask("full", fmt.Sprint("k", n)).status)
	}
	a = ask("full", "one more")
	require.Equal(t, http.StatusTooManyRequests, a.status)
	require.Equal(t, "too_many_runs", a.code())
	require.NotEmpty(t, a.header.Get("Retry-After"))
	require.Equal(t, http.StatusAccepted, ask("full", "k0").status, "a request that has its run is no new one")

	w.wants(http.StatusForbidden, "read", "POST", "/api/confluence/docs/cancel", "")
	var ended list[struct {
		ID string `json:"run_id"`
	}]
	w.wants(http.StatusOK, "operate", "POST", "/api/confluence/docs/cancel", "").into(&ended)
	require.Len(t, ended.Items, store.MaxWaiting+1)
	require.Equal(t, "r1", ended.Items[store.MaxWaiting].ID, "the one under way last, so that none begins meanwhile")
	w.wants(http.StatusOK, "operate", "POST", "/api/confluence/docs/cancel", "").into(&ended)
	require.Empty(t, ended.Items)
}

// POST /api/confluence/cancel ends the runs of all sources that the key sees, and of no other.
func TestCancelAllEndsTheRunsOfTheSourcesThatTheKeySees(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run("docs", "docs-active", listed("1")...)
	for id, source := range map[string]string{"docs-waits": "docs", "hr-waits": "hr"} {
		_, err := w.store.RequestRun(t.Context(), event.SyncRequested{RequestID: id, Mode: event.Full, SourceID: source})
		require.NoError(t, err)
	}
	all := func(key string) []string {
		var ended items
		w.wants(http.StatusOK, key, "POST", "/api/confluence/cancel", "").into(&ended)
		return ids(ended, "run_id")
	}
	state := func(id string) event.State {
		run, err := w.store.Run(t.Context(), id)
		require.NoError(t, err)
		return run.State
	}
	w.wants(http.StatusForbidden, "read", "POST", "/api/confluence/cancel", "")
	require.Equal(t, []string{"docs-waits", "docs-active"}, all("docs-admin"), "the one under way last")
	require.Equal(t, event.StateRequested, state("hr-waits"))
	require.Equal(t, []string{"hr-waits"}, all("operate"))
	require.Equal(t, event.StateCancelled, state("hr-waits"))
	require.Empty(t, all("operate"))
}

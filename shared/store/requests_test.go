package store_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/run"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

func TestARequestIsNotedBeforeItIsHeard(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	addSource(t, s, "other")
	req := event.SyncRequested{RequestID: "r1", Mode: event.Incremental, SourceID: "docs"}
	run, err := s.RequestRun(t.Context(), req)
	require.NoError(t, err)
	require.Equal(t, []any{event.StateRequested, event.Full, event.Incremental}, []any{run.State, run.Mode, run.RequestedMode})
	again, err := s.RequestRun(t.Context(), req)
	require.NoError(t, err)
	require.Equal(t, run, again)
	req.SourceID = "other"
	_, err = s.RequestRun(t.Context(), req)
	require.ErrorIs(t, err, store.ErrRequestIDTaken)
	req.SourceID = "nowhere"
	_, err = s.RequestRun(t.Context(), req)
	require.ErrorIs(t, err, store.ErrNotFound)

	op, err := s.Reader().Operation(t.Context(), viewer.All(), "r1")
	snap := op.Progress
	require.NoError(t, err)
	require.Equal(t, event.StateRequested, snap.State)
	opened, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: "r1", Mode: event.Incremental, SourceID: "docs"})
	require.NoError(t, err)
	require.Equal(t, event.StateListing, opened.State)
	_, err = s.Reader().Operation(t.Context(), viewer.All(), "r\x00")
	require.ErrorIs(t, err, store.ErrNotFound)

	// The ledger sends a request again that nobody received.
	_, err = s.RequestRun(t.Context(), event.SyncRequested{RequestID: "r2", Mode: event.Full, SourceID: "other"})
	require.NoError(t, err)
	stalled, err := s.ClaimStalled(t.Context(), 0)
	require.NoError(t, err)
	var ids []string
	for _, r := range stalled {
		ids = append(ids, r.ID)
	}
	require.Contains(t, ids, "r2")
}

// The order of the ledger is the order of the queue.
func TestTheLedgerGivesTurnsAsTheLineDoes(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "docs")
	ids := []string{"d", "b", "a", "c"}
	for _, id := range ids {
		_, err := s.RequestRun(t.Context(), event.SyncRequested{RequestID: id, Mode: event.Full, SourceID: "docs"})
		require.NoError(t, err)
	}
	_, err := conn.Exec(t.Context(), `UPDATE confluence_sync_runs SET requested_at = now() - interval '1 hour' WHERE run_id IN ('b', 'a')`)
	require.NoError(t, err)
	for range ids {
		open, err := s.OpenRuns(t.Context())
		require.NoError(t, err)
		var places []run.Place
		for _, r := range open {
			places = append(places, run.Place{ID: r.ID, State: r.State, Requested: r.RequestedAt})
		}
		line := run.Line(places)
		for _, p := range slices.Backward(line) {
			got, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: p.ID, Mode: event.Full, SourceID: "docs"})
			require.NoError(t, err)
			require.Equal(t, p == line[0], got.State == event.StateListing, p.ID)
		}
		_, err = s.CancelRun(t.Context(), line[0].ID)
		require.NoError(t, err)
	}
}

package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

func TestARequestIsNotedBeforeItIsHeard(t *testing.T) {
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

	snap, err := s.Reader().Snapshot(t.Context(), viewer.All(), "r1")
	require.NoError(t, err)
	require.Equal(t, event.StateRequested, snap.State)
	opened, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: "r1", Mode: event.Incremental, SourceID: "docs"})
	require.NoError(t, err)
	require.Equal(t, event.StateListing, opened.State)
	_, err = s.Reader().Snapshot(t.Context(), viewer.All(), "r\x00")
	require.ErrorIs(t, err, store.ErrNotFound)

	// One that nobody heard is asked for again.
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

package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/apikey/apikeytest"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

func TestAPIKeysAreKeptListedAndRevoked(t *testing.T) {
	s, conn := open(t)
	has, err := s.HasAPIKeys(t.Context())
	require.NoError(t, err)
	require.False(t, has)
	id, token, hash, err := apikeytest.Cost.New()
	require.NoError(t, err)
	key := store.APIKey{Key: apikey.Key{ID: id, Name: "it's me", Role: apikey.Operate, Sources: []string{"docs", "hr"}}, Hash: hash}
	require.NoError(t, s.AddAPIKey(t.Context(), key))
	require.Error(t, s.AddAPIKey(t.Context(), key), "an id is taken once")
	require.Error(t, s.AddAPIKey(t.Context(), store.APIKey{Key: apikey.Key{ID: "other", Name: "x", Role: "owner"}, Hash: hash}))

	there, err := s.APIKey(t.Context(), id)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), there.CreatedAt, time.Minute)
	there.CreatedAt = time.Time{}
	require.Equal(t, key, there)
	_, err = s.APIKey(t.Context(), "nobody")
	require.ErrorIs(t, err, store.ErrNotFound)
	has, err = s.HasAPIKeys(t.Context())
	require.NoError(t, err)
	require.True(t, has)

	first, err := s.RevokeAPIKey(t.Context(), id)
	require.NoError(t, err)
	again, err := s.RevokeAPIKey(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, first.RevokedAt, again.RevokedAt)
	_, err = s.RevokeAPIKey(t.Context(), "nobody")
	require.ErrorIs(t, err, store.ErrNotFound)
	has, err = s.HasAPIKeys(t.Context())
	require.NoError(t, err)
	require.False(t, has)
	list, err := s.APIKeys(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 1)

	var row string
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT row_to_json(k)::text FROM confluence_api_keys k`).Scan(&row))
	_, text, _ := apikey.Parse(token.Reveal())
	require.NotContains(t, row, text)
}

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

package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/storetest"
	"github.com/sluicehq/sluice/shared/viewer"
)

func pauseOf(t *testing.T, s *store.Store, id string) *store.Pause {
	t.Helper()
	src, err := s.Reader().Source(t.Context(), viewer.All(), id)
	require.NoError(t, err)
	return src.Pause
}

func TestAPauseIsOfAllSourcesOfItsSite(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "docs")
	addSource(t, s, "hr")
	require.NoError(t, s.AddSource(t.Context(), store.Source{ID: "other", BaseURL: "https://other.atlassian.net/wiki", SpaceKey: "OTHER"}))
	require.NoError(t, s.AddSource(t.Context(), store.Source{ID: "notes", System: "folder", Location: "/notes", BaseURL: "file:///notes"}))
	_, _, err := s.LiftPause(t.Context(), "docs")
	require.ErrorIs(t, err, store.ErrNotPaused)

	site := "https://ACME.atlassian.net/wiki"
	require.NoError(t, s.RecordPause(t.Context(), site, time.Hour, "first"))
	require.NoError(t, s.RecordPause(t.Context(), site, time.Minute, "second"), "which does not shorten it")
	docs := pauseOf(t, s, "docs")
	require.WithinDuration(t, time.Now().Add(time.Hour), docs.Until, time.Minute)
	require.WithinDuration(t, time.Now(), docs.Since, time.Minute)
	require.Equal(t, "second", docs.Why)
	require.Equal(t, docs, pauseOf(t, s, "hr"))
	for _, id := range []string{"other", "notes"} {
		require.Nil(t, pauseOf(t, s, id), id)
		_, _, err := s.LiftPause(t.Context(), id)
		require.ErrorIs(t, err, store.ErrNotPaused, id)
	}

	lifted, _, err := s.LiftPause(t.Context(), "hr")
	require.NoError(t, err)
	require.Equal(t, *docs, lifted)
	require.Nil(t, pauseOf(t, s, "docs"))
	first, err := s.PauseLifted(t.Context(), site)
	require.NoError(t, err)
	require.True(t, first.After(docs.Since))
	_, _, err = s.LiftPause(t.Context(), "docs")
	require.ErrorIs(t, err, store.ErrNotPaused, "twice")

	// The site asks again: a new pause, shorter than the one that was lifted.
	require.NoError(t, s.RecordPause(t.Context(), site, time.Minute, "third"))
	again := pauseOf(t, s, "docs")
	require.WithinDuration(t, time.Now().Add(time.Minute), again.Until, 30*time.Second)
	require.True(t, again.Since.After(first))
	same, err := s.PauseLifted(t.Context(), site)
	require.NoError(t, err)
	require.Equal(t, first, same)
	_, _, err = s.LiftPause(t.Context(), "docs")
	require.NoError(t, err)
	second, err := s.PauseLifted(t.Context(), site)
	require.NoError(t, err)
	require.True(t, second.After(first), "lifts are told apart by their time")

	// Who waits in place does not look for a lift.
	_, err = conn.Exec(t.Context(), `UPDATE confluence_pauses SET until = now()`)
	require.NoError(t, err)
	for wait, liftable := range map[time.Duration]bool{10 * time.Second: false, store.WaitedInPlace: false, store.WaitedInPlace + time.Second: true} {
		require.NoError(t, s.RecordPause(t.Context(), site, wait, "short"))
		require.Equal(t, liftable, pauseOf(t, s, "docs").Liftable(), wait)
		_, _, err = s.LiftPause(t.Context(), "docs")
		require.Equal(t, liftable, err == nil, "%s: %v", wait, err)
		require.Equal(t, !liftable, errors.Is(err, store.ErrNotPaused), "%s: %v", wait, err)
		_, err = conn.Exec(t.Context(), `UPDATE confluence_pauses SET until = now()`)
		require.NoError(t, err)
	}

	// A pause that is over is none.
	require.NoError(t, s.RecordPause(t.Context(), site, time.Minute, "fourth"))
	_, err = conn.Exec(t.Context(), `UPDATE confluence_pauses SET until = now()`)
	require.NoError(t, err)
	require.Nil(t, pauseOf(t, s, "docs"))
	none, err := s.PauseLifted(t.Context(), "https://other.atlassian.net/wiki")
	require.NoError(t, err)
	require.Zero(t, none)
}

func TestALiftClaimsTheOpenRunsOfTheSite(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	for _, id := range []string{"docs", "hr", "ended", "listing"} {
		addSource(t, s, id)
	}
	require.NoError(t, s.AddSource(t.Context(), store.Source{ID: "other", BaseURL: "https://other.atlassian.net/wiki", SpaceKey: "OTHER"}))
	for _, id := range []string{"docs", "other", "ended"} {
		fullRun(t, s, id, "run-"+id, listed(id, 1, "Page"))
	}
	_, err := s.CancelRun(t.Context(), "run-ended")
	require.NoError(t, err)
	for source, id := range map[string]string{"docs": "waits-for-its-turn", "hr": "requested", "listing": "under-way"} {
		_, err := s.RequestRun(t.Context(), event.SyncRequested{RequestID: id, Mode: event.Full, SourceID: source})
		require.NoError(t, err)
	}
	_, err = s.OpenRun(t.Context(), event.SyncRequested{RequestID: "under-way", Mode: event.Full, SourceID: "listing"})
	require.NoError(t, err)
	_, err = s.StartListing(t.Context(), "under-way", time.Now())
	require.NoError(t, err)

	before, err := s.Run(t.Context(), "run-docs")
	require.NoError(t, err)
	require.NoError(t, s.RecordPause(t.Context(), storetest.Site, time.Hour, "why"))
	_, runs, err := s.LiftPause(t.Context(), "ended")
	require.NoError(t, err)
	claimed := map[string]int{}
	for _, r := range runs {
		claimed[r.ID] = r.Again().Nudge
	}
	require.Equal(t, before.Attempt+1, claimed["run-docs"])
	require.Len(t, claimed, 2)
	require.Contains(t, claimed, "requested")
	stalled, err := s.ClaimStalled(t.Context(), time.Minute)
	require.NoError(t, err)
	require.Empty(t, stalled, "nobody else sends them now")
}

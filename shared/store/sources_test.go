package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/store"
)

// The mode of a run depends on its source's strategy and the age of the last check.
func TestWhenRemovalsAreLookedFor(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "docs")
	run := fullRun(t, s, "docs", "first", listed("1", 1, "Home"))
	store1(t, s, write("docs", "first", "1", 1, "Home", "alpha"))
	require.Equal(t, event.StateCompleted, finish(t, s, run).State)
	for i, c := range []struct {
		strategy store.DeletionStrategy
		days     string // since the last check; "" for never
		asked    event.Mode
		runs     event.Mode
	}{
		{store.WeeklyReconciliation, "0", event.Incremental, event.Incremental},
		{store.WeeklyReconciliation, "6.9", event.Incremental, event.Incremental},
		{store.WeeklyReconciliation, "7.1", event.Incremental, event.Full},
		{store.WeeklyReconciliation, "", event.Incremental, event.Full},
		{store.WeeklyReconciliation, "0", event.Full, event.Full},
		{store.EverySync, "0", event.Incremental, event.Full},
		{store.OnDemand, "0", event.Incremental, event.Incremental},
		{store.OnDemand, "400", event.Incremental, event.Incremental},
		{store.OnDemand, "", event.Incremental, event.Incremental},
		{store.OnDemand, "0", event.Full, event.Full},
		{"", "7.1", event.Incremental, event.Full}, // no strategy, as in rows of older versions
	} {
		_, err := conn.Exec(t.Context(), `UPDATE archon_sources SET metadata = jsonb_strip_nulls(metadata || jsonb_build_object(
			'deletion_strategy', nullif($1, ''), 'last_deletion_check', now() - nullif($2, '')::float8 * interval '1 day'))`, c.strategy, c.days)
		require.NoError(t, err)
		run, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: string(rune('a' + i)), Mode: c.asked, SourceID: "docs"})
		require.NoError(t, err)
		require.Equal(t, c.runs, run.Mode, "%+v", c)
		require.Equal(t, c.asked, run.RequestedMode)
		require.NoError(t, s.FailRun(t.Context(), run.ID, failure.Internal, "next case"))
	}
	// The time of the check is the end of a full run; an incremental run does not change it.
	require.NoError(t, s.UpdateSource(t.Context(), "docs", store.SourceChange{DeletionStrategy: store.OnDemand}))
	src, err := s.Source(t.Context(), "docs")
	require.NoError(t, err)
	before := src.LastCheck
	_, _ = incremental(t, s, "later")
	require.Equal(t, event.StateCompleted, advance(t, s, "later").State)
	src, err = s.Source(t.Context(), "docs")
	require.NoError(t, err)
	require.Equal(t, before, src.LastCheck)
	run = fullRun(t, s, "docs", "last", listed("1", 1, "Home"))
	snap := finish(t, s, run)
	src, err = s.Source(t.Context(), "docs")
	require.NoError(t, err)
	require.True(t, snap.FinishedAt.Equal(src.LastCheck))
}

func TestChangingASource(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	require.NoError(t, s.AddSource(t.Context(), store.Source{ID: "docs", BaseURL: site, SpaceKey: "DOCS", Tags: []string{"wiki"}}))
	addSource(t, s, "other")
	_, err := conn.Exec(t.Context(), `UPDATE archon_sources SET metadata = metadata || '{"of_another_tool": {"deep": 7}}'`)
	require.NoError(t, err)
	read := func(id string) store.Source {
		src, err := s.Source(t.Context(), id)
		require.NoError(t, err)
		return src
	}
	want, other := read("docs"), read("other")
	change := func(c store.SourceChange) {
		t.Helper()
		require.NoError(t, s.UpdateSource(t.Context(), "docs", c))
		require.Equal(t, want, read("docs"))
	}
	change(store.SourceChange{})
	want.DeletionStrategy = store.EverySync
	change(store.SourceChange{DeletionStrategy: store.EverySync})
	want.DisplayName = "The documents"
	change(store.SourceChange{DisplayName: "The documents"})
	require.Equal(t, 1, number(t, conn, `SELECT count(*) FROM archon_sources WHERE title = 'The documents'`))
	want.Tags = []string{"a", "b"}
	change(store.SourceChange{Tags: []string{"a", "b"}})
	want.Tags = []string{}
	change(store.SourceChange{Tags: []string{}})
	require.Equal(t, other, read("other"))
	require.Equal(t, 2, number(t, conn, `SELECT count(*) FROM archon_sources WHERE metadata->'of_another_tool'->>'deep' = '7'`))

	_, err = conn.Exec(t.Context(), `UPDATE archon_sources SET title = 'A title of its own' WHERE source_id = 'docs'`)
	require.NoError(t, err)
	want.DisplayName = "Documents"
	change(store.SourceChange{DisplayName: "Documents"})
	require.Equal(t, 1, number(t, conn, `SELECT count(*) FROM archon_sources WHERE title = 'A title of its own'`))

	require.ErrorIs(t, s.UpdateSource(t.Context(), "unknown", store.SourceChange{DisplayName: "x"}), store.ErrNotFound)
	_, err = conn.Exec(t.Context(), `INSERT INTO archon_sources (source_id, metadata) VALUES ('web', '{"source_type": "url"}')`)
	require.NoError(t, err)
	require.ErrorIs(t, s.UpdateSource(t.Context(), "web", store.SourceChange{DisplayName: "x"}), store.ErrNotFound, "Sluice does not sync it")
}

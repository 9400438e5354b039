package control_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/schedule"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/storetest"
)

func TestWhenASourceIsSyncedIsChosen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	off := false
	adds := func(id string, c schedule.Change) (*store.Scheduled, error) {
		added, err := w.AddSource(ctx, everyone, control.NewSource{Source: store.Source{ID: id, BaseURL: storetest.Site, SpaceKey: id}, Schedule: c})
		return added.Source.Schedule, err
	}
	sets := func(id string, c schedule.Change) (*store.Scheduled, error) {
		changed, err := w.ChangeSource(ctx, everyone, id, control.SourceChange{Schedule: c})
		return changed.Source.Schedule, err
	}
	refused := func(field string, err error) {
		t.Helper()
		var invalid *control.InvalidError
		require.ErrorAs(t, err, &invalid)
		require.Equal(t, field, invalid.Field)
	}
	s, err := adds("usual", schedule.Change{})
	require.NoError(t, err)
	require.Equal(t, schedule.Default(), s.Schedule)
	require.False(t, s.Next.IsZero())
	s, err = adds("never", schedule.Change{On: &off})
	require.NoError(t, err)
	require.False(t, s.On)
	_, err = adds("usual", schedule.Change{})
	require.NoError(t, err, "adding the same source again changes nothing")
	_, err = adds("usual", schedule.Change{Every: new("1m")})
	var differs *control.SourceDiffersError
	require.ErrorAs(t, err, &differs)
	require.Equal(t, "schedule", differs.Field)
	_, err = adds("other", schedule.Change{Every: new("1s")})
	refused("every", err)

	s, err = sets("never", schedule.Change{Quiet: new("22:00-06:00")})
	require.NoError(t, err)
	require.False(t, s.On, "which does not switch it on")
	_, err = sets("usual", schedule.Change{Cron: new("0 0 31 2 *")})
	refused("cron", err)
	storetest.AddSource(t, w.store, "before") // as by a release without schedules
	src, err := w.store.Source(ctx, "before")
	require.NoError(t, err)
	require.Nil(t, src.Schedule)
	_, err = sets("before", schedule.Change{Quiet: new("22:00-06:00")})
	refused("every", err)
	s, err = sets("before", schedule.Change{On: &off})
	require.NoError(t, err)
	require.NotNil(t, s)

	var d control.Doctor
	d.Unscheduled([]store.Source{{ID: "unsaid", System: store.Confluence}, {ID: "notes", System: "folder"}, {ID: "off", System: store.Confluence, Schedule: s}})
	require.Len(t, d.Findings, 1)
	require.NotContains(t, d.Findings[0].Says, "notes")
	require.NotContains(t, d.Findings[0].Says, "off")
}

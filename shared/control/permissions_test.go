package control_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/source/folder"
	"github.com/sluicehq/sluice/shared/source/systems"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/storetest"
	"github.com/sluicehq/sluice/shared/viewer"
)

func TestWhoSeesASourceIsChosen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	adds := func(id string, p store.Permissions, meant bool) (store.Source, error) {
		added, err := w.AddSource(ctx, everyone, control.NewSource{
			Source: store.Source{ID: id, BaseURL: storetest.Site, SpaceKey: id, Permissions: p}, OpenMeant: meant, Insist: []string{"permissions"},
		})
		return added.Source, err
	}
	refused := func(field string, err error) {
		t.Helper()
		var invalid *control.InvalidError
		require.ErrorAs(t, err, &invalid)
		require.Equal(t, field, invalid.Field)
	}
	src, err := adds("unsaid", "", false)
	require.NoError(t, err)
	require.Equal(t, store.Enforce, src.Permissions, "a new source is not open")
	src, err = adds("one", store.Enforce, false)
	require.NoError(t, err)
	require.Equal(t, store.Enforce, src.Permissions)
	require.True(t, src.Chosen)
	require.True(t, src.ReadersAt.IsZero())
	_, err = adds("one", store.UnrestrictedOnly, false)
	var differs *control.SourceDiffersError
	require.ErrorAs(t, err, &differs)
	require.Equal(t, "permissions", differs.Field)
	_, err = adds("two", store.OpenToAll, false)
	refused("permissions_confirmed", err)
	_, err = adds("two", "some", false)
	refused("permissions", err)
	src, err = adds("two", store.OpenToAll, true)
	require.NoError(t, err)
	require.True(t, src.Chosen)

	sets := func(id string, p store.Permissions, meant bool) error {
		_, err := w.ChangeSource(ctx, everyone, id, control.SourceChange{SourceChange: store.SourceChange{Permissions: p}, OpenMeant: meant})
		return err
	}
	left := func() []string {
		list, err := w.store.OpenUnchosen(ctx)
		require.NoError(t, err)
		return systems.LeftOpen(list)
	}
	require.Equal(t, []string{"docs", "hr"}, left(), "sources that nobody has said anything about")
	refused("permissions_confirmed", sets("docs", store.OpenToAll, false))
	refused("permissions", sets("docs", "some", false))
	require.NoError(t, sets("docs", store.OpenToAll, true))
	require.NoError(t, sets("hr", store.UnrestrictedOnly, false))
	require.Empty(t, left())
}

// A source that leaves out restricted pages, or stores pages that it must not, gets its full run as soon as its setting
// changes.
func TestAChangeOfPermissionsRequestsItsRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	require.NoError(t, w.store.SetPermissions(ctx, "docs", store.UnrestrictedOnly, 0))
	sets := func(v viewer.Viewer, p store.Permissions) *control.Asked {
		t.Helper()
		changed, err := w.ChangeSource(ctx, v, "docs", control.SourceChange{SourceChange: store.SourceChange{Permissions: p}, OpenMeant: true})
		require.NoError(t, err)
		require.Equal(t, p, changed.Source.Permissions)
		return changed.Asked
	}
	nodes := []store.Node{{ID: "1", Kind: "page", Title: "Free"}, {ID: "2", Kind: "page", Title: "Closed"}}
	require.NoError(t, w.store.PutNodes(ctx, store.Run{SourceID: "docs"}, nodes))
	require.Nil(t, sets(everyone, store.OpenToAll), "nothing is left out")

	require.Nil(t, sets(everyone, store.UnrestrictedOnly))
	run := w.listed("docs", "leaves-out", "1", "2")
	_, err := w.store.LeaveOut(ctx, run, []string{"1", "2"})
	require.NoError(t, err)
	_, err = w.store.CancelRun(ctx, run.ID)
	require.NoError(t, err)
	for _, p := range []store.Permissions{store.OpenToAll, store.Enforce} {
		asked := sets(everyone, p)
		require.NotNil(t, asked, p)
		require.Equal(t, event.Full, asked.Run.Mode)
		again := sets(everyone, p)
		require.NotNil(t, again, "the same again is told of the run that waits")
		require.True(t, again.Joined)
		require.Equal(t, asked.Run.ID, again.Run.ID)
		_, err = w.store.CancelRun(ctx, asked.Run.ID)
		require.NoError(t, err)
		require.Nil(t, sets(everyone, store.UnrestrictedOnly))
	}
	// What failed after the change is made up for by the same change.
	w.Ledger = &unsure{Ledger: w.Ledger}
	_, err = w.ChangeSource(ctx, everyone, "docs", control.SourceChange{SourceChange: store.SourceChange{Permissions: store.Enforce}})
	require.ErrorIs(t, err, errUnsure)
	asked := sets(everyone, store.Enforce)
	require.NotNil(t, asked)
	_, err = w.store.CancelRun(ctx, asked.Run.ID)
	require.NoError(t, err)
	require.Nil(t, sets(everyone, store.UnrestrictedOnly))
	// Whoever does not oversee runs is not told that pages come, but they do.
	require.Nil(t, sets(viewer.Everywhere().As("ann"), store.Enforce))
	runs, err := w.Runs(ctx, everyone, "docs", store.First(1))
	require.NoError(t, err)
	require.Equal(t, event.StateRequested, runs[0].State)
	require.Equal(t, event.Full, runs[0].Mode)
}

// One place says how permissions stand.
func TestHowPermissionsStand(t *testing.T) {
	t.Parallel()
	now := time.Now()
	docs := store.Source{ID: "docs", System: store.Confluence, Permissions: store.Enforce, Chosen: true}
	with := func(change func(*store.Source)) store.Source {
		src := docs
		change(&src)
		return src
	}
	hides := map[control.PermissionsState]bool{
		control.PermissionsFirstSync: true, control.PermissionsUnread: true, control.PermissionsUnreadable: true, control.PermissionsOld: true,
	}
	for state, src := range map[control.PermissionsState]store.Source{
		control.PermissionsOpen:       with(func(s *store.Source) { s.Permissions = store.OpenToAll }),
		control.PermissionsLeftOpen:   with(func(s *store.Source) { s.Permissions, s.Chosen = store.OpenToAll, false }),
		control.PermissionsFirstSync:  docs,
		control.PermissionsUnread:     with(func(s *store.Source) { s.LastSync = now }),
		control.PermissionsUnreadable: with(func(s *store.Source) { s.ReadersProblem = "unauthorized" }),
		control.PermissionsOld:        with(func(s *store.Source) { s.ReadersAt, s.ReadersOld = now, true }), // with or without a problem
		control.PermissionsFailing:    with(func(s *store.Source) { s.ReadersAt, s.ReadersProblem = now, "unauthorized" }),
		control.PermissionsCurrent:    with(func(s *store.Source) { s.ReadersAt = now }),
	} {
		p := control.PermissionsOf(src)
		require.Equal(t, state, p.State)
		require.Equal(t, hides[state], p.State.HidesAll(), state)
		require.Len(t, p.Choices, 3)
	}
	require.Equal(t, []store.Permissions{store.OpenToAll}, control.PermissionsOf(store.Source{System: folder.System, Permissions: store.OpenToAll}).Choices)
	w := newWorld(t)
	p, err := w.Permissions(t.Context(), everyone, "docs")
	require.NoError(t, err)
	require.Equal(t, control.PermissionsLeftOpen, p.State)
	require.Equal(t, 24*time.Hour, p.MaxAge)
	var unknown *control.UnknownSourceError
	_, err = w.Permissions(t.Context(), viewer.OfSources("hr"), "docs")
	require.ErrorAs(t, err, &unknown)
}

var errUnsure = errors.New("the database is gone")

// unsure is a ledger that fails once to say whether a source is unsettled.
type unsure struct {
	control.Ledger
	asked bool
}

func (u *unsure) Unsettled(ctx context.Context, id string) (bool, error) {
	if !u.asked {
		u.asked = true
		return false, errUnsure
	}
	return u.Ledger.Unsettled(ctx, id)
}

func TestASystemWithoutPermissionsCannotEnforceThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	src, err := systems.Locate(folder.System, t.TempDir())
	require.NoError(t, err)
	src.ID = "notes"
	for _, p := range []store.Permissions{store.Enforce, store.UnrestrictedOnly} {
		src.Permissions = p
		_, err = w.AddSource(t.Context(), everyone, control.NewSource{Source: src})
		require.ErrorContains(t, err, "a folder does not say who may see a page")
	}
	src.Permissions = ""
	added, err := w.AddSource(t.Context(), everyone, control.NewSource{Source: src})
	require.NoError(t, err)
	require.Equal(t, store.OpenToAll, added.Source.Permissions)
	list, err := w.store.OpenUnchosen(t.Context())
	require.NoError(t, err)
	require.NotContains(t, systems.LeftOpen(list), "notes", "nothing can be chosen")
	_, err = w.ChangeSource(t.Context(), everyone, "notes", control.SourceChange{SourceChange: store.SourceChange{Permissions: store.Enforce}})
	require.ErrorContains(t, err, "a folder does not say who may see a page")
}

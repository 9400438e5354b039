package permissiontest

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/source"
	"github.com/sluicehq/sluice/shared/source/folder"
	"github.com/sluicehq/sluice/shared/source/systems"
	"github.com/sluicehq/sluice/shared/store"
)

// An installation that is upgraded shows what it showed. Once somebody lets permissions decide, nothing is shown until
// they have been read, and what was read before the source was open does not count.
func TestASourceIsOpenUntilSomebodyChooses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.person("ann")
	free, closed := w.create(sandbox.Draft{Title: "Free"}), w.create(sandbox.Draft{Title: "Closed"})
	require.NoError(t, w.site.Restrict(closed, []string{"ann", api}, nil))
	require.NoError(t, w.store.RemoveSource(t.Context(), docs))
	require.NoError(t, w.store.AddSource(t.Context(), store.Source{ID: docs, BaseURL: w.url + "/wiki", SpaceKey: space}))
	nobody := func(ids ...string) {
		t.Helper()
		seen := w.admitted("")
		for _, id := range []string{free, closed} {
			require.Equal(t, slices.Contains(ids, id), seen[id], id)
		}
	}
	left := func() []string {
		list, err := w.store.OpenUnchosen(t.Context())
		require.NoError(t, err)
		return systems.LeftOpen(list)
	}
	w.run(event.Full)
	require.NoError(t, w.sweeper.Look(t.Context()))
	nobody(free, closed)
	require.Equal(t, []string{docs}, left())
	state, err := w.store.AccessState(t.Context(), docs)
	require.NoError(t, err)
	require.Zero(t, state.ReadAt, "nobody reads the permissions of an open source")

	sets := func(p store.Permissions) {
		t.Helper()
		require.NoError(t, w.store.SetPermissions(t.Context(), docs, p, 0))
	}
	sets(store.Enforce)
	require.Empty(t, left())
	nobody()
	require.NoError(t, w.sweeper.Look(t.Context()), "the first reading is due at once")
	nobody(free)

	sets(store.OpenToAll)
	require.Empty(t, left(), "that was meant")
	nobody(free, closed)
	require.NoError(t, w.site.Restrict(free, []string{"ann", api}, nil))
	sets(store.Enforce)
	nobody()
	require.NoError(t, w.sweeper.Look(t.Context()))
	nobody()
	require.True(t, w.admitted("ann")[closed])
}

// A source that was never synced has nothing to hide, so that nobody asks its site before its first run.
func TestASourceWithoutPagesIsNotSwept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.site.ResetStats()
	w.sweep()
	require.Zero(t, w.site.Stats().Total)
}

func TestWhichSystemsSayWhoSeesAPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	notes, err := systems.Locate(folder.System, t.TempDir())
	require.NoError(t, err)
	src, err := w.store.Source(t.Context(), docs)
	require.NoError(t, err)
	for _, src := range []store.Source{src, notes} {
		system, err := w.systems.Open(t.Context(), src)
		require.NoError(t, err)
		_, reads := system.(source.Permissions)
		require.Equal(t, reads, systems.ReadsPermissions(src.System), src.System)
	}
}

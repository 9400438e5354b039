package store_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

func TestARowThatIsNoUseFailsItsPageAlone(t *testing.T) {
	t.Parallel()
	s, _ := tenth(t)
	odd := store.Listed{ID: "1", Failure: "an invalid date"}
	run := fullRun(t, s, "docs", "r1", odd, listedAt("2", 1, 1))
	require.Equal(t, []string{"2"}, waiting(t, s, "r1"))
	store1(t, s, writeAt("r1", "2", 1, 1, "two"))
	gone, _, err := s.FindRemovalCandidates(t.Context(), run)
	require.NoError(t, err)
	require.Empty(t, gone)
	snap := finish(t, s, run)
	require.Equal(t, event.StateCompletedWithFailures, snap.State)
	require.Equal(t, event.Counts{Listed: 2, Created: 1, Failed: 1}, snap.Counts)
	list, err := s.Reader().Failures(t.Context(), viewer.All(), "docs", "", "", store.First(10))
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, "Page", list[0].Title)
	require.Equal(t, string(failure.Protocol), list[0].Code)

	// It is fetched again, and counts once its row is valid.
	fullRun(t, s, "docs", "r2", listedAt("1", 11, 11), listedAt("2", 1, 1))
	require.Equal(t, []string{"1"}, waiting(t, s, "r2"))
}

func TestAContainerThatCannotBeLookedUpIsAskedForByTheNextRun(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	inFolder := listed("1", 1, "Page")
	inFolder.ParentID, inFolder.ParentKind = "9", "folder"
	run := fullRun(t, s, "docs", "r1", inFolder)
	require.NoError(t, s.PutNodes(t.Context(), run, []store.Node{{ID: "9", Kind: "folder", Title: "Folder"}}))
	_, err := s.CancelRun(t.Context(), "r1")
	require.NoError(t, err)

	unchecked := func(run store.Run) int {
		t.Helper()
		nodes, err := s.UncheckedContainers(t.Context(), run, 10)
		require.NoError(t, err)
		return len(nodes)
	}
	run = fullRun(t, s, "docs", "r2", inFolder)
	require.Equal(t, 1, unchecked(run))
	require.NoError(t, s.FailNodes(t.Context(), run, []store.Node{{ID: "9", Kind: "folder"}}))
	require.Zero(t, unchecked(run), "once per run")
	require.NoError(t, s.BuildPaths(t.Context(), "docs"))
	place, err := s.Place(t.Context(), "docs", "1", "DOCS", "")
	require.NoError(t, err)
	require.Equal(t, []string{"Folder"}, place.Breadcrumb(), "what is stored is kept")
	next := store.Run{ID: "r3", SourceID: "docs", Mode: event.Incremental}
	require.Equal(t, 1, unchecked(next))
	require.NoError(t, s.PutNodes(t.Context(), next, []store.Node{{ID: "9", Kind: "folder", Title: "Anew"}}))
	require.Zero(t, unchecked(store.Run{ID: "r4", SourceID: "docs", Mode: event.Incremental}))
}

func TestNotesStandInTheStory(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	fullRun(t, s, "docs", "r1")
	for i := range 30 {
		require.NoError(t, s.Note(t.Context(), "r1", fmt.Sprint("note ", i/2, "\x00")))
	}
	st, err := s.Reader().Story(t.Context(), viewer.All(), "r1")
	require.NoError(t, err)
	require.Len(t, st.Notes, 15)
	require.Equal(t, "note 0", st.Notes[0][:6])
}

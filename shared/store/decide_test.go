package store_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// remove runs a full run that lists the given pages and removes the others.
func remove(t *testing.T, s *store.Store, id string, gone []store.Removal, pages ...store.Listed) {
	t.Helper()
	run := fullRun(t, s, "docs", id, pages...)
	_, _, err := s.FindRemovalCandidates(t.Context(), run)
	require.NoError(t, err)
	require.NoError(t, s.RemovePages(t.Context(), run, gone))
	require.NoError(t, s.MarkRemovalsChecked(t.Context(), id))
	require.Equal(t, event.StateCompleted, advance(t, s, id).State)
}

// hold ends a full run that lists nothing as held.
func hold(t *testing.T, s *store.Store, id string, gone ...store.Removal) {
	t.Helper()
	run := fullRun(t, s, "docs", id)
	kept, _, err := s.FindRemovalCandidates(t.Context(), run)
	require.NoError(t, err)
	for _, r := range gone {
		kept = slices.DeleteFunc(kept, func(id string) bool { return id == r.PageID })
	}
	require.NoError(t, s.HoldRun(t.Context(), id, gone, kept, "too many"))
	require.Equal(t, event.StateHeld, advance(t, s, id).State)
}

func heldRuns(t *testing.T, s *store.Store, source string) []string {
	t.Helper()
	list, err := s.Reader().HeldRuns(t.Context(), viewer.All(), source)
	require.NoError(t, err)
	ids := []string{}
	for _, r := range list {
		ids = append(ids, r.ID)
	}
	return ids
}

// stored3 stores the pages 1 to 3.
func stored3(t *testing.T, s *store.Store) {
	t.Helper()
	addSource(t, s, "docs")
	run := fullRun(t, s, "docs", "r0", listed("1", 1, "Home"), listed("2", 1, "Setup"), listed("3", 1, "Keys"))
	for id, title := range map[string]string{"1": "Home", "2": "Setup", "3": "Keys"} {
		store1(t, s, write("docs", "r0", id, 1, title, "alpha"))
	}
	require.Equal(t, event.StateCompleted, finish(t, s, run).State)
}

var all3 = []store.Removal{
	{PageID: "1", Title: "Home", Reason: store.ReasonTrashed},
	{PageID: "2", Title: "Setup", Reason: store.ReasonMoved},
	{PageID: "3", Title: "Keys", Reason: store.ReasonUnreadable},
}

func TestDecidingOnAHeldRun(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	stored3(t, s)
	before, err := s.Source(t.Context(), "docs")
	require.NoError(t, err)
	require.False(t, before.LastCheck.IsZero())
	hold(t, s, "r1", all3...)
	require.Equal(t, []string{"r1"}, heldRuns(t, s, ""))
	require.Equal(t, []string{"r1"}, heldRuns(t, s, "docs"))
	require.Empty(t, heldRuns(t, s, "other"))
	held, err := s.Reader().HeldRemovals(t.Context(), viewer.All(), "r1")
	require.NoError(t, err)
	require.Equal(t, all3, held)

	for _, d := range []store.Decision{store.Approved, store.Rejected} {
		_, err = s.Decide(t.Context(), "unknown", d)
		require.ErrorIs(t, err, store.ErrNotFound)
		run, err := s.Decide(t.Context(), "r0", d)
		require.ErrorIs(t, err, store.ErrNotHeld)
		require.Equal(t, event.StateCompleted, run.State, "the error comes with the run's state")
	}
	for range 2 {
		run, err := s.Decide(t.Context(), "r1", store.Approved)
		require.NoError(t, err, "deciding the same twice changes nothing")
		require.Equal(t, store.Approved, run.Decision)
	}
	run, err := s.Decide(t.Context(), "r1", store.Rejected)
	require.ErrorIs(t, err, store.ErrNotHeld)
	require.Equal(t, store.Approved, run.Decision)
	require.Empty(t, heldRuns(t, s, ""))
	for _, id := range []string{"1", "2", "3"} {
		require.Equal(t, []string{"alpha"}, contents(t, s, "docs", id), "approving removes nothing by itself")
	}
	src, err := s.Source(t.Context(), "docs")
	require.NoError(t, err)
	require.Equal(t, before.LastCheck, src.LastCheck, "it does not count as a check either")

	next, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: "r2", Mode: event.Full, ApprovesRun: "r1", SourceID: "docs"})
	require.NoError(t, err)
	require.Equal(t, "r1", next.ApprovesRun)
}

func TestRejectingCountsAsACheck(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	stored3(t, s)
	_, err := conn.Exec(t.Context(), `UPDATE archon_sources SET metadata = metadata || '{"last_deletion_check": "2020-01-01T00:00:00Z", "of_another_tool": 7}'`)
	require.NoError(t, err)
	hold(t, s, "r1", all3...)
	_, err = s.Decide(t.Context(), "r1", store.Rejected)
	require.NoError(t, err)
	src, err := s.Source(t.Context(), "docs")
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), src.LastCheck, time.Minute)
	require.Equal(t, 7, number(t, conn, `SELECT (metadata->>'of_another_tool')::int FROM archon_sources`))
	run, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: "r2", Mode: event.Incremental, SourceID: "docs"})
	require.NoError(t, err)
	require.Equal(t, event.Incremental, run.Mode, "the weekly check does not ask again the next day")
}

// A later full run has checked the pages again: only that one can need a decision.
func TestAHeldRunIsSettledByALaterOne(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	stored3(t, s)
	hold(t, s, "r1", all3...)
	_, _ = incremental(t, s, "r2")
	require.True(t, advance(t, s, "r2").State.Final())
	require.Equal(t, []string{"r1"}, heldRuns(t, s, ""), "an incremental run checks no removals")
	hold(t, s, "r3", all3[:2]...)
	require.Equal(t, []string{"r3"}, heldRuns(t, s, ""))
	failing := fullRun(t, s, "docs", "r4")
	require.NoError(t, s.FailRun(t.Context(), failing.ID, failure.Unauthorized, "no"))
	require.Equal(t, []string{"r3"}, heldRuns(t, s, ""))
	remove(t, s, "r5", nil, listed("1", 1, "Home"), listed("2", 1, "Setup"), listed("3", 1, "Keys"))
	require.Empty(t, heldRuns(t, s, ""))
}

func TestWhatIsHiddenAndPurgedAndComesBack(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	stored3(t, s)
	remove(t, s, "r1", all3[1:], listed("1", 1, "Home"))
	removed, err := s.Reader().RemovedPages(t.Context(), viewer.All(), "docs", "", store.First(10))
	require.NoError(t, err)
	require.Len(t, removed, 2)
	require.WithinDuration(t, time.Now(), removed[0].RemovedAt, time.Minute)
	removed[0].RemovedAt = time.Time{}
	require.Equal(t, store.RemovedPage{PageID: "2", SourceID: "docs", RunID: "r1", Title: "Setup", Reason: store.ReasonMoved}, removed[0])

	// Only pages that could not be read are checked again, and only if the run does not list them.
	run := fullRun(t, s, "docs", "r2", listed("1", 1, "Home"))
	hidden, err := s.UnreadablePages(t.Context(), run)
	require.NoError(t, err)
	require.Equal(t, []string{"3"}, hidden)
	require.Equal(t, event.StateCompleted, finish(t, s, run).State)
	run = fullRun(t, s, "docs", "r3", listed("1", 1, "Home"), listed("2", 2, "Setup"), listed("3", 1, "Keys"))
	hidden, err = s.UnreadablePages(t.Context(), run)
	require.NoError(t, err)
	require.Empty(t, hidden)

	// Page 3 is listed in the stored version, page 2 in a newer one; page 1 was never removed.
	kept, err := s.KeptPages(t.Context(), run, []string{"1", "2", "3"})
	require.NoError(t, err)
	require.Len(t, kept, 1)
	require.Equal(t, "3", kept[0].Page.ID)
	require.Equal(t, "Keys\n\nalpha", kept[0].Markdown)
	require.Equal(t, site+"/spaces/DOCS/pages/3", kept[0].Page.URL)
	require.IsType(t, page.Metadata{}, kept[0].Metadata)
	require.Equal(t, event.Created, store1(t, s, write("docs", "r3", "3", 1, "Keys", "alpha")))
	kept, err = s.KeptPages(t.Context(), run, []string{"3"})
	require.NoError(t, err)
	require.Empty(t, kept, "it is back")
	removed, err = s.Reader().RemovedPages(t.Context(), viewer.All(), "", "r1", store.First(10))
	require.NoError(t, err)
	require.True(t, removed[0].RestoredAt.IsZero())
	require.WithinDuration(t, time.Now(), removed[1].RestoredAt, time.Minute)

	// Purging deletes what is kept of removed pages only.
	require.NoError(t, s.PurgePages(t.Context(), run, []string{"1", "2", "3"}))
	for id, empty := range map[string]bool{"1": false, "2": true, "3": false} {
		p, err := s.Reader().Page(t.Context(), viewer.All(), id)
		require.NoError(t, err)
		require.Equal(t, empty, p.Markdown == "", id)
		require.Equal(t, empty, p.Deleted, id)
	}
	removed, err = s.Reader().RemovedPages(t.Context(), viewer.All(), "docs", "", store.First(1))
	require.NoError(t, err)
	require.Len(t, removed, 1)
	require.WithinDuration(t, time.Now(), removed[0].PurgedAt, time.Minute)
	require.Equal(t, event.Created, store1(t, s, write("docs", "r3", "2", 2, "Setup", "beta")), "it can still come back")
	require.Equal(t, event.StateCompleted, finish(t, s, run).State)
}

// A removed page may belong to another source by now, which purging must not affect.
func TestPurgingLeavesOtherSourcesAlone(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	stored3(t, s)
	remove(t, s, "r1", all3[1:], listed("1", 1, "Home"))
	addSource(t, s, "other")
	fullRun(t, s, "other", "o1", listed("2", 2, "Setup"))
	store1(t, s, write("other", "o1", "2", 2, "Setup", "beta"))
	require.NoError(t, s.PurgePages(t.Context(), store.Run{SourceID: "docs"}, []string{"2"}))
	p, err := s.Reader().Page(t.Context(), viewer.All(), "2")
	require.NoError(t, err)
	require.NotEmpty(t, p.Markdown)
	removed, err := s.Reader().RemovedPages(t.Context(), viewer.All(), "docs", "", store.First(10))
	require.NoError(t, err)
	require.False(t, removed[0].RestoredAt.IsZero())
	require.True(t, removed[0].PurgedAt.IsZero())
}

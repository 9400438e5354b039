package store_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/store"
)

// removal stores page 1, and opens a full run that lacks it.
func removal(t *testing.T, s *store.Store) store.Run {
	t.Helper()
	addSource(t, s, "docs")
	run := fullRun(t, s, "docs", "r1", listed("1", 1, "Home"))
	store1(t, s, write("docs", "r1", "1", 1, "Home", "alpha"))
	require.Equal(t, event.StateCompleted, finish(t, s, run).State)
	run = fullRun(t, s, "docs", "r2")
	candidates, _, err := s.FindRemovalCandidates(t.Context(), run)
	require.NoError(t, err)
	require.Equal(t, []string{"1"}, candidates)
	return run
}

// A late detector removes nothing once the run has ended, or the page has ended in it.
func TestALateRemovalIsWithoutEffect(t *testing.T) {
	t.Parallel()
	gone := []store.Removal{{PageID: "1", Reason: "trashed"}}
	t.Run("another replica removed the page, and it has returned since", func(t *testing.T) {
		s, _ := open(t)
		run := removal(t, s)
		require.NoError(t, s.RemovePages(t.Context(), run, gone))
		require.NoError(t, s.MarkRemovalsChecked(t.Context(), run.ID))
		require.Equal(t, event.StateCompleted, advance(t, s, run.ID).State)
		fullRun(t, s, "docs", "r3", listed("1", 1, "Home"))
		require.Equal(t, event.Created, store1(t, s, write("docs", "r3", "1", 1, "Home", "alpha")))
		require.NoError(t, s.RemovePages(t.Context(), run, gone))
		require.Equal(t, []string{"alpha"}, contents(t, s, "docs", "1"))
	})
	t.Run("the run has failed", func(t *testing.T) {
		s, _ := open(t)
		run := removal(t, s)
		require.NoError(t, s.FailRun(t.Context(), run.ID, failure.Internal, "gave up"))
		require.NoError(t, s.RemovePages(t.Context(), run, gone))
		require.Equal(t, []string{"alpha"}, contents(t, s, "docs", "1"))
	})
}

// A run is held and its candidates are kept in one transaction. With two, a crash between them would let the run end
// as completed, or never.
func TestHolding(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	run := removal(t, s)
	require.NoError(t, s.HoldRun(t.Context(), run.ID, []store.Removal{{PageID: "1", Reason: "trashed"}}, nil, "too many"))
	require.NoError(t, s.HoldRun(t.Context(), run.ID, []store.Removal{{PageID: "1", Reason: "trashed"}}, nil, "called again"))
	snap := advance(t, s, run.ID)
	require.Equal(t, event.StateHeld, snap.State)
	require.Equal(t, failure.TooManyRemovals, snap.Code)
	require.Equal(t, "too many", snap.Message)
	require.Equal(t, event.Counts{Listed: 1, Skipped: 1}, snap.Counts)
	require.Equal(t, []string{"alpha"}, contents(t, s, "docs", "1"))
}

// More pages than one transaction of the server can lock.
func TestManyRemovals(t *testing.T) {
	t.Parallel()
	const pages = 30_000
	s, conn := open(t)
	addSource(t, s, "docs")
	run := fullRun(t, s, "docs", "r1")
	_, err := conn.Exec(t.Context(), `INSERT INTO confluence_pages (page_id, source_id, site_id, space_key, title, version, last_modified, path)
		SELECT n::text, source_id, site_id, 'DOCS', 'Page ' || n, 1, now(), '/' || n FROM confluence_spaces, generate_series(1, $1::int) AS n`, pages)
	require.NoError(t, err)
	candidates, live, err := s.FindRemovalCandidates(t.Context(), run)
	require.NoError(t, err)
	require.Equal(t, pages, live)
	removals := make([]store.Removal, len(candidates))
	for i, id := range candidates {
		removals[i] = store.Removal{PageID: id, Reason: "moved"}
	}
	require.NoError(t, s.RemovePages(t.Context(), run, removals))
	require.NoError(t, s.MarkRemovalsChecked(t.Context(), run.ID))
	require.Equal(t, event.Counts{Listed: pages, Removed: pages}, advance(t, s, run.ID).Counts)
}

// What was fetched for a run that has ended must not restore a removed page.
func TestALateCopyOfAnEndedRunDoesNotBringAPageBack(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	run := fullRun(t, s, "docs", "r1", listed("1", 1, "Home"))
	store1(t, s, write("docs", "r1", "1", 1, "Home", "alpha"))
	require.Equal(t, event.StateCompleted, finish(t, s, run).State)
	for i, end := range []func(run string) error{
		func(run string) error { return s.FailRun(t.Context(), run, failure.Unauthorized, "no longer") },
		func(run string) error {
			return s.FailPage(t.Context(), event.PageFailed{RunID: run, PageID: "1", Stage: "chunk-writer", Code: failure.Exhausted})
		},
	} {
		old := fmt.Sprintf("old-%d", i)
		run := fullRun(t, s, "docs", old, listed("1", 5+i, "Home"))
		late := write("docs", old, "1", 5+i, "Home", "beta")
		require.NoError(t, end(old))
		if i == 1 {
			require.Equal(t, event.StateCompletedWithFailures, finish(t, s, run).State)
		}
		removing := fmt.Sprintf("removing-%d", i)
		run = fullRun(t, s, "docs", removing)
		_, _, err := s.FindRemovalCandidates(t.Context(), run)
		require.NoError(t, err)
		require.NoError(t, s.RemovePages(t.Context(), run, []store.Removal{{PageID: "1", Reason: "trashed"}}))
		require.NoError(t, s.MarkRemovalsChecked(t.Context(), run.ID))
		require.Equal(t, event.StateCompleted, advance(t, s, removing).State)

		store1(t, s, late)
		require.Empty(t, contents(t, s, "docs", "1"))
		back := fmt.Sprintf("back-%d", i)
		run = fullRun(t, s, "docs", back, listed("1", 5+i, "Home"))
		require.Equal(t, event.Created, store1(t, s, write("docs", back, "1", 5+i, "Home", "alpha")))
		require.Equal(t, event.StateCompleted, finish(t, s, run).State)
	}
}

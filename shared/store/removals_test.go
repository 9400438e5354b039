package store_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/access"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
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

// More pages than one transaction of the server can lock, and far more threads of comments on them.
func TestManyRemovals(t *testing.T) {
	t.Parallel()
	const pages, threads = 250, 29_750
	s, conn := open(t)
	addSource(t, s, "docs")
	run := fullRun(t, s, "docs", "r1")
	_, err := conn.Exec(t.Context(), `INSERT INTO confluence_pages (page_id, source_id, site_id, space_key, title, version, last_modified, kind, path)
		SELECT n::text, source_id, site_id, 'DOCS', 'Page ' || n, 1, now(), CASE WHEN n <= $1 THEN 'page' ELSE 'comment' END,
			CASE WHEN n <= $1 THEN '/' || n ELSE '/' || n % $1 + 1 || '/' || n END
		FROM confluence_spaces, generate_series(1, $2::int) AS n`, pages, pages+threads)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `INSERT INTO confluence_tree (source_id, node_id, kind, title, parent_id, parent_kind)
		SELECT source_id, page_id, kind, title, nullif(split_part(path, '/', 2), page_id), CASE kind WHEN 'comment' THEN 'page' END FROM confluence_pages`)
	require.NoError(t, err)
	candidates, live, err := s.FindRemovalCandidates(t.Context(), run)
	require.NoError(t, err)
	require.Equal(t, store.Live{Pages: pages, Parts: threads}, live)
	require.Len(t, candidates, pages+threads)
	var removals []store.Removal // of the pages alone: their threads leave with them
	for n := range pages {
		removals = append(removals, store.Removal{PageID: fmt.Sprint(n + 1), Reason: "moved"})
	}
	require.NoError(t, s.RemovePages(t.Context(), run, removals))
	require.NoError(t, s.MarkRemovalsChecked(t.Context(), run.ID))
	require.Equal(t, event.Counts{Listed: pages + threads, Removed: pages + threads}, advance(t, s, run.ID).Counts)
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

// That a run holds removals, or carries out approved ones, is told only to who may see the pages or runs the source: not
// while the run still fetches, and not after it was cancelled.
func TestWhatIsHeldIsNotToldBeforeTheEnd(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	first := guarded(t, s, "docs", node("page", "1", ""), node("page", "2", ""))
	_, err := s.CancelRun(t.Context(), first.ID)
	require.NoError(t, err)
	run := fullRun(t, s, "docs", "r1", listed("1", 1, "Home"), listed("2", 1, "Hidden"))
	store1(t, s, write("docs", "r1", "1", 1, "Home", "alpha"))
	store1(t, s, write("docs", "r1", "2", 1, "Hidden", "beta"))
	require.Equal(t, event.StateCompleted, finish(t, s, run).State)
	sweep(t, s, "docs", []access.Layer{space(everyone)}, content("2", ann))

	r, reader, overseer := s.Reader(), viewer.Everywhere(), viewer.Everywhere().Overseeing()
	told := func(v viewer.Viewer, id string) []any {
		run, err := r.Run(t.Context(), v, id)
		require.NoError(t, err)
		op, err := r.Operation(t.Context(), v, id)
		snap := op.Progress
		require.NoError(t, err)
		require.Equal(t, []any{run.Code, run.Message}, []any{snap.Code, snap.Message})
		list, err := r.Runs(t.Context(), v, "docs", store.First(10))
		require.NoError(t, err)
		require.Contains(t, list, run)
		return []any{run.Code, run.Message, run.ApprovesRun, run.ApproveRemovals}
	}
	nothing := []any{failure.Code(""), "", "", false}
	for _, id := range []string{"cancelled", "held"} {
		run = fullRun(t, s, "docs", id, listed("1", 2, "Home")) // whose body is awaited
		candidates, _, err := s.FindRemovalCandidates(t.Context(), run)
		require.NoError(t, err)
		require.Equal(t, []string{"2"}, candidates)
		require.NoError(t, s.HoldRun(t.Context(), id, []store.Removal{{PageID: "2", Reason: "trashed"}}, nil, "too many"))
		require.False(t, advance(t, s, id).State.Final())
		held := []any{failure.TooManyRemovals, "too many", "", false}
		require.Equal(t, nothing, told(reader, id))
		require.Equal(t, held, told(overseer, id))
		if id == "cancelled" {
			_, err = s.CancelRun(t.Context(), id)
			require.NoError(t, err)
			require.Equal(t, nothing, told(reader, id))
		}
	}
	store1(t, s, write("docs", "held", "1", 2, "Home", "gamma"))
	require.Equal(t, event.StateHeld, advance(t, s, "held").State)
	require.Equal(t, nothing, told(reader, "held"))

	_, err = s.OpenRun(t.Context(), event.SyncRequested{RequestID: "next", Mode: event.Full, SourceID: "docs", ApprovesRun: "held", ApproveRemovals: true})
	require.NoError(t, err)
	require.Equal(t, nothing, told(reader, "next"))
	require.Equal(t, []any{failure.Code(""), "", "held", true}, told(overseer, "next"))
}

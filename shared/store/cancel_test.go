package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// incremental opens an incremental run and returns what it lists again, as the fetcher does.
func incremental(t *testing.T, s *store.Store, id string) (run store.Run, again []string) {
	t.Helper()
	run, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: id, Mode: event.Incremental, SourceID: "docs"})
	require.NoError(t, err)
	require.Equal(t, event.StateListing, run.State)
	require.Equal(t, event.Incremental, run.Mode)
	attempt, err := s.StartListing(t.Context(), id, time.Now())
	require.NoError(t, err)
	require.NoError(t, s.AddFailed(t.Context(), run, attempt))
	_, err = s.CompleteListing(t.Context(), run, attempt)
	require.NoError(t, err)
	pending, err := s.PendingPages(t.Context(), id, "", 100)
	require.NoError(t, err)
	again = []string{}
	for _, p := range pending {
		again = append(again, p.ID)
	}
	return run, again
}

func failPage(t *testing.T, s *store.Store, run, id string) {
	t.Helper()
	require.NoError(t, s.FailPage(t.Context(), event.PageFailed{
		RunID: run, PageID: id, Stage: "converter", Code: failure.ConvertTooDeep, Message: "nests too deep", Attempts: 2,
	}))
}

func TestCancellingARunInMidWay(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	fullRun(t, s, "docs", "r1", listed("1", 1, "Home"), listed("2", 1, "Setup"), listed("3", 1, "Odd"))
	store1(t, s, write("docs", "r1", "1", 1, "Home", "alpha"))
	run, err := s.CancelRun(t.Context(), "r1")
	require.NoError(t, err)
	require.Equal(t, event.StateCancelled, run.State)
	require.False(t, run.FinishedAt.IsZero())
	require.Equal(t, "cancelled by request", run.Message)

	snap := finish(t, s, run)
	require.Equal(t, event.StateCancelled, snap.State, "it stays cancelled")
	require.Equal(t, event.Counts{Listed: 3, Created: 1, Skipped: 2}, snap.Counts)
	require.Equal(t, "cancelled by request", snap.Message)
	src, err := s.Source(t.Context(), "docs")
	require.NoError(t, err)
	require.True(t, src.LastSync.IsZero(), "the watermark stays")
	require.Equal(t, []string{"alpha"}, contents(t, s, "docs", "1"), "what was stored stays")

	again, err := s.CancelRun(t.Context(), "r1")
	require.ErrorIs(t, err, store.ErrEnded)
	require.Equal(t, run.FinishedAt, again.FinishedAt, "the error comes with the run")
	require.Equal(t, event.StateCancelled, again.State)
	_, err = s.CancelRun(t.Context(), "unknown")
	require.ErrorIs(t, err, store.ErrNotFound)

	// A page that was being processed is not stored, because only an open run's pages are accepted: the next run
	// lists it again.
	outcome, err := s.WritePage(t.Context(), write("docs", "r1", "2", 1, "Setup", "beta"))
	require.NoError(t, err)
	require.Equal(t, event.Skipped, outcome)
	require.Empty(t, contents(t, s, "docs", "2"))
	run = fullRun(t, s, "docs", "r2", listed("1", 1, "Home"), listed("2", 1, "Setup"), listed("3", 1, "Odd"))
	pending, err := s.PendingPages(t.Context(), "r2", "", 10)
	require.NoError(t, err)
	require.Len(t, pending, 2, "pages 2 and 3 are listed again")
	store1(t, s, write("docs", "r2", "2", 1, "Setup", "beta"))
	store1(t, s, write("docs", "r2", "3", 1, "Odd", "gamma"))
	snap = finish(t, s, run)
	require.Equal(t, event.StateCompleted, snap.State)
	require.Equal(t, event.Counts{Listed: 3, Created: 2, Unchanged: 1}, snap.Counts)
	require.Equal(t, time.UTC, snap.FinishedAt.Location())
}

// A late detector finds no candidates: the ledger of an ended run is closed.
func TestACancelledRunHasNoCandidates(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	run := removal(t, s) // it already has a candidate
	_, err := s.CancelRun(t.Context(), run.ID)
	require.NoError(t, err)
	late := fullRun(t, s, "docs", "r3")
	_, err = s.CancelRun(t.Context(), late.ID)
	require.NoError(t, err)
	for _, ended := range []store.Run{run, late} {
		candidates, _, err := s.FindRemovalCandidates(t.Context(), ended)
		require.NoError(t, err)
		require.Empty(t, candidates)
		require.NoError(t, s.RemovePages(t.Context(), ended, []store.Removal{{PageID: "1", Reason: store.ReasonTrashed}}))
		require.Zero(t, advance(t, s, ended.ID).Counts.Pending)
	}
	require.Equal(t, []string{"alpha"}, contents(t, s, "docs", "1"))
}

func TestCancellingALister(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	run, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: "r1", Mode: event.Full, SourceID: "docs"})
	require.NoError(t, err)
	attempt, err := s.StartListing(t.Context(), "r1", time.Now())
	require.NoError(t, err)
	require.NoError(t, s.AddListed(t.Context(), "r1", attempt, []store.Listed{listed("1", 1, "Home")}))
	_, err = s.CancelRun(t.Context(), "r1")
	require.NoError(t, err)
	require.ErrorIs(t, s.AddListed(t.Context(), "r1", attempt, []store.Listed{listed("2", 1, "Setup")}), store.ErrNotCurrent)
	require.ErrorIs(t, s.RenewListing(t.Context(), "r1", attempt), store.ErrNotCurrent)
	_, err = s.CompleteListing(t.Context(), run, attempt)
	require.ErrorIs(t, err, store.ErrNotCurrent)
	require.Equal(t, event.Counts{Listed: 1, Skipped: 1}, advance(t, s, "r1").Counts)
}

// Requests of a source run in the order of their arrival; a request that is cancelled while it waits is skipped.
func TestTheTurnsOfRequests(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "docs")
	addSource(t, s, "other")
	ask := func(id string) event.State {
		run, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: id, Mode: event.Full, SourceID: "docs"})
		require.NoError(t, err)
		return run.State
	}
	require.Equal(t, event.StateListing, ask("r1"))
	for _, id := range []string{"r2", "r4", "r3"} {
		require.Equal(t, event.StateRequested, ask(id))
	}
	require.Equal(t, event.StateListing, ask("r1"), "the same id again is the same run")
	other, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: "o1", Mode: event.Full, SourceID: "other"})
	require.NoError(t, err)
	require.Equal(t, event.StateListing, other.State, "sources do not wait for each other")

	require.NoError(t, s.FailRun(t.Context(), "r1", failure.Unauthorized, "no"))
	require.Equal(t, event.StateRequested, ask("r3"), "r2 and r4 are before it")
	_, err = s.CancelRun(t.Context(), "r2")
	require.NoError(t, err)
	require.Equal(t, event.StateRequested, ask("r3"))
	require.Equal(t, event.StateCancelled, ask("r2"))
	require.Equal(t, event.StateListing, ask("r4"))
	require.NoError(t, s.FailRun(t.Context(), "r4", failure.Unauthorized, "no"))
	require.Equal(t, event.StateListing, ask("r3"))

	// The message of the next request may be lost: the ledger sends it again.
	require.Equal(t, event.StateRequested, ask("r5"))
	require.NoError(t, s.FailRun(t.Context(), "r3", failure.Unauthorized, "no"))
	require.Equal(t, event.StateRequested, ask("r6"))
	_, err = conn.Exec(t.Context(), `UPDATE confluence_sync_runs SET requested_at = requested_at - interval '1 hour' WHERE state = 'requested'`)
	require.NoError(t, err)
	claimed, err := s.ClaimStalled(t.Context(), time.Minute)
	require.NoError(t, err)
	ids := []string{}
	for _, r := range claimed {
		ids = append(ids, r.ID)
	}
	require.Contains(t, ids, "r5")
}

// A cancelled run proves nothing about its pending pages.
func TestACancelledRunSettlesNoFailure(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	run := fullRun(t, s, "docs", "r1", listed("1", 1, "Home"), listed("2", 1, "Odd"))
	store1(t, s, write("docs", "r1", "1", 1, "Home", "alpha"))
	failPage(t, s, "r1", "2")
	require.Equal(t, event.StateCompletedWithFailures, finish(t, s, run).State)
	_, again := incremental(t, s, "r2")
	require.Equal(t, []string{"2"}, again)
	_, err := s.CancelRun(t.Context(), "r2")
	require.NoError(t, err)
	list, err := s.Reader().Failures(t.Context(), viewer.All(), "docs", "", "", store.First(10))
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, "r1", list[0].RunID)
	_, again = incremental(t, s, "r3")
	require.Equal(t, []string{"2"}, again)
}

func TestRunsThatEndedOfLate(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "docs")
	for _, id := range []string{"r1", "r2", "r3"} {
		fullRun(t, s, "docs", id)
		_, err := s.CancelRun(t.Context(), id)
		require.NoError(t, err)
	}
	fullRun(t, s, "docs", "open")
	_, err := conn.Exec(t.Context(), `UPDATE confluence_sync_runs SET finished_at = finished_at - interval '2 hours' WHERE run_id = 'r2'`)
	require.NoError(t, err)
	ids, err := s.EndedRuns(t.Context(), time.Hour)
	require.NoError(t, err)
	require.Equal(t, []string{"r1", "r3"}, ids)
}

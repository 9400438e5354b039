package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

func TestFailedPages(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	run := fullRun(t, s, "docs", "r1", listed("1", 1, "Home"), listed("2", 1, "Odd"))
	store1(t, s, write("docs", "r1", "1", 1, "Home", "alpha"))
	failed := event.PageFailed{RunID: "r1", PageID: "2", Stage: "converter", Code: "convert_too_deep", Message: "too deep", Attempts: 1}
	require.NoError(t, s.FailPage(t.Context(), failed))
	failed.PageID = "1"
	require.NoError(t, s.FailPage(t.Context(), failed), "a page that has ended keeps its outcome")
	snap := finish(t, s, run)
	require.Equal(t, event.StateCompletedWithFailures, snap.State)
	require.Equal(t, event.Counts{Listed: 2, Created: 1, Failed: 1}, snap.Counts)
	list, err := s.Reader().LedgerPages(t.Context(), viewer.All(), "r1", event.Failed, store.First(10))
	require.NoError(t, err)
	require.Equal(t, []store.LedgerPage{{PageID: "2", Title: "Odd", Version: 1, Outcome: event.Failed,
		Reason: "convert_too_deep", Message: "too deep", Stage: "converter", Attempts: 1}}, list)

	run, err = s.OpenRun(t.Context(), event.SyncRequested{RequestID: "r2", Mode: event.Incremental, SourceID: "docs"})
	require.NoError(t, err)
	require.Equal(t, event.Incremental, run.Mode, "there is a watermark now")
	attempt, err := s.StartListing(t.Context(), "r2", time.Now())
	require.NoError(t, err)
	require.NoError(t, s.AddFailed(t.Context(), run, attempt))
	n, err := s.CompleteListing(t.Context(), run, attempt)
	require.NoError(t, err)
	require.Equal(t, 1, n, "a failed page is listed again until it succeeds")
}

// A run of some failed pages lists these and no others, even while a full comparison is due.
func TestARunOfSomeFailedPages(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "docs")
	only := []string{"2", "4", "nothing"}
	first, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: "r0", Mode: event.Incremental, SourceID: "docs", OnlyPages: only})
	require.NoError(t, err)
	require.Equal(t, event.Full, first.Mode, "the first run of a source is full")
	require.NoError(t, s.FailRun(t.Context(), "r0", failure.Internal, "over"))
	run := fullRun(t, s, "docs", "r1", listed("1", 1, "Home"), listed("2", 1, "Odd"), listed("3", 1, "Odd too"), listed("4", 1, "Not given"))
	store1(t, s, write("docs", "r1", "1", 1, "Home", "alpha"))
	for _, id := range []string{"2", "3"} {
		require.NoError(t, s.FailPage(t.Context(), event.PageFailed{RunID: "r1", PageID: id, Stage: "converter", Code: "convert_too_deep", Message: "too deep", Attempts: 1}))
	}
	require.NoError(t, s.SkipPage(t.Context(), "r1", "4", "missing"))
	require.Equal(t, event.StateCompletedWithFailures, finish(t, s, run).State)
	_, err = conn.Exec(t.Context(), `UPDATE archon_sources SET metadata = metadata || '{"last_deletion_check": "2020-01-01T00:00:00Z"}'`)
	require.NoError(t, err)

	run, err = s.OpenRun(t.Context(), event.SyncRequested{RequestID: "r2", Mode: event.Incremental, SourceID: "docs", OnlyPages: only})
	require.NoError(t, err)
	require.Equal(t, event.Incremental, run.Mode)
	require.Equal(t, only, run.OnlyPages)
	attempt, err := s.StartListing(t.Context(), "r2", time.Now())
	require.NoError(t, err)
	require.NoError(t, s.AddFailed(t.Context(), run, attempt))
	n, err := s.CompleteListing(t.Context(), run, attempt)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	pending, err := s.PendingPages(t.Context(), "r2", "", 10)
	require.NoError(t, err)
	require.Equal(t, []string{"2", "4"}, []string{pending[0].ID, pending[1].ID})

	// It is no sync: neither is the source fresh by it, nor may what failed before be forgotten.
	before, err := s.Reader().Freshness(t.Context(), viewer.All())
	require.NoError(t, err)
	for _, id := range []string{"2", "4"} {
		require.NoError(t, s.FailPage(t.Context(), event.PageFailed{RunID: "r2", PageID: id, Stage: "converter", Code: "convert_too_deep", Message: "too deep", Attempts: 1}))
	}
	advance(t, s, run.ID)
	require.NoError(t, s.MarkRemovalsChecked(t.Context(), run.ID))
	require.Equal(t, event.StateCompletedWithFailures, advance(t, s, run.ID).State)
	after, err := s.Reader().Freshness(t.Context(), viewer.All())
	require.NoError(t, err)
	require.Equal(t, before[0].Complete, after[0].Complete)
	_, err = conn.Exec(t.Context(), `UPDATE confluence_sync_runs SET finished_at = finished_at - interval '90 days', started_at = started_at - interval '90 days'`)
	require.NoError(t, err)
	pruned, err := s.Prune(t.Context(), time.Hour)
	require.NoError(t, err)
	require.Equal(t, 1, pruned, "the run that failed, not the one that knows of page 3")

	empty, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: "r3", Mode: event.Incremental, SourceID: "docs", OnlyPages: []string{}})
	require.NoError(t, err)
	require.Equal(t, event.Full, empty.Mode, "an empty list is none: the comparison that is due is made")
}

func TestStalledRunsAreClaimedOnce(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "docs")
	fullRun(t, s, "docs", "r1", listed("1", 1, "A"))
	claimed, err := s.ClaimStalled(t.Context(), time.Minute)
	require.NoError(t, err)
	require.Empty(t, claimed, "it has just made progress")
	_, err = conn.Exec(t.Context(), `UPDATE confluence_sync_runs SET sent_at = now() - interval '1 hour',
		requested_at = now() - interval '1 hour', listing_completed_at = now() - interval '1 hour'`)
	require.NoError(t, err)
	sources, err := s.StalledSources(t.Context(), time.Minute)
	require.NoError(t, err)
	require.Equal(t, []string{"docs"}, sources)
	claimed, err = s.ClaimStalled(t.Context(), 4*time.Minute, "docs")
	require.NoError(t, err)
	require.Empty(t, claimed, "its pages are queued, and an hour is less than 16 times idle")
	claimed, err = s.ClaimStalled(t.Context(), 4*time.Minute, "other")
	require.NoError(t, err)
	require.Len(t, claimed, 1)
	claimed, err = s.ClaimStalled(t.Context(), time.Minute)
	require.NoError(t, err)
	require.Empty(t, claimed, "the lease is renewed")
	_, err = conn.Exec(t.Context(), `UPDATE confluence_sync_runs SET sent_at = now() - interval '1 hour'`)
	require.NoError(t, err)
	claimed, err = s.ClaimStalled(t.Context(), 3*time.Minute, "docs")
	require.NoError(t, err)
	require.Len(t, claimed, 1, "but not for ever: a handler may hang")
}

// A listed page that was missing when it was fetched is listed again: the answer may have been incomplete. A full run
// that ended settles it.
func TestAMissingPageIsListedAgain(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	run := fullRun(t, s, "docs", "r1", listed("1", 1, "Home"), listed("2", 1, "Not given"), listed("3", 1, "Archived since"))
	store1(t, s, write("docs", "r1", "1", 1, "Home", "alpha"))
	require.NoError(t, s.SkipPage(t.Context(), "r1", "2", "missing"))
	require.NoError(t, s.SkipPage(t.Context(), "r1", "3", "archived"))
	require.Equal(t, event.StateCompleted, finish(t, s, run).State)

	again := func(id string) []string {
		run, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: id, Mode: event.Incremental, SourceID: "docs"})
		require.NoError(t, err)
		require.Equal(t, event.StateListing, run.State)
		attempt, err := s.StartListing(t.Context(), id, time.Now())
		require.NoError(t, err)
		require.NoError(t, s.AddFailed(t.Context(), run, attempt))
		_, err = s.CompleteListing(t.Context(), run, attempt)
		require.NoError(t, err)
		pending, err := s.PendingPages(t.Context(), id, "", 10)
		require.NoError(t, err)
		ids := []string{}
		for _, p := range pending {
			ids = append(ids, p.ID)
			require.NoError(t, s.SkipPage(t.Context(), id, p.ID, "missing"))
		}
		require.True(t, advance(t, s, id).State.Final())
		return ids
	}
	require.Equal(t, []string{"2"}, again("r2"))
	require.Equal(t, []string{"2"}, again("r3"), "each time that it is missing")
	run = fullRun(t, s, "docs", "r4", listed("1", 1, "Home"))
	require.Equal(t, event.StateCompleted, finish(t, s, run).State)
	require.Empty(t, again("r5"), "the full listing does not contain it")
}

// A run whose ledger lost a row can never balance. It must still end, or its source never syncs again, and its
// watermark must not move.
func TestALedgerThatDoesNotBalanceFailsItsRun(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "docs")
	run := fullRun(t, s, "docs", "r1", listed("1", 1, "Home"), listed("2", 1, "Lost"))
	store1(t, s, write("docs", "r1", "1", 1, "Home", "alpha"))
	_, err := conn.Exec(t.Context(), `DELETE FROM confluence_sync_pages WHERE page_id = '2'`)
	require.NoError(t, err)
	snap := finish(t, s, run)
	require.Equal(t, event.StateFailed, snap.State)
	require.Equal(t, failure.Internal, snap.Code)
	require.Contains(t, snap.Message, "2 listed, 1 in the ledger")
	src, err := s.Source(t.Context(), "docs")
	require.NoError(t, err)
	require.True(t, src.LastSync.IsZero())
	next, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: "r2", Mode: event.Full, SourceID: "docs"})
	require.NoError(t, err)
	require.Equal(t, event.StateListing, next.State)
}

func TestAListerThatLivesIsNotStalled(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "docs")
	_, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: "r1", Mode: event.Full, SourceID: "docs"})
	require.NoError(t, err)
	attempt, err := s.StartListing(t.Context(), "r1", time.Now())
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `UPDATE confluence_sync_runs SET sent_at = now() - interval '1 hour', requested_at = now() - interval '1 hour'`)
	require.NoError(t, err)
	claimed, err := s.ClaimStalled(t.Context(), time.Minute)
	require.NoError(t, err)
	require.Empty(t, claimed, "its lease is valid, although nothing else made progress")
	require.NoError(t, s.ReleaseListing(t.Context(), "r1", attempt))
	claimed, err = s.ClaimStalled(t.Context(), time.Minute)
	require.NoError(t, err)
	require.Len(t, claimed, 1)
}

// An error text can contain anything; it must never prevent a run or a page from ending.
func TestAnyErrorTextCanBeStored(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	fullRun(t, s, "docs", "r1", listed("1", 1, "Home"))
	text := "nul \x00 and no UTF-8 \xff\xfe " + strings.Repeat("ä", 10_000)
	require.NoError(t, s.FailPage(t.Context(), event.PageFailed{RunID: "r1", PageID: "1", Stage: "fetcher", Code: failure.Internal, Message: text}))
	require.NoError(t, s.FailRun(t.Context(), "r1", failure.Internal, text))
	run, err := s.Run(t.Context(), "r1")
	require.NoError(t, err)
	require.Equal(t, event.StateFailed, run.State)
	require.Less(t, len(run.Message), 5000)
	require.Contains(t, run.Message, "nul  and no UTF-8")
}

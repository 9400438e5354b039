package store_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// number runs a query that returns one number.
func number(t *testing.T, conn *pgx.Conn, sql string, args ...any) int {
	t.Helper()
	var n int
	require.NoError(t, conn.QueryRow(t.Context(), sql, args...).Scan(&n))
	return n
}

func TestTheStoryOfARun(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "docs")
	run := fullRun(t, s, "docs", "r1", listed("1", 1, "Home"), listed("2", 1, "Setup"), listed("3", 1, "Odd"), listed("4", 1, "Kept"))
	now := time.Now()
	for i, id := range []string{"1", "2"} {
		w := write("docs", "r1", id, 1, "Page "+id, "alpha")
		w.FetchedAt, w.ConvertedAt, w.BodyBytes = now.Add(-time.Duration(i)*time.Minute), now, 1000*(i+1)
		store1(t, s, w)
	}
	store1(t, s, write("docs", "r1", "4", 1, "Kept", "delta")) // without times, like a page that was not fetched
	failPage(t, s, "r1", "3")
	require.NoError(t, s.AddUsage(t.Context(), "r1", 7, 4096))
	require.NoError(t, s.AddUsage(t.Context(), "r1", 1, 4))
	require.NoError(t, s.AddUsage(t.Context(), "r1", 0, 0))
	// The listing takes 3 s; page 1 is fetched 2 s after it, converted 1 s later, and stored 4 s after that. Page 2
	// is later, on a host whose clock is behind.
	_, err := conn.Exec(t.Context(), `UPDATE confluence_sync_runs SET started_at = listing_completed_at - interval '3 s'`)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `UPDATE confluence_sync_pages l SET fetched_at = r.listing_completed_at + interval '2 s',
		converted_at = r.listing_completed_at + interval '3 s', ended_at = r.listing_completed_at + interval '7 s'
		FROM confluence_sync_runs r WHERE r.run_id = l.run_id AND l.page_id = '1'`)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `UPDATE confluence_sync_pages l SET fetched_at = r.listing_completed_at + interval '4 s',
		converted_at = r.listing_completed_at + interval '2 s', ended_at = r.listing_completed_at + interval '9 s'
		FROM confluence_sync_runs r WHERE r.run_id = l.run_id AND l.page_id = '2'`)
	require.NoError(t, err)

	require.Equal(t, event.StateCompletedWithFailures, finish(t, s, run).State)

	st, err := s.Reader().Story(t.Context(), viewer.All(), "r1")
	require.NoError(t, err)
	require.Equal(t, event.Counts{Listed: 4, Created: 3, Failed: 1}, st.Counts)
	require.Equal(t, 8, st.APICalls)
	require.EqualValues(t, 4100, st.APIBytes)
	require.EqualValues(t, 3000, st.Bytes)
	require.InDelta(t, 3, st.Listing, 0.01)
	require.InDelta(t, 9, st.Fetching, 0.01)
	want := []store.StageTime{
		{Stage: "fetch", Pages: 2, P50: 3, P95: 3.9},
		{Stage: "convert", Pages: 2, P50: 0, P95: 0.85},
		{Stage: "write", Pages: 2, P50: 5.5, P95: 6.85},
	}
	require.Len(t, st.Stages, len(want))
	for i, w := range want {
		got := st.Stages[i]
		require.Equal(t, w.Stage, got.Stage)
		require.Equal(t, w.Pages, got.Pages, w.Stage)
		require.InDelta(t, w.P50, got.P50, 0.01, w.Stage)
		require.InDelta(t, w.P95, got.P95, 0.01, w.Stage)
	}
	require.Len(t, st.Slowest, 2)
	require.Equal(t, store.SlowPage{PageID: "1", Title: "Page 1", Bytes: 1000, Seconds: 5}, st.Slowest[0])
	require.Equal(t, "2", st.Slowest[1].PageID)

	// It is kept with the run, so that nobody reads all pages again; of a run of an earlier release it is read anew.
	_, err = conn.Exec(t.Context(), `UPDATE confluence_sync_pages SET fetched_at = NULL, bytes = NULL`)
	require.NoError(t, err)
	kept, err := s.Reader().Story(t.Context(), viewer.All(), "r1")
	require.NoError(t, err)
	require.Equal(t, st, kept)
	_, err = conn.Exec(t.Context(), `UPDATE confluence_sync_runs SET report = NULL`)
	require.NoError(t, err)
	anew, err := s.Reader().Story(t.Context(), viewer.All(), "r1")
	require.NoError(t, err)
	require.Empty(t, anew.Slowest)
	require.Zero(t, anew.Bytes)

	_, err = s.Reader().Story(t.Context(), viewer.All(), "unknown")
	require.ErrorIs(t, err, store.ErrNotFound)
}

// A run that was only requested has a story too.
func TestTheStoryOfARunThatWaits(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	fullRun(t, s, "docs", "r1")
	_, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: "r2", Mode: event.Full, SourceID: "docs"})
	require.NoError(t, err)
	for _, id := range []string{"r1", "r2"} {
		st, err := s.Reader().Story(t.Context(), viewer.All(), id)
		require.NoError(t, err)
		require.Equal(t, event.Counts{}, st.Counts)
		require.Zero(t, st.Fetching)
		require.Empty(t, st.Slowest)
		require.NotNil(t, st.Slowest)
		require.NotNil(t, st.Stages)
	}
}

func TestFailuresUntilTheyAreCured(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	addSource(t, s, "other")
	failures := func(source, run, page string) []string {
		list, err := s.Reader().Failures(t.Context(), viewer.All(), source, run, page, store.First(10))
		require.NoError(t, err)
		ids := []string{}
		for _, f := range list {
			ids = append(ids, f.RunID+"/"+f.PageID)
		}
		return ids
	}
	run := fullRun(t, s, "docs", "r1", listed("1", 1, "Home"), listed("2", 3, "Odd"), listed("3", 1, ""))
	store1(t, s, write("docs", "r1", "1", 1, "Home", "alpha"))
	failPage(t, s, "r1", "2")
	require.Equal(t, []string{"r1/2"}, failures("", "", ""), "of an open run")
	failPage(t, s, "r1", "3")
	require.Equal(t, event.StateCompletedWithFailures, finish(t, s, run).State)
	run = fullRun(t, s, "other", "o1", listed("9", 1, "Elsewhere"))
	failPage(t, s, "o1", "9")
	require.Equal(t, event.StateCompletedWithFailures, finish(t, s, run).State)
	require.Equal(t, []string{"o1/9", "r1/3", "r1/2"}, failures("", "", ""), "the newest first")
	require.Equal(t, []string{"r1/3", "r1/2"}, failures("docs", "", ""))
	require.Equal(t, []string{"o1/9"}, failures("", "o1", ""))
	require.Equal(t, []string{"r1/2"}, failures("", "", "2"))
	require.Empty(t, failures("docs", "o1", ""))
	require.Empty(t, failures("", "", "1"))
	list, err := s.Reader().Failures(t.Context(), viewer.All(), "", "", "2", store.First(10))
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), list[0].FailedAt, time.Minute)
	require.NotZero(t, list[0].Site)
	list[0].FailedAt, list[0].Site = time.Time{}, 0
	require.Equal(t, []store.Failure{{
		PageID: "2", SourceID: "docs", RunID: "r1", Title: "Odd", Version: 3, Stage: "converter",
		Code: "convert_too_deep", Message: "nests too deep", Attempts: 2,
	}}, list)
	list, err = s.Reader().Failures(t.Context(), viewer.All(), "", "", "", store.First(1))
	require.NoError(t, err)
	require.Len(t, list, 1)

	// Tried again: one page fails again and counts once, the other succeeds.
	_, again := incremental(t, s, "r2")
	require.Equal(t, []string{"2", "3"}, again)
	failPage(t, s, "r2", "2")
	store1(t, s, write("docs", "r2", "3", 1, "Late", "gamma"))
	require.Equal(t, event.StateCompletedWithFailures, advance(t, s, "r2").State)
	require.Equal(t, []string{"r2/2"}, failures("docs", "", ""))

	// A full run that no longer lists it settles it.
	run = fullRun(t, s, "docs", "r3", listed("1", 1, "Home"), listed("3", 1, "Late"))
	require.Equal(t, event.StateCompleted, finish(t, s, run).State)
	require.Empty(t, failures("docs", "", ""))
	require.Equal(t, []string{"o1/9"}, failures("", "", ""))
}

func TestPruning(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "docs")
	run := fullRun(t, s, "docs", "r1", listed("1", 1, "Home"), listed("2", 1, "Gone"), listed("3", 1, "Back"))
	for id, title := range map[string]string{"1": "Home", "2": "Gone", "3": "Back"} {
		store1(t, s, write("docs", "r1", id, 1, title, "alpha"))
	}
	require.Equal(t, event.StateCompleted, finish(t, s, run).State)
	remove(t, s, "r2", []store.Removal{{PageID: "2", Reason: store.ReasonTrashed}, {PageID: "3", Reason: store.ReasonUnreadable}}, listed("1", 1, "Home"))
	run = fullRun(t, s, "docs", "r3", listed("1", 1, "Home"), listed("3", 1, "Back"))
	store1(t, s, write("docs", "r3", "3", 1, "Back", "alpha"))
	require.Equal(t, event.StateCompleted, finish(t, s, run).State)
	failing := fullRun(t, s, "docs", "r4")
	require.NoError(t, s.FailRun(t.Context(), failing.ID, failure.Unauthorized, "no"))

	n, err := s.Prune(t.Context(), time.Hour)
	require.NoError(t, err)
	require.Zero(t, n, "nothing is old enough")
	_, err = conn.Exec(t.Context(), `UPDATE confluence_sync_runs SET requested_at = requested_at - interval '90 days',
		started_at = started_at - interval '90 days', finished_at = finished_at - interval '90 days'`)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `UPDATE confluence_removals SET removed_at = removed_at - interval '90 days'`)
	require.NoError(t, err)
	n, err = s.Prune(t.Context(), 24*time.Hour)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	runs, err := s.Reader().Runs(t.Context(), viewer.All(), "docs", store.First(10))
	require.NoError(t, err)
	require.Len(t, runs, 2)
	require.Equal(t, "r4", runs[0].ID, "no later run has completed")
	require.Equal(t, "r3", runs[1].ID, "the newest completed one describes the stored pages")
	require.Zero(t, number(t, conn, `SELECT count(*) FROM confluence_sync_pages WHERE run_id IN ('r1', 'r2')`))

	// What was kept of the page that did not return is deleted; the record of its removal is kept.
	gone, err := s.Reader().Page(t.Context(), viewer.All(), "2")
	require.NoError(t, err)
	require.Empty(t, gone.Markdown)
	back, err := s.Reader().Page(t.Context(), viewer.All(), "3")
	require.NoError(t, err)
	require.NotEmpty(t, back.Markdown)
	require.Equal(t, []string{"alpha"}, contents(t, s, "docs", "3"))
	removed, err := s.Reader().RemovedPages(t.Context(), viewer.All(), "docs", "", store.First(10))
	require.NoError(t, err)
	require.Len(t, removed, 2)
	require.False(t, removed[0].PurgedAt.IsZero())
	require.True(t, removed[1].PurgedAt.IsZero())

	_, err = s.OpenRun(t.Context(), event.SyncRequested{RequestID: "r5", Mode: event.Incremental, SourceID: "docs"})
	require.NoError(t, err)
	n, err = s.Prune(t.Context(), 24*time.Hour)
	require.NoError(t, err)
	require.Zero(t, n, "an open run is never pruned")
}

// A page that was removed long ago, restored and removed again is as old as its last removal.
func TestPruningKeepsWhatLeftAgain(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	stored3(t, s)
	home := listed("1", 1, "Home")
	remove(t, s, "r1", all3[1:], home)
	_, err := conn.Exec(t.Context(), `UPDATE confluence_removals SET removed_at = removed_at - interval '90 days'`)
	require.NoError(t, err)
	run := fullRun(t, s, "docs", "r2", home, listed("2", 1, "Setup"))
	store1(t, s, write("docs", "r2", "2", 1, "Setup", "alpha"))
	require.Equal(t, event.StateCompleted, finish(t, s, run).State)
	remove(t, s, "r3", all3[1:2], home)
	_, err = s.Prune(t.Context(), 24*time.Hour)
	require.NoError(t, err)
	for id, kept := range map[string]bool{"2": true, "3": false} {
		p, err := s.Reader().Page(t.Context(), viewer.All(), id)
		require.NoError(t, err)
		require.True(t, p.Deleted)
		require.Equal(t, kept, p.Markdown != "", id)
	}
}

// More runs than one transaction deletes.
func TestPruningMany(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "docs")
	_, err := conn.Exec(t.Context(), `INSERT INTO confluence_sync_runs (run_id, source_id, requested_mode, mode, state, requested_at, started_at, finished_at)
		SELECT 'old-' || n, 'docs', 'full', 'full', 'completed', t, t, t + interval '1 s'
		FROM generate_series(1, 50) n, LATERAL (SELECT now() - interval '90 days' + n * interval '1 minute' AS t) at`)
	require.NoError(t, err)
	n, err := s.Prune(t.Context(), 24*time.Hour)
	require.NoError(t, err)
	require.Equal(t, 49, n)
}

func TestTheJourneyOfAPage(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	run := fullRun(t, s, "docs", "r1", listed("1", 1, "Home"), listed("3", 1, "Odd"))
	now := time.Now().Truncate(time.Millisecond)
	w := write("docs", "r1", "1", 1, "Home", "alpha")
	w.FetchedAt, w.ConvertedAt, w.BodyBytes = now.Add(-time.Second), now, 1000
	store1(t, s, w)
	failPage(t, s, "r1", "3")
	require.Equal(t, event.StateCompletedWithFailures, finish(t, s, run).State)
	finish(t, s, fullRun(t, s, "docs", "r2", listed("1", 1, "Home")))

	list, err := s.Reader().Journey(t.Context(), viewer.OfSources("docs"), "docs", "1", 10)
	require.NoError(t, err)
	require.Len(t, list, 2, "the newest first")
	require.Equal(t, "r2", list[0].RunID)
	require.Equal(t, event.Unchanged, list[0].Outcome)
	require.Zero(t, list[0].FetchedAt)
	require.Equal(t, "r1", list[1].RunID)
	require.Equal(t, event.Created, list[1].Outcome)
	require.Equal(t, 1000, list[1].Bytes)
	require.True(t, now.Equal(list[1].ConvertedAt), "%s", list[1].ConvertedAt)
	require.False(t, list[1].ListedAt.IsZero() || list[1].EndedAt.IsZero())
	list, err = s.Reader().Journey(t.Context(), viewer.All(), "docs", "3", 1)
	require.NoError(t, err)
	require.Len(t, list, 1, "a page that was never stored has one too")
	require.Equal(t, event.Failed, list[0].Outcome)
	require.NotEmpty(t, list[0].Message)
	list, err = s.Reader().Journey(t.Context(), viewer.OfSources("hr"), "docs", "1", 10)
	require.NoError(t, err)
	require.Empty(t, list)
}

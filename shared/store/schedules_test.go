package store_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/schedule"
	"github.com/sluicehq/sluice/shared/seal"
	"github.com/sluicehq/sluice/shared/secret"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/storetest"
	"github.com/sluicehq/sluice/shared/store/vault"
)

// scheduled adds sources with a schedule, all due now: docs and hr of one site, other of another, and a folder.
func scheduled(t *testing.T) (*store.Store, *pgx.Conn) {
	t.Helper()
	s, conn := open(t)
	every := &store.Scheduled{Schedule: schedule.Default()}
	for _, src := range []store.Source{
		{ID: "docs", BaseURL: site, SpaceKey: "DOCS"},
		{ID: "hr", BaseURL: "https://ACME.atlassian.net/wiki", SpaceKey: "HR"},
		{ID: "other", BaseURL: "https://other.atlassian.net/wiki", SpaceKey: "OTHER"},
		{ID: "notes", System: "folder", Location: "/notes", BaseURL: "file:///notes"},
	} {
		src.Schedule = every
		require.NoError(t, s.AddSource(t.Context(), src))
	}
	require.NoError(t, s.AddSource(t.Context(), store.Source{ID: "unsaid", BaseURL: site, SpaceKey: "UNSAID"}))
	makeDue(t, conn)
	return s, conn
}

func makeDue(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	_, err := conn.Exec(t.Context(), `UPDATE confluence_schedules SET next_at = now() - interval '1 second'`)
	require.NoError(t, err)
}

func due(t *testing.T, s *store.Store) []string {
	t.Helper()
	list, err := s.DueSources(t.Context(), 0)
	require.NoError(t, err)
	return list
}

func claim(t *testing.T, s *store.Store, id string) store.Look {
	t.Helper()
	l, err := s.ClaimDue(t.Context(), id)
	require.NoError(t, err)
	return l
}

func ids(l store.Look) []string {
	list := []string{}
	for _, d := range l.Sources {
		list = append(list, d.ID)
	}
	return list
}

func scheduleOf(t *testing.T, s *store.Store, id string) *store.Scheduled {
	t.Helper()
	src, err := s.Source(t.Context(), id)
	require.NoError(t, err)
	return src.Schedule
}

func TestSourcesOfASiteAreClaimedTogether(t *testing.T) {
	t.Parallel()
	s, _ := scheduled(t)
	require.ElementsMatch(t, []string{"docs", "other", "notes"}, due(t, s))
	require.NoError(t, s.RecordPause(t.Context(), "https://other.atlassian.net/wiki", time.Hour, "429"))
	require.ElementsMatch(t, []string{"docs", "notes"}, due(t, s), "a site that has asked for a pause is left alone")
	require.Empty(t, claim(t, s, "other").Sources)

	l := claim(t, s, "hr")
	require.Equal(t, []string{"docs", "hr"}, ids(l))
	require.Empty(t, claim(t, s, "docs").Sources, "the same message twice")
	require.Equal(t, []string{"notes"}, due(t, s))
	next := time.Now().Add(time.Minute).UTC().Truncate(time.Microsecond)
	requests, err := s.EndLook(t.Context(), l.Token, []store.Looked{
		{SourceID: "docs", Result: store.LookUnchanged, Next: next, Seen: next.Add(-time.Hour)},
		{SourceID: "hr", Result: store.LookFailed, Problem: failure.Unavailable, Next: next},
	})
	require.NoError(t, err)
	require.Empty(t, requests)
	docs, hr := scheduleOf(t, s, "docs"), scheduleOf(t, s, "hr")
	require.Equal(t, next, docs.Next)
	require.WithinDuration(t, time.Now(), docs.LookedAt, time.Minute)
	require.Equal(t, store.LookUnchanged, docs.Result)
	require.Equal(t, store.LookFailed, hr.Result)
	require.Equal(t, failure.Unavailable, hr.Problem)
	require.Nil(t, scheduleOf(t, s, "unsaid"))

	notes := claim(t, s, "notes")
	require.Equal(t, []string{"notes"}, ids(notes))
	require.Zero(t, notes.Sources[0].Facts.Synced)
}

func TestAScheduleIsSetWhole(t *testing.T) {
	t.Parallel()
	s, _ := scheduled(t)
	set := func(sc schedule.Schedule) error {
		return s.UpdateSource(t.Context(), "docs", store.SourceChange{Schedule: &sc})
	}
	l := claim(t, s, "docs")
	require.NoError(t, set(schedule.Schedule{On: true, Cron: "0 6 * * *", TimeZone: "Europe/Berlin", Quiet: "22:00-05:00", FullEvery: "14d"}))
	was := scheduleOf(t, s, "docs")
	require.Equal(t, "0 6 * * *", was.Cron)
	require.True(t, was.Next.After(time.Now()))
	_, err := s.EndLook(t.Context(), l.Token, []store.Looked{{SourceID: "docs", Result: store.LookUnchanged, Next: time.Now()}})
	require.NoError(t, err)
	require.Equal(t, was, scheduleOf(t, s, "docs"), "whoever looks at it meanwhile does not undo the change")
	var wrong *schedule.FieldError
	require.ErrorAs(t, set(schedule.Schedule{On: true, Cron: "0 0 31 2 *"}), &wrong)
	require.Equal(t, was, scheduleOf(t, s, "docs"))
	require.NoError(t, set(schedule.Schedule{}))
	require.NotNil(t, scheduleOf(t, s, "docs"), "off is another state than none")
	require.Zero(t, scheduleOf(t, s, "docs").Next)
	require.NotContains(t, due(t, s), "docs")
	require.NoError(t, s.RemoveSource(t.Context(), "hr"))
}

// The facts about runs that have ended, the newest first.
func TestFailuresCount(t *testing.T) {
	t.Parallel()
	s, conn := scheduled(t)
	for name, tc := range map[string]struct {
		ended      []string // state, mode, reason; "retry" for a run of some pages
		failures   int
		fullFailed bool
	}{
		"none":                              {nil, 0, false},
		"two in a row":                      {[]string{"failed incremental schedule", "failed incremental asked", "completed incremental asked", "failed full asked"}, 2, false},
		"cancelled ones do not count":       {[]string{"cancelled full schedule", "failed incremental schedule"}, 1, false},
		"nor do retries of pages":           {[]string{"retry", "failed incremental schedule"}, 1, false},
		"a full run by schedule":            {[]string{"failed full schedule"}, 1, true},
		"and well since":                    {[]string{"completed full asked", "failed full schedule"}, 0, false},
		"an incremental one proves nothing": {[]string{"completed incremental asked", "failed full schedule"}, 0, true},
		"held":                              {[]string{"held full schedule", "failed full schedule"}, 0, false},
		"somebody mended it":                {[]string{"mended", "failed incremental schedule", "failed full schedule"}, 0, true},
	} {
		_, err := conn.Exec(t.Context(), `DELETE FROM confluence_sync_runs`)
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), `UPDATE confluence_schedules SET mended_at = now() - interval '1 day', look_token = '', look_until = NULL`)
		require.NoError(t, err)
		for i, of := range tc.ended {
			var only []string
			switch of {
			case "retry":
				of, only = "completed incremental asked", []string{"1"}
			case "mended":
				_, err := conn.Exec(t.Context(), `UPDATE confluence_schedules SET mended_at = now()`)
				require.NoError(t, err)
				continue
			}
			_, err := conn.Exec(t.Context(), `INSERT INTO confluence_sync_runs (run_id, source_id, requested_mode, state, mode, reason, only_pages, requested_at, finished_at)
				SELECT $1::text, 'docs', p[2], p[1], p[2], p[3], $4::text[], now() - $2 * interval '1 minute', now() - $2 * interval '1 minute' FROM string_to_array($3, ' ') p`,
				"r"+string(rune('a'+i)), i+1, of, only)
			require.NoError(t, err)
		}
		f := claim(t, s, "docs").Sources[0].Facts
		require.Equal(t, tc.failures, f.Failures, name)
		require.Equal(t, tc.fullFailed, f.FullFailed, name)
		require.Equal(t, tc.failures > 0, !f.FailedAt.IsZero(), name)
		require.False(t, f.Busy)
	}
}

// By schedule, the strategy of a source makes no run full.
func TestARunByScheduleHasTheModeOfTheSchedule(t *testing.T) {
	t.Parallel()
	s, conn := scheduled(t)
	run := fullRun(t, s, "docs", "first", listed("1", 1, "Home"))
	storetest.Write(t, s, storetest.Page("docs", run.ID, "1", 1, "Home", "Text."))
	finish(t, s, run)
	for i, c := range []struct {
		strategy store.DeletionStrategy
		asked    event.Mode
	}{
		{store.WeeklyReconciliation, event.Incremental}, {store.EverySync, event.Incremental}, {store.OnDemand, event.Incremental}, {store.WeeklyReconciliation, event.Full},
	} {
		_, err := conn.Exec(t.Context(), `UPDATE archon_sources SET metadata = metadata || jsonb_build_object('deletion_strategy', $1::text, 'last_deletion_check', now() - interval '30 days')`, c.strategy)
		require.NoError(t, err)
		makeDue(t, conn)
		l := claim(t, s, "docs")
		id := "by-schedule-" + string(rune('a'+i))
		after := time.Now().Add(7 * 24 * time.Hour).UTC().Truncate(time.Microsecond)
		requests, err := s.EndLook(t.Context(), l.Token, []store.Looked{{
			SourceID: "docs", Result: store.LookRequested, Next: time.Now().Add(time.Minute), Changed: true, Marks: []string{"1@2"}, FullAfter: after,
			Request: &event.SyncRequested{SourceID: "docs", RequestID: id, Mode: c.asked},
		}})
		require.NoError(t, err)
		require.Len(t, requests, 1)
		run, err := s.OpenRun(t.Context(), requests[0])
		require.NoError(t, err)
		require.Equal(t, c.asked, run.Mode, "%+v", c)
		require.Equal(t, store.BySchedule, run.Reason)

		makeDue(t, conn)
		l = claim(t, s, "docs")
		require.True(t, l.Sources[0].Facts.Busy)
		require.Equal(t, after, l.Sources[0].Facts.FullAfter)
		requests, err = s.EndLook(t.Context(), l.Token, []store.Looked{{
			SourceID: "docs", Result: store.LookRequested, Next: time.Now(), Request: &event.SyncRequested{SourceID: "docs", RequestID: id + "-2", Mode: event.Incremental},
		}})
		require.NoError(t, err)
		require.Empty(t, requests, "a run is under way")
		require.Equal(t, store.LookBusy, scheduleOf(t, s, "docs").Result)
		_, err = s.CancelRun(t.Context(), id)
		require.NoError(t, err)
	}
}

func TestOnlyARunThatHasListedThemKnowsItsMarks(t *testing.T) {
	t.Parallel()
	s, conn := scheduled(t)
	run := fullRun(t, s, "docs", "first", listed("1", 1, "Home"))
	storetest.Write(t, s, storetest.Page("docs", run.ID, "1", 1, "Home", "Text."))
	finish(t, s, run)
	hits := []store.Hit{{SourceID: "docs", PageID: "1", Version: 1}, {SourceID: "docs", PageID: "1", Version: 2}, {SourceID: "hr", PageID: "1", Version: 1}, {SourceID: "docs", PageID: "77", Version: 3}}
	unknown := func() []store.Hit {
		list, err := s.UnknownHits(t.Context(), hits)
		require.NoError(t, err)
		return list
	}
	require.Equal(t, hits[1:], unknown(), "version 1 is stored")
	makeDue(t, conn)
	l := claim(t, s, "docs")
	_, err := s.EndLook(t.Context(), l.Token, []store.Looked{{
		SourceID: "docs", Result: store.LookRequested, Next: time.Now(), Marks: []string{hits[1].Mark(), hits[3].Mark()},
		Request: &event.SyncRequested{SourceID: "docs", RequestID: "marked", Mode: event.Incremental},
	}})
	require.NoError(t, err)
	for state, want := range map[string][]store.Hit{"failed": hits[1:], "cancelled": hits[1:], "listing": hits[1:], "completed_with_failures": hits[2:3]} {
		_, err := conn.Exec(t.Context(), `UPDATE confluence_sync_runs SET state = $1 WHERE run_id = 'marked'`, state)
		require.NoError(t, err)
		require.Equal(t, want, unknown(), state)
	}
}

func TestMendingASourceMakesItDueAtOnce(t *testing.T) {
	t.Parallel()
	s, conn := scheduled(t)
	rest := func() {
		_, err := conn.Exec(t.Context(), `UPDATE confluence_schedules SET next_at = now() + interval '1 hour', look_failures = 5`)
		require.NoError(t, err)
		require.Empty(t, due(t, s))
	}
	key, err := seal.ParseKey(secret.New("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"))
	require.NoError(t, err)
	token := vault.Credential{Site: site, Email: "reader@acme.com", Token: secret.New("ATATT-a-token")}
	for name, tc := range map[string]struct {
		mend func() error
		due  []string
	}{
		"a token of a source": {func() error {
			_, err := s.Vault().SetSecret(t.Context(), seal.NewRing(key), "hr", token)
			return err
		}, []string{"hr"}},
		"a token of a site": {func() error {
			_, err := s.Vault().SetSecret(t.Context(), seal.NewRing(key), "acme.atlassian.net", token)
			return err
		}, []string{"docs"}},
		"a pause that is lifted": {func() error {
			require.NoError(t, s.RecordPause(t.Context(), site, time.Hour, "429"))
			_, _, err := s.LiftPause(t.Context(), "hr")
			return err
		}, []string{"docs"}},
		"a new address": {func() error {
			return s.Relocate(t.Context(), "other", "https://other2.atlassian.net/wiki")
		}, []string{"other"}},
	} {
		rest()
		require.NoError(t, tc.mend(), name)
		require.Equal(t, tc.due, due(t, s), name)
		require.Zero(t, claim(t, s, tc.due[0]).Sources[0].Failures, name)
	}
}

package deletiondetector_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/schedule"
	"github.com/sluicehq/sluice/shared/store"
)

func TestEveryPageLeavesForAReason(t *testing.T) {
	w, k := newWorld(t, 12), bustest.New(t)
	pages := w.below()
	trashed, archived, moved, hidden, purged, slipped := pages[0].ID, pages[1].ID, pages[2].ID, pages[3].ID, pages[4].ID, pages[5].ID
	require.NoError(t, w.site.TrashPage(trashed))
	require.NoError(t, w.site.ArchivePage(archived))
	require.NoError(t, w.site.MoveToSpace(moved, "ELSEWHERE"))
	require.NoError(t, w.site.Restrict(hidden, nil, nil))
	require.NoError(t, w.site.PurgePage(purged))

	removed := bustest.Collect[event.PageRemoved](k)
	w.start(k, sandbox.DefaultToken)
	run := w.relist("second", slipped)
	k.Publish(completed(run))
	removed.Wait(5)
	k.Empty(bus.Removals)

	want := map[string]string{
		trashed: "trashed", archived: "archived", moved: "moved", hidden: "unreadable", purged: "unreadable",
	}
	said := map[string]string{}
	for _, e := range removed.All() {
		said[e.PageID] = e.Reason
		require.Equal(t, []string{"docs", run.ID}, []string{e.SourceID, e.RunID})
		require.NotEmpty(t, e.Title)
	}
	require.Equal(t, want, said)
	require.Equal(t, want, w.ended(run.ID, event.Removed))
	require.Equal(t, map[string]string{slipped: "still_there"}, w.ended(run.ID, event.Skipped))
	for _, p := range pages {
		require.Equal(t, want[p.ID] == "", w.live(p.ID), "page %s", p.Title)
	}
	last := w.advance(run.ID)
	require.Equal(t, event.StateCompleted, last.State)
	require.Equal(t, 5, last.Counts.Removed)
}

// An incremental listing lacks almost every page, and so does an incomplete one.
func TestOnlyCompleteFullListingsCount(t *testing.T) {
	w, k := newWorld(t, 3), bustest.New(t)
	removed := bustest.Collect[event.PageRemoved](k)
	w.start(k, sandbox.DefaultToken)
	w.site.ResetStats()

	run := w.list("docs", "incremental", event.Incremental, nil)
	lie := completed(run)
	lie.Mode = event.Full
	k.Publish(completed(run), lie)
	k.Empty(bus.Removals)
	require.Equal(t, event.StateCompleted, w.advance(run.ID).State)

	open, err := w.store.OpenRun(t.Context(), event.SyncRequested{RequestID: "open", Mode: event.Full, SourceID: "docs"})
	require.NoError(t, err)
	unknown := completed(open)
	unknown.RunID = "of-a-source-that-was-removed"
	k.Publish(completed(open), unknown)
	k.Empty(bus.Removals)

	require.Zero(t, w.site.Stats().Total, "no reason to call Confluence")
	require.Empty(t, removed.All())
	for _, id := range []string{"incremental", "open"} {
		run, err := w.store.Run(t.Context(), id)
		require.NoError(t, err)
		require.Zero(t, run.RemovalsChecked)
	}
	for _, p := range w.below() {
		require.True(t, w.live(p.ID))
	}
}

func TestAReplayAnnouncesAgainAndJudgesNothing(t *testing.T) {
	w, k := newWorld(t, 3), bustest.New(t)
	pages := w.below()
	require.NoError(t, w.site.TrashPage(pages[0].ID))
	removed := bustest.Collect[event.PageRemoved](k)
	w.start(k, sandbox.DefaultToken)
	// A pending page keeps the run open.
	fresh, err := w.site.CreatePage(sandbox.Draft{Space: space, Title: "Fresh", Body: "<p>new</p>"})
	require.NoError(t, err)
	run := w.relist("second")
	k.Publish(completed(run))
	removed.Wait(1)
	k.Empty(bus.Removals)

	require.NoError(t, w.site.TrashPage(pages[1].ID))
	w.site.ResetStats()
	k.Publish(completed(run))
	for _, e := range removed.Wait(2) {
		require.Equal(t, pages[0].ID, e.PageID)
	}
	k.Empty(bus.Removals)
	require.Zero(t, w.site.Stats().Total)
	require.True(t, w.live(pages[1].ID), "it left after the listing: the next run removes it")

	_, err = w.store.WritePage(t.Context(), write(run, fresh))
	require.NoError(t, err)
	require.Equal(t, event.StateCompleted, w.advance(run.ID).State)
	k.Publish(completed(run))
	k.Empty(bus.Removals)
	for _, e := range removed.Wait(3) {
		require.Equal(t, pages[0].ID, e.PageID)
	}
}

// The detector was stopped between the removal and its announcement, and the run ended before another
// detector took over.
func TestARemovalIsAnnouncedAlsoAfterTheRunHasEnded(t *testing.T) {
	w, k := newWorld(t, 1), bustest.New(t)
	p := w.below()[0]
	require.NoError(t, w.site.TrashPage(p.ID))
	run := w.relist("second")
	_, _, err := w.store.FindRemovalCandidates(t.Context(), run)
	require.NoError(t, err)
	require.NoError(t, w.store.RemovePages(t.Context(), run, []store.Removal{{PageID: p.ID, Reason: "trashed"}}))
	require.NoError(t, w.store.MarkRemovalsChecked(t.Context(), run.ID))
	require.Equal(t, event.StateCompleted, w.advance(run.ID).State)

	removed := bustest.Collect[event.PageRemoved](k)
	w.start(k, sandbox.DefaultToken)
	k.Publish(completed(run))
	require.Equal(t, p.ID, removed.Wait(1)[0].PageID)
}

// A bulk answer that omits a page does not prove that the page is gone.
func TestAShortAnswerRemovesNothing(t *testing.T) {
	w, k := newWorld(t, 3), bustest.New(t)
	pages := w.below()
	slipped, moved, gone := pages[0].ID, pages[1].ID, pages[2].ID
	require.NoError(t, w.site.MoveToSpace(moved, "ELSEWHERE"))
	require.NoError(t, w.site.PurgePage(gone))
	w.meddle = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/wiki/api/v2/pages" {
			return false
		}
		rw.Header().Set("Content-Type", "application/json")
		_, err := rw.Write([]byte(`{"results": [], "_links": {}}`))
		return err == nil
	}
	w.start(k, sandbox.DefaultToken)
	run := w.relist("second", slipped)
	k.Publish(completed(run))
	k.Empty(bus.Removals)
	require.Equal(t, map[string]string{slipped: "still_there"}, w.ended(run.ID, event.Skipped))
	require.Equal(t, map[string]string{moved: "moved", gone: "unreadable"}, w.ended(run.ID, event.Removed))
	require.True(t, w.live(slipped))
}

func TestTheBrakeHoldsARunThatWouldRemoveTooMuch(t *testing.T) {
	for _, tc := range []struct {
		gone int
		held bool
	}{{10, false}, {11, true}} {
		w, k := newWorld(t, 30), bustest.New(t)
		removed := bustest.Collect[event.PageRemoved](k)
		pages := w.below()
		for _, p := range pages[:tc.gone] {
			require.NoError(t, w.site.TrashPage(p.ID))
		}
		w.start(k, sandbox.DefaultToken)
		run := w.relist("second")
		k.Publish(completed(run))
		if !tc.held {
			removed.Wait(tc.gone)
		}
		k.Empty(bus.Removals)

		last := w.advance(run.ID)
		if !tc.held {
			require.Equal(t, event.StateCompleted, last.State)
			require.Equal(t, tc.gone, last.Counts.Removed)
			continue
		}
		require.Equal(t, event.StateHeld, last.State)
		require.Equal(t, failure.TooManyRemovals, last.Code)
		require.Contains(t, last.Message, "11 of 31")
		require.Empty(t, removed.All())
		require.Len(t, w.ended(run.ID, event.Skipped), tc.gone)
		for _, p := range pages {
			require.True(t, w.live(p.ID))
		}
	}
}

// With a dead token, or without its space, every page of a site looks deleted.
func TestNothingIsRemovedWhenTheSiteCannotBeRead(t *testing.T) {
	for _, tc := range []struct {
		name  string
		token string
		hide  bool
		code  failure.Code
	}{
		{"dead token", "revoked", false, failure.Unauthorized},
		{"hidden space", sandbox.DefaultToken, true, failure.SpaceNotFound},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, k := newWorld(t, 5), bustest.New(t)
			pages := w.below()
			removed := bustest.Collect[event.PageRemoved](k)
			run := w.relist("second", pages[0].ID, pages[1].ID)
			require.NoError(t, w.site.HideSpace(space, tc.hide))
			w.start(k, tc.token)
			k.Publish(completed(run))
			require.Eventually(t, func() bool {
				run, err := w.store.Run(t.Context(), run.ID)
				return err == nil && run.State.Final()
			}, bustest.Patience, tick)
			k.Empty(bus.Removals)

			failed, err := w.store.Run(t.Context(), run.ID)
			require.NoError(t, err)
			require.Equal(t, event.StateFailed, failed.State)
			require.Equal(t, tc.code, failed.Code)
			require.Contains(t, failed.Message, "removals could not be checked")
			require.Empty(t, removed.All())
			for _, p := range pages {
				require.True(t, w.live(p.ID))
			}
		})
	}
}

// A run that nobody asked for may have to list all pages of a source that loses pages only on demand.
func TestARunByScheduleRemovesNothingOnDemand(t *testing.T) {
	w, k := newWorld(t, 3), bustest.New(t)
	gone, archived := w.below()[0].ID, w.below()[1].ID
	require.NoError(t, w.site.TrashPage(gone))
	require.NoError(t, w.site.ArchivePage(archived))
	every := schedule.Default()
	require.NoError(t, w.store.UpdateSource(t.Context(), "docs", store.SourceChange{DeletionStrategy: store.OnDemand, Schedule: &every}))
	before, err := w.store.Source(t.Context(), "docs")
	require.NoError(t, err)
	require.NoError(t, w.store.RecordPause(t.Context(), w.baseURL, time.Hour, "429"))
	_, _, err = w.store.LiftPause(t.Context(), "docs") // which makes it due
	require.NoError(t, err)
	look, err := w.store.ClaimDue(t.Context(), "docs")
	require.NoError(t, err)
	require.True(t, look.Sources[0].Facts.OnDemand)
	requests, err := w.store.EndLook(t.Context(), look.Token, []store.Looked{{
		SourceID: "docs", Result: store.LookRequested, Next: time.Now().Add(time.Hour),
		Request: &event.SyncRequested{SourceID: "docs", RequestID: "by-schedule", Mode: event.Full},
	}})
	require.NoError(t, err)
	require.Len(t, requests, 1)

	w.start(k, sandbox.DefaultToken)
	run := w.relist("by-schedule")
	require.Equal(t, store.BySchedule, run.Reason)
	k.Publish(completed(run))
	k.Empty(bus.Removals)
	require.True(t, w.live(gone))
	require.True(t, w.live(archived))
	require.Equal(t, map[string]string{gone: "on_demand", archived: "on_demand"}, w.ended(run.ID, event.Skipped))
	require.Equal(t, event.StateCompleted, w.advance(run.ID).State)
	after, err := w.store.Source(t.Context(), "docs")
	require.NoError(t, err)
	require.Equal(t, before.LastCheck, after.LastCheck, "nothing was looked for")
}

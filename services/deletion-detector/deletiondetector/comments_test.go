package deletiondetector_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store"
)

// comments sets which comments the source has.
func (w *world) comments(which store.Comments) {
	w.t.Helper()
	require.NoError(w.t, w.store.UpdateSource(w.t.Context(), "docs", store.SourceChange{Comments: which}))
}

// discuss adds n threads to each of the pages, and completes a full run that stores them. As a thread is listed and
// stored like a page, it is returned as one.
func (w *world) discuss(n int, on ...sandbox.Page) []sandbox.Page {
	w.t.Helper()
	w.comments(store.AllComments)
	var threads []sandbox.Page
	for _, p := range on {
		for range n {
			id, err := w.site.AddComment(p.ID, sandbox.Comment{Body: "<p>words</p>", Inline: true, Selection: "words", MarkerRef: "m"})
			require.NoError(w.t, err)
			threads = append(threads, sandbox.Page{ID: id, Kind: page.Comment, ParentID: p.ID, Version: 1, Title: "Re: " + p.Title, Status: "current"})
		}
	}
	run := w.list("docs", "with-comments", event.Full, append(w.current(), threads...))
	for _, p := range threads {
		_, err := w.store.WritePage(w.t.Context(), write(run, p))
		require.NoError(w.t, err)
	}
	_, _, err := w.store.FindRemovalCandidates(w.t.Context(), run)
	require.NoError(w.t, err)
	require.NoError(w.t, w.store.MarkRemovalsChecked(w.t.Context(), run.ID))
	require.Equal(w.t, event.StateCompleted, w.advance(run.ID).State)
	w.site.ResetStats()
	return threads
}

// commentCalls is how often the site was asked for a comment.
func (w *world) commentCalls() (n int64) {
	for path, calls := range w.site.Stats().Calls {
		if strings.Contains(path, "comments") {
			n += calls
		}
	}
	return n
}

// Many threads do not hide that most pages leave.
func TestTheBrakeForPagesDoesNotCountThreads(t *testing.T) {
	w, k := newWorld(t, 12), bustest.New(t)
	pages := w.below()
	threads := w.discuss(50, pages[11])
	for _, p := range pages[:11] {
		require.NoError(t, w.site.TrashPage(p.ID))
	}
	w.start(k, sandbox.DefaultToken)
	run := w.list("docs", "second", event.Full, append(w.current(), threads...))
	k.Publish(completed(run))
	k.Empty(bus.Removals)
	last := w.advance(run.ID)
	require.Equal(t, event.StateHeld, last.State)
	require.Contains(t, last.Message, "11 of 13 pages have left")
	require.True(t, w.live(pages[0].ID))
}

// Threads leave as excluded if the source no longer has resolved ones: the listing says what they are. No approval is
// needed, and the site is not asked.
func TestResolvedThreadsLeaveAsExcluded(t *testing.T) {
	for _, now := range []store.Comments{store.OpenComments, store.AllComments} {
		w, k := newWorld(t, 1), bustest.New(t)
		threads := w.discuss(12, w.below()...)
		w.comments(store.OpenComments)
		for i := range threads {
			threads[i].Status = page.Resolved
		}
		run := w.list("docs", "second", event.Full, append(w.current(), threads...))
		w.comments(now) // since the run was requested
		w.start(k, sandbox.DefaultToken)
		k.Publish(completed(run))
		k.Empty(bus.Removals)
		last := w.advance(run.ID)
		require.Equal(t, event.StateCompleted, last.State, last.Message)
		want := map[string]string{}
		if now == store.OpenComments {
			for _, p := range threads {
				want[p.ID] = store.ReasonExcluded
			}
		}
		require.Equal(t, want, w.ended(run.ID, event.Removed))
		require.Zero(t, w.commentCalls())
	}
}

// A thread is looked up only if its page stays: otherwise it leaves with it, for its reason.
func TestThreadsOfPagesThatLeaveAreNotLookedUp(t *testing.T) {
	w, k := newWorld(t, 3), bustest.New(t)
	pages := w.below()
	trashed, purged, slipped := pages[0], pages[1], pages[2]
	threads := w.discuss(2, trashed, purged, slipped)
	require.NoError(t, w.site.TrashPage(trashed.ID))
	require.NoError(t, w.site.PurgePage(purged.ID))
	w.start(k, sandbox.DefaultToken)
	// The listing lacks all threads, and a page that is still there.
	run := w.list("docs", "second", event.Full, slices.DeleteFunc(w.current(), func(p sandbox.Page) bool { return p.ID == slipped.ID }))
	k.Publish(completed(run))
	k.Empty(bus.Removals)
	require.Equal(t, event.StateCompleted, w.advance(run.ID).State)
	require.Equal(t, map[string]string{
		trashed.ID: store.ReasonTrashed, threads[0].ID: store.ReasonTrashed, threads[1].ID: store.ReasonTrashed,
		purged.ID: store.ReasonUnreadable, threads[2].ID: store.ReasonUnreadable, threads[3].ID: store.ReasonUnreadable,
	}, w.ended(run.ID, event.Removed))
	require.Equal(t, map[string]string{
		slipped.ID: "still_there", threads[4].ID: "still_there", threads[5].ID: "still_there",
	}, w.ended(run.ID, event.Skipped))
	require.LessOrEqual(t, w.commentCalls(), int64(4), "of the threads of one page only: %v", w.site.Stats().Calls)
	require.Positive(t, w.commentCalls())
}

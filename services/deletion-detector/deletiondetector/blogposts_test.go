package deletiondetector_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// want sets whether the source wants blog posts.
func (w *world) want(blogPosts bool) {
	w.t.Helper()
	require.NoError(w.t, w.store.UpdateSource(w.t.Context(), "docs", store.SourceChange{BlogPosts: &blogPosts}))
}

// post adds n blog posts and completes a full run that stores them.
func (w *world) post(n int) []sandbox.Page {
	w.t.Helper()
	w.want(true)
	for i := range n {
		_, err := w.site.CreatePage(sandbox.Draft{Kind: sandbox.KindBlogPost, Space: space, Title: fmt.Sprintf("Page %d", i), Body: "<p>news</p>"})
		require.NoError(w.t, err)
	}
	posts := w.site.BlogPosts(space)
	run := w.list("docs", "with-posts", event.Full, append(w.site.Pages(space), posts...))
	require.True(w.t, run.BlogPosts)
	for _, p := range posts {
		_, err := w.store.WritePage(w.t.Context(), write(run, p))
		require.NoError(w.t, err)
	}
	_, _, err := w.store.FindRemovalCandidates(w.t.Context(), run)
	require.NoError(w.t, err)
	require.NoError(w.t, w.store.MarkRemovalsChecked(w.t.Context(), run.ID))
	require.Equal(w.t, event.StateCompleted, w.advance(run.ID).State)
	return posts
}

func TestEveryBlogPostLeavesForAReason(t *testing.T) {
	w, k := newWorld(t, 4), bustest.New(t)
	posts := w.post(6)
	trashed, moved, hidden, purged, slipped := posts[0].ID, posts[1].ID, posts[2].ID, posts[3].ID, posts[4].ID
	page := w.below()[0].ID
	require.NoError(t, w.site.TrashPage(trashed))
	require.NoError(t, w.site.MoveToSpace(moved, "ELSEWHERE"))
	require.NoError(t, w.site.Restrict(hidden, nil, nil))
	require.NoError(t, w.site.PurgePage(purged))
	require.NoError(t, w.site.TrashPage(page))
	// The call requested as many pages as blog posts, each kind from its own route.
	w.site.ResetStats()
	w.start(k, sandbox.DefaultToken)
	run := w.list("docs", "second", event.Full, append(w.current(), posts[5]))
	k.Publish(completed(run))
	k.Empty(bus.Removals)

	require.Equal(t, map[string]string{
		trashed: "trashed", moved: "moved", hidden: "unreadable", purged: "unreadable", page: "trashed",
	}, w.ended(run.ID, event.Removed))
	require.Equal(t, map[string]string{slipped: "still_there"}, w.ended(run.ID, event.Skipped))
	require.True(t, w.live(slipped))
	require.False(t, w.live(trashed))
	calls := w.site.Stats().Calls
	require.EqualValues(t, 1, calls["/wiki/api/v2/pages"], "%v", calls)
	require.EqualValues(t, 1, calls["/wiki/api/v2/blogposts"], "%v", calls)
	require.EqualValues(t, 2, calls["/wiki/api/v2/blogposts/{id}"], "a page that the bulk answer omits is requested separately: %v", calls)
	require.Zero(t, calls["/wiki/api/v2/pages/{id}"], "%v", calls)
}

// current are the pages of the space now, without its blog posts.
func (w *world) current() []sandbox.Page {
	var out []sandbox.Page
	for _, p := range w.site.Pages(space) {
		if !p.Hidden && p.Status == "current" {
			out = append(out, p)
		}
	}
	return out
}

// An answer without blog posts, from a site that lost them for a moment, proves nothing.
func TestAShortAnswerRemovesNoBlogPost(t *testing.T) {
	w, k := newWorld(t, 1), bustest.New(t)
	slipped := w.post(1)[0].ID
	w.meddle = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/wiki/api/v2/blogposts" {
			return false
		}
		rw.Header().Set("Content-Type", "application/json")
		_, err := rw.Write([]byte(`{"results": [], "_links": {}}`))
		return err == nil
	}
	w.start(k, sandbox.DefaultToken)
	run := w.list("docs", "second", event.Full, w.current())
	k.Publish(completed(run))
	k.Empty(bus.Removals)
	require.Equal(t, map[string]string{slipped: "still_there"}, w.ended(run.ID, event.Skipped))
	require.True(t, w.live(slipped))
}

// Turning blog posts off removes them: for any number of them no approval is needed, and Confluence is
// not called about them.
func TestBlogPostsThatAreNoLongerWantedLeave(t *testing.T) {
	w, k := newWorld(t, 3), bustest.New(t)
	posts := w.post(20)
	removed := bustest.Collect[event.PageRemoved](k)
	w.want(false)
	w.site.ResetStats()
	w.start(k, sandbox.DefaultToken)
	run := w.list("docs", "off", event.Full, w.current())
	require.False(t, run.BlogPosts)
	k.Publish(completed(run))
	for _, e := range removed.Wait(20) {
		require.Equal(t, "excluded", e.Reason)
	}
	k.Empty(bus.Removals)
	last := w.advance(run.ID)
	require.Equal(t, event.StateCompleted, last.State, last.Message)
	require.Equal(t, 20, last.Counts.Removed)
	require.Zero(t, w.site.Stats().Calls["/wiki/api/v2/blogposts"])
	for _, p := range posts {
		require.False(t, w.live(p.ID))
	}

	// When they are wanted again, they are still stored, and come back without a fetch.
	w.want(true)
	again := w.list("docs", "on-again", event.Full, append(w.current(), posts...))
	ids := make([]string, len(posts))
	for i, p := range posts {
		ids[i] = p.ID
	}
	kept, err := w.store.KeptPages(t.Context(), again, ids)
	require.NoError(t, err)
	require.Len(t, kept, 20)
	require.Equal(t, "blogpost", kept[0].Page.Kind)
}

// A run without blog posts proves nothing of them if the source wants them: it was requested before they were turned on
// again, or by a process that did not know of the kind.
func TestBlogPostsThatARunDidNotAskForStayIfTheyAreWanted(t *testing.T) {
	w, k := newWorld(t, 3), bustest.New(t)
	posts := w.post(20)
	w.want(false)
	run := w.list("docs", "off", event.Full, w.current())
	w.want(true)
	w.site.ResetStats()
	w.start(k, sandbox.DefaultToken)
	k.Publish(completed(run))
	k.Empty(bus.Removals)
	last := w.advance(run.ID)
	require.Equal(t, event.StateCompleted, last.State, last.Message)
	require.Zero(t, last.Counts.Removed)
	require.True(t, w.live(posts[0].ID))
	require.Zero(t, w.site.Stats().Calls["/wiki/api/v2/blogposts"])
	next, err := w.store.OpenRun(t.Context(), event.SyncRequested{RequestID: "next", Mode: event.Incremental, SourceID: "docs"})
	require.NoError(t, err)
	require.Equal(t, event.Full, next.Mode, "it lists them")
}

// A held run removes nothing at all, and its brake counts the pages that left, not those that were
// turned off.
func TestAHeldRunKeepsUnwantedBlogPostsToo(t *testing.T) {
	w, k := newWorld(t, 30), bustest.New(t)
	posts := w.post(20)
	w.want(false)
	for _, p := range w.below()[:11] {
		require.NoError(t, w.site.TrashPage(p.ID))
	}
	w.start(k, sandbox.DefaultToken)
	run := w.list("docs", "held", event.Full, w.current())
	k.Publish(completed(run))
	k.Empty(bus.Removals)
	last := w.advance(run.ID)
	require.Equal(t, event.StateHeld, last.State)
	require.Contains(t, last.Message, "11 of 31 pages")
	require.True(t, w.live(posts[0].ID))
	held, err := w.store.Reader().HeldRemovals(t.Context(), viewer.All(), run.ID)
	require.NoError(t, err)
	require.Len(t, held, 31)
}

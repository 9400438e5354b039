package fetcher_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store"
)

// wantPosts turns blog posts on or off for the source.
func (w *world) wantPosts(on bool) {
	w.t.Helper()
	require.NoError(w.t, w.store.UpdateSource(w.t.Context(), "docs", store.SourceChange{BlogPosts: &on}))
}

func (w *world) post(title, body string, labels ...string) sandbox.Page {
	w.t.Helper()
	return w.add(sandbox.Draft{Kind: sandbox.KindBlogPost, Space: space, Title: title, Body: body, Labels: labels})
}

func kinds(tasks []event.PagesListed) map[string]int {
	out := map[string]int{}
	for _, task := range tasks {
		for _, ref := range task.Pages {
			out[ref.Kind]++
		}
	}
	return out
}

func TestBlogPostsAreListedWhereTheyAreWanted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.page("Twin", "<p>page</p>", "")
	post := w.post("Twin", "<p>news</p>")

	require.Equal(t, map[string]int{"": 2}, kinds(w.listed("without", event.Full)))
	calls := w.site.Stats().Calls
	require.Zero(t, calls["/wiki/api/v2/spaces/{id}/blogposts"], "%v", calls)
	without := w.site.Stats().Total
	w.finish("without")
	w.purgeTasks()

	w.wantPosts(true)
	w.site.ResetStats()
	tasks := w.listed("with", event.Incremental)
	run, err := w.store.Run(t.Context(), "with")
	require.NoError(t, err)
	require.Equal(t, event.Full, run.Mode, "an old blog post is not among what changed lately")
	require.Equal(t, 3, run.Listed)
	require.Len(t, tasks, 1)
	require.Equal(t, []page.Ref{{ID: post.ID, Version: 1, Kind: page.BlogPost}}, tasks[0].Pages)
	require.Equal(t, without+1, w.site.Stats().Total, "one call more: %v", w.site.Stats().Calls)
	w.finish("with")

	w.purgeTasks()
	w.site.ResetStats()
	w.listed("again", event.Incremental)
	run, err = w.store.Run(t.Context(), "again")
	require.NoError(t, err)
	require.Equal(t, event.Incremental, run.Mode)
	require.Equal(t, 3, run.Listed, "both kinds changed within the overlap")
	require.EqualValues(t, 1, w.site.Stats().Calls["/wiki/rest/api/content/search"])
}

// A task of both kinds would cost a call for each of them.
func TestATaskIsOfOneKind(t *testing.T) {
	t.Parallel()
	site := sandbox.New(sandbox.Options{})
	site.AddGenerated(sandbox.GeneratedSpace, 250, 3)
	require.NoError(t, site.AddGeneratedBlogPosts(sandbox.GeneratedSpace, 130, 3))
	w := newWorldOn(t, site, sandbox.GeneratedSpace)
	w.wantPosts(true)
	sizes := map[string][]int{}
	for _, task := range w.listed("run-1", event.Full) {
		of := kinds([]event.PagesListed{task})
		require.Len(t, of, 1)
		for kind, n := range of {
			sizes[kind] = append(sizes[kind], n)
		}
	}
	require.ElementsMatch(t, []int{100, 100, 50}, sizes[""])
	require.ElementsMatch(t, []int{100, 30}, sizes[page.BlogPost])

	site.ResetStats()
	fetched := bustest.Collect[event.PageFetched](w.Kit)
	w.startFetch(2)
	fetched.Wait(380)
	w.Empty(bus.Fetch)
	calls := site.Stats().Calls
	require.EqualValues(t, 3, calls["/wiki/api/v2/pages"], "%v", calls)
	require.EqualValues(t, 2, calls["/wiki/api/v2/blogposts"], "%v", calls)
}

func TestABlogPostComesWithItsFacts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.wantPosts(true)
	twin := w.page("Twin", "<p>page</p>", "")
	p := w.post("Twin", `<p>About <ac:link><ri:page ri:content-title="Twin"/></ac:link></p>`, "hot")
	w.listed("run-1", event.Full)
	fetched := bustest.Collect[event.PageFetched](w.Kit)
	w.startFetch(1)
	got := byID(fetched.Wait(3))
	facts := got[p.ID].Page
	require.Equal(t, page.BlogPost, facts.Kind)
	require.Empty(t, got[twin.ID].Page.Kind)
	day := p.CreatedAt.Format("2006/01/02")
	require.Equal(t, w.baseURL+"/spaces/DOCS/blog/"+day+"/"+p.ID+"/Twin", facts.URL)
	require.Empty(t, facts.ParentID)
	require.Equal(t, []string{"hot"}, facts.Labels)
	require.Equal(t, twin.ID, facts.Links["Twin"].PageID, "a link by title is to the page")
	place, err := w.store.Place(t.Context(), "docs", p.ID, space, w.baseURL)
	require.NoError(t, err)
	require.Equal(t, "/"+p.ID, place.Path)
	require.Empty(t, place.Ancestors)
}

func TestAnIncrementalRunFindsWhatChangedInBlogPosts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.wantPosts(true)
	edited, gone, trashed := w.post("Edited", "<p>old</p>"), w.post("Gone", "<p>old</p>"), w.post("Trashed", "<p>old</p>")
	w.listed("run-1", event.Full)
	w.purgeTasks()
	w.finish("run-1")
	body := "<p>new</p>"
	for _, p := range []sandbox.Page{edited, gone, trashed} {
		_, err := w.site.EditPage(p.ID, sandbox.Edit{Body: &body})
		require.NoError(t, err)
	}
	fresh := w.post("Fresh", "<p>fresh</p>")
	require.Equal(t, map[string]int{page.BlogPost: 4}, kinds(w.listed("run-2", event.Incremental)))
	require.NoError(t, w.site.PurgePage(gone.ID))
	require.NoError(t, w.site.TrashPage(trashed.ID))
	w.site.ResetStats()
	fetched := bustest.Collect[event.PageFetched](w.Kit)
	w.startFetch(1)
	w.Empty(bus.Fetch)
	got := byID(fetched.Wait(2))
	require.Equal(t, body, got[edited.ID].Body)
	require.Equal(t, page.BlogPost, got[fresh.ID].Page.Kind)
	require.Equal(t, map[string]string{gone.ID: "missing", trashed.ID: "trashed"}, w.skipped("run-2"))
	calls := w.site.Stats().Calls
	require.EqualValues(t, 1, calls["/wiki/api/v2/blogposts/{id}"], "who says that it is missing: %v", calls)
	require.Zero(t, calls["/wiki/api/v2/pages"]+calls["/wiki/api/v2/pages/{id}"], "%v", calls)
}

// The pages alone are half of a listing: with them the run is not complete.
func TestAListingWithoutItsBlogPostsFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.wantPosts(true)
	w.post("News", "<p>news</p>")
	listings := bustest.Collect[event.ListingCompleted](w.Kit)
	require.NoError(t, w.site.SetFaults(1, sandbox.Fault{Kind: "scope", Route: "/wiki/api/v2/spaces/{id}/blogposts", Rate: 1}))
	w.startSync()
	w.ask("run-1", event.Full, 0)
	run := w.run("run-1", event.State.Final)
	require.Equal(t, event.StateFailed, run.State)
	require.Equal(t, failure.Unauthorized, run.Code)
	require.Contains(t, run.Message, "list blog posts of space DOCS")
	require.Empty(t, listings.All())
}

// What nobody has published does not arrive, and a live doc is a page like others.
func TestDraftsNeverArriveAndLivePagesDo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.wantPosts(true)
	live := w.add(sandbox.Draft{Space: space, Title: "Minutes", Body: "<p>so far</p>", Subtype: "live"})
	draft := w.add(sandbox.Draft{Space: space, Title: "Unready", Body: "<p>hush</p>", Status: "draft"})
	news := w.add(sandbox.Draft{Kind: sandbox.KindBlogPost, Space: space, Title: "Unready", Body: "<p>hush</p>", Status: "draft"})
	for _, mode := range []event.Mode{event.Full, event.Incremental} {
		run := "run-" + string(mode)
		var listed []string
		for _, task := range w.listed(run, mode) {
			listed = append(listed, ids(task.Pages)...)
		}
		require.NotContains(t, listed, draft.ID)
		require.NotContains(t, listed, news.ID)
		if mode == event.Full {
			require.Contains(t, listed, live.ID)
		}
		w.purgeTasks()
		w.finish(run)
	}

	// A live doc's versions rise while it is written, and often without a word of text.
	title := "Minutes"
	_, err := w.site.EditPage(live.ID, sandbox.Edit{Title: &title})
	require.NoError(t, err)
	require.NoError(t, w.site.PublishPage(draft.ID))
	require.Len(t, w.listed("run-3", event.Incremental), 1)
	fetched := bustest.Collect[event.PageFetched](w.Kit)
	w.startFetch(1)
	w.Empty(bus.Fetch)
	got := byID(fetched.Wait(2))
	require.Equal(t, 2, got[live.ID].Page.Version)
	require.True(t, strings.Contains(got[draft.ID].Body, "hush"))
}

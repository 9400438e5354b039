package e2etest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/viewer"
)

// want turns the source's blog posts on or off.
func (w *world) want(blogPosts bool) {
	w.t.Helper()
	require.NoError(w.t, w.store.UpdateSource(w.t.Context(), source, store.SourceChange{BlogPosts: &blogPosts}))
}

// finds returns the ids of a search's hits.
func (w *world) finds(query string) []string {
	w.t.Helper()
	hits, err := w.store.Searcher().Search(w.t.Context(), viewer.All(), query, search.Filter{SourceID: source})
	require.NoError(w.t, err)
	out := []string{}
	for _, h := range hits {
		out = append(out, h.PageID)
	}
	return out
}

func TestTheLifeOfABlogPost(t *testing.T) {
	t.Parallel()
	g := newGarden(t, sandbox.Options{})
	post, err := g.site.CreatePage(sandbox.Draft{
		Kind: sandbox.KindBlogPost, Space: gardenSpace, Title: "A", Body: "<p>The foxglove is back.</p>", Labels: []string{"spring"},
	})
	require.NoError(t, err)
	g.ends(event.Full, event.Counts{})
	require.Empty(t, g.finds("foxglove"), "blog posts are off")

	g.want(true)
	last := g.ends(event.Incremental, event.Counts{Created: 1})
	require.Equal(t, event.Full, last.Mode)
	require.Equal(t, []string{post.ID}, g.finds("foxglove"))
	require.Equal(t, g.ids["A"], g.finds("aflower")[0], "the page with the same title is a different one")
	stored, err := g.store.Reader().Page(t.Context(), viewer.All(), post.ID)
	require.NoError(t, err)
	require.Equal(t, []string{"blogpost", "A", "/" + post.ID}, []string{stored.Kind, stored.Title, stored.Path})
	require.Equal(t, g.served.URL+"/wiki/spaces/GARDEN/blog/"+post.CreatedAt.Format("2006/01/02")+"/"+post.ID+"/A", stored.URL)
	require.Equal(t, []string{"spring"}, stored.Metadata.Labels)
	require.Equal(t, "page", g.page("A").Kind)

	body := "<p>The foxglove has gone, the hollyhock is here.</p>"
	_, err = g.site.EditPage(post.ID, sandbox.Edit{Body: &body})
	require.NoError(t, err)
	last = g.ends(event.Incremental, event.Counts{Updated: 1})
	require.Equal(t, event.Incremental, last.Mode)
	require.Equal(t, []string{post.ID}, g.finds("hollyhock"))

	require.NoError(t, g.site.SetLabels(post.ID, "summer"))
	g.site.ResetStats()
	g.ends(event.Full, event.Counts{Updated: 1})
	require.Zero(t, g.site.Stats().Bodies, "labels need no body")
	stored, err = g.store.Reader().Page(t.Context(), viewer.All(), post.ID)
	require.NoError(t, err)
	require.Equal(t, []string{"summer"}, stored.Metadata.Labels)

	// A file of it comes and goes with it.
	file := g.attach(post.ID, "summer.csv", "flower,colour\ndelphinium,blue\n")
	g.attachments(store.AttachmentsOn)
	g.ends(event.Incremental, event.Counts{Created: 1})
	require.Equal(t, []string{file}, g.finds("delphinium"))
	require.Equal(t, "/"+post.ID+"/"+file, g.thread(file).Path)
	hits, err := g.store.Searcher().Search(t.Context(), viewer.All(), "delphinium", search.Filter{FileType: "csv"})
	require.NoError(t, err)
	require.Equal(t, []string{"attachment", "csv", "rows 1-2"}, []string{hits[0].Kind, hits[0].FileType, hits[0].Place})

	require.NoError(t, g.site.TrashPage(post.ID))
	g.ends(event.Full, event.Counts{Removed: 2})
	require.Empty(t, g.finds("hollyhock"))
	require.Empty(t, g.finds("delphinium"))
	require.NotEmpty(t, g.finds("aflower"))
	require.NoError(t, g.site.RestorePage(post.ID))
	g.site.ResetStats()
	g.ends(event.Full, event.Counts{Created: 2})
	require.Zero(t, g.site.Stats().Bodies, "its Markdown was kept")
	require.Equal(t, []string{post.ID}, g.finds("hollyhock"))
	require.Equal(t, []string{file}, g.finds("delphinium"))

	require.NoError(t, g.site.Restrict(post.ID, nil, nil))
	last = g.ends(event.Full, event.Counts{Removed: 2})
	require.Equal(t, map[string]string{post.ID: store.ReasonUnreadable, file: store.ReasonUnreadable}, g.removedAs(last.RunID))
	require.NoError(t, g.site.Unrestrict(post.ID))
	g.ends(event.Full, event.Counts{Created: 2})

	g.want(false)
	g.ends(event.Incremental, event.Counts{})
	last = g.ends(event.Full, event.Counts{Removed: 2})
	require.Equal(t, map[string]string{post.ID: store.ReasonExcluded, file: store.ReasonExcluded}, g.removedAs(last.RunID))
	require.Empty(t, g.finds("hollyhock"))
	require.Zero(t, g.count(`SELECT count(*) FROM archon_crawled_pages WHERE metadata->>'page_id' = $1`, post.ID))
	require.NotEmpty(t, g.finds("aflower"))
}

func TestDraftsAreNotFoundAndLiveDocsAre(t *testing.T) {
	t.Parallel()
	g := newGarden(t, sandbox.Options{})
	g.want(true)
	var drafts []string
	for _, kind := range []sandbox.Kind{sandbox.KindPage, sandbox.KindBlogPost} {
		d, err := g.site.CreatePage(sandbox.Draft{Kind: kind, Space: gardenSpace, Title: "Plans", Body: "<p>Secret snapdragons.</p>", Status: "draft"})
		require.NoError(t, err)
		drafts = append(drafts, d.ID)
	}
	live, err := g.site.CreatePage(sandbox.Draft{Space: gardenSpace, Title: "Minutes", Body: "<p>We spoke of marigolds.</p>", Subtype: "live"})
	require.NoError(t, err)
	g.ends(event.Full, event.Counts{Created: 1})
	g.ends(event.Incremental, event.Counts{})
	require.Empty(t, g.finds("snapdragons"))
	require.Equal(t, []string{live.ID}, g.finds("marigolds"))

	// The version of a live doc increases by itself.
	_, err = g.site.EditPage(live.ID, sandbox.Edit{Title: &live.Title})
	require.NoError(t, err)
	g.ends(event.Incremental, event.Counts{Updated: 1})
	require.Equal(t, []string{live.ID}, g.finds("marigolds"))

	for _, id := range drafts {
		require.NoError(t, g.site.PublishPage(id))
	}
	g.ends(event.Incremental, event.Counts{Created: 2})
	require.ElementsMatch(t, drafts, g.finds("snapdragons"))
}

// The calls for blog posts: their part of the listing, and their own bodies. A source without blog posts makes no
// extra calls.
func TestCallsWithBlogPosts(t *testing.T) {
	t.Parallel()
	const pages, posts = 300, 120
	c := &clock{}
	c.ahead.Store(-int64(24 * time.Hour))
	site := sandbox.New(sandbox.Options{Now: c.now})
	site.AddGenerated(sandbox.GeneratedSpace, pages, 7)
	require.NoError(t, site.AddGeneratedBlogPosts(sandbox.GeneratedSpace, posts, 7))
	c.ahead.Store(0)
	served, err := sandbox.Serve("127.0.0.1:0", site)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, served.Close()) })
	type calls = map[string]int64
	cost := func(wanted bool) (full, idle, changed calls) {
		w := newWorldOn(t, sandbox.GeneratedSpace, site, served)
		w.want(wanted)
		defer w.startAll()()
		sync := func(mode event.Mode) calls {
			site.ResetStats()
			last := w.sync(mode)
			require.Equal(t, event.StateCompleted, last.State, last.Message)
			t.Logf("blog posts %t, %s: %d calls %v", wanted, mode, site.Stats().Total, site.Stats().Calls)
			made := site.Stats().Calls
			// Fetchers that start at the same time may request these more than once.
			delete(made, "/wiki/api/v2/spaces")
			delete(made, "/wiki/api/v2/users-bulk")
			return made
		}
		full, idle = sync(event.Full), sync(event.Incremental)
		_, err := site.EditSome(sandbox.GeneratedSpace, 40, 1)
		require.NoError(t, err)
		_, err = site.EditPage(site.BlogPosts(sandbox.GeneratedSpace)[0].ID, sandbox.Edit{})
		require.NoError(t, err)
		return full, idle, sync(event.Incremental)
	}
	const search, fetch = "/wiki/rest/api/content/search", "/wiki/api/v2/pages"
	full, idle, changed := cost(false)
	require.Equal(t, calls{"/_edge/tenant_info": 1, "/wiki/rest/api/user/current": 1, "/wiki/api/v2/spaces/{id}/pages": 2, search: 2, fetch: 3}, full)
	require.Equal(t, calls{search: 1}, idle)
	require.Equal(t, calls{search: 1, fetch: 1}, changed)

	full, idle, changed = cost(true)
	require.Equal(t, calls{
		"/_edge/tenant_info": 1, "/wiki/rest/api/user/current": 1, "/wiki/api/v2/spaces/{id}/pages": 2, search: 3, fetch: 3,
		"/wiki/api/v2/spaces/{id}/blogposts": 1, "/wiki/api/v2/blogposts": 2,
	}, full)
	require.Equal(t, calls{search: 1}, idle)
	require.Equal(t, calls{search: 1, fetch: 1, "/wiki/api/v2/blogposts": 1}, changed)
}

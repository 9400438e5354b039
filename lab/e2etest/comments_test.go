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

// discuss sets which comments the source has.
func (w *world) discuss(c store.Comments) {
	w.t.Helper()
	require.NoError(w.t, w.store.UpdateSource(w.t.Context(), source, store.SourceChange{Comments: c}))
}

// comments writes one on the page with the id.
func (g *garden) comments(page string, c sandbox.Comment) string {
	g.t.Helper()
	id, err := g.site.AddComment(page, c)
	require.NoError(g.t, err)
	return id
}

// run syncs.
func (g *garden) run(mode event.Mode) event.Progress {
	g.t.Helper()
	last := g.sync(mode)
	require.Equal(g.t, event.StateCompleted, last.State, last.Message)
	return last
}

// removedAs returns the reasons of a run's removals by page.
func (w *world) removedAs(run string) map[string]string {
	w.t.Helper()
	removals, err := w.store.Removals(w.t.Context(), run)
	require.NoError(w.t, err)
	out := map[string]string{}
	for _, r := range removals {
		out[r.PageID] = r.Reason
	}
	return out
}

func TestTheLifeOfAComment(t *testing.T) {
	t.Parallel()
	g := newGarden(t, sandbox.Options{})
	on := g.ids["D"]
	footer := g.comments(on, sandbox.Comment{Body: "<p>The foxglove needs shade.</p>"})
	g.site.AddUser(sandbox.User{AccountID: "712020:ann", DisplayName: "Ann Author"})
	inline := g.comments(on, sandbox.Comment{Body: "<p>Which lupin?</p>", AuthorID: "712020:ann", Inline: true, Selection: "dflower & friends", MarkerRef: "m1"})
	g.ends(event.Full, event.Counts{})
	require.Empty(t, g.finds("foxglove"), "comments are off")

	words := func() (n int) {
		require.NoError(t, g.db.QueryRow(t.Context(), `SELECT total_word_count FROM archon_sources WHERE source_id = $1`, source).Scan(&n))
		return n
	}
	before := words()
	g.discuss(store.AllComments)
	last := g.ends(event.Incremental, event.Counts{Created: 2})
	require.Equal(t, before, words(), "the words are those of the pages that are counted")
	require.Equal(t, event.Full, last.Mode)
	story, err := g.store.Reader().Story(t.Context(), viewer.All(), last.RunID)
	require.NoError(t, err)
	require.Equal(t, []string{"page", "comment"}, []string{story.ByKind[0].Kind, story.ByKind[1].Kind})
	require.Equal(t, event.Counts{Listed: 2, Created: 2}, story.ByKind[1].Counts)
	require.Equal(t, story.Counts.Listed, story.ByKind[0].Listed+story.ByKind[1].Listed)
	require.Equal(t, []string{footer}, g.finds("foxglove"))
	require.Equal(t, []string{inline}, g.finds("lupin"))
	stored := g.thread(inline)
	require.Equal(t, []string{"comment", g.page("D").Path + "/" + inline, "open"}, []string{stored.Kind, stored.Path, stored.Metadata.Resolution})
	require.Contains(t, stored.URL, "focusedCommentId="+inline)
	require.Contains(t, stored.Markdown, "> dflower & friends")
	require.Contains(t, stored.Markdown, "> Which lupin?", "apart from the names, which nobody can write in a comment")
	require.Contains(t, stored.Markdown, "Ann Author")
	require.Contains(t, g.thread(footer).Markdown, "Sandbox API user")
	require.Contains(t, stored.Markdown, time.Now().UTC().Format(time.DateOnly))

	// A reply, and a reply to it, which is the only one that a search names.
	reply := g.comments(on, sandbox.Comment{Body: "<p>The hollyhock does not.</p>", ParentID: footer})
	last = g.ends(event.Incremental, event.Counts{Updated: 1})
	require.Equal(t, event.Incremental, last.Mode)
	deep := g.comments(on, sandbox.Comment{Body: "<p>Nor the delphinium.</p>", ParentID: reply})
	g.ends(event.Incremental, event.Counts{Updated: 1})
	require.Equal(t, []string{footer}, g.finds("delphinium"))
	g.ends(event.Incremental, event.Counts{})
	g.ends(event.Full, event.Counts{})

	// Edited.
	require.NoError(t, g.site.EditComment(deep, "<p>Nor the snapdragon.</p>"))
	g.ends(event.Incremental, event.Counts{Updated: 1})
	require.Empty(t, g.finds("delphinium"))
	require.Equal(t, []string{footer}, g.finds("snapdragon"))

	// Resolved and reopened, also where neither version nor index tells of it.
	require.NoError(t, g.site.ResolveComment(inline, true, false))
	g.ends(event.Incremental, event.Counts{Updated: 1})
	require.Equal(t, "resolved", g.thread(inline).Metadata.Resolution)
	require.Contains(t, g.thread(inline).Markdown, "Ann Author", "who wrote it, and not who resolved it")
	require.NotContains(t, g.thread(inline).Markdown, "Sandbox API user")
	require.NoError(t, g.site.ResolveComment(inline, false, true))
	g.ends(event.Full, event.Counts{Updated: 1})
	require.Equal(t, "open", g.thread(inline).Metadata.Resolution)

	// A deleted reply, and a deleted first comment, whose replies go on as a thread.
	require.NoError(t, g.site.DeleteComment(deep))
	g.ends(event.Full, event.Counts{Updated: 1})
	require.Empty(t, g.finds("snapdragon"))
	require.NoError(t, g.site.DeleteComment(footer))
	last = g.ends(event.Full, event.Counts{Removed: 1, Created: 1})
	require.Equal(t, map[string]string{footer: store.ReasonUnreadable}, g.removedAs(last.RunID))
	require.Equal(t, []string{reply}, g.finds("hollyhock"))
	require.Empty(t, g.finds("foxglove"))
	require.NoError(t, g.site.TrashComment(reply))
	last = g.ends(event.Full, event.Counts{Removed: 1})
	require.Equal(t, map[string]string{reply: store.ReasonTrashed}, g.removedAs(last.RunID))

	// Removed and restored with its page.
	require.NoError(t, g.site.TrashPage(on))
	last = g.ends(event.Full, event.Counts{Removed: 2})
	require.Equal(t, map[string]string{on: store.ReasonTrashed, inline: store.ReasonTrashed}, g.removedAs(last.RunID))
	require.Empty(t, g.finds("lupin"))
	require.NoError(t, g.site.RestorePage(on))
	g.ends(event.Full, event.Counts{Created: 2})
	require.Equal(t, []string{inline}, g.finds("lupin"))

	// Only open ones, then none.
	require.NoError(t, g.site.ResolveComment(inline, true, false))
	g.discuss(store.OpenComments)
	last = g.ends(event.Full, event.Counts{Removed: 1})
	require.Equal(t, map[string]string{inline: store.ReasonExcluded}, g.removedAs(last.RunID))
	require.NoError(t, g.site.ResolveComment(inline, false, false))
	g.ends(event.Incremental, event.Counts{Created: 1})
	require.NoError(t, g.site.ResolveComment(inline, true, false))
	last = g.ends(event.Incremental, event.Counts{Removed: 1})
	require.Equal(t, []any{event.Incremental, map[string]string{inline: store.ReasonExcluded}}, []any{last.Mode, g.removedAs(last.RunID)})
	require.Empty(t, g.finds("lupin"))
	g.ends(event.Incremental, event.Counts{Skipped: 1})
	require.NoError(t, g.site.ResolveComment(inline, false, false))
	g.ends(event.Incremental, event.Counts{Created: 1})
	g.discuss(store.NoComments)
	last = g.ends(event.Full, event.Counts{Removed: 1})
	require.Equal(t, map[string]string{inline: store.ReasonExcluded}, g.removedAs(last.RunID))
	require.NotEmpty(t, g.finds("dflower"))
}

// thread is the stored thread with the id.
func (w *world) thread(id string) store.Page {
	w.t.Helper()
	p, err := w.store.Reader().Page(w.t.Context(), viewer.All(), id)
	require.NoError(w.t, err)
	return p
}

func TestACommentIsMovedWithItsPage(t *testing.T) {
	t.Parallel()
	g := newGarden(t, sandbox.Options{})
	g.discuss(store.AllComments)
	id := g.comments(g.ids["D"], sandbox.Comment{Body: "<p>The foxglove needs shade.</p>"})
	elsewhere, err := g.site.CreatePage(sandbox.Draft{Space: "OTHER", Title: "Rake", Body: "<p>r</p>"})
	require.NoError(t, err)
	g.comments(elsewhere.ID, sandbox.Comment{Body: "<p>The foxglove of another space.</p>"})
	g.ends(event.Full, event.Counts{Created: 1})
	require.Equal(t, []string{id}, g.finds("foxglove"))

	require.NoError(t, g.site.MovePage(g.ids["D"], g.ids["B"]))
	g.run(event.Full)
	require.Equal(t, g.page("D").Path+"/"+id, g.thread(id).Path)
	require.Contains(t, g.page("D").Path, "/"+g.ids["B"]+"/")

	require.NoError(t, g.site.MoveToSpace(g.ids["D"], "OTHER"))
	last := g.run(event.Full)
	require.Equal(t, store.ReasonMoved, g.removedAs(last.RunID)[id])
	require.Equal(t, store.ReasonMoved, g.removedAs(last.RunID)[g.ids["D"]])
	require.Empty(t, g.finds("foxglove"))
}

// A comment is found by whom its page is found by, whenever what happens.
func TestACommentIsAsHiddenAsItsPage(t *testing.T) {
	t.Parallel()
	g := newGarden(t, sandbox.Options{})
	require.NoError(t, g.store.SetPermissions(t.Context(), source, store.Enforce, 0))
	g.discuss(store.AllComments)
	const reader, apiUser = "712020:reader", "712020:00000000-5a4d-4c1e-9d10-000000000001"
	g.site.AddUser(sandbox.User{AccountID: reader, DisplayName: "Reader"})
	on := g.ids["D"]
	id := g.comments(on, sandbox.Comment{Body: "<p>The foxglove needs shade.</p>"})
	g.run(event.Full)
	seen := func(query string) int {
		hits, err := g.store.Searcher().Search(t.Context(), viewer.OfSources(source).As(reader), query, search.Filter{})
		require.NoError(t, err)
		_, err = g.store.Reader().Page(t.Context(), viewer.OfSources(source).As(reader), id)
		require.Equal(t, len(hits) == 0, err != nil)
		return len(hits)
	}
	require.Equal(t, 1, seen("foxglove"))

	require.NoError(t, g.site.Restrict(on, []string{apiUser}, nil))
	g.run(event.Full)
	require.Zero(t, seen("foxglove"), "the page was restricted after the comment was stored")
	g.comments(on, sandbox.Comment{Body: "<p>The hollyhock is shy.</p>", ParentID: id})
	g.run(event.Incremental)
	require.Zero(t, seen("hollyhock"), "a reply on a hidden page")
	require.Equal(t, []string{id}, g.finds("hollyhock"), "it is there")
	require.NoError(t, g.site.Unrestrict(on))
	g.run(event.Full)
	require.Equal(t, 1, seen("hollyhock"))

	require.NoError(t, g.site.Restrict(g.ids["B"], []string{apiUser}, nil))
	require.NoError(t, g.site.MovePage(on, g.ids["B"]))
	g.run(event.Full)
	require.Zero(t, seen("foxglove"), "the page moved below a hidden one")
}

// What comments cost in calls.
func TestCallsWithComments(t *testing.T) {
	t.Parallel()
	g := newGarden(t, sandbox.Options{})
	cost := func(mode event.Mode) int {
		g.site.ResetStats()
		g.run(mode)
		return int(g.site.Stats().Total)
	}
	g.run(event.Full)
	idle, full := cost(event.Incremental), cost(event.Full)
	g.comments(g.ids["D"], sandbox.Comment{Body: "<p>The foxglove needs shade.</p>"})
	g.comments(g.ids["B"], sandbox.Comment{Body: "<p>The lupin does not.</p>", Inline: true, Selection: "b"})
	g.discuss(store.AllComments)
	g.run(event.Full)
	require.LessOrEqual(t, cost(event.Incremental), idle+1, "nothing has changed")
	require.LessOrEqual(t, cost(event.Full), full+2)
}

// Of the demo space, questions about a page find the page before its comments, however many there are.
func TestAPageIsFoundBeforeItsComments(t *testing.T) {
	t.Parallel()
	site := sandbox.New(sandbox.Options{})
	site.AddBuiltin()
	w := newWorld(t, sandbox.BuiltinSpace, site)
	const handover = "65662"
	for range 4 {
		_, err := site.AddComment(handover, sandbox.Comment{Body: "<p>About the silence at Gdynia: the alarms of this week are noise.</p>"})
		require.NoError(t, err)
	}
	inline, err := site.AddComment("65613", sandbox.Comment{Body: "<p>An hour is far too long for the quorum.</p>", Inline: true, Selection: "The hour"})
	require.NoError(t, err)
	require.NoError(t, site.ResolveComment(inline, true, false))
	w.discuss(store.AllComments)
	w.startAll()
	require.Equal(t, event.StateCompleted, w.sync(event.Full).State)
	ask := func(query string, f search.Filter) []search.Hit {
		f.SourceID = source
		hits, err := w.store.Searcher().Search(t.Context(), viewer.All(), query, f)
		require.NoError(t, err)
		return hits
	}
	for _, id := range []string{handover, "65613"} {
		p, err := w.store.Reader().Page(t.Context(), viewer.All(), id)
		require.NoError(t, err)
		hits := ask(p.Title, search.Filter{Limit: 20})
		require.Equal(t, []string{id, "page"}, []string{hits[0].PageID, hits[0].Kind}, p.Title)
		of := 0
		for _, h := range hits {
			if h.Kind == "comment" && h.Title == "Re: "+p.Title || h.PageID == id {
				of++
			}
		}
		require.LessOrEqual(t, of, 3, "the page counts with its comments")
	}
	hits := ask("silence at Gdynia alarms", search.Filter{Kind: "comment"})
	require.NotEmpty(t, hits)
	for _, h := range hits {
		require.Equal(t, "comment", h.Kind)
		require.Contains(t, h.URL, "focusedCommentId=")
	}
	resolved := ask("how long is an hour", search.Filter{Resolution: "resolved"})
	require.Len(t, resolved, 1)
	require.Equal(t, inline, resolved[0].PageID)
	require.NotContains(t, ask("how long is an hour", search.Filter{Resolution: "open"}), resolved[0])
}

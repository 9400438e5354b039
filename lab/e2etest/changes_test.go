package e2etest

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// garden is a small space whose pages are identified by title, synced once:
//
//	Home ─ A ─ B ─ C
//	     ├ D
//	     └ Folder ─ E
type garden struct {
	*world
	ids map[string]string
}

const gardenSpace = "GARDEN"

func newGarden(t *testing.T, o sandbox.Options) *garden {
	t.Helper()
	site := sandbox.New(o)
	require.NoError(t, site.AddSpace(gardenSpace, "Home"))
	require.NoError(t, site.AddSpace("OTHER", "Elsewhere"))
	g := &garden{world: newWorld(t, gardenSpace, site), ids: map[string]string{}}
	g.ids["Home"] = site.Pages(gardenSpace)[0].ID
	g.add("A", "Home")
	g.add("B", "A")
	g.add("C", "B")
	g.add("D", "Home")
	folder, err := site.CreatePage(sandbox.Draft{Space: gardenSpace, Kind: sandbox.KindFolder, Title: "Folder"})
	require.NoError(t, err)
	g.ids["Folder"] = folder.ID
	g.add("E", "Folder")
	g.startAll()
	require.Equal(t, event.StateCompleted, g.sync(event.Full).State)
	site.ResetStats()
	return g
}

func (g *garden) add(title, parent string) {
	g.t.Helper()
	p, err := g.site.CreatePage(sandbox.Draft{
		Space: gardenSpace, ParentID: g.ids[parent], Title: title,
		Body: fmt.Sprintf("<h2>About %s</h2><p>The %s grows by the wall.</p>", title, strings.ToLower(title)+"flower"),
	})
	require.NoError(g.t, err)
	g.ids[title] = p.ID
}

func (g *garden) edit(title string, e sandbox.Edit) {
	g.t.Helper()
	_, err := g.site.EditPage(g.ids[title], e)
	require.NoError(g.t, err)
}

// ends runs a sync and requires the counts, ignoring unchanged and listed pages.
func (g *garden) ends(mode event.Mode, want event.Counts) event.Progress {
	g.t.Helper()
	last := g.sync(mode)
	require.Equal(g.t, event.StateCompleted, last.State, last.Message)
	got := last.Counts
	require.Equal(g.t, got.Listed, got.Created+got.Updated+got.Unchanged+got.Removed+got.Skipped, "the ledger balances")
	got.Listed, got.Unchanged = 0, 0
	require.Equal(g.t, want, got)
	return last
}

func (g *garden) page(title string) store.Page {
	g.t.Helper()
	p, err := g.store.Reader().Page(g.t.Context(), viewer.All(), g.ids[title])
	require.NoError(g.t, err)
	return p
}

// path returns a page's path, given titles.
func (g *garden) path(titles ...string) string {
	var b strings.Builder
	for _, title := range titles {
		b.WriteString("/" + g.ids[title])
	}
	return b.String()
}

// shows requires the breadcrumb of the page's chunks, and that search finds them by their words.
func (g *garden) shows(title string, breadcrumb ...string) {
	g.t.Helper()
	chunks, err := g.store.Reader().Chunks(g.t.Context(), viewer.All(), source, g.ids[title], store.Whole())
	require.NoError(g.t, err)
	require.NotEmpty(g.t, chunks, title)
	for _, c := range chunks {
		require.Equal(g.t, breadcrumb, c.Metadata.Breadcrumb, title)
	}
}

func (g *garden) chunkIDs() map[string][]int64 {
	g.t.Helper()
	ids := map[string][]int64{}
	rows, _ := g.db.Query(g.t.Context(), `SELECT metadata->>'title', id FROM archon_crawled_pages ORDER BY id`)
	var title string
	var id int64
	_, err := pgx.ForEachRow(rows, []any{&title, &id}, func() error {
		ids[title] = append(ids[title], id)
		return nil
	})
	require.NoError(g.t, err)
	return ids
}

// gone requires that search finds nothing of the page; kept tells whether its Markdown is kept.
func (g *garden) gone(title string, kept bool) {
	g.t.Helper()
	require.True(g.t, g.page(title).Deleted)
	require.Zero(g.t, g.count(`SELECT count(*) FROM archon_crawled_pages WHERE metadata->>'page_id' = $1`, g.ids[title]))
	require.Equal(g.t, kept, g.page(title).Markdown != "", "kept")
	require.Equal(g.t, kept, g.count(`SELECT count(*) FROM confluence_removals WHERE page_id = $1 AND purged_at IS NULL`, g.ids[title]) == 1)
}

func (g *garden) bodies() int64 { return g.site.Stats().Bodies }

func TestCreatedAndEdited(t *testing.T) {
	t.Parallel()
	g := newGarden(t, sandbox.Options{})
	g.add("New", "A")
	words := "<p>Only chamomile now.</p>"
	g.edit("D", sandbox.Edit{Body: &words})
	g.ends(event.Incremental, event.Counts{Created: 1, Updated: 1})
	require.EqualValues(t, 2, g.bodies())
	require.Equal(t, g.path("Home", "A", "New"), g.page("New").Path)
	require.Equal(t, "Only chamomile now.\n", g.page("D").Markdown)
	require.Zero(t, g.count(`SELECT count(*) FROM archon_crawled_pages WHERE content LIKE '%dflower%'`), "the old text is gone")
}

func TestRenamedKeepsItsIdentityAndLosesItsOldAddress(t *testing.T) {
	t.Parallel()
	g := newGarden(t, sandbox.Options{})
	old, before := g.page("A").URL, g.chunkIDs()
	name := "Arbour"
	g.edit("A", sandbox.Edit{Title: &name})
	g.ends(event.Incremental, event.Counts{Updated: 1})
	require.EqualValues(t, 1, g.bodies(), "the pages below are not fetched")
	require.NotEqual(t, old, g.page("A").URL)
	require.Zero(t, g.count(`SELECT count(*) FROM archon_crawled_pages WHERE url = $1`, old))
	g.shows("B", "Home", "Arbour")
	g.shows("C", "Home", "Arbour", "B")
	require.Equal(t, "Arbour", g.page("C").Metadata.Ancestors[1].Title)
	require.Equal(t, before["A"], g.chunkIDs()["Arbour"], "chunks keep their rows and so their embeddings")
}

func TestASubtreeThatMovesIsNotFetched(t *testing.T) {
	t.Parallel()
	g := newGarden(t, sandbox.Options{})
	before := g.chunkIDs()
	require.NoError(t, g.site.MovePage(g.ids["B"], g.ids["D"]))
	g.ends(event.Full, event.Counts{Updated: 2})
	require.Zero(t, g.bodies())
	require.Equal(t, g.path("Home", "D", "B"), g.page("B").Path)
	require.Equal(t, g.path("Home", "D", "B", "C"), g.page("C").Path)
	g.shows("C", "Home", "D", "B")
	require.Equal(t, before, g.chunkIDs())

	require.NoError(t, g.site.MovePage(g.ids["Folder"], g.ids["C"]))
	g.ends(event.Full, event.Counts{Updated: 1})
	require.Zero(t, g.bodies())
	require.Equal(t, g.path("Home", "D", "B", "C", "Folder", "E"), g.page("E").Path)
	g.shows("E", "Home", "D", "B", "C", "Folder")
}

func TestAnIncrementalRunTakesTheMoveOfAnEditedPageWithItsSubtree(t *testing.T) {
	t.Parallel()
	g := newGarden(t, sandbox.Options{})
	require.NoError(t, g.site.MovePage(g.ids["B"], g.ids["D"]))
	words := "<p>Moved and edited.</p>"
	g.edit("B", sandbox.Edit{Body: &words})
	g.ends(event.Incremental, event.Counts{Updated: 1})
	require.EqualValues(t, 1, g.bodies())
	require.Equal(t, g.path("Home", "D", "B", "C"), g.page("C").Path)
	g.shows("C", "Home", "D", "B")
}

func TestMovedToAnotherSpace(t *testing.T) {
	t.Parallel()
	g := newGarden(t, sandbox.Options{})
	require.NoError(t, g.site.MoveToSpace(g.ids["D"], "OTHER"))
	last := g.ends(event.Full, event.Counts{Removed: 1})
	removed, err := g.store.Removals(t.Context(), last.RunID)
	require.NoError(t, err)
	require.Equal(t, []store.Removal{{PageID: g.ids["D"], Title: "D", Reason: "moved"}}, removed)
	g.gone("D", true)

	// The other space becomes a source: the page is stored once, whichever run comes first.
	require.NoError(t, g.store.AddSource(t.Context(), store.Source{ID: "other", BaseURL: g.served.URL + "/wiki", SpaceKey: "OTHER"}))
	for i, order := range [][]string{{"other", source}, {source, "other"}} {
		for _, id := range order {
			request := fmt.Sprintf("%s-%d", id, i)
			require.NoError(t, g.bus.Publish(t.Context(), event.SyncRequested{RequestID: request, Mode: event.Full, SourceID: id}))
			g.followOf(id, request)
		}
		require.Equal(t, "other", g.page("D").SourceID)
		require.False(t, g.page("D").Deleted)
		require.Equal(t, 1, g.count(`SELECT count(DISTINCT source_id) FROM archon_crawled_pages WHERE metadata->>'page_id' = $1`, g.ids["D"]))
		require.NoError(t, g.site.MoveToSpace(g.ids["D"], gardenSpace))
		for _, id := range order {
			request := fmt.Sprintf("%s-back-%d", id, i)
			require.NoError(t, g.bus.Publish(t.Context(), event.SyncRequested{RequestID: request, Mode: event.Full, SourceID: id}))
			g.followOf(id, request)
		}
		require.Equal(t, source, g.page("D").SourceID)
		require.NoError(t, g.site.MoveToSpace(g.ids["D"], "OTHER"))
	}
}

func TestRemovedAndBackWithoutAFetch(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		reason      string
		leave, back func(g *garden, id string) error
	}{
		{"trashed", func(g *garden, id string) error { return g.site.TrashPage(id) }, func(g *garden, id string) error { return g.site.RestorePage(id) }},
		{"archived", func(g *garden, id string) error { return g.site.ArchivePage(id) }, func(g *garden, id string) error { return g.site.RestorePage(id) }},
		{"unreadable", func(g *garden, id string) error { return g.site.Restrict(id, []string{"someone-else"}, nil) }, func(g *garden, id string) error { return g.site.Unrestrict(id) }},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			t.Parallel()
			g := newGarden(t, sandbox.Options{})
			before := g.page("D")
			require.NoError(t, tc.leave(g, g.ids["D"]))
			g.ends(event.Full, event.Counts{Removed: 1})
			g.gone("D", true)
			require.Equal(t, tc.reason, g.text(`SELECT reason FROM confluence_removals WHERE page_id = $1`, g.ids["D"]))
			require.NoError(t, tc.back(g, g.ids["D"]))
			g.site.ResetStats()
			g.ends(event.Full, event.Counts{Created: 1})
			require.Zero(t, g.bodies(), "its Markdown was kept")
			after := g.page("D")
			require.Equal(t, len(before.LastEdit.Chunks), len(after.LastEdit.Chunks), "the same version was written again")
			before.LastEdit, after.LastEdit = nil, nil
			require.Equal(t, before, after)
			g.shows("D", "Home")
			require.Equal(t, 1, g.count(`SELECT count(*) FROM confluence_removals WHERE page_id = $1 AND restored_at IS NOT NULL`, g.ids["D"]))
		})
	}
}

func TestWhatCannotBeReadIsHiddenThenPurged(t *testing.T) {
	t.Parallel()
	g := newGarden(t, sandbox.Options{})
	require.NoError(t, g.site.TrashPage(g.ids["D"]))
	require.NoError(t, g.site.PurgePage(g.ids["D"]))
	g.ends(event.Full, event.Counts{Removed: 1})
	g.gone("D", true)
	g.ends(event.Incremental, event.Counts{})
	g.gone("D", true)
	g.ends(event.Full, event.Counts{})
	g.gone("D", false)
	require.Empty(t, g.page("D").Metadata.Ancestors)
	g.ends(event.Full, event.Counts{})
}

func TestAFolderGoesWithItsLastPage(t *testing.T) {
	t.Parallel()
	g := newGarden(t, sandbox.Options{})
	require.NoError(t, g.site.TrashPage(g.ids["E"]))
	g.ends(event.Full, event.Counts{Removed: 1})
	require.Zero(t, g.count(`SELECT count(*) FROM confluence_tree WHERE node_id = ANY ($1)`, []string{g.ids["E"], g.ids["Folder"]}))
	require.Equal(t, 5, g.count(`SELECT count(*) FROM confluence_tree`))
}

func TestLabelsFollowWithoutAFetch(t *testing.T) {
	t.Parallel()
	g := newGarden(t, sandbox.Options{})
	require.NoError(t, g.site.SetLabels(g.ids["C"], "rose", "climbing"))
	g.ends(event.Full, event.Counts{Updated: 1})
	require.Zero(t, g.bodies())
	require.Equal(t, []string{"climbing", "rose"}, g.page("C").Metadata.Labels)
	g.ends(event.Full, event.Counts{})

	words := "<p>Pruned.</p>"
	require.NoError(t, g.site.SetLabels(g.ids["C"], "pruned"))
	g.edit("C", sandbox.Edit{Body: &words})
	g.ends(event.Incremental, event.Counts{Updated: 1})
	require.Equal(t, []string{"pruned"}, g.page("C").Metadata.Labels)
}

func TestAPageThatShowsAChangedOneIsFetchedToo(t *testing.T) {
	t.Parallel()
	g := newGarden(t, sandbox.Options{})
	include := func(title string) *string {
		body := `<ac:structured-macro ac:name="include"><ac:parameter ac:name=""><ac:link><ri:page ri:content-title="` + title + `"/></ac:link></ac:parameter></ac:structured-macro>`
		return &body
	}
	g.edit("D", sandbox.Edit{Body: include("C")})
	g.edit("E", sandbox.Edit{Body: include("D")})
	g.ends(event.Incremental, event.Counts{Updated: 2})
	words := "<p>Shown in two places.</p>"
	g.edit("C", sandbox.Edit{Body: &words})
	g.site.ResetStats()
	for _, mode := range []event.Mode{event.Incremental, event.Full} {
		last := g.sync(mode)
		require.Equal(t, event.StateCompleted, last.State)
		if mode == event.Incremental {
			require.EqualValues(t, 3, g.bodies(), "the page, the one that shows it, and the one that shows that")
			require.Equal(t, 1, last.Counts.Updated, "the content of the other two is unchanged")
		} else {
			require.EqualValues(t, 3, g.bodies(), "nothing more")
		}
	}
}

// clock is a site's clock that tests can set.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func TestAChangeIsFoundWhateverTheClocksSay(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		ahead time.Duration
		zone  *time.Location
		lag   time.Duration
	}{
		{"within the minute of the watermark", 0, nil, 0},
		{"the site is two hours ahead", 2 * time.Hour, nil, 0},
		{"the site is two hours behind", -2 * time.Hour, nil, 0},
		{"a user in UTC+13", 0, time.FixedZone("UTC+13", 13*3600), 0},
		{"a user in UTC-11", 0, time.FixedZone("UTC-11", -11*3600), 0},
		{"an index that lags by four minutes", 0, nil, 4 * time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := &clock{}
			c.ahead.Store(int64(tc.ahead))
			g := newGarden(t, sandbox.Options{Now: c.now, TimeZone: tc.zone, IndexLag: tc.lag})
			words := "<p>Seen after all.</p>"
			g.edit("C", sandbox.Edit{Body: &words})
			if tc.lag > 0 {
				g.ends(event.Incremental, event.Counts{})
				c.ahead.Add(int64(tc.lag + time.Second))
			}
			g.ends(event.Incremental, event.Counts{Updated: 1})
			require.Equal(t, "Seen after all.\n", g.page("C").Markdown)
			g.ends(event.Incremental, event.Counts{})
		})
	}
}

// followOf waits for the end of any source's run.
func (w *world) followOf(sourceID, id string) event.Progress {
	w.t.Helper()
	var last event.Progress
	for p, err := range w.bus.FollowProgress(w.t.Context(), sourceID, id) {
		require.NoError(w.t, err)
		last = p
	}
	require.Equal(w.t, event.StateCompleted, last.State, last.Message)
	return last
}

// text runs a query that returns one text.
func (w *world) text(sql string, args ...any) string {
	w.t.Helper()
	var s string
	require.NoError(w.t, w.db.QueryRow(w.t.Context(), sql, args...).Scan(&s))
	return s
}

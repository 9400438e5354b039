package e2etest

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/page"
)

// patience is the time limit of a run with a permanent failure: enough for the retries of a single call, but not for
// repeating a whole task for minutes.
const patience = 45 * time.Second

// tries runs a sync and returns the run's state at its end, or when patience is over.
func (g *garden) tries(mode event.Mode) event.Progress {
	g.t.Helper()
	id := g.ask(mode)
	ctx, cancel := context.WithTimeout(g.t.Context(), patience)
	defer cancel()
	var last event.Progress
	for p, err := range g.bus.FollowProgress(ctx, source, id) {
		if err != nil {
			break
		}
		last = p
	}
	g.t.Logf("%s run: %s %+v %q", mode, last.State, last.Counts, last.Message)
	return last
}

// says reports whether a chunk of the page contains the text.
func (g *garden) says(title, text string) bool {
	g.t.Helper()
	return g.count(`SELECT count(*) FROM archon_crawled_pages WHERE metadata->>'page_id' = $1 AND content LIKE '%' || $2 || '%'`, g.ids[title], text) > 0
}

// write gives the page a new version with the text.
func (g *garden) write(title, text string) {
	g.t.Helper()
	body := "<p>" + text + "</p>"
	g.edit(title, sandbox.Edit{Body: &body})
}

// keepVersions deletes all versions of the page except the newest keep, and numbers these again from 1.
func (g *garden) keepVersions(title string, keep int) {
	g.t.Helper()
	require.NoError(g.t, g.site.KeepVersions(g.ids[title], keep))
}

// stored requires that the run ended, and that each of the pages has its own text.
func (g *garden) stored(last event.Progress, titles ...string) {
	g.t.Helper()
	assert.True(g.t, last.State.Final(), "the run has not ended: %+v", last)
	for _, title := range titles {
		assert.Equal(g.t, 1, g.count(`SELECT count(*) FROM confluence_pages WHERE page_id = $1 AND NOT is_deleted`, g.ids[title]), "%s is not stored", title)
	}
}

// wild returns a garden that was never synced, with faults from the first run on.
func wild(t *testing.T, faults ...sandbox.Fault) *garden {
	t.Helper()
	site := sandbox.New(sandbox.Options{})
	require.NoError(t, site.AddSpace(gardenSpace, "Home"))
	g := &garden{world: newWorld(t, gardenSpace, site), ids: map[string]string{}}
	g.ids["Home"] = site.Pages(gardenSpace)[0].ID
	g.add("A", "Home")
	g.add("B", "A")
	folder, err := site.CreatePage(sandbox.Draft{Space: gardenSpace, Kind: sandbox.KindFolder, Title: "Folder"})
	require.NoError(t, err)
	g.ids["Folder"] = folder.ID
	g.add("E", "Folder")
	require.NoError(t, site.SetFaults(1, faults...))
	g.startAll()
	return g
}

// A version's number does not identify its content: people and retention apps delete old versions, and then the
// newest one's number decreases and is used again for another text.
func TestRenumberedVersions(t *testing.T) {
	t.Parallel()
	for _, mode := range []event.Mode{event.Full, event.Incremental} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			g := newGarden(t, sandbox.Options{})
			for range 9 {
				g.write("A", "The tenth text of A.")
				g.write("D", "The tenth text of D.")
			}
			g.ends(event.Incremental, event.Counts{Updated: 2})

			g.keepVersions("A", 2)
			g.write("A", "Version three is new.")
			g.keepVersions("D", 9)
			g.write("D", "Version ten is another.")
			last := g.tries(mode)
			assert.Equal(t, 2, last.Counts.Updated)
			assert.True(t, g.says("A", "Version three is new."), "10 → 3")
			assert.True(t, g.says("D", "Version ten is another."), "10 → 10")
			assert.False(t, g.says("A", "The tenth text"))

			// The stored numbers must not block the next ones.
			g.write("A", "And version four.")
			g.tries(mode)
			assert.True(t, g.says("A", "And version four."))
		})
	}
}

// A removed page that is restored with a version number that was stored before gets its new text.
func TestAReusedNumberIsNotTheKeptMarkdown(t *testing.T) {
	t.Parallel()
	g := newGarden(t, sandbox.Options{})
	g.write("D", "The second text of D.")
	g.ends(event.Incremental, event.Counts{Updated: 1})
	require.NoError(t, g.site.TrashPage(g.ids["D"]))
	g.ends(event.Full, event.Counts{Removed: 1})
	g.gone("D", true)
	require.NoError(t, g.site.RestorePage(g.ids["D"]))
	g.keepVersions("D", 1)
	g.write("D", "Version two is another.")
	g.tries(event.Full)
	assert.True(t, g.says("D", "Version two is another."))
	assert.False(t, g.says("D", "The second text"), "published from the old Markdown")
}

// One absurd response does not block a page forever.
func TestAnAbsurdVersionFreezesNothing(t *testing.T) {
	t.Parallel()
	g := newGarden(t, sandbox.Options{})
	require.NoError(t, g.site.NumberVersion(g.ids["D"], math.MaxInt32))
	g.write("A", "So that there is a change.")
	g.tries(event.Full)
	require.NoError(t, g.site.NumberVersion(g.ids["D"], 1))
	g.write("D", "Sane again.")
	for _, mode := range []event.Mode{event.Incremental, event.Full} {
		g.tries(mode)
	}
	assert.True(t, g.says("D", "Sane again."))
}

// A converted page that no run has listed is not trusted, and blocks nothing.
func TestAForgedVersionFreezesNothing(t *testing.T) {
	t.Parallel()
	g := newGarden(t, sandbox.Options{})
	before := g.page("D")
	require.NoError(t, g.bus.Publish(t.Context(), event.PageConverted{
		SourceID: source, Markdown: "Forged.\n", Page: page.Facts{
			ID: g.ids["D"], Version: math.MaxInt32, Title: "Forged", SpaceKey: gardenSpace, BaseURL: g.served.URL + "/wiki", URL: "javascript:alert(1)",
			Status: "current", ModifiedAt: time.Now().UTC(),
		},
	}))
	g.write("A", "So that there is a change.")
	g.tries(event.Full)
	assert.Equal(t, before.Title, g.page("D").Title)
	assert.Equal(t, before.URL, g.page("D").URL)
	g.write("D", "Sane again.")
	g.tries(event.Full)
	assert.True(t, g.says("D", "Sane again."))
}

// If a call beside the listing fails, only what it is for is affected; a later run repairs it.
func TestOneSideLookupStopsNothing(t *testing.T) {
	t.Parallel()
	const search, folders = "/wiki/rest/api/content/search", "/wiki/api/v2/folders/{id}"
	for name, fault := range map[string]sandbox.Fault{
		"a folder returns 500":    {Kind: sandbox.FaultServer, Route: folders},
		"a folder returns 403":    {Kind: sandbox.FaultForbidden, Route: folders},
		"folders are gone":        {Kind: sandbox.FaultGone, Route: folders},
		"label search is down":    {Kind: sandbox.FaultServer, Status: 503, Route: search, Query: "expand=metadata.labels"},
		"label search is refused": {Kind: sandbox.FaultForbidden, Route: search, Query: "expand=metadata.labels"},
		"label search is gone":    {Kind: sandbox.FaultGone, Route: search, Query: "expand=metadata.labels"},
		"people are down":         {Kind: sandbox.FaultServer, Route: "/wiki/api/v2/users-bulk"},
		"people are refused":      {Kind: sandbox.FaultForbidden, Route: "/wiki/api/v2/users-bulk"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := wild(t, fault)
			g.stored(g.tries(event.Full), "Home", "A", "B", "E")
			require.NoError(t, g.site.SetFaults(0))
			if strings.HasPrefix(name, "people") {
				g.stored(g.tries(event.Incremental), "Home", "A", "B", "E")
				assert.NotEmpty(t, g.page("A").Metadata.CreatedBy.DisplayName, "it heals")
			}
			require.NoError(t, g.site.SetLabels(g.ids["A"], "evergreen"))
			g.stored(g.tries(event.Full), "Home", "A", "B", "E")
			assert.Equal(t, "Folder", g.page("E").Metadata.Ancestors[1].Title, "it heals")
			assert.Equal(t, []string{"evergreen"}, g.page("A").Metadata.Labels, "it heals")
		})
	}
}

// An unusable row fails only under its own id; the rows beside it are stored.
func TestOneOddRowStopsNothing(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]map[string]any{
		"an invalid date":        {"version": map[string]any{"createdAt": "yesterday"}},
		"a version beyond int32": {"version": map[string]any{"number": 1 << 31}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := wild(t)
			require.NoError(t, g.site.SetFaults(1, sandbox.Fault{Kind: sandbox.FaultOddRow, Route: "/wiki/api/v2/*", PageID: g.ids["B"], Row: row}))
			last := g.tries(event.Full)
			g.stored(last, "Home", "A", "E")
			assert.Equal(t, 1, last.Counts.Failed, "the odd one, by its id")
			assert.Equal(t, 1, g.count(`SELECT count(*) FROM confluence_sync_pages WHERE page_id = $1 AND outcome = 'failed'`, g.ids["B"]))
			require.NoError(t, g.site.SetFaults(0))
			g.stored(g.tries(event.Full), "Home", "A", "B", "E")
		})
	}
}

// A stored page is not treated as removed because its row is invalid.
func TestAnOddRowRemovesNothing(t *testing.T) {
	t.Parallel()
	g := newGarden(t, sandbox.Options{})
	odd := map[string]any{"version": map[string]any{"createdAt": "yesterday"}}
	require.NoError(t, g.site.SetFaults(1, sandbox.Fault{Kind: sandbox.FaultOddRow, Route: "/wiki/api/v2/*", PageID: g.ids["B"], Row: odd}))
	g.write("A", "So that there is a change.")
	last := g.tries(event.Full)
	g.stored(last, "Home", "A", "B", "C", "D", "E")
	assert.True(t, g.says("A", "So that there is a change."))
	assert.Zero(t, last.Counts.Removed)
}

// An archived space is listed, or the run reports what it cannot know.
func TestAnArchivedSpaceIsNotSilentlySkipped(t *testing.T) {
	t.Parallel()
	g := newGarden(t, sandbox.Options{})
	g.write("A", "The last word before the archive.")
	require.NoError(t, g.site.TrashPage(g.ids["D"]))
	require.NoError(t, g.site.ArchiveSpace(gardenSpace, true))
	last := g.tries(event.Incremental)
	assert.True(t, g.says("A", "The last word before the archive.") || last.Message != "", "a silent no-op")
	g.tries(event.Full)
	assert.True(t, g.says("A", "The last word before the archive."))
	g.gone("D", true)
	require.NoError(t, g.site.ArchiveSpace(gardenSpace, false))
	g.write("A", "Back from the archive.")
	g.tries(event.Incremental)
	assert.True(t, g.says("A", "Back from the archive."))
}

// If a search omits pages that the listing contains, changes are not found by searching alone.
func TestASearchThatLeavesOutPagesIsFoundOut(t *testing.T) {
	t.Parallel()
	for name, leaveOut := range map[string]func(g *garden) error{
		"the whole space": func(g *garden) error { return g.site.LeaveSpaceOutOfSearch(gardenSpace, true) },
		"one page":        func(g *garden) error { return g.site.LeaveOutOfSearch(g.ids["A"], true) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGarden(t, sandbox.Options{})
			require.NoError(t, leaveOut(g))
			g.write("D", "So that there is a change.")
			g.tries(event.Full) // this run can see that search and listing differ
			g.write("A", "Nobody finds this.")
			g.tries(event.Incremental)
			assert.True(t, g.says("A", "Nobody finds this."))
		})
	}
}

package e2etest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/viewer"
)

const (
	downloadRoute = "/wiki/rest/api/content/{id}/child/attachment/{attachment}/download"
	mediaRoute    = "/_media/file/{file}/binary"
)

// attachments turns the files of the source's pages on or off.
func (w *world) attachments(a store.Attachments) {
	w.t.Helper()
	require.NoError(w.t, w.store.UpdateSource(w.t.Context(), source, store.SourceChange{Attachments: a}))
}

// attach adds a text file to the page with the id.
func (g *garden) attach(page, name, text string) string {
	g.t.Helper()
	id, err := g.site.AddAttachment(page, sandbox.Attachment{Name: name, MediaType: "text/plain", Content: []byte(text)})
	require.NoError(g.t, err)
	return id
}

// downloads is how many files were read since the last time.
func (g *garden) downloads() int {
	n := int(g.site.Stats().Calls[mediaRoute])
	g.site.ResetStats()
	return n
}

func TestTheLifeOfAnAttachment(t *testing.T) {
	t.Parallel()
	g := newGarden(t, sandbox.Options{})
	on := g.ids["D"]
	id := g.attach(on, "plan.txt", "The foxglove needs shade.\n")
	g.ends(event.Full, event.Counts{})
	require.Empty(t, g.finds("foxglove"), "attachments are off")
	require.Zero(t, g.downloads())

	g.attachments(store.AttachmentsOn)
	last := g.ends(event.Incremental, event.Counts{Created: 1})
	require.Equal(t, event.Full, last.Mode)
	require.Equal(t, []string{id}, g.finds("foxglove"))
	require.Equal(t, 1, g.downloads())
	stored := g.thread(id)
	require.Equal(t, []string{"attachment", "plan.txt", g.page("D").Path + "/" + id}, []string{stored.Kind, stored.Title, stored.Path})
	require.Contains(t, stored.URL, "/pages/viewpageattachments.action?pageId="+on)
	require.Equal(t, []any{"text", "text/plain", int64(26)}, []any{stored.Metadata.File.Format, stored.Metadata.File.MediaType, stored.Metadata.File.Size})
	crumbs := stored.Metadata.Ancestors
	require.Equal(t, on, crumbs[len(crumbs)-1].ID, "the page is the last of the breadcrumb")

	// Nothing has changed, for either way of looking.
	g.ends(event.Incremental, event.Counts{})
	g.ends(event.Full, event.Counts{})
	require.Zero(t, g.downloads(), "an unchanged file is not read again")

	// The same bytes on another page: they must be fetched to know that, and nothing more.
	copied := g.attach(g.ids["B"], "copy.txt", "The foxglove needs shade.\n")
	g.ends(event.Incremental, event.Counts{Created: 1})
	require.ElementsMatch(t, []string{id, copied}, g.finds("foxglove"))
	require.NoError(t, g.site.PurgeAttachment(copied))

	// Replaced, renamed, both found by a search.
	require.NoError(t, g.site.ReplaceAttachment(id, []byte("The lupin needs sun.\n")))
	last = g.ends(event.Incremental, event.Counts{Updated: 1})
	require.Equal(t, event.Incremental, last.Mode)
	require.Equal(t, []string{id}, g.finds("lupin"))
	require.NotContains(t, g.finds("foxglove"), id)
	require.NoError(t, g.site.RenameAttachment(id, "garden plan.txt"))
	g.ends(event.Incremental, event.Counts{Updated: 1})
	require.Equal(t, "garden plan.txt", g.thread(id).Title)

	// Deleted, in the trash, and restored from it without being read again.
	last = g.ends(event.Full, event.Counts{Removed: 1})
	require.Equal(t, map[string]string{copied: store.ReasonUnreadable}, g.removedAs(last.RunID))
	require.NoError(t, g.site.TrashAttachment(id))
	last = g.ends(event.Full, event.Counts{Removed: 1})
	require.Equal(t, map[string]string{id: store.ReasonTrashed}, g.removedAs(last.RunID))
	require.Empty(t, g.finds("lupin"))
	require.NoError(t, g.site.RestoreAttachment(id))
	g.downloads()
	g.ends(event.Full, event.Counts{Created: 1})
	require.Equal(t, []string{id}, g.finds("lupin"))
	require.Zero(t, g.downloads(), "its text is still there")

	// Removed with its page, and back with it.
	require.NoError(t, g.site.TrashPage(on))
	last = g.ends(event.Full, event.Counts{Removed: 2})
	require.Equal(t, map[string]string{on: store.ReasonTrashed, id: store.ReasonTrashed}, g.removedAs(last.RunID))
	require.NoError(t, g.site.RestorePage(on))
	g.ends(event.Full, event.Counts{Created: 2})
	require.Equal(t, []string{id}, g.finds("lupin"))

	g.attachments(store.AttachmentsOff)
	last = g.ends(event.Full, event.Counts{Removed: 1})
	require.Equal(t, map[string]string{id: store.ReasonExcluded}, g.removedAs(last.RunID))
}

func TestAnAttachmentIsMovedWithItsPage(t *testing.T) {
	t.Parallel()
	g := newGarden(t, sandbox.Options{})
	g.attachments(store.AttachmentsOn)
	id := g.attach(g.ids["D"], "plan.txt", "The foxglove needs shade.\n")
	elsewhere, err := g.site.CreatePage(sandbox.Draft{Space: "OTHER", Title: "Rake", Body: "<p>r</p>"})
	require.NoError(t, err)
	g.attach(elsewhere.ID, "other.txt", "The foxglove of another space.\n")
	g.ends(event.Full, event.Counts{Created: 1})
	require.Equal(t, []string{id}, g.finds("foxglove"))

	require.NoError(t, g.site.MovePage(g.ids["D"], g.ids["B"]))
	g.downloads()
	g.run(event.Full)
	require.Equal(t, g.page("D").Path+"/"+id, g.thread(id).Path)
	require.NoError(t, g.site.MoveAttachment(id, g.ids["B"]))
	g.run(event.Full)
	require.Equal(t, g.page("B").Path+"/"+id, g.thread(id).Path, "alone, to another page")
	require.Contains(t, g.thread(id).URL, "pageId="+g.ids["B"])
	require.Equal(t, 1, g.count(`SELECT count(*) FROM archon_crawled_pages WHERE metadata->>'page_id' = $1 AND metadata->>'citation_url' LIKE $2`, id, "%pageId="+g.ids["B"]+"%"))
	require.Zero(t, g.downloads())

	require.NoError(t, g.site.MoveToSpace(g.ids["B"], "OTHER"))
	last := g.run(event.Full)
	require.Equal(t, store.ReasonMoved, g.removedAs(last.RunID)[id])
	require.Empty(t, g.finds("foxglove"))
}

// An attachment is found by whom its page is found by.
func TestAnAttachmentIsAsHiddenAsItsPage(t *testing.T) {
	t.Parallel()
	g := newGarden(t, sandbox.Options{})
	require.NoError(t, g.store.SetPermissions(t.Context(), source, store.Enforce, 0))
	g.attachments(store.AttachmentsOn)
	const reader, apiUser = "712020:reader", "712020:00000000-5a4d-4c1e-9d10-000000000001"
	g.site.AddUser(sandbox.User{AccountID: reader, DisplayName: "Reader"})
	on := g.ids["D"]
	id := g.attach(on, "plan.txt", "The foxglove needs shade.\n")
	g.run(event.Full)
	seen := func(query string) int {
		hits, err := g.store.Searcher().Search(t.Context(), viewer.OfSources(source).As(reader), query, search.Filter{Kind: "attachment", FileType: "text"})
		require.NoError(t, err)
		_, err = g.store.Reader().Page(t.Context(), viewer.OfSources(source).As(reader), id)
		require.Equal(t, len(hits) == 0, err != nil)
		return len(hits)
	}
	require.Equal(t, 1, seen("foxglove"))
	require.NoError(t, g.site.Restrict(on, []string{apiUser}, nil))
	g.run(event.Full)
	require.Zero(t, seen("foxglove"))
	require.NoError(t, g.site.ReplaceAttachment(id, []byte("The hollyhock is shy.\n")))
	g.run(event.Incremental)
	require.Zero(t, seen("hollyhock"), "a new version on a hidden page")
	require.Equal(t, []string{id}, g.finds("hollyhock"), "it is there")
	require.NoError(t, g.site.Unrestrict(on))
	g.run(event.Full)
	require.Equal(t, 1, seen("hollyhock"))
}

// Every file is accounted for: read, skipped for its format, or failed with a code. What failed is tried again alone.
func TestEveryFileIsAccountedFor(t *testing.T) {
	t.Parallel()
	g := newGarden(t, sandbox.Options{})
	g.attachments(store.AttachmentsOn)
	on := g.ids["D"]
	good := g.attach(on, "plan.txt", "The foxglove needs shade.\n")
	song, err := g.site.AddAttachment(on, sandbox.Attachment{Name: "song.mp3", MediaType: "audio/mpeg", Content: []byte("ID3\x04\x00\x00\x00\x00\x00\x00")})
	require.NoError(t, err)
	large, err := g.site.AddAttachment(on, sandbox.Attachment{Name: "large.txt", MediaType: "text/plain", Size: 30 << 20})
	require.NoError(t, err)
	broken, err := g.site.AddAttachment(on, sandbox.Attachment{Name: "broken.docx", Content: []byte("PK\x03\x04" + strings.Repeat("x", 200))})
	require.NoError(t, err)
	last := g.sync(event.Full)
	require.Equal(t, event.StateCompletedWithFailures, last.State)
	require.Equal(t, []string{good}, g.finds("foxglove"))
	ended := func(run, id string) (outcome string) {
		require.NoError(t, g.db.QueryRow(t.Context(), `SELECT concat_ws(' ', outcome, reason) FROM confluence_sync_pages WHERE run_id = $1 AND page_id = $2`, run, id).Scan(&outcome))
		return outcome
	}
	require.Equal(t, "skipped format_audio", ended(last.RunID, song))
	require.Equal(t, "failed file_too_large", ended(last.RunID, large))
	require.Equal(t, "failed file_damaged", ended(last.RunID, broken))

	// What is known of a version is not found out again.
	g.site.ResetStats()
	last = g.sync(event.Full)
	require.Equal(t, []any{event.StateCompletedWithFailures, 1, 2}, []any{last.State, last.Counts.Skipped, last.Counts.Failed})
	require.Equal(t, "skipped format_audio", ended(last.RunID, song))
	require.Equal(t, "failed file_damaged", ended(last.RunID, broken))
	require.Zero(t, g.site.Stats().Calls[downloadRoute])
	require.EqualValues(t, 2, g.site.Stats().Calls["/wiki/api/v2/attachments/{id}"], "of what has failed")

	require.NoError(t, g.site.ReplaceAttachment(large, []byte("The lupin is small now.\n")))
	require.NoError(t, g.site.ReplaceAttachment(song, []byte("The snapdragon sings.\n")))
	require.NoError(t, g.site.RenameAttachment(song, "song.txt"))
	g.sync(event.Incremental)
	require.Equal(t, []string{large}, g.finds("lupin"))
	require.Equal(t, []string{song}, g.finds("snapdragon"))

	// A text that was replaced by what is not read is not left standing.
	require.NoError(t, g.site.ReplaceAttachment(good, []byte("ID3\x04\x00\x00\x00\x00\x00\x00")))
	require.NoError(t, g.site.RenameAttachment(good, "plan.mp3"))
	last = g.sync(event.Incremental)
	require.Equal(t, map[string]string{good: store.ReasonExcluded}, g.removedAs(last.RunID))
	require.Empty(t, g.finds("foxglove"))
}

// What attachments cost in calls, and that a file that comes slowly, or in pieces, holds up nothing.
func TestCallsWithAttachments(t *testing.T) {
	t.Parallel()
	g := newGarden(t, sandbox.Options{})
	cost := func(mode event.Mode) int {
		g.site.ResetStats()
		g.run(mode)
		return int(g.site.Stats().Total)
	}
	g.run(event.Full)
	idle, full := cost(event.Incremental), cost(event.Full)
	g.attach(g.ids["D"], "plan.txt", "The foxglove needs shade.\n")
	g.attach(g.ids["B"], "other.txt", strings.Repeat("The lupin does not. ", 1000))
	require.NoError(t, g.site.SetFaults(1,
		sandbox.Fault{Kind: sandbox.FaultResetBody, Route: mediaRoute, Times: 2},
		sandbox.Fault{Kind: sandbox.FaultServer, Route: downloadRoute, Times: 1}))
	g.attachments(store.AttachmentsOn)
	g.run(event.Full)
	require.NotEmpty(t, g.finds("lupin"))
	require.NoError(t, g.site.SetFaults(0))
	require.LessOrEqual(t, cost(event.Incremental), idle, "nothing has changed")
	require.LessOrEqual(t, cost(event.Full), full+1)
}

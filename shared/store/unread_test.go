package store_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store"
)

// files lists a page with attachments of a version, and has a source that wants them.
func files(t *testing.T, s *store.Store, version int, ids ...string) []store.Listed {
	t.Helper()
	listing := []store.Listed{listedAt("1", 1, 1)}
	for _, id := range ids {
		f := listedAt(id, version, version)
		f.Kind, f.ParentID, f.ParentKind = page.Attachment, "1", "page"
		listing = append(listing, f)
	}
	return listing
}

// upload is a file as it is read, with its format.
func upload(run, id string, version int, format string) store.PageWrite {
	w := writeAt(run, id, version, version, "text of "+id)
	w.Path, w.Page.Kind, w.Page.ParentID, w.Page.ParentType = "/1/"+id, page.Attachment, "1", "page"
	w.Metadata.File = &page.File{Format: format}
	return w
}

func TestWhyAFileWasNotRead(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	song := upload("", "att2", 1, "").Page
	known := func(of page.Facts, reader, bounds string) store.Unread {
		u, err := s.Unread(t.Context(), "docs", of, reader, bounds)
		if err != nil {
			require.ErrorIs(t, err, store.ErrNotFound)
		}
		return u
	}
	require.Zero(t, known(song, "1", "b"))
	audio := store.Unread{Skipped: true, Reason: "format_audio"}
	for times := 1; times < 3; times++ {
		require.NoError(t, s.KeepUnread(t.Context(), "docs", song, "1", "b", audio))
		require.Equal(t, store.Unread{Skipped: true, Reason: "format_audio", Times: times}, known(song, "1", "b"))
	}
	again := song
	again.Version++
	for _, none := range []store.Unread{known(again, "1", "b"), known(song, "2", "b"), known(song, "1", "c")} {
		require.Zero(t, none)
	}
	require.NoError(t, s.KeepUnread(t.Context(), "docs", again, "1", "b", store.Unread{Reason: "file_damaged", Message: "it ends too early"}))
	require.Equal(t, store.Unread{Reason: "file_damaged", Message: "it ends too early", Times: 1}, known(again, "1", "b"))
	require.Zero(t, known(song, "1", "b"), "the last is kept")
	require.NoError(t, s.WantFiles(t.Context(), nil, 1, "b"))
	require.NotZero(t, known(again, "1", "b"))
	require.NoError(t, s.WantFiles(t.Context(), nil, 1, "c"))
	require.Zero(t, known(again, "1", "b"))
}

// A full run does not look again at files of kinds that are not read, and does at files that could not be read.
func TestAFullRunDoesNotLookAgainAtSkippedFiles(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	require.NoError(t, s.UpdateSource(t.Context(), "docs", store.SourceChange{Attachments: store.AttachmentsOn}))
	run := fullRun(t, s, "docs", "r1", files(t, s, 1, "att2", "att3", "att4")...)
	require.Equal(t, []string{"1", "att2", "att3", "att4"}, waiting(t, s, "r1"))
	store1(t, s, writeAt("r1", "1", 1, 1, "alpha"))
	require.NoError(t, s.KeepUnread(t.Context(), "docs", upload("", "att2", 1, "").Page, "1", "b", store.Unread{Skipped: true, Reason: "format_audio"}))
	require.NoError(t, s.LeaveExcluded(t.Context(), run, []string{"att2"}, "format_audio"))
	require.NoError(t, s.KeepUnread(t.Context(), "docs", upload("", "att3", 1, "").Page, "1", "b", store.Unread{Reason: "file_damaged"}))
	require.NoError(t, s.FailPage(t.Context(), event.PageFailed{SourceID: "docs", RunID: "r1", PageID: "att3", Stage: "extractor", Code: "file_damaged"}))
	store1(t, s, upload("r1", "att4", 1, "text"))
	require.Equal(t, event.StateCompletedWithFailures, finish(t, s, run).State)

	run = fullRun(t, s, "docs", "r2", files(t, s, 1, "att2", "att3", "att4")...)
	require.Equal(t, []string{"att3"}, waiting(t, s, "r2"))
	require.NoError(t, s.FailPage(t.Context(), event.PageFailed{SourceID: "docs", RunID: "r2", PageID: "att3", Stage: "extractor", Code: "file_damaged"}))
	require.Equal(t, 1, finish(t, s, run).Counts.Skipped)

	fullRun(t, s, "docs", "r3", files(t, s, 2, "att2")...)
	require.Equal(t, []string{"att2"}, waiting(t, s, "r3"), "it has another version")
}

// A part that is not asked for any more leaves at once, with its chunks; one that is not stored is skipped.
func TestPartsThatAreNotAskedForLeave(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	run := fullRun(t, s, "docs", "r1", files(t, s, 1, "att2")...)
	store1(t, s, writeAt("r1", "1", 1, 1, "alpha"))
	store1(t, s, upload("r1", "att2", 1, "text"))
	finish(t, s, run)
	run = fullRun(t, s, "docs", "r2", files(t, s, 2, "att2", "att3")...)
	for range 2 {
		require.NoError(t, s.LeaveExcluded(t.Context(), run, []string{"att2", "att3"}, "format_audio"))
	}
	require.Empty(t, contents(t, s, "docs", "att2"))
	removed, err := s.Removals(t.Context(), "r2")
	require.NoError(t, err)
	require.Equal(t, []store.Removal{{PageID: "att2", Title: "Page", Reason: store.ReasonExcluded}}, removed)
	last := finish(t, s, run)
	require.Equal(t, []any{event.StateCompleted, 1, 1, 1}, []any{last.State, last.Counts.Removed, last.Counts.Skipped, last.Counts.Unchanged})
}

// An archived page keeps its place in the tree, for what is below it. Its files have nothing below them.
func TestPartsOfAnArchivedPageLeaveTheTree(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "docs")
	run := fullRun(t, s, "docs", "r1", files(t, s, 1, "att2")...)
	store1(t, s, writeAt("r1", "1", 1, 1, "alpha"))
	store1(t, s, upload("r1", "att2", 1, "text"))
	finish(t, s, run)
	run = fullRun(t, s, "docs", "r2", store.Listed{ID: "1", Version: 1, Title: "Page", Status: "archived", ModifiedAt: day(1)})
	_, _, err := s.FindRemovalCandidates(t.Context(), run)
	require.NoError(t, err)
	require.NoError(t, s.RemovePages(t.Context(), run, []store.Removal{{PageID: "1", Reason: store.ReasonArchived}}))
	var nodes []string
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT array_agg(node_id) FROM confluence_tree`).Scan(&nodes))
	require.Equal(t, []string{"1"}, nodes)
	require.Empty(t, contents(t, s, "docs", "att2"))
}

// What the settings leave out of the stored files is looked at again by the next full run, and comes back by no copy.
func TestFilesThatAreNotWantedAreLookedAtAgain(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	ids := []string{"att2", "att3", "att10", "att11"}
	run := fullRun(t, s, "docs", "r1", files(t, s, 1, ids...)...)
	store1(t, s, writeAt("r1", "1", 1, 1, "alpha"))
	formats := map[string]string{}
	for i, id := range ids {
		formats[id] = []string{"pdf", "docx"}[i%2]
		store1(t, s, upload("r1", id, 1, formats[id]))
		n, err := s.FilesBefore(t.Context(), "docs", upload("", id, 1, "").Page)
		require.NoError(t, err)
		require.Equal(t, i, n, id)
	}
	finish(t, s, run)
	for i, c := range []struct {
		types   []string
		perPage int
		again   []string
	}{
		{nil, 4, nil}, {[]string{"docx", "pdf"}, 4, nil}, {nil, 3, []string{"att11"}}, {[]string{"docx"}, 4, []string{"att10", "att2"}},
	} {
		require.NoError(t, s.WantFiles(t.Context(), c.types, c.perPage, "b"))
		run := fullRun(t, s, "docs", fmt.Sprintf("s%d", i), files(t, s, 1, ids...)...)
		require.Equal(t, c.again, waiting(t, s, run.ID))
		require.Len(t, contents(t, s, "docs", "att10"), 1, "until then it is there")
		for _, id := range c.again {
			store1(t, s, upload(run.ID, id, 1, formats[id]))
		}
		finish(t, s, run)
	}
}

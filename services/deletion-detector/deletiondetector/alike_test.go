package deletiondetector_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store"
)

// The id of a file is att and a number, which may be the id of a comment. That one of them is gone says nothing of the other.
func TestAFileAndACommentWithIDsAlike(t *testing.T) {
	for _, gone := range []string{"7001", "att7001"} {
		w, k := newWorld(t, 1), bustest.New(t)
		require.NoError(t, w.store.UpdateSource(t.Context(), "docs", store.SourceChange{Comments: store.AllComments, Attachments: store.AttachmentsOn}))
		on := w.below()[0]
		comment, err := w.site.AddComment(on.ID, sandbox.Comment{ID: "7001", Body: "<p>words</p>"})
		require.NoError(t, err)
		file, err := w.site.AddAttachment(on.ID, sandbox.Attachment{ID: "att7001", Name: "a.txt", Size: 9})
		require.NoError(t, err)
		parts := []sandbox.Page{
			{ID: comment, Kind: page.Comment, ParentID: on.ID, Version: 1, Title: "Re: it", Status: "current"},
			{ID: file, Kind: page.Attachment, ParentID: on.ID, Version: 1, Title: "a.txt", Status: "current"},
		}
		run := w.list("docs", "first-with-parts", event.Full, append(w.current(), parts...))
		for _, p := range parts {
			_, err := w.store.WritePage(t.Context(), write(run, p))
			require.NoError(t, err)
		}
		_, _, err = w.store.FindRemovalCandidates(t.Context(), run)
		require.NoError(t, err)
		require.NoError(t, w.store.MarkRemovalsChecked(t.Context(), run.ID))
		require.Equal(t, event.StateCompleted, w.advance(run.ID).State)

		stays := comment
		if gone == comment {
			stays = file
			require.NoError(t, w.site.DeleteComment(comment))
		} else {
			require.NoError(t, w.site.PurgeAttachment(file))
		}
		w.start(k, sandbox.DefaultToken)
		run = w.list("docs", "lacks-both", event.Full, w.current())
		k.Publish(completed(run))
		k.Empty(bus.Removals)
		require.Equal(t, map[string]string{gone: store.ReasonUnreadable}, w.ended(run.ID, event.Removed))
		require.Equal(t, map[string]string{stays: "still_there"}, w.ended(run.ID, event.Skipped))
		require.False(t, w.live(gone))
		require.True(t, w.live(stays))
	}
}

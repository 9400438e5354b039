package permissiontest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
)

// A file that is moved alone is as hidden as the page that it is on now, after a sweep, though no version of anything has changed.
func TestAFileThatIsMovedAloneIsAsHiddenAsItsNewPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.person("ann")
	require.NoError(t, w.store.UpdateSource(t.Context(), docs, store.SourceChange{Attachments: store.AttachmentsOn}))
	open, closed := w.create(sandbox.Draft{Title: "Open"}), w.create(sandbox.Draft{Title: "Closed"})
	post := w.create(sandbox.Draft{Title: "Post", Kind: "blogpost"})
	require.NoError(t, w.site.Restrict(closed, []string{api}, nil))
	id, err := w.site.AddAttachment(open, sandbox.Attachment{Name: "plan.txt", MediaType: "text/plain", Content: []byte("A plan.\n")})
	require.NoError(t, err)
	w.run(event.Full)
	require.True(t, w.admitted("ann")[id])
	for _, to := range []struct {
		page string
		seen bool
	}{{closed, false}, {post, true}, {closed, false}, {open, true}} {
		require.NoError(t, w.site.MoveAttachment(id, to.page))
		w.sweep()
		require.Empty(t, w.problem())
		require.Equal(t, to.seen, w.admitted("ann")[id])
		require.True(t, strings.HasSuffix(w.page(id).Path, to.page+"/"+id), "its breadcrumb")
	}

	// A page that no run has listed.
	fresh := w.create(sandbox.Draft{Title: "Fresh"})
	require.NoError(t, w.site.MoveAttachment(id, fresh))
	w.sweep()
	require.False(t, w.admitted("ann")[id])
	w.run(event.Incremental)
	require.True(t, w.admitted("ann")[id])

	// Without the list of files they stay where they were, and the rest is read.
	require.NoError(t, w.site.MoveAttachment(id, closed))
	require.NoError(t, w.site.SetFaults(1, sandbox.Fault{Kind: sandbox.FaultScope, Route: "/wiki/api/v2/attachments"}))
	w.sweep()
	require.Empty(t, w.problem())
	require.True(t, w.admitted("ann")[id])
	require.NoError(t, w.site.SetFaults(1))
	w.sweep()
	require.False(t, w.admitted("ann")[id])
}

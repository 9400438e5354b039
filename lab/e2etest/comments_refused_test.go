package e2etest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/viewer"
)

// A token that may not list comments syncs the pages. Comments that are stored stay, as hidden as their pages, and leave
// with them; a note says what is missing.
func TestCommentsThatAreRefused(t *testing.T) {
	t.Parallel()
	g := newGarden(t, sandbox.Options{})
	const reader, apiUser = "712020:reader", "712020:00000000-5a4d-4c1e-9d10-000000000001"
	g.site.AddUser(sandbox.User{AccountID: reader, DisplayName: "Reader"})
	require.NoError(t, g.store.SetPermissions(t.Context(), source, store.Enforce, 0))
	g.discuss(store.AllComments)
	id := g.comments(g.ids["D"], sandbox.Comment{Body: "<p>The foxglove needs shade.</p>"})
	leaves := g.comments(g.ids["E"], sandbox.Comment{Body: "<p>The hollyhock leaves.</p>"})
	g.run(event.Full)
	story := func(last event.Progress) store.Run {
		run, err := g.store.Run(t.Context(), last.RunID)
		require.NoError(t, err)
		return run
	}
	asked := func() (n int64) {
		for route, calls := range g.site.Stats().Calls {
			if strings.Contains(route, "comments") {
				n += calls
			}
		}
		return n
	}
	for _, kind := range []sandbox.FaultKind{sandbox.FaultScope, sandbox.FaultForbidden, sandbox.FaultGone, sandbox.FaultMissing} {
		require.NoError(t, g.site.SetFaults(1, sandbox.Fault{Kind: kind, Route: "/wiki/api/v2/inline-comments"}))
		last := g.run(event.Full)
		require.Zero(t, last.Counts.Removed)
		run := story(last)
		require.Empty(t, run.Kinds, kind)
		require.Contains(t, strings.Join(run.Notes, "\n"), "others do after a day", kind)
		require.Equal(t, []string{id}, g.finds("foxglove"), kind)

		// It is not tried again with each sync, which remains a small one.
		require.NoError(t, g.site.SetFaults(1))
		g.comments(g.ids["B"], sandbox.Comment{Body: "<p>The delphinium came later.</p>"})
		g.site.ResetStats()
		last = g.run(event.Incremental)
		require.Equal(t, event.Incremental, last.Mode, kind)
		require.Zero(t, asked(), kind)

		// Who asks for a full sync gets what there is, and the syncs after it are as before.
		last = g.run(event.Full)
		require.Equal(t, []string{page.Comment}, story(last).Kinds)
		require.Empty(t, story(last).Notes)
		require.Equal(t, event.Incremental, g.run(event.Incremental).Mode)
	}

	// The pages change while comments are refused.
	require.NoError(t, g.site.SetFaults(1, sandbox.Fault{Kind: sandbox.FaultScope, Route: "/wiki/api/v2/footer-comments"}))
	require.NoError(t, g.site.Restrict(g.ids["B"], []string{apiUser}, nil))
	require.NoError(t, g.site.MovePage(g.ids["D"], g.ids["B"]))
	require.NoError(t, g.site.TrashPage(g.ids["E"]))
	last := g.run(event.Full)
	require.Equal(t, map[string]string{g.ids["E"]: store.ReasonTrashed, leaves: store.ReasonTrashed}, g.removedAs(last.RunID))
	require.Equal(t, []string{id}, g.finds("foxglove"), "it is there")
	hits, err := g.store.Searcher().Search(t.Context(), viewer.OfSources(source).As(reader), "foxglove", search.Filter{})
	require.NoError(t, err)
	require.Empty(t, hits, "its page moved below a hidden one")

	// A setting that is given again is tried at once.
	g.discuss(store.OpenComments)
	g.site.ResetStats()
	require.Equal(t, event.Full, g.run(event.Incremental).Mode)
	require.Positive(t, asked())
}

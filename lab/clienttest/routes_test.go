package clienttest

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/confluence"
)

// Every route of the table is tried with the right address and parameters, and if Atlassian removes it, the error says
// what fails without it. That the client calls no other route is refused by the client itself.
func TestEveryRouteOfTheTable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	t.Cleanup(w.close)
	for _, kind := range []sandbox.Kind{sandbox.KindWhiteboard, sandbox.KindDatabase, sandbox.KindEmbed} {
		above := w.page(t, sandbox.Draft{Kind: kind, Space: "TREE", Title: "Above, of " + string(kind)})
		w.page(t, sandbox.Draft{Space: "TREE", ParentID: above, Title: "Below, of " + string(kind)})
	}
	c := w.client(t)
	probe, err := c.Probe(t.Context(), "TREE")
	require.NoError(t, err)
	samples := c.Samples(t.Context(), probe)
	before := c.Stats().Calls
	for _, r := range confluence.Routes() {
		require.NoError(t, c.Try(t.Context(), r, samples), r.Name())
		require.Equal(t, before[r.Name()]+1, c.Stats().Calls[r.Name()])
		if strings.Contains(r.Template, "{") {
			require.ErrorIs(t, c.Try(t.Context(), r, nil), confluence.ErrNoSample, r.Name())
		}
		require.NotEmpty(t, r.Scopes, r.Name())
		require.NotEmpty(t, r.For, r.Name())
		require.Regexp(t, `^20\d\d-\d\d-\d\d$`, r.Alive, r.Name())
	}
	require.NoError(t, w.site.SetFaults(1, sandbox.Fault{Kind: sandbox.FaultGone}))
	for _, r := range confluence.Routes() {
		var gone *confluence.GoneError
		require.ErrorAs(t, c.Try(t.Context(), r, samples), &gone)
		require.ErrorContains(t, gone, r.For)
	}
	names := []string{}
	for _, r := range confluence.Routes() {
		names = append(names, r.Name())
	}
	require.True(t, slices.IsSorted(names))
	require.Len(t, slices.Compact(names), len(confluence.Routes()))
}

package e2etest

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/viewer"
)

// syncsAs is the account behind the stand-in's credential.
const syncsAs = "712020:00000000-5a4d-4c1e-9d10-000000000001"

// The whole path of pages that not everybody may see: listed, fetched with their restrictions, converted, stored, found.
func TestReadersFindWhatTheyMaySee(t *testing.T) {
	t.Parallel()
	g := newGarden(t, sandbox.Options{})
	for _, name := range []string{"ann", "bob"} {
		g.site.AddUser(sandbox.User{AccountID: name, DisplayName: name})
	}
	create := func(title, parent, word string) string {
		p, err := g.site.CreatePage(sandbox.Draft{Space: gardenSpace, ParentID: parent, Title: title, Body: "<p>The flamingo and the " + word + ".</p>"})
		require.NoError(t, err)
		return p.ID
	}
	open := create("Plan", "", "ibis")
	salaries := create("Salaries", "", "heron")
	bonus := create("Bonus", salaries, "egret")
	require.NoError(t, g.site.Restrict(salaries, []string{"ann", syncsAs}, nil))
	require.NoError(t, g.store.SetPermissions(t.Context(), source, store.Enforce, 0))
	g.startAll()

	finds := func(account string, want ...string) {
		t.Helper()
		v := viewer.OfSources(source)
		if account != "" {
			v = v.As(account)
		}
		hits, err := g.store.Searcher().Search(t.Context(), v, "flamingo", search.Filter{SourceID: source})
		require.NoError(t, err)
		found := []string{}
		for _, h := range hits {
			found = append(found, h.PageID)
		}
		require.ElementsMatch(t, want, found, "as %q", account)
		for _, id := range []string{open, salaries, bonus} {
			_, err := g.store.Reader().Page(t.Context(), v, id)
			require.Equal(t, slices.Contains(want, id), err == nil, "page %s as %q: %v", id, account, err)
		}
	}
	first := g.sync(event.Full)
	require.Equal(t, event.StateCompleted, first.State)
	finds("ann", open, salaries, bonus)
	finds("bob", open)
	finds("", open)

	// Restrictions change without a version, so nothing is fetched, and yet all changes.
	require.NoError(t, g.site.Unrestrict(salaries))
	require.NoError(t, g.site.Restrict(open, []string{"bob", syncsAs}, nil))
	second := g.sync(event.Full)
	require.Equal(t, event.StateCompleted, second.State)
	require.Zero(t, second.Counts.Updated)
	finds("ann", salaries, bonus)
	finds("bob", open, salaries, bonus)
	finds("", salaries, bonus)
}

package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/access"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// Each verdict is that of the database, and the grounds say why.
func TestWhySomebodySeesAPage(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	run := guarded(t, s, "docs", node("page", "1", ""), node("page", "2", ""), node("page", "3", "1"))
	require.NoError(t, s.BuildPaths(t.Context(), "docs"))
	page := write("docs", "", "3", 1, "Salaries", "alpha")
	page.Path = "/1/3"
	store1(t, s, page)
	why := func(v viewer.Viewer, account string) store.AccessWhy {
		t.Helper()
		w, err := s.Reader().Why(t.Context(), v, account, store.PageKey{SourceID: "docs", ID: "3"})
		require.NoError(t, err)
		require.Equal(t, w.Verdict == store.SeenOpen || w.Verdict == store.SeenAdmitted, w.Visible)
		_, err = s.Reader().LivePage(t.Context(), viewer.Everywhere().As(account), "3")
		require.Equal(t, w.Visible, err == nil, w.Verdict)
		return w
	}
	says := func(account string, verdict store.Verdict, layers ...store.WhyLayer) {
		t.Helper()
		w := why(viewer.All(), account)
		require.Equal(t, verdict, w.Verdict)
		require.Equal(t, "Salaries", w.Title)
		for i := range w.Layers {
			w.Layers[i].ReadAt = time.Time{}
		}
		if layers != nil {
			require.Equal(t, layers, w.Layers)
		}
	}
	unread := store.WhyLayer{Object: access.ObjectContent, ID: "1", Kind: "page", Title: "1", Reason: access.ReasonUnknown, Detail: store.DetailUnread}
	below := unread
	below.ID, below.Title = "3", "3"
	says("ann", store.NeverRead, unread, below)

	all := store.WhyLayer{Object: access.ObjectSpace, ID: "7", Admits: true, Through: everyone}
	top := store.WhyLayer{Object: access.ObjectContent, ID: "1", Kind: "page", Title: "1"}
	sweep(t, s, "docs", []access.Layer{space(everyone)}, content("1", ann, staff))
	byName, refused, unknown := top, top, top
	byName.Admits, byName.Through = true, ann
	refused.Reason = access.ReasonNotNamed
	unknown.Reason, unknown.Detail = access.ReasonGroupUnknown, "staff"
	says("ann", store.SeenAdmitted, all, byName)
	says("bob", store.NotLetIn, all, unknown)
	_, now, err := s.AccessNodes(t.Context(), "docs")
	require.NoError(t, err)
	require.NoError(t, s.SaveGroups(t.Context(), "docs", now, []access.Group{{ID: "staff", Members: []string{"cyd"}}}))
	byGroup := top
	byGroup.Admits, byGroup.Through = true, staff
	says("cyd", store.SeenAdmitted, all, byGroup)
	says("bob", store.NotLetIn, all, refused)
	require.True(t, why(viewer.All(), "cyd").AccountKnown)
	require.False(t, why(viewer.All(), "bob").AccountKnown)

	// Whoever may not see a page learns its restrictions, and no title.
	told := why(viewer.Everywhere(), "bob")
	require.Empty(t, told.Title+told.Layers[1].Title)
	require.Equal(t, "1", told.Layers[1].ID)
	_, err = s.Reader().Why(t.Context(), viewer.OfSources("hr"), "ann", store.PageKey{SourceID: "docs", ID: "3"})
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = s.Reader().Why(t.Context(), viewer.All(), "ann", store.PageKey{SourceID: "docs", ID: "99"})
	require.ErrorIs(t, err, store.ErrNotFound)

	require.NoError(t, s.SetPermissions(t.Context(), "docs", store.UnrestrictedOnly, 0))
	says("ann", store.Restricted)
	require.NoError(t, s.SetPermissions(t.Context(), "docs", store.Enforce, 0))
	_, now, err = s.AccessNodes(t.Context(), "docs")
	require.NoError(t, err)
	_, err = s.SaveAccess(t.Context(), moved("docs", now, "3", "2"))
	require.NoError(t, err)
	says("ann", store.HasMoved, all)
	require.NoError(t, s.BuildPaths(t.Context(), "docs"))
	require.NoError(t, s.Repath(t.Context(), run))
	says("bob", store.SeenAdmitted, all)
	require.NoError(t, s.PutNodes(t.Context(), run, []store.Node{node("page", "2", "5")}))
	missing := store.WhyLayer{Object: access.ObjectContent, ID: "5", Reason: access.ReasonUnknown, Detail: store.DetailMissing}
	says("bob", store.NotLetIn, all, missing)
	does(t, conn, `UPDATE confluence_spaces SET access_read_at = access_read_at - interval '25 hours'`)
	says("bob", store.TooOld)
	require.NoError(t, s.SetPermissions(t.Context(), "docs", store.OpenToAll, 0))
	says("bob", store.SeenOpen)
}

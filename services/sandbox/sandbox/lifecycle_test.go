package sandbox

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestArchivedPageKeepsItsParentAndTitle(t *testing.T) {
	c, alpha, beta := small(t, Options{})
	gamma := create(t, c.site, Draft{ParentID: beta.ID, Title: "Gamma"})
	require.NoError(t, c.site.ArchivePage(beta.ID))
	a := c.get(200, "/wiki/api/v2/pages/"+beta.ID)
	require.Equal(t, "archived", a.body["status"])
	require.Equal(t, alpha.ID, a.body["parentId"])
	require.EqualValues(t, 1, a.body["version"].(map[string]any)["number"])
	require.Equal(t, alpha.ID, c.get(200, "/wiki/api/v2/pages/"+gamma.ID).body["parentId"], "what was below moves up")
	_, err := c.site.CreatePage(Draft{Space: "ENG", Title: "beta"})
	require.ErrorIs(t, err, ErrConflict, "the title stays reserved")
	require.ErrorIs(t, c.site.ArchivePage(beta.ID), ErrConflict)
	require.NoError(t, c.site.RestorePage(beta.ID))
	require.Equal(t, "current", c.get(200, "/wiki/api/v2/pages/"+beta.ID).body["status"])
}

func TestTrashedPageAnswersByIDWithoutAParent(t *testing.T) {
	c, alpha, beta := small(t, Options{})
	gamma := create(t, c.site, Draft{ParentID: beta.ID, Title: "Gamma"})
	require.NoError(t, c.site.TrashPage(beta.ID))
	a := c.get(200, "/wiki/api/v2/pages/"+beta.ID)
	require.Equal(t, "trashed", a.body["status"])
	require.Contains(t, a.body, "parentId")
	require.Nil(t, a.body["parentId"])
	require.Nil(t, a.body["parentType"])
	require.Nil(t, a.body["position"])
	require.Equal(t, alpha.ID, c.get(200, "/wiki/api/v2/pages/"+gamma.ID).body["parentId"])
	c.get(404, "/wiki/api/v2/pages/"+beta.ID+"?status=current")
	_, err := c.site.EditPage(beta.ID, Edit{})
	require.ErrorIs(t, err, ErrConflict)

	twin := create(t, c.site, Draft{Space: "ENG", Title: "Beta"}) // the title is free
	require.ErrorIs(t, c.site.RestorePage(beta.ID), ErrConflict)
	require.NoError(t, c.site.PurgePage(twin.ID))
	require.NoError(t, c.site.RestorePage(beta.ID))
	back := c.get(200, "/wiki/api/v2/pages/"+beta.ID)
	require.Equal(t, "current", back.body["status"])
	require.Equal(t, alpha.ID, back.body["parentId"])
}

func TestRestoredPageWithoutItsParentStandsAtTheTop(t *testing.T) {
	c, alpha, beta := small(t, Options{})
	require.NoError(t, c.site.TrashPage(beta.ID))
	require.NoError(t, c.site.PurgePage(alpha.ID))
	require.NoError(t, c.site.RestorePage(beta.ID))
	require.Nil(t, c.get(200, "/wiki/api/v2/pages/"+beta.ID).body["parentId"])
}

func TestPurgedPageIsGone(t *testing.T) {
	c, alpha, beta := small(t, Options{})
	require.NoError(t, c.site.PurgePage(alpha.ID))
	require.Equal(t, "Cannot find a page with id ["+alpha.ID+"]", c.get(404, "/wiki/api/v2/pages/"+alpha.ID).title())
	require.NotContains(t, c.walk("/wiki/api/v2/pages?status=current,archived,trashed", "id"), alpha.ID)
	home := c.site.Pages("ENG")[0].ID
	require.Equal(t, home, c.get(200, "/wiki/api/v2/pages/"+beta.ID).body["parentId"])
	require.ErrorIs(t, c.site.PurgePage(home), ErrInvalid)
}

func TestTrashTree(t *testing.T) {
	c, alpha, beta := small(t, Options{})
	require.NoError(t, c.site.TrashTree(alpha.ID))
	for _, id := range []string{alpha.ID, beta.ID} {
		require.Equal(t, "trashed", c.get(200, "/wiki/api/v2/pages/"+id).body["status"])
	}
}

func TestMoveMakesNoVersion(t *testing.T) {
	clk := newClock()
	c, alpha, beta := small(t, Options{Now: clk.Now})
	gamma := create(t, c.site, Draft{Space: "ENG", Title: "Gamma"})
	before, err := c.site.Page(alpha.ID)
	require.NoError(t, err)
	clk.advance(time.Hour)
	require.NoError(t, c.site.MovePage(alpha.ID, gamma.ID))
	after, err := c.site.Page(alpha.ID)
	require.NoError(t, err)
	require.Equal(t, gamma.ID, after.ParentID)
	require.Equal(t, before.Version, after.Version)
	require.Equal(t, before.ModifiedAt, after.ModifiedAt)
	require.Equal(t, []string{c.site.Pages("ENG")[0].ID, gamma.ID, alpha.ID}, c.get(200, "/wiki/api/v2/pages/"+beta.ID+"/ancestors").column("id"))
	require.ErrorIs(t, c.site.MovePage(gamma.ID, beta.ID), ErrInvalid, "not below itself")
	require.ErrorIs(t, c.site.MovePage(gamma.ID, "1"), ErrNotFound)
	require.NoError(t, c.site.MovePage(alpha.ID, ""))
	require.Nil(t, c.get(200, "/wiki/api/v2/pages/"+alpha.ID).body["parentId"])
}

func TestMoveToAnotherSpaceTakesWhatIsBelow(t *testing.T) {
	c, alpha, beta := small(t, Options{})
	require.NoError(t, c.site.AddSpace("OPS", "Operations"))
	require.NoError(t, c.site.MoveToSpace(alpha.ID, "OPS"))
	for _, id := range []string{alpha.ID, beta.ID} {
		require.Equal(t, c.spaceID("OPS"), c.get(200, "/wiki/api/v2/pages/"+id).body["spaceId"])
	}
	require.Len(t, c.get(200, "/wiki/api/v2/spaces/"+c.spaceID("ENG")+"/pages").rows(), 1)
	require.Len(t, c.get(200, "/wiki/api/v2/spaces/"+c.spaceID("OPS")+"/pages").rows(), 3)
	create(t, c.site, Draft{Space: "ENG", Title: "Alpha"}) // the title is free there
	require.ErrorIs(t, c.site.MoveToSpace(alpha.ID, "ENG"), ErrConflict)
	require.ErrorIs(t, c.site.MoveToSpace(alpha.ID, "NO"), ErrNotFound)
	require.Len(t, c.get(200, "/wiki/api/v2/spaces/"+c.spaceID("OPS")+"/pages").rows(), 3, "all or none")
}

func TestEditsMakeVersions(t *testing.T) {
	clk := newClock()
	c, alpha, beta := small(t, Options{Now: clk.Now})
	title := "Alpha, again"
	p, err := c.site.EditPage(alpha.ID, Edit{Title: &title, AuthorID: "someone"})
	require.NoError(t, err)
	require.Equal(t, 2, p.Version)
	require.True(t, p.ModifiedAt.After(clk.Now()), "two edits in one millisecond keep their order")
	p, err = c.site.EditPage(alpha.ID, Edit{})
	require.NoError(t, err)
	require.Equal(t, 3, p.Version)
	body, err := c.site.Body(alpha.ID)
	require.NoError(t, err)
	require.Equal(t, "<p>first</p><p>Reviewed and confirmed in version 3.</p>", body)
	taken := "Beta"
	_, err = c.site.EditPage(alpha.ID, Edit{Title: &taken})
	require.ErrorIs(t, err, ErrConflict)
	_, err = c.site.CreatePage(Draft{Space: "ENG", Title: "Alpha"})
	require.NoError(t, err, "the old title is free")
	require.Equal(t, 1, must(c.site.Page(beta.ID)).Version)
}

func must(p Page, _ error) Page { return p }

func TestCreateRefuses(t *testing.T) {
	c, alpha, _ := small(t, Options{})
	require.NoError(t, c.site.AddSpace("OPS", "Operations"))
	for _, bad := range []struct {
		d   Draft
		err error
	}{
		{Draft{Space: "ENG", Title: " "}, ErrInvalid},
		{Draft{Space: "NO", Title: "x"}, ErrNotFound},
		{Draft{ParentID: "1", Title: "x"}, ErrNotFound},
		{Draft{Space: "OPS", ParentID: alpha.ID, Title: "x"}, ErrInvalid},
		{Draft{Space: "ENG", Title: "ALPHA"}, ErrConflict},
		{Draft{Space: "ENG", Title: "x", ID: alpha.ID}, ErrConflict},
	} {
		_, err := c.site.CreatePage(bad.d)
		require.ErrorIs(t, err, bad.err, "%+v", bad.d)
	}
	_, err := c.site.CreatePage(Draft{Space: "OPS", Title: "Alpha"})
	require.NoError(t, err, "titles are unique in a space, not on the site")
}

func TestRestrictionsAreInherited(t *testing.T) {
	c, alpha, beta := small(t, Options{})
	gamma := create(t, c.site, Draft{ParentID: beta.ID, Title: "Gamma"})
	list := "/wiki/api/v2/spaces/" + c.spaceID("ENG") + "/pages"
	require.NoError(t, c.site.Restrict(alpha.ID, []string{"somebody"}, []string{"admins"}))
	for _, id := range []string{alpha.ID, beta.ID, gamma.ID} {
		require.Equal(t, "Cannot find a page with id ["+id+"]", c.get(404, "/wiki/api/v2/pages/"+id).title())
		c.get(404, "/wiki/rest/api/content/"+id+"/restriction/byOperation")
	}
	require.Equal(t, []string{"Engineering"}, c.get(200, list).column("title"), "rows are left out without a word")
	require.Empty(t, c.get(200, "/wiki/api/v2/pages?id="+alpha.ID+","+gamma.ID).rows())

	require.NoError(t, c.site.Restrict(alpha.ID, []string{apiUser, "somebody"}, []string{"admins"}))
	c.get(200, "/wiki/api/v2/pages/"+gamma.ID)
	a := c.get(200, "/wiki/rest/api/content/"+alpha.ID+"/restriction/byOperation")
	read := a.body["read"].(map[string]any)["restrictions"].(map[string]any)
	require.EqualValues(t, 2, read["user"].(map[string]any)["size"])
	require.Equal(t, "admins", read["group"].(map[string]any)["results"].([]any)[0].(map[string]any)["name"])
	require.EqualValues(t, 0, c.get(200, "/wiki/rest/api/content/"+beta.ID+"/restriction/byOperation/read").body["restrictions"].(map[string]any)["user"].(map[string]any)["size"],
		"only its own, not what it inherits")
	c.get(400, "/wiki/rest/api/content/"+beta.ID+"/restriction/byOperation/delete")

	require.NoError(t, c.site.Restrict(alpha.ID, nil, []string{"confluence-users"}))
	c.get(200, "/wiki/api/v2/pages/"+gamma.ID)
	require.NoError(t, c.site.Restrict(alpha.ID, nil, nil))
	c.get(404, "/wiki/api/v2/pages/"+gamma.ID)
	require.NoError(t, c.site.Unrestrict(alpha.ID))
	require.Equal(t, 1, must(c.site.Page(alpha.ID)).Version)
	c.get(200, "/wiki/api/v2/pages/"+gamma.ID)
}

func TestEditSome(t *testing.T) {
	c := generatedSite(t, 100)
	ids, err := c.site.EditSome("GEN", 10, 3)
	require.NoError(t, err)
	require.Len(t, ids, 10)
	same, err := generatedSite(t, 100).site.EditSome("GEN", 10, 3)
	require.NoError(t, err)
	require.Equal(t, ids, same)
	found := find(c, 200, `space = GEN and lastmodified > now("-5m")`).column("id")
	require.ElementsMatch(t, ids, found)
	require.Len(t, c.post(200, "/_sandbox/spaces/GEN/edit", `{"count":500}`).body["edited"], 100)
	c.post(404, "/_sandbox/spaces/NO/edit", `{"count":1}`)
}

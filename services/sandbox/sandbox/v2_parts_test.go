package sandbox

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSpaces(t *testing.T) {
	site := New(Options{})
	for _, key := range []string{"ENG", "OPS", "~712020abc"} {
		require.NoError(t, site.AddSpace(key, "Space "+key))
	}
	require.ErrorIs(t, site.AddSpace("eng", "again"), ErrConflict)
	c := serve(t, site)
	ids := c.walk("/wiki/api/v2/spaces?limit=1", "id")
	require.Len(t, ids, 3)
	require.Equal(t, []string{"ENG"}, c.get(200, "/wiki/api/v2/spaces?keys=ENG").column("key"))
	require.Equal(t, []string{"ENG", "OPS"}, c.get(200, "/wiki/api/v2/spaces?keys=ENG&keys=OPS&sort=key").column("key"))
	require.Empty(t, c.get(200, "/wiki/api/v2/spaces?keys=NOPE").rows())
	require.Empty(t, c.get(200, "/wiki/api/v2/spaces?type=personal").rows())
	require.Len(t, c.get(200, "/wiki/api/v2/spaces?status=current&ids="+ids[0]).rows(), 1)
	one := c.get(200, "/wiki/api/v2/spaces/"+ids[0]).body
	require.Equal(t, ids[0], one["id"])
	require.Contains(t, one["_links"], "base")
	require.Contains(t, c.get(200, "/wiki/api/v2/spaces?keys=~712020abc").rows()[0]["_links"].(map[string]any)["webui"], "/spaces/~712020abc")
	c.get(400, "/wiki/api/v2/spaces?sort=size")
	c.get(400, "/wiki/api/v2/spaces?limit=251")
}

func TestHiddenSpaceIsNotThere(t *testing.T) {
	c, alpha, _ := small(t, Options{})
	id := c.spaceID("ENG")
	require.NoError(t, c.site.HideSpace("ENG", true))
	require.Empty(t, c.get(200, "/wiki/api/v2/spaces?keys=ENG").rows())
	c.get(404, "/wiki/api/v2/spaces/"+id)
	c.get(404, "/wiki/api/v2/spaces/"+id+"/pages")
	c.get(404, "/wiki/api/v2/pages/"+alpha.ID)
	require.Empty(t, c.get(200, "/wiki/api/v2/pages").rows())
	require.Empty(t, c.get(200, "/wiki/rest/api/content/search?cql=space%3DENG").rows())
	require.NoError(t, c.site.HideSpace("ENG", false))
	c.get(200, "/wiki/api/v2/pages/"+alpha.ID)
}

func TestLabelsMakeNoVersion(t *testing.T) {
	c, alpha, _ := small(t, Options{})
	require.NoError(t, c.site.SetLabels(alpha.ID, "Runbook", "keys"))
	a := c.get(200, "/wiki/api/v2/pages/"+alpha.ID+"/labels")
	require.Equal(t, []string{"keys", "runbook"}, a.column("name"))
	require.Equal(t, []string{"global", "global"}, a.column("prefix"))
	p, err := c.site.Page(alpha.ID)
	require.NoError(t, err)
	require.Equal(t, 1, p.Version)
	require.Len(t, c.walk("/wiki/api/v2/pages/"+alpha.ID+"/labels?limit=1", "name"), 2)
}

func TestUsersBulk(t *testing.T) {
	c := builtin(t)
	mira, aiko := builtinUsers[0], builtinUsers[2]
	a := c.post(200, "/wiki/api/v2/users-bulk", `{"accountIds":["`+mira.AccountID+`","`+aiko.AccountID+`","nobody","`+mira.AccountID+`"]}`)
	require.Equal(t, []string{"Mira Okonkwo", "Aiko Tanabe"}, a.column("displayName"))
	require.Equal(t, []string{mira.Email, ""}, a.column("email"), "a private address is empty")
	require.Equal(t, "Europe/Berlin", a.rows()[0]["timeZone"])
	require.Empty(t, c.post(200, "/wiki/api/v2/users-bulk", `{"accountIds":["nobody"]}`).rows())
	c.post(400, "/wiki/api/v2/users-bulk", `{"accountIds":[]}`)
	c.post(400, "/wiki/api/v2/users-bulk", `not json`)
	c.post(400, "/wiki/api/v2/users-bulk", `{"accountIds":[`+strings.Repeat(`"x",`, 250)+`"x"]}`)
	me := c.get(200, "/wiki/rest/api/user/current").body["accountId"].(string)
	require.Len(t, c.post(200, "/wiki/api/v2/users-bulk", `{"accountIds":["`+me+`"]}`).rows(), 1)
}

func TestConvertIDsToTypes(t *testing.T) {
	c, ids := treeOf(t)
	require.NoError(t, c.site.Restrict(ids["leaf"], nil, nil))
	a := c.post(200, "/wiki/api/v2/content/convert-ids-to-types",
		`{"contentIds":["`+ids["top"]+`",`+ids["folder"]+`,"`+ids["leaf"]+`","123"]}`)
	require.Equal(t, map[string]any{ids["top"]: "page", ids["folder"]: "folder", ids["leaf"]: nil, "123": nil}, a.body["results"])
	c.post(400, "/wiki/api/v2/content/convert-ids-to-types", `{"contentIds":[]}`)
}

func TestCommentsAndTheirMarkers(t *testing.T) {
	c := builtin(t)
	footer := c.get(200, "/wiki/api/v2/pages/65662/footer-comments?body-format=storage")
	require.Len(t, footer.rows(), 2)
	require.Contains(t, footer.raw, "Week 20")
	inline := c.get(200, "/wiki/api/v2/pages/65613/inline-comments").rows()
	require.Len(t, inline, 1)
	ref := inline[0]["properties"].(map[string]any)["inlineMarkerRef"].(string)
	body, err := c.site.Body("65613")
	require.NoError(t, err)
	require.Contains(t, body, `ac:ref="`+ref+`"`)
	require.Empty(t, c.get(200, "/wiki/api/v2/pages/65613/inline-comments?resolution-status=resolved").rows())
	require.Empty(t, c.get(200, "/wiki/api/v2/pages/65610/footer-comments").rows())
	require.Empty(t, c.get(200, "/wiki/api/v2/footer-comments/"+footer.column("id")[0]+"/children").rows())
}

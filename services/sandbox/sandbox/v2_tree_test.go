package sandbox

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// treeOf serves a space: home > top > folder > inner > leaf, and top > side.
func treeOf(t *testing.T) (c *caller, ids map[string]string) {
	t.Helper()
	site := New(Options{})
	require.NoError(t, site.AddSpace("ENG", "Engineering"))
	ids = map[string]string{"home": site.Pages("ENG")[0].ID}
	for _, d := range []struct {
		name, parent string
		kind         Kind
	}{
		{"top", "home", KindPage}, {"folder", "top", KindFolder}, {"side", "top", KindPage},
		{"inner", "folder", KindPage}, {"leaf", "inner", KindPage}, {"board", "top", KindWhiteboard}, {"base", "top", KindDatabase},
		{"link", "top", KindEmbed},
	} {
		ids[d.name] = create(t, site, Draft{Kind: d.kind, ParentID: ids[d.parent], Title: d.name}).ID
	}
	return serve(t, site), ids
}

func TestFoldersAreParents(t *testing.T) {
	c, ids := treeOf(t)
	inner := c.get(200, "/wiki/api/v2/pages/"+ids["inner"]).body
	require.Equal(t, ids["folder"], inner["parentId"])
	require.Equal(t, "folder", inner["parentType"])
	folder := c.get(200, "/wiki/api/v2/folders/"+ids["folder"]+"?include-direct-children=true").body
	require.Equal(t, "folder", folder["type"])
	require.Equal(t, ids["top"], folder["parentId"])
	require.Equal(t, "page", folder["parentType"])
	require.Len(t, folder["directChildren"].(map[string]any)["results"], 1)
	c.get(404, "/wiki/api/v2/pages/"+ids["folder"])
	require.Equal(t, "Content with id: [999999999999] not found", c.get(404, "/wiki/api/v2/folders/999999999999").title())
	c.get(404, "/wiki/api/v2/folders/"+ids["top"])
}

func TestWhiteboardsDatabasesAndEmbeds(t *testing.T) {
	c, ids := treeOf(t)
	for plural, name := range map[string]string{"whiteboards": "board", "databases": "base", "embeds": "link"} {
		a := c.get(200, "/wiki/api/v2/"+plural+"/"+ids[name])
		require.Equal(t, name, a.body["title"])
		require.Equal(t, ids["top"], a.body["parentId"])
	}
	require.Len(t, c.walk("/wiki/api/v2/pages", "id"), 5, "lists of pages hold pages only")
}

func TestDirectChildren(t *testing.T) {
	c, ids := treeOf(t)
	all := c.get(200, "/wiki/api/v2/pages/"+ids["top"]+"/direct-children")
	require.Equal(t, []string{"folder", "side", "board", "base", "link"}, all.column("title"))
	require.Equal(t, []string{"folder", "page", "whiteboard", "database", "embed"}, all.column("type"))
	require.Equal(t, []string{"side", "link", "folder", "board", "base"}, c.get(200, "/wiki/api/v2/pages/"+ids["top"]+"/direct-children?sort=-title").column("title"))
	require.Equal(t, []string{"inner"}, c.get(200, "/wiki/api/v2/folders/"+ids["folder"]+"/direct-children").column("title"))
	require.Len(t, c.walk("/wiki/api/v2/pages/"+ids["top"]+"/direct-children?limit=2", "id"), 5)
	c.get(400, "/wiki/api/v2/pages/"+ids["top"]+"/direct-children?sort=colour")
	c.get(404, "/wiki/api/v2/pages/1/direct-children")
}

func TestDeprecatedChildrenLeaveFoldersOut(t *testing.T) {
	c, ids := treeOf(t)
	require.Equal(t, []string{"side"}, c.get(200, "/wiki/api/v2/pages/"+ids["top"]+"/children").column("title"))
}

func TestDescendants(t *testing.T) {
	c, ids := treeOf(t)
	path := "/wiki/api/v2/pages/" + ids["top"] + "/descendants"
	require.Equal(t, []string{"folder", "side", "board", "base", "link", "inner"}, c.get(200, path).column("title"), "two levels by default")
	deep := c.get(200, path+"?depth=10&limit=250")
	require.Len(t, deep.rows(), 7)
	last := deep.rows()[6]
	require.Equal(t, "leaf", last["title"])
	require.EqualValues(t, 3, last["depth"])
	require.Equal(t, ids["inner"], last["parentId"])
	require.Len(t, c.walk(path+"?depth=10&limit=3", "id"), 7)
	c.get(400, path+"?depth=11")
	c.get(400, path+"?depth=0")
}

func TestAncestorsGoFromTheTopDown(t *testing.T) {
	c, ids := treeOf(t)
	path := "/wiki/api/v2/pages/" + ids["leaf"] + "/ancestors"
	a := c.get(200, path)
	require.Equal(t, []string{ids["home"], ids["top"], ids["folder"], ids["inner"]}, a.column("id"))
	require.Equal(t, []string{"page", "page", "folder", "page"}, a.column("type"))
	require.Equal(t, []string{ids["folder"], ids["inner"]}, c.get(200, path+"?limit=2").column("id"), "the nearest ones")
	require.Empty(t, c.get(200, path+"?limit=2").next(), "no cursor: ask again with the first")
	require.Equal(t, []string{ids["home"], ids["top"]}, c.get(200, "/wiki/api/v2/folders/"+ids["folder"]+"/ancestors").column("id"))
}

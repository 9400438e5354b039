package sandbox

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// finds are the ids that a search of content finds.
func (c *caller) finds(cql string) []string {
	c.t.Helper()
	return c.get(200, "/wiki/rest/api/content/search?cql="+url.QueryEscape(cql)).column("id")
}

func TestAnArchivedSpaceIsListedAndNotSearched(t *testing.T) {
	c, alpha, beta := small(t, Options{})
	listed := "/wiki/api/v2/spaces/" + c.spaceID("ENG") + "/pages"
	before := c.get(200, listed).column("id")
	require.Contains(t, c.finds("space = ENG"), alpha.ID)

	c.post(200, "/_sandbox/spaces/ENG/archive", ``)
	require.Empty(t, c.finds("space = ENG"))
	require.Empty(t, c.finds(`title = "Alpha"`))
	require.Equal(t, before, c.get(200, listed).column("id"))
	require.Equal(t, "current", c.get(200, "/wiki/api/v2/pages/"+beta.ID).body["status"])
	require.Equal(t, "archived", c.get(200, "/wiki/api/v2/spaces?keys=ENG").rows()[0]["status"])
	require.Empty(t, c.get(200, "/wiki/api/v2/spaces?status=current").rows())
	all := "/wiki/rest/api/search?cql=" + url.QueryEscape("space = ENG")
	require.Empty(t, c.get(200, all).rows())
	require.Len(t, c.get(200, all+"&includeArchivedSpaces=true").rows(), len(before), "/search has a parameter for it, /content/search has none")

	c.post(200, "/_sandbox/spaces/ENG/restore", ``)
	require.Contains(t, c.finds("space = ENG"), alpha.ID)
	require.ErrorIs(t, c.site.ArchiveSpace("NO", true), ErrNotFound)
}

func TestASpaceChangesItsKey(t *testing.T) {
	c, alpha, _ := small(t, Options{})
	id := c.spaceID("ENG")
	row := func(asked string) []any {
		rows := c.get(200, "/wiki/api/v2/spaces?keys="+asked).rows()
		require.Len(t, rows, 1, asked)
		require.Equal(t, id, rows[0]["id"], "the id stays")
		return []any{rows[0]["key"], rows[0]["currentActiveAlias"]}
	}
	webui := func() string {
		return c.get(200, "/wiki/api/v2/pages/"+alpha.ID).body["_links"].(map[string]any)["webui"].(string)
	}

	c.post(200, "/_sandbox/spaces/ENG/rekey", `{"key":"Craft","alias":true}`)
	for _, key := range []string{"ENG", "eng", "Craft", "CRAFT"} {
		require.Equal(t, []any{"ENG", "Craft"}, row(key), "an alias leaves the key as it is")
		require.Contains(t, c.finds("space = "+key), alpha.ID)
	}
	require.Contains(t, webui(), "/spaces/Craft/")

	c.post(200, "/_sandbox/spaces/ENG/rekey", `{"key":"MAKE"}`)
	for _, key := range []string{"ENG", "craft", "make"} {
		require.Equal(t, []any{"MAKE", "MAKE"}, row(key), "the old keys still answer")
		require.Contains(t, c.finds("space = "+key), alpha.ID)
	}
	require.Contains(t, webui(), "/spaces/MAKE/")
	require.Equal(t, 200, c.get(200, "/wiki/spaces/ENG/overview").status)

	c.post(200, "/_sandbox/spaces/make/rekey", `{"key":"LAST","forget":true}`)
	require.Equal(t, []any{"LAST", "LAST"}, row("last"))
	require.Empty(t, c.get(200, "/wiki/api/v2/spaces?keys=MAKE,ENG,Craft").rows())
	require.Empty(t, c.finds("space = MAKE"))

	require.NoError(t, c.site.AddSpace("OTHER", "Other"))
	c.post(409, "/_sandbox/spaces/LAST/rekey", `{"key":"other"}`)
	c.post(400, "/_sandbox/spaces/LAST/rekey", `{"key":""}`)
	c.post(400, "/_sandbox/spaces/LAST/rekey", `{"key":"A","alias":true,"forget":true}`)
	c.post(404, "/_sandbox/spaces/NO/rekey", `{"key":"A"}`)
}

func TestSearchLeavesOutWhatExists(t *testing.T) {
	c, alpha, beta := small(t, Options{})
	listed := "/wiki/api/v2/spaces/" + c.spaceID("ENG") + "/pages"
	all := c.get(200, listed).column("id")
	require.ElementsMatch(t, all, c.finds("space = ENG"))

	c.post(200, "/_sandbox/pages/"+beta.ID+"/unindex", ``)
	require.NotContains(t, c.finds("space = ENG"), beta.ID)
	require.Contains(t, c.finds("space = ENG"), alpha.ID)
	require.Equal(t, all, c.get(200, listed).column("id"), "a list has all of it")
	c.post(200, "/_sandbox/pages/"+beta.ID+"/index", ``)
	require.ElementsMatch(t, all, c.finds("space = ENG"))

	c.post(200, "/_sandbox/spaces/ENG/unindex", ``)
	require.Empty(t, c.finds("space = ENG"))
	require.Equal(t, all, c.get(200, listed).column("id"))
	require.Equal(t, "current", c.get(200, "/wiki/api/v2/spaces?keys=ENG").rows()[0]["status"], "and nothing says so")
	c.post(200, "/_sandbox/spaces/ENG/index", ``)
	require.ElementsMatch(t, all, c.finds("space = ENG"))
}

package sandbox

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A renamed site, or a site with a new custom domain, has two addresses: the old one only
// redirects.
func TestARenamedSiteRedirects(t *testing.T) {
	old, alpha, _ := small(t, Options{})
	now := serve(t, old.site)
	require.NotEqual(t, old.url, now.url)
	path := "/wiki/api/v2/pages/" + alpha.ID + "?body-format=storage"
	at := func(c *caller, path string) (int, string) {
		status, header, _, err := c.raw(path)
		require.NoError(t, err)
		return status, header.Get("Location")
	}

	old.post(200, "/_sandbox/site", `{"moved_to":"`+now.url+`/wiki"}`)
	status, to := at(old, path)
	require.Equal(t, http.StatusMovedPermanently, status)
	require.Equal(t, now.url+path, to)
	status, _ = at(old, "/_edge/tenant_info")
	require.Equal(t, http.StatusMovedPermanently, status)
	status, _ = at(old, "/wiki/spaces/ENG/overview")
	require.Equal(t, http.StatusMovedPermanently, status)

	got := now.get(200, path).body
	require.Equal(t, alpha.ID, got["id"], "ids stay")
	require.Equal(t, now.url+"/wiki", got["_links"].(map[string]any)["base"])
	gateway := old.get(200, "/_sandbox/").body["gateway_url"].(string)
	require.True(t, strings.HasPrefix(gateway, now.url))
	through := old.get(200, strings.TrimPrefix(gateway, now.url)+"/api/v2/pages/"+alpha.ID)
	require.Equal(t, now.url+"/wiki", through.body["_links"].(map[string]any)["base"], "the gateway knows the site by its id")

	old.post(200, "/_sandbox/site", `{"moved_to":""}`)
	old.get(200, path)
	for _, bad := range []string{"acme2", "ftp://acme2", "https://acme2/x"} {
		require.ErrorIs(t, old.site.MoveTo(bad), ErrInvalid, bad)
	}
}

// Ids are unique only within a site.
func TestTwoSitesHaveTheSamePageIDs(t *testing.T) {
	first, second := New(Options{Token: "first"}), New(Options{Token: "second", CloudID: "11111111-0000-4000-8000-000000000000"})
	for i, site := range []*Site{first, second} {
		require.NoError(t, site.AddSpace("ENG", "Engineering"))
		create(t, site, Draft{Space: "ENG", Title: []string{"Of the first", "Of the second"}[i]})
		site.AddGenerated("GEN", 20, 1)
	}
	ids := func(s *Site, space string) (ids []string) {
		for _, p := range s.Pages(space) {
			ids = append(ids, p.ID)
		}
		return ids
	}
	require.Equal(t, ids(first, "ENG"), ids(second, "ENG"))
	require.Equal(t, ids(first, "GEN"), ids(second, "GEN"))
	id := first.Pages("ENG")[1].ID
	one, err := first.Page(id)
	require.NoError(t, err)
	other, err := second.Page(id)
	require.NoError(t, err)
	require.NotEqual(t, one.Title, other.Title)
}

package sandbox

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSpacePagesAreWalkedToTheEnd(t *testing.T) {
	site := New(Options{})
	site.AddGenerated("GEN", 1_003, 7)
	c := serve(t, site)
	ids := c.walk("/wiki/api/v2/spaces/"+c.spaceID("GEN")+"/pages?limit=250", "id")
	want := []string{}
	for _, p := range site.Pages("GEN") {
		want = append(want, p.ID)
	}
	require.Len(t, ids, 1_003)
	require.Equal(t, want, ids)
}

func TestPageObject(t *testing.T) {
	clk := newClock()
	c, alpha, beta := small(t, Options{Now: clk.Now})
	body := "<p>Two &amp; <b>three</b> — ü</p>"
	clk.advance(time.Minute + 42*time.Millisecond)
	_, err := c.site.EditPage(beta.ID, Edit{Body: &body})
	require.NoError(t, err)

	a := c.get(200, "/wiki/api/v2/pages/"+beta.ID+"?body-format=storage")
	for key, want := range map[string]any{
		"id": beta.ID, "status": "current", "title": "Beta", "parentId": alpha.ID, "parentType": "page",
		"spaceId": c.spaceID("ENG"), "authorId": apiUser, "ownerId": apiUser, "lastOwnerId": nil, "createdAt": "2026-06-01T12:00:00.000Z",
	} {
		require.Equal(t, want, a.body[key], key)
		require.Contains(t, a.body, key)
	}
	version := a.body["version"].(map[string]any)
	require.EqualValues(t, 2, version["number"])
	require.Equal(t, "2026-06-01T12:01:00.042Z", version["createdAt"])
	require.Equal(t, "14", version["ncsStepVersion"])
	require.Equal(t, body, a.body["body"].(map[string]any)["storage"].(map[string]any)["value"])
	links := a.body["_links"].(map[string]any)
	require.Equal(t, "/spaces/ENG/pages/"+beta.ID+"/Beta", links["webui"])
	require.Equal(t, c.url+"/wiki", links["base"])
	require.Contains(t, links, "edituiv2")
}

func TestBodyOnlyWhenAskedFor(t *testing.T) {
	c, alpha, _ := small(t, Options{})
	require.Equal(t, map[string]any{}, c.get(200, "/wiki/api/v2/pages/"+alpha.ID).body["body"])
	row := c.get(200, "/wiki/api/v2/pages?id="+alpha.ID).rows()[0]
	require.Equal(t, map[string]any{}, row["body"])
	require.NotContains(t, row["_links"], "base", "rows of lists have no base")

	one := c.get(200, "/wiki/api/v2/pages/"+alpha.ID+"?body-format=view").body["body"].(map[string]any)
	require.Equal(t, "<p>first</p>", one["view"].(map[string]any)["value"])
	require.Contains(t, c.get(200, "/wiki/api/v2/pages/"+alpha.ID+"?body-format=atlas_doc_format").raw, `\"text\":\"first\"`)
	c.get(400, "/wiki/api/v2/pages?body-format=view")
	c.get(400, "/wiki/api/v2/pages/"+alpha.ID+"?body-format=wiki")
}

func TestBulkBodiesByID(t *testing.T) {
	site := New(Options{})
	site.AddGenerated("GEN", 300, 1)
	c := serve(t, site)
	var ids []string
	for _, p := range site.Pages("GEN") {
		ids = append(ids, p.ID)
	}
	a := c.get(200, "/wiki/api/v2/pages?body-format=storage&limit=250&id="+strings.Join(ids[:250], ","))
	require.Equal(t, ids[:250], a.column("id"))
	require.Empty(t, a.next())
	for i, row := range a.rows() {
		want, err := site.Body(ids[i])
		require.NoError(t, err)
		require.Equal(t, want, row["body"].(map[string]any)["storage"].(map[string]any)["value"])
	}
	require.EqualValues(t, 250, site.Stats().Bodies)

	a = c.get(200, "/wiki/api/v2/pages?id="+strings.Join(ids[:60], ","))
	require.Len(t, a.rows(), 25, "the limit's default counts for ids as well")
	require.NotEmpty(t, a.next())
	require.Len(t, c.get(200, "/wiki/api/v2/pages?id="+ids[0]+"&id="+ids[1]+","+ids[1]).rows(), 2, "repeated, listed, doubled")
	c.get(400, "/wiki/api/v2/pages?id="+strings.Join(ids[:251], ","))
	c.get(400, "/wiki/api/v2/pages?id=abc")
}

func TestLimits(t *testing.T) {
	site := New(Options{})
	site.AddGenerated("GEN", 300, 1)
	c := serve(t, site)
	for _, limit := range []string{"0", "251", "-1", "x"} {
		c.get(400, "/wiki/api/v2/pages?limit="+limit)
	}
	require.Len(t, c.get(200, "/wiki/api/v2/pages").rows(), 25)
	require.Len(t, c.get(200, "/wiki/api/v2/pages?limit=250").rows(), 250)
}

func TestNextIsInTheBodyAndInTheLinkHeader(t *testing.T) {
	c, _, _ := small(t, Options{})
	a := c.get(200, "/wiki/api/v2/pages?limit=2&sort=title")
	require.True(t, strings.HasPrefix(a.next(), "/wiki/api/v2/pages?"), a.next())
	require.Contains(t, a.next(), "limit=2")
	require.Contains(t, a.next(), "sort=title")
	require.Equal(t, fmt.Sprintf(`<%s>; rel="next", <%s/wiki>; rel="base"`, a.next(), c.url), a.header.Get("Link"))

	last := c.get(200, a.next())
	require.NotContains(t, last.body["_links"], "next", "absent on the last page, not null")
	require.Equal(t, c.url+"/wiki", last.body["_links"].(map[string]any)["base"])
	require.Equal(t, fmt.Sprintf(`<%s/wiki>; rel="base"`, c.url), last.header.Get("Link"))
}

func TestCursorBelongsToItsOrder(t *testing.T) {
	c, _, _ := small(t, Options{})
	next := c.get(200, "/wiki/api/v2/pages?limit=1").next()
	c.get(400, next+"&sort=title")
	c.get(400, "/wiki/api/v2/pages?cursor=nonsense")
}

func TestSorts(t *testing.T) {
	site := New(Options{})
	site.AddGenerated("GEN", 120, 3)
	c := serve(t, site)
	pages := site.Pages("GEN")
	for field, compare := range map[string]func(a, b Page) int{
		"id":            func(a, b Page) int { return int(parseID(a.ID) - parseID(b.ID)) },
		"created-date":  func(a, b Page) int { return a.CreatedAt.Compare(b.CreatedAt) },
		"modified-date": func(a, b Page) int { return a.ModifiedAt.Compare(b.ModifiedAt) },
		"title":         func(a, b Page) int { return strings.Compare(strings.ToLower(a.Title), strings.ToLower(b.Title)) },
	} {
		slices.SortFunc(pages, compare)
		var want []string
		for _, p := range pages {
			want = append(want, p.ID)
		}
		path := "/wiki/api/v2/spaces/" + c.spaceID("GEN") + "/pages?limit=50&sort="
		require.Equal(t, want, c.walk(path+field, "id"), field)
		slices.Reverse(want)
		require.Equal(t, want, c.walk(path+"-"+field, "id"), "-"+field)
	}
	c.get(400, "/wiki/api/v2/pages?sort=modified")
}

func TestAnEditMovesAPageInTheOrder(t *testing.T) {
	clk := newClock()
	c, alpha, beta := small(t, Options{Now: clk.Now})
	path := "/wiki/api/v2/pages?sort=-modified-date&limit=1&id=" + alpha.ID + "," + beta.ID
	require.Equal(t, []string{beta.ID}, c.get(200, path).column("id"))
	clk.advance(time.Minute)
	_, err := c.site.EditPage(alpha.ID, Edit{})
	require.NoError(t, err)
	require.Equal(t, []string{alpha.ID}, c.get(200, path).column("id"))
}

func TestListStatuses(t *testing.T) {
	c, alpha, beta := small(t, Options{})
	gamma := create(t, c.site, Draft{Space: "ENG", Title: "Gamma"})
	require.NoError(t, c.site.ArchivePage(beta.ID))
	require.NoError(t, c.site.TrashPage(gamma.ID))
	path := "/wiki/api/v2/pages?id=" + alpha.ID + "," + beta.ID + "," + gamma.ID
	require.Equal(t, []string{alpha.ID, beta.ID}, c.get(200, path).column("id"), "by default current and archived")
	require.Equal(t, []string{gamma.ID}, c.get(200, path+"&status=trashed").column("id"))
	require.Equal(t, []string{alpha.ID, gamma.ID}, c.get(200, path+"&status=current,trashed").column("id"))
	require.Equal(t, []string{alpha.ID, gamma.ID}, c.get(200, path+"&status=current&status=trashed").column("id"))
	require.Contains(t, c.get(400, path+"&status=draft").title(), "draft")
}

func TestFiltersOfLists(t *testing.T) {
	c, alpha, _ := small(t, Options{})
	require.NoError(t, c.site.AddSpace("OPS", "Operations"))
	twin := create(t, c.site, Draft{Space: "OPS", Title: "Alpha"})
	require.Equal(t, []string{alpha.ID, twin.ID}, c.get(200, "/wiki/api/v2/pages?title=Alpha").column("id"))
	require.Equal(t, []string{twin.ID}, c.get(200, "/wiki/api/v2/pages?title=Alpha&space-id="+c.spaceID("OPS")).column("id"))
	require.Equal(t, []string{alpha.ID}, c.get(200, "/wiki/api/v2/spaces/"+c.spaceID("ENG")+"/pages?title=Alpha").column("id"))
	require.Empty(t, c.get(200, "/wiki/api/v2/spaces/"+c.spaceID("ENG")+"/pages?title=Alph").rows())
	require.Equal(t, []string{"Engineering"}, c.get(200, "/wiki/api/v2/spaces/"+c.spaceID("ENG")+"/pages?depth=root").column("title"))
	require.Len(t, c.get(200, "/wiki/api/v2/pages?space-id="+c.spaceID("OPS")+","+c.spaceID("ENG")).rows(), 5)
	require.Empty(t, c.get(200, "/wiki/api/v2/pages?space-id=1").rows())
	c.get(400, "/wiki/api/v2/spaces/"+c.spaceID("ENG")+"/pages?depth=some")
}

func TestMissingPage(t *testing.T) {
	c, _, _ := small(t, Options{})
	a := c.get(404, "/wiki/api/v2/pages/999999999999")
	require.Equal(t, "Cannot find a page with id [999999999999]", a.title())
	require.Equal(t, "Cannot find a page with id [abc]", c.get(404, "/wiki/api/v2/pages/abc").title())
	require.Contains(t, c.get(404, "/wiki/api/v2/spaces/1/pages").title(), "Cannot find a space")
	c.get(404, "/wiki/api/v2/spaces/ENG") // a key is no id
}

func TestVersionsOfAPage(t *testing.T) {
	clk := newClock()
	c, alpha, _ := small(t, Options{Now: clk.Now})
	title, body := "Alpha 2", "<p>changed</p>"
	clk.advance(time.Hour)
	_, err := c.site.EditPage(alpha.ID, Edit{Title: &title, Body: &body, Message: "why"})
	require.NoError(t, err)

	old := c.get(200, "/wiki/api/v2/pages/"+alpha.ID+"?version=1&body-format=storage")
	require.Equal(t, "Alpha", old.body["title"])
	require.Equal(t, "historical", old.body["status"])
	require.Contains(t, old.raw, "first")
	c.get(404, "/wiki/api/v2/pages/"+alpha.ID+"?version=3")
	c.get(400, "/wiki/api/v2/pages/"+alpha.ID+"?version=x")

	rows := c.get(200, "/wiki/api/v2/pages/"+alpha.ID+"/versions").rows()
	require.Len(t, rows, 2)
	require.EqualValues(t, 2, rows[0]["number"])
	require.Equal(t, "why", rows[0]["message"])
	require.EqualValues(t, 1, c.get(200, "/wiki/api/v2/pages/"+alpha.ID+"/versions/1").body["number"])
	c.get(404, "/wiki/api/v2/pages/"+alpha.ID+"/versions/9")
}

func TestVersionsThatAPageBeganWith(t *testing.T) {
	c := builtin(t)
	p, err := c.site.Page("65666")
	require.NoError(t, err)
	require.Greater(t, p.Version, 20)
	rows := c.get(200, "/wiki/api/v2/pages/65666/versions?limit=250").column("createdAt")
	require.Len(t, rows, p.Version)
	require.True(t, slices.IsSortedFunc(rows, func(a, b string) int { return strings.Compare(b, a) }), "newest first")
	require.Equal(t, stamp(p.ModifiedAt).String(), rows[0])
	require.Equal(t, stamp(p.CreatedAt).String(), rows[len(rows)-1])
}

func TestIncludes(t *testing.T) {
	c, alpha, beta := small(t, Options{})
	require.NoError(t, c.site.SetLabels(alpha.ID, "Two", "one", "one"))
	a := c.get(200, "/wiki/api/v2/pages/"+alpha.ID+"?include-labels=true&include-versions=true&include-direct-children=true&include-likes=true")
	labels := a.body["labels"].(map[string]any)
	require.Len(t, labels["results"], 2)
	require.Equal(t, false, labels["meta"].(map[string]any)["hasMore"])
	require.Len(t, a.body["versions"].(map[string]any)["results"], 1)
	children := a.body["directChildren"].(map[string]any)["results"].([]any)
	require.Equal(t, beta.ID, children[0].(map[string]any)["id"])
	require.Empty(t, a.body["likes"].(map[string]any)["results"])
	require.NotContains(t, c.get(200, "/wiki/api/v2/pages/"+alpha.ID+"?include-version=false").body, "version")

	for i := range 51 {
		create(t, c.site, Draft{ParentID: beta.ID, Title: fmt.Sprint("child ", i)})
	}
	many := c.get(200, "/wiki/api/v2/pages/"+beta.ID+"?include-direct-children=true").body["directChildren"].(map[string]any)
	require.Len(t, many["results"], 50)
	require.Equal(t, true, many["meta"].(map[string]any)["hasMore"])
}

func TestAddressesOfPages(t *testing.T) {
	c, _, _ := small(t, Options{})
	for title, end := range map[string]string{
		"Identity Providers": "/Identity+Providers", "9.9.0 ~ 9.9.8": "/9.9.0+~+9.9.8", "관리자 매뉴얼": "",
		"API 변경사항 (9.9.4 버전 > 9.9.5 버전)": "/API+9.9.4+9.9.5", "What? Why & how": "/What+Why+how",
	} {
		p := create(t, c.site, Draft{Space: "ENG", Title: title})
		links := c.get(200, "/wiki/api/v2/pages/"+p.ID).body["_links"].(map[string]any)
		require.Equal(t, "/spaces/ENG/pages/"+p.ID+end, links["webui"])
		require.Equal(t, 200, c.get(200, "/wiki"+links["webui"].(string)).status)
	}
	require.Equal(t, "/x/iABeIg", tinyPath(576585864))
	home := c.get(200, "/wiki/api/v2/spaces?keys=ENG").rows()[0]["homepageId"].(string)
	require.Equal(t, "/spaces/ENG/overview", c.get(200, "/wiki/api/v2/pages/"+home).body["_links"].(map[string]any)["webui"])
}

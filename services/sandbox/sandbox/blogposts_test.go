package sandbox

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBlogPosts(t *testing.T) {
	c := builtin(t)
	posts := c.get(200, "/wiki/api/v2/blogposts?sort=-created-date&body-format=storage")
	require.Equal(t, []string{"Pelagia 5.2 is out", "A night in the Halifax control tower"}, posts.column("title"))
	require.Len(t, c.get(200, "/wiki/api/v2/spaces/"+c.spaceID(BuiltinSpace)+"/blogposts?limit=1").rows(), 1)
	id := posts.column("id")[0]
	post := c.get(200, "/wiki/api/v2/blogposts/"+id)
	web := post.body["_links"].(map[string]any)["webui"].(string)
	require.Equal(t, "/spaces/DEMO/blog/2026/04/30/"+id+"/Pelagia+5.2+is+out", web)
	require.Contains(t, c.browse("/wiki"+web).raw, "Pelagia 5.2 is out")
	require.NotContains(t, post.body, "parentId", "a blog post is in no tree")
	require.Equal(t, []string{"news", "product"}, c.get(200, "/wiki/api/v2/blogposts/"+id+"/labels").column("name"))
	c.get(404, "/wiki/api/v2/pages/"+id)
	require.NotContains(t, c.walk("/wiki/api/v2/pages?limit=250", "id"), id)
	require.Equal(t, "Cannot find a blog post with id [65601]", c.get(404, "/wiki/api/v2/blogposts/65601").title(), "that is a page")
	require.Contains(t, c.get(404, "/wiki/api/v2/spaces/1/blogposts").title(), "Cannot find a space")
}

func TestBlogPostsAreListedAsPagesAre(t *testing.T) {
	site := New(Options{})
	site.AddGenerated("GEN", 10, 7)
	require.NoError(t, site.AddGeneratedBlogPosts("GEN", 603, 7))
	require.NoError(t, site.AddSpace("OPS", "Operations"))
	other := create(t, site, Draft{Kind: KindBlogPost, Space: "OPS", Title: "Elsewhere", Body: "<p>far</p>"})
	c := serve(t, site)
	var want []string
	for _, p := range site.BlogPosts("GEN") {
		want = append(want, p.ID)
	}
	require.Len(t, want, 603)
	of := "/wiki/api/v2/spaces/" + c.spaceID("GEN") + "/blogposts"
	require.Equal(t, want, c.walk(of+"?limit=250", "id"))
	require.Equal(t, want, c.walk("/wiki/api/v2/blogposts?limit=250&space-id="+c.spaceID("GEN"), "id"))
	require.Equal(t, []string{other.ID}, c.get(200, "/wiki/api/v2/blogposts?space-id="+c.spaceID("OPS")).column("id"))
	require.Len(t, c.get(200, of).rows(), 25)
	c.get(400, of+"?limit=251")
	c.get(400, of+"?sort=modified")
	c.get(400, "/wiki/api/v2/blogposts?id=abc")

	site.ResetStats()
	some := fmt.Sprintf("/wiki/api/v2/blogposts?body-format=storage&limit=250&id=%s,%s,%s,%s", want[0], want[600], other.ID, site.Pages("GEN")[1].ID)
	a := c.get(200, some)
	require.ElementsMatch(t, []string{want[0], want[600], other.ID}, a.column("id"), "a page is no blog post")
	require.EqualValues(t, 3, site.Stats().Bodies)
	for _, row := range a.rows() {
		body, err := site.Body(row["id"].(string))
		require.NoError(t, err)
		require.Equal(t, body, row["body"].(map[string]any)["storage"].(map[string]any)["value"])
		require.NotEmpty(t, body)
	}
	require.Equal(t, []string{"Elsewhere"}, c.get(200, "/wiki/api/v2/blogposts?title=Elsewhere").column("title"))
}

func TestABlogPostAndAPageMayHaveOneTitle(t *testing.T) {
	c, alpha, _ := small(t, Options{})
	post := create(t, c.site, Draft{Kind: KindBlogPost, Space: "ENG", Title: alpha.Title, Body: "<p>news</p>"})
	require.Equal(t, []string{alpha.ID}, c.get(200, "/wiki/api/v2/pages?title=Alpha").column("id"))
	require.Equal(t, []string{post.ID}, c.get(200, "/wiki/api/v2/spaces/"+c.spaceID("ENG")+"/blogposts?title=Alpha").column("id"))
	_, err := c.site.CreatePage(Draft{Kind: KindBlogPost, Space: "ENG", Title: "alpha"})
	require.ErrorIs(t, err, ErrConflict)
}

func TestTheLifeOfABlogPost(t *testing.T) {
	clk := newClock()
	c, alpha, _ := small(t, Options{Now: clk.Now})
	post := create(t, c.site, Draft{Kind: KindBlogPost, Space: "ENG", Title: "News", Body: "<p>one</p>"})
	clk.advance(time.Hour)
	body := "<p>two</p>"
	edited, err := c.site.EditPage(post.ID, Edit{Body: &body})
	require.NoError(t, err)
	require.Equal(t, 2, edited.Version)
	of, at := "/wiki/api/v2/spaces/"+c.spaceID("ENG")+"/blogposts", "/wiki/api/v2/blogposts/"+post.ID
	require.Contains(t, c.get(200, at+"?body-format=storage").raw, "two")
	require.Contains(t, c.get(200, at+"?body-format=storage&version=1").raw, "one")

	require.NoError(t, c.site.Restrict(post.ID, nil, nil))
	require.Empty(t, c.get(200, of).rows())
	c.get(404, at)
	require.NoError(t, c.site.Unrestrict(post.ID))

	require.NoError(t, c.site.TrashPage(post.ID))
	require.Empty(t, c.get(200, of).rows())
	require.Equal(t, []string{post.ID}, c.get(200, of+"?status=current,trashed").column("id"))
	require.Equal(t, trashed, c.get(200, at).body["status"])
	require.NoError(t, c.site.RestorePage(post.ID))
	require.Equal(t, []string{post.ID}, c.get(200, of).column("id"))

	require.ErrorIs(t, c.site.ArchivePage(post.ID), ErrInvalid)
	require.Contains(t, c.get(400, of+"?status=current,archived").title(), "archived")
	require.ErrorIs(t, c.site.MovePage(post.ID, alpha.ID), ErrInvalid)
	require.ErrorIs(t, c.site.MovePage(alpha.ID, post.ID), ErrInvalid)
	_, err = c.site.CreatePage(Draft{ParentID: post.ID, Title: "Below"})
	require.ErrorIs(t, err, ErrInvalid)

	require.NoError(t, c.site.AddSpace("OPS", "Operations"))
	require.NoError(t, c.site.MoveToSpace(post.ID, "OPS"))
	require.Empty(t, c.get(200, of).rows())
	require.Equal(t, []string{post.ID}, c.get(200, "/wiki/api/v2/spaces/"+c.spaceID("OPS")+"/blogposts").column("id"))
	require.NoError(t, c.site.PurgePage(post.ID))
	c.get(404, at)
	require.Empty(t, c.get(200, "/wiki/api/v2/blogposts").rows())
}

func TestSearchTellsBlogPostsFromPages(t *testing.T) {
	c, alpha, _ := small(t, Options{})
	post := create(t, c.site, Draft{Kind: KindBlogPost, Space: "ENG", Title: "News", Labels: []string{"hot"}})
	find := func(cql string) []string {
		return c.get(200, "/wiki/rest/api/content/search?limit=50&cql="+url.QueryEscape(cql)).column("id")
	}
	require.Equal(t, []string{post.ID}, find(`space = "ENG" and type = blogpost`))
	require.NotContains(t, find(`space = "ENG" and type = page`), post.ID)
	both := find(`space = "ENG" and type in (page, blogpost)`)
	require.Contains(t, both, post.ID)
	require.Contains(t, both, alpha.ID)
	require.Equal(t, []string{post.ID}, find(`label = "hot" and type in ("page", "blogpost")`))
}

func TestADraftIsNowhereUntilItIsPublished(t *testing.T) {
	for _, kind := range []struct {
		kind   Kind
		plural string
	}{{KindPage, "pages"}, {KindBlogPost, "blogposts"}} {
		c, _, _ := small(t, Options{})
		d := create(t, c.site, Draft{Kind: kind.kind, Space: "ENG", Title: "Unready", Body: "<p>hush</p>", Status: "draft"})
		list, at := "/wiki/api/v2/spaces/"+c.spaceID("ENG")+"/"+kind.plural, "/wiki/api/v2/"+kind.plural
		search := "/wiki/rest/api/content/search?cql=" + url.QueryEscape(`title = "Unready"`)
		require.NotContains(t, c.get(200, list).column("id"), d.ID)
		require.NotContains(t, c.get(200, list+"?status=current,trashed,deleted").column("id"), d.ID)
		require.Empty(t, c.get(200, at+"?id="+d.ID).rows())
		require.Empty(t, c.get(200, search).rows())
		c.get(400, list+"?status=draft")
		c.get(404, at+"/"+d.ID)
		require.Equal(t, draft, c.get(200, at+"/"+d.ID+"?get-draft=true").body["status"])
		require.Equal(t, draft, c.get(200, at+"/"+d.ID+"?status=draft").body["status"])
		if kind.kind == KindPage {
			require.NotContains(t, c.get(200, "/wiki/api/v2/pages/"+d.ParentID+"/direct-children").column("id"), d.ID)
		}

		require.NoError(t, c.site.PublishPage(d.ID))
		require.ErrorIs(t, c.site.PublishPage(d.ID), ErrConflict)
		require.Contains(t, c.get(200, list).column("id"), d.ID)
		require.Equal(t, []string{d.ID}, c.get(200, search).column("id"))
		require.EqualValues(t, 1, c.get(200, at+"/"+d.ID).body["version"].(map[string]any)["number"])
	}
}

func TestLivePagesAreAPartOfThePages(t *testing.T) {
	c, alpha, _ := small(t, Options{})
	doc := create(t, c.site, Draft{Space: "ENG", Title: "Minutes", Subtype: "live"})
	rows := c.get(200, "/wiki/api/v2/spaces/"+c.spaceID("ENG")+"/pages").rows()
	subtypes := map[any]any{}
	for _, row := range rows {
		subtypes[row["id"]] = row["subtype"]
	}
	require.Equal(t, "live", subtypes[doc.ID])
	require.Nil(t, subtypes[alpha.ID])
	require.Equal(t, []string{doc.ID}, c.get(200, "/wiki/api/v2/pages?subtype=live").column("id"))
	require.NotContains(t, c.get(200, "/wiki/api/v2/pages?subtype=page").column("id"), doc.ID)
	_, err := c.site.CreatePage(Draft{Kind: KindBlogPost, Space: "ENG", Title: "x", Subtype: "live"})
	require.ErrorIs(t, err, ErrInvalid)
}

func TestBlogPostsOverHTTP(t *testing.T) {
	c := serve(t, New(Options{}))
	c.post(200, "/_sandbox/spaces", `{"key":"GEN","pages":5,"blog_posts":3,"seed":4}`)
	list := c.get(200, "/_sandbox/spaces/GEN/pages").body
	require.Len(t, list["pages"], 5)
	require.Len(t, list["blog_posts"], 3)
	d := c.post(201, "/_sandbox/pages", `{"space":"GEN","kind":"blogpost","title":"Soon","status":"draft"}`).page(t)
	require.Equal(t, draft, d.Status)
	require.Equal(t, current, c.post(200, "/_sandbox/pages/"+d.ID+"/publish", ``).page(t).Status)
	c.post(400, "/_sandbox/pages", `{"space":"GEN","title":"Never","status":"archived"}`)
	c.post(409, "/_sandbox/spaces", `{"key":"GEN","pages":5,"blog_posts":3,"seed":4}`)
}

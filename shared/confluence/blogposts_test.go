package confluence_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/failure"
)

// postRow is a row of a list of blog posts, which has fewer fields than a page's row.
const postRow = `{"id":"1001","status":"current","title":"News","spaceId":"42","authorId":"712020:aa-bb","createdAt":"2026-04-30T15:00:00Z",
	"version":{"number":2,"createdAt":"2026-04-30T15:20:00.000Z"},"body":{"storage":{"representation":"storage","value":"<p>new</p>"}},
	"_links":{"webui":"/spaces/ENG/blog/2026/04/30/1001/News","tinyui":"/x/AbC"}}`

func TestSpaceBlogPosts(t *testing.T) {
	f, c := serve(t, byCursor(map[string]string{
		"":  listOf("/wiki/api/v2/spaces/42/blogposts?cursor=b", postRow),
		"b": listOf("", strings.ReplaceAll(postRow, "1001", "1002")),
	}))
	var got []confluence.PageStub
	for stub, err := range c.SpaceBlogPosts(context.Background(), "42") {
		require.NoError(t, err)
		got = append(got, stub)
	}
	made := time.Date(2026, 4, 30, 15, 20, 0, 0, time.UTC)
	require.Equal(t, []confluence.PageStub{
		{ID: "1001", Kind: confluence.KindBlogPost, Version: 2, ModifiedAt: made, Status: "current", Title: "News", WebUI: "/spaces/ENG/blog/2026/04/30/1001/News"},
		{ID: "1002", Kind: confluence.KindBlogPost, Version: 2, ModifiedAt: made, Status: "current", Title: "News", WebUI: "/spaces/ENG/blog/2026/04/30/1002/News"},
	}, got)
	require.Equal(t, "GET /wiki/api/v2/spaces/42/blogposts?limit=250&sort=id&status=current", f.seen()[0], "archived would be refused")

	for _, bad := range []string{strings.Replace(postRow, `"1001"`, `1001`, 1), strings.Replace(postRow, `"number":2`, `"number":0`, 1)} {
		_, c = serve(t, always(200, listOf("", bad)))
		_, err := ids(c.SpaceBlogPosts(context.Background(), "42"))
		var protocol *confluence.ProtocolError
		require.ErrorAs(t, err, &protocol)
	}
	_, err := ids(c.SpaceBlogPosts(context.Background(), "ENG"))
	require.ErrorIs(t, err, confluence.ErrInvalidID)
}

func TestBlogPostsByID(t *testing.T) {
	f, c := serve(t, always(200, listOf("", postRow)))
	statuses := []string{"current", "archived", "trashed"}
	posts, err := c.BlogPostsByID(context.Background(), []string{"1001", "1002"}, confluence.PagesOptions{Body: true, Statuses: statuses})
	require.NoError(t, err)
	require.Len(t, posts, 1)
	require.Equal(t, "<p>new</p>", posts[0].Body)
	require.Equal(t, f.URL+"/wiki/spaces/ENG/blog/2026/04/30/1001/News", posts[0].URL)
	require.Equal(t, []string{"current", "archived", "trashed"}, statuses, "the caller's own")
	u, err := url.Parse(f.seen()[0][len("GET "):])
	require.NoError(t, err)
	require.Equal(t, "/wiki/api/v2/blogposts", u.Path)
	require.Equal(t, url.Values{"id": {"1001,1002"}, "status": {"current,trashed"}, "body-format": {"storage"}, "limit": {"250"}}, u.Query())

	var protocol *confluence.ProtocolError
	_, err = c.BlogPostsByID(context.Background(), []string{"1002"}, confluence.PagesOptions{})
	require.ErrorAs(t, err, &protocol, "one that was not asked for")
	_, c = serve(t, always(200, listOf("", strings.Replace(postRow, `"storage":{`, `"view":{`, 1))))
	_, err = c.BlogPostsByID(context.Background(), []string{"1001"}, confluence.PagesOptions{Body: true})
	require.ErrorAs(t, err, &protocol, "without its body")
	require.Equal(t, "1001", protocol.ObjectID)
	_, err = c.BlogPostsByID(context.Background(), []string{"x"}, confluence.PagesOptions{})
	require.ErrorIs(t, err, confluence.ErrInvalidID)
}

func TestGetBlogPostByID(t *testing.T) {
	f, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/labels") {
			reply(w, 200, listOf("", `{"id":"1","name":"hot","prefix":"global"}`))
			return
		}
		reply(w, 200, postRow)
	})
	p, err := c.GetBlogPostByID(context.Background(), "1001", "body,labels,ancestors")
	require.NoError(t, err)
	require.Equal(t, []any{"<p>new</p>", 2, confluence.KindBlogPost, "42"}, []any{p.Body, p.Version, p.Kind, p.SpaceID})
	require.Equal(t, []confluence.Label{{ID: "1", Name: "hot", Prefix: "global"}}, p.Labels)
	require.Equal(t, []string{
		"GET /wiki/api/v2/blogposts/1001?body-format=storage", "GET /wiki/api/v2/blogposts/1001/labels?limit=250",
	}, f.seen(), "nothing is above a blog post")

	_, c = serve(t, always(404, errorV2(404, "NOT_FOUND", "Cannot find a blog post with id [1001]")))
	_, err = c.GetBlogPostByID(context.Background(), "1001", "")
	var missing *confluence.NotFoundError
	require.ErrorAs(t, err, &missing)
	require.Equal(t, []any{confluence.KindBlogPost, "1001", failure.NotFound}, []any{missing.Kind, missing.ID, failure.CodeOf(err)})
	_, c = serve(t, always(404, errorV2(404, "NOT_FOUND", "Not Found")))
	_, err = c.GetBlogPostByID(context.Background(), "1001", "")
	require.Equal(t, failure.Unauthorized, failure.CodeOf(err), "a refused credential is no missing blog post")
	_, err = c.GetBlogPostByID(context.Background(), "x", "")
	require.ErrorIs(t, err, confluence.ErrInvalidID)
	_, err = c.GetBlogPostByID(context.Background(), "1001", "history")
	require.ErrorIs(t, err, confluence.ErrInvalidArgument)
}

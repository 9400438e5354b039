package sandbox

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCommentsChange(t *testing.T) {
	clk := newClock()
	c, alpha, _ := small(t, Options{Now: clk.Now})
	post := create(t, c.site, Draft{Kind: KindBlogPost, Space: "ENG", Title: "News", Body: "<p>n</p>"})
	note := func(on string, n Comment) string {
		id, err := c.site.AddComment(on, n)
		require.NoError(t, err)
		return id
	}
	changed := func(more string) []string {
		return c.get(200, "/wiki/rest/api/content/search?expand=version&cql="+url.QueryEscape("type = comment and space = ENG"+more+" order by id asc")).column("id")
	}
	const recent = ` and lastModified >= now("-5m")`
	at := "/wiki/api/v2/"
	footer := note(alpha.ID, Comment{Body: "<p>1</p>"})
	reply := note(alpha.ID, Comment{Body: "<p>2</p>", ParentID: footer})
	inline := note(alpha.ID, Comment{Body: "<p>3</p>", Inline: true, Selection: "first", MarkerRef: "m"})
	onPost := note(post.ID, Comment{Body: "<p>4</p>"})
	clk.advance(time.Hour)
	require.Equal(t, []string{footer, reply, onPost}, c.get(200, at+"footer-comments?sort=created-date").column("id"), "of the whole site, replies included")
	require.Equal(t, []string{footer, reply, onPost}, c.walk(at+"footer-comments?limit=1", "id"))
	require.Equal(t, []string{inline}, c.get(200, at+"inline-comments").column("id"))
	require.Equal(t, []string{onPost}, c.get(200, at+"blogposts/"+post.ID+"/footer-comments").column("id"))
	require.Equal(t, post.ID, c.get(200, at+"footer-comments/"+onPost).body["blogPostId"])
	require.Equal(t, footer, c.get(200, at+"footer-comments/"+reply).body["parentCommentId"])
	c.get(404, at+"inline-comments/"+footer)
	require.Empty(t, changed(recent))
	require.Len(t, changed(""), 4)

	require.NoError(t, c.site.EditComment(reply, "<p>2b</p>"))
	require.Equal(t, []string{reply}, changed(recent))
	require.EqualValues(t, 2, c.get(200, at+"footer-comments/"+reply).body["version"].(map[string]any)["number"])
	require.ErrorIs(t, c.site.ResolveComment(footer, true, false), ErrInvalid)
	require.NoError(t, c.site.ResolveComment(inline, true, false))
	require.Equal(t, "resolved", c.get(200, at+"inline-comments/"+inline).body["resolutionStatus"])
	require.Empty(t, c.get(200, at+"pages/"+alpha.ID+"/inline-comments?resolution-status=open,reopened").rows())
	require.NoError(t, c.site.ResolveComment(inline, false, true))
	require.Equal(t, "reopened", c.get(200, at+"inline-comments/"+inline).body["resolutionStatus"])
	clk.advance(time.Hour)
	require.NoError(t, c.site.ResolveComment(inline, true, true))
	require.Empty(t, changed(recent), "what was quiet is in no index")

	row := c.get(200, "/wiki/rest/api/content/search?expand=version,ancestors,container,extensions.resolution&cql="+url.QueryEscape("type = comment and id in ("+reply+")")).rows()[0]
	require.Equal(t, alpha.ID, row["container"].(map[string]any)["id"])
	require.Equal(t, footer, row["ancestors"].([]any)[0].(map[string]any)["id"])

	require.NoError(t, c.site.DeleteComment(footer))
	c.get(404, at+"footer-comments/"+footer)
	require.Equal(t, []string{reply}, c.get(200, at+"pages/"+alpha.ID+"/footer-comments").column("id"), "its replies move up")
	require.NoError(t, c.site.TrashComment(reply))
	require.Empty(t, c.get(200, at+"pages/"+alpha.ID+"/footer-comments").rows())
	require.Equal(t, "trashed", c.get(200, at+"footer-comments/"+reply).body["status"])
	require.ErrorIs(t, c.site.EditComment(reply, "<p/>"), ErrNotFound)

	require.NoError(t, c.site.Restrict(alpha.ID, nil, nil))
	c.get(404, at+"inline-comments/"+inline)
	require.Equal(t, []string{onPost}, changed(""))
	require.NoError(t, c.site.TrashPage(post.ID))
	require.Empty(t, c.get(200, at+"footer-comments").rows(), "comments leave the lists with what they are on")
	c.get(200, at+"footer-comments/"+onPost)
}

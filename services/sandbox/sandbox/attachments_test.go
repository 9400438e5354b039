package sandbox

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// location sends one request and returns where it leads.
func (c *caller) location(path string) string {
	c.t.Helper()
	res, err := http.DefaultTransport.RoundTrip(c.request(http.MethodGet, path, ""))
	require.NoError(c.t, err)
	require.NoError(c.t, res.Body.Close())
	require.Equal(c.t, http.StatusFound, res.StatusCode)
	return res.Header.Get("Location")
}

// media requests a file's address with the headers, without the site's credential.
func (c *caller) media(address string, headers ...string) answer {
	c.t.Helper()
	req, err := http.NewRequest(http.MethodGet, address, nil)
	require.NoError(c.t, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return c.do(req)
}

func TestAttachmentsAreOnAnotherHost(t *testing.T) {
	c := builtin(t)
	files := c.get(200, "/wiki/api/v2/pages/65611/attachments")
	require.Equal(t, []string{"reading-path.png", "regions.svg"}, files.column("title"))
	require.Equal(t, []string{"image/png", "image/svg+xml"}, files.column("mediaType"))
	require.Len(t, c.get(200, "/wiki/api/v2/pages/65611/attachments?filename=regions.svg").rows(), 1)
	c.get(401, "/wiki"+files.column("downloadLink")[0])

	path := "/wiki/rest/api/content/65611/child/attachment/" + files.column("id")[1] + "/download"
	at := c.location(path)
	require.NotContains(t, at, c.url, "another host")
	require.Contains(t, at, "token=")
	file := c.get(200, path) // Go's client leaves the credential behind when the host changes
	require.Len(t, file.raw, int(files.rows()[1]["fileSize"].(float64)))
	require.Contains(t, file.raw, "no reading crosses these lines")
	require.Equal(t, 400, c.media(at, "Authorization", "Basic eDp5").status, "the credential was taken along")
	require.Equal(t, 403, c.media(strings.Replace(at, "token=", "token=x", 1)).status)
	require.Equal(t, 403, c.media(strings.Replace(at, "/file/", "/file/0", 1)).status, "a token opens one file")
	req := c.request(http.MethodGet, path, "")
	req.Header.Del("Authorization")
	require.Equal(t, 403, c.do(req).status)
	c.site.ExpireMedia()
	require.Equal(t, 403, c.media(at).status)
	require.Equal(t, 200, c.media(c.location(path)).status)
	c.get(404, "/wiki/rest/api/content/65610/child/attachment/"+files.column("id")[1]+"/download")
}

// Go's own client keeps the credential when only the port changes.
func TestTheMediaHostHasAPortOfItsOwn(t *testing.T) {
	site := New(Options{})
	site.AddBuiltin()
	served, err := Serve("127.0.0.1:0", site)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, served.Close()) })
	c := &caller{t: t, site: site, url: served.URL}
	path := "/wiki/rest/api/content/65707/child/attachment/att6570700/download"
	c.get(400, path)
	require.True(t, strings.HasPrefix(c.media(c.location(path)).raw, "%PDF"))
}

func TestARangeOfAFile(t *testing.T) {
	c, alpha, _ := small(t, Options{})
	id, err := c.site.AddAttachment(alpha.ID, Attachment{Name: "a.txt", Content: []byte("0123456789")})
	require.NoError(t, err)
	at := c.location("/wiki/rest/api/content/" + alpha.ID + "/child/attachment/" + id + "/download")
	whole := c.media(at)
	part := c.media(at, "Range", "bytes=4-", "If-Range", whole.header.Get("ETag"))
	require.Equal(t, []any{206, "456789", "bytes 4-9/10"}, []any{part.status, part.raw, part.header.Get("Content-Range")})
	require.Equal(t, 200, c.media(at, "Range", "bytes=4-", "If-Range", `"other"`).status, "another file than before")
	require.Equal(t, 416, c.media(at, "Range", "bytes=10-").status)

	require.NoError(t, c.site.SetFaults(1, Fault{Kind: FaultResetBody, Route: mediaRoute, Times: 1}))
	req, err := http.NewRequest(http.MethodGet, at, nil)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.Equal(t, []any{int64(10), whole.header.Get("ETag")}, []any{res.ContentLength, res.Header.Get("ETag")})
	require.NoError(t, res.Body.Close())
	require.EqualValues(t, 1, c.site.Stats().Faults[string(FaultResetBody)])
}

func TestAttachmentsChange(t *testing.T) {
	clk := newClock()
	c, alpha, beta := small(t, Options{Now: clk.Now})
	post := create(t, c.site, Draft{Kind: KindBlogPost, Space: "ENG", Title: "News", Body: "<p>n</p>"})
	add := func(on, name string) string {
		id, err := c.site.AddAttachment(on, Attachment{Name: name, MediaType: "text/plain", Content: []byte(name)})
		require.NoError(t, err)
		return id
	}
	changed := func(more string) []string {
		return c.get(200, "/wiki/rest/api/content/search?expand=version,container&cql="+url.QueryEscape("type = attachment and space = ENG"+more+" order by id asc")).column("id")
	}
	const recent = ` and lastModified >= now("-5m")`
	at := "/wiki/api/v2/"
	a, b, onPost := add(alpha.ID, "a.txt"), add(alpha.ID, "b.txt"), add(post.ID, "c.txt")
	clk.advance(time.Hour)
	require.Equal(t, []string{a, b, onPost}, c.get(200, at+"attachments").column("id"), "of the whole site")
	require.Equal(t, []string{a, b, onPost}, c.walk(at+"attachments?limit=1&sort=created-date", "id"))
	require.Equal(t, []string{onPost, b, a}, c.walk(at+"attachments?limit=1&sort=-modified-date", "id"))
	c.get(400, at+"attachments?sort=title")
	c.get(400, at+"attachments?status=gone")
	require.Equal(t, []string{onPost}, c.get(200, at+"blogposts/"+post.ID+"/attachments").column("id"))
	require.Equal(t, post.ID, c.get(200, at+"attachments/"+onPost).body["blogPostId"])
	require.Empty(t, changed(recent))
	require.Equal(t, []string{a, b, onPost}, changed(""))

	version := func(id string) any {
		return c.get(200, at+"attachments/"+id).body["version"].(map[string]any)["number"]
	}
	file := func(id string) any { return c.get(200, at+"attachments/"+id).body["fileId"] }
	before := file(a)
	require.NoError(t, c.site.ReplaceAttachment(a, []byte("other")))
	require.Equal(t, []string{a}, changed(recent))
	require.EqualValues(t, 2, version(a))
	require.NotEqual(t, before, file(a))
	before = file(a)
	require.NoError(t, c.site.RenameAttachment(a, "z.txt"))
	require.EqualValues(t, 3, version(a))
	require.Equal(t, before, file(a))
	download := "/wiki/rest/api/content/" + alpha.ID + "/child/attachment/" + a + "/download"
	require.Equal(t, "other", c.get(200, download).raw)
	require.Equal(t, "a.txt", c.get(200, download+"?version=1").raw)
	c.get(400, download+"?version=4")
	row := c.get(200, "/wiki/rest/api/content/search?expand=version,container&cql="+url.QueryEscape("type = attachment and title = z.txt")).rows()[0]
	require.Equal(t, []any{a, alpha.ID}, []any{row["id"], row["container"].(map[string]any)["id"]})

	require.NoError(t, c.site.MoveAttachment(a, beta.ID))
	require.Equal(t, beta.ID, c.get(200, at+"attachments/"+a).body["pageId"])
	require.NoError(t, c.site.TrashAttachment(a))
	require.Empty(t, c.get(200, at+"pages/"+beta.ID+"/attachments").rows())
	require.Equal(t, "trashed", c.get(200, at+"attachments/"+a).body["status"])
	c.get(404, "/wiki/rest/api/content/"+beta.ID+"/child/attachment/"+a+"/download")
	require.NoError(t, c.site.RestoreAttachment(a))
	require.NoError(t, c.site.PurgeAttachment(a))
	c.get(404, at+"attachments/"+a)
	require.ErrorIs(t, c.site.RenameAttachment(a, "y"), ErrNotFound)

	require.NoError(t, c.site.Restrict(alpha.ID, nil, nil))
	c.get(404, at+"attachments/"+b)
	require.Equal(t, []string{onPost}, changed(""))
	require.NoError(t, c.site.TrashPage(post.ID))
	require.Empty(t, c.get(200, at+"attachments").rows(), "attachments leave the lists with what they are on")
	require.NoError(t, c.site.PurgePage(post.ID))
	c.get(404, at+"attachments/"+onPost)
}

func TestControlOfAttachments(t *testing.T) {
	c, alpha, _ := small(t, Options{})
	c.post(200, "/_sandbox/pages/"+alpha.ID+"/attach", `{"attachment":{"name":"a.txt","content":"aGk="}}`)
	id := c.get(200, "/wiki/api/v2/attachments").column("id")[0]
	c.post(204, "/_sandbox/attachments/"+id+"/replace", `{"attachment":{"content":"aG8="}}`)
	c.post(204, "/_sandbox/attachments/"+id+"/rename", `{"attachment":{"name":"b.txt"}}`)
	require.Equal(t, "ho", c.get(200, "/wiki/rest/api/content/"+alpha.ID+"/child/attachment/"+id+"/download").raw)
	c.post(204, "/_sandbox/attachments/"+id+"/trash", "")
	c.post(204, "/_sandbox/attachments/"+id+"/purge", "")
	c.post(404, "/_sandbox/attachments/"+id+"/purge", "")
	c.post(204, "/_sandbox/media/expire", "")
}

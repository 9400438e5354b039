// Package clienttest tests the client of shared/confluence against the stand-in: whatever the stand-in does, the
// client returns everything or an error.
package clienttest

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	email  = "reader@example.org"
	canary = "ATATT3xSluiceCanarySluiceCanary=0A1B2C3D" // the token of all tests here; it must never appear anywhere
)

// deep is the depth of the tree: more than one response of ancestors contains.
const deep = 254

// many is more than one response contains.
const many = 260

// world is a served site whose lists are all longer than one response.
type world struct {
	site    *sandbox.Site
	url     string
	space   string           // id of TREE
	chain   []string         // pages, each below the one before it
	folder  string           // in the middle of the chain
	posts   []string         // blog posts
	crowd   string           // the id of a group of many
	closed  string           // a page that many people are restricted to
	file    string           // an attachment of the lowest page
	thread  string           // an inline comment of the lowest page, with a reply to it and one to that
	people  []string         // account ids
	truths  map[string]truth // per read, of the unchanged site
	changed bool             // the site was changed
	handler atomic.Pointer[http.Handler]
	close   func()
}

// made is the time of every creation. The site's clock stands still, so that all worlds are the same.
var made = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{truths: map[string]truth{}}
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		(*w.handler.Load()).ServeHTTP(rw, r)
	}))
	w.url, w.close = srv.URL, srv.Close
	w.renew(tb)
	space, err := w.client(tb).SpaceByKey(tb.Context(), "TREE")
	require.NoError(tb, err)
	w.space = space.ID
	return w
}

// renew recreates the site at the same address.
func (w *world) renew(tb testing.TB) {
	tb.Helper()
	w.site = sandbox.New(sandbox.Options{Email: email, Token: canary, Now: func() time.Time { return made }})
	w.people, w.chain, w.posts, w.changed = nil, nil, nil, false
	for i := range many {
		id := fmt.Sprintf("712020:%08d-0000-4000-8000-000000000000", i)
		w.site.AddUser(sandbox.User{AccountID: id, DisplayName: fmt.Sprintf("Person %d", i), TimeZone: "Europe/Oslo"})
		w.people = append(w.people, id)
	}
	require.NoError(tb, w.site.AddSpace("OTHER", "Another space"))
	w.page(tb, sandbox.Draft{Space: "OTHER", Title: "Not asked for"})
	require.NoError(tb, w.site.AddSpace("TREE", "A deep tree"))
	above := ""
	for i := range deep {
		d := sandbox.Draft{Space: "TREE", ParentID: above, Title: fmt.Sprintf("Page %d", i), Body: fmt.Sprintf("<p>text %d &amp; more</p>", i)}
		above = w.page(tb, d)
		w.chain = append(w.chain, above)
		if i == deep/2 {
			above = w.page(tb, sandbox.Draft{Kind: sandbox.KindFolder, ParentID: above, Title: "Folder"})
			w.folder = above
		}
	}
	for i := range many {
		d := sandbox.Draft{Kind: sandbox.KindBlogPost, Space: "TREE", Title: fmt.Sprintf("Page %d", i), Body: fmt.Sprintf("<p>news %d</p>", i), Labels: []string{"news"}}
		w.posts = append(w.posts, w.page(tb, d))
	}
	w.crowd = w.site.GroupID(sandbox.UsersGroup)
	w.decorate(tb)
	w.admit(tb)
	handler := w.site.Handler()
	w.handler.Store(&handler)
}

func (w *world) page(tb testing.TB, d sandbox.Draft) string {
	tb.Helper()
	p, err := w.site.CreatePage(d)
	require.NoError(tb, err)
	return p.ID
}

func (w *world) leaf() string { return w.chain[deep-1] }

// decorate gives the lowest page labels, attachments and comment threads, and creates a restricted page.
func (w *world) decorate(tb testing.TB) {
	tb.Helper()
	var labels []string
	for i := range many {
		labels = append(labels, fmt.Sprintf("label-%03d", i))
		id, err := w.site.AddAttachment(w.leaf(), sandbox.Attachment{Name: fmt.Sprintf("file %d.png", i), MediaType: "image/png", Size: int64(1000 + i)})
		require.NoError(tb, err)
		if i == 0 {
			w.file = id
		}
	}
	require.NoError(tb, w.site.SetLabels(w.leaf(), labels...))
	at := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	for i := range 8 {
		inline, parent := i >= 5, ""
		for depth := range 1 + i%3 {
			at = at.Add(time.Minute)
			id, err := w.site.AddComment(w.leaf(), sandbox.Comment{
				ParentID: parent, Inline: inline, At: at, Body: fmt.Sprintf("<p>%d.%d</p>", i, depth), MarkerRef: "m-" + strconv.Itoa(i),
			})
			require.NoError(tb, err)
			parent = id
			if w.thread == "" && inline && i%3 == 2 {
				w.thread = id // the first of an inline comment with two replies
			}
		}
	}
	w.closed = w.page(tb, sandbox.Draft{Space: "TREE", Title: "Restricted"})
	// The API user's account is not in the list of people; it has access by a group.
	require.NoError(tb, w.site.Restrict(w.closed, w.people[:230], []string{"confluence-users", "staff"}))
}

// admit gives the space readers by permissions and by roles, and the site groups.
func (w *world) admit(tb testing.TB) {
	tb.Helper()
	readers := []sandbox.Reader{{Kind: sandbox.ReaderAll, Role: true}}
	for i, id := range w.people {
		readers = append(readers, sandbox.Reader{Kind: sandbox.ReaderUser, ID: id}, sandbox.Reader{Kind: sandbox.ReaderUser, ID: id, Role: true})
		require.NoError(tb, w.site.SetGroup(sandbox.Group{Name: fmt.Sprintf("admins %d", i), Access: "admin"}))
	}
	require.NoError(tb, w.site.SetRoleMode(sandbox.RolesTransition))
	require.NoError(tb, w.site.SetSpaceReaders("TREE", readers...))
}

// client returns a client that does not wait: a second of the site is a millisecond.
func (w *world) client(tb testing.TB, more ...confluence.Option) *confluence.Client {
	tb.Helper()
	c, err := confluence.New(w.url, email, secret.New(canary), append([]confluence.Option{
		confluence.WithInsecureHTTP(), confluence.WithRate(math.Inf(1), 1), confluence.WithTransport(hasty{}),
		confluence.WithRetryDelays(50*time.Microsecond, 50*time.Microsecond, 50*time.Microsecond),
		confluence.WithMaxWait(20 * time.Millisecond), confluence.WithTimeout(20 * time.Second),
	}, more...)...)
	require.NoError(tb, err)
	return c
}

// hasty is a transport that turns each second of Retry-After into a millisecond. It keeps no connections: net/http
// repeats a request by itself if a kept connection breaks, so a schedule would depend on which connection was kept.
type hasty struct{}

var oneCall = &http.Transport{DisableKeepAlives: true}

func (hasty) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := oneCall.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if s, err := strconv.ParseFloat(res.Header.Get("Retry-After"), 64); err == nil {
		res.Header.Set("Retry-After", strconv.FormatFloat(s/1000, 'f', -1, 64))
	}
	return res, nil
}

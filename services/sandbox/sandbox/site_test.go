package sandbox

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// clock is a settable time source.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// caller calls a served site.
type caller struct {
	t    *testing.T
	site *Site
	url  string
}

// answer is the site's answer.
type answer struct {
	status int
	header http.Header
	raw    string
	body   map[string]any
}

func serve(t *testing.T, site *Site) *caller {
	t.Helper()
	srv := httptest.NewServer(site.Handler())
	t.Cleanup(srv.Close)
	return &caller{t: t, site: site, url: srv.URL}
}

// builtin serves the built-in space.
func builtin(t *testing.T) *caller {
	t.Helper()
	site := New(Options{})
	site.AddBuiltin()
	return serve(t, site)
}

// small serves the space ENG, whose homepage has the child "Alpha", which has "Beta".
func small(t *testing.T, o Options) (c *caller, alpha, beta Page) {
	t.Helper()
	site := New(o)
	require.NoError(t, site.AddSpace("ENG", "Engineering"))
	alpha = create(t, site, Draft{Space: "ENG", Title: "Alpha", Body: "<p>first</p>"})
	beta = create(t, site, Draft{ParentID: alpha.ID, Title: "Beta", Body: "<p>second</p>"})
	return serve(t, site), alpha, beta
}

func create(t *testing.T, site *Site, d Draft) Page {
	t.Helper()
	p, err := site.CreatePage(d)
	require.NoError(t, err)
	return p
}

// do sends a request unchanged.
func (c *caller) do(req *http.Request) answer {
	c.t.Helper()
	res, err := http.DefaultClient.Do(req)
	require.NoError(c.t, err)
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	require.NoError(c.t, err)
	a := answer{status: res.StatusCode, header: res.Header, raw: string(raw)}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") {
		require.NoError(c.t, json.Unmarshal(raw, &a.body), a.raw)
	}
	return a
}

func (c *caller) request(method, path, body string) *http.Request {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, strings.NewReader(body))
	require.NoError(c.t, err)
	req.SetBasicAuth(DefaultEmail, DefaultToken)
	return req
}

// get calls with the valid credential and expects the status.
func (c *caller) get(status int, path string) answer {
	c.t.Helper()
	a := c.do(c.request(http.MethodGet, path, ""))
	require.Equal(c.t, status, a.status, "%s: %s", path, a.raw)
	return a
}

func (c *caller) post(status int, path, body string) answer {
	c.t.Helper()
	a := c.do(c.request(http.MethodPost, path, body))
	require.Equal(c.t, status, a.status, "%s: %s", path, a.raw)
	return a
}

func (a answer) rows() []map[string]any {
	out := []map[string]any{}
	list, _ := a.body["results"].([]any)
	for _, row := range list {
		out = append(out, row.(map[string]any))
	}
	return out
}

// column is the values of one key in every row.
func (a answer) column(key string) []string {
	out := []string{}
	for _, row := range a.rows() {
		s, _ := row[key].(string)
		out = append(out, s)
	}
	return out
}

func (a answer) next() string {
	l, _ := a.body["_links"].(map[string]any)
	next, _ := l["next"].(string)
	return next
}

// title is the title of the first error of a v2 answer.
func (a answer) title() string {
	errs, _ := a.body["errors"].([]any)
	if len(errs) == 0 {
		return ""
	}
	title, _ := errs[0].(map[string]any)["title"].(string)
	return title
}

func (c *caller) spaceID(key string) string {
	c.t.Helper()
	ids := c.get(200, "/wiki/api/v2/spaces?keys="+key).column("id")
	require.Len(c.t, ids, 1)
	return ids[0]
}

// walk follows a list to its end and returns the values of one key in every row.
func (c *caller) walk(path, key string) []string {
	c.t.Helper()
	var out []string
	for range 10_000 {
		a := c.get(200, path)
		out = append(out, a.column(key)...)
		if path = a.next(); path == "" {
			return out
		}
	}
	c.t.Fatal("the walk does not end")
	return nil
}

package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// faulty serves 60 generated pages with the fault set on the list of pages.
func faulty(t *testing.T, o Options, f Fault) *caller {
	t.Helper()
	site := New(o)
	site.AddGenerated("GEN", 60, 1)
	f.Route = cmpOr(f.Route, "/wiki/api/v2/pages")
	if f.Kind != "" {
		require.NoError(t, site.SetFaults(1, f))
	}
	return serve(t, site)
}

// raw sends the request and returns the answer without parsing it.
func (c *caller) raw(path string) (status int, header http.Header, body string, err error) {
	c.t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	res, err := transport.RoundTrip(c.request(http.MethodGet, path, ""))
	if err != nil {
		return 0, nil, "", err
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	return res.StatusCode, res.Header, string(raw), err
}

const listed = "/wiki/api/v2/pages?limit=25"

func TestFaultTooManyRequests(t *testing.T) {
	clk := newClock()
	c := faulty(t, Options{Now: clk.Now}, Fault{Kind: FaultTooMany, RetryAfter: 1847, Times: 1})
	a := c.get(429, listed)
	require.Equal(t, "1847", a.header.Get("Retry-After"))
	require.Equal(t, "2026-06-01T12:30:47Z", a.header.Get("X-RateLimit-Reset"))
	require.Equal(t, "confluence-quota-global-based", a.header.Get("RateLimit-Reason"))
	require.Equal(t, `"global-app-quota";q=65000;w=3600`, a.header.Get("Beta-RateLimit-Policy"))
	c.get(200, listed)

	edge := faulty(t, Options{Now: clk.Now}, Fault{Kind: FaultTooMany})
	a = edge.get(429, listed)
	require.Empty(t, a.header.Get("Retry-After"))
	require.Equal(t, "2026-06-01T12:01Z", a.header.Get("X-RateLimit-Reset"), "without seconds")
	require.Equal(t, "FAILURE CLIENT RATE LIMITED", a.header.Get("X-Failure-Category"))
}

func TestFaultServerErrors(t *testing.T) {
	for _, status := range []int{500, 502, 503, 504} {
		c := faulty(t, Options{}, Fault{Kind: FaultServer, Status: status, RetryAfter: 7})
		a := c.get(status, listed)
		require.Equal(t, "text/html", a.header.Get("Content-Type"))
		require.Equal(t, "7", a.header.Get("Retry-After"))
	}
	faulty(t, Options{}, Fault{Kind: FaultServer}).get(500, listed)
}

func TestFaultReset(t *testing.T) {
	c := faulty(t, Options{}, Fault{Kind: FaultReset, Times: 1})
	_, _, _, err := c.raw(listed)
	require.Error(t, err)
	c.get(200, listed)
}

func TestFaultResetInTheBody(t *testing.T) {
	c := faulty(t, Options{}, Fault{Kind: FaultResetBody, Times: 1})
	status, _, body, err := c.raw(listed)
	require.Equal(t, 200, status)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.NotEmpty(t, body)
}

func TestFaultTruncatedJSON(t *testing.T) {
	c := faulty(t, Options{}, Fault{Kind: FaultTruncated})
	status, header, body, err := c.raw(listed)
	require.NoError(t, err, "the length fits")
	require.Equal(t, 200, status)
	require.Equal(t, "application/json", header.Get("Content-Type"))
	require.False(t, json.Valid([]byte(body)))
}

func TestFaultHTMLWithStatus200(t *testing.T) {
	status, header, body, err := faulty(t, Options{}, Fault{Kind: FaultHTML}).raw(listed)
	require.NoError(t, err)
	require.Equal(t, 200, status)
	require.Contains(t, header.Get("Content-Type"), "text/html")
	require.Contains(t, body, "Log in")
}

func TestFaultSlow(t *testing.T) {
	c := faulty(t, Options{}, Fault{Kind: FaultSlow, DelayMS: 40})
	began := time.Now()
	require.Len(t, c.get(200, listed).rows(), 25)
	require.GreaterOrEqual(t, time.Since(began), 40*time.Millisecond)
}

func TestFaultShortPagesLoseNothing(t *testing.T) {
	c := faulty(t, Options{}, Fault{Kind: FaultShortPage})
	a := c.get(200, listed)
	require.Len(t, a.rows(), 12)
	require.Contains(t, a.next(), "limit=25", "the next page is asked for as before")
	require.Contains(t, a.header.Get("Link"), a.next())
	require.Len(t, unique(c.walk(listed, "id")), 60)
}

func TestFaultShortPagesOfSearch(t *testing.T) {
	c := faulty(t, Options{}, Fault{Kind: FaultShortPage, Route: "/wiki/rest/api/content/search", Times: 1})
	a := find(c, 200, "type = page")
	require.Len(t, a.rows(), 12)
	b := c.get(200, "/wiki"+a.next())
	require.Len(t, b.rows(), 25)
	require.Len(t, unique(a.column("id"), b.column("id")), 37)
}

func TestFaultRepeatedCursor(t *testing.T) {
	c := faulty(t, Options{}, Fault{Kind: FaultRepeatCursor, After: 1, Times: 1})
	second := c.get(200, listed).next()
	a := c.get(200, second)
	require.Len(t, a.rows(), 25)
	require.Equal(t, second, a.next(), "it leads to itself")
	require.Contains(t, a.header.Get("Link"), `<`+second+`>; rel="next", <`+c.url+`/wiki>; rel="base"`)
	require.Equal(t, a.column("id"), c.get(200, a.next()).column("id"))
}

func TestFaultEmptyPageWithNext(t *testing.T) {
	c := faulty(t, Options{}, Fault{Kind: FaultEmptyPage, After: 1, Times: 1})
	a := c.get(200, c.get(200, listed).next())
	require.Empty(t, a.rows())
	require.NotEmpty(t, a.next())
	require.Len(t, c.get(200, a.next()).rows(), 25)

	search := faulty(t, Options{}, Fault{Kind: FaultEmptyPage, Route: "/wiki/rest/api/content/search", Times: 1})
	a = find(search, 200, "type = page")
	require.Empty(t, a.rows())
	require.Len(t, search.get(200, "/wiki"+a.next()).rows(), 25)
}

func TestFaultEndlessNext(t *testing.T) {
	for _, route := range []string{"/wiki/api/v2/pages", "/wiki/rest/api/content/search"} {
		c := faulty(t, Options{}, Fault{Kind: FaultEndlessNext, Route: route})
		path, prefix, seen := route+"?limit=25&cql="+url.QueryEscape("type = page"), "", 0
		if route != "/wiki/api/v2/pages" {
			prefix = "/wiki"
		}
		for range 6 {
			a := c.get(200, path)
			seen += len(a.rows())
			require.NotEmpty(t, a.next(), route)
			path = prefix + a.next()
		}
		require.Equal(t, 60, seen)
	}
}

func TestFaultDeadToken(t *testing.T) {
	c := faulty(t, Options{}, Fault{Kind: FaultDeadToken, Route: "*", After: 2})
	first := c.site.Pages("GEN")[0].ID
	c.get(200, "/wiki/api/v2/pages/"+first)
	c.get(200, "/wiki/rest/api/user/current")
	require.Equal(t, "Not Found", c.get(404, "/wiki/api/v2/pages/"+first).title(), "it looks as if the page were gone")
	require.Equal(t, "Not Found", c.get(404, listed).title())
	c.get(403, "/wiki/rest/api/user/current")
}

func TestFaultScope(t *testing.T) {
	a := faulty(t, Options{}, Fault{Kind: FaultScope}).get(401, listed)
	require.JSONEq(t, `{"code":401,"message":"Unauthorized; scope does not match"}`, a.raw)
}

func TestFaultLostPermission(t *testing.T) {
	c := faulty(t, Options{}, Fault{})
	pages := c.site.Pages("GEN")
	top := pages[1].ID
	require.NoError(t, c.site.SetFaults(1, Fault{Kind: FaultLostTree, Route: "/wiki/api/v2/pages", After: 1, PageID: top}))
	require.Len(t, c.get(200, "/wiki/api/v2/pages?limit=250").rows(), 60)
	left := c.get(200, "/wiki/api/v2/pages?limit=250").column("id")
	require.Less(t, len(left), 59)
	require.NotContains(t, left, top)
	c.get(404, "/wiki/api/v2/pages/"+top)
	require.NoError(t, c.site.SetFaults(0))
	c.get(200, "/wiki/api/v2/pages/"+top)
}

func TestFaultLimitTooBig(t *testing.T) {
	c := faulty(t, Options{}, Fault{Kind: FaultGatewayLimits, MaxLimit: 50})
	c.get(504, "/wiki/api/v2/pages?limit=100")
	c.get(200, "/wiki/api/v2/pages?limit=50")
}

// outcomes calls each of some addresses three times and returns which calls failed.
func outcomes(c *caller, order []int) map[int][]int {
	out := map[int][]int{}
	pages := c.site.Pages("GEN")
	for range 3 {
		for _, i := range order {
			a := c.do(c.request(http.MethodGet, "/wiki/api/v2/pages/"+pages[i].ID, ""))
			out[i] = append(out[i], a.status)
		}
	}
	return out
}

func TestFaultsFollowFromTheSeed(t *testing.T) {
	f := Fault{Kind: FaultServer, Status: 503, Rate: 0.3, Route: "/wiki/api/v2/pages/{id}"}
	forth, back := make([]int, 60), make([]int, 60)
	for i := range forth {
		forth[i], back[i] = i, 59-i
	}
	one := outcomes(faulty(t, Options{}, f), forth)
	require.Equal(t, one, outcomes(faulty(t, Options{}, f), back), "in whatever order calls come")

	failed := 0
	for _, statuses := range one {
		for _, s := range statuses {
			if s == 503 {
				failed++
			}
		}
	}
	require.InDelta(t, 0.3*180, failed, 25)

	other := faulty(t, Options{}, Fault{})
	require.NoError(t, other.site.SetFaults(2, f))
	require.NotEqual(t, one, outcomes(other, forth), "another seed, other calls")
}

func TestFaultsOverHTTP(t *testing.T) {
	c := faulty(t, Options{}, Fault{})
	require.NoError(t, c.site.SetFaults(0))
	a := c.post(200, "/_sandbox/faults", `{"seed":9,"faults":[{"kind":"server-error","status":502,"route":"/wiki/api/v2/*","times":2},{"kind":"scope","times":1}]}`)
	require.Len(t, a.body["faults"], 2)
	c.get(502, listed)
	c.get(502, "/wiki/api/v2/spaces")
	c.get(401, listed)
	c.get(200, listed)
	require.Equal(t, map[string]int64{"server-error": 2, "scope": 1}, c.site.Stats().Faults)
	require.Len(t, c.get(200, "/_sandbox/faults").body["faults"], 2)
	req := c.request(http.MethodDelete, "/_sandbox/faults", "")
	require.Empty(t, c.do(req).body["faults"])
}

func TestFaultsFromTheStart(t *testing.T) {
	start := func(faults string) (int, string) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		env := map[string]string{"SANDBOX_ADDR": "127.0.0.1:0", "HEALTH_ADDR": "127.0.0.1:0", "SANDBOX_FAULTS": faults}
		var stderr bytes.Buffer
		code := run(ctx, nil, func(name string) (string, bool) { v, ok := env[name]; return v, ok }, &stderr)
		return code, stderr.String()
	}
	code, said := start(`{"seed":7,"faults":[{"kind":"reset","rate":0.05}]}`)
	require.Zero(t, code, said)
	for _, bad := range []string{`{"faults":[{"kind":"meteor"}]}`, `reset`} {
		code, said = start(bad)
		require.Equal(t, 1, code)
		require.Contains(t, said, "SANDBOX_FAULTS")
	}
	site := New(Options{})
	require.NoError(t, site.setFaults(`{"seed":7,"faults":[{"kind":"reset","rate":0.05}]}`))
	require.Equal(t, []Fault{{Kind: FaultReset, Rate: 0.05}}, site.Faults())
}

func TestFaultsThatCannotBe(t *testing.T) {
	c := serve(t, New(Options{}))
	for body, words := range map[string]string{
		`{"faults":[{"kind":"meteor"}]}`:                                     "there is no such kind",
		`{"faults":[{"kind":"reset","route":"/wiki/api/v2/page"}]}`:          "there is no route",
		`{"faults":[{"kind":"reset","route":"/_sandbox/stats"}]}`:            "there is no route",
		`{"faults":[{"kind":"reset","rate":1.5}]}`:                           "not between 0 and 1",
		`{"faults":[{"kind":"reset","after":-1}]}`:                           "below zero",
		`{"faults":[{"kind":"server-error","status":404}]}`:                  "not between 500 and 599",
		`{"faults":[{"kind":"lost-permission","page_id":"the secret one"}]}`: "is not an id",
		`{"faults":[{"kind":"limit-too-big"}]}`:                              "max_limit is missing",
		`{"faults":[{"kind":"burst-limit"}]}`:                                "max_calls is missing",
		`{"faults":[{"kind":"edit","page_id":"home"}]}`:                      "is not an id",
	} {
		require.Contains(t, c.post(400, "/_sandbox/faults", body).body["error"], words, body)
	}
	require.Empty(t, c.site.Faults())
}

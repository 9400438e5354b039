package sandbox

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBadCredentialOnV2IsABareNotFound(t *testing.T) {
	c, alpha, _ := small(t, Options{})
	for name, credential := range map[string]func(*http.Request){
		"absent":      func(r *http.Request) { r.Header.Del("Authorization") },
		"wrong token": func(r *http.Request) { r.SetBasicAuth(DefaultEmail, "no") },
		"wrong email": func(r *http.Request) { r.SetBasicAuth("other@example.com", DefaultToken) },
		"bearer":      func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+DefaultToken) },
	} {
		for _, path := range []string{"/wiki/api/v2/pages/" + alpha.ID, "/wiki/api/v2/spaces", "/wiki/api/v2/nothing"} {
			req := c.request(http.MethodGet, path, "")
			credential(req)
			a := c.do(req)
			require.Equal(t, 404, a.status, name)
			require.JSONEq(t, `{"errors":[{"status":404,"code":"NOT_FOUND","title":"Not Found","detail":null}]}`, a.raw, name)
		}
	}
}

func TestBadCredentialOnV1IsForbidden(t *testing.T) {
	c, _, _ := small(t, Options{})
	for path, words := range map[string]string{
		"/wiki/rest/api/user/current":                      "caller cannot access Confluence",
		"/wiki/rest/api/nothing":                           "Current user not permitted to use Confluence",
		"/wiki/rest/api/search?cql=type%3Dpage":            "Current user not permitted to use Confluence",
		"/wiki/rest/api/content/1/restriction/byOperation": "Current user not permitted to use Confluence",
	} {
		req := c.request(http.MethodGet, path, "")
		req.SetBasicAuth(DefaultEmail, "stale")
		a := c.do(req)
		require.Equal(t, 403, a.status)
		require.Contains(t, a.body["message"], words)
	}
}

func TestGoodCredentialOfOptions(t *testing.T) {
	c := serve(t, New(Options{Email: "me@pelagia.example", Token: "t0k"}))
	req := c.request(http.MethodGet, "/wiki/rest/api/user/current", "")
	req.SetBasicAuth("me@pelagia.example", "t0k")
	a := c.do(req)
	require.Equal(t, 200, a.status)
	require.Equal(t, apiUser, a.body["accountId"])
	require.Equal(t, "me@pelagia.example", a.body["email"])
}

func TestTenantInfoNeedsNoCredentialAndIsACall(t *testing.T) {
	c := serve(t, New(Options{CloudID: "cloud-1"}))
	req := c.request(http.MethodGet, "/_edge/tenant_info", "")
	req.Header.Del("Authorization")
	require.Equal(t, "cloud-1", c.do(req).body["cloudId"])
	require.Equal(t, map[string]int64{"/_edge/tenant_info": 1}, c.site.Stats().Calls)

	require.NoError(t, c.site.SetFaults(1, Fault{Kind: FaultServer, Route: "/_edge/tenant_info"}))
	require.Equal(t, 500, c.do(req).status)
}

func TestGatewayServesTheSameSite(t *testing.T) {
	c, alpha, _ := small(t, Options{CloudID: "cloud-1"})
	const gateway = "/ex/confluence/cloud-1"
	require.Equal(t, "Alpha", c.get(200, gateway+"/wiki/api/v2/pages/"+alpha.ID).body["title"])

	bearer := c.request(http.MethodGet, gateway+"/wiki/api/v2/spaces", "")
	bearer.Header.Set("Authorization", "Bearer "+DefaultToken)
	require.Equal(t, 200, c.do(bearer).status)

	bad := c.request(http.MethodGet, gateway+"/wiki/api/v2/spaces", "")
	bad.SetBasicAuth(DefaultEmail, "no")
	a := c.do(bad)
	require.Equal(t, 401, a.status)
	require.EqualValues(t, 401, a.body["code"])

	next := c.get(200, gateway+"/wiki/api/v2/pages?limit=1").next()
	require.Regexp(t, `^/wiki/api/v2/pages\?`, next, "to be appended to the gateway's address")
	require.Equal(t, 404, c.do(c.request(http.MethodGet, "/ex/confluence/other/wiki/api/v2/spaces", "")).status)
}

func TestGatewayMarkCannotBeForged(t *testing.T) {
	c, _, _ := small(t, Options{})
	req := c.request(http.MethodGet, "/wiki/api/v2/spaces", "")
	req.Header.Set("Authorization", "Bearer "+DefaultToken)
	req.Header.Set(gatewayHeader, "1")
	require.Equal(t, 404, c.do(req).status)
}

func TestDateHeaderIsTheSitesClock(t *testing.T) {
	clk := newClock()
	c, _, _ := small(t, Options{Now: clk.Now})
	at, err := http.ParseTime(c.get(200, "/wiki/api/v2/spaces").header.Get("Date"))
	require.NoError(t, err)
	require.True(t, at.Equal(clk.Now()))
	clk.advance(time.Hour)
	at, err = http.ParseTime(c.get(200, "/wiki/rest/api/user/current").header.Get("Date"))
	require.NoError(t, err)
	require.True(t, at.Equal(clk.Now()))
}

func TestNoETagIsSent(t *testing.T) {
	c, alpha, _ := small(t, Options{})
	a := c.get(200, "/wiki/api/v2/pages/"+alpha.ID+"?body-format=storage")
	require.Empty(t, a.header.Get("ETag"))
	require.Equal(t, "no-cache, no-store, no-transform", a.header.Get("Cache-Control"))
}

func TestLatencyIsWaitedFor(t *testing.T) {
	c, _, _ := small(t, Options{Latency: 30 * time.Millisecond})
	began := time.Now()
	c.get(200, "/wiki/api/v2/spaces")
	require.GreaterOrEqual(t, time.Since(began), 30*time.Millisecond)
}

func TestScopedTokenOpensTheGatewayOnly(t *testing.T) {
	c, alpha, _ := small(t, Options{Scoped: true})
	a := c.get(401, "/wiki/api/v2/pages/"+alpha.ID)
	require.Equal(t, "text/html", a.header.Get("Content-Type"))
	c.get(401, "/wiki/rest/api/user/current")
	c.get(200, "/ex/confluence/"+c.site.opt.CloudID+"/wiki/api/v2/pages/"+alpha.ID)
}

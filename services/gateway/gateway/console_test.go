package gateway

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/gateway/console"
)

// visitor is a browser without JavaScript.
type visitor struct {
	w      *world
	client http.Client
	csrf   string
}

func (w *world) visitor() *visitor {
	jar, err := cookiejar.New(nil)
	require.NoError(w.t, err)
	v := &visitor{w: w, client: http.Client{Jar: jar}}
	w.t.Cleanup(v.client.CloseIdleConnections)
	return v
}

// loggedIn returns a visitor with the key of this name.
func (w *world) loggedIn(key string) *visitor {
	w.t.Helper()
	v := w.visitor()
	status, body := v.post("/login", "key", w.keys[key])
	require.Equal(w.t, http.StatusOK, status, body)
	require.Contains(w.t, body, "Log out")
	return v
}

var csrfField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// get returns the page at a path below the console.
func (v *visitor) get(path string) (int, string) {
	v.w.t.Helper()
	return v.do(http.MethodGet, path, nil)
}

// post sends a form to a path below the console, with the token of the last page, and follows the answer.
func (v *visitor) post(path string, fields ...string) (int, string) {
	v.w.t.Helper()
	form := url.Values{"csrf": {v.csrf}}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return v.do(http.MethodPost, path, form)
}

func (v *visitor) do(method, path string, form url.Values, headers ...string) (int, string) {
	v.w.t.Helper()
	req, err := http.NewRequestWithContext(v.w.t.Context(), method, v.w.url+console.Root+path, strings.NewReader(form.Encode()))
	require.NoError(v.w.t, err)
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := v.client.Do(req)
	require.NoError(v.w.t, err)
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	require.NoError(v.w.t, err)
	if m := csrfField.FindStringSubmatch(string(body)); m != nil {
		v.csrf = m[1]
	}
	return res.StatusCode, string(body)
}

// page requires a page.
func (v *visitor) page(path string, parts ...string) string {
	v.w.t.Helper()
	status, body := v.get(path)
	require.Equal(v.w.t, http.StatusOK, status, "%s: %s", path, body)
	for _, part := range parts {
		require.Contains(v.w.t, body, part, path)
	}
	return body
}

func TestASessionOfTheConsole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	stranger := w.visitor()
	for _, path := range []string{"", "/search?q=keys", "/system", "/nothing"} {
		_, body := stranger.get(path)
		require.Contains(t, body, `<input id="key"`, path)
		require.NotContains(t, body, "Log out", path)
	}
	_, body := stranger.get("/search?q=keys")
	require.Contains(t, body, `name="next" value="/console/search?q=keys"`)
	status, body := stranger.post("/login", "key", "sluice_wrong")
	require.Equal(t, http.StatusUnauthorized, status)
	require.Contains(t, body, "wrong or revoked")

	v := w.loggedIn("read")
	v.page("", "Overview", "docs", "hr", "Nothing waits")
	home, err := url.Parse(w.url + console.Root)
	require.NoError(t, err)
	cookies := v.client.Jar.Cookies(home)
	require.Len(t, cookies, 1)
	at, err := url.Parse(w.url + "/api")
	require.NoError(t, err)
	require.Empty(t, v.client.Jar.Cookies(at), "the API gets no cookie")
	require.Equal(t, http.StatusUnauthorized, w.ask("", http.MethodGet, "/api/confluence/sources", "", "Cookie", cookies[0].String()).status)

	// A form needs the token of its session, and no other site sends one.
	status, _ = v.do(http.MethodPost, "/logout", url.Values{"csrf": {w.loggedIn("read").csrf}})
	require.Equal(t, http.StatusForbidden, status)
	status, _ = v.do(http.MethodPost, "/logout", url.Values{"csrf": {v.csrf}}, "Sec-Fetch-Site", "cross-site")
	require.Equal(t, http.StatusForbidden, status)
	status, _ = stranger.do(http.MethodPost, "/login", url.Values{"key": {w.keys["read"]}}, "Origin", "https://evil.example")
	require.Equal(t, http.StatusForbidden, status)
	v.page("", "Log out")
	_, body = v.post("/logout")
	require.Contains(t, body, `<input id="key"`)
	v.client.Jar.SetCookies(home, cookies)
	_, body = v.get("")
	require.Contains(t, body, `<input id="key"`, "the session has ended, not only its cookie")

	// Revoking a key ends its sessions at once, in every gateway: nothing is cached.
	v = w.loggedIn("operate")
	v.page("", "Log out")
	_, err = w.store.Vault().RevokeAPIKey(t.Context(), w.ids["operate"])
	require.NoError(t, err)
	_, body = v.get("")
	require.Contains(t, body, `<input id="key"`)
	status, body = v.post("/login", "key", w.keys["operate"])
	require.Equal(t, http.StatusUnauthorized, status)
	require.Contains(t, body, "wrong or revoked")
	require.NotContains(t, w.log.String(), cookies[0].Value)
}

func TestACookieThatOnlyItsGatewayGets(t *testing.T) {
	t.Parallel()
	for public, secure := range map[string]bool{"": false, "https://sluice.example": true} {
		w := bareWorld(t, func(o *setup) { o.API.PublicURL = public })
		w.addKey("read", "read")
		v := w.visitor()
		v.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		res, err := v.client.PostForm(w.url+console.Root+"/login", url.Values{"key": {w.keys["read"]}, "next": {"//evil.example/console"}})
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, console.Root, res.Header.Get("Location"), "only to the console")
		require.Len(t, res.Cookies(), 1)
		c := res.Cookies()[0]
		require.True(t, c.HttpOnly)
		require.Equal(t, http.SameSiteLaxMode, c.SameSite)
		require.Equal(t, secure, c.Secure)
		require.Equal(t, console.Root, c.Path)
		require.Positive(t, c.MaxAge)
		require.Contains(t, res.Header.Get("Content-Security-Policy"), "default-src 'none'")
	}
}

// Another key in the file ends the sessions of the one that was there.
func TestSessionsOfTheLocalKey(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "api-key")
	w := bareWorld(t, func(o *setup) { o.API.KeyFile = file })
	read := func() string {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		return strings.TrimSpace(string(text))
	}
	w.keys["local"] = read()
	v := w.loggedIn("local")
	v.page("", "this machine", "admin", "Add a source")
	require.NoError(t, os.Remove(file))
	var err error
	w.g.keys.local, err = readLocalKey(file)
	require.NoError(t, err)
	_, body := v.get("")
	require.Contains(t, body, `<input id="key"`)
	w.keys["local"] = read()
	v = w.loggedIn("local")
	w.g.keys.local = nil
	_, body = v.get("")
	require.Contains(t, body, `<input id="key"`)
}

// A key that is limited to a source sees nothing of others.
func TestTheConsoleShowsWhatTheKeySees(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	v := w.loggedIn("docs")
	body := v.page("", "docs", "first-docs")
	require.NotContains(t, body, `"/console/sources/hr"`)
	require.NotContains(t, body, "first-hr")
	require.NotContains(t, body, "Add a source")
	require.NotContains(t, body, "/console/removals")
}

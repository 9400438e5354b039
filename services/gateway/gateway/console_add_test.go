package gateway

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/secret"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// siteWorld is an API that calls a stand-in, without a token of its own unless env is set.
func siteWorld(t *testing.T, env bool) (w *world, standIn *sandbox.Site, address string) {
	t.Helper()
	standIn = sandbox.New(sandbox.Options{})
	standIn.AddBuiltin()
	served, err := sandbox.Serve("127.0.0.1:0", standIn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = served.Close() })
	address = served.URL + "/wiki"
	w = bareWorld(t, calls(t, served.URL, env))
	w.addKey("admin", apikey.Admin)
	return w, standIn, address
}

// calls lets a world call the stand-in at an address, with a token of the settings if env is set.
func calls(t testing.TB, served string, env bool) func(*setup) {
	return func(o *setup) {
		cfg := config.Confluence{Sites: config.Sites{AllowedHosts: strings.TrimPrefix(served, "http://"), AllowHTTP: true}, RequestsPerSecond: 1000, Concurrency: 4}
		if env {
			cfg.BaseURL, cfg.Email, cfg.APIToken = served+"/wiki", sandbox.DefaultEmail, secret.New(sandbox.DefaultToken)
		}
		o.Trust = credential.Trust{Hosts: cfg.Hosts(), AllowHTTP: true, Ring: newRing(t)}
		s, ok := o.Record.(*store.Store)
		require.True(t, ok)
		var err error
		o.Site, err = credential.NewSite(cfg, zerolog.Nop(), credential.Stored(s.Vault(), o.Trust.Ring))
		require.NoError(t, err)
	}
}

var runPath = regexp.MustCompile(`/console/runs/([A-Za-z0-9-]+)`)

// From the first form to the run's page, with a new token.
func TestASourceIsAddedInTheConsole(t *testing.T) {
	t.Parallel()
	w, standIn, address := siteWorld(t, false)
	for i := range 260 { // more than the site gives at a time
		require.NoError(t, standIn.AddSpace(fmt.Sprintf("TEAM%03d", i), fmt.Sprintf("Team <b>%03d</b>", i)))
	}
	requests := bustest.Collect[event.SyncRequested](w.kit)
	v := w.loggedIn("admin")
	v.page("/add", "Test it and list the spaces")

	form := func(more ...string) []string {
		return append([]string{"base_url", address, "credential", "new", "email", sandbox.DefaultEmail, "token", sandbox.DefaultToken}, more...)
	}
	for said, fields := range map[string][]string{
		"The address is missing":              form("base_url", ""),
		"is not an allowed host":              form("base_url", "https://evil.example"),
		"The address has the path":            form("base_url", address+"/elsewhere"),
		"The token is missing":                form("token", ""),
		"The token is no API token":           form("token", canary+" x"),
		"Whose token is it":                   form("email", ""),
		"There is no token for this site":     form("credential", "stored", "token", ""),
		"choose a new one, or leave":          form("credential", "stored"),
		"check the account&#39;s address and": form("token", canary),
	} {
		status, body := v.post("/add/site", fields...)
		require.Equal(t, http.StatusUnprocessableEntity, status, said)
		require.Contains(t, body, said)
		require.NotContains(t, body, canary, said)
		require.NotContains(t, body, sandbox.DefaultToken, said)
		require.Contains(t, body, `role="alert"`)
		if said != "Whose token is it" {
			require.Contains(t, body, `value="`+sandbox.DefaultEmail+`"`, "what was typed is still there")
		}
	}
	kept, err := w.g.control.Secrets(t.Context(), viewer.All())
	require.NoError(t, err)
	require.Empty(t, kept, "a token that was refused is not stored")

	_, body := v.post("/add/site", form()...)
	require.Contains(t, body, "may read 261 spaces")
	require.Contains(t, body, "Team &lt;b&gt;000&lt;/b&gt;")
	require.NotContains(t, body, sandbox.DefaultToken)
	at := "/add/space?" + url.Values{"site": {address}}.Encode()
	var found []string
	for next := at; next != ""; {
		body := v.page(next)
		found = append(found, regexp.MustCompile(`<code>[A-Z]+\d*</code>`).FindAllString(body, -1)...)
		next = ""
		if m := regexp.MustCompile(`<a class="button" href="/console([^"]+)">Next rows`).FindStringSubmatch(body); m != nil {
			next = strings.ReplaceAll(m[1], "&amp;", "&")
		}
	}
	require.Len(t, found, 261)
	body = v.page(at+"&q=team+017", "TEAM017", "1 space of 261")
	require.NotContains(t, body, "TEAM018")
	v.page(at+"&q=nowhere", "No space has this")

	settings := "/add/settings?" + url.Values{"site": {address}, "space": {sandbox.BuiltinSpace}}.Encode()
	v.page(settings, "may read the space", `value="demo"`, "every_sync", "unrestricted-only", `name="comments" value="all" checked`)
	fields := func(more ...string) []string {
		return append([]string{"base_url", address, "space_key", sandbox.BuiltinSpace, "source_id", "docs", "display_name", "<i>Docs</i>", "tags", "a, b",
			"deletion_strategy", "every_sync", "permissions", "enforce"}, more...)
	}
	for said, wrong := range map[string][]string{
		"The id is not a valid source id":     fields("source_id", "a b"),
		"The id is reserved":                  fields("source_id", "sources"),
		"The strategy must be":                fields("deletion_strategy", "never"),
		"An open source must be meant":        fields("permissions", "open"),
		"is not one of enforce":               fields("permissions", "all"),
		"check the space&#39;s key":           fields("space_key", "NOWHERE"),
		"is not an allowed host":              fields("base_url", "https://evil.example"),
		"check the account&#39;s address and": fields("token", canary, "email", sandbox.DefaultEmail),
	} {
		status, body := v.post("/add", wrong...)
		require.Equal(t, http.StatusUnprocessableEntity, status, said)
		require.Contains(t, body, said)
		require.Contains(t, body, "&lt;i&gt;Docs&lt;/i&gt;")
		require.NotContains(t, body, canary)
	}
	// A scope that is missing is named, here and when the source is added.
	require.NoError(t, standIn.SetFaults(1, sandbox.Fault{Kind: sandbox.FaultScope, Route: "/wiki/rest/api/content/search"}))
	status, body := v.get(settings)
	require.Equal(t, http.StatusUnprocessableEntity, status)
	require.Contains(t, body, "search:confluence")
	status, body = v.post("/add", fields()...)
	require.Equal(t, http.StatusUnprocessableEntity, status)
	require.Contains(t, body, "search:confluence")
	// So is one that hides pages, beside the choice of who sees them.
	require.NoError(t, standIn.SetFaults(1))
	require.NotContains(t, v.page(settings), "stay hidden")
	require.NoError(t, standIn.SetFaults(1, sandbox.Fault{Kind: sandbox.FaultScope, Route: "/wiki/api/v2/spaces/{id}/permissions"}))
	v.page(settings, "pages stay hidden until", "who may read the space (all pages are hidden)", "read:space.permission:confluence")
	// A page whose row is unusable fails alone, and not its source.
	require.NoError(t, standIn.SetFaults(1, sandbox.Fault{Kind: sandbox.FaultOddRow, Route: "/wiki/api/v2/*", Row: map[string]any{"version": map[string]any{"createdAt": "yesterday"}}}))
	v.page(settings, "may read the space")
	require.NoError(t, standIn.SetFaults(1))
	sources, err := w.g.control.Sources(t.Context(), viewer.All(), store.Whole())
	require.NoError(t, err)
	require.Empty(t, sources, "nothing that was refused is added")

	v.client.CheckRedirect = func(req *http.Request, _ []*http.Request) error { return http.ErrUseLastResponse }
	status, _ = v.post("/add", fields("blog_posts", "on", "comments", "open")...)
	require.Equal(t, http.StatusSeeOther, status)
	req := requests.Wait(1)[0]
	require.Equal(t, event.Full, req.Mode)
	v.page("/runs/"+req.RequestID, "docs")
	src, err := w.g.control.Source(t.Context(), viewer.All(), "docs")
	require.NoError(t, err)
	require.Equal(t, store.EverySync, src.DeletionStrategy)
	require.Equal(t, store.Enforce, src.Permissions)
	require.Equal(t, []string{"a", "b"}, src.Tags)
	require.True(t, src.BlogPosts)
	require.Equal(t, store.OpenComments, src.Comments)
	v.page(at+"&q="+strings.ToLower(sandbox.BuiltinSpace), `href="/console/sources/docs"`)

	status, body = v.post("/add", fields("source_id", "other")...)
	require.Equal(t, http.StatusUnprocessableEntity, status)
	require.Contains(t, body, "belongs to a source already")
	require.NotContains(t, w.log.String(), sandbox.DefaultToken)
}

// The token in the settings of the gateway is one that there is.
func TestASourceIsAddedWithTheTokenInTheSettings(t *testing.T) {
	t.Parallel()
	w, standIn, address := siteWorld(t, true)
	v := w.loggedIn("admin")
	_, body := v.post("/add/site", "base_url", address, "credential", "stored")
	require.Contains(t, body, "may read 1 space ")
	require.NoError(t, standIn.HideSpace(sandbox.BuiltinSpace, true))
	status, body := v.post("/add/site", "base_url", address, "credential", "stored")
	require.Equal(t, http.StatusUnprocessableEntity, status)
	require.Contains(t, body, "may read no space")

	// A key for some sources must bring a token, and lists nothing with the token of the site.
	w.addKey("some", apikey.Admin, "docs")
	v = w.loggedIn("some")
	require.NoError(t, standIn.HideSpace(sandbox.BuiltinSpace, false))
	v.page("/add", "needs a token of its own")
	status, body = v.get("/add/space?" + url.Values{"site": {address}}.Encode())
	require.Equal(t, http.StatusForbidden, status)
	require.NotContains(t, body, sandbox.BuiltinSpace)
	v.page("/add/settings", "Needed, because your key is limited")
	fields := []string{"base_url", address, "space_key", sandbox.BuiltinSpace, "source_id", "docs", "deletion_strategy", "on_demand", "permissions", "open", "permissions_confirmed", "true"}
	status, body = v.post("/add", fields...)
	require.Equal(t, http.StatusUnprocessableEntity, status)
	require.Contains(t, body, "The token is required")
	_, body = v.post("/add", append(fields, "email", sandbox.DefaultEmail, "token", sandbox.DefaultToken)...)
	require.Regexp(t, runPath, body)
	require.NotContains(t, body, sandbox.DefaultToken)
}

// The API asks a site as the command line and the console do, before it adds a source or changes its token or address.
func TestTheAPIAsksTheSiteOfASource(t *testing.T) {
	t.Parallel()
	w, standIn, address := siteWorld(t, true)
	add := func(id, space, more string) string {
		return fmt.Sprintf(`{"source_id":%q,"base_url":%q,"space_key":%q%s}`, id, address, space, more)
	}
	token := func(text string) string { return fmt.Sprintf(`"token":%q,"email":%q`, text, sandbox.DefaultEmail) }
	refused := func(method, path, body, says string) {
		t.Helper()
		a := w.wants(http.StatusUnprocessableEntity, "admin", method, path, body)
		require.Equal(t, "site_unreadable", a.code())
		require.Contains(t, string(a.body), says)
		require.NotContains(t, string(a.body), canary)
	}
	refused("POST", "/api/confluence/sources", add("docs", "DMEO", ""), "no space with this key exists there")
	refused("POST", "/api/confluence/sources", add("docs", sandbox.BuiltinSpace, ","+token(canary)), "check the account's address and the token")
	w.wants(http.StatusNotFound, "admin", "GET", "/api/confluence/docs", "")
	w.wants(http.StatusCreated, "admin", "POST", "/api/confluence/sources", add("later", "LATER", `,"unchecked":true`))
	w.wants(http.StatusCreated, "admin", "POST", "/api/confluence/sources", add("docs", sandbox.BuiltinSpace, ""))
	w.wants(http.StatusOK, "admin", "POST", "/api/confluence/sources", add("docs", sandbox.BuiltinSpace, "")) // once more

	refused("PATCH", "/api/confluence/docs", "{"+token(canary)+"}", "check the account's address and the token")
	require.NoError(t, standIn.SetFaults(1, sandbox.Fault{Kind: sandbox.FaultScope, Route: "/wiki/rest/api/content/search"}))
	refused("PATCH", "/api/confluence/docs", "{"+token(sandbox.DefaultToken)+"}", "search:confluence")
	require.NoError(t, standIn.SetFaults(1))
	w.wants(http.StatusOK, "admin", "PATCH", "/api/confluence/docs", "{"+token(sandbox.DefaultToken)+"}")
	w.wants(http.StatusOK, "admin", "PATCH", "/api/confluence/docs", `{"display_name":"Docs"}`)
}

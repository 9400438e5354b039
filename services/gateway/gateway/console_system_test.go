package gateway

import (
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

func TestTheStateOfTheSystem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	require.NoError(t, w.store.RecordPause(t.Context(), site, time.Hour, "quota of the tenant <b>"))
	v := w.loggedIn("operate")
	body := v.page("/system", "Postgres", "fetcher-pages", "SLUICE_FETCH", "archon_crawled_pages", "all usable", site, "quota of the tenant &lt;b&gt;")
	require.NotContains(t, body, "cannot be read")
	require.NotContains(t, body, "/system/keys", "what a key may not do has no link")

	v = w.loggedIn("read")
	require.NotContains(t, v.page("/system", "yours has the role read"), "fetcher-pages", "sizes and queues depend on hidden pages")
	v.page("/system/embeddings", "search works by words")
	for _, path := range []string{"/system/doctor", "/system/keys", "/system/credentials", "/add"} {
		status, body := v.get(path)
		require.Equal(t, http.StatusForbidden, status, path)
		require.Contains(t, body, "Not allowed")
	}

	v = w.loggedIn("operate")
	body = v.page("/system/doctor", "all ", "are applied and unchanged", "permissions", "every key sees every page of docs, hr")
	require.NotContains(t, body, "/system/keys")

	// A key for one source sees nothing of what all share.
	v = w.loggedIn("docs-admin")
	body = v.page("/system", "limited to some")
	require.NotContains(t, body, "fetcher-pages")
	for _, path := range []string{"/system/doctor", "/system/keys", "/system/credentials"} {
		status, _ := v.get(path)
		require.Equal(t, http.StatusForbidden, status, path)
	}
	status, _ := v.post("/system/keys", "name", "mine", "role", "admin")
	require.Equal(t, http.StatusForbidden, status)
	status, _ = v.post("/system/keys/" + w.ids["admin"] + "/revoke")
	require.Equal(t, http.StatusForbidden, status)
	status, _ = v.post("/system/credentials/remove", "name", "docs")
	require.Equal(t, http.StatusForbidden, status)
}

func TestKeysInTheConsole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.loggedIn("admin")
	v.page("/system/keys", "docs-admin", "yours")
	for field, fields := range map[string][]string{
		"The name is missing":         {"name", "", "role", "operate"},
		"The role must be":            {"name", "ci", "role", "owner"},
		"There is no source nowhere":  {"name", "ci", "role", "read", "sources", "nowhere"},
		"The account ":                {"name", "ci", "role", "read", "account", "no <account>"},
		"Acting as others and accoun": {"name", "ci", "role", "read", "account", "557058:a", "act_as", "on"},
	} {
		status, body := v.post("/system/keys", fields...)
		require.Equal(t, http.StatusUnprocessableEntity, status, field)
		require.Contains(t, body, field)
		require.NotContains(t, body, "is made")
		for _, typed := range fields { // what was typed is still there
			if typed == "557058:a" || typed == "ci" {
				require.Contains(t, body, `value="`+typed+`"`)
			}
		}
	}
	status, body := v.post("/system/keys", "name", "<i>ci</i>", "role", "operate", "sources", "hr, docs")
	require.Equal(t, http.StatusOK, status)
	token := regexp.MustCompile(`sluice_[a-z2-7]{12}_[a-z2-7]{52}`).FindString(body)
	require.NotEmpty(t, token)
	require.Contains(t, body, "&lt;i&gt;ci&lt;/i&gt;")
	w.wants(http.StatusOK, token, "GET", "/api/confluence/docs", "")
	require.NotContains(t, v.page("/system/keys", "docs, hr"), token, "it is shown once")
	require.NotContains(t, w.log.String(), token)

	id, _, ok := apikey.Parse(token)
	require.True(t, ok)
	w.keys["ci"] = token
	other := w.loggedIn("ci")
	_, body = v.post("/system/keys/" + id + "/revoke")
	require.Contains(t, body, "revoked")
	_, body = other.get("")
	require.Contains(t, body, `<input id="key"`, "its session has ended")
	status, _ = v.post("/system/keys/nobody/revoke")
	require.Equal(t, http.StatusNotFound, status)

	_, body = v.post("/system/keys/" + w.ids["admin"] + "/revoke")
	require.Contains(t, body, `<input id="key"`, "who revokes the own key is logged out")
}

func TestCredentialsInTheConsole(t *testing.T) {
	t.Parallel()
	w := bareWorld(t, func(o *setup) { o.Trust.Ring = newRing(t) })
	w.addKey("admin", apikey.Admin)
	require.NoError(t, w.store.AddSource(t.Context(), store.Source{ID: "docs", BaseURL: site, SpaceKey: "DOCS"}))
	v := w.loggedIn("admin")
	v.page("/system/credentials", "No token is stored")
	for said, fields := range map[string][]string{
		"The name is missing":         {"name", "", "email", "reader@acme.com", "token", canary},
		"The name evil.example is":    {"name", "evil.example", "email", "reader@acme.com", "token", canary},
		"The name nowhere is neither": {"name", "nowhere", "email", "reader@acme.com", "token", canary},
		"Whose token is it?":          {"name", "docs", "token", canary},
		"The token is missing":        {"name", "docs", "email", "reader@acme.com"},
		"The token is no API token":   {"name", "docs", "email", "reader@acme.com", "token", "with a space " + canary},
	} {
		status, body := v.post("/system/credentials", fields...)
		require.Equal(t, http.StatusUnprocessableEntity, status, said)
		require.Contains(t, body, said)
		require.NotContains(t, body, canary)
	}
	for _, name := range []string{"docs", "acme.atlassian.net"} {
		_, body := v.post("/system/credentials", "name", name, "email", "reader@acme.com", "token", canary)
		require.Contains(t, body, "The token of "+name+" is stored")
		require.NotContains(t, body, canary)
	}
	body := v.page("/system/credentials", "acme.atlassian.net", "current key")
	require.NotContains(t, body, canary)
	require.NotContains(t, w.log.String(), canary)
	v.page("/system/credentials?name=docs", `value="docs"`)
	require.NotContains(t, v.page(""), "Token expires", "nobody has said when")
	day := time.Now().AddDate(0, 0, 12).Format(time.DateOnly)
	v.page("/system/credentials")
	v.post("/system/credentials", "name", "docs", "email", "reader@acme.com", "token", canary, "expires", day)
	v.page("", "Token expires", "in 11 days", "The token of docs expires on "+day)
	w.addKey("read", apikey.Read)
	require.NotContains(t, w.loggedIn("read").page(""), "expires", "who may not run the sources is not told of their tokens")
	v.page("/system/credentials")
	_, body = v.post("/system/credentials/remove", "name", "docs")
	require.NotContains(t, body, "Replace the token of docs")
	kept, err := w.g.control.Secrets(t.Context(), viewer.All())
	require.NoError(t, err)
	require.Len(t, kept, 1)
	status, _ := v.post("/system/credentials/remove", "name", "docs")
	require.Equal(t, http.StatusNotFound, status)
}

package gateway

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/access"
	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/vault"
)

func TestASourceIsOpenedByTwoWords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const docs = "/api/confluence/docs"
	sets := func(status int, key, body string) answer {
		t.Helper()
		return w.wants(status, key, "PATCH", docs, body)
	}
	var src store.Source
	sets(http.StatusOK, "admin", `{"permissions": "enforce"}`).into(&src)
	require.Equal(t, store.Enforce, src.Permissions)
	require.True(t, src.Chosen)
	refused := sets(http.StatusUnprocessableEntity, "admin", `{"permissions": "open"}`)
	require.Contains(t, string(refused.body), "permissions_confirmed")
	sets(http.StatusForbidden, "operate", `{"permissions": "open", "permissions_confirmed": true}`)
	sets(http.StatusUnprocessableEntity, "admin", `{"permissions": "some"}`)
	w.wants(http.StatusOK, "read", "GET", docs, "").into(&src)
	require.Equal(t, store.Enforce, src.Permissions, "nothing that was refused has changed it")
	sets(http.StatusOK, "admin", `{"permissions": "open", "permissions_confirmed": true}`).into(&src)
	require.Equal(t, store.OpenToAll, src.Permissions)

	const sources = "/api/confluence/sources"
	body := `{"source_id": "new", "base_url": "https://acme.atlassian.net", "space_key": "NEW", "permissions": `
	w.wants(http.StatusUnprocessableEntity, "admin", "POST", sources, body+`"open"}`)
	w.wants(http.StatusNotFound, "admin", "GET", "/api/confluence/new", "")
	w.wants(http.StatusCreated, "admin", "POST", sources, body+`"open", "permissions_confirmed": true}`).into(&src)
	require.Equal(t, store.OpenToAll, src.Permissions)
}

func TestARequestAnswersItsReader(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	for name, k := range map[string]apikey.Key{"ann": {Account: "ann"}, "backend": {ActAs: true}} {
		id, token, hash := apikey.New()
		k.ID, k.Name, k.Role = id, name, apikey.Read
		require.NoError(t, w.store.Vault().AddAPIKey(t.Context(), vault.APIKey{Key: k, Hash: hash}))
		w.keys[name] = token.Reveal()
	}
	const page = "/api/pages/11"
	w.wants(http.StatusOK, "read", "GET", page, "")
	require.NoError(t, w.store.SetPermissions(t.Context(), "docs", store.Enforce, 0))
	w.wants(http.StatusNotFound, "admin", "GET", page, "")
	_, now, err := w.store.AccessNodes(t.Context(), "docs")
	require.NoError(t, err)
	layer := func(kind access.ObjectKind, id string, p access.Principal) []access.Layer {
		return []access.Layer{{Object: access.Object{Kind: kind, ID: id}, Principals: []access.Principal{p}}}
	}
	_, err = w.store.SaveAccess(t.Context(), store.AccessRead{
		SourceID: "docs", Started: now, Covered: []string{"11", "12", "13"}, Complete: true,
		Source: layer(access.ObjectSpace, "7", access.Principal{Kind: access.KindEveryone}),
		Layers: layer(access.ObjectContent, "11", access.Principal{Kind: access.KindUser, ID: "ann"}),
	})
	require.NoError(t, err)

	found := func(status int, key string, headers ...string) {
		t.Helper()
		for _, path := range []string{page, "/api/pages/12", "/api/pages/12/chunks"} {
			w.wants(status, key, "GET", path, "", headers...)
		}
		if status < http.StatusBadRequest || status == http.StatusNotFound {
			w.wants(http.StatusOK, key, "GET", "/api/pages/13", "", headers...)
			hit := w.wants(http.StatusOK, key, "POST", "/api/knowledge/search", `{"query": "signing keys", "source_id": "docs"}`, headers...)
			require.Equal(t, status == http.StatusOK, strings.Contains(string(hit.body), "Keys of docs"), "%s", hit.body)
		}
	}
	found(http.StatusOK, "ann")
	found(http.StatusNotFound, "read")
	found(http.StatusNotFound, "admin")
	found(http.StatusNotFound, "backend")
	found(http.StatusOK, "backend", ReaderHeader, "ann")
	found(http.StatusNotFound, "backend", ReaderHeader, "bob")
	found(http.StatusForbidden, "read", ReaderHeader, "ann")
	found(http.StatusForbidden, "ann", ReaderHeader, "ann")
	found(http.StatusForbidden, "backend", ReaderHeader, "")
	found(http.StatusForbidden, "backend", ReaderHeader, "ann bob")
	require.Contains(t, w.ask("ann", "GET", page, "").header.Get("Vary"), ReaderHeader)

	var why store.AccessWhy
	w.wants(http.StatusOK, "admin", "GET", "/api/pages/12/access?account=ann", "").into(&why)
	require.Equal(t, []any{true, store.SeenAdmitted, 2}, []any{why.Visible, why.Verdict, len(why.Layers)})
	a := w.wants(http.StatusOK, "admin", "GET", "/api/pages/12/access?account=bob", "")
	a.into(&why)
	require.Equal(t, []any{false, store.NotLetIn, "11"}, []any{why.Visible, why.Verdict, why.Layers[1].ID})
	require.NotContains(t, string(a.body), "of docs", "the key may not see the titles")
	require.Equal(t, "forbidden", w.wants(http.StatusForbidden, "operate", "GET", "/api/pages/12/access?account=bob", "").code())
	require.Equal(t, "not_found", w.wants(http.StatusNotFound, "admin", "GET", "/api/pages/99/access?account=bob", "").code())
	require.Equal(t, "invalid", w.wants(http.StatusUnprocessableEntity, "admin", "GET", "/api/pages/12/access", "").code())
	require.Equal(t, "invalid", w.wants(http.StatusUnprocessableEntity, "admin", "GET", "/api/pages/12/access?account=a%40b", "").code())
}

// What a reader may not see in Confluence does not exist in the console: not its page, nor its title in any list or hit. Only
// the numbers of runs, for those who run the source, count it.
func TestTheConsoleAnswersItsReader(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	for _, name := range []string{"ann", "bob"} {
		id, token, hash := apikey.New()
		require.NoError(t, w.store.Vault().AddAPIKey(t.Context(), vault.APIKey{Key: apikey.Key{ID: id, Name: name, Account: name, Role: apikey.Operate}, Hash: hash}))
		w.keys[name] = token.Reveal()
	}
	require.NoError(t, w.store.SetPermissions(t.Context(), "docs", store.Enforce, 0))
	_, now, err := w.store.AccessNodes(t.Context(), "docs")
	require.NoError(t, err)
	layer := func(kind access.ObjectKind, id string, p access.Principal) []access.Layer {
		return []access.Layer{{Object: access.Object{Kind: kind, ID: id}, Principals: []access.Principal{p}}}
	}
	_, err = w.store.SaveAccess(t.Context(), store.AccessRead{
		SourceID: "docs", Started: now, Covered: []string{"11", "12", "13"}, Complete: true,
		Source: layer(access.ObjectSpace, "7", access.Principal{Kind: access.KindEveryone}),
		Layers: layer(access.ObjectContent, "13", access.Principal{Kind: access.KindUser, ID: "ann"}),
	})
	require.NoError(t, err)
	const hidden = "Valve_100% of docs"
	// An admin for all sources looks at what an account sees, and the view says that it is that.
	admin := w.loggedIn("admin")
	require.NotContains(t, admin.page("/search?q=valve", `id="as"`), hidden)
	admin.page("/search?q=valve&as=ann", hidden, "<b>You see what ann may see</b>", "Sluice-Reader: ann", "sluice/reader", "need a key that reads for others")
	require.NotContains(t, admin.page("/search?q=valve&as=bob", "You see what bob may see"), hidden)
	for key, refused := range map[string]string{"docs-admin": "ann", "operate": "ann", "ann": "bob", "admin": "no account"} {
		v := w.loggedIn(key)
		status, body := v.get("/search?q=valve&as=" + url.QueryEscape(refused))
		require.Equal(t, http.StatusForbidden, status, key)
		require.NotContains(t, body, hidden)
		require.Equal(t, key == "admin", strings.Contains(v.page("/search"), `id="as"`), key)
	}
	for name, sees := range map[string]bool{"ann": true, "bob": false} {
		v := w.loggedIn(name)
		status, body := v.get("/sources/docs/pages/13")
		require.Equal(t, map[bool]int{true: http.StatusOK, false: http.StatusNotFound}[sees], status, body)
		require.Equal(t, sees, strings.Contains(body, "kestrel"), name)
		for _, path := range []string{"/sources/docs/pages", "/runs/first-docs/pages?outcome=created", "/search?q=kestrel+docs", "/runs/first-docs"} {
			require.Equal(t, sees, strings.Contains(v.page(path), hidden) || path == "/runs/first-docs" && sees, "%s as %s", path, name)
		}
		pages := 2
		if sees {
			pages = 3
		}
		verdict := map[bool]string{true: "Visible", false: "Hidden"}[sees]
		w.loggedIn("admin").page("/sources/docs/pages/13/access?account="+name, verdict, "content", "13")
		require.Equal(t, pages, fact(t, v.document("/sources/docs"), "Pages"), name)
		require.Equal(t, 3, balance(t, v.document("/runs/first-docs"))[0], "who runs a source is told what a run did with all pages")
	}
}

package gateway

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/access"
	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/vault"
)

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
}

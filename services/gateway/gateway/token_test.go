package gateway

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/seal"
	"github.com/sluicehq/sluice/shared/secret"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/vault"
)

// canary is a token that must never appear anywhere after it was given.
const canary = "canary-9c1185a5c5e9fc54"

func newRing(t testing.TB) *seal.Ring {
	t.Helper()
	var b [32]byte
	_, _ = rand.Read(b[:])
	key, err := seal.ParseKey(secret.New(base64.StdEncoding.EncodeToString(b[:])))
	require.NoError(t, err)
	return seal.NewRing(key)
}

func addBody(fields string) string {
	return `{"source_id":"docs","base_url":"https://acme.atlassian.net","space_key":"DOCS"` + fields + `}`
}

func TestATokenIsNeverReturned(t *testing.T) {
	t.Parallel()
	ring := newRing(t)
	w := bareWorld(t, func(o *setup) {
		o.Trust.Ring = ring
		o.API.Timeout = time.Minute // hashing a token with bcrypt is slow on purpose, and slower with the race detector
	})
	w.addKey("admin", apikey.Admin)
	w.addKey("operate", apikey.Operate)
	var said strings.Builder
	post := func(status int, key, body string) answer {
		a := w.wants(status, key, "POST", "/api/confluence/sources", body)
		said.Write(a.body)
		return a
	}
	post(http.StatusForbidden, "operate", addBody(`,"token":"`+canary+`","email":"reader@acme.com"`))
	post(http.StatusUnprocessableEntity, "admin", addBody(`,"token":"`+canary+`"`))
	_, err := w.store.Source(t.Context(), "docs")
	require.ErrorIs(t, err, store.ErrNotFound, "a source with a refused token is not added")

	post(http.StatusCreated, "admin", addBody(`,"token":"`+canary+`","email":"reader@acme.com","scoped":true`))
	c, err := w.store.Vault().Secret(t.Context(), ring, "docs")
	require.NoError(t, err)
	require.Equal(t, vault.Credential{Site: site, Email: "reader@acme.com", Token: secret.New(canary), Scoped: true}, c)
	post(http.StatusOK, "admin", addBody(`,"token":"`+canary+`-2"`))
	c, err = w.store.Vault().Secret(t.Context(), ring, "docs")
	require.NoError(t, err)
	require.Equal(t, vault.Credential{Site: site, Email: "reader@acme.com", Token: secret.New(canary + "-2"), Scoped: true}, c, "the rest stays")
	post(http.StatusOK, "admin", addBody(""))
	post(http.StatusConflict, "admin", strings.Replace(addBody(`,"token":"`+canary+`-3"`), "DOCS", "ELSE", 1))
	c, err = w.store.Vault().Secret(t.Context(), ring, "docs")
	require.NoError(t, err)
	require.Equal(t, canary+"-2", c.Token.Reveal(), "a refused request does not change the token")

	for _, bad := range []string{
		`,"token":"` + canary + ` with spaces","email":"reader@acme.com"`, `,"token":["` + canary + `"]`, `,"token":"` + canary + `","email":"` + canary + `"`,
		`,"token":"` + canary + strings.Repeat("x", 17<<10) + `"`, `,"token":"` + canary + `","extra":"` + canary + `"`, `,"token":"` + canary + `","tags":"` + canary + `"`,
		`,"token":"[redacted]"`, `,"email":"reader@acme.com"`, `,"scoped":true`, `,"token":"` + canary + `\u0000"`, `,"Token":"` + canary + `"`,
	} {
		post(http.StatusUnprocessableEntity, "admin", addBody(bad))
	}
	post(http.StatusUnprocessableEntity, "admin", `{"token":"`+canary+`"}`)
	post(http.StatusBadRequest, "admin", addBody(`,"token":"`+canary))
	said.Write(w.wants(http.StatusOK, "admin", "GET", "/api/confluence/docs", "").body)
	said.Write(w.wants(http.StatusOK, "admin", "GET", "/api/confluence/sources", "").body)
	said.Write(w.wants(http.StatusOK, "admin", "GET", "/api/confluence/docs/status", "").body)
	said.Write(w.wants(http.StatusOK, "admin", "GET", "/metrics", "").body)
	require.NotContains(t, said.String(), canary)
	require.NotContains(t, w.log.String(), canary)
	require.Contains(t, w.log.String(), "/api/confluence/sources", "the log was kept")

	var doc struct {
		Components struct {
			Schemas map[string]struct {
				Properties map[string]struct {
					WriteOnly bool `json:"writeOnly"`
				} `json:"properties"`
			} `json:"schemas"`
		} `json:"components"`
		Paths map[string]map[string]struct {
			Tags []string `json:"tags"`
		} `json:"paths"`
	}
	w.wants(http.StatusOK, "admin", "GET", "/api/openapi.json", "").into(&doc)
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		require.Contains(t, doc.Paths, path, "who operates it finds it in the document")
	}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			require.Len(t, op.Tags, 1, "%s %s", method, path)
		}
	}
	tokens := 0
	for name, s := range doc.Components.Schemas {
		if p, ok := s.Properties["token"]; ok {
			tokens++
			require.True(t, p.WriteOnly, name)
		}
	}
	require.Equal(t, 3, tokens, "three request schemas have a token, and no response schema")
}

func TestATokenNeedsAMasterKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := strings.Replace(addBody(`,"token":"`+canary+`","email":"reader@acme.com"`), `"docs"`, `"new"`, 1)
	a := w.wants(http.StatusConflict, "admin", "POST", "/api/confluence/sources", body)
	require.Equal(t, "no_master_key", a.code())
	require.Contains(t, string(a.body), "SLUICE_MASTER_KEY")
	require.NotContains(t, string(a.body)+w.log.String(), canary)
	_, err := w.store.Source(t.Context(), "new")
	require.ErrorIs(t, err, store.ErrNotFound)
}

func TestAWrongMasterKeyStoresNothing(t *testing.T) {
	t.Parallel()
	w := bareWorld(t, func(o *setup) { o.Trust.Ring, o.API.Timeout = newRing(t), time.Minute })
	w.addKey("admin", apikey.Admin)
	w.addKey("scoped", apikey.Admin, "docs")
	theirs := newRing(t)
	other := vault.Credential{Site: site, Email: "x@acme.com", Token: secret.New("theirs")}
	_, err := w.store.Vault().SetSecret(t.Context(), theirs, "other", other)
	require.NoError(t, err)
	body := addBody(`,"token":"` + canary + `","email":"reader@acme.com"`)
	for key, names := range map[string]bool{"admin": true, "scoped": false} {
		a := w.wants(http.StatusConflict, key, "POST", "/api/confluence/sources", body)
		require.Equal(t, "secret_unreadable", a.code())
		require.Equal(t, names, strings.Contains(string(a.body), "secret of other"), key)
		require.NotContains(t, string(a.body)+w.log.String(), canary)
	}
	_, err = w.store.Source(t.Context(), "docs")
	require.ErrorIs(t, err, store.ErrNotFound)
	list, err := w.store.Vault().Secrets(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 1)
	c, err := w.store.Vault().Secret(t.Context(), theirs, "other")
	require.NoError(t, err)
	require.Equal(t, other, c)
}

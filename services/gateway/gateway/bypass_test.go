package gateway

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/vault"
	"github.com/sluicehq/sluice/shared/viewer"
)

// otherWays returns spellings of a path that some servers or proxies treat as the path itself.
func otherWays(path string) []string {
	last := strings.LastIndex(path, "/")
	letter := path[last+1:]
	ways := []string{
		"/" + path, "//" + path, strings.ReplaceAll(path, "/", "//"), path + "/", path + "//", path + "/.", path + "/..", path + "/x/..", "/." + path, "/healthz/.." + path,
		"/healthz/..;" + path, "/readyz/%2e%2e" + path, "/healthz" + path, path[:last] + "/./" + letter, path[:last] + "/x/../" + letter, path[:last] + "%2f" + letter, path[:last] + "%2F" + letter,
		path[:last] + "\\" + letter, path[:last] + "%5c" + letter, path + ";x=y", path + ";.json", path + "%00", path + "%20", path + "%09", path + "%0a", path + ".json", path + "%3f", path + "%23",
		strings.ToUpper(path), "/Api" + strings.TrimPrefix(path, "/api"), path[:last] + fmt.Sprintf("/%%%02X", letter[0]) + letter[1:], strings.Replace(path, "/api", "/%61pi", 1), strings.Replace(path, "/api", "/%2561pi", 1),
		strings.Replace(path, "/api/", "/api%c0%af", 1), "/api/../.." + path, "http://127.0.0.1//" + strings.TrimPrefix(path, "/"),
	}
	return slices.DeleteFunc(ways, func(way string) bool { return way == path }) // paths without /api stay the same
}

// For every route: no spelling of its path gives access without a key, and an admin reaches it only by its exact
// path.
func TestNoSpellingOfAPathPassesTheGuard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	refused := []int{http.StatusUnauthorized, http.StatusNotFound, http.StatusBadRequest}
	for pattern := range routes {
		method, path := fillIn(pattern)
		if path == "/healthz" || path == "/readyz" {
			continue
		}
		for _, way := range otherWays(path) {
			w.g.keys.peers.Purge()
			require.Contains(t, refused, w.raw(method+" "+way+" HTTP/1.1", ""), "%s %s without a key", method, way)
			status := w.raw(method+" "+way+" HTTP/1.1", "admin")
			require.Contains(t, append(refused, http.StatusMethodNotAllowed, http.StatusUnprocessableEntity), status, "%s %s", method, way)
		}
		for _, other := range []string{"HEAD", "OPTIONS", "PUT", "PATCH", "TRACE", "get", "post", "delete", "GET\t", "PROPFIND"} {
			require.Contains(t, append(refused, http.StatusMethodNotAllowed), w.raw(other+" "+path+" HTTP/1.1", ""), "%s %s", other, path)
		}
	}
	w.untouched()
}

// untouched checks that everything is as newWorld and fill left it.
func (w *world) untouched() {
	w.t.Helper()
	for _, id := range []string{"docs", "hr"} {
		src, err := w.store.Reader().Source(w.t.Context(), viewer.All(), id)
		require.NoError(w.t, err)
		require.Equal(w.t, 3, src.Pages)
		runs, err := w.store.Reader().Runs(w.t.Context(), viewer.All(), id, store.First(10))
		require.NoError(w.t, err)
		require.Len(w.t, runs, 1)
	}
}

// For every route: no header or query parameter changes the method, the path or the caller of a request.
func TestHeadersDoNotChangeTheRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	for pattern, need := range routes {
		method, path := fillIn(pattern)
		if need == anyone {
			continue
		}
		for _, h := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
			w.g.keys.peers.Purge()
			require.Equal(t, http.StatusUnauthorized, w.ask("", method, path, "", h, "GET").status, pattern)
			if need == apikey.Read && method == http.MethodGet && !strings.HasSuffix(path, "/events") {
				plain := w.ask("admin", method, path, "")
				for _, to := range []string{"DELETE", "POST"} {
					require.Equal(t, plain.status, w.ask("admin", method, path, "", h, to).status, "%s with %s: %s", pattern, h, to)
				}
			}
			if need != apikey.Read {
				require.Equal(t, http.StatusForbidden, w.ask("read", method, path, "", h, "GET").status, pattern)
			}
		}
		w.g.keys.peers.Purge()
		for _, h := range []string{"X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Uri", "X-Forwarded-Prefix"} {
			require.Equal(t, http.StatusUnauthorized, w.ask("", method, path, "", h, "/healthz").status, pattern)
		}
		w.g.keys.peers.Purge()
		for _, h := range []string{"X-Forwarded-For", "X-Real-Ip", "Forwarded", "X-Forwarded-Host", "X-Remote-User", "X-Api-Key"} {
			require.Equal(t, http.StatusUnauthorized, w.ask("", method, path, "", h, "127.0.0.1").status, pattern)
		}
		if need != apikey.Read {
			status := w.ask("read", method, path+"?_method=GET", "").status
			require.Equal(t, http.StatusForbidden, status, pattern)
		}
	}
	w.untouched()
}

// For every route of a source: a key for other sources gets the same 404 as for a source that does not exist,
// whatever its role.
func TestOnEveryRouteAnotherSourceDoesNotExist(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	n := 0
	for pattern := range routes {
		if !strings.Contains(pattern, "{source_id}") {
			continue
		}
		n++
		method, path, _ := strings.Cut(pattern, " ")
		at := func(source string) string {
			return strings.NewReplacer("{source_id}", source, "{run}", "first-"+source).Replace(path)
		}
		hidden := w.wants(http.StatusNotFound, "docs-admin", method, at("hr"), "")
		missing := w.wants(http.StatusNotFound, "docs-admin", method, at("zz"), "")
		require.Equal(t, "unknown_source", hidden.code(), pattern)
		require.Equal(t, strings.ReplaceAll(string(missing.body), "zz", "hr"), string(hidden.body), pattern)
	}
	require.Greater(t, n, 8)
	w.untouched()
}

// stuckStore responds only after the request has timed out.
type stuckStore struct{ keyStore }

func (stuckStore) APIKey(ctx context.Context, _ string) (vault.APIKey, error) {
	<-ctx.Done()
	return vault.APIKey{}, ctx.Err()
}

func TestSlowRequestsAreEnded(t *testing.T) {
	t.Parallel()
	w := bareWorld(t, func(o *setup) { o.API.Timeout = 300 * time.Millisecond })
	w.addKey("read", apikey.Read)
	w.wants(http.StatusOK, "read", "GET", "/api/confluence/sources", "")
	w.addKey("stuck", apikey.Read)
	w.g.keys.store = stuckStore{w.store.Vault()}
	a := w.wants(http.StatusServiceUnavailable, "stuck", "GET", "/api/confluence/sources", "")
	require.Equal(t, "timeout", a.code())
	w.wants(http.StatusOK, "read", "GET", "/api/confluence/sources", "")
}

// Compressed bodies are refused as invalid JSON, and are not decompressed to find out.
func TestPackedBodiesAreNotUnpacked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write([]byte(`{"query":"` + strings.Repeat("a", 20<<20) + `"}`))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	require.Less(t, packed.Len(), w.g.cfg.MaxBody)
	for _, encoding := range []string{"gzip", "deflate", "br", "zstd", "gzip, gzip"} {
		a := w.wants(http.StatusBadRequest, "read", "POST", "/api/knowledge/search", packed.String(), "Content-Encoding", encoding)
		require.Equal(t, "bad_request", a.code(), encoding)
	}
}

package gateway

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/failure"
)

// router is a mux that puts every route behind the guard for its role in routes. huma registers its routes on it.
type router struct {
	g        *Gateway
	mux      *http.ServeMux
	served   []string // patterns, in the order of registration
	unlisted []string // patterns that are missing in routes
}

func newRouter(g *Gateway) *router {
	rt := &router{g: g, mux: http.NewServeMux()}
	// Unknown paths need a key too: without one, clients must not learn which paths exist.
	rt.mux.Handle("/", g.withLimits(g.guard(apikey.Read, http.HandlerFunc(rt.notFound))))
	return rt
}

// HandleFunc registers a route.
func (rt *router) HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request)) {
	role, ok := routes[pattern]
	if !ok {
		rt.unlisted = append(rt.unlisted, pattern)
		return
	}
	rt.served = append(rt.served, pattern)
	var h http.Handler = http.HandlerFunc(handler)
	stream := strings.HasSuffix(pattern, "/events") // it ends when its run ends
	if strings.HasPrefix(pattern, "GET /api/") && !stream {
		h = withETag(h)
	}
	h = rt.g.guard(role, h)
	if strings.HasSuffix(pattern, " "+mcpPath) {
		h = rt.g.challenged(h)
	}
	if !stream {
		h = rt.g.withLimits(h)
	}
	_, route, _ := strings.Cut(pattern, " ")
	rt.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if rec := recordOf(r.Context()); rec != nil {
			rec.route = route
		}
		h.ServeHTTP(w, r)
	})
}

// ServeHTTP serves a request.
func (rt *router) ServeHTTP(w http.ResponseWriter, r *http.Request) { rt.mux.ServeHTTP(w, r) }

// checkRoutes returns an error if routes and the registered routes differ.
func (rt *router) checkRoutes() error {
	if len(rt.unlisted) > 0 {
		return fmt.Errorf("routes without a role: %s", strings.Join(rt.unlisted, ", "))
	}
	for pattern := range routes {
		if !slices.Contains(rt.served, pattern) {
			return fmt.Errorf("a role is assigned to a route that does not exist: %s", pattern)
		}
	}
	return nil
}

// notFound serves requests that match no route: 405 if the path exists with another method, else 404.
func (rt *router) notFound(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPatch, http.MethodDelete} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := rt.mux.Handler(other); pattern != "/" && pattern != "" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) > 0 {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		fail(http.StatusMethodNotAllowed, codes[http.StatusMethodNotAllowed], "this path allows "+strings.Join(allowed, ", ")).write(w)
		return
	}
	fail(http.StatusNotFound, string(failure.NotFound), "this path does not exist; GET /api/openapi.json lists all paths").write(w)
}

// exactPath refuses paths that are not in canonical form. The mux would clean some of them and redirect; no honest client
// sends them.
func exactPath(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := r.URL.Path
		if r.URL.RawPath != "" || !strings.HasPrefix(p, "/") || path.Clean(p) != p || strings.ContainsAny(p, "\\;\x00") || r.URL.IsAbs() || r.Method == http.MethodConnect {
			fail(http.StatusNotFound, string(failure.NotFound), "this path does not exist").write(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// withETag adds an ETag to successful responses, and responds with 304 if the client has the same one. The response is
// computed in any case; only its transfer is saved.
func withETag(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		held := &heldAnswer{header: w.Header(), status: http.StatusOK}
		next.ServeHTTP(held, r)
		if held.status == http.StatusOK {
			sum := sha256.Sum256(held.body.Bytes())
			etag := `"` + base64.RawURLEncoding.EncodeToString(sum[:18]) + `"`
			w.Header().Set("ETag", etag)
			w.Header().Add("Vary", "Authorization, "+ReaderHeader)
			w.Header().Set("Cache-Control", "private, no-cache")
			if has(r.Header.Values("If-None-Match"), etag) {
				w.Header().Del("Content-Type")
				w.WriteHeader(http.StatusNotModified)
				return
			}
		}
		w.WriteHeader(held.status)
		if r.Method != http.MethodHead {
			_, _ = w.Write(held.body.Bytes())
		}
	})
}

// has reports whether the header contains the ETag. Weak and strong ETags are compared alike.
func has(header []string, etag string) bool {
	for _, line := range header {
		for one := range strings.SplitSeq(line, ",") {
			if one = strings.TrimSpace(one); one == "*" || strings.TrimPrefix(one, "W/") == etag {
				return true
			}
		}
	}
	return false
}

// heldAnswer buffers a response until its ETag is known.
type heldAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *heldAnswer) Header() http.Header         { return a.header }
func (a *heldAnswer) WriteHeader(status int)      { a.status = status }
func (a *heldAnswer) Write(b []byte) (int, error) { return a.body.Write(b) }

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

// router is a mux on which every route stands behind the guard that the table of routes
// asks for. It is what the API library registers its routes on.
type router struct {
	g      *Gateway
	mux    *http.ServeMux
	served []string // patterns, in the order of registration
	wrong  []string // patterns that the table does not know
}

func newRouter(g *Gateway) *router {
	rt := &router{g: g, mux: http.NewServeMux()}
	// Whatever else is asked for: who has no key is not told what there is.
	rt.mux.Handle("/", g.bounded(g.guard(apikey.Read, http.HandlerFunc(rt.nothing))))
	return rt
}

// HandleFunc registers a route.
func (rt *router) HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request)) {
	role, ok := routes[pattern]
	if !ok {
		rt.wrong = append(rt.wrong, pattern)
		return
	}
	rt.served = append(rt.served, pattern)
	var h http.Handler = http.HandlerFunc(handler)
	stream := strings.HasSuffix(pattern, "/events") // which ends when its run does
	if strings.HasPrefix(pattern, "GET /api/") && !stream {
		h = tagged(h)
	}
	h = rt.g.guard(role, h)
	if !stream {
		h = rt.g.bounded(h)
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

// complete complains about a table that does not fit what is served.
func (rt *router) complete() error {
	if len(rt.wrong) > 0 {
		return fmt.Errorf("these routes are in no table of who may what: %s", strings.Join(rt.wrong, ", "))
	}
	for pattern := range routes {
		if !slices.Contains(rt.served, pattern) {
			return fmt.Errorf("the table of who may what has a route that is not served: %s", pattern)
		}
	}
	return nil
}

// nothing answers for what is no route: 405 where the path is one with another method.
func (rt *router) nothing(w http.ResponseWriter, r *http.Request) {
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
		fail(http.StatusMethodNotAllowed, codes[http.StatusMethodNotAllowed], "this path takes "+strings.Join(allowed, ", ")).write(w)
		return
	}
	fail(http.StatusNotFound, string(failure.NotFound), "there is no such path; GET /api/openapi.json lists them").write(w)
}

// plain refuses paths that are written in another way than the routes are. The mux would
// clean some of them up and redirect; nobody who means well sends them.
func plain(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := r.URL.Path
		if r.URL.RawPath != "" || !strings.HasPrefix(p, "/") || path.Clean(p) != p || strings.ContainsAny(p, "\\;\x00") || r.URL.IsAbs() || r.Method == http.MethodConnect {
			fail(http.StatusNotFound, string(failure.NotFound), "there is no such path").write(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// tagged gives a good answer its ETag, and answers 304 to whoever has it already. The answer
// is worked out all the same: what is saved is the way.
func tagged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		held := &heldAnswer{header: w.Header(), status: http.StatusOK}
		next.ServeHTTP(held, r)
		if held.status == http.StatusOK {
			sum := sha256.Sum256(held.body.Bytes())
			etag := `"` + base64.RawURLEncoding.EncodeToString(sum[:18]) + `"`
			w.Header().Set("ETag", etag)
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

// has reports whether the header names the tag. Both forms of a tag are the same here.
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

// heldAnswer keeps an answer back until its tag is known.
type heldAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *heldAnswer) Header() http.Header         { return a.header }
func (a *heldAnswer) WriteHeader(status int)      { a.status = status }
func (a *heldAnswer) Write(b []byte) (int, error) { return a.body.Write(b) }

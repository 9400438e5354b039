package sandbox

import (
	"crypto/subtle"
	"net/http"
	"strings"
	"time"
)

// guard says who may call a route and how it rejects other callers.
type guard int

const (
	open guard = iota // control and browsable pages: no calls of the API
	edge              // needs no credential
	v1
	v2
)

// endpoint is one route: its guard, its pattern and its handler.
type endpoint struct {
	guard   guard
	pattern string // method and template
	answer  http.HandlerFunc
}

// template is the route's path with its wildcards, as in Stats and in Faults.
func (e endpoint) template() string {
	_, path, _ := strings.Cut(e.pattern, " ")
	return path
}

func (s *Site) endpoints() []endpoint {
	var out []endpoint
	add := func(g guard, routes map[string]http.HandlerFunc) {
		for pattern, h := range routes {
			out = append(out, endpoint{g, pattern, h})
		}
	}
	add(v2, s.v2Spaces())
	add(v2, s.v2Pages())
	add(v2, s.v2Tree())
	add(v2, s.v2Parts())
	add(v2, s.v2Comments())
	add(v2, s.v2Attachments())
	add(v2, s.v2Permissions())
	add(v2, map[string]http.HandlerFunc{
		"GET /wiki/api/v2/": func(w http.ResponseWriter, _ *http.Request) { notFound(w, "Not Found") },
	})
	add(v1, s.v1Routes())
	add(v1, s.downloads())
	add(edge, map[string]http.HandlerFunc{"GET " + mediaRoute: s.serveMedia}) // it has a credential of its own
	add(v1, map[string]http.HandlerFunc{
		"GET /wiki/rest/api/": func(w http.ResponseWriter, _ *http.Request) {
			v1Error(w, http.StatusNotFound, "No such route.")
		},
	})
	add(edge, map[string]http.HandlerFunc{
		"GET /_edge/tenant_info": func(w http.ResponseWriter, _ *http.Request) {
			write(w, http.StatusOK, map[string]string{"cloudId": s.opt.CloudID})
		},
	})
	add(open, s.controlRoutes())
	add(open, s.permissionRoutes())
	add(open, s.attachmentRoutes())
	add(open, s.webRoutes())
	return out
}

// Handler returns the site: REST v1 and v2 under /wiki, the same behind the gateway address
// /ex/confluence/{cloudId}, browsable pages, and the control routes under /_sandbox.
func (s *Site) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, e := range s.endpoints() {
		mux.HandleFunc(e.pattern, s.wrap(e))
	}
	return s.gateway(s.forward(mux))
}

// wrap adds to a route's handler everything that depends on the route.
func (s *Site) wrap(e endpoint) http.HandlerFunc {
	h := s.authenticated(e.guard, e.answer)
	if e.guard == open {
		return s.dated(h)
	}
	return s.stats.counted(e.template(), s.dated(s.faulty(e.template(), s.delayed(h))))
}

// dated puts the site's clock into every answer, faulty ones included: clients compare Retry-After
// and X-RateLimit-Reset with it.
func (s *Site) dated(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", s.opt.Now().UTC().Format(http.TimeFormat))
		h(w, r)
	}
}

// delayed adds the site's latency to the call.
func (s *Site) delayed(h http.HandlerFunc) http.HandlerFunc {
	if s.opt.Latency <= 0 {
		return h
	}
	return func(w http.ResponseWriter, r *http.Request) {
		wait := time.NewTimer(s.opt.Latency)
		defer wait.Stop()
		select {
		case <-wait.C:
			h(w, r)
		case <-r.Context().Done():
		}
	}
}

// authenticated answers a bad or missing credential like the real site: v2 with a bare 404, v1 with
// a 403 in Confluence's words, the gateway with a 401, and the site's own address answers a scoped
// token with a 401 that is not JSON.
func (s *Site) authenticated(g guard, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if g == open || g == edge {
			h(w, r)
			return
		}
		w.Header().Set("Cache-Control", "no-cache, no-store, no-transform")
		switch {
		case s.admits(r) && s.opt.Scoped && !viaGateway(r):
			proxyPage(w, http.StatusUnauthorized, 0)
		case s.admits(r):
			h(w, r)
		case viaGateway(r):
			write(w, http.StatusUnauthorized, map[string]any{"code": http.StatusUnauthorized, "message": "Unauthorized"})
		case g == v2:
			notFound(w, "Not Found")
		case strings.HasSuffix(r.URL.Path, "/user/current"):
			v1Error(w, http.StatusForbidden, "com.atlassian.confluence.api.service.exceptions.PermissionException: caller cannot access Confluence")
		default:
			v1Error(w, http.StatusForbidden, "com.atlassian.confluence.api.service.exceptions.PermissionException: Current user not permitted to use Confluence")
		}
	}
}

// admits checks the credential: Basic everywhere, Bearer only behind the gateway.
func (s *Site) admits(r *http.Request) bool {
	if email, token, ok := r.BasicAuth(); ok {
		return same(email, s.opt.Email) && same(token, s.opt.Token)
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return ok && viaGateway(r) && same(token, s.opt.Token)
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

const gatewayHeader = "X-Sandbox-Gateway"

// gateway serves /ex/confluence/{cloudId}/… like the site itself and marks the request.
func (s *Site) gateway(next http.Handler) http.Handler {
	prefix := "/ex/confluence/" + s.opt.CloudID
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del(gatewayHeader)
		if strings.HasPrefix(r.URL.Path, prefix+"/") {
			r.Header.Set(gatewayHeader, "1")
			http.StripPrefix(prefix, next).ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func viaGateway(r *http.Request) bool { return r.Header.Get(gatewayHeader) != "" }

// base is the site's address in links: scheme and host, then /wiki.
func (s *Site) base(r *http.Request) string { return s.origin(r) + "/wiki" }

func (s *Site) origin(r *http.Request) string {
	moved := s.movedTo()
	switch {
	case moved != "":
		return moved
	case s.opt.BaseURL != "":
		return s.opt.BaseURL
	case r.TLS != nil:
		return "https://" + r.Host
	default:
		return "http://" + r.Host
	}
}

package gateway

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/viewer"
)

// anyone is the role of the few routes that need no key.
const anyone apikey.Role = "anyone"

// routes says who may what: the one place. A route that is not here is not served, and the
// program does not start with one.
var routes = map[string]apikey.Role{
	"GET /healthz": anyone,
	"GET /readyz":  anyone,
	"GET /metrics": apikey.Read,

	"GET /api/openapi.json": apikey.Read,

	"POST /api/confluence/sources":                            apikey.Admin,
	"GET /api/confluence/sources":                             apikey.Read,
	"GET /api/confluence/{source_id}":                         apikey.Read,
	"PATCH /api/confluence/{source_id}":                       apikey.Admin,
	"DELETE /api/confluence/{source_id}":                      apikey.Admin,
	"POST /api/confluence/{source_id}/sync":                   apikey.Operate,
	"GET /api/confluence/{source_id}/status":                  apikey.Read,
	"GET /api/confluence/{source_id}/pages":                   apikey.Read,
	"GET /api/confluence/{source_id}/runs":                    apikey.Read,
	"GET /api/confluence/{source_id}/runs/{run}":              apikey.Operate, // names pages that may have been hidden since
	"POST /api/confluence/{source_id}/runs/{run}/cancel":      apikey.Operate,
	"GET /api/confluence/{source_id}/losses":                  apikey.Read,
	"GET /api/confluence/{source_id}/failures":                apikey.Read,
	"POST /api/confluence/{source_id}/failures/retry":         apikey.Operate,
	"GET /api/confluence/{source_id}/removals":                apikey.Operate, // names pages that may have been hidden since
	"POST /api/confluence/{source_id}/removals/{run}/approve": apikey.Operate,
	"POST /api/confluence/{source_id}/removals/{run}/reject":  apikey.Operate,

	"GET /api/progress/active":                apikey.Read,
	"GET /api/progress/{operation_id}":        apikey.Read,
	"GET /api/progress/{operation_id}/events": apikey.Read,

	"POST /api/knowledge/search": apikey.Read,
	"GET /api/pages/{id}":        apikey.Read,
	"GET /api/pages/{id}/chunks": apikey.Read,
}

// caller is who asks.
type caller struct {
	key   apikey.Key
	token string
	peer  string
}

type contextKey int

const (
	callerKey contextKey = iota
	recordKey
)

// asking returns who asks. Only a route without a guard has nobody, who sees nothing.
func asking(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey).(caller)
	return c
}

// viewing returns on whose behalf a request reads.
func viewing(ctx context.Context) viewer.Viewer { return asking(ctx).key.Viewer() }

// guard lets a request through to next when its caller may.
func (g *Gateway) guard(need apikey.Role, next http.Handler) http.Handler {
	if need == anyone {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A page of another site must not act with what a browser can reach.
		if err := g.crossOrigin.Check(r); err != nil {
			fail(http.StatusForbidden, "cross_origin", "requests from pages of other sites are refused").write(w)
			return
		}
		c, err := g.identify(r)
		if err != nil {
			g.problem(r.Context(), err).write(w)
			return
		}
		if rec := recordOf(r.Context()); rec != nil {
			rec.key = c.key.ID
		}
		if !c.key.Role.May(need) {
			fail(http.StatusForbidden, "forbidden", "this needs a key of the role "+string(need)+"; this one has "+string(c.key.Role)).write(w)
			return
		}
		if id := r.PathValue("source_id"); id != "" && !c.key.Viewer().Sees(id) {
			unknownSource(id).write(w)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey, c)))
	})
}

// identify finds out who asks. Nobody is answered without a key, wherever the request comes from.
func (g *Gateway) identify(r *http.Request) (caller, error) {
	c := caller{peer: peerOf(r.RemoteAddr)}
	given := r.Header.Values("Authorization")
	if len(given) != 1 {
		return c, errBadKey()
	}
	scheme, token, _ := strings.Cut(given[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return c, errBadKey()
	}
	c.token = strings.TrimSpace(token)
	var err error
	c.key, err = g.keys.prove(r.Context(), c.token, c.peer)
	return c, err
}

// still reports whether the caller of a long answer may still have it.
func (g *Gateway) still(ctx context.Context, c caller, sourceID string) bool {
	var err error
	c.key, err = g.keys.prove(ctx, c.token, c.peer)
	var p *Problem
	if err != nil {
		// That the database is away is no reason to send anybody home.
		return !errors.As(err, &p)
	}
	return c.key.Viewer().Sees(sourceID) && c.key.Role.May(apikey.Read)
}

package gateway

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/sluicehq/sluice/services/gateway/console"
	"github.com/sluicehq/sluice/shared/access"
	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/viewer"
)

// anyone marks the few routes that need no key.
const anyone apikey.Role = "anyone"

// routes is the only place that assigns a role to each route. A route that is missing here is not served, and New
// returns an error for it.
var routes = map[string]apikey.Role{
	"GET /healthz": anyone,
	"GET /readyz":  anyone,
	"GET /metrics": apikey.Read,

	"GET /api/openapi.json": apikey.Read,

	"POST /api/confluence/sources":                            apikey.Admin,
	"GET /api/confluence/sources":                             apikey.Read,
	"POST /api/confluence/cancel":                             apikey.Operate,
	"GET /api/confluence/{source_id}":                         apikey.Read,
	"PATCH /api/confluence/{source_id}":                       apikey.Admin,
	"DELETE /api/confluence/{source_id}":                      apikey.Admin,
	"POST /api/confluence/{source_id}/sync":                   apikey.Operate,
	"GET /api/confluence/{source_id}/status":                  apikey.Read,
	"GET /api/confluence/{source_id}/pages":                   apikey.Read,
	"GET /api/confluence/{source_id}/runs":                    apikey.Read,
	"GET /api/confluence/{source_id}/runs/{run}":              apikey.Operate, // returns pages that may have been hidden since
	"POST /api/confluence/{source_id}/runs/{run}/cancel":      apikey.Operate,
	"POST /api/confluence/{source_id}/cancel":                 apikey.Operate,
	"POST /api/confluence/{source_id}/resume":                 apikey.Operate,
	"GET /api/confluence/{source_id}/losses":                  apikey.Read,
	"GET /api/confluence/{source_id}/failures":                apikey.Read,
	"POST /api/confluence/{source_id}/failures/retry":         apikey.Operate,
	"GET /api/confluence/{source_id}/removals":                apikey.Operate, // returns pages that may have been hidden since
	"POST /api/confluence/{source_id}/removals/{run}/approve": apikey.Operate,
	"POST /api/confluence/{source_id}/removals/{run}/reject":  apikey.Operate,

	"GET /api/progress/active":                apikey.Read,
	"GET /api/progress/{operation_id}":        apikey.Read,
	"GET /api/progress/{operation_id}/events": apikey.Read,

	"POST /api/knowledge/search": apikey.Read,
	"GET /api/embeddings":        apikey.Read,
	"GET /api/pages/{id}":        apikey.Read,
	"GET /api/pages/{id}/chunks": apikey.Read,
	"GET /api/pages/{id}/access": apikey.Admin, // tells of pages that the key may not see

	"GET /api/system":                apikey.Operate, // numbers that depend on pages which the key may not see
	"GET /api/doctor":                apikey.Operate, // the same, and it calls the sites
	"GET /api/keys":                  apikey.Admin,
	"POST /api/keys":                 apikey.Admin,
	"DELETE /api/keys/{key_id}":      apikey.Admin,
	"GET /api/credentials":           apikey.Admin,
	"POST /api/credentials":          apikey.Admin,
	"DELETE /api/credentials/{name}": apikey.Admin,

	"POST " + mcpPath:               apikey.Read,
	"GET " + metadataPath:           anyone,
	"GET " + metadataPath + mcpPath: anyone,
}

// caller is the authenticated client of a request.
type caller struct {
	key   apikey.Key
	token string
	peer  string
	// account is the account that the request names as its reader, "" for none.
	account string
	// again returns the key as it is now, for callers that log in without a token; nil: the token is verified again.
	again func(context.Context) (apikey.Key, error)
}

// ReaderHeader names the account for which a request reads. Only keys that may act as others send it.
const ReaderHeader = "Sluice-Reader"

// name names the reader: what one reader began, another does not go on with.
func (c caller) name() string {
	if c.account != "" {
		return c.key.ID + " as " + c.account
	}
	return c.key.ID
}

// viewer returns the viewer that the request reads as.
func (c caller) viewer() viewer.Viewer {
	v, err := c.key.ViewerAs(c.account)
	if err != nil { // identify has refused it
		return viewer.Viewer{}
	}
	return v
}

type contextKey int

const (
	callerKey contextKey = iota
	recordKey
)

// callerOf returns the caller of the request. Without a guard it returns an empty caller, which sees nothing.
func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey).(caller)
	return c
}

// viewerOf returns the viewer that the request reads as.
func viewerOf(ctx context.Context) viewer.Viewer { return callerOf(ctx).viewer() }

// guard passes a request on to next if its caller has the role need and may see the source in the path.
func (g *Gateway) guard(need apikey.Role, next http.Handler) http.Handler {
	if need == anyone {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Pages of other sites must not use what a browser on this network can reach.
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
			fail(http.StatusForbidden, "forbidden", "this needs a key with the role "+string(need)+"; this key has the role "+string(c.key.Role)).write(w)
			return
		}
		if p := g.budget.take(c.key.ID); p != nil {
			p.write(w)
			return
		}
		if id := r.PathValue("source_id"); id != "" && !c.viewer().Sees(id) {
			unknownSource(id).write(w)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey, c)))
	})
}

// identify returns the caller of a request. Every request needs a key, wherever it comes from.
func (g *Gateway) identify(r *http.Request) (caller, error) {
	c := caller{peer: g.proxies.peer(r)}
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
	if c.key, err = g.keys.verify(r.Context(), c.token, c.peer); err != nil {
		return c, err
	}
	switch named := r.Header.Values(ReaderHeader); {
	case len(named) == 0:
		return c, nil
	case len(named) > 1 || named[0] == "": // never read as somebody else than was meant
		return c, errReader(access.ErrAccount)
	default:
		c.account = named[0]
	}
	if _, err := c.key.ViewerAs(c.account); err != nil {
		return c, errReader(err)
	}
	return c, nil
}

func errReader(err error) *Problem {
	return fail(http.StatusForbidden, "forbidden", ReaderHeader+": "+err.Error())
}

// mayFollow reports whether the caller of a long response may still see the source.
func (g *Gateway) mayFollow(ctx context.Context, c caller, sourceID string) bool {
	var err error
	if c.again != nil {
		c.key, err = c.again(ctx)
	} else {
		c.key, err = g.keys.verify(ctx, c.token, c.peer)
	}
	if err != nil {
		// An unavailable database is no reason to end streams.
		var p *Problem
		return !errors.As(err, &p) && !errors.Is(err, console.ErrLoggedOut)
	}
	if _, err := c.key.ViewerAs(c.account); err != nil {
		return false
	}
	return c.viewer().Sees(sourceID) && c.key.Role.May(apikey.Read)
}

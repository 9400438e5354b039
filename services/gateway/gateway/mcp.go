package gateway

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/shared/assistant"
)

const (
	mcpPath      = "/mcp"
	metadataPath = "/.well-known/oauth-protected-resource"
)

// assistants is the server that assistants speak to. It reads for the key that a request shows.
func (g *Gateway) assistants() http.Handler {
	calls := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sluice_mcp_calls_total", Help: "Calls of assistants by tool and outcome (ok, error); an empty tool is no tool.",
	}, []string{"tool", "outcome"})
	bytes := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_mcp_answer_bytes_total", Help: "Bytes of the answers to assistants, by tool."}, []string{"tool"})
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "sluice_mcp_call_duration_seconds", Help: "How long calls of assistants took, by tool.",
		Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
	}, []string{"tool"})
	g.metrics.registry.MustRegister(calls, bytes, seconds)
	s := assistant.New(assistant.Options{
		Control: g.control, Log: g.log, Version: version,
		Within: min(20*time.Second, g.cfg.Timeout*9/10), // it ends before the request is cut off, and says so
		Observe: func(c assistant.Call) {
			outcome := "ok"
			if c.Failed {
				outcome = "error"
			}
			calls.WithLabelValues(c.Tool, outcome).Inc()
			bytes.WithLabelValues(c.Tool).Add(float64(c.Bytes))
			seconds.WithLabelValues(c.Tool).Observe(c.Took.Seconds())
		},
	})
	h := s.Handler(func(r *http.Request) assistant.Caller {
		c := callerOf(r.Context())
		return assistant.Caller{Viewer: c.viewer(), Name: c.name(), ActAs: c.key.ActAs}
	}, int64(g.cfg.MaxBody))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !g.knows(r.Header.Get("Origin")) {
			fail(http.StatusForbidden, "cross_origin", "requests from pages of other sites are refused; GATEWAY_PUBLIC_URL names the address that browsers use").write(w)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// knows reports whether a page of this origin may ask as an assistant does, as the protocol demands: one of the public
// address, or of an address that no other site can take by pointing its own name here.
func (g *Gateway) knows(origin string) bool {
	if origin == "" {
		return true // no browser
	}
	from, err := url.Parse(origin)
	if err != nil || from.Host == "" {
		return false
	}
	if of, err := url.Parse(g.cfg.PublicURL); err == nil && from.Scheme == of.Scheme && strings.EqualFold(from.Host, of.Host) {
		return true
	}
	_, err = netip.ParseAddr(from.Hostname())
	return err == nil || from.Hostname() == "localhost"
}

// public is where clients reach the API.
func (g *Gateway) public(r *http.Request) string {
	if g.cfg.PublicURL != "" {
		return strings.TrimRight(g.cfg.PublicURL, "/")
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// metadata tells a client that has no key yet how to log in.
func (g *Gateway) metadata(w http.ResponseWriter, r *http.Request) {
	assistant.Metadata(g.public(r)+mcpPath).ServeHTTP(w, r)
}

// challenged says in a 401 where a client finds out how to log in.
func (g *Gateway) challenged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(&challenge{ResponseWriter: w, where: g.public(r) + metadataPath + mcpPath}, r)
	})
}

type challenge struct {
	http.ResponseWriter
	where string
}

// WriteHeader adds the address to a challenge.
func (c *challenge) WriteHeader(status int) {
	if status == http.StatusUnauthorized {
		c.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="sluice", resource_metadata=%q`, c.where))
	}
	c.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (c *challenge) Unwrap() http.ResponseWriter { return c.ResponseWriter }

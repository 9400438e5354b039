package gateway

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// register registers every route with its handler.
func (g *Gateway) register(api huma.API) {
	g.router.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	g.router.HandleFunc("GET /readyz", g.ready)
	g.router.HandleFunc("GET /metrics", g.serveMetrics)
	g.router.HandleFunc("GET /api/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+json;version=3.1")
		_, _ = w.Write(g.document)
	})
	g.router.HandleFunc("POST "+mcpPath, g.assistants().ServeHTTP)
	g.router.HandleFunc("GET "+metadataPath, g.metadata)
	g.router.HandleFunc("GET "+metadataPath+mcpPath, g.metadata)

	describe(api, "/healthz", "healthz", "Tell that the process lives", "Needs no key.")
	describe(api, "/readyz", "readyz", "Tell whether it can answer", "Needs no key.")
	describe(api, "/metrics", "metrics", "Show the metrics in Prometheus's text format", "Needs a key with the role "+string(routes["GET /metrics"])+".")

	add(g, api, "POST /api/confluence/sources", "add-source", "Add a space as a source", g.addSource, status(http.StatusCreated), orOK)
	add(g, api, "GET /api/confluence/sources", "list-sources", "List the sources", g.listSources)
	add(g, api, "POST /api/confluence/cancel", "cancel-all", "End all active and queued runs of the sources that the key sees", g.cancelAll)
	add(g, api, "GET /api/confluence/{source_id}", "get-source", "Show a source", g.getSource)
	add(g, api, "PATCH /api/confluence/{source_id}", "change-source", "Change a source's settings, its site's address and its token", g.changeSource)
	add(g, api, "DELETE /api/confluence/{source_id}", "delete-source", "Delete a source and everything stored for it", g.deleteSource, status(http.StatusNoContent))
	add(g, api, "POST /api/confluence/{source_id}/sync", "sync-source", "Request a sync", g.sync, status(http.StatusAccepted))
	add(g, api, "GET /api/confluence/{source_id}/status", "source-status", "Show the status of a source", g.status)
	add(g, api, "GET /api/confluence/{source_id}/pages", "list-pages", "List a source's live pages", g.listPages)
	add(g, api, "GET /api/confluence/{source_id}/runs", "list-runs", "List a source's runs, newest first", g.listRuns)
	add(g, api, "GET /api/confluence/{source_id}/runs/{run}", "get-run", "Show the full report of a run", g.getRun)
	add(g, api, "POST /api/confluence/{source_id}/runs/{run}/cancel", "cancel-run", "End an active or queued run", g.cancelRun)
	add(g, api, "POST /api/confluence/{source_id}/cancel", "cancel-runs", "End all active and queued runs of a source", g.cancelSource)
	add(g, api, "POST /api/confluence/{source_id}/resume", "resume-source", "End the pause that a source's site asked for", g.resume)
	add(g, api, "GET /api/confluence/{source_id}/losses", "list-losses", "Summarize how macros and elements on a source's pages were converted", g.losses)
	add(g, api, "GET /api/confluence/{source_id}/failures", "list-failures", "List the pages that are failed now", g.listFailures)
	add(g, api, "POST /api/confluence/{source_id}/failures/retry", "retry-failures", "Request a sync that retries failed pages", g.retryFailures, status(http.StatusAccepted))
	add(g, api, "GET /api/confluence/{source_id}/removals", "list-removals", "List removed pages and held removals", g.listRemovals)
	add(g, api, "POST /api/confluence/{source_id}/removals/{run}/approve", "approve-removals", "Approve the removals that a run held back", g.approve, status(http.StatusAccepted))
	add(g, api, "POST /api/confluence/{source_id}/removals/{run}/reject", "reject-removals", "Reject the removals that a run held back", g.reject)

	add(g, api, "GET /api/progress/active", "active-progress", "List the active syncs", g.active)
	add(g, api, "GET /api/progress/{operation_id}", "get-progress", "Show the progress of a sync", g.progress)
	add(g, api, "GET "+eventsPath, "follow-progress", "Follow a sync to its end", g.events, eventStream)

	add(g, api, "POST /api/knowledge/search", "search", "Search the chunks", g.search)
	add(g, api, "GET /api/embeddings", "get-embeddings", "Show how many chunks have a vector", g.embeddings)
	add(g, api, "GET /api/pages/{id}", "get-page", "Show a page: Markdown, metadata, losses", g.getPage, onePage)
	add(g, api, "GET /api/pages/{id}/chunks", "list-chunks", "List a page's chunks, in order", g.listChunks, onePage)
	add(g, api, "GET /api/pages/{id}/access", "explain-access", "Explain whether an account sees a page", g.whyAccess, onePage)

	add(g, api, "GET /api/system", "get-system", "Show the state of the broker, of the sites' request budgets and of the database", g.system)
	add(g, api, "GET /api/doctor", "examine", "Examine the database, the broker and every source, and say how to fix what is wrong; it calls the sites", g.doctor)
	add(g, api, "GET /api/keys", "list-keys", "List the API keys without their secrets, the revoked ones too, oldest first", g.listKeys)
	add(g, api, "POST /api/keys", "create-key", "Make an API key, and show it this once", g.createKey, status(http.StatusCreated))
	add(g, api, "DELETE /api/keys/{key_id}", "revoke-key", "Revoke an API key", g.revokeKey)
	add(g, api, "GET /api/credentials", "list-credentials", "List the stored API tokens of Confluence without their content", g.listCredentials)
	add(g, api, "POST /api/credentials", "set-credential", "Store an API token of a source or of a site, or replace it", g.setCredential)
	add(g, api, "DELETE /api/credentials/{name}", "remove-credential", "Delete a stored API token", g.removeCredential, status(http.StatusNoContent))
}

// tag returns the heading under which a reader of the document finds a route.
func tag(path string) string {
	switch {
	case strings.HasPrefix(path, "/api/progress/"):
		return "Progress"
	case strings.Contains(path, "/runs"), strings.HasSuffix(path, "/sync"), strings.HasSuffix(path, "/cancel"):
		return "Runs"
	case strings.Contains(path, "/failures"), strings.Contains(path, "/removals"):
		return "Failures and removals"
	case strings.HasPrefix(path, "/api/confluence/"):
		return "Sources"
	case path == "/api/system", path == "/api/doctor":
		return "Operation"
	case strings.HasPrefix(path, "/api/keys"), strings.HasPrefix(path, "/api/credentials"):
		return "Keys and credentials"
	case strings.HasPrefix(path, "/api/"):
		return "Search and pages"
	default:
		return "Operation"
	}
}

// describe adds routes to the document that huma does not serve, since they answer in plain text.
func describe(api huma.API, path, id, summary, description string) {
	text := func(what string) *huma.Response {
		return &huma.Response{Description: what, Content: map[string]*huma.MediaType{"text/plain": {Schema: &huma.Schema{Type: "string"}}}}
	}
	op := &huma.Operation{
		OperationID: id, Method: http.MethodGet, Path: path, Summary: summary, Description: description, Tags: []string{tag(path)},
		Responses: map[string]*huma.Response{"200": text("OK")},
	}
	if role := routes["GET "+path]; role == anyone {
		op.Security = []map[string][]string{{}}
	} else {
		op.Responses["401"] = text("No valid key")
	}
	if path == "/readyz" {
		op.Responses["503"] = &huma.Response{Description: "What does not respond"}
	}
	api.OpenAPI().AddOperation(op)
}

// add registers one route. Every error of its handler is converted to a problem.
func add[I, O any](g *Gateway, api huma.API, pattern, id, summary string, handle func(context.Context, *I) (*O, error), more ...func(*huma.Operation)) {
	method, path, _ := strings.Cut(pattern, " ")
	op := huma.Operation{
		OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{tag(path)},
		Description: "Needs a key with the role " + string(routes[pattern]) + ".",
		// One byte more than the limit, since huma refuses bodies of exactly its limit.
		MaxBodyBytes: int64(g.cfg.MaxBody) + 1, BodyReadTimeout: g.cfg.Timeout,
		Errors: []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable},
	}
	if method != http.MethodGet {
		op.Errors = append(op.Errors, http.StatusConflict, http.StatusBadRequest, http.StatusRequestTimeout,
			http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	if _, ok := any(new(I)).(windowed); ok {
		op.Errors = append(op.Errors, http.StatusBadRequest)
	}
	for _, f := range more {
		f(&op)
	}
	huma.Register(api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if err != nil {
			return nil, g.problem(ctx, err)
		}
		return out, nil
	})
}

func status(code int) func(*huma.Operation) {
	return func(op *huma.Operation) { op.DefaultStatus = code }
}

// orOK documents the status 200 for a source that existed already.
func orOK(op *huma.Operation) {
	op.Responses = map[string]*huma.Response{"200": {
		Description: "It existed already",
		Content:     map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Ref: "#/components/schemas/Source"}}},
	}}
}

// onePage documents the errors of routes for one page: it may have been removed, and several sites may have its id.
func onePage(op *huma.Operation) { op.Errors = append(op.Errors, http.StatusGone, http.StatusConflict) }

// ready responds with 200 once Postgres and NATS respond.
func (g *Gateway) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	for _, one := range []struct {
		name  string
		check func() error
	}{{"postgres", func() error { return g.record.Ping(ctx) }}, {"nats", g.bus.Healthy}} {
		if err := one.check(); err != nil {
			fail(http.StatusServiceUnavailable, "unavailable", one.name+" does not respond").write(w)
			return
		}
	}
	_, _ = io.WriteString(w, "ready\n")
}

// serveMetrics serves the metrics, which cover all sources.
func (g *Gateway) serveMetrics(w http.ResponseWriter, r *http.Request) {
	if !viewerOf(r.Context()).SeesAll() {
		fail(http.StatusForbidden, "forbidden", "metrics cover all sources; this key is limited to some").write(w)
		return
	}
	g.metrics.handler(r.Context(), viewerOf(r.Context())).ServeHTTP(w, r)
}

package gateway

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// register names every route and what serves it.
func (g *Gateway) register(api huma.API) {
	g.router.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	g.router.HandleFunc("GET /readyz", g.ready)
	g.router.HandleFunc("GET /metrics", g.measure)
	g.router.HandleFunc("GET /api/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+json;version=3.1")
		_, _ = w.Write(g.document)
	})

	add(g, api, "POST /api/confluence/sources", "add-source", "Add a space as a source", g.addSource, status(http.StatusCreated), orOK)
	add(g, api, "GET /api/confluence/sources", "list-sources", "List the sources", g.listSources)
	add(g, api, "GET /api/confluence/{source_id}", "get-source", "Show a source", g.getSource)
	add(g, api, "PATCH /api/confluence/{source_id}", "change-source", "Change settings of a source, and its token", g.changeSource)
	add(g, api, "DELETE /api/confluence/{source_id}", "delete-source", "Delete a source with all that was stored of it", g.deleteSource, status(http.StatusNoContent))
	add(g, api, "POST /api/confluence/{source_id}/sync", "sync-source", "Ask for a sync", g.sync, status(http.StatusAccepted))
	add(g, api, "GET /api/confluence/{source_id}/status", "source-status", "Show how a source stands", g.status)
	add(g, api, "GET /api/confluence/{source_id}/pages", "list-pages", "List a source's live pages", g.listPages)
	add(g, api, "GET /api/confluence/{source_id}/runs", "list-runs", "List a source's runs, the newest first", g.listRuns)
	add(g, api, "GET /api/confluence/{source_id}/runs/{run}", "get-run", "Show the whole story of a run", g.getRun)
	add(g, api, "POST /api/confluence/{source_id}/runs/{run}/cancel", "cancel-run", "End a run that is under way or waits for its turn", g.cancelRun)
	add(g, api, "GET /api/confluence/{source_id}/losses", "list-losses", "Add up what became of macros and elements on a source's pages", g.losses)
	add(g, api, "GET /api/confluence/{source_id}/failures", "list-failures", "List the pages that are failed now", g.listFailures)
	add(g, api, "POST /api/confluence/{source_id}/failures/retry", "retry-failures", "Ask for a sync that tries failed pages again", g.retryFailures, status(http.StatusAccepted))
	add(g, api, "GET /api/confluence/{source_id}/removals", "list-removals", "List what left, and what was held back", g.listRemovals)
	add(g, api, "POST /api/confluence/{source_id}/removals/{run}/approve", "approve-removals", "Let the removals go that a run held back", g.approve, status(http.StatusAccepted))
	add(g, api, "POST /api/confluence/{source_id}/removals/{run}/reject", "reject-removals", "Keep the pages that a run held back", g.reject)

	add(g, api, "GET /api/progress/active", "active-progress", "List the syncs under way", g.active)
	add(g, api, "GET /api/progress/{operation_id}", "get-progress", "Show how far a sync is", g.progress)
	add(g, api, "GET "+eventsPath, "follow-progress", "Follow a sync to its end", g.events, eventStream)

	add(g, api, "POST /api/knowledge/search", "search", "Search the chunks", g.search)
	add(g, api, "GET /api/pages/{id}", "get-page", "Show a page: Markdown, facts, losses", g.getPage, onePage)
	add(g, api, "GET /api/pages/{id}/chunks", "list-chunks", "List a page's chunks, in order", g.listChunks, onePage)
}

// add registers one route. Whatever error its handler returns becomes a problem.
func add[I, O any](g *Gateway, api huma.API, pattern, id, summary string, handle func(context.Context, *I) (*O, error), more ...func(*huma.Operation)) {
	method, path, _ := strings.Cut(pattern, " ")
	op := huma.Operation{
		OperationID: id, Method: method, Path: path, Summary: summary,
		Description: "Needs a key of the role " + string(routes[pattern]) + ".",
		// One more byte than is taken, since the router refuses what is as long as its bound.
		MaxBodyBytes: int64(g.cfg.MaxBody) + 1, BodyReadTimeout: g.cfg.Timeout,
		Errors: []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable},
	}
	if method != http.MethodGet {
		op.Errors = append(op.Errors, http.StatusConflict, http.StatusBadRequest, http.StatusRequestTimeout,
			http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
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

// orOK is for what was there already: the same answer with another status.
func orOK(op *huma.Operation) {
	op.Responses = map[string]*huma.Response{"200": {
		Description: "It was there already",
		Content:     map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Ref: "#/components/schemas/Source"}}},
	}}
}

// onePage is for what tells of one page, which may have left, and whose id several sites may have.
func onePage(op *huma.Operation) { op.Errors = append(op.Errors, http.StatusGone, http.StatusConflict) }

// ready answers 200 once the servers that the API stands on answer.
func (g *Gateway) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	for _, one := range []struct {
		name  string
		check func() error
	}{{"postgres", func() error { return g.record.Ping(ctx) }}, {"nats", g.bus.Healthy}} {
		if err := one.check(); err != nil {
			fail(http.StatusServiceUnavailable, "unavailable", one.name+" does not answer").write(w)
			return
		}
	}
	_, _ = io.WriteString(w, "ready\n")
}

// measure serves the metrics, which are about all sources.
func (g *Gateway) measure(w http.ResponseWriter, r *http.Request) {
	if !viewing(r.Context()).SeesAll() {
		fail(http.StatusForbidden, "forbidden", "metrics are about all sources; this key is for some").write(w)
		return
	}
	g.metrics.handler().ServeHTTP(w, r)
}

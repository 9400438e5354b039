package gateway

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/schedule"
	"github.com/sluicehq/sluice/shared/secret"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/vault"
)

type items struct {
	Items []map[string]any `json:"items"`
	Next  string           `json:"next"`
}

func ids(list items, key string) []string {
	var all []string
	for _, one := range list.Items {
		all = append(all, one[key].(string))
	}
	return all
}

// Every operation of the OpenAPI document is requested successfully at least once, and every response is checked
// against the document.
func TestResponsesMatchTheOpenAPIDocument(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good, errs := w.checks.ValidateDocument()
	require.True(t, good, "%v", errs)
	w.fill()

	a := w.wants(http.StatusCreated, "admin", "POST", "/api/confluence/sources",
		`{"source_id":"new","base_url":"https://ACME.atlassian.net","space_key":"NEW","tags":["a"],"blog_posts":true,"deletion_strategy":"every_sync","schedule":{"every":"60s"}}`)
	require.Equal(t, "/api/confluence/new", a.header.Get("Location"))
	w.wants(http.StatusOK, "admin", "POST", "/api/confluence/sources", `{"source_id":"new","base_url":"https://acme.atlassian.net/wiki/","space_key":"NEW"}`)
	require.Equal(t, "source_exists", w.wants(http.StatusConflict, "admin", "POST", "/api/confluence/sources",
		`{"source_id":"new","base_url":"https://acme.atlassian.net","space_key":"ELSE"}`).code())
	require.Equal(t, "space_taken", w.wants(http.StatusConflict, "admin", "POST", "/api/confluence/sources",
		`{"source_id":"new2","base_url":"https://acme.atlassian.net","space_key":"new"}`).code())
	var src store.Source
	w.wants(http.StatusOK, "read", "GET", "/api/confluence/new", "").into(&src)
	require.Equal(t, schedule.Schedule{On: true, Every: "1m", FullEvery: "7d"}, src.Schedule.Schedule)
	require.False(t, src.Schedule.Next.IsZero())
	src.Schedule = nil
	require.Equal(t, store.Source{ID: "new", System: "confluence", BaseURL: site, SpaceKey: "NEW", DisplayName: "NEW", DeletionStrategy: store.EverySync,
		BlogPosts: true, Comments: store.AllComments, Attachments: store.AttachmentsOff, KnowledgeType: "technical", Tags: []string{"a"}, Permissions: store.Enforce, Chosen: true}, src)

	var list items
	w.wants(http.StatusOK, "read", "GET", "/api/confluence/sources", "").into(&list)
	require.Equal(t, []string{"docs", "hr", "new"}, ids(list, "source_id"))
	require.EqualValues(t, 3, list.Items[0]["pages"])

	var st sourceStatus
	w.wants(http.StatusOK, "read", "GET", "/api/confluence/docs/status", "").into(&st)
	require.Equal(t, "first-docs", st.Latest.ID)
	require.Equal(t, 3, st.Source.Chunks)
	w.wants(http.StatusOK, "read", "GET", "/api/confluence/new/status", "")

	w.wants(http.StatusOK, "read", "GET", "/api/confluence/docs/pages", "").into(&list)
	require.Equal(t, []string{"11", "12", "13"}, ids(list, "page_id"))
	w.wants(http.StatusOK, "read", "GET", "/api/confluence/docs/runs", "").into(&list)
	require.Equal(t, []string{"first-docs"}, ids(list, "run_id"))

	var p store.Page
	w.wants(http.StatusOK, "read", "GET", "/api/pages/11", "").into(&p)
	require.Contains(t, p.Markdown, "signing keys")
	require.Equal(t, "macro:toc", p.Losses[0].Element)
	w.wants(http.StatusOK, "read", "GET", "/api/pages/11/chunks", "").into(&list)
	require.Equal(t, "Rotate the signing keys every quarter.", list.Items[0]["content"])
	require.Equal(t, "not_found", w.wants(http.StatusNotFound, "read", "GET", "/api/pages/99/chunks", "").code())
	w.wants(http.StatusOK, "admin", "GET", "/api/pages/11/access?account=ann", "")
	w.wants(http.StatusOK, "read", "GET", "/api/confluence/docs/losses", "").into(&list)
	require.Equal(t, "macro:toc", list.Items[0]["element"])
	var hits found
	w.wants(http.StatusOK, "read", "POST", "/api/knowledge/search", `{"query":"signing keys"}`).into(&hits)
	require.Len(t, hits.Items, 2)
	w.wants(http.StatusOK, "read", "POST", "/api/knowledge/search", `{"query":"signing keys","under":"99"}`).into(&hits)
	require.Empty(t, hits.Items)
	var vectors control.Embeddings
	w.wants(http.StatusOK, "read", "GET", "/api/embeddings", "").into(&vectors)
	require.Empty(t, vectors.Spaces)

	var op operation
	w.wants(http.StatusOK, "read", "GET", "/api/progress/first-docs", "").into(&op)
	require.Equal(t, []any{"first-docs", "confluence_sync", "completed", 100}, []any{op.ProgressID, op.Type, op.Status, op.Progress})
	require.Len(t, op.Logs, 5)
	require.Len(t, op.Steps, 5)
	w.checkArchonsProgress()
	w.wants(http.StatusOK, "read", "GET", "/api/progress/active", "")

	w.checkFailuresAndRemovals()
	w.checkRunsAndChanges()
	w.checkPause()
	w.checkKeys()
	w.checkCredentials()
	w.wants(http.StatusOK, "operate", "GET", "/api/system", "")
	w.wants(http.StatusOK, "operate", "GET", "/api/doctor", "")

	w.wants(http.StatusNoContent, "admin", "DELETE", "/api/confluence/new", "")
	require.Equal(t, "unknown_source", w.wants(http.StatusNotFound, "admin", "DELETE", "/api/confluence/new", "").code())

	for pattern := range routes {
		if strings.Contains(pattern, " /api/") && !strings.HasSuffix(pattern, "/events") && pattern != "GET /api/openapi.json" {
			require.True(t, w.checked[pattern], "%s was never held against the document", pattern)
		}
	}
}

// checkArchonsProgress reads progress as Archon's pages do: by the field names and types of its responses.
func (w *world) checkArchonsProgress() {
	t := w.t
	t.Helper()
	var one struct {
		ProgressID string   `json:"progressId"`
		Status     string   `json:"status"`
		Progress   float64  `json:"progress"`
		Message    string   `json:"message"`
		Logs       []string `json:"logs"`
	}
	w.wants(http.StatusOK, "read", "GET", "/api/progress/first-docs", "").into(&one)
	require.Equal(t, []any{"first-docs", "completed", 100.0}, []any{one.ProgressID, one.Status, one.Progress})
	require.Contains(t, one.Message, "completed: ")
	require.Equal(t, "full sync of docs requested", one.Logs[0])

	waits := w.wants(http.StatusAccepted, "operate", "POST", "/api/confluence/hr/sync", "")
	var ok accepted
	waits.into(&ok)
	var list struct {
		Operations []map[string]any `json:"operations"`
		Count      int              `json:"count"`
		Timestamp  time.Time        `json:"timestamp"`
	}
	w.wants(http.StatusOK, "read", "GET", "/api/progress/active", "").into(&list)
	require.False(t, list.Timestamp.IsZero())
	require.NotZero(t, list.Count)
	op := list.Operations[list.Count-1]
	require.Equal(t, []any{ok.OperationID, "confluence_sync", "initializing", 0.0, "waits for its turn", "hr"},
		[]any{op["operation_id"], op["operation_type"], op["status"], op["progress"], op["message"], op["source_id"]})
	_, err := time.Parse(time.RFC3339Nano, op["started_at"].(string))
	require.NoError(t, err)
	_, err = w.store.CancelRun(t.Context(), ok.OperationID)
	require.NoError(t, err)
}

// checkRunsAndChanges reads runs, cancels one, and changes the source.
func (w *world) checkRunsAndChanges() {
	t := w.t
	t.Helper()
	var story control.Story
	w.wants(http.StatusOK, "operate", "GET", "/api/confluence/docs/runs/second", "").into(&story)
	require.Equal(t, []any{"second", 1, "14"}, []any{story.ID, story.Counts.Failed, story.Failures[0].PageID})
	w.wants(http.StatusOK, "operate", "GET", "/api/confluence/hr/runs/held-1?limit=1", "").into(&story)
	require.Len(t, story.Held, 1)
	require.Equal(t, "unknown_run", w.wants(http.StatusNotFound, "operate", "GET", "/api/confluence/docs/runs/held-1", "").code(), "another source's run")
	require.Equal(t, "unknown_run", w.wants(http.StatusNotFound, "operate", "POST", "/api/confluence/docs/runs/none/cancel", "").code())

	var asked accepted
	w.wants(http.StatusAccepted, "operate", "POST", "/api/confluence/new/sync", "").into(&asked)
	cancel := "/runs/" + asked.OperationID + "/cancel"
	require.Equal(t, "unknown_run", w.wants(http.StatusNotFound, "operate", "POST", "/api/confluence/docs"+cancel, "").code(), "another source's run")
	var ended control.Cancelled
	w.wants(http.StatusOK, "operate", "POST", "/api/confluence/new"+cancel, "").into(&ended)
	require.Equal(t, event.StateCancelled, ended.State)
	require.Equal(t, "run_ended", w.wants(http.StatusConflict, "operate", "POST", "/api/confluence/new"+cancel, "").code())
	w.wants(http.StatusOK, "operate", "POST", "/api/confluence/new/cancel", "")
	w.wants(http.StatusOK, "operate", "POST", "/api/confluence/cancel", "")

	var src store.Source
	w.wants(http.StatusOK, "admin", "PATCH", "/api/confluence/new", `{"display_name":"Newer","deletion_strategy":"on_demand","tags":[],"blog_posts":false}`).into(&src)
	require.Equal(t, []any{"Newer", store.OnDemand, []string{}, false}, []any{src.DisplayName, src.DeletionStrategy, src.Tags, src.BlogPosts})
	w.wants(http.StatusOK, "admin", "PATCH", "/api/confluence/new", `{"tags":["b"]}`).into(&src)
	require.Equal(t, []any{"Newer", []string{"b"}}, []any{src.DisplayName, src.Tags}, "unnamed fields stay")
	w.wants(http.StatusOK, "admin", "PATCH", "/api/confluence/new", `{"schedule":{"on":false}}`).into(&src)
	w.wants(http.StatusOK, "admin", "PATCH", "/api/confluence/new", `{"schedule":{"quiet_hours":"22:00-06:00"}}`).into(&src)
	require.Equal(t, schedule.Schedule{Every: "1m", Quiet: "22:00-06:00", FullEvery: "7d"}, src.Schedule.Schedule, "it stays off")
	for _, body := range []string{`{}`, `{"email":"x@acme.com"}`, `{"deletion_strategy":"never"}`, `{"space_key":"ELSE"}`, `{"tags":null}`, `{"schedule":{}}`, `{"schedule":{"every":"1s"}}`, `{"schedule":{"cron":"0 0 31 2 *"}}`} {
		require.Equal(t, "invalid", w.wants(http.StatusUnprocessableEntity, "admin", "PATCH", "/api/confluence/new", body).code(), body)
	}
	w.checkAddress()
	require.Equal(t, "no_master_key", w.wants(http.StatusConflict, "admin", "PATCH", "/api/confluence/new", `{"display_name":"X","token":"t","email":"x@acme.com"}`).code())
	w.wants(http.StatusOK, "read", "GET", "/api/confluence/new", "").into(&src)
	require.Equal(t, "Newer", src.DisplayName, "nothing is changed without the token")
}

// checkAddress gives a source's site another address, with the guards that the command has.
func (w *world) checkAddress() {
	t := w.t
	t.Helper()
	ctx := t.Context()
	at := func(address string) string { return `{"base_url":` + strconv.Quote(address) + `}` }
	require.NoError(t, w.store.AddSource(ctx, store.Source{ID: "moves", BaseURL: "https://moves.atlassian.net/wiki", SpaceKey: "MOVES"}))
	require.NoError(t, w.store.AddSource(ctx, store.Source{ID: "stays", BaseURL: "https://stays.atlassian.net/wiki", SpaceKey: "STAYS"}))
	for id, cloud := range map[string]string{"moves": "cloud-1", "stays": "cloud-2"} {
		_, err := w.store.Identify(ctx, id, store.Identity{Site: cloud})
		require.NoError(t, err)
	}
	var src store.Source
	w.wants(http.StatusOK, "admin", "PATCH", "/api/confluence/moves", at("https://Moved.atlassian.net/")).into(&src)
	require.Equal(t, "https://moved.atlassian.net/wiki", src.BaseURL, "in its one form")
	require.Equal(t, "other_site", w.wants(http.StatusConflict, "admin", "PATCH", "/api/confluence/moves", at("https://stays.atlassian.net")).code())
	for _, address := range []string{"https://evil.example", "http://moved.atlassian.net", "https://x..atlassian.net"} {
		require.Equal(t, "site_not_allowed", w.wants(http.StatusUnprocessableEntity, "admin", "PATCH", "/api/confluence/moves", at(address)).code(), address)
	}
	require.Equal(t, "invalid", w.wants(http.StatusUnprocessableEntity, "admin", "PATCH", "/api/confluence/moves", at("")).code())
	require.Equal(t, "forbidden", w.wants(http.StatusForbidden, "operate", "PATCH", "/api/confluence/moves", at("https://else.atlassian.net")).code())
	require.Equal(t, "forbidden", w.wants(http.StatusForbidden, "docs-admin", "PATCH", "/api/confluence/docs", at("https://else.atlassian.net")).code(),
		"the site's token reads all of it")
	w.wants(http.StatusOK, "admin", "GET", "/api/confluence/moves", "").into(&src)
	require.Equal(t, "https://moved.atlassian.net/wiki", src.BaseURL)
	for _, id := range []string{"moves", "stays"} {
		w.wants(http.StatusNoContent, "admin", "DELETE", "/api/confluence/"+id, "")
	}
}

// No source may have an id that is also a path of the API.
func TestNoSourceIDIsAPathOfTheAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for pattern := range routes {
		_, path, _ := strings.Cut(pattern, " ")
		parts := strings.Split(path, "/")
		if len(parts) < 4 || parts[2] != "confluence" || strings.HasPrefix(parts[3], "{") {
			continue
		}
		require.Contains(t, control.ReservedIDs, parts[3])
		a := w.wants(http.StatusUnprocessableEntity, "admin", "POST", "/api/confluence/sources",
			`{"source_id":"`+parts[3]+`","base_url":"https://acme.atlassian.net","space_key":"X"}`)
		require.Equal(t, "invalid", a.code())
	}
}

func TestASyncIsStoredAndPublished(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	heard := make(chan bus.Delivery, 10)
	stop, err := w.kit.Bus.Listen(event.TypeSyncRequested, "docs", func(d bus.Delivery) { heard <- d })
	require.NoError(t, err)
	defer stop()
	a := w.wants(http.StatusAccepted, "operate", "POST", "/api/confluence/docs/sync", `{"mode":"full","approve_removals":true}`)
	var ok accepted
	a.into(&ok)
	require.Equal(t, "/api/progress/"+ok.OperationID, a.header.Get("Location"))
	var req event.SyncRequested
	require.NoError(t, json.Unmarshal((<-heard).Data, &req))
	require.Equal(t, event.SyncRequested{RequestID: ok.OperationID, Mode: event.Full, ApproveRemovals: true}, req)
	// The run is not open yet, but its progress can be read.
	var op operation
	w.wants(http.StatusOK, "read", "GET", a.header.Get("Location"), "").into(&op)
	require.Equal(t, []any{"initializing", 0}, []any{op.Status, op.Progress})
	var active struct {
		Operations []operation `json:"operations"`
		Count      int         `json:"count"`
	}
	w.wants(http.StatusOK, "read", "GET", "/api/progress/active", "").into(&active)
	require.Equal(t, 1, active.Count)
	require.Equal(t, ok.OperationID, active.Operations[0].ProgressID)

	key := []string{"Idempotency-Key", "nightly'; DROP TABLE confluence_sync_runs; --"}
	var one, two, other accepted
	w.wants(http.StatusAccepted, "operate", "POST", "/api/confluence/docs/sync", "", key...).into(&one)
	w.wants(http.StatusAccepted, "operate", "POST", "/api/confluence/docs/sync", `{"mode":"incremental"}`, key...).into(&two)
	require.Equal(t, one, two, "the same key is the same run")
	w.wants(http.StatusAccepted, "operate", "POST", "/api/confluence/hr/sync", "", key...).into(&other)
	require.NotEqual(t, one.OperationID, other.OperationID)
	require.Equal(t, "idempotency_key_reused", w.wants(http.StatusConflict, "operate", "POST", "/api/confluence/docs/sync", `{"mode":"full"}`, key...).code())
	require.Equal(t, "unknown_source", w.wants(http.StatusNotFound, "operate", "POST", "/api/confluence/nowhere/sync", "").code())
}

func TestASyncIsAcceptedWhileTheBrokerIsDown(t *testing.T) {
	t.Parallel()
	w := bareWorld(t, nil)
	require.NoError(t, w.store.AddSource(t.Context(), store.Source{ID: "docs", BaseURL: site, SpaceKey: "DOCS"}))
	w.addKey("operate", apikey.Operate)
	w.kit.Stop()
	var ok accepted
	w.wants(http.StatusAccepted, "operate", "POST", "/api/confluence/docs/sync", "").into(&ok)
	run, err := w.store.Run(t.Context(), ok.OperationID)
	require.NoError(t, err, "the ledger sends it again")
	require.Equal(t, event.StateRequested, run.State)
	require.Equal(t, http.StatusServiceUnavailable, w.ask("", "GET", "/readyz", "").status)
	w.kit.Start()
}

func TestListsContinueAtTheCursor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	var all []string
	next := ""
	for range 5 {
		var list items
		w.wants(http.StatusOK, "read", "GET", "/api/confluence/docs/pages?limit=1&cursor="+next, "").into(&list)
		all = append(all, ids(list, "page_id")...)
		if next = list.Next; next == "" {
			break
		}
	}
	require.Equal(t, []string{"11", "12", "13"}, all)
	for query, want := range map[string][]string{
		"title=HARBOUR": {"12"}, "title=100%25": {"13"}, "title=e_1": {"13"}, "title=_": {"13"}, "label=Security": {"11"}, "label=other": nil, "under=11": {"11", "12"}, "under=1": nil,
		"kind=blogpost": nil, "kind=page": {"11", "12", "13"}, "modified_since=2026-01-03T00:00:00Z": nil, "modified_since=2026-01-01T00:00:00Z": {"11", "12", "13"},
	} {
		var list items
		w.wants(http.StatusOK, "read", "GET", "/api/confluence/docs/pages?"+query, "").into(&list)
		require.Equal(t, want, ids(list, "page_id"), query)
	}
	for _, id := range []string{"r2", "r3"} {
		_, err := w.store.RequestRun(t.Context(), event.SyncRequested{RequestID: id, Mode: event.Full, SourceID: "docs"})
		require.NoError(t, err)
	}
	var first, second items
	w.wants(http.StatusOK, "read", "GET", "/api/confluence/docs/runs?limit=2", "").into(&first)
	w.wants(http.StatusOK, "read", "GET", "/api/confluence/docs/runs?limit=2&cursor="+first.Next, "").into(&second)
	require.Equal(t, []string{"r3", "r2", "first-docs"}, append(ids(first, "run_id"), ids(second, "run_id")...))
	require.Empty(t, second.Next)
}

func TestAKnownETagGetsNoBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	for _, path := range []string{"/api/confluence/sources", "/api/confluence/docs", "/api/confluence/docs/pages", "/api/pages/11", "/api/progress/first-docs", "/api/openapi.json", "/api/confluence/docs/status"} {
		a := w.wants(http.StatusOK, "read", "GET", path, "")
		etag := a.header.Get("ETag")
		require.NotEmpty(t, etag, path)
		require.Equal(t, "private, no-cache", a.header.Get("Cache-Control"))
		for _, match := range []string{etag, "W/" + etag, `"x", ` + etag, "*"} {
			again := w.wants(http.StatusNotModified, "read", "GET", path, "", "If-None-Match", match)
			require.Empty(t, again.body)
			require.Equal(t, etag, again.header.Get("ETag"))
		}
		w.wants(http.StatusOK, "read", "GET", path, "", "If-None-Match", `"other"`)
		w.wants(http.StatusUnauthorized, "", "GET", path, "", "If-None-Match", "*")
	}
	before := w.wants(http.StatusOK, "read", "GET", "/api/confluence/docs", "").header.Get("ETag")
	run := w.run("docs", "more", listed("11", "12", "13", "14")...)
	w.write(run, "14", "/14", "Fourth", "Four.")
	w.end(run)
	w.wants(http.StatusOK, "read", "GET", "/api/confluence/docs", "", "If-None-Match", before)
	require.Empty(t, w.wants(http.StatusNotFound, "read", "GET", "/api/pages/99", "").header.Get("ETag"))
}

func TestAKeyForSomeSourcesSeesNothingOfTheOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	_, err := w.store.RequestRun(t.Context(), event.SyncRequested{RequestID: "hr-open", Mode: event.Full, SourceID: "hr"})
	require.NoError(t, err)
	for _, path := range []string{
		"/api/confluence/hr", "/api/confluence/hr/status", "/api/confluence/hr/pages", "/api/confluence/hr/runs", "/api/confluence/hr/failures",
		"/api/progress/first-hr", "/api/progress/hr-open", "/api/progress/hr-open/events", "/api/pages/21", "/api/pages/21/chunks", "/api/confluence/hr/losses",
	} {
		missing := w.wants(http.StatusNotFound, "docs", "GET", strings.NewReplacer("first-hr", "nothing", "hr-open", "nothing", "/hr", "/zz", "21", "99").Replace(path), "")
		hidden := w.wants(http.StatusNotFound, "docs", "GET", path, "")
		require.Equal(t, missing.code(), hidden.code(), "%s: what is hidden answers as what is missing", path)
		w.wants(http.StatusOK, "docs", "GET", strings.NewReplacer("first-hr", "first-docs", "/hr-open/events", "/first-docs", "/hr-open", "/first-docs", "/hr", "/docs", "21", "11").Replace(path), "")
	}
	for _, path := range []string{"/api/confluence/sources", "/api/progress/active", "/api/confluence/docs/pages", "/api/confluence/docs/runs", "/api/confluence/docs/status", "/api/embeddings"} {
		require.NotContains(t, string(w.wants(http.StatusOK, "docs", "GET", path, "").body), "hr", path)
	}
	var hits found
	for _, body := range []string{`{"query":"signing keys"}`, `{"query":"signing keys","sources":["docs"]}`, `{"query":"keys hr"}`, `{"query":"signing keys","space_key":"HR"}`, `{"query":"signing keys","under":"21"}`} {
		w.wants(http.StatusOK, "docs", "POST", "/api/knowledge/search", body).into(&hits)
		for _, h := range hits.Items {
			require.Equal(t, "docs", h.SourceID, body)
		}
	}
	for _, body := range []string{`{"query":"x","source_id":"hr"}`, `{"query":"x","sources":["docs","hr"]}`} {
		w.wants(http.StatusNotFound, "docs", "POST", "/api/knowledge/search", body)
	}
	w.wants(http.StatusOK, "read", "POST", "/api/knowledge/search", `{"query":"signing keys","sources":["hr"]}`).into(&hits)
	require.Len(t, hits.Items, 1)
	require.Equal(t, http.StatusForbidden, w.ask("docs", "GET", "/metrics", "").status)
	require.Equal(t, http.StatusForbidden, w.ask("docs-admin", "POST", "/api/confluence/sources", `{"source_id":"hr2","base_url":"https://acme.atlassian.net","space_key":"X"}`).status)
	w.wants(http.StatusNotFound, "docs-admin", "DELETE", "/api/confluence/hr", "")
	w.wants(http.StatusNotFound, "docs-admin", "POST", "/api/confluence/hr/sync", "")
	w.wants(http.StatusAccepted, "docs-admin", "POST", "/api/confluence/docs/sync", "")
}

func TestAPageThatLeftIsNotShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	run := w.run("docs", "second", listed("11", "12")...)
	_, _, err := w.store.FindRemovalCandidates(t.Context(), run)
	require.NoError(t, err)
	require.NoError(t, w.store.RemovePages(t.Context(), run, []store.Removal{{PageID: "13", Title: "Valve", Reason: store.ReasonUnreadable}}))
	w.end(run)
	a := w.wants(http.StatusGone, "read", "GET", "/api/pages/13", "")
	require.Equal(t, "page_removed", a.code())
	require.NotContains(t, string(a.body), "kestrel")
	require.Equal(t, "page_removed", w.wants(http.StatusGone, "read", "GET", "/api/pages/13/chunks", "").code())
	w.wants(http.StatusNotFound, "docs", "GET", "/api/pages/23", "")
	var list items
	w.wants(http.StatusOK, "read", "GET", "/api/confluence/docs/pages", "").into(&list)
	require.Equal(t, []string{"11", "12"}, ids(list, "page_id"))
}

func TestMetricsAndHealth(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	w.wants(http.StatusOK, "", "GET", "/healthz", "")
	w.wants(http.StatusOK, "", "GET", "/readyz", "")
	w.wants(http.StatusOK, "read", "GET", "/api/confluence/docs", "")
	w.ask("read", "GET", "/api/nothing/here", "")
	_, err := w.store.RequestRun(t.Context(), event.SyncRequested{RequestID: "open", Mode: event.Full, SourceID: "docs"})
	require.NoError(t, err)
	require.Contains(t, string(w.wants(http.StatusUnprocessableEntity, "admin", "POST", "/api/credentials", `{"name": "hr", "token": "t", "expires": "soon", "unchecked": true}`).body), "a day in the future")
	_, err = w.store.Vault().SetSecret(t.Context(), newRing(t), "hr", vault.Credential{Site: site, Email: "a@acme.com", Token: secret.New("t"), Expires: time.Unix(1830297600, 0)})
	require.NoError(t, err)
	text := string(w.wants(http.StatusOK, "read", "GET", "/metrics", "").body)
	for _, line := range []string{
		`sluice_gateway_requests_total{method="GET",route="/api/confluence/{source_id}",status="200"} 1`,
		`sluice_gateway_requests_total{method="",route="",status="404"} 1`,
		`sluice_gateway_request_duration_seconds_count{method="GET",route="/api/confluence/{source_id}"} 1`,
		`sluice_open_runs{source="docs",state="requested"} 1`, `sluice_pages{source="hr"} 3`, `sluice_chunks{source="docs"} 3`,
		`sluice_credential_expiry_timestamp_seconds{credential="hr"} 1.8302976e+09`,
	} {
		require.Contains(t, text, line)
	}
}

func TestTheRequestIDComesBackAndIsLogged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.wants(http.StatusOK, "read", "GET", "/api/confluence/docs", "", "X-Request-Id", "my-id.7")
	require.Equal(t, "my-id.7", a.header.Get("X-Request-Id"))
	require.Contains(t, w.log.String(), `"request_id":"my-id.7"`)
	require.Contains(t, w.log.String(), `"key":"`+w.ids["read"]+`"`)
	for _, bad := range []string{"a b", strings.Repeat("x", 65), `"}`, "-"} {
		require.NotEqual(t, bad, w.ask("read", "GET", "/api/confluence/docs", "", "X-Request-Id", bad).header.Get("X-Request-Id"))
	}
}

package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/access"
	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/vault"
)

const (
	secretTitle = "Zyxwvut merger"
	secretWords = "The quokkafrog buys the wombatfish."
)

// secretPages are pages that only ann may see: one that is stored, and others that fail, are removed, are held and are
// fetched now.
var secretPages = []string{"7700001", "7700002", "7700003", "7700004", "7700005"}

// guardedWorld has a source whose permissions are enforced, with runs of each end, and the secret pages in each of them
// or not at all.
func guardedWorld(t *testing.T, secrets bool) *world {
	t.Helper()
	w := newWorld(t)
	ctx := t.Context()
	for _, k := range []apikey.Key{{Name: "eve", Account: "eve"}, {Name: "backend", ActAs: true}, {Name: "boss", ActAs: true, Role: apikey.Admin}} {
		id, token, hash := apikey.New()
		k.ID = id
		if k.Role == "" {
			k.Role = apikey.Read
		}
		require.NoError(t, w.store.Vault().AddAPIKey(ctx, vault.APIKey{Key: k, Hash: hash}))
		w.keys[k.Name] = token.Reveal()
	}
	require.NoError(t, w.store.SetPermissions(ctx, "docs", store.Enforce, 0))
	// Each run is that of an Idempotency-Key, which is its name here; both worlds know the same secret.
	w.g.control.Ledger = sameSecret{w.g.control.Ledger}
	asks := func(name string) string {
		var ok accepted
		w.wants(http.StatusAccepted, "admin", "POST", "/api/confluence/docs/sync", "", "Idempotency-Key", name).into(&ok)
		w.ids[name] = ok.OperationID
		return ok.OperationID
	}
	with := func(secret ...string) []store.Listed {
		all := listed("11", "12", "13", "14")
		for i, title := range []string{"Keys", "Harbour", "Valve", "Gone"} {
			all[i].Title = title
		}
		all[1].ParentID, all[1].ParentKind = "11", "page"
		if secrets {
			for _, p := range listed(secret...) {
				p.Title = secretTitle
				all = append(all, p)
			}
		}
		return all
	}
	// Each run lists what is in the space then: a secret page that is removed is not listed any more.
	know := func() {
		nodes, now, err := w.store.AccessNodes(ctx, "docs")
		require.NoError(t, err)
		read := store.AccessRead{SourceID: "docs", Started: now, Complete: true, Source: []access.Layer{
			{Object: access.Object{Kind: access.ObjectSpace, ID: "7"}, Principals: []access.Principal{{Kind: access.KindEveryone}}},
		}}
		for _, n := range nodes {
			read.Covered = append(read.Covered, n.ID)
			if slices.Contains(secretPages, n.ID) {
				read.Layers = append(read.Layers, access.Layer{
					Object: access.Object{Kind: access.ObjectContent, ID: n.ID}, Principals: []access.Principal{{Kind: access.KindUser, ID: "ann"}},
				})
			}
		}
		_, err = w.store.SaveAccess(ctx, read)
		require.NoError(t, err)
	}
	run := w.run("docs", asks("all"), with(secretPages...)...)
	know()
	w.write(run, "11", "/11", "Keys", "Rotate the signing keys. The plan has more.", "security")
	w.write(run, "12", "/11/12", "Harbour", "The harbour lights are tested on Mondays.")
	w.write(run, "13", "/13", "Valve", "Close the kestrel valve.")
	w.write(run, "14", "/14", "Gone", "This page will be removed.")
	if secrets {
		for _, id := range secretPages {
			w.write(run, id, "/"+id, secretTitle, secretWords+" Rotate the signing keys.", "security", "quokkalabel")
		}
	}
	require.Equal(t, event.StateCompleted, w.end(run).State)

	second := secretPages[1]
	run = w.run("docs", asks("fails"), withVersion(with(secretPages...), second)...)
	if secrets {
		require.NoError(t, w.store.FailPage(ctx, event.PageFailed{
			SourceID: "docs", RunID: run.ID, PageID: second, Version: 2, Stage: "converter", Code: "convert_too_deep", Message: secretTitle, Attempts: 3,
		}))
		require.NoError(t, w.store.Note(ctx, run.ID, secretTitle+" is odd"))
	}
	require.NoError(t, w.store.AddUsage(ctx, run.ID, 10+len(with(second)), 1000))
	w.end(run)

	rest := slices.DeleteFunc(with(secretPages...), func(p store.Listed) bool { return p.ID == "14" || p.ID == secretPages[2] })
	run = w.run("docs", asks("removes"), rest...)
	_, _, err := w.store.FindRemovalCandidates(ctx, run)
	require.NoError(t, err)
	gone := []store.Removal{{PageID: "14", Reason: store.ReasonTrashed}}
	if secrets {
		gone = append(gone, store.Removal{PageID: secretPages[2], Reason: store.ReasonTrashed})
	}
	require.NoError(t, w.store.RemovePages(ctx, run, gone))
	require.NoError(t, w.store.MarkRemovalsChecked(ctx, run.ID))
	w.advance(run)

	run = w.run("docs", asks("holds"), slices.DeleteFunc(rest, func(p store.Listed) bool { return p.ID == secretPages[3] })...)
	_, _, err = w.store.FindRemovalCandidates(ctx, run)
	require.NoError(t, err)
	if secrets {
		require.NoError(t, w.store.HoldRun(ctx, run.ID, []store.Removal{{PageID: secretPages[3], Reason: store.ReasonTrashed}}, nil, "1 of 8 pages have left: "+secretTitle))
	} else {
		require.NoError(t, w.store.MarkRemovalsChecked(ctx, run.ID))
	}
	w.advance(run)

	w.run("docs", asks("open"), withVersion(with(secretPages[0], secretPages[3], secretPages[4]), "13", secretPages[4])...)
	know()
	return w
}

// sameSecret is a ledger of an installation whose secret is known.
type sameSecret struct{ control.Ledger }

func (sameSecret) Installation(context.Context, bool) (string, error) { return "a secret", nil }

// withVersion gives some of the pages another version, so that a run fetches them.
func withVersion(pages []store.Listed, ids ...string) []store.Listed {
	pages = slices.Clone(pages)
	for i := range pages {
		if slices.Contains(ids, pages[i].ID) {
			pages[i].Version = 2
		}
	}
	return slices.DeleteFunc(pages, func(p store.Listed) bool { return p.ID == "14" && slices.Contains(ids, "13") })
}

// same takes from an answer what differs from call to call.
var (
	moments = regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[0-9.]*(Z|[+-]\d\d:?\d\d)?`)
	spans   = regexp.MustCompile(`("(?:took_ms|[a-z_]*seconds|chunk_id|score|next|request_id|key_id|key)":)("[^"]*"|[0-9.e+-]+)`)
	waits   = regexp.MustCompile(`; the oldest such change is \S+ old`)
	newRun  = regexp.MustCompile(`\d{8}-\d{6}-[a-z0-9]+`)
	chunkNo = regexp.MustCompile(`(sluice://docs/\d+#|chunk[ =:"]+)\d+`)
)

func same(text string) string {
	text = newRun.ReplaceAllString(waits.ReplaceAllString(text, ""), "R")
	return chunkNo.ReplaceAllString(spans.ReplaceAllString(moments.ReplaceAllString(text, "T"), "${1}0"), "${1}0")
}

// question is a request.
type question struct{ method, path, body, key string } // key is an Idempotency-Key

func (q question) String() string {
	return strings.Join([]string{q.method, q.path, q.body, q.key}, " ")
}

// bodies are requests for the routes that need a body to answer something. Each begins with the route.
var bodies = []question{
	{"PATCH", "/api/confluence/docs", `{"display_name": "Docs of all"}`, ""},
	{"PATCH", "/api/confluence/docs", `{"permissions": "unrestricted-only"}`, ""},
	{"PATCH", "/api/confluence/docs", `{"permissions": "enforce"}`, ""},
	{"POST", "/api/confluence/sources", `{"source_id": "docs", "base_url": "` + site + `", "space_key": "DOCS"}`, ""},
	{"POST", "/api/keys", `{"name": "ci", "role": "read"}`, ""},
	{"POST", "/api/confluence/docs/sync", `{"mode": "full"}`, "all"}, // another request with the same key
}

// runNames are the runs of a guarded world.
var runNames = []string{"all", "fails", "removes", "holds", "open"}

// questions are all requests of a reader, by the routes of the document.
func questions(t *testing.T, w *world) (asked []question) {
	t.Helper()
	asked = slices.Clone(bodies)
	var runs []string
	for _, name := range runNames {
		runs = append(runs, w.ids[name])
	}
	var document struct {
		Paths map[string]map[string]json.RawMessage
	}
	require.NoError(t, json.Unmarshal(w.g.document, &document))
	pages := []string{"11", "14", secretPages[0], secretPages[2]}
	for path, methods := range document.Paths {
		for method := range methods {
			if !slices.Contains([]string{"get", "post", "put", "patch", "delete"}, method) {
				continue
			}
			all := []string{path}
			fill := func(name string, values ...string) {
				var next []string
				for _, p := range all {
					if !strings.Contains(p, name) {
						next = append(next, p)
						continue
					}
					for _, v := range values {
						next = append(next, strings.ReplaceAll(p, name, v))
					}
				}
				all = next
			}
			fill("{source_id}", "docs")
			fill("{run}", runs...)
			fill("{operation_id}", runs...)
			fill("{id}", pages...)
			fill("{account}", "eve")
			fill("{name}", "docs")
			fill("{key_id}", "aaaaaaaaaaaa")
			fill("{page}", pages...)
			for _, p := range all {
				require.NotContains(t, p, "{", "an unknown parameter: say what it can be")
				if strings.HasSuffix(p, w.ids["open"]+"/events") || p == "/readyz" { // does not end; does not read
					continue
				}
				q := question{method: strings.ToUpper(method), path: p}
				asked = append(asked, q)
				if strings.HasSuffix(p, "/sync") || strings.HasSuffix(p, "/retry") {
					for _, q.key = range runNames { // it may be repeated when the run has ended
						asked = append(asked, q)
					}
				}
			}
		}
	}
	for _, query := range []string{"signing keys", "quokkafrog", "quokkafrg", "7700001"} {
		for _, filter := range []string{"", `, "label": "security"`, `, "under": "7700001"`, `, "source_id": "docs", "explain": true`} {
			asked = append(asked, question{method: "POST", path: "/api/knowledge/search", body: fmt.Sprintf(`{"query": %q%s}`, query, filter)})
		}
	}
	for _, q := range []string{"label=quokkalabel", "title=zyx", "under=7700001", "limit=2"} {
		asked = append(asked, question{method: "GET", path: "/api/confluence/docs/pages?" + q})
	}
	for _, page := range secretPages {
		asked = append(asked, question{method: "GET", path: "/api/confluence/docs/failures?page_id=" + page})
	}
	for _, run := range runs {
		asked = append(asked, question{method: "GET", path: "/api/confluence/docs/failures?run=" + run}, question{method: "GET", path: "/api/confluence/docs/removals?run=" + run})
	}
	// What changes something comes last, in an order that does not depend on the map.
	slices.SortStableFunc(asked, func(a, b question) int { return strings.Compare(rank(a), rank(b)) })
	return asked
}

func rank(q question) string {
	by := q.path + q.body + q.key
	switch {
	case q.method == "GET", strings.HasSuffix(q.path, "/search"):
		return "0" + by
	case q.method == "DELETE":
		return "9" + by
	case q.method == "PATCH":
		return "4" // in their order
	case strings.Contains(q.path, "cancel"):
		return "3" + by
	case strings.Contains(q.path, "removals"), strings.Contains(q.path, "failures"):
		return "1" + by
	}
	return "2" + by
}

// Whatever somebody asks who may not see some pages, no answer contains them, and every answer is what it would be
// without them.
func TestNoAnswerDependsOnAHiddenPage(t *testing.T) {
	t.Parallel()
	there, never := guardedWorld(t, true), guardedWorld(t, false)
	require.Equal(t, http.StatusOK, there.ask("backend", "GET", "/api/pages/"+secretPages[0], "", ReaderHeader, "ann").status, "ann sees it")
	a, b := there.assistant(t, "eve", "2025-06-18"), never.assistant(t, "eve", "2025-06-18")
	for _, call := range []mcp.CallToolParams{
		{Name: "sources"}, {Name: "search", Arguments: map[string]any{"query": "signing keys"}}, {Name: "search", Arguments: map[string]any{"query": "quokkafrog"}},
		{Name: "read", Arguments: map[string]any{"page": secretPages[0]}}, {Name: "read", Arguments: map[string]any{"page": "11"}},
		{Name: "outline", Arguments: map[string]any{"source": "docs"}}, {Name: "outline", Arguments: map[string]any{"page": secretPages[0]}},
		{Name: "related", Arguments: map[string]any{"page": "11"}}, {Name: "related", Arguments: map[string]any{"page": secretPages[0]}},
	} {
		one, err := a.CallTool(t.Context(), &call)
		require.NoError(t, err)
		other, err := b.CallTool(t.Context(), &call)
		require.NoError(t, err)
		said, missing := text(t, one), text(t, other)
		require.NotContains(t, strings.ToLower(said), "zyxwvut", call.Name)
		require.Equal(t, same(missing), same(said), "%s %v", call.Name, call.Arguments)
	}
	readers := []struct {
		key     string
		headers []string
	}{
		{"read", nil}, {"eve", nil}, {"boss", []string{ReaderHeader, "eve"}},
	}
	readable := map[question]bool{}
	for _, reader := range readers {
		for _, q := range questions(t, there) {
			if reader.key == "boss" && readable[q] {
				continue
			}
			name := reader.key + " " + q.String()
			headers := reader.headers
			if q.key != "" {
				headers = append(slices.Clone(headers), "Idempotency-Key", q.key)
			}
			one, other := there.ask(reader.key, q.method, q.path, q.body, headers...), never.ask(reader.key, q.method, q.path, q.body, headers...)
			readable[q] = one.status != http.StatusForbidden
			if q.path == "/metrics" {
				one.body, other.body = sourceMetrics(one.body), sourceMetrics(other.body)
			}
			for _, word := range []string{"zyxwvut", "quokka", "wombat"} {
				if !strings.Contains(strings.ToLower(q.body), word) {
					require.NotContains(t, strings.ToLower(string(one.body)), word, name)
				}
			}
			for _, id := range secretPages {
				if !strings.Contains(q.path+q.body, id) {
					require.NotContains(t, string(one.body), id, name)
				}
			}
			require.Equal(t, other.status, one.status, "%s: %s", name, one.body)
			require.Equal(t, same(string(other.body)), same(string(one.body)), name)
		}
	}
}

func text(t *testing.T, res *mcp.CallToolResult) string {
	t.Helper()
	data, err := json.Marshal(res)
	require.NoError(t, err)
	return string(data)
}

// sourceMetrics are the lines about sources: the others count requests and memory.
func sourceMetrics(body []byte) []byte {
	var out []string
	for line := range strings.Lines(string(body)) {
		if strings.Contains(line, `source="`) {
			out = append(out, line)
		}
	}
	return []byte(strings.Join(out, ""))
}

// Those who run the sources are told what runs did with all pages, but not which pages these are.
func TestWhoRunsASourceIsToldAllNumbers(t *testing.T) {
	t.Parallel()
	w := guardedWorld(t, true)
	var run store.Run
	told := func(key string) store.Run {
		t.Helper()
		var list struct{ Items []store.Run }
		w.wants(http.StatusOK, key, "GET", "/api/confluence/docs/runs", "").into(&list)
		i := slices.IndexFunc(list.Items, func(r store.Run) bool { return r.ID == w.ids["holds"] })
		return list.Items[i]
	}
	run = told("operate")
	require.Equal(t, event.StateHeld, run.State)
	require.Contains(t, run.Message, "have left")
	require.Equal(t, event.StateCompleted, told("read").State)
	require.Empty(t, told("read").Message)
	report := w.wants(http.StatusOK, "operate", "GET", "/api/confluence/docs/runs/"+w.ids["all"], "")
	require.Contains(t, string(report.body), `"created":9`)
	require.NotContains(t, string(report.body), secretPages[0])
	require.Contains(t, string(w.wants(http.StatusOK, "admin", "GET", "/metrics", "").body), `sluice_pages{source="docs"} 7`)
	require.Contains(t, string(w.wants(http.StatusOK, "read", "GET", "/metrics", "").body), `sluice_pages{source="docs"} 3`)

	// Whoever decides is not told of fewer pages than the decision removes.
	require.Contains(t, w.loggedIn("operate").page("/removals"), "1 page held back, of which you may see 0")

	// A page that everybody could see may be known to be gone.
	var gone removals
	w.wants(http.StatusOK, "operate", "GET", "/api/confluence/docs/removals", "").into(&gone)
	require.Len(t, gone.Removed, 1)
	require.Equal(t, "14", gone.Removed[0].PageID)
	w.wants(http.StatusOK, "boss", "GET", "/api/confluence/docs/removals", "", ReaderHeader, "ann").into(&gone)
	require.Len(t, gone.Removed, 1, "what restricted it is gone with it")
}

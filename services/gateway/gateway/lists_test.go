package gateway

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/secret"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/vault"
)

// noLists are the GET routes whose responses contain rows but are not lists, and why.
var noLists = map[string]string{
	"/api/confluence/{source_id}/status": "active contains at most the runs that may wait for one source",
	"/api/progress/{operation_id}":       "steps are a run's five",
	"/api/pages/{id}/access":             "a page has few layers",
	"/api/pages/{id}":                    "everything is of one page",
	"/api/embeddings":                    "a space of vectors for each model",
	"/api/doctor":                        "a few findings for each source, and a time limit",
	"/api/system":                        "the parts of one broker, and a site for few sources",
}

// rowLists are the names of lists in responses. A row of held may itself contain a list.
var rowLists = []string{"items", "operations", "failures", "removals", "held", "removed"}

// rows returns the lists of a response: each list's rows by its name.
func rows(a answer) map[string][]string {
	a.t.Helper()
	var body map[string]json.RawMessage
	a.into(&body)
	all := map[string][]string{}
	for _, name := range rowLists {
		var list []json.RawMessage
		if body[name] == nil {
			continue
		}
		require.NoError(a.t, json.Unmarshal(body[name], &list))
		all[name] = []string{}
		for _, row := range list {
			var held struct {
				Run   *store.Run        `json:"run"`
				Pages []json.RawMessage `json:"pages"`
			}
			if name != "held" || json.Unmarshal(row, &held) != nil || held.Run == nil {
				all[name] = append(all[name], string(row))
				continue
			}
			for _, p := range held.Pages {
				all["held "+held.Run.ID] = append(all["held "+held.Run.ID], string(p))
			}
		}
	}
	return all
}

func next(a answer) string {
	var body struct {
		Next string `json:"next"`
	}
	a.into(&body)
	return body.Next
}

// document is what the test needs of the OpenAPI document.
type document struct {
	Paths map[string]map[string]struct {
		Parameters []struct {
			Name   string         `json:"name"`
			Schema map[string]any `json:"schema"`
		} `json:"parameters"`
		Responses map[string]struct {
			Content map[string]struct {
				Schema schema `json:"schema"`
			} `json:"content"`
		} `json:"responses"`
	} `json:"paths"`
	Components struct {
		Schemas map[string]schema `json:"schemas"`
	} `json:"components"`
}

type schema struct {
	Ref        string            `json:"$ref"`
	Properties map[string]schema `json:"properties"`
	Items      *schema           `json:"items"`
}

// listPaths returns the paths of the document's lists, and checks that no route returns rows without being one.
func listPaths(t *testing.T, text []byte) []string {
	t.Helper()
	var doc document
	require.NoError(t, json.Unmarshal(text, &doc))
	resolve := func(s schema) schema {
		if s.Ref != "" {
			return doc.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")]
		}
		return s
	}
	var paths []string
	for path, methods := range doc.Paths {
		op, ok := methods["get"]
		if !ok {
			continue
		}
		paged := map[string]bool{}
		for _, p := range op.Parameters {
			paged[p.Name] = true
		}
		body := resolve(op.Responses["200"].Content["application/json"].Schema)
		if paged["cursor"] {
			require.Contains(t, body.Properties, "next", path)
			require.True(t, paged["limit"], path)
			require.Contains(t, op.Responses, "400", path)
			paths = append(paths, path)
			continue
		}
		for name, p := range body.Properties {
			if p.Items != nil && len(resolve(*p.Items).Properties) > 0 {
				require.Contains(t, noLists, path, "%s is a list that is not paged", name)
			}
		}
	}
	slices.Sort(paths)
	return paths
}

// fillLists gives every list three rows or more. Run two of docs has failures and removals, run held of hr held ones.
func (w *world) fillLists() {
	t := w.t
	t.Helper()
	ctx := t.Context()
	require.NoError(t, w.store.AddSource(ctx, store.Source{ID: "more", BaseURL: site, SpaceKey: "MORE"}))
	kept, gone := []string{"11", "12", "13"}, []string{"17", "18", "19"}
	run := w.run("docs", "one", listed(append(slices.Clone(kept), gone...)...)...)
	for _, id := range append(slices.Clone(kept[1:]), gone...) {
		w.write(run, id, "/"+id, "Page "+id, "Text of "+id+".")
	}
	address := site + "/spaces/DOCS/pages/11"
	var chunks []store.Chunk
	for n := range 4 {
		text := fmt.Sprintf("Part %d.", n)
		chunks = append(chunks, store.Chunk{Number: n, Content: text, Metadata: store.ChunkMetadata{
			URL: address, Title: "Eleven", SourceID: "docs", PageID: "11", CrawlType: "confluence", CitationURL: address, ContentHash: text,
			Tags: []string{}, HeadingPath: []string{"Eleven"}, Breadcrumb: []string{},
		}})
	}
	_, err := w.store.WritePage(ctx, store.PageWrite{
		SourceID: "docs", RunID: "one", Attempt: 1, Path: "/11", Markdown: "# Eleven\n",
		Page: page.Facts{ID: "11", Version: 1, Title: "Eleven", SpaceKey: "DOCS", BaseURL: site, URL: address, ModifiedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
		Losses: []page.Loss{
			{Element: "macro:a", Fate: page.Dropped, Count: 2}, {Element: "macro:b", Fate: page.Dropped, Count: 2, Reason: "why"}, {Element: "macro:b", Fate: page.Dropped, Count: 2},
			{Element: "macro:c", Fate: page.Rendered, Count: 9}, {Element: "macro:d", Fate: page.Rendered, Count: 1},
		},
		Chunks: chunks,
	})
	require.NoError(t, err)
	require.Equal(t, event.StateCompleted, w.end(run).State)

	failed := []string{"14", "15", "16"}
	run = w.run("docs", "two", listed(append(slices.Clone(kept), failed...)...)...)
	for _, id := range failed {
		require.NoError(t, w.store.FailPage(ctx, event.PageFailed{
			SourceID: "docs", RunID: "two", PageID: id, Version: 1, Stage: "converter", Code: "convert_too_deep", Message: "too deep", Attempts: 1,
		}))
	}
	for _, id := range kept {
		require.NoError(t, w.store.SkipPage(ctx, "two", id, "archived"))
	}
	_, _, err = w.store.FindRemovalCandidates(ctx, run)
	require.NoError(t, err)
	require.NoError(t, w.store.RemovePages(ctx, run, []store.Removal{
		{PageID: gone[0], Title: "a", Reason: store.ReasonTrashed}, {PageID: gone[1], Title: "b", Reason: store.ReasonTrashed}, {PageID: gone[2], Title: "c", Reason: store.ReasonTrashed},
	}))
	w.end(run)
	require.Equal(t, event.StateCompletedWithFailures, w.advance(run).State)

	run = w.run("hr", "filled", listed("21", "22", "23")...)
	for _, id := range []string{"21", "22", "23"} {
		w.write(run, id, "/"+id, "Page "+id, "Text of "+id+".")
	}
	w.end(run)
	run = w.run("hr", "held")
	_, _, err = w.store.FindRemovalCandidates(ctx, run)
	require.NoError(t, err)
	require.NoError(t, w.store.HoldRun(ctx, "held", []store.Removal{
		{PageID: "21", Title: "a", Reason: store.ReasonTrashed}, {PageID: "22", Title: "b", Reason: store.ReasonTrashed}, {PageID: "23", Title: "c", Reason: store.ReasonTrashed},
	}, nil, "too many"))
	require.Equal(t, event.StateHeld, w.advance(run).State)

	ring := newRing(t)
	for _, name := range []string{"docs", "hr", "acme.atlassian.net"} {
		_, err = w.store.Vault().SetSecret(ctx, ring, name, vault.Credential{Site: site, Email: "reader@acme.com", Token: secret.New("token-" + name)})
		require.NoError(t, err)
	}
	for i, id := range []string{"docs", "docs", "hr", "more"} {
		w.wants(http.StatusAccepted, "operate", "POST", "/api/confluence/"+id+"/sync", "", "Idempotency-Key", fmt.Sprint(i))
	}
}

// placesOf returns the paths where the rows of a list are: docs has pages that failed and left, hr has held ones.
func placesOf(path string) []string {
	docs := strings.NewReplacer("{source_id}", "docs", "{run}", "two", "{id}", "11").Replace(path)
	hr := strings.NewReplacer("{source_id}", "hr", "{run}", "held", "{id}", "11").Replace(path)
	return slices.Compact([]string{docs, hr})
}

// Every list of the OpenAPI document, read row by row, contains each row of the whole list once, in the same order.
func TestEveryListIsPaged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fillLists()
	most := map[string]int{} // by path and list: how many rows were walked
	paths := listPaths(t, w.g.document)
	require.GreaterOrEqual(t, len(paths), 9)
	for _, path := range paths {
		for _, at := range placesOf(path) {
			whole := w.wants(http.StatusOK, "admin", "GET", at+"?limit=200", "")
			require.Empty(t, next(whole), at)
			all, walked := rows(whole), map[string][]string{}
			total := 0
			for name, list := range all {
				total += len(list)
				most[path+" "+strings.Fields(name)[0]] = max(most[path+" "+strings.Fields(name)[0]], len(list))
				if len(list) == 0 {
					walked[name] = list
				}
			}
			cursor := ""
			for parts := 0; parts == 0 || cursor != ""; parts++ {
				require.LessOrEqual(t, parts, total+1, "%s does not end", at)
				a := w.wants(http.StatusOK, "admin", "GET", at+"?limit=1&cursor="+cursor, "")
				for name, list := range rows(a) {
					require.LessOrEqual(t, len(list), 1, "%s: %s", at, name)
					walked[name] = append(walked[name], list...)
				}
				cursor = next(a)
			}
			require.Equal(t, all, walked, at)
		}
	}
	for _, path := range paths {
		require.True(t, slices.ContainsFunc(slices.Collect(maps.Keys(most)), func(of string) bool {
			return strings.HasPrefix(of, path+" ") && most[of] >= 3
		}), "%s was walked with too few rows: %v", path, most)
	}
	for _, of := range []string{"/api/confluence/{source_id}/removals removed", "/api/confluence/{source_id}/removals held", "/api/confluence/{source_id}/runs/{run} failures",
		"/api/confluence/{source_id}/runs/{run} removals", "/api/confluence/{source_id}/runs/{run} held"} {
		require.GreaterOrEqual(t, most[of], 3, of)
	}
}

// A cursor of another list, of other filters, or of nothing is refused as such; none leads to other rows.
func TestOnlyTheNextOfAListIsItsCursor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fillLists()
	cursors := map[string]string{}
	for _, path := range listPaths(t, w.g.document) {
		for _, at := range placesOf(path) {
			if c := next(w.wants(http.StatusOK, "admin", "GET", at+"?limit=1", "")); c != "" {
				cursors[at] = c
			}
		}
	}
	require.GreaterOrEqual(t, len(cursors), 9)
	detail := func(a answer) string {
		require.Equal(t, "bad_cursor", a.code())
		var p Problem
		a.into(&p)
		return p.Detail
	}
	const none = "cursor is not the next of an earlier response; begin again without cursor"
	for at, own := range cursors {
		for other, c := range cursors {
			if other != at {
				require.Contains(t, detail(w.wants(http.StatusBadRequest, "admin", "GET", at+"?cursor="+c, "")), "another list", "%s with the cursor of %s", at, other)
			}
		}
		for _, c := range []string{"AAAA", "%25", "e30", "bnVsbA", base64.RawURLEncoding.EncodeToString([]byte("11")), own + "x", own[:len(own)-6]} {
			require.Equal(t, none, detail(w.wants(http.StatusBadRequest, "admin", "GET", at+"?cursor="+c, "")), "%s: %s", at, c)
		}
		// Whoever makes up a position gets rows of the same list, or the same refusal.
		var p places
		text, err := base64.RawURLEncoding.DecodeString(own)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, &p))
		name := slices.Collect(maps.Keys(p.At))[0]
		n := len(p.At[name])
		for _, value := range []string{"x", "", "\x00", "\xff", "'", "99999999999999999999", "2026-13-45", "infinity"} {
			p.At[name] = slices.Repeat(store.Position{value}, n)
			a := w.ask("admin", "GET", at+"?cursor="+encode(t, p), "")
			require.Contains(t, []int{http.StatusOK, http.StatusBadRequest}, a.status, "%s: %q: %s", at, value, a.body)
		}
		p.At[name] = slices.Repeat(store.Position{"1"}, n+1)
		require.Equal(t, none, detail(w.wants(http.StatusBadRequest, "admin", "GET", at+"?cursor="+encode(t, p), "")), at)
	}
	require.Contains(t, detail(w.wants(http.StatusBadRequest, "read", "GET", "/api/confluence/docs/pages?title=a&cursor="+cursors["/api/confluence/docs/pages"], "")), "other filters")
}

func encode(t *testing.T, p places) string {
	t.Helper()
	text, err := json.Marshal(p)
	require.NoError(t, err)
	return url.QueryEscape(base64.RawURLEncoding.EncodeToString(text))
}

// A list goes on behind the cursor even if the row there is gone, and for each key through what it may see only.
func TestAListGoesOnBehindARowThatIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fillLists()
	first := w.wants(http.StatusOK, "read", "GET", "/api/confluence/sources?limit=1", "")
	failed := w.wants(http.StatusOK, "read", "GET", "/api/confluence/docs/failures?limit=1", "")
	w.wants(http.StatusOK, "operate", "POST", "/api/confluence/docs/cancel", "")
	run := w.run("docs", "three", listed("16")...)
	w.write(run, "16", "/16", "Sixteen", "Works now.")
	var list items
	w.wants(http.StatusOK, "read", "GET", "/api/confluence/docs/failures?limit=1&cursor="+next(failed), "").into(&list)
	require.Equal(t, []string{"15"}, ids(list, "page_id"), "16 was the newest, and is not failed any more")
	w.wants(http.StatusOK, "docs", "GET", "/api/confluence/sources?cursor="+next(first), "").into(&list)
	require.Empty(t, list.Items, "the key is for docs, which was in the first part")
	w.wants(http.StatusNoContent, "admin", "DELETE", "/api/confluence/docs", "")
	w.wants(http.StatusOK, "read", "GET", "/api/confluence/sources?cursor="+next(first), "").into(&list)
	require.Equal(t, []string{"hr", "more"}, ids(list, "source_id"))
}

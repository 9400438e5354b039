package permissiontest

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/gateway/gateway"
	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/embedding/embeddingtest"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/store/vault"
	"github.com/sluicehq/sluice/shared/store/vectors"
	"github.com/sluicehq/sluice/shared/viewer"
)

const (
	everyWord = "alpha"   // is in every page
	noWord    = "omicron" // is in no page: what is found by it is found by its meaning
	all       = search.MaxHits
)

// meaning makes the vector of noWord that of everyWord.
type meaning struct{}

func (meaning) Vector(_ context.Context, _ string, dimensions int, question string) ([]float32, error) {
	v, _ := embeddingtest.Vector(strings.ReplaceAll(question, noWord, everyWord), dimensions)
	return v, nil
}

// embed gives every chunk its vector.
func (w *world) embed() {
	w.t.Helper()
	ctx, v := w.t.Context(), w.store.Vectors()
	model := &embeddingtest.Model{}
	space, err := v.Open(ctx, vectors.IdentityOf(model.Name(), model.Dimensions(), 0))
	require.NoError(w.t, err)
	for after, next := int64(0), int64(1); next != 0; after = next {
		next, err = v.NoteNext(ctx, space, after)
		require.NoError(w.t, err)
	}
	for {
		list, err := v.Claim(ctx, space, 100, time.Minute)
		require.NoError(w.t, err)
		if len(list) == 0 {
			return
		}
		var done []vectors.Vector
		for _, p := range list {
			vector, words := embeddingtest.Vector(p.Text, model.Dimensions())
			done = append(done, vectors.Vector{Key: p.Key, Vector: vector, Tokens: words})
		}
		require.NoError(w.t, v.Put(ctx, space, done))
	}
}

// canary is a word that only one page or folder has, in its title or its text.
var canary = regexp.MustCompile(`zq\d+[a-z]`)

// faces are all ways to what is stored, for one reader.
type faces struct {
	*world
	reader  string
	v       viewer.Viewer
	handler http.Handler
	token   string

	said map[string]string // each canary of the answers, and the face that said it
}

// gateway returns the HTTP API, and a key that reads for whoever a request names.
func (w *world) gateway() (http.Handler, string) {
	w.t.Helper()
	g, err := gateway.New(gateway.Options{
		Control: control.New(w.store, nil, nil), Record: w.store, Keys: w.store.Vault(), Log: zerolog.Nop(),
		API: config.API{MaxBody: 64 << 10, Timeout: time.Minute, MaxStreams: 1},
	})
	require.NoError(w.t, err)
	id, token, hash := apikey.New()
	require.NoError(w.t, w.store.Vault().AddAPIKey(w.t.Context(), vault.APIKey{Key: apikey.Key{ID: id, Name: id, Role: apikey.Admin, ActAs: true}, Hash: hash}))
	return g.Handler(), token.Reveal()
}

func (f *faces) hear(face string, answer any) {
	f.t.Helper()
	text, ok := answer.(string)
	if !ok {
		data, err := json.Marshal(answer)
		require.NoError(f.t, err)
		text = string(data)
	}
	for _, word := range canary.FindAllString(text, -1) {
		f.said[word] = face
	}
}

// http asks the API and returns the answer's status and body.
func (f *faces) http(method, path string, body any) (int, []byte) {
	f.t.Helper()
	var payload bytes.Buffer
	if body != nil {
		require.NoError(f.t, json.NewEncoder(&payload).Encode(body))
	}
	r := httptest.NewRequestWithContext(f.t.Context(), method, path, &payload)
	if body == nil {
		r = httptest.NewRequestWithContext(f.t.Context(), method, path, nil)
	}
	r.Header.Set("Authorization", "Bearer "+f.token)
	r.Header.Set(gateway.ReaderHeader, f.reader)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	answer := httptest.NewRecorder()
	f.handler.ServeHTTP(answer, r)
	require.Less(f.t, answer.Code, 500, "%s %s: %s", method, path, answer.Body)
	f.hear(method+" "+path, answer.Body.String())
	return answer.Code, answer.Body.Bytes()
}

// list asks for a list of pages and returns their ids.
func (f *faces) list(method, path string, body any) []string {
	f.t.Helper()
	code, data := f.http(method, path, body)
	require.Equal(f.t, http.StatusOK, code, "%s %s: %s", method, path, data)
	var list struct {
		Items []struct {
			ID string `json:"page_id"`
		} `json:"items"`
	}
	require.NoError(f.t, json.Unmarshal(data, &list))
	var ids []string
	for _, item := range list.Items {
		ids = append(ids, item.ID)
	}
	return ids
}

// tool calls a tool of the assistants' server; refused says that it answered with an error.
func (f *faces) tool(name string, arguments map[string]any, into any) (refused bool) {
	f.t.Helper()
	arguments["bytes"] = 64_000
	code, data := f.http("POST", "/mcp", map[string]any{
		"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": map[string]any{"name": name, "arguments": arguments},
	})
	require.Equal(f.t, http.StatusOK, code, "%s", data)
	var answer struct {
		Error  any
		Result struct {
			IsError           bool
			StructuredContent json.RawMessage
		}
	}
	require.NoError(f.t, json.Unmarshal(data, &answer))
	require.Nil(f.t, answer.Error, "%s: %s", name, data)
	if !answer.Result.IsError && into != nil {
		require.NoError(f.t, json.Unmarshal(answer.Result.StructuredContent, into), "%s", data)
	}
	return answer.Result.IsError
}

// named is the id in sluice://docs/id#anchor.
func named(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return strings.TrimPrefix(u.Path, "/")
}

// lists returns the pages that each face with many answers shows.
func (f *faces) lists() map[string][]string {
	f.t.Helper()
	ctx, reader := f.t.Context(), f.store.Reader()
	found := map[string][]string{}
	infos := func(face string, pages []store.PageInfo, err error) {
		f.t.Helper()
		require.NoError(f.t, err)
		for _, p := range pages {
			found[face] = append(found[face], p.ID)
		}
		f.hear(face, pages)
	}
	pages, err := reader.Pages(ctx, f.v, docs, store.PageFilter{Part: store.Whole()})
	infos("list", pages, err)
	pages, err = reader.Changed(ctx, f.v, nil, time.Time{}, 0, 1000)
	infos("changed pages", pages, err)
	tree, err := reader.Tree(ctx, f.v, docs, "", 100, "", 1000)
	require.NoError(f.t, err)
	f.hear("tree", tree)
	found["tree"] = []string{}
	for _, n := range tree {
		if n.Kind == "page" || n.Kind == "blogpost" {
			found["tree"] = append(found["tree"], n.ID)
		}
	}
	for _, query := range []string{everyWord, noWord} {
		answer, err := f.store.Searcher().Explain(ctx, f.v, query, search.Filter{Limit: all, PerPage: 1})
		require.NoError(f.t, err)
		if f.vectors {
			require.Empty(f.t, answer.WordsOnly)
		}
		face := "search for " + query
		f.hear(face, answer)
		for _, h := range answer.Hits {
			found[face] = append(found[face], h.PageID)
		}
	}
	found["GET pages"] = f.list("GET", "/api/confluence/docs/pages?limit=500", nil)
	found["POST search"] = f.list("POST", "/api/knowledge/search", map[string]any{"query": everyWord, "limit": all, "per_page": 1})
	var hits struct{ Hits []struct{ Ref string } }
	require.False(f.t, f.tool("search", map[string]any{"query": everyWord, "limit": 50}, &hits))
	for _, h := range hits.Hits {
		found["search tool"] = append(found["search tool"], named(h.Ref))
	}
	var outline struct {
		Tree []struct{ Page, Kind string }
	}
	require.False(f.t, f.tool("outline", map[string]any{"source": docs, "levels": 10}, &outline))
	for _, n := range outline.Tree {
		if n.Kind == "page" || n.Kind == "blogpost" {
			found["outline tool"] = append(found["outline tool"], named(n.Page))
		}
	}
	return found
}

// aside asks what is told beside pages.
func (f *faces) aside() {
	f.t.Helper()
	f.tool("sources", map[string]any{}, nil)
	for _, path := range []string{"sources", "docs/status", "docs/runs", "docs/losses", "docs/failures", "docs/removals"} {
		f.http("GET", "/api/confluence/"+path, nil)
	}
	f.http("GET", "/api/progress/active", nil)
	f.http("GET", "/api/confluence/docs/runs/"+f.latest, nil)
}

// one returns which faces show the page, and which do not.
func (f *faces) one(id string) map[string]bool {
	f.t.Helper()
	ctx, reader := f.t.Context(), f.store.Reader()
	shows := map[string]bool{}
	p, err := reader.LivePage(ctx, f.v, id)
	shows["page"] = err == nil
	f.hear("page", p)
	kept, err := f.store.Reader().Page(ctx, viewer.All(), id)
	require.NoError(f.t, err)
	key, err := reader.PageAt(ctx, f.v, kept.URL)
	shows["page by address"] = err == nil && key.ID == id
	chunks, err := reader.Chunks(ctx, f.v, docs, id, store.Whole())
	require.NoError(f.t, err)
	shows["chunks"] = len(chunks) > 0
	f.hear("chunks", chunks)
	placed, err := reader.ChunksAround(ctx, f.v, docs, kept.URL, 0, 3)
	require.NoError(f.t, err)
	shows["chunks around"] = len(placed) > 0
	f.hear("chunks around", placed)
	headings, err := reader.Headings(ctx, f.v, docs, id)
	require.NoError(f.t, err)
	f.hear("headings", headings)
	related, err := reader.Related(ctx, f.v, kept.Key())
	require.NoError(f.t, err)
	f.hear("related", related)
	if len(related) > 0 {
		shows["related"] = true
	}
	if word := canary.FindString(kept.Title); word != "" {
		answer, err := f.store.Searcher().Explain(ctx, f.v, word, search.Filter{Limit: all, PerPage: 1})
		require.NoError(f.t, err)
		f.hear("search for "+word, answer)
		shows["search for its title"] = false
		for _, h := range answer.Hits {
			shows["search for its title"] = shows["search for its title"] || h.PageID == id
		}
	}
	under, err := f.store.Searcher().Explain(ctx, f.v, everyWord, search.Filter{Under: id, Limit: 1})
	require.NoError(f.t, err)
	shows["search below it"] = len(under.Hits) > 0
	code, _ := f.http("GET", "/api/pages/"+id, nil)
	shows["GET page"] = code == http.StatusOK
	code, _ = f.http("GET", "/api/pages/"+id+"/chunks", nil)
	shows["GET chunks"] = code == http.StatusOK
	shows["read tool"] = !f.tool("read", map[string]any{"page": id}, nil)
	shows["related tool"] = !f.tool("related", map[string]any{"page": id}, nil)
	return shows
}

// only are faces that show a page only sometimes, so that not showing it says nothing.
var only = map[string]bool{"related": true}

func (w *world) as(handler http.Handler, token, reader string) *faces {
	return &faces{world: w, reader: reader, v: viewer.Everywhere().As(reader), handler: handler, token: token, said: map[string]string{}}
}

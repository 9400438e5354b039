package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/confluence/outgoing"
	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/vault"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const site = "https://acme.atlassian.net/wiki"

// world is an API with a real database, a real broker, and keys of each role.
type world struct {
	t      testing.TB
	store  *store.Store
	kit    *bustest.Kit
	g      *Gateway
	url    string
	log    *lockedBuffer
	keys   map[string]string // by role, and "docs" for one that reads the source docs only
	ids    map[string]string
	checks validator.Validator

	mu      sync.Mutex
	checked map[string]bool // operations with a successful response that was checked against the document
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// newStore returns an empty database.
func newStore(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), pgtest.MigratedURL(t))
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

// setup is what a test can change in its world.
type setup struct {
	Options
	Trust credential.Trust
	Site  *credential.Site
}

// newSetup returns the options of a world.
func newSetup(s *store.Store, b *bus.Bus, change func(*setup)) Options {
	o := setup{
		Options: Options{
			Record: s, Keys: s.Vault(), Sessions: s.Vault(), Bus: b, Log: zerolog.Nop(),
			API: config.API{Addr: "127.0.0.1:0", MaxBody: 64 << 10, Timeout: 10 * time.Second, MaxStreams: 8},
		},
		Trust: credential.Trust{Hosts: outgoing.Hosts{"*.atlassian.net"}},
	}
	if change != nil {
		change(&o)
	}
	o.Control = control.New(s, b, control.NewVault(o.Trust, s))
	o.Control.Servers = control.Servers{Store: s, Bus: b, Site: o.Site}
	return o.Options
}

// bareWorld has no keys yet.
func bareWorld(t testing.TB, change func(*setup)) *world {
	t.Helper()
	return worldOn(t, newStore(t), bustest.New(t), change)
}

// worldOn is a world on a database and a broker.
func worldOn(t testing.TB, s *store.Store, kit *bustest.Kit, change func(*setup)) *world {
	t.Helper()
	w := &world{t: t, store: s, kit: kit, log: &lockedBuffer{}, keys: map[string]string{}, ids: map[string]string{}, checked: map[string]bool{}}
	var err error
	w.g, err = New(newSetup(w.store, w.kit.Bus, func(o *setup) {
		o.Log = zerolog.New(w.log)
		if change != nil {
			change(o)
		}
	}))
	require.NoError(t, err)
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = w.g.server()
	srv.Start()
	t.Cleanup(srv.Close)
	w.url = srv.URL
	w.checks = checksOf(t, w.g.document)
	return w
}

// checks contains a validator per OpenAPI document: all worlds serve the same document, and parsing it takes as long
// as most tests.
var checks sync.Map

func checksOf(t testing.TB, document []byte) validator.Validator {
	t.Helper()
	if v, ok := checks.Load(string(document)); ok {
		return v.(validator.Validator)
	}
	doc, err := libopenapi.NewDocument(document)
	require.NoError(t, err)
	v, errs := validator.NewValidator(doc)
	require.Empty(t, errs)
	kept, _ := checks.LoadOrStore(string(document), v)
	return kept.(validator.Validator)
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := bareWorld(t, nil)
	w.sources()
	return w
}

// sources adds two sources, and keys of each role.
func (w *world) sources() {
	w.t.Helper()
	for _, role := range apikey.Roles {
		w.addKey(string(role), role)
	}
	w.addKey("docs", apikey.Read, "docs")
	w.addKey("docs-admin", apikey.Admin, "docs")
	for _, id := range []string{"docs", "hr"} {
		require.NoError(w.t, w.store.AddSource(w.t.Context(), store.Source{ID: id, BaseURL: site, SpaceKey: strings.ToUpper(id)}))
	}
}

func (w *world) addKey(name string, role apikey.Role, sources ...string) {
	w.t.Helper()
	id, token, hash := apikey.New()
	require.NoError(w.t, w.store.Vault().AddAPIKey(w.t.Context(), vault.APIKey{Key: apikey.Key{ID: id, Name: name, Role: role, Sources: sources}, Hash: hash}))
	w.keys[name], w.ids[name] = token.Reveal(), id
}

// answer is a response.
type answer struct {
	t      testing.TB
	status int
	header http.Header
	body   []byte
}

// into decodes the response's JSON.
func (a answer) into(v any) {
	a.t.Helper()
	require.NoError(a.t, json.Unmarshal(a.body, v), "%d %s", a.status, a.body)
}

// code returns the code of a problem.
func (a answer) code() string {
	a.t.Helper()
	require.Equal(a.t, "application/problem+json", a.header.Get("Content-Type"), "%d %s", a.status, a.body)
	var p Problem
	a.into(&p)
	require.Equal(a.t, a.status, p.Status)
	require.Equal(a.t, "urn:sluice:problem:"+p.Code, p.Type)
	require.NotEmpty(a.t, p.Title)
	return p.Code
}

// ask sends a request with a key ("" for none) and checks the response against the OpenAPI document. Headers come in
// pairs.
func (w *world) ask(key, method, path, body string, headers ...string) answer {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	require.NoError(w.t, err)
	if body == "" {
		req.Body, req.ContentLength = nil, 0
	} else {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		token := w.keys[key]
		if token == "" {
			token = key
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return w.send(req)
}

func (w *world) send(req *http.Request) answer {
	w.t.Helper()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	res, err := client.Do(req)
	require.NoError(w.t, err)
	defer func() { _ = res.Body.Close() }()
	a := answer{t: w.t, status: res.StatusCode, header: res.Header}
	a.body, err = io.ReadAll(res.Body)
	require.NoError(w.t, err)
	require.NotEmpty(w.t, a.header.Get("X-Request-Id"))
	w.hold(req, a)
	return a
}

// hold checks a response against the document, if the document contains the route.
func (w *world) hold(req *http.Request, a answer) {
	w.t.Helper()
	_, pattern := w.g.router.mux.Handler(req)
	if _, path, _ := strings.Cut(pattern, " "); !strings.HasPrefix(path, "/api/") || path == "/api/openapi.json" ||
		a.status == http.StatusNotModified || a.header.Get("Content-Type") == "text/event-stream" {
		return
	}
	res := &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(bytes.NewReader(a.body)), Request: req}
	good, errs := w.checks.GetResponseBodyValidator().ValidateResponseBody(req, res)
	var said []string
	for _, e := range errs {
		said = append(said, e.Error())
	}
	require.True(w.t, good, "%s %s: %d %s\n%s", req.Method, req.URL.Path, a.status, a.body, strings.Join(said, "\n"))
	if a.status < 300 {
		w.mu.Lock()
		w.checked[pattern] = true
		w.mu.Unlock()
	}
}

// wants sends a request and requires a status.
func (w *world) wants(status int, key, method, path, body string, headers ...string) answer {
	w.t.Helper()
	a := w.ask(key, method, path, body, headers...)
	require.Equal(w.t, status, a.status, "%s %s: %s", method, path, a.body)
	return a
}

// run makes a run of the source with pages to fetch, as the fetcher does.
func (w *world) run(sourceID, id string, pages ...store.Listed) store.Run {
	w.t.Helper()
	ctx := w.t.Context()
	_, err := w.store.OpenRun(ctx, event.SyncRequested{RequestID: id, Mode: event.Full, SourceID: sourceID})
	require.NoError(w.t, err)
	attempt, err := w.store.StartListing(ctx, id, time.Now())
	require.NoError(w.t, err)
	require.NoError(w.t, w.store.AddListed(ctx, id, attempt, pages))
	run, err := w.store.Run(ctx, id)
	require.NoError(w.t, err)
	require.NoError(w.t, w.store.TreeFromListing(ctx, run))
	require.NoError(w.t, w.store.BuildPaths(ctx, sourceID))
	_, err = w.store.CompleteListing(ctx, run, attempt)
	require.NoError(w.t, err)
	run, err = w.store.Run(ctx, id)
	require.NoError(w.t, err)
	return run
}

// write stores a page of a run with one chunk, under path.
func (w *world) write(run store.Run, id, path, title, text string, labels ...string) {
	w.t.Helper()
	address := site + "/spaces/" + strings.ToUpper(run.SourceID) + "/pages/" + id
	_, err := w.store.WritePage(w.t.Context(), store.PageWrite{
		SourceID: run.SourceID, RunID: run.ID, Attempt: 1, Path: path, Markdown: "# " + title + "\n\n" + text + "\n",
		Page: page.Facts{
			ID: id, Version: 1, Title: title, SpaceKey: strings.ToUpper(run.SourceID), BaseURL: site, URL: address,
			ModifiedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		},
		Metadata: page.Metadata{Labels: labels, WordCount: 7},
		Losses:   []page.Loss{{Element: "macro:toc", Fate: page.Dropped, Count: 1}},
		Chunks: []store.Chunk{{Number: 0, Content: text, Metadata: store.ChunkMetadata{
			URL: address, Title: title, SourceID: run.SourceID, PageID: id, CrawlType: "confluence", Tags: []string{},
			HeadingPath: []string{title}, Breadcrumb: []string{}, CitationURL: address, ContentHash: id + text,
		}}},
	})
	require.NoError(w.t, err)
}

// end completes a run and publishes its snapshots, as the progress service does.
func (w *world) end(run store.Run) event.Progress {
	w.t.Helper()
	_, _, err := w.store.FindRemovalCandidates(w.t.Context(), run)
	require.NoError(w.t, err)
	require.NoError(w.t, w.store.MarkRemovalsChecked(w.t.Context(), run.ID))
	return w.advance(run)
}

func (w *world) advance(run store.Run) event.Progress {
	w.t.Helper()
	p, _, err := w.store.Advance(w.t.Context(), run.ID)
	require.NoError(w.t, err)
	w.kit.Publish(p)
	return p
}

func listed(ids ...string) []store.Listed {
	var all []store.Listed
	for _, id := range ids {
		all = append(all, store.Listed{ID: id, Version: 1, Title: "Page " + id, Status: "current"})
	}
	return all
}

// fill gives both sources three pages each: docs 11, 12 below 11, and 13; hr 21 to 23.
func (w *world) fill() {
	w.t.Helper()
	for i, id := range []string{"docs", "hr"} {
		at := func(n int) string { return fmt.Sprintf("%d%d", i+1, n) }
		pages := listed(at(1), at(2), at(3))
		pages[1].ParentID, pages[1].ParentKind = at(1), "page"
		run := w.run(id, "first-"+id, pages...)
		w.write(run, at(1), "/"+at(1), "Keys of "+id, "Rotate the signing keys every quarter.", "security")
		w.write(run, at(2), "/"+at(1)+"/"+at(2), "Harbour "+id, "The harbour lights are tested on Mondays.")
		w.write(run, at(3), "/"+at(3), "Valve_100% of "+id, "Close the kestrel valve.")
		require.Equal(w.t, event.StateCompleted, w.end(run).State)
	}
}

package deletiondetector_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/deletion-detector/deletiondetector"
	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/secret"
	"github.com/sluicehq/sluice/shared/service"
	"github.com/sluicehq/sluice/shared/source/systems"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const (
	space = "DOCS"
	tick  = 10 * time.Millisecond
)

// world is a site whose pages are all stored, with helpers to list them again in a run.
type world struct {
	t       *testing.T
	site    *sandbox.Site
	baseURL string
	store   *store.Store
	meddle  func(http.ResponseWriter, *http.Request) bool // answers instead of the site if it returns true
}

// newWorld stores the homepage and n pages below it, like a first full run.
func newWorld(t *testing.T, pages int) *world {
	t.Helper()
	w := &world{t: t, site: sandbox.New(sandbox.Options{})}
	require.NoError(t, w.site.AddSpace(space, "Docs"))
	require.NoError(t, w.site.AddSpace("ELSEWHERE", "Elsewhere"))
	for i := range pages {
		_, err := w.site.CreatePage(sandbox.Draft{Space: space, Title: fmt.Sprintf("Page %d", i), Body: "<p>words</p>"})
		require.NoError(t, err)
	}
	handler := w.site.Handler()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if w.meddle == nil || !w.meddle(rw, r) {
			handler.ServeHTTP(rw, r)
		}
	}))
	t.Cleanup(server.Close)
	w.baseURL = server.URL + "/wiki"
	var err error
	w.store, err = store.Open(t.Context(), pgtest.MigratedURL(t))
	require.NoError(t, err)
	t.Cleanup(w.store.Close)
	w.addSource("docs")
	return w
}

// addSource adds the space as a source and completes its first run.
func (w *world) addSource(id string) {
	w.t.Helper()
	ctx := w.t.Context()
	require.NoError(w.t, w.store.AddSource(ctx, store.Source{ID: id, BaseURL: w.baseURL, SpaceKey: space}))
	run := w.list(id, id+"-first", event.Full, w.site.Pages(space))
	for _, p := range w.site.Pages(space) {
		_, err := w.store.WritePage(ctx, write(run, p))
		require.NoError(w.t, err)
	}
	_, _, err := w.store.FindRemovalCandidates(ctx, run)
	require.NoError(w.t, err)
	require.NoError(w.t, w.store.MarkRemovalsChecked(ctx, run.ID))
	require.Equal(w.t, event.StateCompleted, w.advance(run.ID).State)
}

func write(run store.Run, p sandbox.Page) store.PageWrite {
	path := "/" + p.ID
	if page.IsPart(kindOf(p)) {
		path = "/" + p.ParentID + path
	}
	return store.PageWrite{
		SourceID: run.SourceID, RunID: run.ID, Attempt: 1, Path: path, Markdown: "words\n",
		Page:   page.Facts{ID: p.ID, Kind: kindOf(p), Version: p.Version, Title: p.Title, SpaceKey: space, URL: "https://x/" + run.SourceID + p.ID, ModifiedAt: p.ModifiedAt},
		Chunks: []store.Chunk{{Content: "words", Metadata: store.ChunkMetadata{PageID: p.ID, CrawlType: "confluence", ContentHash: "words"}}},
	}
}

func kindOf(p sandbox.Page) string {
	switch p.Kind {
	case sandbox.KindAttachment:
		return page.Attachment
	case sandbox.KindBlogPost:
		return page.BlogPost
	case page.Comment:
		return page.Comment
	}
	return ""
}

// list is a run with a complete listing of these pages.
func (w *world) list(source, runID string, mode event.Mode, pages []sandbox.Page) store.Run {
	w.t.Helper()
	ctx := w.t.Context()
	run, err := w.store.OpenRun(ctx, event.SyncRequested{RequestID: runID, Mode: mode, SourceID: source})
	require.NoError(w.t, err)
	require.Equal(w.t, mode, run.Mode)
	attempt, err := w.store.StartListing(ctx, run.ID, time.Now())
	require.NoError(w.t, err)
	listed := make([]store.Listed, len(pages))
	for i, p := range pages {
		listed[i] = store.Listed{ID: p.ID, Kind: kindOf(p), Version: p.Version, Title: p.Title, Status: p.Status}
		if p.Kind == page.Comment {
			listed[i].ParentID, listed[i].ParentKind = p.ParentID, "page"
		}
	}
	require.NoError(w.t, w.store.AddListed(ctx, run.ID, attempt, listed))
	if mode == event.Full {
		require.NoError(w.t, w.store.TreeFromListing(ctx, run))
		require.NoError(w.t, w.store.BuildPaths(ctx, source))
	}
	_, err = w.store.CompleteListing(ctx, run, attempt)
	require.NoError(w.t, err)
	run, err = w.store.Run(ctx, run.ID)
	require.NoError(w.t, err)
	return run
}

func (w *world) advance(runID string) event.Progress {
	w.t.Helper()
	snap, _, err := w.store.Advance(w.t.Context(), runID)
	require.NoError(w.t, err)
	return snap
}

// relist is a full run that lists the space's present pages, except heldBack.
func (w *world) relist(runID string, heldBack ...string) store.Run {
	w.t.Helper()
	missing := map[string]bool{}
	for _, id := range heldBack {
		missing[id] = true
	}
	var pages []sandbox.Page
	for _, p := range w.site.Pages(space) {
		if !missing[p.ID] && !p.Hidden && (p.Status == "current" || p.Status == "archived") {
			pages = append(pages, p)
		}
	}
	return w.list("docs", runID, event.Full, pages)
}

// below are the pages under the homepage.
func (w *world) below() []sandbox.Page {
	var out []sandbox.Page
	for _, p := range w.site.Pages(space) {
		if p.ParentID != "" {
			out = append(out, p)
		}
	}
	return out
}

// live reports whether readers see a page and its chunk.
func (w *world) live(id string) bool {
	w.t.Helper()
	p, err := w.store.Reader().Page(w.t.Context(), viewer.All(), id)
	require.NoError(w.t, err)
	chunks, err := w.store.Reader().Chunks(w.t.Context(), viewer.All(), "docs", id, store.Whole())
	require.NoError(w.t, err)
	require.Equal(w.t, p.Deleted, len(chunks) == 0, "page %s and its chunks disagree", id)
	return !p.Deleted
}

// ended returns the ids and reasons of the run's pages with the outcome.
func (w *world) ended(runID string, outcome event.Outcome) map[string]string {
	w.t.Helper()
	list, err := w.store.Reader().LedgerPages(w.t.Context(), viewer.All(), runID, outcome, store.First(1000))
	require.NoError(w.t, err)
	out := map[string]string{}
	for _, p := range list {
		out[p.PageID] = p.Reason
	}
	return out
}

// detector returns a detector that reads the site with the token.
func (w *world) detector(b *bus.Bus, token string) *deletiondetector.Detector {
	w.t.Helper()
	site, err := credential.NewSite(config.Confluence{
		BaseURL: w.baseURL, Email: sandbox.DefaultEmail, APIToken: secret.New(token),
		Sites: config.Sites{AllowHTTP: true}, RequestsPerSecond: 1000, Concurrency: 4,
	}, zerolog.Nop())
	require.NoError(w.t, err)
	opened := systems.New(systems.Means{Confluence: site, Log: zerolog.Nop()})
	return deletiondetector.New(w.store, b, opened, config.Brake{Pages: 10, Percent: 20}, zerolog.Nop())
}

// start consumes completed listings like the stage.
func (w *world) start(k *bustest.Kit, token string) {
	w.t.Helper()
	d := w.detector(k.Bus, token)
	k.Consume(bus.Removals, service.Steered(d.Handle), bus.OnPermanent(d.Failed))
}

func completed(run store.Run) event.ListingCompleted {
	return event.ListingCompleted{SourceID: run.SourceID, RunID: run.ID, Mode: run.Mode, Listed: run.Listed, At: time.Now().UTC()}
}

func TestSuite(t *testing.T) {
	w := newWorld(t, 0)
	var runs atomic.Int64
	bustest.Suite(t, bustest.Stage{
		Consumer: bus.Removals,
		Handler:  func(b *bus.Bus) bus.Handler { return service.Steered(w.detector(b, sandbox.DefaultToken).Handle) },
		Options:  []bus.ConsumeOption{bus.OnPermanent(w.detector(nil, sandbox.DefaultToken).Failed)},
		// Every event belongs to its own run with one page to remove.
		Event: func(int) event.Event {
			id := fmt.Sprintf("source-%d", runs.Add(1))
			key := fmt.Sprintf("S%d", runs.Load())
			require.NoError(t, w.site.AddSpace(key, "Space "+id))
			p, err := w.site.CreatePage(sandbox.Draft{Space: key, Title: "Page of " + id, Body: "<p>words</p>"})
			require.NoError(t, err)
			require.NoError(t, w.store.AddSource(t.Context(), store.Source{ID: id, BaseURL: w.baseURL, SpaceKey: key}))
			require.NoError(t, w.site.TrashPage(p.ID))
			run := w.list(id, id+"-run", event.Full, nil)
			before := write(run, p)
			before.RunID = "" // stored before, by none of the remaining runs
			_, err = w.store.WritePage(t.Context(), before)
			require.NoError(t, err)
			return completed(run)
		},
		Publishes: event.TypePageRemoved,
	})
}

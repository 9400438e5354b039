package fetcher_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/fetcher/fetcher"
	"github.com/sluicehq/sluice/services/fetcher/lister"
	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/confluence"
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

// front is in front of the site and may answer instead of it.
type front func(w http.ResponseWriter, r *http.Request, site http.Handler)

// world is a site, a broker and a database with the source docs, and no stage running yet.
type world struct {
	*bustest.Kit
	t       *testing.T
	site    *sandbox.Site
	front   atomic.Pointer[front]
	baseURL string
	token   string
	store   *store.Store
}

// newWorld has a space with nothing but its homepage.
func newWorld(t *testing.T) *world {
	t.Helper()
	site := sandbox.New(sandbox.Options{})
	require.NoError(t, site.AddSpace(space, "Docs"))
	return newWorldOn(t, site, space)
}

func newWorldOn(t *testing.T, site *sandbox.Site, key string) *world {
	t.Helper()
	w := &world{Kit: bustest.New(t), t: t, site: site, token: sandbox.DefaultToken}
	handler := site.Handler()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if f := w.front.Load(); f != nil {
			(*f)(rw, r, handler)
			return
		}
		handler.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	w.baseURL = server.URL + "/wiki"
	var err error
	w.store, err = store.Open(t.Context(), pgtest.MigratedURL(t))
	require.NoError(t, err)
	t.Cleanup(w.store.Close)
	w.addSource("docs", key)
	return w
}

func (w *world) addSource(id, key string) {
	w.t.Helper()
	require.NoError(w.t, w.store.AddSource(w.t.Context(), store.Source{ID: id, BaseURL: w.baseURL, SpaceKey: key}))
}

// page adds a page to the space; an empty parent is its homepage.
func (w *world) page(title, body, parent string) sandbox.Page {
	w.t.Helper()
	return w.add(sandbox.Draft{Space: space, Title: title, Body: body, ParentID: parent})
}

func (w *world) add(d sandbox.Draft) sandbox.Page {
	w.t.Helper()
	p, err := w.site.CreatePage(d)
	require.NoError(w.t, err)
	return p
}

// account is the fetcher's view of a site: one token and short waits.
type account struct{ client *confluence.Client }

func (a account) Client(context.Context, store.Source) (*confluence.Client, error) {
	return a.client, nil
}

// systems reads the site with the world's token. It never waits in place when the site requests a wait,
// so that tests see the parked task.
func (w *world) systems() *systems.Systems {
	w.t.Helper()
	client, err := confluence.New(w.baseURL, sandbox.DefaultEmail, secret.New(w.token),
		confluence.WithInsecureHTTP(), confluence.WithRate(1000, 1000), confluence.WithMaxWait(0),
		confluence.WithRetryDelays(time.Millisecond))
	require.NoError(w.t, err)
	return systems.New(systems.Means{Confluence: account{client}, Log: zerolog.Nop()})
}

func (w *world) lister(b *bus.Bus) *lister.Lister {
	w.t.Helper()
	return lister.New(w.store, b, w.systems(), zerolog.Nop())
}

func (w *world) fetcher(b *bus.Bus) *fetcher.Fetcher {
	w.t.Helper()
	return fetcher.New(w.store, b, w.systems(), zerolog.Nop())
}

// startSync consumes requests like the stage.
func (w *world) startSync() (stop func()) {
	w.t.Helper()
	l := w.lister(w.Bus)
	return w.Consume(bus.Sync, service.Steered(l.HandleSync), bus.OnPermanent(l.SyncFailed))
}

// startFetch consumes tasks with that many workers.
func (w *world) startFetch(workers int) (stop func()) {
	w.t.Helper()
	return w.Consume(bus.Fetch, service.Steered(w.fetcher(w.Bus).HandlePages), bus.Workers(workers))
}

// ask publishes a request; another nudge makes another message.
func (w *world) ask(runID string, mode event.Mode, nudge int) {
	w.t.Helper()
	w.Publish(event.SyncRequested{SourceID: "docs", RequestID: runID, Mode: mode, Nudge: nudge})
}

// finish completes a run like the other stages: it stores the waiting pages and removes nothing.
func (w *world) finish(runID string) event.Progress {
	w.t.Helper()
	ctx := w.t.Context()
	run, err := w.store.Run(ctx, runID)
	require.NoError(w.t, err)
	refs, err := w.store.PendingPages(ctx, runID, "", 1000)
	require.NoError(w.t, err)
	for _, ref := range refs {
		w.write(run, ref)
	}
	if run.Mode == event.Full {
		candidates, _, err := w.store.FindRemovalCandidates(ctx, run)
		require.NoError(w.t, err)
		require.NoError(w.t, w.store.KeepPages(ctx, run, candidates, "still_there"))
		require.NoError(w.t, w.store.MarkRemovalsChecked(ctx, runID))
	}
	snap, _, err := w.store.Advance(ctx, runID)
	require.NoError(w.t, err)
	require.True(w.t, snap.State.Final())
	return snap
}

// write stores a page where the tree has it.
func (w *world) write(run store.Run, ref page.Ref) {
	w.t.Helper()
	p, err := w.site.Page(ref.ID)
	require.NoError(w.t, err)
	place, err := w.store.Place(w.t.Context(), "docs", ref.ID, space, w.baseURL)
	require.NoError(w.t, err)
	_, err = w.store.WritePage(w.t.Context(), store.PageWrite{
		SourceID: "docs", RunID: run.ID, Attempt: 1, Path: place.Path, Markdown: "words\n",
		Page: page.Facts{
			ID: ref.ID, Kind: ref.Kind, Version: ref.Version, Title: p.Title, SpaceKey: space, URL: w.baseURL + "/" + ref.ID, ModifiedAt: p.ModifiedAt,
		},
	})
	require.NoError(w.t, err)
}

// run waits until the run has a state that is good.
func (w *world) run(id string, good func(event.State) bool) store.Run {
	w.t.Helper()
	var run store.Run
	require.Eventually(w.t, func() bool {
		var err error
		run, err = w.store.Run(context.Background(), id)
		return err == nil && good(run.State)
	}, bustest.Patience, tick, "run %s", id)
	return run
}

func is(want event.State) func(event.State) bool {
	return func(s event.State) bool { return s == want }
}

// skipped are the run's pages that ended as skipped, with their reasons.
func (w *world) skipped(runID string) map[string]string {
	w.t.Helper()
	list, err := w.store.Reader().LedgerPages(w.t.Context(), viewer.All(), runID, event.Skipped, store.First(1000))
	require.NoError(w.t, err)
	out := map[string]string{}
	for _, p := range list {
		out[p.PageID] = p.Reason
	}
	return out
}

func ids(pages []page.Ref) []string {
	out := make([]string, len(pages))
	for i, p := range pages {
		out[i] = p.ID
	}
	return out
}

func numbered(prefix string, n int) string { return fmt.Sprintf("%s %d", prefix, n) }

// Package permissiontest proves who sees what: for random sites, what Sluice shows to each reader is what
// the site shows, by the site's own rule.
package permissiontest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/chunk-writer/chunk"
	"github.com/sluicehq/sluice/services/chunk-writer/chunkwriter"
	"github.com/sluicehq/sluice/services/converter/converter"
	"github.com/sluicehq/sluice/services/fetcher/fetcher"
	"github.com/sluicehq/sluice/services/fetcher/lister"
	"github.com/sluicehq/sluice/services/fetcher/sweep"
	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/secret"
	"github.com/sluicehq/sluice/shared/source/systems"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/storetest"
	"github.com/sluicehq/sluice/shared/viewer"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const (
	docs  = "docs" // the source
	space = "DOCS"
	api   = "712020:00000000-5a4d-4c1e-9d10-000000000001" // the account that reads the site
)

// world is a site and a database with the source docs, whose permissions are enforced. Its stages run one after
// the other, without a broker.
type world struct {
	t       *testing.T
	site    *sandbox.Site
	url     string
	store   *store.Store
	conn    *pgx.Conn
	systems *systems.Systems
	sweeper *sweep.Sweeper
	events  []event.Event
	latest  string // the id of the latest run
	vectors bool   // search goes by meaning too

	beforeRemovals func(runID string) // what happens between the end of a run's listing and its removals
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t}
	w.store, w.conn = storetest.Open(t)
	w.on(sandbox.New(sandbox.Options{}))
	return w
}

// newVectorWorld is newWorld where search goes by meaning too.
func newVectorWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, vectors: true}
	w.store, w.conn = storetest.OpenVectors(t)
	w.store.Searcher().Ask(meaning{})
	w.on(sandbox.New(sandbox.Options{}))
	return w
}

var sites atomic.Int64

// on gives the world another site, which has an empty space, and a source for it.
func (w *world) on(site *sandbox.Site) {
	w.t.Helper()
	w.site = site
	require.NoError(w.t, site.AddSpace(space, "Docs"))
	require.NoError(w.t, site.SetGroup(sandbox.Group{Name: "admins", Members: []string{api}, Access: "admin"}))
	server := httptest.NewServer(site.Handler())
	w.t.Cleanup(server.Close)
	w.url = server.URL
	w.client()
	_ = w.store.RemoveSource(w.t.Context(), docs)
	w.source(space)
}

// source adds the source, a space of the site.
func (w *world) source(key string) {
	w.t.Helper()
	require.NoError(w.t, w.store.AddSource(w.t.Context(), store.Source{ID: docs, BaseURL: w.url + "/wiki", SpaceKey: key, BlogPosts: true}))
	require.NoError(w.t, w.store.SetPermissions(w.t.Context(), docs, store.Enforce, 0))
}

// client reads the site with a new client, which remembers no failure.
func (w *world) client() {
	w.t.Helper()
	client, err := confluence.New(w.url, sandbox.DefaultEmail, secret.New(sandbox.DefaultToken), confluence.WithInsecureHTTP(),
		confluence.WithRate(1e6, 1000), confluence.WithMaxWait(0), confluence.WithRetryDelays(time.Microsecond))
	require.NoError(w.t, err)
	w.t.Cleanup(client.Close)
	w.systems = systems.New(systems.Means{Confluence: account{client}, Log: zerolog.Nop()})
	w.sweeper = sweep.New(w.store, w, w.systems, time.Nanosecond, 24*time.Hour, zerolog.Nop())
}

type account struct{ client *confluence.Client }

func (a account) Client(context.Context, store.Source) (*confluence.Client, error) {
	return a.client, nil
}

// Publish keeps the event for run.
func (w *world) Publish(_ context.Context, e event.Event) error {
	w.events = append(w.events, e)
	return nil
}

// PublishAll keeps the events for run.
func (w *world) PublishAll(_ context.Context, events []event.Event) error {
	w.events = append(w.events, events...)
	return nil
}

func (w *world) delivery(e event.Event) bus.Delivery {
	w.t.Helper()
	data, err := json.Marshal(e)
	require.NoError(w.t, err)
	return bus.Delivery{Type: e.EventType(), SourceID: docs, Attempt: 1, Data: data}
}

// run lists the source, and fetches and stores its pages, as the stages do. Removals are left out. It returns
// the run's notes.
func (w *world) run(mode event.Mode) []string {
	w.t.Helper()
	ctx := w.t.Context()
	id := fmt.Sprintf("run-%d", sites.Add(1))
	w.latest = id
	w.events = nil
	l, f := lister.New(w.store, w, w.systems, zerolog.Nop()), fetcher.New(w.store, w, w.systems, zerolog.Nop())
	convert, write := converter.Handler(w), chunkwriter.Handler(w.store, w, chunk.Options{})
	require.NoError(w.t, l.HandleSync(ctx, w.delivery(event.SyncRequested{RequestID: id, SourceID: docs, Mode: mode})))
	for len(w.events) > 0 {
		e := w.events[0]
		w.events = w.events[1:]
		switch e := e.(type) {
		case event.PagesListed:
			require.NoError(w.t, f.HandlePages(ctx, w.delivery(e)))
		case event.PageFetched:
			require.NoError(w.t, convert(ctx, w.delivery(e)))
		case event.FileFound: // its text does not matter here
			require.NoError(w.t, write(ctx, w.delivery(event.PageConverted{SourceID: e.SourceID, RunID: e.RunID, Page: e.Page, Markdown: "A file.\n"})))
		case event.PageConverted:
			require.NoError(w.t, write(ctx, w.delivery(e)))
		}
	}
	run, err := w.store.Run(ctx, id)
	require.NoError(w.t, err)
	if !run.State.Final() {
		_, err = w.store.CancelRun(ctx, id)
		require.NoError(w.t, err)
	}
	return run.Notes
}

// sweep reads the permissions again, now.
func (w *world) sweep() {
	w.t.Helper()
	_, err := w.conn.Exec(w.t.Context(), `UPDATE confluence_spaces SET sweep_tried_at = NULL`)
	require.NoError(w.t, err)
	require.NoError(w.t, w.sweeper.Look(w.t.Context()))
}

// problem is why the latest sweep failed.
func (w *world) problem() string {
	w.t.Helper()
	state, err := w.store.AccessState(w.t.Context(), docs)
	require.NoError(w.t, err)
	return state.Problem
}

// admitted returns the ids of the stored pages to which the database admits the account.
func (w *world) admitted(account string) map[string]bool {
	w.t.Helper()
	rows, _ := w.conn.Query(w.t.Context(), `SELECT p.page_id FROM confluence_pages p
		JOIN confluence_tree t ON t.source_id = p.source_id AND t.node_id = p.page_id
		JOIN confluence_admitted($1, '{}', NULL) a ON a.source_id = p.source_id AND (a.set_id IS NULL OR a.set_id = t.layer_set)
		WHERE NOT p.is_deleted`, account)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(w.t, err)
	seen := map[string]bool{}
	for _, id := range ids {
		seen[id] = true
	}
	return seen
}

// stored returns the ids of all stored pages.
func (w *world) stored() []string {
	w.t.Helper()
	rows, _ := w.conn.Query(w.t.Context(), `SELECT page_id FROM confluence_pages WHERE source_id = $1 AND NOT is_deleted ORDER BY 1`, docs)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(w.t, err)
	return ids
}

// may asks the site.
func (w *world) may(account, id string) bool {
	w.t.Helper()
	ok, err := w.site.MayView(account, id)
	if err != nil {
		return false
	}
	return ok
}

func (w *world) create(d sandbox.Draft) string {
	w.t.Helper()
	d.Space = space
	p, err := w.site.CreatePage(d)
	require.NoError(w.t, err)
	return p.ID
}

func (w *world) person(ids ...string) {
	w.t.Helper()
	for _, id := range ids {
		w.site.AddUser(sandbox.User{AccountID: id, DisplayName: strings.ToUpper(id)})
	}
}

// page reads a stored page.
func (w *world) page(id string) store.Page {
	w.t.Helper()
	p, err := w.store.Reader().Page(w.t.Context(), viewer.All(), id)
	require.NoError(w.t, err)
	return p
}

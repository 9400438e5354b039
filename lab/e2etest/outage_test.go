package e2etest

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/localpg"
)

// outage is longer than the five attempts of a message with their delays, which take 15 s.
const outage = 20 * time.Second

// postgres is the test's own server, which can be killed.
type postgres struct {
	t    *testing.T
	opts localpg.Options
	*localpg.Server
}

func newPostgres(t *testing.T) *postgres {
	t.Helper()
	dir, err := os.MkdirTemp("", "sluice-e2e-pg-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755)) // if we are root, Postgres runs as another user
	p := &postgres{t: t, opts: localpg.Options{
		DataDir: filepath.Join(dir, "postgres"), BinDir: os.Getenv("SLUICE_PG_BINDIR"), Log: zerolog.Nop(),
	}}
	p.start()
	p.opts.Port = p.Port()
	t.Cleanup(func() { require.NoError(t, p.Stop(context.Background())) })
	return p
}

// start starts the server with its existing data.
func (p *postgres) start() {
	p.t.Helper()
	var err error
	p.Server, err = localpg.Start(p.t.Context(), p.opts)
	require.NoError(p.t, err)
}

// kill ends the server at once; its backends follow.
func (p *postgres) kill() {
	p.t.Helper()
	require.NoError(p.t, syscall.Kill(p.PID(), syscall.SIGKILL))
	<-p.Done()
}

// midRun waits until the run has stored some of its pages but not most of them.
func (w *world) midRun(pages int) {
	w.t.Helper()
	var stored int
	require.Eventually(w.t, func() bool {
		stored = w.count(`SELECT count(*) FROM confluence_pages`)
		return stored > pages/20
	}, time.Minute, 5*time.Millisecond)
	require.Less(w.t, stored, pages*3/4, "the run is almost finished")
}

// whole requires that the run ended as if nothing had happened.
func (w *world) whole(id string, pages int) {
	w.t.Helper()
	began := time.Now()
	last := w.follow(id)
	w.t.Logf("the run ended %s later; %d bodies were fetched for %d pages", time.Since(began).Round(time.Second), w.site.Stats().Bodies, pages)
	require.Equal(w.t, event.StateCompleted, last.State, last.Message)
	require.Zero(w.t, last.Counts.Failed)
	require.Equal(w.t, last.Counts.Listed, last.Counts.Created+last.Counts.Unchanged)
	require.Equal(w.t, pages, w.count(`SELECT count(*) FROM confluence_pages WHERE NOT is_deleted`))
	require.Equal(w.t, pages, w.count(`SELECT count(DISTINCT metadata->>'page_id') FROM archon_crawled_pages`))
}

// away waits for the duration of the outage.
func away(t *testing.T) {
	t.Helper()
	select {
	case <-time.After(outage):
	case <-t.Context().Done():
	}
}

func TestPostgresIsAwayForALongTime(t *testing.T) {
	t.Parallel()
	const pages = 400
	site := generated(pages)
	served, err := sandbox.Serve("127.0.0.1:0", site)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, served.Close()) })
	pg := newPostgres(t)
	w := newWorldOver(t, sandbox.GeneratedSpace, site, served, ground{dbURL: pg.URL(), ackWait: 5 * time.Second, stallAfter: 10 * time.Second})
	w.startAll()
	id := w.ask(event.Full)
	w.midRun(pages)
	pg.kill()
	away(t)
	pg.start()
	w.db, err = pgx.Connect(t.Context(), pg.URL())
	require.NoError(t, err)
	w.whole(id, pages)
	require.Zero(t, w.count(`SELECT count(*) FROM confluence_sync_pages WHERE outcome = 'failed'`), "in no run")
}

func TestNatsIsAwayForALongTime(t *testing.T) {
	t.Parallel()
	const pages = 400
	site := generated(pages)
	served, err := sandbox.Serve("127.0.0.1:0", site)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, served.Close()) })
	nats := newNats(t, "nats", "nats.conf")
	nats.start()
	w := newWorldOver(t, sandbox.GeneratedSpace, site, served, ground{natsURL: nats.url, ackWait: 5 * time.Second, stallAfter: 10 * time.Second})
	w.startAll()
	id := w.ask(event.Full)
	w.midRun(pages)
	nats.kill()
	away(t)
	nats.start()
	w.whole(id, pages)
}

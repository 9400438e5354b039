package torture

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
)

const (
	source     = "docs"
	otherSpace = "OTHER" // not synced

	// A run waits this long for the work of a killed worker. With the default of a real site, a seed would mostly
	// wait.
	ackWait    = 8 * time.Second
	stallAfter = 15 * time.Second

	runPatience = 8 * time.Minute
)

// world is a site, two servers and the stages; each is a separate process, except the site.
type world struct {
	t      *testing.T
	plan   plan
	dir    string
	site   *sandbox.Site
	served *sandbox.Served
	nats   *process
	url    string // of NATS
	bin    string // the folder with the programs
	pg     *database
	model  *modelServer // nil without -vectors
	second *modelServer // that takes over from it
	stages []*process
	nc     *nats.Conn // for the test's own requests

	readers atomic.Int64 // processes that read files and were killed

	mu       sync.Mutex
	problems []string
	away     map[string]bool // pages, comments and files that had a reason to be removed at some time
	runs     int
	result   result
}

// wrong records a problem. The seed continues, since it may show more.
func (w *world) wrong(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.problems) < 50 {
		w.problems = append(w.problems, fmt.Sprintf(format, args...))
	}
}

// newWorld starts the servers and every stage.
func newWorld(t *testing.T, p plan) *world {
	t.Helper()
	bin, err := programs()
	require.NoError(t, err)
	dir, err := os.MkdirTemp("", fmt.Sprintf("sluice-torture-%d-", p.seed))
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755)) // Postgres runs as another user if we are root
	w := &world{t: t, plan: p, dir: dir, away: map[string]bool{}}
	w.result = result{seed: p.seed, blows: map[blow]int{}, codes: map[string]int{}, began: time.Now()}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "plan.txt"), []byte(p.String()), 0o644))

	w.site = sandbox.New(sandbox.Options{IndexLag: time.Second})
	w.site.AddGenerated(sandbox.GeneratedSpace, p.pages, p.seed)
	for _, p := range w.site.Pages(sandbox.GeneratedSpace) {
		w.site.AddUser(sandbox.User{AccountID: p.AuthorID, DisplayName: "Author " + p.AuthorID[len(p.AuthorID)-4:]})
	}
	w.addParts()
	require.NoError(t, w.site.AddSpace(otherSpace, "Somewhere else"))
	w.served, err = sandbox.Serve("127.0.0.1:0", w.site)
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.served.Close() })

	w.pg, err = startDatabase(t.Context(), dir)
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.pg.server.Stop(context.Background()) })
	w.nats, w.url, err = newNats(dir)
	require.NoError(t, err)
	require.NoError(t, w.nats.start())
	t.Cleanup(w.nats.kill)

	st, err := store.Open(t.Context(), w.pg.url)
	require.NoError(t, err)
	defer st.Close()
	_, err = st.Migrate(t.Context())
	require.NoError(t, err)
	require.NoError(t, st.AddSource(t.Context(), w.source()))
	w.nc, err = nats.Connect(w.url, nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true), nats.ReconnectWait(100*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(w.nc.Close)
	if *withVectors {
		require.NoError(t, w.pg.server.NoVector(), "-vectors needs pgvector")
		w.model, w.second = w.startModel(firstModel, 3), w.startModel(secondModel, 4)
	}
	w.startStages(bin)
	return w
}

func (w *world) source() store.Source {
	return store.Source{
		ID: source, BaseURL: w.served.URL + "/wiki", SpaceKey: sandbox.GeneratedSpace, Comments: store.AllComments, Attachments: store.AttachmentsOn,
	}
}

func (w *world) startStages(bin string) {
	env := w.settings(w.url, w.pg.url)
	w.bin = bin
	if w.model != nil {
		env = append(env, w.model.env()...)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var watchers sync.WaitGroup
	for i, name := range replicas {
		p := &process{name: fmt.Sprintf("%s-%d", name, i), path: filepath.Join(bin, name), env: env, dir: w.dir}
		require.NoError(w.t, p.start())
		w.stages = append(w.stages, p)
		watchers.Go(func() { p.watch(ctx) })
	}
	w.t.Cleanup(func() {
		cancel()
		watchers.Wait()
		for _, p := range w.stages {
			p.kill()
		}
	})
}

// settings are those of every stage.
func (w *world) settings(natsURL, databaseURL string) []string {
	return []string{
		"NATS_URL=" + natsURL, "DATABASE_URL=" + databaseURL, "HEALTH_ADDR=", "LOG_LEVEL=debug", "SHUTDOWN_GRACE=10s",
		"NATS_ACK_WAIT=" + ackWait.String(), "STALL_AFTER=" + stallAfter.String(),
		"CONFLUENCE_BASE_URL=" + w.served.URL + "/wiki", "CONFLUENCE_ALLOW_HTTP=true", "CONFLUENCE_EMAIL=" + sandbox.DefaultEmail,
		"CONFLUENCE_API_TOKEN=" + sandbox.DefaultToken, "CONFLUENCE_REQUESTS_PER_SECOND=1000",
	}
}

// query runs a query and passes its rows to scan. It uses a new connection, because the server may be killed at any
// moment.
func (w *world) query(ctx context.Context, sql string, args []any, scan func(pgx.Rows) error) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, w.pg.url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// run requests a run and returns its final state from the ledger. It publishes a request that the broker lost again,
// with the same id.
func (w *world) run(ctx context.Context, mode event.Mode) event.State {
	w.runs++
	id := fmt.Sprintf("run-%d", w.runs)
	request := []byte(fmt.Sprintf(`{"request_id": %q, "mode": %q}`, id, mode))
	deadline := time.Now().Add(runPatience)
	var asked time.Time
	for pause(ctx, 100*time.Millisecond) && time.Now().Before(deadline) {
		state, err := w.stateOf(ctx, id)
		switch {
		case err == nil && state.Final():
			w.account(ctx, id, mode, state)
			return state
		case errors.Is(err, pgx.ErrNoRows) && time.Since(asked) > 3*time.Second:
			asked = time.Now()
			_ = w.nc.Publish(event.Subject(event.TypeSyncRequested, source), request)
		}
	}
	state, err := w.stateOf(context.WithoutCancel(ctx), id)
	w.wrong("run %s is stuck: %s after %s (%v)", id, state, runPatience, err)
	return state
}

func (w *world) stateOf(ctx context.Context, id string) (state event.State, err error) {
	found := false
	err = w.query(ctx, `SELECT state FROM confluence_sync_runs WHERE run_id = $1`, []any{id}, func(r pgx.Rows) error {
		found = true
		return r.Scan(&state)
	})
	if err == nil && !found {
		err = pgx.ErrNoRows
	}
	return state, err
}

// account adds an ended run to the statistics.
func (w *world) account(ctx context.Context, id string, mode event.Mode, state event.State) {
	w.result.runs++
	line := fmt.Sprintf("%s %s %s %s:", time.Now().UTC().Format(time.TimeOnly), id, mode, state)
	err := w.query(ctx, `
		SELECT coalesce(outcome, 'none'), coalesce(reason, ''), count(*) FROM confluence_sync_pages
		WHERE run_id = $1 GROUP BY 1, 2 ORDER BY 1, 2`, []any{id}, func(r pgx.Rows) error {
		var outcome, reason string
		var n int
		if err := r.Scan(&outcome, &reason, &n); err != nil {
			return err
		}
		line += fmt.Sprintf(" %d %s %s", n, outcome, reason)
		switch event.Outcome(outcome) {
		case event.Created:
			w.result.created += n
		case event.Updated:
			w.result.updated += n
		case event.Removed:
			w.result.removed += n
		case event.Failed:
			w.result.failed += n
			w.result.codes[reason] += n
		}
		return nil
	})
	if err != nil {
		line += " " + err.Error()
	}
	var message string
	_ = w.query(ctx, `SELECT coalesce(code, '') || ' ' || coalesce(message, '') FROM confluence_sync_runs WHERE run_id = $1`,
		[]any{id}, func(r pgx.Rows) error { return r.Scan(&message) })
	w.t.Log(line, message)
}

// excuse records that a page, a comment or a file has a reason to be removed, before it is.
func (w *world) excuse(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away[id] = true
	w.excuseParts(id)
}

// gone reports whether a page, a comment or a file has, or had, a reason to be removed.
func (w *world) gone(id string) bool {
	w.mu.Lock()
	away := w.away[id]
	w.mu.Unlock()
	if part, ok := w.site.Part(id); ok && !away {
		return w.gonePart(part)
	}
	p, err := w.site.Page(id)
	return away || err != nil || p.Status != "current" || p.Hidden || p.Space != sandbox.GeneratedSpace
}

// setFaults sets other faults on the site. Pages hidden by the previous faults are visible again.
func (w *world) setFaults(seed int64, faults ...sandbox.Fault) {
	for _, p := range w.site.Pages(sandbox.GeneratedSpace) {
		if p.Hidden {
			w.excuse(p.ID)
		}
	}
	stats := w.site.Stats()
	w.result.calls += int(stats.Total)
	for _, n := range stats.Faults {
		w.result.faults += int(n)
	}
	w.site.ResetStats()
	require.NoError(w.t, w.site.SetFaults(seed, faults...))
}

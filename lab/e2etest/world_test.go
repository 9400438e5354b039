// Package e2etest tests the whole path of a page: a simulated site, a real broker, a real database and the real
// stages, in this process or as separate processes.
package e2etest

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/lab/child"
	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/services/stages"
	"github.com/sluicehq/sluice/shared/broker"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/service"
	"github.com/sluicehq/sluice/shared/store"
)

func TestMain(m *testing.M) {
	service.BeChild(stages.Pipeline()...)
	pgtest.Main(m)
}

// world is a site, a broker and a database; no stage is running yet.
type world struct {
	t      *testing.T
	site   *sandbox.Site
	served *sandbox.Served
	ground ground
	db     *pgx.Conn
	store  *store.Store
	bus    *bus.Bus
	space  string
	runs   int

	gateway string    // where a scoped token is valid
	token   string    // empty: the stand-in's own
	api     string    // address of the HTTP API, if it is served
	hosts   string    // hosts that a stored token may be sent to; empty: the site's
	apiKey  string    // key of the HTTP API
	keys    string    // the master key; if set, the token is stored for the source
	log     io.Writer // receives the stages' log, if set
}

// ground contains the servers of a world. A server that is not set is started.
type ground struct {
	natsURL    string
	natsKeys   string // folder with a key for each service, if the broker requires keys
	dbURL      string
	replicas   int           // of each stream; 0 is 1
	ackWait    time.Duration // 0 is the default
	stallAfter time.Duration // 0 is the default
	tick       time.Duration // of the broker's clock; 0 is the default
}

// source is the id of a world's only source.
const source = "docs"

// newWorld serves a site and registers its space as a source.
func newWorld(t *testing.T, space string, site *sandbox.Site) *world {
	t.Helper()
	served, err := sandbox.Serve("127.0.0.1:0", site)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, served.Close()) })
	return newWorldOn(t, space, site, served)
}

// newWorldOn returns a world for a site that is already served, so that two worlds can be compared row by row.
func newWorldOn(t *testing.T, space string, site *sandbox.Site, served *sandbox.Served) *world {
	t.Helper()
	return newWorldOver(t, space, site, served, ground{})
}

// newWorldOver returns a world on the test's own servers.
func newWorldOver(t *testing.T, space string, site *sandbox.Site, served *sandbox.Served, g ground) *world {
	t.Helper()
	if g.dbURL == "" {
		g.dbURL = pgtest.MigratedURL(t)
	}
	if g.natsURL == "" {
		nats, err := broker.Start(broker.Options{StoreDir: t.TempDir(), Port: -1, Log: zerolog.Nop()})
		require.NoError(t, err)
		t.Cleanup(nats.Stop)
		g.natsURL = nats.URL()
	}
	w := &world{t: t, site: site, served: served, space: space, ground: g}
	var err error
	w.store, err = store.Open(t.Context(), g.dbURL)
	require.NoError(t, err)
	t.Cleanup(w.store.Close)
	_, err = w.store.Migrate(t.Context())
	require.NoError(t, err)
	w.db, err = pgx.Connect(t.Context(), g.dbURL)
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.db.Close(context.Background()) })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	o := bus.Options{URL: g.natsURL, Name: "test", AckWait: g.ackWait, Tick: g.tick, Replicas: g.replicas, Log: zerolog.Nop()}
	if g.natsKeys != "" {
		o.Login = bus.Login{Role: "sluice", NkeyFile: bus.KeyFile(g.natsKeys, "sluice")}
	}
	w.bus, err = bus.Connect(ctx, o)
	require.NoError(t, err)
	t.Cleanup(w.bus.Close)
	require.NoError(t, w.bus.Apply(ctx))
	require.NoError(t, w.store.AddSource(t.Context(), store.Source{ID: source, BaseURL: served.URL + "/wiki", SpaceKey: space}))
	return w
}

// startAll runs every stage in this process until the returned function is called.
func (w *world) startAll() (stop func()) {
	w.t.Helper()
	log := zerolog.New(zerolog.NewTestWriter(w.t)).Level(zerolog.WarnLevel)
	if w.log != nil {
		log = zerolog.New(w.log).Level(zerolog.TraceLevel)
	}
	if w.token == "" {
		w.token = sandbox.DefaultToken
	}
	given := map[string]string{
		"CONFLUENCE_BASE_URL": w.served.URL + "/wiki", "CONFLUENCE_EMAIL": sandbox.DefaultEmail, "CONFLUENCE_API_TOKEN": w.token,
		"CONFLUENCE_GATEWAY": w.gateway, "CONFLUENCE_ALLOW_HTTP": "true", "CONFLUENCE_REQUESTS_PER_SECOND": "1000",
		"SLUICE_MASTER_KEY": w.keys,
	}
	if w.keys != "" {
		for _, name := range []string{"CONFLUENCE_BASE_URL", "CONFLUENCE_EMAIL", "CONFLUENCE_API_TOKEN", "CONFLUENCE_GATEWAY"} {
			delete(given, name)
		}
		given["CONFLUENCE_ALLOWED_HOSTS"] = cmp.Or(w.hosts, hosts(w.served))
	}
	if w.ground.ackWait > 0 {
		given["NATS_ACK_WAIT"] = w.ground.ackWait.String()
	}
	if w.ground.stallAfter > 0 {
		given["STALL_AFTER"] = w.ground.stallAfter.String()
	}
	host := service.NewHost(service.HostOptions{
		Name: "sluice", Log: log, Store: w.store, Bus: w.bus,
		Env: config.Read(stages.Command(), func(name string) (string, bool) { v, ok := given[name]; return v, ok }),
	})
	w.t.Cleanup(host.Close)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- service.Run(ctx, host, 20*time.Second, stages.Pipeline()...)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(w.t, <-ended)
	})
	w.t.Cleanup(stop)
	return stop
}

// ask publishes a request and returns its run's id.
func (w *world) ask(mode event.Mode) string {
	w.t.Helper()
	w.runs++
	id := fmt.Sprintf("run-%d", w.runs)
	require.NoError(w.t, w.bus.Publish(w.t.Context(), event.SyncRequested{RequestID: id, Mode: mode, SourceID: source}))
	return id
}

// follow waits for the end of the run.
func (w *world) follow(id string) event.Progress {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 3*time.Minute)
	defer cancel()
	var last event.Progress
	for p, err := range w.bus.FollowProgress(ctx, source, id) {
		require.NoError(w.t, err)
		require.GreaterOrEqual(w.t, p.Percent, last.Percent, "progress decreases")
		last = p
	}
	require.True(w.t, last.State.Final(), "run %s is at %+v", id, last)
	return last
}

// sync runs one sync until it ends.
func (w *world) sync(mode event.Mode) event.Progress {
	w.t.Helper()
	return w.follow(w.ask(mode))
}

// rows returns the content of the database without what differs between two identical runs.
func (w *world) rows() []string {
	w.t.Helper()
	rows, err := w.db.Query(w.t.Context(), `
		SELECT concat_ws('|', 'page', page_id, source_id, space_key, title, version, last_modified, is_deleted, path, metadata) FROM confluence_pages UNION ALL
		SELECT concat_ws('|', 'content', page_id, url, markdown, losses, headings, includes, pipeline_version) FROM confluence_page_content UNION ALL
		SELECT concat_ws('|', 'chunk', url, chunk_number, content, metadata, source_id) FROM archon_crawled_pages UNION ALL
		SELECT concat_ws('|', 'node', node_id, kind, title, parent_id, path) FROM confluence_tree
		ORDER BY 1`)
	require.NoError(w.t, err)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(w.t, err)
	require.NotEmpty(w.t, list)
	return list
}

// requireSame compares two databases and shows only their first difference, because they are large.
func requireSame(t *testing.T, want, got []string, what string) {
	t.Helper()
	for i := range min(len(want), len(got)) {
		require.Equal(t, want[i], got[i], what)
	}
	require.Equal(t, len(want), len(got), what)
}

// count runs a query that returns one number.
func (w *world) count(sql string, args ...any) int {
	w.t.Helper()
	var n int
	require.NoError(w.t, w.db.QueryRow(w.t.Context(), sql, args...).Scan(&n))
	return n
}

// programs builds the services and the NATS server once for all tests of this process.
var programs = sync.OnceValues(func() (string, error) {
	// In the checkout's own cache folder, so that nothing is left elsewhere.
	dir, err := filepath.Abs("../../.cache/e2e")
	if err != nil {
		return "", err
	}
	packages := []string{"github.com/nats-io/nats-server/v2"}
	for _, name := range stages.Names() {
		packages = append(packages, "../../services/"+name)
	}
	return dir, child.Build(context.Background(), dir, ".", packages...)
})

// program is one service as a separate process.
type program struct {
	name string
	cmd  *exec.Cmd
	done chan struct{}
}

// start runs a service as a separate process, with only its own environment and the given variables.
func (w *world) start(name string, env ...string) *program {
	w.t.Helper()
	dir, err := programs()
	require.NoError(w.t, err)
	cmd := exec.Command(filepath.Join(dir, name))
	cmd.Env = []string{
		"NATS_URL=" + w.ground.natsURL, "DATABASE_URL=" + w.ground.dbURL, "HEALTH_ADDR=", "LOG_LEVEL=warn",
		"CONFLUENCE_BASE_URL=" + w.served.URL + "/wiki", "CONFLUENCE_ALLOW_HTTP=true", "CONFLUENCE_EMAIL=" + sandbox.DefaultEmail,
		"CONFLUENCE_API_TOKEN=" + sandbox.DefaultToken, "CONFLUENCE_REQUESTS_PER_SECOND=1000", "SHUTDOWN_GRACE=10s",
	}
	if w.ground.natsKeys != "" {
		cmd.Env = append(cmd.Env, "NATS_NKEY_FILE="+bus.KeyFile(w.ground.natsKeys, name))
	}
	if w.ground.replicas > 0 {
		cmd.Env = append(cmd.Env, fmt.Sprint("NATS_REPLICAS=", w.ground.replicas))
	}
	if w.ground.ackWait > 0 {
		cmd.Env = append(cmd.Env, "NATS_ACK_WAIT="+w.ground.ackWait.String())
	}
	if w.ground.stallAfter > 0 {
		cmd.Env = append(cmd.Env, "STALL_AFTER="+w.ground.stallAfter.String())
	}
	cmd.Env = append(cmd.Env, env...)
	return launch(w.t, name, cmd)
}

// launch starts a program, which ends with the test at the latest. Its output is shown if the test fails.
func launch(t *testing.T, name string, cmd *exec.Cmd) *program {
	t.Helper()
	p := &program{name: name, cmd: cmd, done: make(chan struct{})}
	var log strings.Builder
	cmd.Stderr = &log
	require.NoError(t, cmd.Start())
	go func() {
		_ = cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() && log.Len() > 0 {
			t.Logf("output of %s:\n%s", name, log.String())
		}
	})
	return p
}

// kill ends the process at once, whatever it is doing.
func (p *program) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// terminate asks the process to stop and waits until it has.
func (p *program) terminate(t *testing.T) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-p.done:
		require.Zero(t, p.cmd.ProcessState.ExitCode(), "%s did not stop cleanly", p.name)
	case <-time.After(20 * time.Second):
		require.Fail(t, "a service did not stop within its grace time", p.name)
	}
}

package e2etest

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/services/sluice/cli"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/store"
)

// diagnosis is one line of sluice doctor's output.
type diagnosis struct{ Check, Verdict, Says, Mend string }

type diagnoses struct {
	code int
	list []diagnosis
	text string
}

// examined runs sluice doctor with the environment.
func examined(t *testing.T, env map[string]string, flags ...string) diagnoses {
	t.Helper()
	var out, stderr bytes.Buffer
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	d := diagnoses{code: cli.Run(t.Context(), append([]string{"doctor", "-o", "json"}, flags...), lookup, strings.NewReader(""), &out, &stderr)}
	d.text = out.String() + stderr.String()
	require.NoError(t, json.Unmarshal(out.Bytes(), &d.list), d.text)
	for _, l := range d.list {
		require.NotEmpty(t, l.Says, d.text)
		require.Equal(t, l.Verdict != "ok", l.Mend != "", "every problem has a fix: %+v", l)
	}
	return d
}

// finds requires a line with the check, the verdict and the text.
func (d diagnoses) finds(t *testing.T, verdict, check, says string) {
	t.Helper()
	for _, l := range d.list {
		if l.Verdict == verdict && l.Check == check && strings.Contains(l.Says, says) {
			if verdict == "fail" {
				require.Equal(t, 1, d.code)
			}
			return
		}
	}
	require.Failf(t, "not found", "%s %s: %s in\n%s", verdict, check, says, d.text)
}

func (w *world) env() map[string]string {
	return map[string]string{
		"SLUICE_DATA_DIR": w.t.TempDir(), "DATABASE_URL": w.ground.dbURL, "NATS_URL": w.ground.natsURL,
		"CONFLUENCE_BASE_URL": w.served.URL + "/wiki", "CONFLUENCE_ALLOW_HTTP": "true",
		"CONFLUENCE_EMAIL": sandbox.DefaultEmail, "CONFLUENCE_API_TOKEN": sandbox.DefaultToken,
	}
}

// with returns the environment with one variable changed.
func with(env map[string]string, name, value string) map[string]string {
	changed := map[string]string{name: value}
	for k, v := range env {
		if k != name {
			changed[k] = v
		}
	}
	return changed
}

// closedPort returns an address that no program listens on.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	return l.Addr().String()
}

func TestDoctorFindsNothingWrongWithWhatIsRight(t *testing.T) {
	t.Parallel()
	site := sandbox.New(sandbox.Options{})
	site.AddBuiltin()
	w := newWorld(t, sandbox.BuiltinSpace, site)
	d := examined(t, w.env())
	require.Zero(t, d.code, d.text)
	for _, check := range []string{"settings", "database", "migrations", "nats", "topology", "source docs"} {
		d.finds(t, "ok", check, "")
	}
	require.NotContains(t, d.text, sandbox.DefaultToken)

	var out bytes.Buffer
	env := w.env()
	require.Zero(t, cli.Run(t.Context(), []string{"doctor"}, func(n string) (string, bool) { v, ok := env[n]; return v, ok }, strings.NewReader(""), &out, &out))
	require.Contains(t, out.String(), "ok    nats: NATS")

	// Messages that wait are reported, but not those for an embedder that has no model: it never reads them.
	nc, err := nats.Connect(w.ground.natsURL)
	require.NoError(t, err)
	defer nc.Close()
	for range 10_000 {
		require.NoError(t, nc.Publish(event.Subject(event.TypePageStored, "docs"), nil))
	}
	// The last one is acknowledged when it, and all before it, are in the stream.
	_, err = nc.Request(event.Subject(event.TypePageStored, "docs"), nil, time.Minute)
	require.NoError(t, err)
	d = examined(t, w.env())
	d.finds(t, "warn", "consumer progress", "10001 messages are waiting")
	require.NotContains(t, d.text, "consumer embedder")
	model := with(with(w.env(), "EMBEDDINGS_URL", "http://127.0.0.1:1/v1"), "EMBEDDINGS_MODEL", "m")
	examined(t, model).finds(t, "warn", "consumer embedder", "10001 messages are waiting")
}

func TestDoctorOfTwoInstallationsOnOneAccount(t *testing.T) {
	t.Parallel()
	site := sandbox.New(sandbox.Options{})
	site.AddBuiltin()
	w := newWorld(t, sandbox.BuiltinSpace, site)
	own := func(s *store.Store) string {
		id, err := s.Installation(t.Context(), false)
		require.NoError(t, err)
		return id
	}
	require.NoError(t, w.bus.Own(t.Context(), own(w.store)))
	require.NoError(t, w.bus.Apply(t.Context()))
	examined(t, w.env()).finds(t, "ok", "nats", "")
	other := with(w.env(), "DATABASE_URL", pgtest.MigratedURL(t))
	s, err := store.Open(t.Context(), other["DATABASE_URL"])
	require.NoError(t, err)
	t.Cleanup(s.Close)
	require.NotEqual(t, own(w.store), own(s))
	examined(t, other).finds(t, "fail", "nats", "another installation")
	var out bytes.Buffer
	lookup := func(n string) (string, bool) { v, ok := other[n]; return v, ok }
	require.Zero(t, cli.Run(t.Context(), []string{"nats", "adopt"}, lookup, strings.NewReader(""), &out, &out), out.String())
	examined(t, other).finds(t, "ok", "nats", "")
}

func TestDoctorNamesEveryBadSetting(t *testing.T) {
	t.Parallel()
	d := examined(t, map[string]string{"CONFLUENCE_BASE_URL": "foo", "LOG_LEVEL": "loud", "CONFLUENCE_API_TOKEN": "canary-token"})
	d.finds(t, "fail", "settings", "CONFLUENCE_BASE_URL")
	d.finds(t, "fail", "settings", "CONFLUENCE_EMAIL")
	d.finds(t, "fail", "settings", "LOG_LEVEL")
	require.NotContains(t, d.text, "canary-token")
}

func TestDoctorStartsNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	d := examined(t, map[string]string{"SLUICE_DATA_DIR": dir})
	d.finds(t, "warn", "database", "no sluice is running")
	d.finds(t, "warn", "nats", "no sluice is running")
	d.finds(t, "warn", "confluence", "no site")
	require.Zero(t, d.code)
	require.NoDirExists(t, dir)
}

func TestDoctorOfABrokenDatabase(t *testing.T) {
	t.Parallel()
	site := sandbox.New(sandbox.Options{})
	site.AddBuiltin()
	w := newWorld(t, sandbox.BuiltinSpace, site)
	env := w.env()
	d := examined(t, with(env, "DATABASE_URL", "postgres://u:hunter2@"+closedPort(t)+"/x"))
	d.finds(t, "fail", "database", "does not answer")
	d.finds(t, "ok", "nats", "") // one broken server does not prevent checking the other
	require.NotContains(t, d.text, "hunter2")

	d = examined(t, with(env, "DATABASE_URL", pgtest.URL(t)))
	d.finds(t, "fail", "migrations", "missing: 001")

	role := "reader_" + strings.ToLower(strings.ReplaceAll(t.Name(), "Test", ""))
	for _, sql := range []string{
		`CREATE ROLE ` + role + ` LOGIN PASSWORD 'x'`, `GRANT USAGE ON SCHEMA public TO ` + role,
		`GRANT SELECT, UPDATE, INSERT ON ALL TABLES IN SCHEMA public TO ` + role,
		`ALTER TABLE confluence_pages ENABLE ROW LEVEL SECURITY`,
	} {
		_, err := w.db.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	t.Cleanup(func() {
		for _, sql := range []string{`DROP OWNED BY ` + role, `DROP ROLE ` + role} {
			_, err := w.db.Exec(context.WithoutCancel(t.Context()), sql)
			require.NoError(t, err)
		}
	})
	u, err := url.Parse(w.ground.dbURL)
	require.NoError(t, err)
	u.User = url.UserPassword(role, "x")
	d = examined(t, with(env, "DATABASE_URL", u.String()))
	d.finds(t, "fail", "row-level security", "confluence_pages")

	_, err = w.db.Exec(t.Context(), `UPDATE archon_migrations SET checksum = 'edited' WHERE migration_name LIKE '010%'`)
	require.NoError(t, err)
	examined(t, env).finds(t, "fail", "migrations", "010")
}

// A public role, as Supabase has them, with permissions that it must not have. Roles belong to the server, so this
// one is dropped before the test ends.
func TestDoctorOfAnExposedDatabase(t *testing.T) {
	site := sandbox.New(sandbox.Options{})
	site.AddBuiltin()
	w := newWorld(t, sandbox.BuiltinSpace, site)
	var there bool
	require.NoError(t, w.db.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'anon')`).Scan(&there))
	if !there {
		_, err := w.db.Exec(t.Context(), `CREATE ROLE anon NOLOGIN`)
		require.NoError(t, err)
		t.Cleanup(func() {
			_, err := w.db.Exec(context.WithoutCancel(t.Context()), `DROP OWNED BY anon; DROP ROLE anon`)
			require.NoError(t, err)
		})
	}
	_, err := w.db.Exec(t.Context(), `GRANT SELECT ON confluence_pages TO anon`)
	require.NoError(t, err)
	examined(t, w.env()).finds(t, "fail", "public roles", "anon may select confluence_pages")
}

// Archon is installed beside Sluice's data, and then deletes some of it.
func TestDoctorOfADatabaseThatAnArchonIsIn(t *testing.T) {
	t.Parallel()
	site := sandbox.New(sandbox.Options{})
	site.AddBuiltin()
	w := newWorld(t, sandbox.BuiltinSpace, site)
	stop := w.startAll()
	require.Equal(t, event.StateCompleted, w.sync(event.Full).State)
	stop()
	exec := func(sql string) {
		_, err := w.db.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	exec(`CREATE TABLE archon_page_metadata (id uuid PRIMARY KEY, source_id text NOT NULL REFERENCES archon_sources ON DELETE CASCADE, url text UNIQUE NOT NULL,
		full_content text NOT NULL, section_title text, section_order int, word_count int NOT NULL, char_count int NOT NULL, chunk_count int NOT NULL,
		created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now(), metadata jsonb);
		ALTER TABLE archon_crawled_pages ADD COLUMN page_id uuid REFERENCES archon_page_metadata ON DELETE SET NULL`)
	env := w.env()
	examined(t, env).finds(t, "fail", "archon", "older than the Archon")
	var out bytes.Buffer
	lookup := func(n string) (string, bool) { v, ok := env[n]; return v, ok }
	require.Zero(t, cli.Run(t.Context(), []string{"migrate", "up"}, lookup, strings.NewReader(""), &out, &out), out.String())
	require.Contains(t, out.String(), "archon: converted ")
	require.NotContains(t, examined(t, env).text, "Archon moved in")

	exec(`DELETE FROM archon_crawled_pages WHERE url = (SELECT min(url) FROM archon_crawled_pages)`)
	examined(t, env).finds(t, "warn", "chunks", "does not find them: 1")
	w.startAll()
	require.Equal(t, 1, w.sync(event.Full).Counts.Updated)
	require.NotContains(t, examined(t, env).text, "does not find them")
	require.Zero(t, w.count(`SELECT count(*) FROM archon_crawled_pages c WHERE page_id IS NULL OR page_id::text <> metadata->>'page_id'
		OR NOT EXISTS (SELECT FROM archon_page_metadata m WHERE m.id = c.page_id AND split_part(m.url, '#', 1) = c.url)`))
}

func TestDoctorOfABrokenBroker(t *testing.T) {
	t.Parallel()
	site := sandbox.New(sandbox.Options{})
	site.AddBuiltin()
	w := newWorld(t, sandbox.BuiltinSpace, site)
	env := w.env()
	d := examined(t, with(env, "NATS_URL", "nats://u:hunter2@"+closedPort(t)))
	d.finds(t, "fail", "nats", "nobody answers")
	d.finds(t, "ok", "source docs", "")
	require.NotContains(t, d.text, "hunter2")
	examined(t, with(env, "NATS_NKEY_FILE", "/nowhere.nk")).finds(t, "fail", "nats", "/nowhere.nk")

	// Runs wait for files that nobody reads.
	require.NotContains(t, d.text, "no extractor runs")
	for _, argv := range [][]string{{"source", "set", "docs", "--attachments", "on"}, {"sync", "docs", "--request-id", "r1"}, {"status", "r1"}} {
		var told bytes.Buffer
		require.Zero(t, cli.Run(t.Context(), argv, func(n string) (string, bool) { v, ok := env[n]; return v, ok }, strings.NewReader(""), &told, &told), told.String())
		require.Equal(t, argv[0] != "sync", strings.Contains(told.String(), "No extractor runs: runs of source docs do not end"), told.String())
	}
	examined(t, env).finds(t, "fail", "consumer extractor", "no extractor runs, and runs of sources with attachments wait for one: docs")
	bustest.Consume(t, w.bus, bus.Extract, func(context.Context, bus.Delivery) error { return nil })
	require.Eventually(t, func() bool {
		p, err := w.bus.InspectConsumer(t.Context(), bus.Extract)
		return err == nil && !p.Unread()
	}, time.Minute, 5*time.Millisecond)
	require.NotContains(t, examined(t, env).text, "no extractor runs")
	w.attachments(store.AttachmentsOff)

	nc, err := nats.Connect(w.ground.natsURL)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	stream, err := js.Stream(t.Context(), bus.Fetch.Stream)
	require.NoError(t, err)
	changed := stream.CachedInfo().Config
	changed.MaxBytes = 1 << 20
	_, err = js.UpdateStream(t.Context(), changed)
	require.NoError(t, err)
	require.NoError(t, js.DeleteConsumer(t.Context(), bus.Write.Stream, bus.Write.Durable))
	require.NoError(t, js.DeleteStream(t.Context(), "KV_SLUICE_BUDGETS"))
	d = examined(t, env)
	d.finds(t, "warn", "stream SLUICE_FETCH", "differs from the configured topology")
	d.finds(t, "fail", "consumer chunk-writer", "is missing")
	d.finds(t, "fail", "bucket KV_SLUICE_BUDGETS", "is missing")
}

func TestDoctorOfABrokenSite(t *testing.T) {
	t.Parallel()
	site := sandbox.New(sandbox.Options{})
	site.AddBuiltin()
	w := newWorld(t, sandbox.BuiltinSpace, site)
	env := w.env()
	d := examined(t, with(env, "CONFLUENCE_API_TOKEN", "canary-token"))
	d.finds(t, "fail", "source docs", "not authorized")
	require.NotContains(t, d.text, "canary-token")
	examined(t, with(env, "CONFLUENCE_BASE_URL", "http://"+closedPort(t))).finds(t, "fail", "source docs", "CONFLUENCE_ALLOWED_HOSTS")

	require.NoError(t, site.SetFaults(1, sandbox.Fault{Kind: sandbox.FaultReset}))
	d = examined(t, env)
	require.Equal(t, 1, d.code, d.text)
	require.Contains(t, d.text, "that this machine can reach it")

	require.NoError(t, site.SetFaults(1, sandbox.Fault{Kind: sandbox.FaultScope, Route: "/wiki/rest/api/content/search"}))
	d = examined(t, env)
	require.Equal(t, 1, d.code, d.text)
	require.Contains(t, d.text, "search:confluence")
	w.discuss(store.AllComments)
	require.NoError(t, site.SetFaults(1, sandbox.Fault{Kind: sandbox.FaultScope, Route: "/wiki/api/v2/footer-comments"}))
	require.Contains(t, examined(t, env).text, "read:comment:confluence")
	w.discuss(store.NoComments)
	w.attachments(store.AttachmentsOn)
	require.NoError(t, site.SetFaults(1, sandbox.Fault{Kind: sandbox.FaultScope, Route: downloadRoute}))
	examined(t, env).finds(t, "fail", "source docs", "/child/attachment/")
	require.Contains(t, examined(t, env).text, "readonly:content.attachment:confluence")
	require.NoError(t, site.SetFaults(1, sandbox.Fault{Kind: sandbox.FaultServer, Status: 500, Route: downloadRoute}))
	examined(t, env).finds(t, "ok", "source docs", "can be read")
	w.attachments(store.AttachmentsOff)
	require.NoError(t, site.SetFaults(1))

	// What the account may not read of permissions hides pages.
	require.NoError(t, w.store.SetPermissions(t.Context(), "docs", store.Enforce, 0))
	examined(t, env).finds(t, "warn", "permissions docs", "not been read completely yet, so all pages are hidden")
	for route, says := range map[string]string{
		"/wiki/rest/api/group": "who may use the site", "/wiki/api/v2/spaces/{id}/permissions": "who may read the space",
		"/wiki/rest/api/content/{id}/restriction/byOperation/{op}": "the view restrictions of pages",
	} {
		require.NoError(t, site.SetFaults(1, sandbox.Fault{Kind: sandbox.FaultForbidden, Route: route}))
		examined(t, env).finds(t, "fail", "permissions docs", says)
	}
	require.NoError(t, site.SetFaults(1))
	for age, c := range map[string][2]string{"1 hour": {"ok", "the account may read them"}, "25 hours": {"fail", "too old (PERMISSIONS_MAX_AGE), so all pages are hidden"}} {
		_, err := w.db.Exec(t.Context(), `UPDATE confluence_spaces SET access_read_at = now() - $1::interval`, age)
		require.NoError(t, err)
		examined(t, env).finds(t, c[0], "permissions docs", c[1])
	}
	_, err := w.db.Exec(t.Context(), `UPDATE confluence_spaces SET access_read_at = now(), access_problem = 'unauthorized'`)
	require.NoError(t, err)
	examined(t, env).finds(t, "warn", "permissions docs", "the latest reading failed (unauthorized)")
	require.NoError(t, w.store.SetPermissions(t.Context(), "docs", store.OpenToAll, 0))

	require.NoError(t, site.HideSpace(sandbox.BuiltinSpace, true))
	examined(t, env).finds(t, "fail", "source docs", "no space")
}

func TestDoctorTriesEveryRoute(t *testing.T) {
	t.Parallel()
	site := sandbox.New(sandbox.Options{})
	site.AddBuiltin()
	w := newWorld(t, sandbox.BuiltinSpace, site)
	env, check := w.env(), "routes "+w.served.URL+"/wiki"
	d := examined(t, env, "--routes")
	require.Zero(t, d.code, d.text)
	d.finds(t, "ok", check, "routes that Sluice calls answer, with the credential of source docs")
	d.finds(t, "ok", check, "not tried, because space "+sandbox.BuiltinSpace+" has nothing to try them on: GET /wiki/api/v2/")

	require.NoError(t, site.SetFaults(1,
		sandbox.Fault{Kind: sandbox.FaultGone, Route: "/wiki/api/v2/pages/{id}/labels"},
		sandbox.Fault{Kind: sandbox.FaultGone, Route: "/wiki/api/v2/footer-comments"},
		sandbox.Fault{Kind: sandbox.FaultGone, Route: "/wiki/api/v2/attachments"},
		sandbox.Fault{Kind: sandbox.FaultScope, Route: "/wiki/api/v2/users-bulk"}))
	d = examined(t, env, "--routes")
	d.finds(t, "fail", "route GET /wiki/api/v2/pages/{id}/labels", "removed")
	d.finds(t, "warn", "route GET /wiki/api/v2/footer-comments", "no source needs it yet")
	d.finds(t, "fail", "route POST /wiki/api/v2/users-bulk", "not authorized")
	for _, says := range []string{"use a newer Sluice; without it fails: labels", "a scoped token read:user:confluence; without it fails: names of people"} {
		require.Contains(t, d.text, says)
	}
	w.discuss(store.AllComments)
	w.attachments(store.AttachmentsOn)
	d = examined(t, env, "--routes")
	d.finds(t, "fail", "route GET /wiki/api/v2/footer-comments", "removed")
	d.finds(t, "fail", "route GET /wiki/api/v2/attachments", "removed")
}

func TestDoctorLooksAtTheClock(t *testing.T) {
	t.Parallel()
	site := sandbox.New(sandbox.Options{Now: func() time.Time { return time.Now().Add(-time.Hour) }})
	site.AddBuiltin()
	w := newWorld(t, sandbox.BuiltinSpace, site)
	examined(t, w.env()).finds(t, "warn", "clock", "1h")
}

func TestDoctorLooksAtTheFolder(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "a-file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	d := examined(t, map[string]string{"SLUICE_DATA_DIR": file})
	d.finds(t, "warn", "disk", "cannot write")
}

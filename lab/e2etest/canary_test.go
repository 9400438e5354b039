package e2etest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/gateway/gateway"
	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/services/sluice/cli"
	"github.com/sluicehq/sluice/shared/broker"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/confluence/outgoing"
	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/secret"
)

// lines collects the log lines of several goroutines.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

const (
	canary    = "canary-5d41402abc4b2a76"
	canaryKey = "c0ffee00c0ffee01c0ffee02c0ffee03c0ffee04c0ffee05c0ffee06c0ffee07"
)

// forms returns the forms in which a secret could appear.
func forms(token string) []string {
	return []string{
		token, base64.StdEncoding.EncodeToString([]byte(sandbox.DefaultEmail + ":" + token)),
		base64.StdEncoding.EncodeToString([]byte(token))[:24], hex.EncodeToString([]byte(token)),
	}
}

// One successful run and several that Confluence refuses, with the token from the environment and with one stored by
// the command or over the HTTP API: the token appears in no log line, nowhere on the bus (including the object
// store), in no row of any table, in no response or metric of the API, and in no output of the command.
func TestTheTokenStaysOutOfLogsEventsAndTables(t *testing.T) {
	t.Parallel()
	t.Run("of the environment", func(t *testing.T) {
		t.Parallel()
		lookForTheToken(t, nil)
	})
	t.Run("stored", func(t *testing.T) {
		t.Parallel()
		lookForTheToken(t, func(w *world, typed, _ *lines, token string) {
			w.types(typed, token+"\n", "secret", "set", source, "--email", sandbox.DefaultEmail, "--no-check") // the first token is wrong
		})
	})
	t.Run("stored over the API", func(t *testing.T) {
		t.Parallel()
		lookForTheToken(t, func(w *world, _, answers *lines, token string) {
			body, err := json.Marshal(map[string]any{
				"source_id": source, "base_url": w.served.URL, "space_key": w.space, "token": token, "email": sandbox.DefaultEmail, "unchecked": true,
			})
			require.NoError(w.t, err)
			require.Equal(w.t, http.StatusOK, w.asks(answers, "POST", "/api/confluence/sources", string(body)))
		})
	})
}

// lookForTheToken runs syncs with a token that give stores, or with the one in the environment.
func lookForTheToken(t *testing.T, give func(w *world, typed, answers *lines, token string)) {
	stored := give != nil
	site := sandbox.New(sandbox.Options{Token: canary})
	site.AddBuiltin()
	noise := make([]byte, 150<<10)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
	_, err := site.CreatePage(sandbox.Draft{Space: sandbox.BuiltinSpace, Title: "Too large for one message", Body: "<p>" + hex.EncodeToString(noise) + "</p>"})
	require.NoError(t, err)
	served, err := sandbox.Serve("127.0.0.1:0", site)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, served.Close()) })
	nats, err := broker.Start(broker.Options{StoreDir: t.TempDir(), Port: -1, MaxPayload: 64 << 10, Log: zerolog.Nop()})
	require.NoError(t, err)
	t.Cleanup(nats.Stop)
	w := newWorldOver(t, sandbox.BuiltinSpace, site, served, ground{natsURL: nats.URL()})
	var said, typed, answers lines
	w.token, w.log = canary, &said
	heard := w.stranger().hearAll()
	hidden := forms(canary)
	if stored {
		hidden = append(append(hidden, forms(canary+"-wrong")...), canaryKey)
		w.keys = canaryKey
	}
	w.serveAPI(&said)
	if stored {
		give(w, &typed, &answers, canary+"-wrong")
	}
	w.startAll()
	if stored {
		require.Equal(t, event.StateFailed, w.sync(event.Full).State)
		give(w, &typed, &answers, canary)
		for begun := time.Now(); w.sync(event.Full).State != event.StateCompleted; {
			require.Less(t, time.Since(begun), time.Minute, "the new token is not used")
		}
	} else {
		require.Equal(t, event.StateCompleted, w.sync(event.Full).State)
	}
	require.NoError(t, site.HideSpace(sandbox.BuiltinSpace, true))
	require.Equal(t, event.StateFailed, w.sync(event.Full).State)
	if stored {
		for _, args := range []string{"secret list", "secret list -o json", "secret rotate", "source list -o json", "status", "status run-1", "search harbour"} {
			w.types(&typed, "", strings.Fields(args)...)
		}
		require.Contains(t, typed.String(), "encrypted")
	}
	for _, path := range []string{
		"/api/confluence/sources", "/api/confluence/docs", "/api/confluence/docs/status", "/api/confluence/docs/pages", "/api/confluence/docs/runs", "/api/confluence/docs/failures",
		"/api/confluence/docs/removals", "/api/progress/active", "/api/progress/run-1", "/api/progress/run-1/events", "/api/openapi.json", "/metrics",
	} {
		require.Equal(t, http.StatusOK, w.asks(&answers, "GET", path, ""), path)
	}
	w.asks(&answers, "POST", "/api/knowledge/search", `{"query":"`+canary+`","extra":"`+canary+`"}`)
	w.asks(&answers, "POST", "/api/confluence/sources", `{"source_id":"docs","token":"`+canary+`","email":["`+canary+`"]}`)
	require.Contains(t, answers.String(), "sluice_pages{", "the metrics were requested")
	bus := heard()
	require.Contains(t, bus, "completed", "the bus was recorded")
	require.Contains(t, bus, "$O.", "the object store was used")
	require.Contains(t, said.String(), "listing complete", "the stages' log was recorded")
	rows, err := w.db.Query(t.Context(), `SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'`)
	require.NoError(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Contains(t, tables, "confluence_sync_runs")
	require.Equal(t, stored, w.count(`SELECT count(*) FROM archon_settings WHERE encrypted_value LIKE 'v1.%'`) == 1)
	for _, token := range hidden {
		for where, text := range map[string]string{"bus": bus, "log": said.String(), "command": typed.String(), "API": answers.String()} {
			require.False(t, strings.Contains(text, token), "%s stands in what was found in: %s", token, where)
		}
		for _, table := range tables { // including the encrypted column
			require.Zero(t, w.count(`SELECT count(*) FROM `+pgx.Identifier{table}.Sanitize()+` r WHERE strpos(r::text, $1) > 0`, token), table)
		}
	}
}

// serveAPI serves the HTTP API of the world and writes its log to log.
func (w *world) serveAPI(log io.Writer) {
	w.t.Helper()
	ring, err := credential.Keys(w.t.Context(), config.Master{MasterKey: secret.New(w.keys)}, w.store)
	require.NoError(w.t, err)
	keyFile := filepath.Join(w.t.TempDir(), "api-key")
	g, err := gateway.New(gateway.Options{
		Control: control.New(w.store, w.bus, control.NewVault(credential.Trust{Hosts: outgoing.Hosts{strings.TrimPrefix(w.served.URL, "http://")}, AllowHTTP: true, Ring: ring}, w.store)),
		Record:  w.store, Keys: w.store.Vault(), Sessions: w.store.Vault(), Bus: w.bus, Log: zerolog.New(log).Level(zerolog.TraceLevel),
		API: config.API{Addr: "127.0.0.1:0", KeyFile: keyFile, MaxBody: 1 << 20, Timeout: time.Minute, MaxStreams: 10},
	})
	require.NoError(w.t, err)
	key, err := os.ReadFile(keyFile)
	require.NoError(w.t, err)
	w.apiKey = strings.TrimSpace(string(key))
	srv := httptest.NewServer(g.Handler())
	w.t.Cleanup(srv.Close)
	w.api = srv.URL
}

// asks sends a request to the API with this machine's key, and records the response with its headers.
func (w *world) asks(out *lines, method, path, body string) int {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.api+path, strings.NewReader(body))
	require.NoError(w.t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+w.apiKey)
	res, err := http.DefaultClient.Do(req)
	require.NoError(w.t, err)
	defer func() { _ = res.Body.Close() }()
	require.NoError(w.t, res.Header.Write(out))
	_, err = io.Copy(out, res.Body)
	require.NoError(w.t, err)
	return res.StatusCode
}

// types runs a command line on the world's servers, and records all its output.
func (w *world) types(out *lines, stdin string, args ...string) {
	w.t.Helper()
	env := map[string]string{
		"NATS_URL": w.ground.natsURL, "DATABASE_URL": w.ground.dbURL, "LOG_LEVEL": "debug", "SLUICE_MASTER_KEY": canaryKey,
		"CONFLUENCE_ALLOW_HTTP": "true", "CONFLUENCE_ALLOWED_HOSTS": strings.TrimPrefix(w.served.URL, "http://"),
	}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	code := cli.Run(w.t.Context(), append(args, "--data", w.t.TempDir()), lookup, strings.NewReader(stdin), out, out)
	require.Zero(w.t, code, "sluice %v", args)
}

// hearAll listens to every subject until the returned function is called, which returns everything received,
// including the chunks of the object store.
func (s *stranger) hearAll() func() string {
	var heard lines
	ended := make(chan error, 1)
	s.send("SUB > 1\r\nPING\r\n")
	go func() {
		_, err := io.Copy(&heard, s.in)
		ended <- err
	}()
	require.Eventually(s.t, func() bool { return strings.Contains(heard.String(), "PONG") }, 10*time.Second, 10*time.Millisecond)
	return func() string {
		require.NoError(s.t, s.conn.SetReadDeadline(time.Now().Add(500*time.Millisecond)))
		require.ErrorIs(s.t, <-ended, os.ErrDeadlineExceeded, "it listened until the end")
		return heard.String()
	}
}

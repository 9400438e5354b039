package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
)

// withKey sends a key of the world's with every request.
type withKey struct {
	token string
	base  http.RoundTripper
}

func (k withKey) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+k.token)
	return k.base.RoundTrip(r)
}

// assistant is a client with a key, of a revision of the protocol.
func (w *world) assistant(t testing.TB, key, revision string) *mcp.ClientSession {
	t.Helper()
	base := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(base.CloseIdleConnections)
	c := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	s, err := c.Connect(t.Context(), &mcp.StreamableClientTransport{
		Endpoint: w.url + mcpPath, HTTPClient: &http.Client{Transport: withKey{w.keys[key], base}}, DisableStandaloneSSE: true, MaxRetries: -1,
	}, &mcp.ClientSessionOptions{ProtocolVersion: revision})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func toolText(t testing.TB, s *mcp.ClientSession, tool string, arguments map[string]any) string {
	t.Helper()
	res, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: arguments})
	require.NoError(t, err)
	require.False(t, res.IsError, "%v", res.Content)
	return res.Content[0].(*mcp.TextContent).Text
}

func TestAssistantsReadWithTheirKey(t *testing.T) {
	w := newWorld(t)
	w.fill()
	for _, revision := range []string{"2025-06-18", "2026-07-28"} {
		docs, all := w.assistant(t, "docs", revision), w.assistant(t, "read", revision)
		require.Equal(t, revision, docs.InitializeResult().ProtocolVersion)
		require.Contains(t, toolText(t, docs, "search", map[string]any{"query": "signing keys"}), "Keys of docs")
		require.NotContains(t, toolText(t, docs, "search", map[string]any{"query": "signing keys"}), "Keys of hr")
		require.Contains(t, toolText(t, all, "search", map[string]any{"query": "signing keys"}), "Keys of hr")
		require.Contains(t, toolText(t, docs, "read", map[string]any{"page": "sluice://docs/11"}), "every quarter")
		require.NotContains(t, toolText(t, docs, "sources", nil), "hr")
	}
	metrics := string(w.wants(http.StatusOK, "read", http.MethodGet, "/metrics", "").body)
	require.Contains(t, metrics, `sluice_mcp_calls_total{outcome="ok",tool="search"} 6`)
	require.Regexp(t, `sluice_mcp_answer_bytes_total{tool="read"} \d+`, metrics)
	require.Contains(t, w.log.String(), `"tool":"read","reader":"`+w.ids["docs"]+`"`)
}

const (
	both     = "application/json, text/event-stream"
	initBody = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}`
)

func TestTheDoorForAssistantsIsGuarded(t *testing.T) {
	w := newWorld(t)
	w.fill()
	a := w.wants(http.StatusUnauthorized, "", http.MethodPost, "/mcp", initBody, "Accept", both)
	where := w.url + "/.well-known/oauth-protected-resource/mcp"
	require.Equal(t, `Bearer realm="sluice", resource_metadata="`+where+`"`, a.header.Get("WWW-Authenticate"))
	for _, path := range []string{"/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"} {
		var told struct {
			Resource string
			Methods  []string `json:"bearer_methods_supported"`
			Servers  []string `json:"authorization_servers"`
			Scopes   []string `json:"scopes_supported"`
		}
		w.wants(http.StatusOK, "", http.MethodGet, path, "").into(&told)
		require.Equal(t, w.url+"/mcp", told.Resource)
		require.Equal(t, []string{"header"}, told.Methods)
		require.Empty(t, told.Servers, "nobody gives out tokens")
		require.Empty(t, told.Scopes)
	}
	require.Equal(t, "cross_origin", w.wants(http.StatusForbidden, "read", http.MethodPost, "/mcp", initBody, "Accept", both, "Origin", "https://evil.example").code())
	w.wants(http.StatusOK, "read", http.MethodPost, "/mcp", initBody, "Accept", both, "Origin", w.url)
	// A page that has its own name point here is of the same origin to a browser.
	require.Equal(t, "cross_origin", w.wants(http.StatusForbidden, "read", http.MethodPost, "/mcp", initBody, "Accept", both,
		"Origin", "http://evil.example", "Sec-Fetch-Site", "same-origin").code())
	w.wants(http.StatusMethodNotAllowed, "read", http.MethodGet, "/mcp", "", "Accept", "text/event-stream")
	w.wants(http.StatusMethodNotAllowed, "read", http.MethodDelete, "/mcp", "")
	w.wants(http.StatusUnauthorized, "", http.MethodGet, "/mcp", "")
	w.wants(http.StatusBadRequest, "read", http.MethodPost, "/mcp", initBody)
	require.Empty(t, w.wants(http.StatusOK, "read", http.MethodPost, "/mcp", initBody, "Accept", both).header.Get("Mcp-Session-Id"))
}

func TestBehindAProxyAssistantsAreToldItsAddress(t *testing.T) {
	w := bareWorld(t, func(o *setup) { o.API.PublicURL = "https://sluice.acme.com/" })
	a := w.wants(http.StatusUnauthorized, "", http.MethodPost, "/mcp", initBody)
	require.Contains(t, a.header.Get("WWW-Authenticate"), `"https://sluice.acme.com/.well-known/oauth-protected-resource/mcp"`)
	for origin, known := range map[string]bool{
		"": true, "https://sluice.acme.com": true, "http://127.0.0.1:8181": true, "http://[::1]": true, "http://localhost:3000": true,
		"http://sluice.acme.com": false, "https://sluice.acme.com.evil.example": false, "https://evil.example": false, "null": false, "%": false,
	} {
		require.Equal(t, known, w.g.knows(origin), origin)
	}
}

func TestWhatAssistantsShouldNotSend(t *testing.T) {
	w := newWorld(t)
	w.fill()
	send := func(body string) answer { return w.ask("docs", http.MethodPost, "/mcp", body, "Accept", both) }
	call := func(tool, arguments string) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":%s}}`, tool, arguments)
	}
	for _, garbage := range []string{"garbage", "{", "[]", "null", "7", `{"jsonrpc":"1.0"}`, `{"jsonrpc":"2.0","id":{},"method":"tools/call"}`, strings.Repeat("[", 5000)} {
		a := send(garbage)
		require.GreaterOrEqual(t, a.status, 400, garbage)
		require.Less(t, a.status, 500, garbage)
	}
	huge := send(call("search", `{"query":"`+strings.Repeat("x", 10<<20)+`"}`))
	require.Equal(t, http.StatusRequestEntityTooLarge, huge.status, "%s", huge.body)
	for body, says := range map[string]string{
		call("drop_tables", `{}`):                         "drop_tables",
		call("search", `{"query":{}}`):                    "not as the tool takes them",
		call("search", `7`):                               "",
		call("search", `null`):                            "query",
		call("search", `{"query":"x","cursor":"AAAA"}`):   "cursor is not the next",
		call("read", `{"page":"21"}`):                     "not for this reader",
		call("read", `{"page":"sluice://hr/21"}`):         "not for this reader",
		`{"jsonrpc":"2.0","id":1,"method":"tools/call"}`:  "",
		`{"jsonrpc":"2.0","id":1,"method":"no/such"}`:     "",
		`{"jsonrpc":"2.0","id":1,"method":"prompts/get"}`: "",
	} {
		a := send(body)
		require.Less(t, a.status, 500, "%s: %s", body, a.body)
		require.Contains(t, string(a.body), says, body)
		require.NotContains(t, string(a.body), "Harbour hr", body)
	}
	// One that goes away in mid-answer leaves nothing behind.
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url+"/mcp", &slowBody{rest: call("search", `{"query":"keys"}`), end: cancel})
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+w.keys["docs"])
	_, err = http.DefaultClient.Do(req)
	require.Error(t, err)
	require.NotContains(t, w.log.String(), "panicked")
	require.Contains(t, string(send(call("search", `{"query":"keys"}`)).body), "Keys of docs")
}

// slowBody ends its request when half of it was read.
type slowBody struct {
	rest string
	end  context.CancelFunc
}

func (b *slowBody) Read(p []byte) (int, error) {
	if b.rest == "" {
		b.end()
		return 0, io.ErrUnexpectedEOF
	}
	n := copy(p, b.rest[:len(b.rest)/2+1])
	b.rest = ""
	return n, nil
}

// callsOfEach is how often each of many assistants asks; make test-mcp has 20.
var callsOfEach = 3

// TestManyAssistantsAtOnce: 50 sessions ask many times each, and what they leave in memory does not grow with it.
func TestManyAssistantsAtOnce(t *testing.T) {
	w := newWorld(t)
	w.fill()
	round := func() (took []time.Duration) {
		var mu sync.Mutex
		var all sync.WaitGroup
		failed := map[string]int{}
		for range 50 {
			s := w.assistant(t, "docs", "")
			all.Go(func() {
				for i := range callsOfEach {
					began := time.Now()
					tool, arguments := "search", map[string]any{"query": "signing keys"}
					if i%4 == 0 {
						tool, arguments = "read", map[string]any{"page": "11"}
					}
					res, err := s.CallTool(context.WithoutCancel(t.Context()), &mcp.CallToolParams{Name: tool, Arguments: arguments})
					mu.Lock()
					took = append(took, time.Since(began))
					if err != nil || res.IsError {
						wire, _ := json.Marshal(res)
						failed[fmt.Sprint(err, string(wire))]++
					}
					mu.Unlock()
				}
				_ = s.Close()
			})
		}
		all.Wait()
		require.Empty(t, failed)
		slices.Sort(took)
		return took
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	took := round()
	before := heap()
	round()
	t.Logf("%d calls: p50 %s, p95 %s; heap %d KiB, then %d KiB", len(took), took[len(took)/2], took[len(took)*95/100], before>>10, heap()>>10)
	require.Less(t, heap(), before+16<<20)
}

package assistant

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/secret"
)

// typist writes lines to a server over stdio and reads its answers.
type typist struct {
	t   *testing.T
	in  io.WriteCloser
	out *bufio.Reader
	end chan error
}

func newTypist(t *testing.T, serve func(context.Context, io.Reader, io.Writer) error) *typist {
	t.Helper()
	in, to := io.Pipe()
	from, out := io.Pipe()
	p := &typist{t: t, in: to, out: bufio.NewReader(from), end: make(chan error, 1)}
	go func() { p.end <- serve(t.Context(), in, out) }()
	return p
}

// types writes a line and returns the answer's error code, 0 for none, and all of it.
func (p *typist) types(line string) (code int, answer string) {
	p.t.Helper()
	_, err := io.WriteString(p.in, line+"\n")
	require.NoError(p.t, err)
	answer, err = p.out.ReadString('\n')
	require.NoError(p.t, err)
	var a struct {
		JSONRPC string
		Error   struct{ Code int }
	}
	require.NoError(p.t, json.Unmarshal([]byte(answer), &a), answer)
	require.Equal(p.t, "2.0", a.JSONRPC)
	return a.Error.Code, answer
}

func (p *typist) closes() {
	p.t.Helper()
	require.NoError(p.t, p.in.Close())
	require.NoError(p.t, <-p.end)
}

const hello = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}`

func TestOneBadLineDoesNotEndASession(t *testing.T) {
	w := newWorld(t)
	p := newTypist(t, func(ctx context.Context, in io.Reader, out io.Writer) error {
		return w.server.Serve(ctx, in, out, Caller{Viewer: readers["docs"], Name: "docs"})
	})
	_, said := p.types(hello)
	require.Contains(t, said, `"protocolVersion":"2025-06-18"`)
	require.NotContains(t, said, `"logging"`)
	for line, want := range map[string]int{
		"garbage": -32700, `{"jsonrpc":`: -32700, "7": -32600, strings.Repeat("x", 10<<20): -32600,
		`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"search","arguments":{"query":"` + strings.Repeat("x", 10<<20) + `"}}}`: -32600,
		`{"jsonrpc":"2.0","id":3,"method":"no/such"}`: -32601,
		`[]`: -32600, `[7]`: -32600, `{}`: -32600, `[{"jsonrpc":"2.0","id":5,"method":"ping"}]`: -32600, `{"jsonrpc":"2.0","id":{},"method":"ping"}`: -32600,
		`{"jsonrpc":"2.0","id":1e400,"method":"ping"}`: -32600, `{"jsonrpc":"2.0","id":6,"method":7}`: -32600,
	} {
		code, said := p.types(line)
		require.Equal(t, want, code, said)
	}
	code, said := p.types(`{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"search","arguments":{"query":"valves"}}}`)
	require.Zero(t, code)
	require.Contains(t, said, "sluice://docs/12")
	p.closes()
}

// What was asked is answered, also when the client has closed its end by then.
func TestWhoAsksAndClosesIsAnswered(t *testing.T) {
	w := newWorld(t)
	var out strings.Builder
	in := strings.NewReader(hello + "\n" + `{"jsonrpc":"2.0","method":"notifications/initialized"}` + "\n" +
		`{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"search","arguments":{"query":"valves"}}}` + "\n")
	require.NoError(t, w.server.Serve(t.Context(), in, &out, Caller{Viewer: readers["docs"], Name: "docs"}))
	require.Contains(t, out.String(), `"id":4`)
	require.Contains(t, out.String(), "sluice://docs/12")
}

func TestABridgeAnswersAsItsGatewayDoes(t *testing.T) {
	w := newWorld(t)
	log := &lockedLog{}
	client := func(revision string) session {
		in, to := io.Pipe()
		from, out := io.Pipe()
		go func() {
			_ = Bridge(context.WithoutCancel(t.Context()), in, out, Gateway{URL: w.http.URL, Key: secret.New("docs")}, "test", zerolog.New(log))
			_ = out.Close()
		}()
		s, err := mcp.NewClient(&mcp.Implementation{Name: "x", Version: "1"}, nil).Connect(t.Context(), &mcp.IOTransport{Reader: from, Writer: to}, &mcp.ClientSessionOptions{ProtocolVersion: revision})
		require.NoError(t, err)
		t.Cleanup(func() { _ = s.Close() })
		return session{s, t}
	}
	direct := w.as("docs")
	for _, revision := range []string{"2025-06-18", "2026-07-28"} {
		s := client(revision)
		require.Equal(t, revision, s.InitializeResult().ProtocolVersion)
		tools, err := s.ListTools(t.Context(), nil)
		require.NoError(t, err)
		require.Len(t, tools.Tools, 5)
		for tool, a := range map[string]map[string]any{"search": {"query": "valves"}, "read": {"page": "12", "bytes": 4000}, "sources": {}, "outline": {"page": "12"}} {
			require.Equal(t, direct.gets(tool, a).text[:100], s.gets(tool, a).text[:100], tool)
		}
		cursor := s.gets("read", m{"page": "12", "bytes": 4000}).next()
		require.Positive(t, s.gets("read", m{"page": "12", "bytes": 4000, "cursor": cursor}).facts["from"])
		require.Contains(t, s.fails("read", m{"page": "21"}), "not for this reader")
		_, err = s.CallTool(t.Context(), &mcp.CallToolParams{Name: "drop_tables"})
		require.ErrorContains(t, err, "drop_tables")
		res, err := s.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "sluice://docs/12"})
		require.NoError(t, err)
		require.Contains(t, res.Contents[0].Text, "Section 0")
		got, err := s.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "what_changed_since", Arguments: map[string]string{"since": "7d"}})
		require.NoError(t, err)
		require.NotEmpty(t, got.Messages)
	}
	s := client("")
	w.http.CloseClientConnections()
	w.http.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusUnauthorized) })
	require.Contains(t, s.fails("search", m{"query": "valves"}), "does not take the key")
	w.http.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusBadGateway) })
	require.Contains(t, s.fails("search", m{"query": "valves"}), "does not answer")
	require.NotContains(t, log.String(), "Bearer")

	err := Bridge(t.Context(), strings.NewReader(""), io.Discard, Gateway{URL: w.http.URL + "/mcp", Key: secret.New("docs")}, "test", zerolog.Nop())
	require.ErrorContains(t, err, "does not answer")
	for _, bad := range []string{"", "sluice.acme.com", "ftp://x", "https://u:p@x"} {
		_, err := Gateway{URL: bad}.Endpoint()
		require.Error(t, err, bad)
	}
}

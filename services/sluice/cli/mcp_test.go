package cli_test

import (
	"bufio"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sluice/cli"
)

// assistantAsks is what a client writes to sluice mcp.
const assistantAsks = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"search","arguments":{"query":"harbour lights tested"}}}
`

// assistant starts sluice mcp, which goes on running, and returns what asks it for a word.
func (p *person) assistant() (asks func(word string) string) {
	p.t.Helper()
	in, to := io.Pipe()
	from, out := io.Pipe()
	stderr := &lockedBuffer{}
	ended := make(chan int, 1)
	go func() {
		ended <- cli.Run(context.Background(), []string{"mcp", "--data", p.data}, p.lookup, in, out, stderr)
		_ = out.Close()
	}()
	p.t.Cleanup(func() {
		_ = to.Close()
		require.Zero(p.t, <-ended, stderr.String())
	})
	answers := bufio.NewReader(from)
	first := true
	return func(word string) string {
		p.t.Helper()
		lines := strings.Replace(assistantAsks, "harbour lights tested", word, 1)
		if !first {
			_, rest, found := strings.Cut(lines, `{"jsonrpc":"2.0","id":2`)
			require.True(p.t, found)
			lines = `{"jsonrpc":"2.0","id":2` + rest
		}
		_, err := io.WriteString(to, lines)
		require.NoError(p.t, err)
		answer := ""
		for !strings.Contains(answer, `"id":2`) {
			answer, err = answers.ReadString('\n')
			require.NoError(p.t, err, stderr.String())
		}
		first = false
		return answer
	}
}

func TestWhatToPasteIntoAClient(t *testing.T) {
	p := newPerson(t)
	all := p.sees("mcp", "config")
	for _, client := range []string{"claude mcp add sluice -- ", "Cursor", "VS Code", "Codex", "Gemini", `"args": ["mcp","--data","` + p.data + `"]`} {
		require.Contains(t, all, client)
	}
	p.env["SLUICE_KEY"], p.env["SLUICE_API"] = "sluice_k3yk3yk3yk3y_secret", "https://sluice.acme.com/"
	for _, client := range []string{"claude", "claude-desktop", "cursor", "vscode", "codex", "gemini"} {
		one := p.sees("mcp", "config", client)
		require.Contains(t, one, "https://sluice.acme.com/mcp", client)
		require.NotContains(t, one, "k3yk3y", client)
	}
	code, _, said := p.types("mcp", "config", "emacs")
	require.Equal(t, 2, code)
	require.Contains(t, said, "vscode")
}

func TestAnAssistantThatCannotBeAnswered(t *testing.T) {
	p := newPerson(t)
	for want, line := range map[string]string{
		"--url":             "mcp --key x",
		"needs a key":       "mcp --url http://127.0.0.1:1",
		"is to be like":     "mcp --url 127.0.0.1:1 --key x",
		"--source is for a": "mcp --url http://127.0.0.1:1 --key x --source docs",
	} {
		code, out, said := p.types(strings.Fields(line)...)
		require.Equal(t, 2, code, line)
		require.Contains(t, said, want, line)
		require.Empty(t, out)
	}
	code, out, said := p.types("mcp", "--url", "http://127.0.0.1:1", "--key", "sluice_x_secret")
	require.Equal(t, 1, code)
	require.Contains(t, said, "does not answer")
	require.NotContains(t, said, "secret")
	require.Empty(t, out)
}

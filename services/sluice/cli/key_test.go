package cli_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/apikey"
)

func TestKeysAreMadeListedAndRevoked(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	_, stop := p.up()
	defer stop()
	require.Contains(t, p.sees("key", "list"), "No key yet")
	code, _, said := p.types("key", "create")
	require.Equal(t, 2, code)
	require.Contains(t, said, "--name")
	code, _, said = p.types("key", "create", "--name", "x", "--role", "owner")
	require.Equal(t, 2, code)
	require.Contains(t, said, "read, operate or admin")
	code, _, said = p.types("key", "create", "--name", "x", "--source", "nowhere")
	require.Equal(t, 1, code)
	require.Contains(t, said, "nowhere")

	token := strings.TrimSpace(p.sees("key", "create", "--name", "ci"))
	id, text, ok := apikey.Parse(token)
	require.True(t, ok, "only the key is printed")
	p.sees("source", "add", "docs", "--space", "DOCS", "--base-url", "https://acme.atlassian.net")
	var made map[string]any
	require.NoError(t, json.Unmarshal([]byte(p.sees("key", "create", "--name", "scoped", "--role", "admin", "--source", "docs", "-o", "json")), &made))
	require.Equal(t, []any{"docs"}, made["sources"])

	list := p.sees("key", "list") + p.sees("key", "list", "-o", "json")
	require.Contains(t, list, id)
	require.NotContains(t, list, text)
	require.NotContains(t, list, "$2a$", "the hash is not shown")
	require.Contains(t, p.sees("key", "revoke", id), "revoked")
	require.Contains(t, p.sees("key", "revoke", made["key"].(string)), "revoked", "the whole key is accepted too")
	code, _, said = p.types("key", "revoke", "nobody")
	require.Equal(t, 1, code)
	require.Contains(t, said, "sluice key list")
}

package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestADocumentBesideThePages(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	_, stop := p.up()
	t.Cleanup(stop)
	file := filepath.Join(t.TempDir(), "runbook.md")
	require.NoError(t, os.WriteFile(file, []byte("# Runbook\n\nTurn the valve.\n\n## Later\n\n"+strings.Repeat("Wait for the pressure to fall. ", 60)+"\n"), 0o600))

	var added struct {
		URL string  `json:"url"`
		IDs []int64 `json:"chunk_ids"`
	}
	add := []string{"document", "add", file, "--source", "files", "-o", "json"}
	require.NoError(t, json.Unmarshal([]byte(p.sees(add...)), &added))
	require.Equal(t, "file://files/runbook.md", added.URL)
	require.Greater(t, len(added.IDs), 1)
	first := added.IDs
	require.NoError(t, json.Unmarshal([]byte(p.sees(add...)), &added))
	require.Equal(t, first, added.IDs, "unchanged chunks keep their rows")
	require.Contains(t, p.sees("search", "valve"), "Runbook")

	code, _, said := p.types("document", "add", file, "--source", "others", "--url", added.URL)
	require.Equal(t, 1, code)
	require.Contains(t, said, "--url")
	empty := filepath.Join(t.TempDir(), "runbook.md")
	require.NoError(t, os.WriteFile(empty, []byte("\n"), 0o600))
	code, _, said = p.types("document", "add", empty, "--source", "files")
	require.Equal(t, 1, code)
	require.Contains(t, said, "document remove")
	require.NoError(t, os.WriteFile(empty, []byte("\xff\xfe"), 0o600))
	code, _, said = p.types("document", "add", empty, "--source", "files")
	require.Equal(t, 1, code)
	require.Contains(t, said, "UTF-8")
	code, _, said = p.types("document", "add", file)
	require.Equal(t, 2, code)
	require.Contains(t, said, "--source")

	require.Contains(t, p.sees("document", "remove", "runbook.md", "--source", "files"), "removed")
	require.Contains(t, p.sees("search", "valve"), "Nothing found")
	code, _, said = p.types("document", "remove", "runbook.md", "--source", "files")
	require.Equal(t, 1, code)
	require.Contains(t, said, "no document")
}

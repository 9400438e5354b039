//go:build unix

package localpg

import (
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheSameAsAnOrdinaryUser repeats, when root runs the tests, those that depend on the user. A run by
// an ordinary user already covers them.
func TestTheSameAsAnOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		require.NotZero(t, os.Getuid())
		return
	}
	dir := folder(t) // other users cannot enter the test binary's own folder
	binary := filepath.Join(dir, "localpg.test")
	copyFile(t, os.Args[0], binary)
	tmp := filepath.Join(dir, "tmp")
	require.NoError(t, os.Mkdir(tmp, 0o755))
	require.NoError(t, os.Chown(tmp, nobody, nobody))
	again := []string{
		"TestDataOutlivesTheServer", "TestOnlyOneMayRunOnAFolder", "TestMissingBinariesAreDownloaded",
		"TestTheServerEndsWithAKilledParent", "TestAKilledParentLeavesNoHalfCluster", "TestTheServerNeverRunsAsRoot",
		"TestAFolderThatTheServerCannotEnter", "TestFoldersThatRootMakesAreOpen", "TestAPidFileMayNameAStranger",
	}
	cmd := exec.Command(binary, "-test.timeout=5m", "-test.v", "-test.run=^("+strings.Join(again, "|")+")$")
	cmd.Dir = tmp
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp, "HOME="+tmp)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, name := range again {
		require.Contains(t, string(out), "--- PASS: "+name)
	}
	require.NotContains(t, string(out), "--- SKIP")
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	src, err := os.Open(from)
	require.NoError(t, err)
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	require.NoError(t, err)
	_, err = io.Copy(dst, src)
	require.NoError(t, err)
	require.NoError(t, dst.Close())
}

func owner(t *testing.T, path string) int {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	return int(info.Sys().(*syscall.Stat_t).Uid)
}

func chownAll(t *testing.T, dir string, uid int) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, uid)
	}))
}

func TestTheServerNeverRunsAsRoot(t *testing.T) {
	t.Parallel()
	data := filepath.Join(folder(t), "postgres")
	s := run(t, Options{DataDir: data})
	execute(t, s.URL(), `CREATE TABLE t AS SELECT 'still here' AS v`)
	uid := owner(t, data)
	require.NotZero(t, uid)
	require.Equal(t, os.Geteuid(), owner(t, filepath.Dir(data)), "the parent folder keeps its owner")
	if os.Geteuid() != 0 {
		require.Equal(t, os.Geteuid(), uid)
		return
	}
	stop(t, s)

	// Restored from a backup by root: root hands it over.
	chownAll(t, data, 0)
	s = run(t, Options{DataDir: data})
	require.Equal(t, "still here", query[string](t, s.URL(), `SELECT v FROM t`))
	require.Equal(t, uid, owner(t, filepath.Join(data, "base")))
	stop(t, s)

	// An ordinary user made it: it keeps its owner.
	chownAll(t, data, nobody)
	s = run(t, Options{DataDir: data})
	require.Equal(t, "still here", query[string](t, s.URL(), `SELECT v FROM t`))
	require.Equal(t, nobody, owner(t, pidFilePath(data)))
}

func TestAFolderThatTheServerCannotEnter(t *testing.T) {
	t.Parallel()
	closed := filepath.Join(folder(t), "closed")
	require.NoError(t, os.Mkdir(closed, 0o700))
	data := filepath.Join(closed, "below", "postgres")
	if os.Geteuid() != 0 {
		// For an ordinary user a closed folder is one without write permission.
		require.NoError(t, os.Chmod(closed, 0o500))
		_, err := Start(t.Context(), Options{DataDir: data, NoSync: true})
		require.ErrorIs(t, err, fs.ErrPermission)
		require.ErrorContains(t, err, closed)
		require.NoError(t, os.Chmod(closed, 0o700))
		run(t, Options{DataDir: data})
		return
	}
	_, err := Start(t.Context(), Options{DataDir: data, NoSync: true})
	require.ErrorContains(t, err, "cannot enter "+closed+":")
	require.ErrorContains(t, err, "--data")
	require.NoDirExists(t, data)
	require.NoDirExists(t, data+".init")

	require.NoError(t, os.Chmod(closed, 0o711))
	run(t, Options{DataDir: data})
}

func TestFoldersThatRootMakesAreOpen(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	dir := filepath.Join(folder(t), "a", "b")
	require.NoError(t, mkdirOpen(dir))
	require.NoError(t, mkdirOpen(dir))
	info, err := os.Stat(filepath.Dir(dir))
	require.NoError(t, err)
	want := fs.FileMode(0o755)
	if os.Geteuid() != 0 {
		want = 0o700 // an ordinary user keeps their own umask
	}
	require.Equal(t, want, info.Mode().Perm())
	s := run(t, Options{DataDir: filepath.Join(dir, "c", "postgres")})
	require.Equal(t, 1, query[int](t, s.URL(), `SELECT 1`))
}

func TestAnAccountHasAName(t *testing.T) {
	t.Parallel()
	require.NotEmpty(t, account{uid: os.Geteuid()}.String())
	require.Equal(t, strconv.Itoa(1<<30), account{uid: 1 << 30}.String())
}

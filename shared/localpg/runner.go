package localpg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// runner runs PostgreSQL's programs as the account that owns the data.
type runner struct {
	as   account
	hold *os.File // kept open by the programs, see clusterLock; may be nil
}

// childVariables are the environment variables that a PostgreSQL program may see: not Sluice's tokens,
// and no PG* variables that would redirect it.
var childVariables = []string{"PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "LOCPATH"}

func (r runner) command(ctx context.Context, path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path, args...) //nolint:gosec // the programs of the Postgres that was found or named, without a shell
	cmd.Dir = "/"                                  // the account may not be able to enter this process's folder
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC"}
	for _, name := range childVariables {
		if v, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	cmd.SysProcAttr = childAttr(r.as, syscall.SIGKILL)
	cmd.WaitDelay = 5 * time.Second
	if r.hold != nil {
		cmd.ExtraFiles = []*os.File{r.hold}
	}
	return cmd
}

// output runs a program to its end and returns what it wrote to both streams.
func (r runner) output(ctx context.Context, stdin, path string, args ...string) ([]byte, error) {
	cmd := r.command(ctx, path, args...)
	cmd.Stdin = strings.NewReader(stdin)
	return combined(ctx, cmd)
}

func combined(ctx context.Context, cmd *exec.Cmd) ([]byte, error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	// The parent-death signal belongs to the thread that forks.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := cmd.Run()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return out.Bytes(), err
}

// checkEnter checks that the account can enter dir by entering it as that account: mode bits are not
// enough, because access lists and mounts matter too.
func (r runner) checkEnter(ctx context.Context, bin Binaries, dir string) error {
	if !r.as.drop {
		return nil
	}
	cmd := r.command(ctx, bin.path("postgres"), "--version")
	cmd.Dir = dir
	out, err := combined(ctx, cmd)
	if err == nil {
		return nil
	}
	if !errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("running %s in %s: %w: %s", cmd.Path, dir, err, bytes.TrimSpace(out))
	}
	return fmt.Errorf("PostgreSQL does not run as root, and the user %s cannot enter %s: "+
		"choose a data folder that every user can reach (for example, --data /var/lib/sluice), or run as an ordinary user",
		r.as, r.as.closedFolder(dir))
}

// mkdirOpen makes a folder and its parents. If this process is root, the account can enter the new ones,
// whatever the umask.
func mkdirOpen(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := mkdirOpen(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil { //nolint:gosec // Postgres, as another user, enters it
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return err
	}
	if os.Geteuid() != 0 {
		return nil
	}
	return os.Chmod(dir, 0o755) //nolint:gosec // Postgres, as another user, enters it
}

// closedFolder names the outermost folder on the way to dir that the account may not enter according to
// the mode bits; dir itself if they do not show one.
func (a account) closedFolder(dir string) string {
	path := string(filepath.Separator)
	for _, part := range strings.Split(strings.Trim(dir, path), string(filepath.Separator)) {
		path = filepath.Join(path, part)
		info, err := os.Stat(path)
		if err != nil {
			return dir
		}
		if !a.mayEnter(info) {
			return path
		}
	}
	return dir
}

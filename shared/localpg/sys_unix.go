//go:build unix

package localpg

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

const supported = true

// account is the operating system's user that the server runs as.
type account struct {
	uid, gid int
	drop     bool // this process is root and must become the account
}

// nobody is the uid that systems without a user database give to nobody.
const nobody = 65534

// accountFor chooses the account that runs a server on dataDir. An ordinary user runs it as themselves.
// PostgreSQL does not run as root: root uses the folder's owner, or for a new folder the user postgres,
// or else nobody.
func accountFor(dataDir string) (account, error) {
	if os.Geteuid() != 0 {
		return account{uid: os.Geteuid(), gid: os.Getegid()}, nil
	}
	info, err := os.Stat(dataDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return account{}, fmt.Errorf("looking at the data folder: %w", err)
	}
	if err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 {
			return account{uid: int(st.Uid), gid: int(st.Gid), drop: true}, nil
		}
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, uerr := strconv.Atoi(u.Uid)
			gid, gerr := strconv.Atoi(u.Gid)
			if uerr == nil && gerr == nil && uid != 0 {
				return account{uid: uid, gid: gid, drop: true}, nil
			}
		}
	}
	return account{uid: nobody, gid: nobody, drop: true}, nil
}

// String is the account's name, or its number when it has none.
func (a account) String() string {
	if u, err := user.LookupId(strconv.Itoa(a.uid)); err == nil {
		return u.Username
	}
	return strconv.Itoa(a.uid)
}

// own gives dir and its content to the account. It does nothing unless this process is root, or if the
// account already owns dir.
func (a account) own(dir string) error {
	if !a.drop {
		return nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("handing the data folder to the user %s: %w", a, err)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) == a.uid {
		return nil
	}
	// The folder itself comes last: as long as root owns it, an interrupted pass is repeated.
	if err := a.ownTree(dir); err != nil {
		return fmt.Errorf("handing the data folder to the user %s: %w", a, err)
	}
	return nil
}

// ownTree stays below dir: replacing a folder by a link during the pass leads nowhere.
func (a account) ownTree(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	err = fs.WalkDir(root.FS(), ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		return root.Lchown(path, a.uid, a.gid)
	})
	if err != nil {
		return err
	}
	return os.Lchown(dir, a.uid, a.gid)
}

// mayEnter reports whether the mode bits let the account enter a folder.
func (a account) mayEnter(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return true
	}
	switch {
	case int(st.Uid) == a.uid:
		return info.Mode()&0o100 != 0
	case int(st.Gid) == a.gid:
		return info.Mode()&0o010 != 0
	default:
		return info.Mode()&0o001 != 0
	}
}

func (a account) credential() *syscall.Credential {
	if !a.drop {
		return nil
	}
	return &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)} //nolint:gosec // the system gave both as 32 bits
}

func signalProcess(pid int, sig syscall.Signal) error { return syscall.Kill(pid, sig) }

func processAlive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// tryLock takes an exclusive lock on f, or reports false if another process holds it.
func tryLock(f *os.File) (bool, error) {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	if err != nil {
		return false, &fs.PathError{Op: "lock", Path: f.Name(), Err: err}
	}
	return true, nil
}

// unlock releases the lock, even if a process that is just being started still has the file open: until
// it runs its program it holds every file of this process, and closing the file alone would leave it the
// lock.
func unlock(f *os.File) {
	_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
}

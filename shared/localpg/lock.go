package localpg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"
)

// orphanPatience is how long Start waits for the shutdown, including a checkpoint, of a server whose
// parent was killed.
const orphanPatience = 20 * time.Second

// maxLog is the size in bytes above which the next start sets a log aside.
const maxLog = 16 << 20

// clusterLock reserves a data folder for one launcher and its server. There are two locks, because the
// two can end at different times: the launcher's lock is released when the launcher ends; the lock on
// the log file is inherited by every process of the server, which keep that file open, and is released
// when the last of them ends. Unlike a process id in a file, neither can be stale or belong to another
// process, even across containers that share a volume.
type clusterLock struct {
	owner *os.File
	log   *os.File
}

func (l *clusterLock) release() {
	// Closing a file that is only locked cannot lose data.
	_ = l.log.Close()
	unlock(l.owner)
	_ = l.owner.Close()
}

// lockCluster takes both locks, waiting up to patience for an orphaned server.
func lockCluster(ctx context.Context, dataDir string, patience time.Duration) (*clusterLock, error) {
	owner, err := lockOwner(dataDir + ".lock")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("it does not end"))
	defer cancel()
	log, err := lockLog(ctx, dataDir)
	if err == nil {
		err = awaitStranger(ctx, dataDir)
	}
	if err != nil {
		unlock(owner)
		_ = owner.Close()
		if log != nil {
			_ = log.Close()
		}
		return nil, err
	}
	return &clusterLock{owner: owner, log: log}, nil
}

func lockOwner(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // its own file beside the data folder
	if err != nil {
		return nil, fmt.Errorf("locking the data folder: %w", err)
	}
	ok, err := tryLock(f)
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("locking the data folder: %w", err)
	}
	if !ok {
		defer func() { _ = f.Close() }()
		return nil, fmt.Errorf("%w: %s runs PostgreSQL on %s; stop it, or choose another data folder",
			ErrRunning, ownerName(path), strings.TrimSuffix(path, ".lock"))
	}
	if err := errors.Join(f.Truncate(0), writeAt(f, strconv.Itoa(os.Getpid())+"\n")); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("locking the data folder: %w", err)
	}
	return f, nil
}

// ownerName is only for messages: the owner writes its process id after it has the lock.
func ownerName(path string) string {
	if pid, err := os.ReadFile(path); err == nil && len(pid) > 0 { //nolint:gosec // its own file beside the data folder
		return "process " + strings.TrimSpace(string(pid))
	}
	return "another process"
}

func writeAt(f *os.File, s string) error {
	_, err := f.WriteAt([]byte(s), 0)
	return err
}

// lockLog opens the server's log and waits until no earlier server has it open.
func lockLog(ctx context.Context, dataDir string) (*os.File, error) {
	path := dataDir + ".log"
	f, err := openLog(ctx, path, dataDir)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("opening the server's log: %w", err)
	}
	if info.Size() <= maxLog {
		return f, nil
	}
	err = os.Rename(path, path+".old")
	_ = f.Close()
	if err != nil {
		return nil, fmt.Errorf("putting the server's old log aside: %w", err)
	}
	return openLog(ctx, path, dataDir)
}

func openLog(ctx context.Context, path, dataDir string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600) //nolint:gosec // its own file beside the data folder
	if err != nil {
		return nil, fmt.Errorf("opening the server's log: %w", err)
	}
	told := false
	err = poll(ctx, func() (bool, error) {
		ok, err := tryLock(f)
		if ok || err != nil {
			return ok, err
		}
		if pid, err := readPidFile(dataDir); err == nil && !told {
			told = true
			stopOrphan(pid.pid)
		}
		return false, nil
	})
	if err == nil {
		return f, nil
	}
	_ = f.Close()
	if pid, perr := readPidFile(dataDir); perr == nil && ctx.Err() != nil {
		return nil, stillRunning(ctx, dataDir, pid.pid)
	}
	return nil, fmt.Errorf("%w: waiting for the earlier server on %s: %w", ErrRunning, dataDir, err)
}

// awaitStranger handles a pid file although no one holds the locks: either someone started a server on
// the folder by hand, or a crash left the file. In a restarted container its process id often belongs to
// another process by now, even to this one, and PostgreSQL would refuse to start.
func awaitStranger(ctx context.Context, dataDir string) error {
	var last int
	err := poll(ctx, func() (bool, error) {
		f, err := readPidFile(dataDir)
		if errors.Is(err, fs.ErrNotExist) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		last = f.pid
		if !processAlive(f.pid) {
			return true, nil
		}
		if !maybePostgres(f.pid) {
			return true, os.Remove(pidFilePath(dataDir))
		}
		return false, nil
	})
	if err != nil && ctx.Err() != nil {
		return stillRunning(ctx, dataDir, last)
	}
	if err != nil {
		return fmt.Errorf("looking for a server on %s: %w", dataDir, err)
	}
	return nil
}

func stillRunning(ctx context.Context, dataDir string, pid int) error {
	return fmt.Errorf("%w: a PostgreSQL server (process %d) runs on %s: %w; stop it with kill -INT %d",
		ErrRunning, pid, dataDir, context.Cause(ctx), pid)
}

// poll calls ready repeatedly until it returns true, fails, or ctx ends.
func poll(ctx context.Context, ready func() (bool, error)) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := ready()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

//go:build unix && !linux

package localpg

import "syscall"

// childAttr puts a child in a process group of its own, so that the terminal's Ctrl-C does not reach it
// before this process. There is no parent-death signal here.
func childAttr(as account, _ syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: as.credential()}
}

// stopOrphan ends a server whose parent was killed. The lock on its log proves that one of Sluice's
// servers still runs on the folder, and the folder's pid file names it.
func stopOrphan(pid int) { _ = syscall.Kill(pid, syscall.SIGINT) }

// maybePostgres cannot identify a process here, so it returns true.
func maybePostgres(int) bool { return true }

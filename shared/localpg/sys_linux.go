package localpg

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
)

// childAttr puts a child in a process group of its own, so that the terminal's Ctrl-C does not reach it
// before this process, and has the kernel send it onDeath when the thread that forked it ends.
func childAttr(as account, onDeath syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: onDeath, Credential: as.credential()}
}

// stopOrphan does nothing: the kernel has already signalled the server.
func stopOrphan(int) {}

// maybePostgres reports whether the living process pid may be a PostgreSQL server.
func maybePostgres(pid int) bool {
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return err != nil || bytes.HasPrefix(comm, []byte("postgres")) || bytes.HasPrefix(comm, []byte("postmaster"))
}

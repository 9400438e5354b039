package child

import "syscall"

// dieWithParent makes the kernel kill a child when this process ends, for whatever reason.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

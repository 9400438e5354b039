package child

import "syscall"

// dieWithParent has the kernel kill a child when this process ends, however it does.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

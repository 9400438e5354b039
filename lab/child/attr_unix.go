//go:build unix && !linux

package child

import "syscall"

// dieWithParent keeps Ctrl-C from reaching the children. They are not told if their parent is killed.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

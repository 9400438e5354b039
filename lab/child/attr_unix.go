//go:build unix && !linux

package child

import "syscall"

// dieWithParent keeps Ctrl-C from the children; nothing tells them that their parent was killed.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

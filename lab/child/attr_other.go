//go:build !unix

package child

import "syscall"

// dieWithParent does nothing where there are no process groups.
func dieWithParent() *syscall.SysProcAttr { return nil }

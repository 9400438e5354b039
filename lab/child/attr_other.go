//go:build !unix

package child

import "syscall"

// dieWithParent does nothing on systems without process groups.
func dieWithParent() *syscall.SysProcAttr { return nil }

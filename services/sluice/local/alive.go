//go:build unix

package local

import (
	"errors"
	"syscall"
)

// alive reports whether a process with the id exists, ours or another user's.
func alive(pid int) bool {
	if pid <= 0 {
		return false
	}
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

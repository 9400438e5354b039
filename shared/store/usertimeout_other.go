//go:build !linux

package store

import "syscall"

// userTimeout does nothing on systems without this option. They still have keepalive probes on idle connections, and
// the deadlines.
func userTimeout(string, string, syscall.RawConn) error { return nil }

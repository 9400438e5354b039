//go:build !linux

package store

import "syscall"

// userTimeout does nothing where the system has no such option: there the probes of an idle
// connection and the deadlines remain.
func userTimeout(string, string, syscall.RawConn) error { return nil }

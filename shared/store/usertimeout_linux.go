package store

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// userTimeout limits how long sent data may stay unacknowledged. Without it, the kernel allows a quarter of an hour.
func userTimeout(network, _ string, c syscall.RawConn) error {
	if network == "unix" {
		return nil
	}
	var set error
	err := c.Control(func(fd uintptr) {
		set = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(deadAfter.Milliseconds()))
	})
	return errors.Join(err, set)
}

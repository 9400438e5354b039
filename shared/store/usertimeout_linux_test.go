package store

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A firewall that loses packets cannot be had in a test; that the kernel was told to look for one can.
func TestTheKernelLooksAfterConnections(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	cfg, err := poolConfig("postgres://app@" + l.Addr().String() + "/sluice")
	require.NoError(t, err)
	conn, err := cfg.ConnConfig.DialFunc(t.Context(), "tcp", l.Addr().String())
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	require.NoError(t, err)
	option := func(level, name int) (value int) {
		require.NoError(t, raw.Control(func(fd uintptr) { value, err = unix.GetsockoptInt(int(fd), level, name) }))
		require.NoError(t, err)
		return value
	}
	require.Equal(t, 30_000, option(unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT))
	require.Equal(t, 1, option(unix.SOL_SOCKET, unix.SO_KEEPALIVE))
	require.Equal(t, 15, option(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE))
	require.Equal(t, 5, option(unix.IPPROTO_TCP, unix.TCP_KEEPINTVL))
	require.Equal(t, 3, option(unix.IPPROTO_TCP, unix.TCP_KEEPCNT))
}

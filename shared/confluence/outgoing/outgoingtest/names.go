// Package outgoingtest resolves names to the addresses that a test needs.
package outgoingtest

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

// Names is a DNS server that answers the questions with the addresses in order and repeats the last one.
// It ends with the test.
func Names(t testing.TB, addresses ...string) *net.Resolver {
	t.Helper()
	conn, err := (&net.ListenConfig{}).ListenPacket(context.Background(), "udp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	t.Cleanup(func() { _ = conn.Close(); <-done })
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for asked := 0; ; {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			answer, counted := reply(buf[:n], netip.MustParseAddr(addresses[min(asked, len(addresses)-1)]))
			if counted {
				asked++
			}
			_, _ = conn.WriteTo(answer, from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// reply answers a DNS question if it asks for the address's family, else without an address.
func reply(query []byte, a netip.Addr) (answer []byte, counted bool) {
	end := 12
	for query[end] != 0 {
		end += int(query[end]) + 1
	}
	end += 5
	family := uint16(1) // A
	if a.Is6() {
		family = 28 // AAAA
	}
	counted = binary.BigEndian.Uint16(query[end-4:]) == family
	answer = append(answer, query[0], query[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0)
	answer = append(answer, query[12:end]...)
	if counted {
		answer[7] = 1
		answer = append(answer, 0xc0, 12)
		answer = binary.BigEndian.AppendUint16(answer, family)
		answer = append(answer, 0, 1, 0, 0, 0, 0, 0, byte(a.BitLen()/8)) //nolint:gosec // 4 or 16
		answer = append(answer, a.AsSlice()...)
	}
	return answer, counted
}

package store_test

import (
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// firewall is between the store and the server. After forget, it silently drops all data on existing connections; new
// ones work.
type firewall struct {
	listener net.Listener
	server   string
	wait     sync.WaitGroup
	dropped  atomic.Int64 // bytes

	mu    sync.Mutex
	conns []*passing
}

type passing struct {
	client, server net.Conn
	drop           atomic.Bool
}

func newFirewall(t *testing.T, server string) *firewall {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f := &firewall{listener: l, server: server}
	f.wait.Go(f.accept)
	t.Cleanup(func() {
		_ = l.Close()
		f.mu.Lock()
		for _, p := range f.conns {
			_, _ = p.client.Close(), p.server.Close()
		}
		f.mu.Unlock()
		f.wait.Wait()
	})
	return f
}

func (f *firewall) accept() {
	for {
		client, err := f.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", f.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		p := &passing{client: client, server: server}
		f.mu.Lock()
		f.conns = append(f.conns, p)
		f.mu.Unlock()
		f.wait.Go(func() { f.copy(p, server, client) })
		f.wait.Go(func() { f.copy(p, client, server) })
	}
}

func (f *firewall) copy(p *passing, to io.Writer, from io.Reader) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		switch {
		case p.drop.Load():
			f.dropped.Add(int64(n))
		case n > 0:
			_, _ = to.Write(buffer[:n])
		}
		if err != nil {
			if !p.drop.Load() {
				_, _ = p.client.Close(), p.server.Close()
			}
			return
		}
	}
}

// forget drops the data of the existing connections.
func (f *firewall) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.conns {
		p.drop.Store(true)
	}
}

func TestConnectionsThatAFirewallForgotAreReplaced(t *testing.T) {
	t.Parallel()
	address := pgtest.MigratedURL(t)
	u, err := url.Parse(address)
	require.NoError(t, err)
	wall := newFirewall(t, u.Host)
	s, err := store.Open(t.Context(), changed(t, address, func(u *url.URL) { u.Host = wall.listener.Addr().String() }))
	require.NoError(t, err)
	defer s.Close()

	// Several connections, as if several workers had been busy at the same time.
	var busy sync.WaitGroup
	for range 8 {
		busy.Go(func() { _ = s.Ping(t.Context()) })
	}
	busy.Wait()
	wall.forget()
	// A connection that was idle for a second is tested before it is used.
	idle := time.NewTimer(1100 * time.Millisecond)
	<-idle.C

	began := time.Now()
	_, err = s.Reader().Sources(t.Context(), viewer.All(), store.Whole())
	require.NoError(t, err, "callers do not notice the lost connection")
	require.Less(t, time.Since(began), 15*time.Second)
	require.Positive(t, wall.dropped.Load(), "the lost connection was tried")
	require.NoError(t, s.Ping(t.Context()))
}

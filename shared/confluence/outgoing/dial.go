package outgoing

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"syscall"
)

// ErrPrivate says that a name leads to an address that is not in the public internet. Whoever
// rules a name's DNS could otherwise send requests, with their credential, to machines that only
// this one reaches.
var ErrPrivate = errors.New("leads to an address that is not public, which CONFLUENCE_ALLOW_HTTP=true would permit")

// special are the blocks that netip has no word for and in which no public site is.
var special = prefixes(
	"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)

// translated is where a network without IPv4 reaches it: the last four bytes are the address.
var translated = netip.MustParsePrefix("64:ff9b::/96")

var global6 = netip.MustParsePrefix("2000::/3")

func prefixes(list ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, p := range list {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

// Public reports whether an address is one of the public internet: not private, of this machine,
// of the link (where clouds serve their metadata), nor of another special block.
func Public(a netip.Addr) bool {
	a = a.Unmap()
	if translated.Contains(a) {
		b := a.As16()
		return Public(netip.AddrFrom4([4]byte(b[12:])))
	}
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.Is6() && !global6.Contains(a) {
		return false
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// check is called for each address that is dialed, after its name has been looked up and before
// the first packet: what a look-up ahead of it said would not bind the one that counts.
func check(_ context.Context, _, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !Public(at.Addr()) {
		return ErrPrivate
	}
	return nil
}

// Guard makes t refuse connections to names that lead to addresses that are not public, with
// ErrPrivate. A host that is an address itself is dialed: it was allowed as what it is. So is a
// proxy that t uses; what lies behind it is then the proxy's to guard.
func Guard(t *http.Transport, d net.Dialer) {
	plain := d
	d.Control, d.ControlContext = nil, check
	var proxies sync.Map // the addresses of proxies, as they are dialed
	if proxy := t.Proxy; proxy != nil {
		t.Proxy = func(r *http.Request) (*url.URL, error) {
			u, err := proxy(r)
			if u != nil {
				proxies.Store(dialed(u), true)
			}
			return u, err
		}
	}
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, fmt.Errorf("dial: %w", err)
		}
		if _, isProxy := proxies.Load(address); isProxy || Literal(host) {
			return plain.DialContext(ctx, network, address)
		}
		return d.DialContext(ctx, network, address)
	}
}

// dialed is the address at which a proxy is dialed.
func dialed(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

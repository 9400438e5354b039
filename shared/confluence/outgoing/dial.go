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

// ErrPrivate says that a name resolves to an address outside the public internet. Otherwise anyone who
// controls a name's DNS could send requests, with their credential, to machines that only this machine
// reaches.
var ErrPrivate = errors.New("leads to an address that is not public, which CONFLUENCE_ALLOW_HTTP=true would permit")

// special are address blocks without public sites for which netip has no method.
var special = prefixes(
	"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)

// translated is the NAT64 prefix, through which a network without IPv4 reaches it: the last four bytes
// are the address.
var translated = netip.MustParsePrefix("64:ff9b::/96")

var global6 = netip.MustParsePrefix("2000::/3")

func prefixes(list ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, p := range list {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

// Public reports whether an address belongs to the public internet: it is not private, loopback,
// link-local (where clouds serve their metadata), nor in another special block.
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

// check runs for each address before the connection, after the name has been resolved: an earlier
// look-up could return another address than the one that is used.
func check(_ context.Context, _, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !Public(at.Addr()) {
		return ErrPrivate
	}
	return nil
}

// Guard makes t reject connections to names that resolve to addresses that are not public, with
// ErrPrivate. A host that is itself an address is allowed: the configuration named it as such. So is a
// proxy that t uses; the proxy is then responsible for the hosts behind it.
func Guard(t *http.Transport, d net.Dialer) {
	plain := d
	d.Control, d.ControlContext = nil, check
	var proxies sync.Map // the dial addresses of proxies
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

// dialed is the dial address of a proxy.
func dialed(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

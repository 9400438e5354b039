package outgoing

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// ErrPublic is the error of a connection without TLS to an address that is public.
var ErrPublic = errors.New("http:// would send texts and the key unencrypted over the internet; use https://")

// NewTransport returns a transport to a server that the settings name, such as one for embeddings: it keeps a connection for each
// concurrent call. Without TLS it only goes to addresses that are not public, and through no proxy.
func NewTransport(plain bool, parallel int) *http.Transport {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment}
	if d, ok := http.DefaultTransport.(*http.Transport); ok {
		t = d.Clone()
	}
	t.MaxIdleConnsPerHost = parallel
	if plain {
		t.Proxy = nil
		t.DialContext = (&net.Dialer{
			Timeout: 10 * time.Second, KeepAlive: 30 * time.Second,
			Control: func(_, address string, _ syscall.RawConn) error {
				if at, err := netip.ParseAddrPort(address); err != nil || Public(at.Addr()) {
					return ErrPublic
				}
				return nil
			},
		}).DialContext
	}
	return t
}

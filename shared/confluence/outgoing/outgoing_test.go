package outgoing_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/shared/confluence/outgoing"
	"github.com/sluicehq/sluice/shared/confluence/outgoing/outgoingtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWhichHostsAreAllowed(t *testing.T) {
	hosts, err := outgoing.ParseHosts(" *.Atlassian.net, api.atlassian.com,,stand-in:8090 ,[::1]:9, https.example:443")
	require.NoError(t, err)
	hosts = hosts.With("https://wiki.acme.example/wiki").With("nothing").With("http://127.0.0.1:8091")
	for address, want := range map[string]bool{
		"https://acme.atlassian.net":             true,
		"https://ACME.Atlassian.NET.:443/wiki":   true,
		"https://a.b.atlassian.net":              true,
		"https://api.atlassian.com":              true,
		"http://stand-in:8090":                   true,
		"https://[::1]:9/wiki":                   true,
		"https://https.example":                  true,
		"https://wiki.acme.example":              true,
		"http://127.0.0.1:8091/wiki":             true,
		"https://atlassian.net":                  false,
		"https://.atlassian.net":                 false,
		"https://evilatlassian.net":              false,
		"https://acme.atlassian.net.evil.com":    false,
		"https://acme.atlassian.net:8443":        false,
		"https://acme.atlassian.net@evil.com":    false,
		"https://evil.com#acme.atlassian.net":    false,
		"https://x.api.atlassian.com":            false,
		"http://stand-in":                        false,
		"http://127.0.0.1:8092":                  false,
		"https://169.254.169.254/latest":         false,
		"https://acme.atlassian.net%00.evil.com": false,
	} {
		u, err := url.Parse(address)
		require.Equal(t, want, err == nil && hosts.Allow(u), address)
	}
	require.False(t, outgoing.Hosts{}.Allow(&url.URL{Scheme: "https", Host: "acme.atlassian.net"}))
	for _, bad := range []string{"*", "*.", "*.net", "*.*.net", "https://acme.com", "acme.com/wiki", "a b", "u@acme.com", "a*.com", "acme.com:port"} {
		_, err := outgoing.ParseHosts(bad)
		require.ErrorIs(t, err, outgoing.ErrHost, bad)
	}
}

func TestWhichAddressesArePublic(t *testing.T) {
	for address, want := range map[string]bool{
		"104.192.142.19": true, "8.8.8.8": true, "2606:4700::1111": true, "::ffff:8.8.8.8": true, "64:ff9b::808:808": true,
		"127.0.0.1": false, "127.8.9.10": false, "::1": false, "::ffff:127.0.0.1": false, "::": false, "0.0.0.0": false, "0.1.2.3": false,
		"10.0.0.1": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false, "fd00:ec2::254": false, "fc00::1": false,
		"169.254.169.254": false, "fe80::1": false, "fe80::1%eth0": false, "100.100.100.200": false, "64:ff9b::a9fe:a9fe": false, "64:ff9b:1::1": false,
		"224.0.0.1": false, "ff02::1": false, "255.255.255.255": false, "198.18.0.1": false, "2002:7f00:1::": false, "2001:0:1::1": false,
		"::127.0.0.1": false, "fec0::1": false, "2001:db8::1": false, "192.0.0.192": false,
	} {
		require.Equal(t, want, outgoing.Public(netip.MustParseAddr(address)), address)
	}
	require.False(t, outgoing.Public(netip.Addr{}))
}

// get requests an address through a guarded transport.
func get(t *testing.T, address string, resolver *net.Resolver, proxy func(*http.Request) (*url.URL, error)) error {
	t.Helper()
	transport := &http.Transport{Proxy: proxy, DisableKeepAlives: true}
	outgoing.Guard(transport, net.Dialer{Timeout: 5 * time.Second, Resolver: resolver})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	require.NoError(t, err)
	resp, err := transport.RoundTrip(req)
	if err == nil {
		require.NoError(t, resp.Body.Close())
	}
	return err
}

func TestANameThatLeadsInsideIsNotDialed(t *testing.T) {
	var calls atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	for _, inside := range []string{"127.0.0.1", "::1", "169.254.169.254", "10.0.0.1", "::ffff:127.0.0.1"} {
		require.ErrorIs(t, get(t, "http://acme.atlassian.net:"+port, outgoingtest.Names(t, inside), nil), outgoing.ErrPrivate, inside)
	}
	require.Zero(t, calls.Load(), "no request came in")

	// The fake name is really resolved: without the guard it leads to the server.
	plain := &http.Transport{DialContext: (&net.Dialer{Resolver: outgoingtest.Names(t, "127.0.0.1")}).DialContext, DisableKeepAlives: true}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://acme.atlassian.net:"+port, nil)
	require.NoError(t, err)
	resp, err := plain.RoundTrip(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.EqualValues(t, 1, calls.Load())

	// A literal address was allowed as such.
	require.NoError(t, get(t, server.URL, nil, nil))
	require.NoError(t, get(t, "http://localhost:"+port, nil, nil))
	require.EqualValues(t, 3, calls.Load())
}

// A name that resolves to a public address first and to a private one when dialed.
func TestANameThatTurnsInsideIsNotDialed(t *testing.T) {
	resolver := outgoingtest.Names(t, "8.8.8.8", "127.0.0.1")
	first, err := resolver.LookupNetIP(t.Context(), "ip4", "acme.atlassian.net")
	require.NoError(t, err)
	require.True(t, outgoing.Public(first[0]), "a look-up ahead finds nothing wrong")
	require.ErrorIs(t, get(t, "http://acme.atlassian.net:1", resolver, nil), outgoing.ErrPrivate)
}

func TestAProxyMayBeInside(t *testing.T) {
	var asked atomic.Value
	proxy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked.Store(r.URL.Host) }))
	t.Cleanup(proxy.Close)
	u, err := url.Parse(proxy.URL)
	require.NoError(t, err)
	u.Host = net.JoinHostPort("proxy.internal", u.Port())
	require.NoError(t, get(t, "http://acme.atlassian.net", outgoingtest.Names(t, "127.0.0.1"), http.ProxyURL(u)))
	require.Equal(t, "acme.atlassian.net", asked.Load())
}

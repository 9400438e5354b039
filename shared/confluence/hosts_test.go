package confluence_test

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/confluence/outgoing"
	"github.com/sluicehq/sluice/shared/confluence/outgoing/outgoingtest"
	"github.com/sluicehq/sluice/shared/secret"
)

var cloud = outgoing.Hosts{"*.atlassian.net", "api.atlassian.com"}

func TestTheClientGoesToAllowedHostsOnly(t *testing.T) {
	for _, address := range []string{
		"https://acme.atlassian.net", "https://acme.atlassian.net:443/wiki", "https://api.atlassian.com/ex/confluence/11111111-2222-3333-4444-555555555555",
	} {
		_, err := confluence.New(address, email, secret.New(canary), confluence.WithAllowedHosts(cloud))
		require.NoError(t, err, address)
	}
	for _, address := range []string{
		"https://evil.example", "https://acme.atlassian.net.evil.example", "https://atlassian.net", "https://acme.atlassian.net:8443", "https://127.0.0.1", "https://169.254.169.254",
	} {
		_, err := confluence.New(address, email, secret.New(canary), confluence.WithAllowedHosts(cloud))
		require.ErrorContains(t, err, "CONFLUENCE_ALLOWED_HOSTS", address)
		_, err = confluence.New("https://acme.atlassian.net", email, secret.New(canary), confluence.WithAllowedHosts(cloud), confluence.WithGateway(address))
		require.ErrorContains(t, err, "gateway", address)
	}
	_, err := confluence.New("https://acme.atlassian.net", email, secret.New(canary), confluence.WithAllowedHosts(nil))
	require.Error(t, err, "no hosts allow nothing")
	_, err = confluence.New("http://acme.atlassian.net", email, secret.New(canary), confluence.WithAllowedHosts(cloud))
	require.ErrorContains(t, err, "https")
}

func TestCheckSite(t *testing.T) {
	for _, address := range []string{"https://acme.atlassian.net", " https://Acme.atlassian.net/wiki/ "} {
		site, err := confluence.CheckSite(address, cloud, false)
		require.NoError(t, err)
		require.Equal(t, "https://acme.atlassian.net/wiki", site)
	}
	for address, why := range map[string]string{
		"http://acme.atlassian.net":       "https",
		"https://evil.example":            "CONFLUENCE_ALLOWED_HOSTS",
		"https://u:p@acme.atlassian.net":  "credential",
		"https://acme.atlassian.net/?a=b": "query",
		"https://acme.atlassian.net/jira": "path",
		"acme.atlassian.net":              "https://",
		"https://":                        "host",
		"https://api.atlassian.com/ex/confluence/11111111-2222-3333-4444-555555555555": "gateway",
		"https://api.atlassian.com":        "gateway",
		"https://API.atlassian.com./wiki/": "gateway",
		"https://api.atlassian.com:443":    "gateway",
	} {
		_, err := confluence.CheckSite(address, cloud, false)
		require.ErrorContains(t, err, why, address)
	}
	site, err := confluence.CheckSite("http://127.0.0.1:8090", cloud.With("http://127.0.0.1:8090/wiki"), true)
	require.NoError(t, err)
	require.Equal(t, "http://127.0.0.1:8090/wiki", site)
}

// A site whose name resolves to an internal machine: no connection is made, nothing is retried, and the
// error names the reason.
func TestANameThatLeadsInsideIsRefused(t *testing.T) {
	accepted := make(chan net.Conn, 10)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			accepted <- conn
			_ = conn.Close()
		}
	}()
	usual := net.DefaultResolver
	net.DefaultResolver = outgoingtest.Names(t, "127.0.0.1")
	t.Cleanup(func() { net.DefaultResolver = usual })
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	var calls int
	name := "https://acme.atlassian.net:" + port
	c, err := confluence.New(name, email, secret.New(canary), confluence.WithRetryDelays(time.Millisecond), confluence.WithTrace(func(confluence.Call) { calls++ }))
	require.NoError(t, err)
	err = listSpace(c)
	require.ErrorIs(t, err, outgoing.ErrPrivate)
	var broken *confluence.TransportError
	require.ErrorAs(t, err, &broken)
	require.ErrorContains(t, err, "not public")
	require.Equal(t, 1, calls, "it is not repeated")
	require.Empty(t, accepted)

	// Where a stand-in is permitted, the client connects to the name.
	c, err = confluence.New(name, email, secret.New(canary), quick(confluence.WithInsecureHTTP())...)
	require.NoError(t, err)
	require.Error(t, listSpace(c))
	require.NotEmpty(t, accepted)
}

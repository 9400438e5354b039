package outgoing_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/confluence/outgoing"
)

// However an address is written, there is one way in which it is kept, or none.
func TestAnAddressHasOneForm(t *testing.T) {
	const spaced = " HTTPS://Acme.Atlassian.NET/wiki/// "
	for text, want := range map[string]string{
		"https://acme.atlassian.net":             "https://acme.atlassian.net",
		spaced:                                   "https://acme.atlassian.net/wiki",
		"https://acme.atlassian.net:":            "https://acme.atlassian.net",
		"https://acme.atlassian.net:443/wiki":    "https://acme.atlassian.net/wiki",
		"https://acme.atlassian.net.":            "https://acme.atlassian.net",
		"https://acme.atlassian.net.:0443":       "https://acme.atlassian.net",
		"http://127.0.0.1:80":                    "http://127.0.0.1",
		"http://[::0001]:08090/wiki":             "http://[::1]:8090/wiki",
		"https://wiki.xn--mller-kva.example:443": "https://wiki.xn--mller-kva.example",
		"http://stand_in:8090":                   "http://stand_in:8090",
	} {
		u, err := outgoing.ParseAddress(text)
		require.NoError(t, err, text)
		require.Equal(t, want, u.String(), text)
		again, err := outgoing.ParseAddress(u.String())
		require.NoError(t, err)
		require.Equal(t, u, again, "it is its own form")
	}
	for _, host := range []string{
		"", ".", "..", "acme..net", "acme.net..", ".acme.net", "*.atlassian.net", "*", "\uff41cme.atlassian.net", "acme.atl\u0430ssian.net",
		"acme\u3002atlassian.net", "acme.net\r", "acme.net\n", "acme.net\t", "acme .net", "acme.net:x", "acme.net:0", "acme.net:65536", "acme.net:443:443", "[::1%25eth0]",
		"[::1%25evil.com]", "u@acme.net", "u:p@acme.net", "-acme.net", "acme-.net", "acme.net\\evil.com", "acme.net%2fevil.com", "acme.net%00", "acme,net", "m\u00fcller.net",
	} {
		_, err := outgoing.ParseAddress("https://" + host)
		require.Error(t, err, "%q", host)
	}
	for _, text := range []string{"", "acme.net", "ftp://acme.net", "https:acme.net", "https:///wiki", "//acme.net", "https://acme.net?", "https://acme.net#", "https://acme.net/?a", "https://acme.net/#a"} {
		_, err := outgoing.ParseAddress(text)
		require.Error(t, err, text)
	}
}

func FuzzAddress(f *testing.F) {
	f.Add("https://acme.atlassian.net:443/wiki/")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := outgoing.ParseAddress(text)
		if err != nil {
			return
		}
		again, err := outgoing.ParseAddress(u.String())
		require.NoError(t, err, "%q", text)
		require.Equal(t, u.Host, again.Host)
		require.Equal(t, u.Path, again.Path)
		require.Regexp(t, `^[a-z0-9._:\[\]-]+$`, u.Host)
	})
}

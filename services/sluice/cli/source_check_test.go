package cli_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
)

// A source that cannot be synced is refused when it is added, not at its first sync.
func TestASpaceIsCheckedBeforeItIsAdded(t *testing.T) {
	t.Parallel()
	site := sandbox.New(sandbox.Options{})
	site.AddBuiltin()
	require.NoError(t, site.AddSpace("ENG", "Engineering"))
	require.NoError(t, site.AddSpace("SECRET", "Engineering secrets"))
	require.NoError(t, site.HideSpace("SECRET", true))
	served, err := sandbox.Serve("127.0.0.1:0", site)
	require.NoError(t, err)
	t.Cleanup(func() { _ = served.Close() })
	p := newPerson(t)
	p.withDatabase()
	p.env["CONFLUENCE_ALLOW_HTTP"], p.env["CONFLUENCE_ALLOWED_HOSTS"] = "true", strings.TrimPrefix(served.URL, "http://")
	p.env["SLUICE_MASTER_KEY_FILE"] = p.file("key", firstKey+"\n")
	p.sees("migrate", "up")
	add := func(id, space string, more ...string) []string {
		return append([]string{"source", "add", id, "--space", space}, more...)
	}
	sources := func() string { return p.sees("source", "list") }

	code, out, said := p.types(add("guess", "GUESS", "--base-url", served.URL)...)
	require.Zero(t, code, said)
	require.Contains(t, said, "was not checked: this command has no token", "the services may have one")
	require.Contains(t, out, "Source guess")
	require.Contains(t, out, "sluice source set guess --attachments on", "a new source has no files")
	p.sees("source", "remove", "guess", "--yes")

	p.env["CONFLUENCE_BASE_URL"] = served.URL
	p.env["CONFLUENCE_EMAIL"], p.env["CONFLUENCE_API_TOKEN"] = sandbox.DefaultEmail, sandbox.DefaultToken
	for space, suggestion := range map[string]string{
		"DMEO":        "did you mean: DEMO (",
		"engineering": "did you mean: ENG (Engineering)",
		"NOWHERE":     "it may read: ",
		"SECRET":      "it may read: ",
	} {
		said := p.fails(1, add("wrong", space)...)
		require.Contains(t, said, "the space "+space+" cannot be read at "+served.URL+"/wiki: no space with this key exists there")
		require.Contains(t, said, suggestion, space)
		require.NotContains(t, said, "Engineering secrets")
		require.Contains(t, said, "--no-check")
	}
	require.Contains(t, sources(), "No source yet")
	p.sees(add("docs", "demo")...)

	// What the token may not read of permissions is said at once, and refuses nothing.
	require.NoError(t, site.SetFaults(1, sandbox.Fault{Kind: sandbox.FaultScope, Route: "/wiki/api/v2/spaces/{id}/permissions"}))
	for permissions, hides := range map[string]bool{"": true, "enforce": true, "unrestricted-only": true, "open": false} {
		more := []string{"--permissions", permissions}
		code, _, said := p.types(add("hidden", "ENG", more[:2*min(1, len(permissions))]...)...)
		require.Zero(t, code, said)
		if hides {
			require.Contains(t, said, "who may read the space (all pages are hidden)")
			require.Contains(t, said, "read:space.permission:confluence")
		} else {
			require.NotContains(t, said, "stay hidden")
		}
		p.sees("source", "remove", "hidden", "--yes")
	}
	require.NoError(t, site.SetFaults(1))

	given := func(token string) []string {
		return []string{"--token-file", p.file("token", token), "--email", sandbox.DefaultEmail}
	}
	require.Contains(t, p.fails(1, add("own", "ENG", given("not-the-token")...)...), "check --email and the token; a scoped token needs --scoped")
	require.NotContains(t, sources(), "ENG")
	require.Contains(t, p.sees("secret", "list"), "No token is stored", "nor is its token stored")
	p.sees(add("own", "ENG", given(sandbox.DefaultToken)...)...)

	// So is a token or an address that a source gets later, and a token for a whole site.
	before := p.sees("secret", "list", "-o", "json")
	host := strings.TrimPrefix(served.URL, "http://")
	for line, says := range map[string]string{
		"source set own --token-file " + p.file("wrong", "not-the-token"):                                         "check --email and the token",
		"source set own --base-url http://127.0.0.1:1":                                                            "CONFLUENCE_ALLOWED_HOSTS",
		"secret set own --file " + p.file("wrong", "not-the-token"):                                               "the token was not stored: own cannot be read",
		"secret set " + host + " --email " + sandbox.DefaultEmail + " --file " + p.file("wrong", "not-the-token"): "check --email and the token",
	} {
		code, _, said := p.types(strings.Fields(line)...)
		require.NotZero(t, code, line)
		require.Contains(t, said, says, line)
	}
	require.NoError(t, site.SetFaults(1, sandbox.Fault{Kind: sandbox.FaultScope, Route: "/wiki/api/v2/spaces/{id}/pages"}))
	require.Contains(t, p.fails(1, "secret", "set", "own", "--file", p.file("token", sandbox.DefaultToken)), "add the scope read:page:confluence")
	require.Contains(t, p.fails(1, add("new", "SECRET", given(sandbox.DefaultToken)...)...), "no space with this key")
	require.NoError(t, site.SetFaults(1))
	require.NoError(t, site.HideSpace("ENG", true))
	said = p.fails(1, "source", "set", "own", "--token-file", p.file("token", sandbox.DefaultToken))
	require.Contains(t, said, "it may read: ", "the key was not mistyped")
	require.NotContains(t, said, "did you mean")
	require.NoError(t, site.HideSpace("ENG", false))
	require.Equal(t, before, p.sees("secret", "list", "-o", "json"))

	// Comments need a scope that a token may lack. Who asks for them is told so; by default, they wait for it.
	require.Contains(t, p.sees("source", "list", "-o", "json"), `"comments": "all"`)
	require.NoError(t, site.SetFaults(1, sandbox.Fault{Kind: sandbox.FaultScope, Route: "/wiki/api/v2/footer-comments"}))
	require.NoError(t, site.AddSpace("TALK", "Talk"))
	require.Contains(t, p.fails(1, add("talk", "TALK", "--comments", "all")...), "add the scope read:comment:confluence")
	code, _, said = p.types(add("talk", "TALK")...)
	require.Zero(t, code, said)
	require.Contains(t, said, "Syncs of space TALK leave something out")
	require.Contains(t, said, "add the scope read:comment:confluence")
	p.sees("source", "set", "talk", "--comments", "off")
	p.sees(add("talk", "TALK")...)
	require.Contains(t, p.sees("source", "list", "-o", "json"), `"comments": "off"`, "the same source again changes nothing")
	p.sees("source", "remove", "talk", "--yes")
	p.sees("source", "set", "own", "--comments", "off")
	for _, which := range []string{"all", "open"} {
		require.Contains(t, p.fails(1, "source", "set", "own", "--comments", which), "add the scope read:comment:confluence")
	}
	p.sees("source", "set", "own", "--comments", "off")
	p.sees("source", "set", "own", "--comments", "all", "--no-check")
	require.Contains(t, p.fails(1, "secret", "set", "own", "--file", p.file("token", sandbox.DefaultToken)), "add the scope read:comment:confluence")
	p.sees("source", "set", "own", "--comments", "off", "--token-file", p.file("token", sandbox.DefaultToken))
	require.NoError(t, site.SetFaults(1))
	p.sees("secret", "set", host, "--email", sandbox.DefaultEmail, "--file", p.file("token", sandbox.DefaultToken))
	p.sees("source", "set", "own", "--token-file", p.file("token", sandbox.DefaultToken))
	p.sees("secret", "remove", host)

	// A token of the source's own is not sent to a new address: the site is left unasked until the token is given again.
	host = strings.Replace(host, "127.0.0.1", "localhost", 1)
	p.env["CONFLUENCE_ALLOWED_HOSTS"] += "," + host
	code, out, said = p.types("source", "set", "own", "--base-url", "http://"+host)
	require.Zero(t, code, said)
	require.Contains(t, out, "Its site is at http://"+host)
	require.Contains(t, said, "source own was not checked")
	require.Contains(t, said, "sluice secret set own")
	p.sees("secret", "set", "own", "--file", p.file("token", sandbox.DefaultToken))
	p.sees("source", "set", "own", "--base-url", served.URL, "--token-file", p.file("token", sandbox.DefaultToken))

	p.env["CONFLUENCE_API_TOKEN"] = "expired"
	require.Contains(t, p.fails(1, add("other", "SECRET")...), "make a new API token")
	p.sees(add("docs", "demo")...) // it is there already: a script that adds it at each start needs no site
	require.Contains(t, p.sees(add("other", "SECRET", "--no-check")...), "Source other")
}

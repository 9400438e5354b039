package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
)

const (
	firstKey  = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	secondKey = "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
)

func (p *person) file(name, content string) string {
	p.t.Helper()
	path := filepath.Join(p.t.TempDir(), name)
	require.NoError(p.t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// fails runs a command line that must end with the code, and returns its error output.
func (p *person) fails(code int, args ...string) string {
	p.t.Helper()
	got, out, err := p.types(args...)
	require.Equal(p.t, code, got, "sluice %s\n%s%s", strings.Join(args, " "), out, err)
	return err
}

func TestSecretsFromSettingToRotation(t *testing.T) {
	t.Parallel()
	const canary = "canary-of-the-cli-1"
	p := newPerson(t)
	p.up()
	token := p.file("token", canary+"\n")
	var said strings.Builder
	sees := func(args ...string) string {
		out := p.sees(args...)
		said.WriteString(out)
		return out
	}
	fails := func(code int, args ...string) string {
		err := p.fails(code, args...)
		said.WriteString(err)
		return err
	}
	require.Contains(t, sees("secret", "list"), "No token is stored")
	add := []string{"source", "add", "docs", "--space", "DOCS", "--base-url", "https://acme.atlassian.net", "--token-file", token, "--no-check"}
	require.Contains(t, fails(2, append(add, "--email", "reader@acme.com")...), "SLUICE_MASTER_KEY")
	p.env["SLUICE_MASTER_KEY_FILE"] = p.file("key", firstKey+"\n")
	require.Contains(t, fails(2, add...), "--email")
	require.Contains(t, sees("source", "list"), "No source yet", "a source with a refused token is not added")
	require.Contains(t, sees(append(add, "--email", "reader@acme.com")...), "is stored")
	require.Contains(t, sees("secret", "set", "docs", "--file", token, "--no-check"), "already has this token")
	p.in = canary + "2\n"
	require.Contains(t, sees("secret", "set", "docs", "--no-check"), "of reader@acme.com for https://acme.atlassian.net/wiki")
	require.Contains(t, sees("secret", "set", "Legal.atlassian.net", "--email", "law@acme.com", "--file", token, "--no-check"), "legal.atlassian.net is stored")
	require.Contains(t, sees("source", "set", "docs", "--token-file", token, "--no-check"), "is stored")
	var set struct {
		KeyID string `json:"key_id"`
		Same  bool   `json:"same"`
	}
	require.NoError(t, json.Unmarshal([]byte(sees("secret", "set", "docs", "--file", token, "--no-check", "-o", "json")), &set))
	require.True(t, set.Same)

	tomorrow := time.Now().UTC().Add(24 * time.Hour).Format(time.DateOnly)
	require.Contains(t, fails(2, "secret", "set", "docs", "--file", token, "--no-check", "--expires", "soon"), "--expires must be a day in the future")
	require.Contains(t, fails(2, "source", "set", "docs", "--name", "Docs", "--expires", tomorrow), "need a token")
	sees("secret", "set", "docs", "--file", token, "--no-check", "--expires", tomorrow)
	require.Contains(t, sees("secret", "list"), tomorrow)
	for _, args := range [][]string{{"secret", "list"}, {"status"}, {"source", "list"}} {
		code, _, notice := p.types(args...)
		require.Zero(t, code)
		require.Contains(t, strings.Join(strings.Fields(notice), " "), "The token of docs expires on "+tomorrow+", in less than a day. Make a new one", args)
	}
	_, examined, _ := p.types("doctor")
	require.Contains(t, examined, "warn  token docs: The token of docs expires on")

	for args, says := range map[string]string{
		"secret set nobody --file " + token:                                       "there is no source",
		"secret set evil.example --file " + token:                                 "CONFLUENCE_ALLOWED_HOSTS",
		"secret set http://acme.atlassian.net --file " + token:                    "https",
		"secret set docs --file " + token + "-missing":                            "-missing",
		"secret set docs --file " + p.file("empty", "\n"):                         "empty",
		"secret set docs --file " + p.file("two", canary+" words"):                "no API token",
		"secret set docs --file " + p.file("hidden", "[redacted]"):                "[redacted]",
		"secret set docs " + canary:                                               "usage",
		"source add x --space X --base-url http://acme.atlassian.net":             "https",
		"source add x --space X --base-url https://evil.example":                  "CONFLUENCE_ALLOWED_HOSTS",
		"source add x --space X --base-url https://u:" + canary + "@evil.example": "credential",
		"source set docs --email x@acme.com":                                      "nothing to change",
		"source set docs --name x --email x@acme.com":                             "--token-file",
		"source set docs --token-file=":                                           "--token-file",
	} {
		argv := strings.Fields(args)
		code, out, err := p.types(argv...)
		require.NotZero(t, code, args)
		require.Contains(t, err, says, args)
		if argv[len(argv)-1] != canary { // canary was typed in the wrong place
			said.WriteString(out + err)
		}
	}
	require.Contains(t, sees("source", "add", "x", "--space", "X", "--base-url", "https://third.atlassian.net"), "Source x")

	// A wrong master key: every command that needs it reports that and changes nothing.
	before := sees("secret", "list", "-o", "json")
	p.env["SLUICE_MASTER_KEY_FILE"] = p.file("key", secondKey)
	require.Contains(t, fails(1, "secret", "set", "docs", "--file", token), "SLUICE_MASTER_KEYS_OLD")
	require.Contains(t, fails(1, "secret", "rotate"), "nothing was changed")
	require.Contains(t, sees("secret", "list"), "missing")
	p.env["SLUICE_MASTER_KEY_FILE"] = p.file("key", firstKey)
	require.Equal(t, before, sees("secret", "list", "-o", "json"))

	p.env["SLUICE_MASTER_KEY_FILE"] = p.file("key", secondKey)
	p.env["SLUICE_MASTER_KEYS_OLD"] = firstKey
	require.Contains(t, sees("secret", "list"), "sluice secret rotate")
	require.Contains(t, sees("secret", "rotate"), "2 tokens are encrypted again")
	delete(p.env, "SLUICE_MASTER_KEYS_OLD")
	require.NotContains(t, sees("secret", "list"), "missing")
	require.Contains(t, sees("secret", "rotate"), "0 tokens")
	require.Contains(t, sees("secret", "set", "docs", "--file", token, "--no-check"), "already has this token")

	require.Contains(t, sees("secret", "remove", "Legal.atlassian.net"), "removed")
	require.Contains(t, fails(1, "secret", "remove", "legal.atlassian.net"), "no token is stored")
	require.Contains(t, sees("source", "remove", "docs"), "removed")
	require.Contains(t, sees("secret", "list"), "No token is stored")
	for _, hidden := range []string{canary, firstKey, secondKey} {
		require.NotContains(t, said.String(), hidden)
	}
}

// A source with its own token needs nothing from the environment except the master key and the permission to call its
// site.
func TestUpReadsASourceWithItsOwnToken(t *testing.T) {
	t.Parallel()
	site := sandbox.New(sandbox.Options{Token: "of-this-source-alone"})
	site.AddBuiltin()
	served, err := sandbox.Serve("127.0.0.1:0", site)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, served.Close()) })
	p := newPerson(t)
	p.env = map[string]string{
		"SLUICE_MASTER_PASSPHRASE": "correct horse battery sandwich", "CONFLUENCE_ALLOW_HTTP": "true",
		"CONFLUENCE_ALLOWED_HOSTS": strings.TrimPrefix(served.URL, "http://"), "CONFLUENCE_REQUESTS_PER_SECOND": "1000",
	}
	out, stop := p.up()
	require.Contains(t, out.String(), "Confluence not configured")
	p.sees("source", "add", "docs", "--space", sandbox.BuiltinSpace, "--no-check", "--base-url", served.URL,
		"--token-file", p.file("wrong", "of-somebody-else"), "--email", sandbox.DefaultEmail)
	code, said, _ := p.types("sync", "docs", "--wait")
	require.Equal(t, 1, code)
	require.Contains(t, said, "not authorized")
	p.sees("source", "set", "docs", "--token-file", p.file("right", "of-this-source-alone"))
	require.Eventually(t, func() bool {
		code, out, _ := p.types("sync", "docs", "--wait")
		return code == 0 && strings.Contains(out, "completed")
	}, time.Minute, time.Second, "without a restart")
	stop()
}

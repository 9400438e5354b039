package cli_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sluice/cli"
)

// The command serves the site that the environment describes; flags take precedence.
func TestTheSandboxIsWhatItsSettingsSay(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.env = map[string]string{
		"SANDBOX_PAGES": "5", "SANDBOX_EMAIL": "reader@example.org", "SANDBOX_TOKEN": "of-this-site-alone", "SANDBOX_SCOPED": "true",
		"SANDBOX_CLOUD_ID": "acme", "SANDBOX_TITLE": "Acme",
	}
	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- cli.Run(ctx, []string{
			"sandbox", "--addr", "127.0.0.1:0", "--pages", "7", "--faults", `{"faults":[{"kind":"gone","route":"/wiki/api/v2/folders/{id}"}]}`,
		}, p.lookup, strings.NewReader(""), in, in)
		_ = in.Close()
	}()
	var said strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if said.WriteString(lines.Text() + "\n"); strings.Contains(lines.Text(), "Ctrl-C") {
			break
		}
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	require.Contains(t, said.String(), "space GEN, 7 pages")
	require.Contains(t, said.String(), "CONFLUENCE_EMAIL=reader@example.org CONFLUENCE_API_TOKEN=$SANDBOX_TOKEN")
	require.Contains(t, said.String(), "CONFLUENCE_GATEWAY=")
	require.NotContains(t, said.String(), "of-this-site-alone")

	url := regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(said.String())
	ask := func(path string) (int, string) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+path, nil)
		require.NoError(t, err)
		req.SetBasicAuth("reader@example.org", "of-this-site-alone")
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res.StatusCode, string(body)
	}
	status, _ := ask("/wiki/api/v2/pages")
	require.Equal(t, 401, status, "the token is scoped")
	status, _ = ask("/ex/confluence/acme/wiki/api/v2/pages")
	require.Equal(t, 200, status)
	status, _ = ask("/ex/confluence/acme/wiki/api/v2/folders/1")
	require.Equal(t, 410, status, "the fault of the flag")
	_, body := ask("/_sandbox/")
	require.Contains(t, body, `"site":"Acme"`)
	stop()
	require.Zero(t, <-ended)

	code, _, stderr := p.types("sandbox", "--pages", "-1")
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "SANDBOX_PAGES")
	code, _, stderr = p.types("sandbox", "--addr", "127.0.0.1:0", "--faults", "x")
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "SANDBOX_FAULTS")
}

//go:build !race

package cli_test

// The demo reads a PDF. The race detector makes loading the reader take more than a minute: "make test" runs the demo without it.

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/services/sluice/cli"
	"github.com/sluicehq/sluice/shared/embedding/embeddingtest"
	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/store/search"
)

func TestTheDemoAndWhatItLeaves(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	model := embeddingtest.NewServer(t)
	p.env = map[string]string{"EMBEDDINGS_URL": model.URL, "EMBEDDINGS_MODEL": "a-model", "SLUICE_PG_BINDIR": pgtest.VectorBinDir(t)}
	p.stopsADemo()
	code, out, said := p.types("demo", "--once")
	require.Zero(t, code, said)
	require.NotRegexp(t, `WRN|ERR|FTL`, said, "nothing of the demo that was stopped")
	for _, part := range []string{"First sync", "completed", "Second sync", "created  Harbour lights", "(trashed)", "(archived)", "(renamed)", "Search", "#", "Where to look next", "/console\n"} {
		require.Contains(t, out, part)
	}
	require.Regexp(t, `(?s)Search in comments: .*Halifax.*Search in files: .*halifax-notes\.pdf.*page 2`, out)
	require.NotContains(t, out, "failed")
	require.Regexp(t, `(?s)Search by meaning.*a vector of a-model.*(\d+) of \d+ chunks have one\.\n`, out)
	require.Regexp(t, `Vectors of a-model, active: (\d+) of \d+ chunks embedded, 0 pending`, p.sees("status"))

	require.Contains(t, p.sees("search", "harbour lights tested"), "Harbour lights")
	require.Contains(t, p.sees("source", "list"), "demo")
	require.Contains(t, p.sees("migrate", "verify"), "unchanged")
	require.Contains(t, p.sees("status"), "completed")

	var hits []struct{ PageID, URL string }
	require.NoError(t, json.Unmarshal([]byte(strings.ReplaceAll(p.sees("search", "harbour lights tested", "-o", "json"), "page_id", "PageID")), &hits))
	require.NotEmpty(t, hits)
	require.Contains(t, p.sees("page", hits[0].PageID), "first Monday")
	require.Contains(t, p.sees("page", hits[0].PageID, "--chunks"), hits[0].URL)
	p.sees("page", hits[0].PageID, "--losses")
	require.Regexp(t, `macro:toc +dropped +\d+ +\d+`, p.sees("source", "losses", "demo"))

	require.Regexp(t, "claude mcp add sluice -- [^ ]+ mcp --data "+p.data, out)
	p.in = assistantAsks
	code, protocol, said := p.types("mcp")
	p.in = ""
	require.Zero(t, code, said)
	lines := strings.Split(strings.TrimSpace(protocol), "\n")
	require.Len(t, lines, 2, "nothing but the protocol on stdout")
	require.Contains(t, lines[1], "Harbour lights")
	require.Contains(t, lines[1], "first Monday")

	out = p.sees("demo", "--once", "--words")
	require.Contains(t, out, "completed", "a second demo starts over")
	require.Contains(t, out, "Search is by words alone here")
	p.meetsWhatADemoLeft()
	require.Contains(t, p.sees("source", "remove", "demo"), "removed")
	require.Contains(t, p.sees("search", "harbour lights"), "Nothing found")
}

// stopsADemo starts a demo and presses Ctrl-C in its first sync.
func (p *person) stopsADemo() {
	p.t.Helper()
	ctx, cancel := context.WithCancel(p.t.Context())
	defer cancel()
	out, said := &lockedBuffer{}, &lockedBuffer{}
	ended := make(chan int, 1)
	go func() {
		ended <- cli.Run(ctx, []string{"demo", "--words", "--pages", "1000", "--data", p.data}, p.lookup, strings.NewReader(""), out, said)
	}()
	require.Eventually(p.t, func() bool { return strings.Contains(said.String(), "listing: ") }, time.Minute, time.Millisecond, said)
	cancel()
	require.Equal(p.t, 130, <-ended)
	require.NotRegexp(p.t, `WRN|ERR|FTL|continues`, said.String())
	require.Contains(p.t, said.String(), "Stopped. sluice demo starts over")
	require.Regexp(p.t, `cancelled`, p.sees("status"), "the sync does not seem to go on")
}

// meetsWhatADemoLeft looks at the source of a demo that has ended.
func (p *person) meetsWhatADemoLeft() {
	p.t.Helper()
	p.takesTheDemosPort()
	shown, stop := p.up()
	defer stop()
	require.Contains(p.t, shown.String(), "sluice demo made it, and its site has stopped")
	require.Contains(p.t, shown.String(), "No source of your own yet")
	code, _, said := p.types("sync", "demo")
	require.Equal(p.t, 1, code)
	require.Contains(p.t, said, "to remove it: sluice source remove demo")
	require.Regexp(p.t, `warn +source demo`, p.sees("doctor"), "that is no failure")
}

// takesTheDemosPort lets another program listen where the stand-in of the demo did, if no other test has come first.
func (p *person) takesTheDemosPort() {
	p.t.Helper()
	var sources []struct {
		BaseURL string `json:"base_url"`
	}
	require.NoError(p.t, json.Unmarshal([]byte(p.sees("source", "list", "-o", "json")), &sources))
	at, err := url.Parse(sources[0].BaseURL)
	require.NoError(p.t, err)
	other, err := sandbox.Serve(at.Host, sandbox.New(sandbox.Options{}))
	if err == nil {
		p.t.Cleanup(func() { require.NoError(p.t, other.Close()) })
	}
}

func TestSearchNarrowed(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.sees("demo", "--once", "--words")
	pages := func(args ...string) []string {
		var hits []search.Hit
		require.NoError(t, json.Unmarshal([]byte(p.sees(append(append([]string{"search"}, args...), "--limit", "50", "-o", "json")...)), &hits))
		ids := []string{}
		for _, h := range hits {
			ids = append(ids, h.PageID)
			require.NotEmpty(t, h.URL)
			require.NotEmpty(t, h.Breadcrumb, "%s: every page but the home page is below another", h.Title)
			require.Positive(t, h.Version)
			require.False(t, h.LastModified.IsZero())
		}
		slices.Sort(ids)
		return slices.Compact(ids)
	}
	const rotate = "65666"
	all := pages("signing keys", "--source", "demo")
	require.Contains(t, all, rotate)
	require.Greater(t, len(all), 1)
	for _, narrowed := range [][]string{
		{"--under", rotate}, {"--jira", "sec-412"}, {"--space", "DEMO", "--under", rotate}, {"--under", rotate, "--since", "2001-01-01"},
	} {
		require.Equal(t, []string{rotate}, pages(append([]string{"signing keys"}, narrowed...)...), narrowed)
	}
	require.Contains(t, pages("signing keys", "--label", "Runbook"), rotate)
	require.Contains(t, pages("leaked token", "--mentions", "63f0a7c1b24e9d5508a6e111"), "65673")
	require.Empty(t, pages("signing keys", "--space", "NONE"))
	require.Empty(t, pages("signing keys", "--since", time.Now().Add(time.Hour).Format(time.RFC3339)))
	require.Contains(t, p.sees("search", "signing", "keys", "--under", rotate), "\n   in ")

	code, _, said := p.types("search", "x", "--source", "nowhere")
	require.Equal(t, 1, code)
	require.Contains(t, said, "existing sources: demo")
	code, _, said = p.types("search", "x", "--under", "1")
	require.Equal(t, 1, code)
	require.Contains(t, said, `page "1" is not stored`)
}

package peers

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/converter/fidelity"
	"github.com/sluicehq/sluice/shared/page"
)

func TestEveryPeerIsPinned(t *testing.T) {
	exact := regexp.MustCompile(`^\d+(\.\d+)+$`)
	for _, p := range append(append([]peer{}, loaders...), converters...) {
		require.Regexp(t, exact, p.version(), p.name)
		_, err := drivers.ReadFile("drivers/" + p.driver)
		require.NoError(t, err, p.name)
		require.NotEmpty(t, p.settings, p.name)
	}
	text, err := drivers.ReadFile("drivers/package.json")
	require.NoError(t, err)
	require.NotRegexp(t, `"[\^~><*]`, string(text))
	require.NotContains(t, versions(), "  ", "a package has no version")
	require.Empty(t, pinned("package.json", "no-such-package"))
}

func TestVersionsAreComparedByNumber(t *testing.T) {
	for _, tc := range []struct {
		version, least string
		older          bool
	}{
		{"3.9", "3.10", true}, {"3.10", "3.10", false}, {"3.14", "3.10", false}, {"4.0", "3.10", false},
		{"16.20.0", "18", true}, {"20.1.2", "18", false}, {"3", "3.10", true},
	} {
		require.Equal(t, tc.older, older(tc.version, tc.least), "%s and %s", tc.version, tc.least)
	}
	_, err := interpreter(t.Context(), "no-such-interpreter", "1")
	require.ErrorContains(t, err, "not on PATH")
}

func TestPinsThatChangeAreInstalledAnew(t *testing.T) {
	dir := t.TempDir()
	done, mark := fresh(dir, []byte("a==1"))
	require.False(t, done)
	require.NoError(t, mark())
	done, _ = fresh(dir, []byte("a==1"))
	require.True(t, done)
	done, _ = fresh(dir, []byte("a==2"))
	require.False(t, done)
}

func TestAddressesOfOnePageAreOne(t *testing.T) {
	j := &judge{site: "http://127.0.0.1:1", home: "7", links: map[string]page.Link{"Rotate the keys": {PageID: "42"}}}
	for _, address := range []string{
		"http://127.0.0.1:1/wiki/spaces/DEMO/pages/42/Rotate+the+keys", "/wiki/spaces/DEMO/pages/42#If-it-goes-wrong",
		"http://127.0.0.1:1/wiki/pages/viewpage.action?pageId=42", "http://127.0.0.1:1/wiki/display/DEMO/Rotate+the+keys", "42.md", "./42.md#x",
	} {
		require.Equal(t, "page 42", j.plain(address), address)
	}
	require.Equal(t, "page 7", j.plain("/wiki/spaces/DEMO/overview"))
	require.Equal(t, "/browse/OPS-1", j.plain("http://127.0.0.1:1/browse/OPS-1"))
	require.Equal(t, j.plain("http://127.0.0.1:1/wiki/download/attachments/42/a.pdf"), j.plain("/wiki/download/attachments/42/a.pdf?api=v2"))
	require.Equal(t, "https://example.org/a?b=c", j.plain("https://example.org/a?b=c#d"))
	require.NotEqual(t, "page 42", j.plain("/wiki/display/DEMO/Another"))
}

func TestAFolderIsScoredPageByPage(t *testing.T) {
	j := &judge{site: "http://h", pages: []pageTruth{
		{ID: "1", Title: "One", Body: "<h2>Top</h2><p>alpha beta</p>", URL: "http://h/wiki/spaces/S/pages/1"},
		{ID: "2", Title: "Two", Body: `<p>gamma <a href="#top">up</a></p>`, URL: "http://h/wiki/spaces/S/pages/2"},
	}}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "1.md"), []byte("## Top\n\nalpha beta\n"), 0o600))
	scores, there, err := j.score(dir, "S")
	require.NoError(t, err)
	require.Equal(t, 1, there)
	require.Equal(t, 3, scores[fidelity.Words].Found, "the page that is missing has lost all of its words")
	require.Equal(t, 5, scores[fidelity.Words].Total)

	require.NoError(t, os.WriteFile(filepath.Join(dir, "2.md"), []byte("gamma [up](2.md#top)"), 0o600))
	scores, there, err = j.score(dir, "S")
	require.NoError(t, err)
	require.Equal(t, 2, there)
	require.Equal(t, fidelity.Score{Found: 1, Total: 1}, scores[fidelity.Links])
}

func TestTheMedianCountsAndAnErrorStays(t *testing.T) {
	run := func(s int) Run { return Run{Pages: 10, Wall: time.Duration(s) * time.Second, Calls: int64(s)} }
	got := summed(peer{name: "p"}, []Run{run(9), run(2), run(4)}, nil, 10)
	require.Equal(t, run(4), got.run)
	require.Equal(t, []time.Duration{2 * time.Second, 9 * time.Second}, []time.Duration{got.low, got.top})
	bad := summed(peer{name: "p"}, []Run{run(1), {Err: "no"}}, nil, 10)
	require.Equal(t, "no", bad.run.Err)
}

// TestTheReportIsWhole writes a report with every kind of row, and expects every figure where it
// belongs and no gap left open.
func TestTheReportIsWhole(t *testing.T) {
	full := Scores{fidelity.Words: {Found: 9_999, Total: 10_000}, fidelity.Code: {Found: 5, Total: 5}}
	tab := table{what: "GEN", pages: 1000, bytes: 5_000_000, results: []result{
		{peer: ours, run: Run{Pages: 1000, Wall: 2 * time.Second, CPU: 3 * time.Second, Memory: 64 << 20, Calls: 20}, low: time.Second, top: 3 * time.Second, scores: full, total: 1000},
		{peer: loaders[0], run: Run{Pages: 1000, Wall: 8 * time.Second, Calls: 40}, scores: full, total: 1000},
		{peer: loaders[2], run: Run{Err: "TypeError: `x`"}, total: 1000},
	}}
	r := report{options: Options{Pages: []int{1000}, Rounds: 3}, machine: "a machine", loads: []table{tab}, macros: tab, limited: tab, generated: tab, builtin: tab}
	var b bytes.Buffer
	require.NoError(t, r.write(&b))
	text := b.String()
	require.NotContains(t, text, "{{")
	require.Contains(t, text, "| Sluice | 1,000 | 2.00 | 1.00 – 3.00 | 500 | 3.00 | 64.0 | 20 | 0.020 | – |")
	require.Contains(t, text, "| LangChain, newest client | error | – |")
	require.Contains(t, text, "- LangChain, newest client: `TypeError: 'x'`")
	require.Contains(t, text, "4.0 × the pages a second")
	require.Contains(t, text, "0.50 × the calls a page")
	require.Contains(t, text, "| Sluice | 99.9 | – | 100 | – |", "what is not all is not 100")
	require.Contains(t, text, "PAGES=1000 ROUNDS=3")
	require.Contains(t, text, "## At 10 requests a second")

	var lines bytes.Buffer
	require.NoError(t, Aligned(&lines, text))
	require.NotContains(t, lines.String(), "| ---")
	require.Regexp(t, `(?m)^Sluice +1,000 +2\.00`, lines.String())
}

func TestFiguresAreShort(t *testing.T) {
	require.Equal(t, []string{"0.12", "12.3", "123", "1,235", "1,234,567"}, []string{short(0.123), short(12.34), short(123.4), short(1234.6), thousands(1234567)})
	require.Equal(t, "–", known(0))
	require.Zero(t, per(5, 0))
}

func TestADriverTakesTurns(t *testing.T) {
	in, out := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(in, "7.html"), []byte("<h2>Top</h2><p>x</p>"), 0o600))
	env := map[string]string{"IN": in, "OUT": out, "SITE": "http://h/wiki", "SPACE": "S"}
	var said strings.Builder
	require.NoError(t, Convert(func(name string) string { return env[name] }, strings.NewReader("\n"), &said))
	require.Regexp(t, `^ready\ndone \{"error":"","seconds":[0-9.e-]+\}\n$`, said.String())
	text, err := os.ReadFile(filepath.Join(out, "7.md"))
	require.NoError(t, err)
	require.Contains(t, string(text), "## Top")
	require.Error(t, Convert(func(string) string { return "" }, strings.NewReader(""), io.Discard), "nobody gave the word")
}

func TestAChildsLastWordsAreItsError(t *testing.T) {
	c, err := begin(t.Context(), os.Environ(), "sh", "-c", "echo one; echo two >&2; echo no good >&2; exit 3")
	require.NoError(t, err)
	_, err = c.hear("ready")
	require.EqualError(t, err, "no good")

	r, err := drive(t.Context(), site{}, nil, "sh", "-c", `echo ready; read x; echo 'done {"seconds": 1.5, "error": "KeyError: body"}'; read x`)
	require.NoError(t, err)
	require.Equal(t, "KeyError: body", r.Err)
	require.Equal(t, 1500*time.Millisecond, r.Wall)
}

func TestTheSiteIsAProcessWithEverythingOnIt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	read, write, err := os.Pipe()
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- ServeSite(ctx, 60, write) }()
	said := make([]byte, 100)
	n, err := read.Read(said)
	require.NoError(t, err)
	s := site{url: strings.TrimSpace(string(said[:n]))}
	j, err := newJudge(ctx, s, "DEMO")
	require.NoError(t, err)
	require.NotEmpty(t, j.users, "the people whom pages mention have names")
	require.NotEmpty(t, j.home)
	generated, err := s.pages(ctx, "GEN")
	require.NoError(t, err)
	require.Len(t, generated, 60)
	require.Contains(t, generated[1].Body, "<p>")
	require.NoError(t, s.resetStats(ctx))
	require.NoError(t, s.call(ctx, "GET", "/rest/api/space/GEN", nil, nil), "without /wiki too")
	require.NoError(t, s.limit(ctx, 1))
	for err == nil {
		err = s.call(ctx, "GET", "/rest/api/space/GEN", nil, nil)
	}
	require.ErrorContains(t, err, "429")
	require.NoError(t, s.limit(ctx, 0))
	stats, err := s.stats(ctx)
	require.NoError(t, err)
	require.Positive(t, stats.Statuses[429])
	cancel()
	require.NoError(t, <-ended)
}

package peers

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/lab/bench/site"
	"github.com/sluicehq/sluice/lab/bench/versus"
	"github.com/sluicehq/sluice/lab/fidelity"
	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/page"
)

func TestEveryPeerIsPinned(t *testing.T) {
	exact := regexp.MustCompile(`^\d+(\.\d+)+$`)
	for _, p := range append(append([]peer{}, loaders...), converters...) {
		require.Regexp(t, exact, pinned(p.file, p.of), p.name)
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

// row is a line of a report, without the alignment of its columns.
func row(t *testing.T, text, name string) string {
	t.Helper()
	for line := range strings.Lines(text) {
		if cells := strings.Join(strings.Fields(line), " "); strings.HasPrefix(cells, "| "+name+" |") {
			return cells
		}
	}
	t.Fatalf("no row of %s in\n%s", name, text)
	return ""
}

// TestTheReportIsWhole writes a report with every kind of row, and expects every figure in its place and
// no gap.
func TestTheReportIsWhole(t *testing.T) {
	full := Scores{fidelity.Words: {Found: 9_999, Total: 10_000}, fidelity.Code: {Found: 5, Total: 5}}
	tab := comparison{site: atOnce, pages: 1000, bytes: 5_000_000, results: []result{
		{peer: whole, scores: full, rounds: []versus.Run{
			{Pages: 1000, Wall: time.Second, Calls: 19}, {Pages: 1000, Wall: 3 * time.Second, Calls: 21},
			{Pages: 1000, Wall: 2 * time.Second, CPU: 3 * time.Second, Memory: 64 << 20, Calls: 20},
		}},
		{peer: toMarkdown, scores: full, rounds: []versus.Run{{Pages: 1000, Wall: 500 * time.Millisecond, Calls: 20}}},
		{peer: loaders[0], rounds: []versus.Run{{Pages: 1000, Wall: 8 * time.Second, Calls: 25}}, scores: full},
		{peer: loaders[1], rounds: []versus.Run{{Pages: 1000, Wall: 9 * time.Second, Calls: 10}}, scores: full},
		{peer: loaders[2], rounds: []versus.Run{{Err: "TypeError: `x`"}}},
	}}
	late := comparison{site: slow, pages: 1000, results: []result{
		{peer: whole, rounds: []versus.Run{{Pages: 1000, Wall: 5 * time.Second, Calls: 20}}},
		{peer: loaders[6], rounds: []versus.Run{{Pages: 900, Wall: 3 * time.Minute, Calls: 1800, Stopped: true}}},
	}}
	r := report{options: Options{Pages: []int{1000}, Rounds: 3, Slow: 1000}, machine: "a machine", loads: []comparison{tab}, macros: tab, slow: late, limited: tab, generated: tab, builtin: tab}
	var b bytes.Buffer
	require.NoError(t, r.write(&b))
	text := b.String()
	require.NotContains(t, text, "{{")
	require.NotContains(t, text, "\n\n\n")
	require.Equal(t, "| Sluice | 1,000 | 2.00 | 1.00 – 3.00 | 500 | 3 | 64.0 | 20 | 0.020 | – |", row(t, text, "Sluice"))
	require.Contains(t, row(t, text, "LangChain, newest client"), "| error | – |")
	require.Contains(t, text, "- LangChain, newest client: `TypeError: 'x'`")
	require.Contains(t, text, "- Sluice against the fastest peer (LangChain ConfluenceLoader): 4.00 × the pages a second, 0.80 × the calls a page. The aim, 10 × the pages a second with a tenth of the calls: **not met**.")
	require.Contains(t, text, "- Sluice, to Markdown against the fastest peer (LangChain ConfluenceLoader): 16.00 × the pages a second, 0.80 × the calls a page.")
	require.Contains(t, text, "A tenth of that peer's calls would be 400 pages a call, and Confluence gives at most 250")
	require.Contains(t, text, "- Sluice against the peer with the fewest calls (LangChain, by CQL): 4.50 × the pages a second, 2.00 × the calls a page.")
	_, scores, found := strings.Cut(text, "The generated pages")
	require.True(t, found)
	require.Contains(t, row(t, scores, "Sluice"), "| 99.9 | – | 100 | – |", "what is not all is not 100")
	require.Contains(t, text, "PAGES=1000 ROUNDS=3 SLOW=1000")
	require.Contains(t, text, "## At 10 requests a second")

	_, atSlow, found := strings.Cut(text, "## At 200 ms an answer")
	require.True(t, found)
	require.Contains(t, row(t, atSlow, "confluence-markdown-exporter"), "| stopped, 900 by then | 180.00 | 180.00 – 180.00 | 5 |")
	require.Contains(t, atSlow, "what is not done after 3 minutes\nis stopped")
	require.Contains(t, atSlow, "- Sluice against the fastest peer (confluence-markdown-exporter): 40.00 × the pages a second, 0.01 × the calls a page. The aim, 10 × the pages a second with a tenth of the calls: **met**.")
}

func TestWhatThePlatformCannotTell(t *testing.T) { require.Equal(t, "–", known(0)) }

// driven is one of Sluice's drivers in this process, which has reported that it is ready.
type driven struct {
	say   *io.PipeWriter
	lines *bufio.Scanner
	ended chan error
}

// sluiceToMarkdown starts the driver as the comparison does.
func sluiceToMarkdown(ctx context.Context, t *testing.T, s standIn, pages int, out string) driven {
	t.Helper()
	set := map[string]string{"PAGES": fmt.Sprint(pages), "SPACE": sandbox.GeneratedSpace, "OUT": out, "SLUICE_PG_BINDIR": os.Getenv("SLUICE_PG_BINDIR")}
	for _, setting := range settingsOf(s, 1000) {
		name, value, _ := strings.Cut(setting, "=")
		set[name] = value
	}
	hear, say := io.Pipe()
	in, tell := io.Pipe()
	d := driven{tell, bufio.NewScanner(hear), make(chan error, 1)}
	go func() {
		err := ToMarkdown(ctx, func(name string) (string, bool) { value, there := set[name]; return value, there }, in, say)
		d.ended <- errors.Join(err, say.Close())
	}()
	require.Equal(t, "ready", d.hear(t))
	require.NoError(t, s.Forget(t.Context()))
	_, err := io.WriteString(tell, "\n")
	require.NoError(t, err)
	return d
}

func (d driven) hear(t *testing.T) string {
	t.Helper()
	if !d.lines.Scan() {
		require.NoError(t, <-d.ended)
		require.Fail(t, "it has ended without a word")
	}
	return d.lines.Text()
}

func TestSluiceUpToItsMarkdown(t *testing.T) {
	const pages = 60
	s, out := serving(t, pages), t.TempDir()
	d := sluiceToMarkdown(t.Context(), t, s, pages, out)
	require.Regexp(t, `^done \{"error":"","seconds":[0-9.e-]+\}$`, d.hear(t))
	stats, err := s.Stats(t.Context())
	require.NoError(t, err)
	require.Positive(t, stats.Total)
	require.Empty(t, files(t, out), "nothing is written while time is taken")
	require.NoError(t, d.say.Close())
	require.NoError(t, <-d.ended)
	require.Len(t, files(t, out), pages)
	j, err := newJudge(t.Context(), s, sandbox.GeneratedSpace)
	require.NoError(t, err)
	scores, there, err := j.score(out, sandbox.GeneratedSpace)
	require.NoError(t, err)
	require.Equal(t, pages, there)
	require.Equal(t, scores[fidelity.Words].Total, scores[fidelity.Words].Found)
}

// A stopped run still hands over its pages.
func TestSluiceIsStoppedBeforeItsLastPage(t *testing.T) {
	const pages = 30
	s, out := serving(t, pages), t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	d := sluiceToMarkdown(ctx, t, s, pages+1, out) // one more than ever come
	require.Eventually(t, func() bool {
		stats, err := s.Stats(t.Context())
		return err == nil && stats.Total > 0
	}, time.Minute, 10*time.Millisecond)
	cancel()
	require.Regexp(t, `^done \{"error":".+","seconds":[0-9.e-]+\}$`, d.hear(t))
	require.NoError(t, d.say.Close())
	require.NoError(t, <-d.ended)
	require.LessOrEqual(t, len(files(t, out)), pages)
}

func files(t *testing.T, dir string) []os.DirEntry {
	t.Helper()
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	return list
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

	r, err := drive(t.Context(), standIn{}, time.Minute, driver{program: "sh", args: []string{"-c", `echo ready; read x; echo 'done {"seconds": 1.5, "error": "KeyError: body"}'; read x`}})
	require.NoError(t, err)
	require.Equal(t, "KeyError: body", r.Err)
	require.Equal(t, 1500*time.Millisecond, r.Wall)
}

// The pages that a run has handed over at the end of its time count, and no later ones.
func TestARunIsStoppedWhenItsTimeIsOver(t *testing.T) {
	dir := t.TempDir()
	script := `echo ready; read x; echo text > "$OUT/1.md"; exec sleep 600`
	r, err := drive(t.Context(), standIn{}, 100*time.Millisecond, driver{"sh", []string{"-c", script}, []string{"OUT=" + dir}, os.Kill})
	require.NoError(t, err)
	require.True(t, r.Stopped)
	require.Empty(t, r.Err)
	require.GreaterOrEqual(t, r.Wall, 100*time.Millisecond)
	require.Less(t, r.Wall, time.Minute)
	j := &judge{site: "http://h", pages: []pageTruth{{ID: "1", Body: "<p>text</p>"}, {ID: "2", Body: "<p>more</p>"}}}
	r, scores, err := (&bench{}).judged(r, j, dir, "S")
	require.NoError(t, err)
	require.Equal(t, 1, r.Pages)
	require.Nil(t, scores)
	require.Equal(t, "stopped: 1 pages in 1s, 7 calls", told(versus.Run{Pages: 1, Wall: time.Second, Calls: 7, Stopped: true}))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err = drive(ctx, standIn{}, time.Minute, driver{"sh", []string{"-c", script}, []string{"OUT=" + dir}, os.Kill})
	require.True(t, err != nil || r.Err != "", "whoever is called off is not merely late")
	require.False(t, r.Stopped)
}

// serving serves the stand-in until the test ends, and then expects that it has ended well.
func serving(t *testing.T, pages int) standIn {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	hear, say := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- ServeSite(ctx, pages, say) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	lines := bufio.NewScanner(hear)
	require.True(t, lines.Scan(), "it says where it is")
	return standIn{Site: site.Site{URL: lines.Text()}}
}

func TestTheSiteHasEverythingOnIt(t *testing.T) {
	ctx, s := t.Context(), serving(t, 60)
	j, err := newJudge(ctx, s, "DEMO")
	require.NoError(t, err)
	require.NotEmpty(t, j.users, "the people whom pages mention have names")
	require.NotEmpty(t, j.home)
	generated, err := s.pages(ctx, "GEN")
	require.NoError(t, err)
	require.Len(t, generated, 60)
	require.Contains(t, generated[1].Body, "<p>")
	require.NoError(t, s.Forget(ctx))
	require.NoError(t, s.Ask(ctx, "GET", "/rest/api/space/GEN", nil, nil), "without /wiki too")
	require.NoError(t, s.Behave(ctx, site.AtMost(1)))
	for err == nil {
		err = s.Ask(ctx, "GET", "/rest/api/space/GEN", nil, nil)
	}
	require.ErrorContains(t, err, "429")
	require.NoError(t, s.Behave(ctx))
	stats, err := s.Stats(ctx)
	require.NoError(t, err)
	require.Positive(t, stats.Statuses[429])
}

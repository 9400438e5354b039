package console

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/page"
)

// What others wrote is embedded as it was published, at a version that is written down.
func TestEmbeddedScriptsAreThoseThatWereReleased(t *testing.T) {
	t.Parallel()
	text, err := files.ReadFile("assets/vendor.txt")
	require.NoError(t, err)
	known := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 5 && f[0] != "#" {
			b, err := files.ReadFile("assets/" + f[0])
			require.NoError(t, err)
			sum := sha256.Sum256(b)
			require.Equal(t, f[4], hex.EncodeToString(sum[:]), "%s is not %s %s", f[0], f[1], f[2])
			known[f[0]] = true
		}
	}
	list, err := fs.Glob(files, "assets/*.js")
	require.NoError(t, err)
	require.Len(t, known, len(list), "every script is in vendor.txt")
}

// The policy allows no inline script or style, and no page needs one or another host.
func TestTemplatesHaveNothingInline(t *testing.T) {
	t.Parallel()
	list, err := fs.Glob(files, "views/*.html")
	require.NoError(t, err)
	require.NotEmpty(t, list)
	for _, name := range list {
		b, err := files.ReadFile(name)
		require.NoError(t, err)
		for _, bad := range []string{"style=", "<style", "onclick", "hx-on", "javascript:", `src="http`, `href="http`, `action="http`, "<script>"} {
			require.NotContains(t, string(b), bad, name)
		}
	}
}

func TestWhereALogInGoesOn(t *testing.T) {
	t.Parallel()
	for next, want := range map[string]string{
		"": Root, "/console": Root, "/console/search?q=a%20b": "/console/search?q=a%20b", "/console/runs/r1": "/console/runs/r1",
		"/consoles": Root, "//evil.example/console": Root, "https://evil.example/console/": Root, "/console/\\evil": Root, "/api": Root,
		"javascript:alert(1)": Root, "/console/\n": Root, "%": Root,
	} {
		require.Equal(t, want, after(next), "%q", next)
	}
}

func TestNumbersAndTimesAreWrittenForPeople(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567"} {
		require.Equal(t, want, grouped(n))
	}
	require.Equal(t, 99, share(999, 1000))
	require.Equal(t, 1, share(1, 1000))
	require.Equal(t, 0, share(0, 0))
	require.Equal(t, 100, share(7, 7))
}

// Markdown from a page runs nothing, loads nothing, and leads only where links may lead.
func TestHostileMarkdownIsShownAsText(t *testing.T) {
	t.Parallel()
	for markdown, want := range map[string]string{
		"<script>x</script>\n\na":                                   "<!-- raw HTML omitted -->\n<p>a</p>\n",
		"a <img src=x onerror=y> b":                                 "<p>a <!-- raw HTML omitted --> b</p>\n",
		"[a](javascript:x)":                                         "<p><em>a</em></p>\n",
		"[a](JaVaScript:x) [b](data:text/html,x)":                   "<p><em>a</em> <em>b</em></p>\n",
		"[a](/console/logout) [b](//evil.example)":                  "<p><em>a</em> <em>b</em></p>\n",
		"[a](https://acme.example/x?y=1&z=2)":                       "<p><a href=\"https://acme.example/x?y=1&amp;z=2\">a</a></p>\n",
		"[a](mailto:me@acme.example)":                               "<p><a href=\"mailto:me@acme.example\">a</a></p>\n",
		"![a](https://acme.example/x.png)":                          "<p><a href=\"https://acme.example/x.png\">image: a</a></p>\n",
		"![](https://acme.example/x.png)":                           "<p><a href=\"https://acme.example/x.png\">image: https://acme.example/x.png</a></p>\n",
		"![a](javascript:x)":                                        "<p><em>image: a</em></p>\n",
		"[![a](https://acme.example/x.png)](https://acme.example/)": "<p><a href=\"https://acme.example/\"><em>image: a</em></a></p>\n",
		"[](https://acme.example/)":                                 "<p><a href=\"https://acme.example/\">https://acme.example/</a></p>\n",
		"<javascript:x>":                                            "<p>javascript:x</p>\n",
		"<https://acme.example/>":                                   "<p><a href=\"https://acme.example/\">https://acme.example/</a></p>\n",
		"# a\n\n#### b":                                             "<h3>a</h3>\n<h4>b</h4>\n",
		"## a\n\n# b":                                               "<h3>a</h3>\n<h3>b</h3>\n",
		"| a |\n|:-:|\n| b |":                                       "<table>\n<thead>\n<tr>\n<th align=\"center\">a</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td align=\"center\">b</td>\n</tr>\n</tbody>\n</table>\n",
	} {
		got, err := rendered(markdown, nil)
		require.NoError(t, err)
		require.Equal(t, want, string(got), markdown)
	}
}

// A loss is marked before the block in which, or before which, it happened, and what it says is text.
func TestLossesAreMarkedWhereTheyHappened(t *testing.T) {
	markdown := "# One\n\nFirst *words*\nof two lines.\n\n- a\n- b\n  - c\n\n```\ncode\n```\n\n---\n\n| a |\n| - |\n| b |\n"
	lost := func(line int) string {
		t.Helper()
		html, err := rendered(markdown, []page.Loss{
			{Element: "macro:<b>", Fate: page.Dropped, Count: 1, Reason: "why & how", Lines: []int{line}},
			{Element: "unplaced", Fate: page.Dropped, Count: 1},
		})
		require.NoError(t, err)
		before, after, found := strings.Cut(string(html), `<p class="note warn lost" id="lost-`+strconv.Itoa(line)+`">Lost here: macro:&lt;b&gt;: dropped, why &amp; how</p>`+"\n")
		require.True(t, found, html)
		require.NotContains(t, html, "unplaced")
		plain, err := rendered(markdown, nil)
		require.NoError(t, err)
		require.Equal(t, string(plain), before+after)
		return strings.SplitN(after+"\n", "\n", 2)[0]
	}
	for line, follows := range map[int]string{
		1: "<h3>One</h3>", 2: "<p>First <em>words</em>", 3: "<p>First <em>words</em>", 4: "<p>First <em>words</em>", 5: "<ul>", 8: "<ul>",
		10: "<pre><code>code", 11: "<pre><code>code", 16: "<table>", 18: "<table>", 19: "", 99: "",
	} {
		require.Equal(t, follows, lost(line), "line %d", line)
	}
}

func TestAPanelHasItsName(t *testing.T) {
	t.Parallel()
	body, err := rendered("> [!WARNING]\n> Change *it* later.\n\n> [!NOTE]\n\n> [!OTHER] text\n\n> said <b>\n", nil)
	require.NoError(t, err)
	text := string(body)
	require.Contains(t, text, "<strong>Warning: </strong>Change <em>it</em> later.")
	require.Contains(t, text, "<strong>Note: </strong>")
	require.Contains(t, text, "[!OTHER] text")
	require.NotContains(t, text, "<b>")
}

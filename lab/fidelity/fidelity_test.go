package fidelity

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// malformed is the golden page that no XML parser can read, so the oracle cannot.
const malformed = "malformed"

// TestGoldenPagesKeepEverything scores the converter's golden pages: the Markdown must contain everything that the
// oracle reads.
func TestGoldenPagesKeepEverything(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("../../services/converter/markdown/testdata/golden/*/in.xml")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	var pages []Page
	for _, path := range paths {
		name := filepath.Base(filepath.Dir(path))
		body, err := os.ReadFile(path)
		require.NoError(t, err)
		p, err := Of(name, string(body), Facts())
		if name == malformed {
			require.ErrorContains(t, err, "read storage format")
			continue
		}
		require.NoError(t, err)
		pages = append(pages, p)
		for f, s := range p.Scores {
			require.Equal(t, s.Total, s.Found, "%s: %s lost %q", name, f, s.Lost)
		}
	}
	for f, s := range Sum(pages) {
		require.Positive(t, s.Total, "no golden page has %s", f)
	}
	var table strings.Builder
	require.NoError(t, Write(&table, pages, 3))
	t.Logf("\n%s", &table) // make fidelity shows it
}

const sample = `<h2>Steps</h2><p>Read <a href="https://example.org/x">the log</a>, ask <ac:link><ri:user ri:account-id="u1" /></ac:link>.</p>
<table><tbody><tr><th>a</th><th>b</th></tr><tr><td rowspan="2">one</td><td>two</td></tr><tr><td>three</td></tr></tbody></table>
<ac:structured-macro ac:name="code"><ac:plain-text-body><![CDATA[x = 1

]]></ac:plain-text-body></ac:structured-macro>
<ac:task-list><ac:task><ac:task-status>complete</ac:task-status><ac:task-body>pack</ac:task-body></ac:task></ac:task-list>
<ac:image><ri:attachment ri:filename="p.png" /></ac:image>`

const sampleMarkdown = "## Steps\n\nRead [the log](https://example.org/x), ask @u1.\n\n" +
	"| a | b |\n| --- | --- |\n| one | two |\n| one | three |\n\n" +
	"```\nx = 1\n\n\n```\n\n- [x] pack\n\n![p.png](https://example.atlassian.net/wiki/download/attachments/1/p.png)\n"

// TestDamageIsSeen takes correct Markdown, damages one item, and requires a lower score for that feature, and for
// words if words were lost.
func TestDamageIsSeen(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		old, new string
		hit      []Feature
	}{
		"nothing":            {"", "", nil},
		"a word lost":        {"the log", "the", []Feature{Words}},
		"words swapped":      {"Read [the log](https://example.org/x), ask", "ask, Read [the log](https://example.org/x)", []Feature{Words}},
		"a heading lowered":  {"## Steps", "### Steps", []Feature{Headings}},
		"a heading unmade":   {"## Steps", "**Steps**", []Feature{Headings}},
		"a byte of code":     {"x = 1\n\n", "x = 1\n", []Feature{Code}},
		"a cell shifted":     {"| one | three |", "| three | |", []Feature{Cells}},
		"a link's target":    {"org/x", "org/y", []Feature{Links}},
		"an image's address": {"/p.png", "/q.png", []Feature{Images}},
		"a task reopened":    {"- [x]", "- [ ]", []Feature{Tasks}},
		"a mention unmade":   {"@u1", "u1", []Feature{Mentions}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, err := readSource(sample, Facts())
			require.NoError(t, err)
			damaged := strings.Replace(sampleMarkdown, tc.old, tc.new, 1)
			require.True(t, tc.old == "" || damaged != sampleMarkdown)
			got, err := readMarkdown(damaged)
			require.NoError(t, err)
			for f, s := range compare(want, got) {
				require.Positive(t, s.Total, f)
				hit := false
				for _, h := range tc.hit {
					hit = hit || h == f
				}
				require.Equal(t, hit, s.Found < s.Total, "%s: %+v", f, s)
			}
		})
	}
}

func TestCommonSubsequence(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		want, got string
		kept      int
	}{
		{"", "", 0}, {"a b c", "", 0}, {"", "a", 0}, {"a b c", "a b c", 3},
		{"a b c d", "x b c y d z", 3}, {"a b c a b b a", "c b a b a c", 4}, {"a b", "b a", 1},
		{"the quick brown fox", "quick the brown red fox", 3},
	} {
		kept := 0
		for _, k := range commonSubsequence(strings.Fields(tc.want), strings.Fields(tc.got)) {
			if k {
				kept++
			}
		}
		require.Equal(t, tc.kept, kept, "%q and %q", tc.want, tc.got)
	}
}

func TestReportNamesWhatIsLost(t *testing.T) {
	t.Parallel()
	pages := []Page{
		{Name: "good.xml", Scores: map[Feature]Score{Words: {Found: 10, Total: 10}}},
		{Name: "poor.xml", Scores: map[Feature]Score{Words: {Found: 9, Total: 10, Lost: []string{"gone"}}, Code: {Found: 1, Total: 500}}},
	}
	var b strings.Builder
	require.NoError(t, Write(&b, pages, 5))
	require.Contains(t, b.String(), "words             19        20   95.00 %")
	require.Contains(t, b.String(), `words      90.00 %  lost ["gone"]`)
	require.NotContains(t, b.String(), "good.xml")
}

func TestFolderWantsBodies(t *testing.T) {
	t.Parallel()
	_, _, err := Folder(t.TempDir())
	require.ErrorContains(t, err, "no *.xml")

	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.xml"), []byte("<p>one word</p>"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "b.xml"), []byte("<p>one < word"), 0o600))
	pages, unread, err := Folder(dir)
	require.NoError(t, err)
	require.Len(t, pages, 1)
	require.Len(t, unread, 1)
	require.Equal(t, Score{Found: 2, Total: 2}, pages[0].Scores[Words])
}

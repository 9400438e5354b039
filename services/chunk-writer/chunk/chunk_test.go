package chunk_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/chunk-writer/chunk"
	"github.com/sluicehq/sluice/shared/page"
)

func split(md string, o chunk.Options) []chunk.Chunk {
	return chunk.Split(chunk.Document{Title: "Page", URL: "https://example.org/p", Markdown: md}, o)
}

func contents(chunks []chunk.Chunk) []string {
	out := make([]string, len(chunks))
	for i, c := range chunks {
		out[i] = c.Content
	}
	return out
}

var prose = strings.TrimSpace(strings.Repeat("One sentence of eight words stands right here. ", 8))

func TestEmpty(t *testing.T) {
	for _, md := range []string{"", " ", "\n\n\t\n", "\r\n", "\u00a0\n\u3000", "\ufeff"} {
		require.Empty(t, split(md, chunk.Options{}), "%q", md)
	}
	for _, md := range []string{"x", "# H", "---", "```\n```", "\n\n.\n", "\x00"} {
		require.Len(t, split(md, chunk.Options{}), 1, "%q", md)
	}
}

func TestSections(t *testing.T) {
	d := chunk.Document{
		Title: "Runbook", URL: "https://example.org/p", Breadcrumb: []string{"Space", "Team"},
		Markdown: prose + "\n\n# Start *here*\n\n## Install\n\n" + prose + "\n\n### On `Linux` & [Mac](http://x/y)\n\n" + prose +
			"\n\nUpgrade\n-------\n\n" + prose + "\n\n# C\\# notes ##\n\n" + prose,
		Headings: []page.Heading{
			{Level: 1, Text: "Start here", Anchor: "Start-here"}, {Level: 2, Text: "Install", Anchor: "Install"},
			{Level: 3, Text: "On Linux & Mac", Anchor: "On-Linux-Mac"}, {Level: 2, Text: "Upgrade", Anchor: "Upgrade"},
			{Level: 1, Text: "C# notes", Anchor: "C#-notes"},
		},
	}
	chunks := chunk.Split(d, chunk.Options{})
	require.Len(t, chunks, 5)

	require.Equal(t, "Runbook", chunks[0].SectionTitle)
	require.Empty(t, chunks[0].HeadingPath)
	require.Empty(t, chunks[0].Anchor)
	require.Equal(t, "https://example.org/p", chunks[0].CitationURL)
	require.Equal(t, []string{"Space", "Team", "Runbook"}, d.Trail(chunks[0]))

	// A heading without text joins the heading below it, which has text.
	require.Equal(t, "# Start *here*\n\n## Install\n\n"+prose, chunks[1].Content)
	require.Equal(t, []string{"Start here", "Install"}, chunks[1].HeadingPath)
	require.Equal(t, "https://example.org/p#Install", chunks[1].CitationURL)

	require.Equal(t, []string{"Start here", "Install", "On Linux & Mac"}, chunks[2].HeadingPath)
	require.Equal(t, "On-Linux-Mac", chunks[2].Anchor)
	require.Equal(t, []string{"Start here", "Upgrade"}, chunks[3].HeadingPath)
	require.Equal(t, "Upgrade", chunks[3].SectionTitle)
	require.Equal(t, []string{"Space", "Team", "Runbook", "C# notes"}, d.Trail(chunks[4]))
	require.Equal(t, "C#-notes", chunks[4].Anchor)
}

func TestHeadingPathAfterALevelIsLeft(t *testing.T) {
	chunks := split("# A\n\n## B\n\n"+prose+"\n\n# C\n\n### D\n\n"+prose+"\n\n## E\n\n"+prose, chunk.Options{})
	require.Equal(t, []string{"A", "B"}, chunks[0].HeadingPath)
	require.Equal(t, []string{"C", "D"}, chunks[1].HeadingPath)
	require.Equal(t, []string{"C", "E"}, chunks[2].HeadingPath)
}

func TestNoCrumbIsLeft(t *testing.T) {
	for seed := range uint64(200) {
		s := newStory(seed)
		var md strings.Builder
		for range 10 + s.IntN(40) {
			md.WriteString(s.words(5, 20) + "\n\n")
		}
		for _, c := range split(md.String(), chunk.Options{}) {
			require.GreaterOrEqual(t, c.Tokens, chunk.DefaultMinTokens, "seed %d", seed)
		}
	}
}

func TestTitlesWithoutHeadings(t *testing.T) {
	for md, want := range map[string]string{
		"# *Very* **bold** `code`":       "Very bold code",
		"## [A link](http://x/_y_) here": "A link here",
		"# ![logo](a.png) Name":          "logo Name",
		"# snake_case_name _it_":         "snake_case_name it",
		`# 1 \* 2 \[x\] \\ C\#`:          `1 * 2 [x] \ C#`,
		"# Tom &amp; Jerry &lt;3":        "Tom & Jerry <3",
		"Two\nlines\n===":                "Two lines",
		"#":                              "Page",
		"# 漢字 👩‍👩‍👧‍👦":                   "漢字 👩‍👩‍👧‍👦",
	} {
		c := split(md+"\n\ntext", chunk.Options{})
		require.Len(t, c, 1)
		require.Equal(t, want, c[0].SectionTitle, md)
		require.Empty(t, c[0].Anchor)
		require.Equal(t, "https://example.org/p", c[0].CitationURL)
	}
}

func TestAnchorsWhereHeadingsDiffer(t *testing.T) {
	anchors := func(titles []string, found ...string) []string {
		d := chunk.Document{URL: "u"}
		for _, title := range titles {
			d.Markdown += "# " + title + "\n\n" + prose + "\n\n"
		}
		for i, title := range found {
			d.Headings = append(d.Headings, page.Heading{Level: 1, Text: title, Anchor: fmt.Sprint(i)})
		}
		var out []string
		for _, c := range chunk.Split(d, chunk.Options{}) {
			out = append(out, c.Anchor)
		}
		return out
	}
	for _, c := range []struct {
		name     string
		md, have []string
		want     []string
	}{
		{"the same", []string{"A", "B"}, []string{"A", "B"}, []string{"0", "1"}},
		{"none found", []string{"A", "B"}, nil, []string{"", ""}},
		{"one more, inside a panel", []string{"A", "B"}, []string{"A", "Panel", "B"}, []string{"0", "2"}},
		{"one less", []string{"A", "X", "B"}, []string{"A", "B"}, []string{"0", "", "1"}},
		{"another in its place", []string{"A", "X", "B"}, []string{"A", "Y", "B"}, []string{"0", "", "2"}},
		{"the same title often", []string{"S", "Notes", "T", "Notes"}, []string{"S", "T", "Notes"}, []string{"0", "", "1", "2"}},
		{"the same title every time", []string{"N", "N", "N"}, []string{"N", "N", "N"}, []string{"0", "1", "2"}},
		{"a skipped one does not steal the rest", []string{"A", "Over", "B", "Over"}, []string{"A", "B", "Over"}, []string{"0", "", "1", "2"}},
		{"nor in the middle", []string{"P", "Over", "B", "Over", "Q"}, []string{"Z", "B", "Over", "Y"}, []string{"", "", "1", "2", ""}},
		{"written differently", []string{"**A** `b`", "C &amp; D", "E:"}, []string{"a b", "C & D", " E"}, []string{"0", "1", "2"}},
		{"symbols only", []string{"→", "!!"}, []string{"→", "!!"}, []string{"0", "1"}},
	} {
		require.Equal(t, c.want, anchors(c.md, c.have...), c.name)
	}
}

func TestManyHeadingsThatDiffer(t *testing.T) {
	d := chunk.Document{URL: "u"}
	for i := range 1500 {
		d.Markdown += fmt.Sprintf("# H %d\n\n%s\n\n", i, prose)
		if i%3 != 0 {
			d.Headings = append(d.Headings, page.Heading{Text: fmt.Sprintf("H %d", i), Anchor: fmt.Sprint(i)})
		}
	}
	for i, c := range chunk.Split(d, chunk.Options{}) {
		want := ""
		if i%3 != 0 {
			want = fmt.Sprint(i)
		}
		require.Equal(t, want, c.Anchor)
	}
}

func TestCitationKeepsOneAnchor(t *testing.T) {
	d := chunk.Document{URL: "https://x/p#old", Markdown: "text\n\n# H\n\n" + prose, Headings: []page.Heading{{Text: "H", Anchor: "H"}}}
	chunks := chunk.Split(d, chunk.Options{MinTokens: 1})
	require.Equal(t, "https://x/p#old", chunks[0].CitationURL)
	require.Equal(t, "https://x/p#H", chunks[1].CitationURL)
	d.URL = ""
	require.Empty(t, chunk.Split(d, chunk.Options{MinTokens: 1})[1].CitationURL)
}

func TestHeadingInsideOtherBlocksIsText(t *testing.T) {
	md := "# Real\n\n" + prose + "\n\n```sh\n# a comment\n```\n\n> # quoted\n\n- # in an item\n\n<!--\n# hidden\n-->\n\n    # indented\n"
	chunks := split(md, chunk.Options{})
	require.Len(t, chunks, 1)
	require.Equal(t, []string{"Real"}, chunks[0].HeadingPath)
}

func TestSmallSections(t *testing.T) {
	faq := "# FAQ\n\n"
	for i := range 40 {
		faq += fmt.Sprintf("## Question %d?\n\nA short answer of some eight words, no more.\n\n", i)
	}
	chunks := split(faq+"# Next\n\n"+prose, chunk.Options{})
	require.Greater(t, len(chunks), 2)
	require.Less(t, len(chunks), 14)
	for _, c := range chunks[:len(chunks)-1] {
		require.GreaterOrEqual(t, c.Tokens, chunk.DefaultMinTokens)
		require.GreaterOrEqual(t, strings.Count(c.Content, "## Question"), 2)
		require.NotContains(t, c.Content, "# Next")
	}
	require.Equal(t, "# Next\n\n"+prose, chunks[len(chunks)-1].Content)

	// The last small section of a chapter joins the previous one; a larger one takes in a small
	// one.
	big := "## B\n\n" + prose
	require.Equal(t, []string{"# A\n\n" + prose + "\n\n## Small\n\nx", "# C\n\n" + prose},
		contents(split("# A\n\n"+prose+"\n\n## Small\n\nx\n\n# C\n\n"+prose, chunk.Options{})))
	require.Equal(t, []string{"## Small\n\nx\n\n" + big}, contents(split("## Small\n\nx\n\n"+big, chunk.Options{})))
	// One line of introduction must not give its name to the first part of a long section.
	for seed := range uint64(20) {
		long := split("x\n\n## B\n\n"+newStory(seed).paragraphs(20), chunk.Options{})
		require.Equal(t, "x", long[0].Content)
		require.Equal(t, "B", long[1].SectionTitle)
	}
}

func TestContinuedSectionRepeatsItsHeading(t *testing.T) {
	chunks := split("# Top\n\n## Deep *down*\n\n"+strings.Repeat(prose+"\n\n", 9), chunk.Options{})
	require.Greater(t, len(chunks), 1)
	require.True(t, strings.HasPrefix(chunks[0].Content, "# Top\n\n## Deep *down*\n\nOne"))
	for _, c := range chunks[1:] {
		require.True(t, strings.HasPrefix(c.Content, "## Deep *down*\n\nOne"))
		require.Equal(t, []string{"Top", "Deep down"}, c.HeadingPath)
	}
}

func TestHugeHeadings(t *testing.T) {
	chunks := split("# "+strings.Repeat("wörd ", 2000)+"\n\n"+strings.Repeat(prose+"\n\n", 40), chunk.Options{})
	for _, c := range chunks {
		require.LessOrEqual(t, c.Tokens, chunk.DefaultMaxTokens)
		require.Len(t, c.HeadingPath, 1)
		require.Less(t, len(c.HeadingPath[0]), 320)
		require.True(t, utf8.ValidString(c.HeadingPath[0]))
	}
	bare := split(strings.Repeat("## Nothing under it\n", 500), chunk.Options{})
	require.Greater(t, len(bare), 1)
}

func TestMeasures(t *testing.T) {
	c := split("Three short wörds 漢字", chunk.Options{})[0]
	require.Equal(t, 4, c.Words)
	require.Equal(t, 20, c.Chars)
	require.Equal(t, chunk.Estimate(c.Content), c.Tokens)
}

func TestHash(t *testing.T) {
	of := func(d chunk.Document) string { return chunk.Split(d, chunk.Options{})[0].Hash }
	base := chunk.Document{Title: "T", URL: "u", Markdown: "# H\n\ntext"}
	other := base
	other.Title, other.URL, other.Breadcrumb = "Renamed", "elsewhere", []string{"moved"}
	require.Equal(t, of(base), of(other), "a page that is renamed or moved keeps its chunks")
	other.Markdown = "# H\r\n\r\ntext\r\n\r\n"
	require.Equal(t, of(base), of(other), "line ends are no content")
	other.Headings = []page.Heading{{Text: "H", Anchor: "new"}}
	require.Equal(t, of(base), of(other), "an anchor is no content")

	seen := map[string]string{}
	for _, md := range []string{"# H\n\ntext", "# H\n\ntexts", "# G\n\ntext", "# A\n\n# H\n\ntext", "text", "H\n\ntext"} {
		h := of(chunk.Document{Title: "T", Markdown: md})
		require.Regexp(t, `^[0-9a-f]{32}$`, h)
		require.Empty(t, seen[h], md)
		seen[h] = md
	}
	// The same words under another heading make another chunk.
	two := split("# A\n\n## S\n\n"+prose+"\n\n# B\n\n## S\n\n"+prose, chunk.Options{})
	require.NotEqual(t, two[0].Hash, two[1].Hash)
	// The same text twice under the same heading makes the same hash twice.
	same := split("# S\n\n"+prose+"\n\n# S\n\n"+prose, chunk.Options{})
	require.Equal(t, same[0].Hash, same[1].Hash)
}

func TestOptions(t *testing.T) {
	md := strings.Repeat(prose+"\n\n", 20)
	require.Equal(t, split(md, chunk.Options{}), split(md, chunk.Options{MaxTokens: chunk.DefaultMaxTokens, MinTokens: chunk.DefaultMinTokens}))
	require.Equal(t, split(md, chunk.Options{MaxTokens: 1}), split(md, chunk.Options{MaxTokens: chunk.LeastMaxTokens}))
	require.Equal(t, split(md, chunk.Options{OverlapTokens: -1}), split(md, chunk.Options{}))
	require.Less(t, len(split(md, chunk.Options{MaxTokens: 2000})), len(split(md, chunk.Options{})))
}

func TestOverlap(t *testing.T) {
	s := newStory(3)
	var md string
	for i := range 8 {
		md += fmt.Sprintf("## Section %d\n\n", i)
		for range 12 {
			md += s.paragraph() + "\n\n"
		}
	}
	o := chunk.Options{MaxTokens: 200, OverlapTokens: 40}
	repeated, possible := 0, 0
	chunks := split(md, o)
	for i, c := range chunks {
		require.LessOrEqual(t, c.Tokens, 200)
		own := strings.TrimSpace(chunk.Join(chunks[i : i+1]))
		require.True(t, strings.HasSuffix(c.Content, own))
		before := strings.TrimSpace(strings.TrimPrefix(strings.TrimSuffix(c.Content, own), "## "+c.SectionTitle))
		if i == 0 || chunks[i-1].SectionTitle != c.SectionTitle {
			require.Empty(t, before, "nothing is repeated across sections")
			continue
		}
		possible++
		if before != "" {
			repeated++
			require.True(t, strings.HasSuffix(chunks[i-1].Content, before), "%q", before)
			require.LessOrEqual(t, chunk.Estimate(before), 40)
			require.True(t, strings.HasPrefix(before, "It "), "whole sentences: %q", before)
		}
	}
	require.Greater(t, possible, 50)
	require.Greater(t, repeated*10, possible*9)
	require.Equal(t, strings.TrimSpace(md), chunk.Join(chunks))
}

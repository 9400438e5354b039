package chunk_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/quick"

	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark/ast"
	extast "github.com/yuin/goldmark/extension/ast"

	"github.com/sluicehq/sluice/services/chunk-writer/chunk"
)

var small = chunk.Options{MaxTokens: 100, MinTokens: 20}

func numbered(n int, format string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(format, "#", fmt.Sprint(i+1)))
	}
	return b.String()
}

func TestTable(t *testing.T) {
	head := "| Name | Value |\n| :--- | ---: |\n"
	chunks := split("# T\n\nThese are the values:\n\n"+head+numbered(40, "| name # | value # |\n"), small)
	require.Greater(t, len(chunks), 3)
	rows := 0
	for i, c := range chunks {
		if i > 0 {
			require.True(t, strings.HasPrefix(c.Content, "# T\n\n"+head), c.Content)
		}
		rows += strings.Count(c.Content, "| name ")
		last := parseReference(c.Content).LastChild()
		require.IsType(t, &extast.Table{}, last)
		require.Greater(t, last.ChildCount(), 1, "a head without a row")
	}
	require.Equal(t, 40, rows)
}

func TestTableRowLargerThanAChunk(t *testing.T) {
	cell := strings.TrimSpace(strings.Repeat("Words of the large cell. ", 60))
	chunks := split("| A | B | C |\n|---|---|---|\n| one | "+cell+" | three |\n| x | y | z |\n", small)
	for _, c := range chunks {
		require.LessOrEqual(t, c.Tokens, 100)
		table := parseReference(c.Content).LastChild()
		require.IsType(t, &extast.Table{}, table, c.Content)
		for row := table.FirstChild(); row != nil; row = row.NextSibling() {
			cells := strings.Split(strings.Trim(strings.TrimSpace(rowText(c.Content, row)), "|"), "|")
			for i, cell := range cells {
				if strings.Contains(cell, "large cell") {
					require.Equal(t, 1, i, "the cell is in its column: %s", c.Content)
				}
			}
		}
	}
	require.Contains(t, chunks[1].Content, "| A | B | C |\n|---|---|---|\n| | … ")
}

func rowText(md string, row ast.Node) string {
	text, _, _ := strings.Cut(md[lineStart(md, row):], "\n")
	return text
}

func TestTableRowIsCutBetweenLinesOfACell(t *testing.T) {
	chunks := split("| A | B |\n|---|---|\n| one | "+strings.TrimSuffix(numbered(40, "- step number # of them<br>"), "<br>")+" |\n", small)
	require.Greater(t, len(chunks), 3)
	for _, c := range chunks[:len(chunks)-1] {
		require.True(t, strings.HasSuffix(c.Content, "of them<br>"), c.Content)
	}
}

func TestTableHeadTooLargeToRepeat(t *testing.T) {
	head := "| " + strings.Repeat("a long name of a column | ", 30) + "\n" + strings.Repeat("|---", 30) + "|\n"
	for _, c := range split(head+numbered(30, "| row # | x |\n"), small) {
		require.LessOrEqual(t, c.Tokens, 100)
	}
}

func TestFence(t *testing.T) {
	for _, mark := range []string{"```", "`````", "~~~"} {
		open := mark + "go title=\"main.go\"\n"
		code := numbered(60, "func f#() {\n\treturn #\n}\n\n")
		chunks := split("Intro:\n\n"+open+code+mark+"\n\n"+prose, small)
		require.Greater(t, len(chunks), 5)
		whole := 0
		for _, c := range chunks {
			for n := parseReference(c.Content).FirstChild(); n != nil; n = n.NextSibling() {
				if f, ok := n.(*ast.FencedCodeBlock); ok {
					require.Equal(t, `go title="main.go"`, string(f.Info.Segment.Value([]byte(c.Content))))
					require.Contains(t, c.Content, "\n"+mark)
					require.Greater(t, f.Lines().Len(), 0, "an empty fence")
				}
			}
			whole += strings.Count(c.Content, "}")
			if strings.Contains(c.Content, "func") {
				require.Equal(t, strings.Count(c.Content, "func"), strings.Count(c.Content, "}"), "cut between functions:\n%s", c.Content)
			}
		}
		require.Equal(t, 60, whole)
	}
}

func TestFenceThatIsNeverClosed(t *testing.T) {
	chunks := split("text\n\n```sh\n"+numbered(50, "run command #\n"), small)
	for _, c := range chunks[1:] {
		require.True(t, strings.HasPrefix(c.Content, "```sh\nrun"))
		require.True(t, strings.HasSuffix(c.Content, "\n```"))
	}
	require.Equal(t, "~~~\nx\n~~~", split("~~~\nx", small)[0].Content)
}

func TestCodeLineLargerThanAChunk(t *testing.T) {
	chunks := split("```json\n{\"data\": \""+strings.Repeat("abcdef0123456789", 100)+"\"}\n```", small)
	require.Greater(t, len(chunks), 3)
	for _, c := range chunks {
		require.LessOrEqual(t, c.Tokens, 100)
		require.Regexp(t, "^```json\n(.+)\n```$", c.Content)
		require.NotContains(t, c.Content, chunk.Ellipsis, "nothing is added to code")
	}
}

func TestFenceMarksTooLongToRepeat(t *testing.T) {
	ticks := strings.Repeat("`", 900)
	for _, c := range split(ticks+"\ncode\n```\nmore\n"+ticks+"\n\n"+prose, small) {
		require.LessOrEqual(t, c.Tokens, 100)
		require.True(t, balanced(c.Content))
	}
}

func TestList(t *testing.T) {
	chunks := split("Do this:\n\n"+numbered(30, "#. Step # has a few words to say\n"), small)
	require.Greater(t, len(chunks), 3)
	for _, c := range chunks {
		for _, line := range strings.Split(c.Content, "\n") {
			require.Regexp(t, `^(|Do this:|\d+\. Step \d+ has a few words to say)$`, line)
		}
	}
}

func TestListItemLargerThanAChunk(t *testing.T) {
	md := "1. First\n2. " + prose + "\n\n   ```sh\n" + numbered(12, "   run command number #\n") + "   ```\n\n   - " + prose + " " + prose + "\n   - Inner.\n3. Last\n"
	chunks := split("# H\n\n"+md, chunk.Options{MaxTokens: 120})
	require.Greater(t, len(chunks), 2)
	code := false
	for _, c := range chunks {
		first := parseReference(strings.TrimPrefix(c.Content, "# H\n\n")).FirstChild()
		require.IsType(t, &ast.List{}, first, "every chunk begins in the list: %s", c.Content)
		if strings.HasPrefix(c.Content, "# H\n\n2. …\n\n   ```sh\n   run command number 1\n") {
			code = true
			require.Contains(t, c.Content, "run command number 12\n   ```", "the code is whole")
		}
	}
	require.True(t, code)
	require.Contains(t, strings.Join(contents(chunks), "\n\n"), "# H\n\n2. …\n\n   - …\n\n     One sentence")
}

func TestAlert(t *testing.T) {
	note := "> [!WARNING]\n> " + prose + "\n>\n> More.\n"
	chunks := split(strings.Repeat(prose+"\n\n"+note+"\n", 4), chunk.Options{MaxTokens: 120})
	whole := 0
	for _, c := range chunks {
		whole += strings.Count(c.Content, strings.TrimSpace(note))
	}
	require.Equal(t, 4, whole)

	for _, sep := range []string{"> ", "> \n> "} {
		long := "> [!NOTE]\n" + sep + strings.Repeat(prose+"\n>\n> ", 6) + "End.\n"
		for _, c := range split(long, small) {
			require.Regexp(t, `^> \[!NOTE\]\n(> ?\n)*> [OE]n`, c.Content)
		}
	}
}

func TestQuoteKeepsItsMarks(t *testing.T) {
	for _, c := range split("> "+strings.Repeat(prose+"\n> ", 6)+"End.", small) {
		for _, line := range strings.Split(c.Content, "\n") {
			require.True(t, strings.HasPrefix(line, ">"), c.Content)
		}
	}
}

func TestHTMLStaysHTML(t *testing.T) {
	for _, md := range []string{
		"<!--\n" + numbered(60, "# line #\n```\n\n") + "-->\n",
		"<pre>\n" + numbered(60, "- line #\n~~~\n\n") + "</pre>\n",
		"<table class=\"x\">\n" + numbered(60, "<tr>\n<td>cell #</td>\n</tr>\n") + "</table>\n",
	} {
		chunks := split(md, small)
		require.Greater(t, len(chunks), 3)
		for _, c := range chunks {
			require.IsType(t, &ast.HTMLBlock{}, parseReference(c.Content).FirstChild(), c.Content)
			require.True(t, balanced(c.Content))
		}
		last := chunks[len(chunks)-1].Content
		require.Equal(t, 1, strings.Count(last, "</table>")+strings.Count(last, "</pre>")+strings.Count(last, "-->"), "ended once: %s", last)
	}
}

func TestSentences(t *testing.T) {
	md := "Use e.g. this one, v1.2.3 or x. It works! Does it? (Yes.) \"Really.\" " + prose + " " + prose
	for i, c := range split(md, chunk.Options{MaxTokens: 64}) {
		require.Regexp(t, `[.!?]["')]*$`, c.Content)
		if i > 0 {
			require.True(t, strings.HasPrefix(c.Content, "One "))
		}
	}
	for _, c := range split(numbered(100, "Take e.g. this# one or that. "), small) {
		require.True(t, strings.HasSuffix(c.Content, "that."), c.Content)
	}
	for _, c := range split(strings.Repeat("これは一つの文です。次の文はもっと長いかもしれません！", 20), chunk.Options{MaxTokens: 64}) {
		require.Regexp(t, "[。！]$", c.Content)
	}
	// A continued sentence that begins with a sign would become another block.
	for _, c := range split(strings.Repeat("word # - > 1. ~~~ + | ", 60), chunk.Options{MaxTokens: 64}) {
		require.IsType(t, &ast.Paragraph{}, parseReference(c.Content).FirstChild(), c.Content)
	}
}

func TestLeadInStaysWithWhatItLeadsTo(t *testing.T) {
	s := newStory(11)
	together, apart := 0, 0
	for range 40 {
		var md string
		for range 30 {
			md += s.paragraph() + "\n\nRun this:\n\n```sh\n" + s.words(10, 30) + "\n```\n\n"
		}
		for _, c := range split(md, chunk.Options{}) {
			together += strings.Count(c.Content, "Run this:\n\n```")
			if strings.HasSuffix(c.Content, "Run this:") {
				apart++
			}
		}
	}
	require.Greater(t, together, 100*apart)
}

// TestNoHeadingEndsAChunk: the text under a heading is with it, in any document.
func TestNoHeadingEndsAChunk(t *testing.T) {
	for seed := range uint64(200 / share) {
		md := newWriter(seed).document()
		for _, o := range sizes {
			chunks := split(md, o)
			for i, c := range chunks {
				root := parseReference(c.Content)
				if _, ok := root.LastChild().(*ast.Heading); ok && i+1 < len(chunks) {
					for n := root.FirstChild(); n != nil; n = n.NextSibling() {
						require.IsType(t, n, root.LastChild(), "seed %d: only a run of headings that fills a chunk may: %s", seed, c.Content)
					}
					require.Less(t, o.MaxTokens, 201)
				}
			}
		}
	}
}

func TestEstimate(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, " ": 0, "a": 1, "word": 1, "two words": 2, "internationalization": 4, "camelCase": 2,
		"漢字": 2, "かな": 2, "한글": 2, "12345": 2, "...": 2, "a\nb": 3, "👍": 3, "é": 1,
		"👩‍👩‍👧‍👦": 15, "Привет": 3, "नमस्ते": 8,
	} {
		require.Equal(t, want, chunk.Estimate(text), text)
	}
}

// TestEstimateOfPartsBoundsTheWhole is what lets sums stand in for the whole.
func TestEstimateOfPartsBoundsTheWhole(t *testing.T) {
	alphabet := []rune("aZ9.é漢字👍\u200dж😀|\nשּ ")
	require.NoError(t, quick.Check(func(seed uint64, cut uint8) bool {
		rng := rand.New(rand.NewPCG(seed, 1))
		text := make([]rune, 2+rng.IntN(60))
		for i := range text {
			text[i] = alphabet[rng.IntN(len(alphabet))]
		}
		at := 1 + int(cut)%(len(text)-1)
		if text[at-1] == ' ' && text[at] == ' ' {
			return true
		}
		return chunk.Estimate(string(text)) <= chunk.Estimate(string(text[:at]))+chunk.Estimate(string(text[at:]))
	}, &quick.Config{MaxCount: 50000}))
}

package markdown_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer/html"
	xhtml "golang.org/x/net/html"

	"github.com/sluicehq/sluice/services/converter/markdown"
)

// gfm renders Markdown without any protection, raw HTML included.
var gfm = goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions(html.WithUnsafe()))

func renderHTML(t testing.TB, md string) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, gfm.Convert([]byte(md), &b))
	return b.String()
}

// visibleWords are the words of rendered HTML that readers see.
func visibleWords(t testing.TB, doc string) []string {
	t.Helper()
	root, err := xhtml.Parse(strings.NewReader(doc))
	require.NoError(t, err)
	var b strings.Builder
	var walk func(*xhtml.Node)
	walk = func(n *xhtml.Node) {
		if n.Type == xhtml.TextNode {
			b.WriteString(n.Data)
		}
		block := n.Type == xhtml.ElementNode && !strings.Contains(inlineTags, " "+n.Data+" ")
		if block {
			b.WriteByte(' ')
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
		if block {
			b.WriteByte(' ')
		}
	}
	walk(root)
	return strings.Fields(b.String())
}

// author writes random storage format together with the text that readers must see.
type author struct {
	*rand.Rand
	body, text strings.Builder
	plain      bool // without addresses, which renderers link on their own
}

// tricky are texts with a meaning in some Markdown dialect.
var tricky = []string{
	"*", "**", "_", "__", "~", "~~", "~~~", "`", "``", "```", "\\", "\\\\", "[", "]", "](", "(", ")", "[x]", "[ ]", "[!NOTE]",
	"!", "![", "<", ">", "</p>", "<b>", "<!--", "<script>", "&", "&lt;", "&#42;", "&amp;", "#", "##", "-", "--", "---", "+", "=", "===",
	"1.", "12)", "|", ":", "|---|", ":-:", "$", "$$", "{{", "\"", "'", "^", "@", "http://a.b/_c_*d*", "https://x.yz/a?b=1&c=2_",
	"www.a.com", "me@b.org", "a", "b1", "word", "snake_case", "2 * 3", "C++", "한글", "日本", "é", "“q”", "(x)", "…", "🙂", "-x", ".", ",", ";",
	"[a]: http://b", "[^1]", "<http://x>", "javascript:alert(1)", "\u00a0", "a\\b", "C:\\dir", "x|y", "*a*", "_a_", "`c`",
}

func (a *author) words() {
	for range 1 + a.IntN(6) {
		w := tricky[a.IntN(len(tricky))]
		if a.plain && strings.ContainsAny(w, "@/.") {
			continue
		}
		a.body.WriteString(strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(w))
		a.text.WriteString(w)
		// goldmark treats markup next to a bare mail address as part of it: "x`a@b.org`".
		if strings.Contains(w, "@") {
			a.body.WriteByte(' ')
			a.text.WriteByte(' ')
		}
		if a.IntN(2) == 0 || strings.Contains(w, "@") {
			a.body.WriteByte(' ')
			a.text.WriteByte(' ')
		}
	}
}

func (a *author) inline(depth int) {
	for range 1 + a.IntN(3) {
		k := a.IntN(9)
		if depth == 0 || k < 3 {
			a.words()
			continue
		}
		switch k {
		case 3, 4, 5, 6:
			tag := []string{"strong", "em", "del", "sub", "sup", "span", "u", "code"}[a.IntN(8)]
			a.body.WriteString("<" + tag + ">")
			if tag == "code" {
				a.words()
			} else {
				a.inline(depth - 1)
			}
			a.body.WriteString("</" + tag + ">")
		case 7:
			if strings.Count(a.body.String(), "<a ") > strings.Count(a.body.String(), "</a>") {
				a.words()
				continue
			}
			a.body.WriteString(`<a href="http://example.org/(a)_b_*c*?d=1&amp;e=2">`)
			a.inline(depth - 1)
			a.body.WriteString("</a>")
		case 8:
			a.body.WriteString("<br/>")
			a.text.WriteByte(' ')
		}
	}
}

func (a *author) block(depth int) {
	k := a.IntN(11)
	if depth == 0 {
		k = a.IntN(3)
	}
	wrap := func(open, shut string, content func()) {
		a.body.WriteString(open)
		a.text.WriteByte(' ')
		content()
		a.text.WriteByte(' ')
		a.body.WriteString(shut)
	}
	switch k {
	case 0, 1:
		wrap("<p>", "</p>", func() { a.inline(3) })
	case 2:
		level := 1 + a.IntN(6)
		wrap(fmt.Sprintf("<h%d>", level), fmt.Sprintf("</h%d>", level), func() { a.inline(2) })
	case 3, 4:
		tag := []string{"ul", "ol"}[a.IntN(2)]
		wrap("<"+tag+">", "</"+tag+">", func() {
			for range 1 + a.IntN(3) {
				wrap("<li>", "</li>", func() {
					if a.IntN(2) == 0 {
						a.inline(2)
					}
					if a.IntN(2) == 0 {
						a.block(depth - 1)
					}
				})
			}
		})
	case 5:
		wrap("<blockquote>", "</blockquote>", func() { a.block(depth - 1); a.block(depth - 1) })
	case 6:
		columns := 2 + a.IntN(2)
		wrap("<table><tbody>", "</tbody></table>", func() {
			for row := range 1 + a.IntN(3) {
				wrap("<tr>", "</tr>", func() {
					tag := "td"
					if row == 0 && a.IntN(2) == 0 {
						tag = "th"
					}
					for range columns {
						wrap("<"+tag+">", "</"+tag+">", func() { a.inline(2) })
					}
				})
			}
		})
	case 7:
		wrap(`<ac:structured-macro ac:name="code"><ac:plain-text-body><![CDATA[`, `]]></ac:plain-text-body></ac:structured-macro>`, func() {
			for range a.IntN(4) {
				w := tricky[a.IntN(len(tricky))]
				a.body.WriteString(w + "\n")
				a.text.WriteString(w + "\n")
			}
			a.body.WriteString("end")
			a.text.WriteString("end")
		})
	case 8:
		wrap("<ac:task-list>", "</ac:task-list>", func() {
			for range 1 + a.IntN(2) {
				wrap("<ac:task><ac:task-id>7</ac:task-id><ac:task-status>incomplete</ac:task-status><ac:task-body>", "</ac:task-body></ac:task>", func() {
					if a.IntN(4) > 0 {
						a.inline(2)
					}
					if a.IntN(3) == 0 {
						a.block(depth - 1)
					}
				})
			}
		})
	case 9:
		name := []string{"expand", "section", "excerpt", "quote", "unknown-macro"}[a.IntN(5)]
		wrap(`<ac:structured-macro ac:name="`+name+`"><ac:rich-text-body>`, "</ac:rich-text-body></ac:structured-macro>", func() {
			a.block(depth - 1)
			a.block(depth - 1)
		})
	case 10:
		wrap("<ac:layout><ac:layout-section><ac:layout-cell>", "</ac:layout-cell></ac:layout-section></ac:layout>", func() { a.block(depth - 1) })
	}
}

// TestReadsAsWritten writes random pages full of characters with a meaning in Markdown and checks
// that the rendered page shows exactly the original words.
func TestReadsAsWritten(t *testing.T) {
	t.Parallel()
	for seed := range uint64(1500) {
		a := &author{Rand: rand.New(rand.NewPCG(seed, 7))}
		for range 1 + a.IntN(3) {
			a.block(2)
		}
		result, err := markdown.Convert(a.body.String(), siteFacts())
		require.NoError(t, err)
		want := strings.Fields(strings.ReplaceAll(a.text.String(), "\u00a0", " "))
		got := visibleWords(t, renderHTML(t, result.Markdown))
		if strings.Join(want, " ") != strings.Join(got, " ") {
			i := 0
			for i < min(len(want), len(got)) && want[i] == got[i] {
				i++
			}
			t.Fatalf("seed %d\nbody:\n%s\nmarkdown:\n%s\nfrom word %d\nwant %q\ngot  %q", seed, a.body.String(), result.Markdown, i, want[i:min(i+8, len(want))], got[i:min(i+8, len(got))])
		}
	}
}

// formats describes the visible text of HTML, one line for each character that is not a space: the
// character and its formats.
func formats(t testing.TB, doc string) []string {
	t.Helper()
	root, err := xhtml.Parse(strings.NewReader(doc))
	require.NoError(t, err)
	names := []string{"strong", "em", "del", "sub", "sup", "code", "a"}
	var out []string
	var walk func(n *xhtml.Node, under string)
	walk = func(n *xhtml.Node, under string) {
		if n.Type == xhtml.TextNode {
			for _, r := range n.Data {
				if !unicode.IsSpace(r) {
					out = append(out, string(r)+under)
				}
			}
		}
		if n.Type == xhtml.ElementNode && slices.Contains(names, n.Data) && !strings.Contains(under, " "+n.Data+" ") {
			parts := append(strings.Fields(under), n.Data)
			slices.Sort(parts)
			under = " " + strings.Join(parts, "  ") + " "
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c, under)
		}
	}
	walk(root, "")
	return out
}

// TestFormatsAsWritten checks that every character of a paragraph has the same formats in the
// rendered page as in the body: bold, italic, strikethrough, superscript, code, link.
func TestFormatsAsWritten(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2000) {
		a := &author{Rand: rand.New(rand.NewPCG(seed, 11)), plain: true}
		a.body.WriteString("<p>")
		a.inline(4)
		a.body.WriteString("</p>")
		result, err := markdown.Convert(a.body.String(), siteFacts())
		require.NoError(t, err)
		want := formats(t, a.body.String())
		got := formats(t, renderHTML(t, result.Markdown))
		if !slices.Equal(want, got) {
			i := 0
			for i < min(len(want), len(got)) && want[i] == got[i] {
				i++
			}
			t.Fatalf("seed %d\nbody:\n%s\nmarkdown:\n%s\nfrom character %d\nwant %q\ngot  %q", seed, a.body.String(), result.Markdown, i, want[i:min(i+8, len(want))], got[i:min(i+8, len(got))])
		}
	}
}

// FuzzText writes any text into a paragraph, a list item, a heading and a cell, and requires that
// the rendered page has exactly its words.
func FuzzText(f *testing.F) {
	for _, w := range tricky {
		f.Add(w)
		f.Add("a " + w + " b " + w)
	}
	f.Add("1. a\t- b\n# c")
	f.Add("<0@0>")
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return
		}
		escaped := xhtml.EscapeString(text)
		for _, around := range [][2]string{{"<p>", "</p>"}, {"<ul><li>", "</li></ul>"}, {"<h2>", "</h2>"}, {"<table><tbody><tr><td>", "</td><td></td></tr></tbody></table>"}, {"<p>x<br/>", "</p>"}} {
			result, err := markdown.Convert(around[0]+escaped+around[1], siteFacts())
			require.NoError(t, err)
			want := visibleWords(t, around[0]+escaped+around[1])
			got := visibleWords(t, renderHTML(t, result.Markdown))
			require.Equal(t, shown(want), shown(got), "%q\n%s", text, result.Markdown)
		}
	})
}

// shown joins words as readers see them: without invisible characters.
func shown(words []string) string {
	text := strings.Map(func(r rune) rune {
		switch {
		case r == 0xad || r == 0x200b || 0x2060 <= r && r <= 0x2064 || r == 0xfeff || r == 0x180e || 0xfff9 <= r && r <= 0xfffb || 0xe0000 <= r && r <= 0xe01ef || r < ' ' || 0x7f <= r && r < 0xa0 && r != 0x85:
			return -1
		case unicode.IsSpace(r):
			return ' '
		}
		return r
	}, strings.Join(words, " "))
	return strings.Join(strings.Fields(text), " ")
}

// inlineTags are the elements that do not separate words.
const inlineTags = " a b i em strong del code sub sup span input "

package chunk_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// writer writes random Markdown that a person or a converter could have written, with awkward cases
// far more often than in real text.
type writer struct {
	*rand.Rand
	depth int
}

func newWriter(seed uint64) *writer { return &writer{Rand: rand.New(rand.NewPCG(seed, 7))} }

var vocabulary = strings.Fields(`the page service runs deploy cluster token gateway a of to when restart
	configuration retry Überprüfung naïve façade 漢字 テスト 데이터 документ 👩‍👩‍👧‍👦 👍🏽 🇩🇪 e.g. i.e. x86 v1.2.3 #42
	**bold** _it_ ` + "`code`" + ` [link](https://example.org/a_b?c=d) \*escaped\* <b>x</b> & | 100% - + > 1. 2) === --- ~~~ ` + "```")

func (w *writer) words(n int) string {
	out := make([]string, 0, n)
	for range n {
		out = append(out, vocabulary[w.IntN(len(vocabulary))])
	}
	// A paragraph begins with a word that cannot be taken for a block.
	return "Word " + strings.Join(out, " ")
}

func (w *writer) sentence() string {
	return w.words(1+w.IntN(18)) + []string{".", "!", "?", "。", ".)", ":"}[w.IntN(6)]
}

func (w *writer) paragraph() string {
	var b strings.Builder
	for range 1 + w.IntN(8) {
		b.WriteString(w.sentence())
		b.WriteString([]string{" ", "\n", "  \n", "\\\n", " "}[w.IntN(5)])
	}
	return strings.TrimRight(b.String(), " \n\\")
}

func (w *writer) code() string {
	mark := []string{"```", "````", "~~~", "~~~~~"}[w.IntN(4)]
	var b strings.Builder
	b.WriteString(mark + []string{"", "go", "sh", "text title=\"a\""}[w.IntN(4)] + "\n")
	for range w.IntN(30) {
		switch w.IntN(8) {
		case 0:
			b.WriteString("\n")
		case 1:
			b.WriteString("# not a heading\n")
		case 2:
			b.WriteString("| not | a | table |\n")
		case 3:
			if mark[0] == '~' {
				b.WriteString("```go\n")
			} else {
				b.WriteString("~~~\n")
			}
		default:
			b.WriteString(strings.Repeat("\t", w.IntN(3)) + w.words(w.IntN(12)) + "\n")
		}
	}
	return b.String() + mark
}

func (w *writer) table() string {
	cols := 1 + w.IntN(4)
	row := func(cell func() string) string {
		var b strings.Builder
		b.WriteString("|")
		for range cols {
			b.WriteString(" " + cell() + " |")
		}
		return b.String() + "\n"
	}
	var b strings.Builder
	b.WriteString(row(func() string { return fmt.Sprintf("Head %d", w.IntN(100)) }))
	b.WriteString(row(func() string { return "---" }))
	for range w.IntN(25) {
		b.WriteString(row(func() string { return strings.ReplaceAll(w.words(w.IntN(6)), "|", `\|`) }))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (w *writer) list() string {
	ordered := w.IntN(2) == 0
	var items []string
	n := 1 + w.IntN(9)
	for i := range n {
		marker := "- "
		if ordered {
			marker = fmt.Sprintf("%d. ", i+1)
		}
		text := w.sentence()
		for w.depth < 3 && w.IntN(4) == 0 {
			text += "\n\n" + w.nested()
		}
		items = append(items, marker+indent(text, strings.Repeat(" ", len(marker))))
	}
	return strings.Join(items, []string{"\n", "\n\n"}[w.IntN(2)])
}

func (w *writer) quote() string {
	text := w.paragraph()
	for w.depth < 3 && w.IntN(2) == 0 {
		text += "\n\n" + w.nested()
	}
	if w.IntN(2) == 0 {
		text = "[!" + []string{"NOTE", "WARNING", "TIP"}[w.IntN(3)] + "]\n" + text
	}
	return "> " + strings.ReplaceAll(indent(text, "> "), "\n\n", "\n>\n")
}

func (w *writer) nested() string {
	w.depth++
	defer func() { w.depth-- }()
	return w.body()
}

// indent puts prefix before every line but the first and the blank ones.
func indent(text, prefix string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "\n", "\n"+prefix), "\n"+prefix+"\n", "\n\n")
}

func (w *writer) html() string {
	return []string{
		"<details>\n<summary>More</summary>\n</details>",
		"<!-- a comment\n```\n# still a comment\n-->",
		"<pre>\n```\n\n# raw\n</pre>",
		"<table>\n" + strings.Repeat("<tr><td>cell</td></tr>\n", w.IntN(40)) + "</table>",
	}[w.IntN(4)]
}

func (w *writer) body() string {
	switch w.IntN(12) {
	case 0, 1:
		return w.list()
	case 2, 3:
		return w.code()
	case 4:
		return w.table()
	case 5:
		return w.quote()
	case 6:
		return w.html()
	case 7:
		return "***"
	default:
		return w.paragraph()
	}
}

func (w *writer) heading() string {
	title := fmt.Sprintf("Heading %d %s", w.IntN(50), []string{"", "`code`", "*x*", "C#", "日本語"}[w.IntN(5)])
	if w.IntN(6) == 0 {
		return strings.TrimSpace(title) + "\n" + []string{"===", "---"}[w.IntN(2)]
	}
	return strings.Repeat("#", 1+w.IntN(4)) + " " + title
}

func (w *writer) document() string {
	var parts []string
	for range w.IntN(40) {
		if w.IntN(4) == 0 {
			parts = append(parts, w.heading())
		} else {
			parts = append(parts, w.body())
		}
	}
	return strings.Join(parts, "\n\n") + "\n"
}

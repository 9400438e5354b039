package markdown

import (
	"bytes"
	"strings"

	"github.com/yuin/goldmark/ast"
	"golang.org/x/net/html"

	"github.com/sluicehq/sluice/shared/page"
)

// harmless are the tags that stay in Markdown if they have no attributes.
var harmless = map[string]bool{
	"br": true, "kbd": true, "sub": true, "sup": true, "b": true, "i": true, "em": true, "strong": true, "code": true,
	"u": true, "s": true, "del": true, "ins": true, "mark": true, "details": true, "summary": true,
}

// unread are the elements whose content is never shown.
var unread = map[string]bool{"script": true, "style": true, "iframe": true, "object": true, "template": true, "noscript": true}

// htmlBlock replaces a block of HTML by its text.
func (w *written) htmlBlock(n *ast.HTMLBlock) {
	lines := n.Lines()
	if lines.Len() == 0 {
		return
	}
	start, end := lines.At(0).Start, lines.At(lines.Len()-1).Stop
	if n.HasClosure() {
		start, end = min(start, n.ClosureLine.Start), max(end, n.ClosureLine.Stop)
	}
	w.code = append(w.code, [2]int{start, end})
	kept, said := w.stripped(w.src[start:end])
	w.words += wordCount(said)
	if kept != "" {
		kept += "\n"
	}
	w.edits = append(w.edits, edit{start, end, kept})
}

// rawHTML removes a tag from running text.
func (w *written) rawHTML(n *ast.RawHTML) {
	segments := n.Segments
	start, end := segments.At(0).Start, segments.At(segments.Len()-1).Stop
	kept, said := w.stripped(w.src[start:end])
	w.words += wordCount(said)
	if kept != string(w.src[start:end]) {
		w.edits = append(w.edits, edit{start, end, kept})
	}
}

// stripped returns the kept part of HTML, and its text alone.
func (w *written) stripped(raw []byte) (kept, said string) {
	var out, words strings.Builder
	skip := ""
	write := func(text string) {
		out.WriteString(strings.NewReplacer("&", "&amp;", "<", "&lt;").Replace(text))
		words.WriteString(text + " ")
	}
	for tokens := html.NewTokenizer(bytes.NewReader(raw)); ; {
		kind := tokens.Next()
		if kind == html.ErrorToken {
			break
		}
		t := tokens.Token()
		switch {
		case skip != "":
			if kind == html.EndTagToken && t.Data == skip {
				skip = ""
			}
		case kind == html.TextToken:
			write(t.Data)
		case kind == html.CommentToken, kind == html.DoctypeToken:
		case unread[t.Data]:
			if kind == html.StartTagToken {
				w.losses[lossKey{"html:" + t.Data, page.Dropped, "nobody reads it"}]++
				skip = t.Data
			}
		case t.Data == "img":
			w.losses[lossKey{"html:img", page.Placeholder, "its text stands in for it"}]++
			write(attribute(t, "alt"))
		case t.Data == "a" && kind == html.StartTagToken && attribute(t, "href") != "":
			w.losses[lossKey{"html:a", page.Rendered, "its address was taken off"}]++
		case harmless[t.Data] && len(t.Attr) == 0:
			out.WriteString(t.String())
		}
	}
	return strings.TrimSpace(blankLines.Replace(out.String())), words.String()
}

// blankLines keeps the rest of a block together as one block.
var blankLines = strings.NewReplacer("\n\n\n", "\n", "\n\n", "\n")

func attribute(t html.Token, name string) string {
	for _, a := range t.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

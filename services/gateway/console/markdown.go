package console

import (
	"bytes"
	"html/template"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"github.com/sluicehq/sluice/shared/page"
)

// linkSchemes are the schemes that links in pages may have. A link with another one, or with none, stays as its text.
var linkSchemes = []string{"http", "https", "mailto"}

// renderer renders hostile Markdown: without raw HTML, without images, which would be loaded from other hosts, and
// with links of known schemes only. Its headings begin below those of the page that it is shown in.
var renderer = goldmark.New(
	goldmark.WithExtensions(extension.Strikethrough, extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute))),
	goldmark.WithParserOptions(parser.WithASTTransformers(util.Prioritized(tame{}, 1000))),
)

// firstHeading is the level of a page's highest heading.
const firstHeading = 3

// rendered returns Markdown as HTML that is safe to show, with a mark where each loss happened.
func rendered(markdown string, lost []page.Loss) (template.HTML, error) {
	var out bytes.Buffer
	source := []byte(markdown)
	doc := renderer.Parser().Parse(text.NewReader(source))
	mark(doc, source, lost)
	err := renderer.Renderer().Render(&out, source, doc)
	return template.HTML(out.String()), err //nolint:gosec // the renderer escapes everything and leaves out raw HTML; see tame
}

// mark puts a paragraph before each block of the document in which, or before which, something was lost. A loss without lines has
// no mark.
func mark(doc ast.Node, source []byte, lost []page.Loss) {
	at := map[int][]string{} // by line
	for _, l := range lost {
		what := l.Element + ": " + string(l.Fate)
		if l.Reason != "" {
			what += ", " + l.Reason
		}
		for _, line := range l.Lines {
			at[line] = append(at[line], what)
		}
	}
	block := doc.FirstChild()
	end, offset := 1, 0 // the last line of the block, and its last byte
	for _, line := range slices.Sorted(maps.Keys(at)) {
		for block != nil {
			if to := lastByte(block); to > offset {
				end += bytes.Count(source[offset:to], []byte{'\n'})
				offset = to
			}
			if end >= line {
				break
			}
			block = block.NextSibling()
		}
		p := ast.NewParagraph()
		p.SetAttributeString("class", []byte("note warn lost"))
		p.SetAttributeString("id", []byte("lost-"+strconv.Itoa(line)))
		p.AppendChild(p, ast.NewString([]byte("Lost here: "+strings.Join(at[line], "; "))))
		if block == nil {
			doc.AppendChild(doc, p)
		} else {
			doc.InsertBefore(doc, block, p)
		}
	}
}

// lastByte returns where the last byte of a block's text is; 0 for a block that has none, such as a rule.
func lastByte(block ast.Node) int {
	end := 0
	_ = ast.Walk(block, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		switch t, isText := n.(*ast.Text); {
		case !entering:
		case isText: // the cells of a table have no lines
			end = max(end, t.Segment.Stop-1)
		case n.Type() == ast.TypeBlock && n.Lines() != nil && n.Lines().Len() > 0:
			end = max(end, n.Lines().At(n.Lines().Len()-1).Stop-1)
		}
		return ast.WalkContinue, nil
	})
	return end
}

// tame replaces what must not be shown as it is.
type tame struct{}

// Transform replaces images and links of other schemes, and lowers headings.
func (tame) Transform(doc *ast.Document, reader text.Reader, _ parser.Context) {
	var links, quotes []ast.Node
	highest := 6
	var headings []*ast.Heading
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading:
			headings, highest = append(headings, n), min(highest, n.Level)
		case *ast.Link, *ast.Image, *ast.AutoLink:
			links = append(links, n)
		case *ast.Blockquote:
			quotes = append(quotes, n)
		}
		return ast.WalkContinue, nil
	})
	for _, q := range quotes {
		name(q, reader.Source())
	}
	last := firstHeading - 1
	for _, h := range headings {
		// No level is left out on the way down: readers of a page by its headings would look for it.
		h.Level = min(h.Level-highest+firstHeading, last+1, 6)
		last = h.Level
	}
	for _, n := range slices.Backward(links) { // what is inside comes before what it is in
		replace(n, reader.Source())
	}
}

// alerts are the marks at the beginning of a quote that make it a panel, as the converter writes them, and their names.
var alerts = map[string]string{"[!NOTE]": "Note", "[!TIP]": "Tip", "[!IMPORTANT]": "Important", "[!WARNING]": "Warning", "[!CAUTION]": "Caution"}

// name puts the name of a panel in the place of its mark.
func name(quote ast.Node, source []byte) {
	p := quote.FirstChild()
	if p == nil || p.Kind() != ast.KindParagraph {
		return
	}
	said := ""
	var mark []ast.Node
	for n := p.FirstChild(); n != nil; n = n.NextSibling() {
		t, isText := n.(*ast.Text)
		if !isText || len(said) > len("[!IMPORTANT]") {
			return
		}
		said += string(t.Segment.Value(source))
		mark = append(mark, n)
		if named := alerts[said]; named != "" {
			strong := ast.NewEmphasis(2)
			strong.AppendChild(strong, ast.NewString([]byte(named+": ")))
			p.InsertBefore(p, p.FirstChild(), strong)
			for _, m := range mark {
				p.RemoveChild(p, m)
			}
			return
		}
	}
}

// replace puts a link that may be followed, or plain text, in the place of a link or an image.
func replace(n ast.Node, source []byte) {
	var to string
	what := ""
	switch n := n.(type) {
	case *ast.Link:
		to = string(n.Destination)
	case *ast.Image:
		to, what = string(n.Destination), "image"
	case *ast.AutoLink:
		if allowed(string(n.URL(source))) || n.AutoLinkType == ast.AutoLinkEmail {
			return
		}
		n.Parent().ReplaceChild(n.Parent(), n, ast.NewString(n.Label(source)))
		return
	}
	parent := n.Parent()
	if what == "" && allowed(to) && n.HasChildren() {
		return
	}
	var in ast.Node
	if insideLink := linked(parent); allowed(to) && !insideLink {
		link := ast.NewLink()
		link.Destination = []byte(to)
		in = link
	} else {
		in = ast.NewEmphasis(1)
	}
	if what != "" {
		in.AppendChild(in, ast.NewString([]byte(what+": ")))
	}
	for child := n.FirstChild(); child != nil; {
		next := child.NextSibling()
		in.AppendChild(in, child)
		child = next
	}
	if in.ChildCount() == 0 || what != "" && in.ChildCount() == 1 { // a link that nobody could see
		in.AppendChild(in, ast.NewString([]byte(to)))
	}
	parent.ReplaceChild(parent, n, in)
}

// linked reports whether a node is in a link.
func linked(n ast.Node) bool {
	for ; n != nil; n = n.Parent() {
		if n.Kind() == ast.KindLink {
			return true
		}
	}
	return false
}

// allowed reports whether a link may be followed.
func allowed(to string) bool {
	u, err := url.Parse(to)
	return err == nil && slices.Contains(linkSchemes, strings.ToLower(u.Scheme)) && (u.Host != "" || u.Scheme == "mailto")
}

package markdown

import (
	"strings"

	"github.com/PuerkitoBio/goquery"
	"golang.org/x/net/html"

	"github.com/sluicehq/sluice/shared/page"
)

// htmlMacro renders the html macro. Its body is real HTML, not storage format: an HTML parser reads
// it, and the result is rendered like everything else.
func (r *renderer) htmlMacro(n *node, st style) {
	source := ""
	if b := n.child(tagPlainBody); b != nil {
		source = plainText(b)
	} else if b := n.child(tagRichBody); b != nil {
		r.walk(b, st)
		return
	}
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(source))
	if err != nil || strings.TrimSpace(source) == "" {
		r.tell(page.Dropped, "empty")
		return
	}
	doc.Find("script, style, noscript, template, object, svg, head").Remove()
	root := &node{tag: tagDiv}
	for _, b := range doc.Find("body").Nodes {
		fromHTML(root, b, 0)
	}
	r.asBlock(func() { r.walk(root, st) })
}

// fromHTML copies an HTML tree into nodes; it flattens elements that nest deeper than MaxDepth.
func fromHTML(parent *node, h *html.Node, depth int) {
	for c := h.FirstChild; c != nil; c = c.NextSibling {
		switch c.Type {
		case html.TextNode:
			parent.append(&node{tag: tagText, text: c.Data})
		case html.ElementNode:
			n := &node{name: c.Data, tag: htmlTagOf(c.Data)}
			if n.tag == tagUnknown {
				n.tag = tagTransparent // HTML has many elements, and all of them are expected
			}
			for _, a := range c.Attr {
				n.attrs = append(n.attrs, attr{a.Key, a.Val})
			}
			if depth < MaxDepth {
				parent.append(n)
			} else {
				n = parent
			}
			fromHTML(n, c, depth+1)
		}
	}
}

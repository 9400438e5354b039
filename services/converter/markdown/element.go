package markdown

import (
	"strings"

	"github.com/sluicehq/sluice/shared/page"
)

// hidden records elements that a reader of the page does not see either, where it matters.
func (r *renderer) hidden(n *node) {
	switch n.name {
	case "ac:placeholder":
		r.lose("ac:placeholder", page.Dropped, "a hint for the writer that readers do not see")
	case "script", "style":
		r.lose(n.name, page.Dropped, "nothing to read")
	case "at:var", "at:declarations":
		r.lose(n.name, page.Dropped, "a template's variable")
	}
}

// unknown keeps the content of an element that we do not know.
func (r *renderer) unknown(n *node, st style) {
	if n.first != nil {
		r.lose(n.name, page.Rendered, "unknown element: its content is kept")
	} else {
		r.lose(n.name, page.Dropped, "unknown element without content")
	}
	r.walk(n, st)
}

// date renders <time>.
func (r *renderer) date(n *node, st style) {
	if strings.TrimSpace(textOf(n, 64)) != "" {
		r.walk(n, st)
		return
	}
	r.text(n.attr("datetime"), st)
}

// checkbox renders the box of an HTML form as far as it says something.
func (r *renderer) checkbox(n *node, st style) {
	if n.attr("type") != "checkbox" {
		return
	}
	for _, a := range n.attrs {
		if a.name == "checked" {
			r.text("☑ ", st)
			return
		}
	}
	r.text("☐ ", st)
}

// adfExtension renders what the new editor keeps twice, as its own node and as the macro or
// HTML that older readers fall back on: one of the two, never both.
func (r *renderer) adfExtension(n *node, st style) {
	node, fallback := n.child(tagADFNode), n.child(tagADFFallback)
	switch {
	case node != nil && node.attr("type") == "panel":
		r.lose("adf:panel", page.Rendered, "")
		r.alert(adfPanel(node), "", st, func() { r.adfContent(node, st) })
	case node != nil && strings.HasPrefix(node.attr("type"), "decision"):
		r.lose("adf:"+node.attr("type"), page.Rendered, "")
		r.asBlock(func() { r.adfContent(node, st) })
	case fallback != nil && fallback.first != nil:
		if node != nil {
			r.lose("adf:"+node.attr("type"), page.Rendered, "shown by its fallback")
		}
		r.asBlock(func() { r.walk(fallback, st) })
	case node != nil:
		r.lose("adf:"+node.attr("type"), page.Rendered, "unknown node: its content is kept")
		r.asBlock(func() { r.adfContent(node, st) })
	default:
		r.walk(n, st)
	}
}

// adfContent renders the content of a node and of the nodes inside it, not its attributes.
func (r *renderer) adfContent(n *node, st style) {
	for c := n.first; c != nil; c = c.next {
		switch c.tag {
		case tagADFContent:
			r.walk(c, st)
		case tagADFNode:
			r.asBlock(func() { r.adfContent(c, st) })
		}
	}
}

// adfPanel is the alert for a panel of the new editor. Its names are not those of the
// macros: its "note" is the purple box, its "warning" the yellow one.
func adfPanel(n *node) string {
	kind := ""
	for c := n.first; c != nil; c = c.next {
		if c.tag == tagADFAttribute && c.attr("key") == "panel-type" {
			kind = strings.TrimSpace(textOf(c, 32))
		}
	}
	switch kind {
	case "note":
		return "IMPORTANT"
	case "tip", "success":
		return "TIP"
	case "warning":
		return "WARNING"
	case "error":
		return "CAUTION"
	}
	return "NOTE"
}

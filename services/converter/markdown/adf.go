package markdown

import (
	"strings"

	"github.com/sluicehq/sluice/shared/page"
)

// adfExtension renders content that the new editor stores twice: as its own node, and as the macro
// or HTML that older readers fall back to. It renders one of the two, never both.
func (r *renderer) adfExtension(n *node, st style) {
	node, fallback := n.child(tagADFNode), n.child(tagADFFallback)
	if node == nil {
		r.walk(n, st)
		return
	}
	kind := node.attr("type")
	before := r.c.written
	reason := ""
	switch {
	case kind == "panel":
		icon := first(node.adf("panel-icon-text"), node.adf("panelIconText"))
		r.alert(adfPanel(node), icon, "", st, func() { r.adfContent(node, st) })
	case strings.HasPrefix(kind, "decision"):
		r.decisions(node, st)
	case fallback != nil && !blank(fallback) && fallback.child(tagADFNode) == nil:
		reason = "shown by its fallback"
		r.apart(func() { r.walk(fallback, st) })
	case strings.Contains(kind, "extension"):
		r.macro(node.adfMacro(), st)
		return
	default:
		reason = "unknown node: its content is kept"
		r.asBlock(func() { r.adfContent(node, st) })
	}
	if r.c.written == before && fallback != nil {
		reason = "shown by its fallback"
		r.asBlock(func() { r.walk(fallback, st) })
	}
	if r.c.written == before {
		r.lose("adf:"+kind, page.Dropped, "empty")
		return
	}
	r.lose("adf:"+kind, page.Rendered, reason)
}

// adfMacro reads an app's extension as a macro. The macro has the app's parameters; its name is the
// last part of the extension's key.
func (n *node) adfMacro() *node {
	key := n.adf("extension-key")
	m := &node{tag: tagMacro, name: "ac:structured-macro", attrs: []attr{{"ac:name", key[strings.LastIndexByte(key, '/')+1:]}}}
	for c := n.first; c != nil; c = c.next {
		switch {
		case c.tag == tagADFAttribute && c.attr("key") == "parameters":
			own := c
			for p := c.first; p != nil; p = p.next {
				if k := p.attr("key"); k == "guest-params" || k == "macro-params" || k == "guestParams" || k == "macroParams" {
					own = p
				}
			}
			m.adfParameters(own, "")
		case c.tag == tagADFContent || c.tag == tagADFNode:
			body := m.child(tagRichBody)
			if body == nil {
				body = &node{tag: tagRichBody}
				m.append(body)
			}
			alone := *c
			alone.next = nil
			body.append(&alone)
		}
	}
	return m
}

// adfParameters adds the parameters below p to the macro; key is p's key.
func (n *node) adfParameters(p *node, key string) {
	for c := p.first; c != nil; c = c.next {
		if c.tag == tagUnknown && c.first != nil { // an item of a list
			n.adfParameters(c, key)
			continue
		}
		if c.tag != tagADFAttribute {
			continue
		}
		name := c.attr("key")
		if name == "value" && key != "" {
			name = key
		}
		switch {
		case find(c, tagADFAttribute) != nil:
			n.adfParameters(c, name)
		case name == "extension-title" || name == "extension-id" || name == "local-id" || name == "layout":
		default:
			n.append(&node{tag: tagParameter, name: "ac:parameter", attrs: []attr{{"ac:name", name}}, first: c.first, last: c.last})
		}
	}
}

// adf returns the text of the node's attribute with the key.
func (n *node) adf(key string) string {
	for c := n.first; c != nil; c = c.next {
		if c.tag == tagADFAttribute && c.attr("key") == key {
			return strings.TrimSpace(textOf(c, 4096))
		}
	}
	return ""
}

// decisions renders a list of decisions: those made and those still open.
func (r *renderer) decisions(n *node, st style) {
	l := &listWriter{kind: bulletBlock}
	if r.w.lastBlock() == l.kind {
		l.kind = starBlock
	}
	item := func(c *node) {
		if blank(c) && textOf(c, 1) == "" {
			return
		}
		label := "Decision: "
		if state := first(c.adf("state"), c.attr("state")); state != "" && !strings.EqualFold(state, "decided") {
			label = "Undecided: "
		}
		r.listItem(l, func() {
			r.lead(func() { r.c.text(label, st.with(bold)) })
			r.adfContent(c, st)
			r.endLead()
		})
	}
	r.asBlock(func() {
		if n.attr("type") == "decision-item" {
			item(n)
			return
		}
		for c := n.first; c != nil; c = c.next {
			switch c.tag {
			case tagADFNode:
				item(c)
			case tagADFContent:
				r.walk(c, st)
			}
		}
	})
}

// adfContent renders the content of a node and of its descendants, not their attributes.
func (r *renderer) adfContent(n *node, st style) {
	for c := n.first; c != nil; c = c.next {
		switch c.tag {
		case tagADFContent:
			parent := r.parent
			r.parent = tagADFContent
			r.walk(c, st)
			r.parent = parent
		case tagADFNode:
			r.asBlock(func() { r.adfContent(c, st) })
		case tagADFAttribute, tagADFFallback:
		default:
			r.node(c, st)
		}
	}
}

// adfPanel is the alert for a panel of the new editor. Its names differ from the macros' names: its
// "note" is the purple box, its "warning" the yellow one.
func adfPanel(n *node) string {
	switch n.adf("panel-type") {
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

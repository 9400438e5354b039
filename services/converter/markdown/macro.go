package markdown

import (
	"strings"

	"github.com/sluicehq/sluice/shared/page"
)

// macro renders a macro and records its fate.
func (r *renderer) macro(n *node, st style) {
	name := strings.ToLower(strings.TrimSpace(n.attr("ac:name")))
	rule := macros[name]
	if r.heading && rule.isBlock(n) {
		r.deferred = append(r.deferred, n)
		return
	}
	switch rule.as {
	case asBody, asTitled, asAlert, asQuote:
		r.rendered(name)
		r.bodied(n, rule, st)
	case asCode, asPlain:
		r.codeMacro(n, name, rule, st)
	case asMath:
		r.math(n, name, st)
	case asHTML:
		r.htmlMacro(n, name, st)
	case asStatus:
		r.status(n, name, st)
	case asUser:
		r.profile(n, name, st)
	case asJira:
		r.jira(n, name, st)
	case asDiagram:
		r.diagram(n, name, st)
	case asUnknown:
		r.unknownMacro(n, name, st)
	default:
		r.reference(n, name, rule, st)
		r.bodyOf(n, st) // such a macro has none; if one does, it is there to be read
	}
}

// isBlock reports whether a heading cannot hold what the macro becomes.
func (m macroRule) isBlock(n *node) bool {
	switch m.as {
	case asCode, asPlain, asAlert, asQuote, asTitled, asHTML:
		return true
	case asUnknown, asDiagram:
		return n.child(tagPlainBody) != nil
	}
	return false
}

// reference renders a macro that stands for something which is not in the body.
func (r *renderer) reference(n *node, name string, rule macroRule, st style) {
	switch rule.as {
	case asInclude:
		r.include(n, name, rule.arg, st)
	case asFile:
		r.file(n, name, st)
	case asFileList:
		r.fileList(n, name, rule.arg, st)
	case asPicture:
		r.pictureMacro(n, name, st)
	case asAddress:
		r.address(n, name, st)
	case asQuery:
		r.query(n, name, rule.arg, st)
	case asNothing:
		r.lose("macro:"+name, page.Dropped, rule.arg)
	case asNavigation:
		r.lose("macro:"+name, page.Dropped, "navigation")
	}
}

// bodied renders a macro that is its body and perhaps a title.
func (r *renderer) bodied(n *node, rule macroRule, st style) {
	veil := r.veil
	r.veil.paint(n.param("bgColor"))
	if n.param("hidden") == "true" {
		r.veil.unseen |= notShown
	}
	switch {
	case rule.as == asAlert:
		kind := rule.arg
		if k := messageKinds[n.param("type")]; k != "" {
			kind = k
		}
		r.alert(kind, n.param("title"), st, func() { r.bodyOf(n, st) })
	case rule.as == asQuote && !r.flat:
		r.flush()
		r.quote("", "", func() { r.bodyOf(n, st) })
	default:
		r.asBlock(func() {
			if rule.as == asTitled {
				r.titleLine(n.param("title"), st)
			}
			r.bodyOf(n, st)
		})
	}
	r.veil = veil
}

// unknownMacro keeps what a macro that we know nothing of lets a reader see: its body, a
// title above it, a file that it points to.
func (r *renderer) unknownMacro(n *node, name string, st style) {
	rich, plain := n.child(tagRichBody), n.child(tagPlainBody)
	switch {
	case rich != nil:
		r.lose("macro:"+name, page.Rendered, "unknown macro: its body is kept")
		r.titleLine(n.param("title"), st)
		r.walk(rich, st)
	case plain != nil && strings.TrimSpace(plainText(plain)) != "":
		r.lose("macro:"+name, page.Rendered, "unknown macro: its text is kept")
		r.codeBlock("", n.param("title"), plainText(plain), st)
	default:
		if target := find(n, tagRIAttachment); target != nil {
			r.alone(func() { r.fileLink(target, "file", st) })
			r.lose("macro:"+name, page.Placeholder, "unknown macro: the file that it names stands for it")
			return
		}
		if href := n.address(); href != "" {
			r.alone(func() { r.hyperlink(href, "", href, st, func(st style) { r.text(href, st) }) })
			r.lose("macro:"+name, page.Placeholder, "unknown macro: the address that it names stands for it")
			return
		}
		r.lose("macro:"+name, page.Dropped, "unknown macro without a body")
	}
}

// address is where a macro of which we know nothing seems to get what it shows from.
func (n *node) address() string {
	if target := find(n, tagRIURL); target != nil {
		return target.attr("ri:value")
	}
	for _, name := range []string{"url", "src", "href", "link"} {
		if v := n.param(name); strings.HasPrefix(v, "http://") || strings.HasPrefix(v, "https://") {
			return v
		}
	}
	return ""
}

// paramNode returns the parameter with the name, or nil.
func (n *node) paramNode(name string) *node {
	for c := n.first; c != nil; c = c.next {
		if c.tag == tagParameter && c.attr("ac:name") == name {
			return c
		}
	}
	return nil
}

// param returns the text of the parameter with the name, "" without one.
func (n *node) param(name string) string {
	if p := n.paramNode(name); p != nil {
		if u := p.child(tagRIURL); u != nil {
			return u.attr("ri:value")
		}
		return strings.TrimSpace(textOf(p, 4096))
	}
	return ""
}

// plainText is the text of a plain-text body, whose CDATA may come in parts.
func plainText(n *node) string {
	if n.first == nil {
		return ""
	}
	if n.first == n.last {
		return cleanCode(n.first.text)
	}
	var b strings.Builder
	cdata := false
	for c := n.first; c != nil; c = c.next {
		cdata = cdata || c.tag == tagCDATA
	}
	for c := n.first; c != nil; c = c.next {
		if c.tag == tagCDATA || !cdata {
			b.WriteString(c.text)
		}
	}
	return cleanCode(b.String())
}

// findRI returns the first resource identifier with the tag below n.
func find(n *node, t tag) *node {
	for c := n.first; c != nil; c = c.next {
		if c.tag == t {
			return c
		}
		if f := find(c, t); f != nil {
			return f
		}
	}
	return nil
}

func (r *renderer) rendered(name string) { r.lose("macro:"+name, page.Rendered, "") }

// bodyOf walks a macro's body of either kind.
func (r *renderer) bodyOf(n *node, st style) {
	for c := n.first; c != nil; c = c.next {
		switch c.tag {
		case tagRichBody:
			r.walk(c, st)
		case tagPlainBody:
			if text := plainText(c); strings.TrimSpace(text) != "" {
				r.codeBlock("", "", text, st)
			}
		case tagParameter:
		default:
			r.node(c, st)
		}
	}
}

// asBlock parts what body gathers from what stands around it.
func (r *renderer) asBlock(body func()) {
	if r.flat {
		r.flatLine(body)
		return
	}
	r.flush()
	body()
	r.flush()
}

func (r *renderer) titleLine(title string, st style) {
	if title != "" {
		r.asBlock(func() { r.text(title, st.with(bold)) })
	}
}

// messageKinds are the types that the auimessage macro and its like take.
var messageKinds = map[string]string{"success": "TIP", "hint": "TIP", "warning": "WARNING", "error": "CAUTION"}

var alertNames = map[string]string{"NOTE": "Note", "TIP": "Tip", "IMPORTANT": "Important", "WARNING": "Warning", "CAUTION": "Caution"}

// alert renders a box as an alert of the kind, in a cell or heading by its name.
func (r *renderer) alert(kind, title string, st style, body func()) {
	switch {
	case r.flat:
		r.flatLine(func() {
			r.text(alertNames[kind]+": ", st.with(bold))
			if title != "" {
				r.text(title, st.with(bold))
				r.c.lineEnd = true
			} else {
				r.c.glued = true
			}
			body()
		})
	default:
		r.flush()
		r.quote(kind, title, body)
	}
}

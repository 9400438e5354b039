package markdown

import (
	"strings"

	"github.com/sluicehq/sluice/shared/page"
)

// outcome is the fate of the current macro.
type outcome struct {
	fate   page.Fate
	reason string
}

// tell sets the fate of the current macro. macro records it when the macro is written.
func (r *renderer) tell(fate page.Fate, reason string) { r.told = outcome{fate, reason} }

// macro renders a macro and then records its fate: a macro that wrote nothing was not rendered.
func (r *renderer) macro(n *node, st style) {
	name := macroName(n)
	rule := ruleOf(name, n)
	if r.heading && rule.isBlock(n) {
		r.deferred = append(r.deferred, n)
		return
	}
	told, before, at := r.told, r.c.written, len(r.w.out)
	r.tell(page.Rendered, "")
	r.macroAs(n, name, rule, st)
	if r.told.fate != page.Dropped && r.c.written == before {
		r.tell(page.Dropped, "empty")
	}
	r.loseAt(at, "macro:"+name, r.told.fate, r.told.reason)
	r.told = told
}

func macroName(n *node) string { return strings.ToLower(strings.TrimSpace(n.attr("ac:name"))) }

func (r *renderer) macroAs(n *node, name string, rule macroRule, st style) {
	switch rule.as {
	case asBody, asTitled, asAlert, asQuote:
		if n.child(tagRichBody) == nil && n.child(tagPlainBody) == nil && r.stands(n, st) {
			return // an app's macro of this name, which has only parameters
		}
		r.bodied(n, rule, st)
	case asCode, asPlain:
		r.codeMacro(n, rule, st)
	case asMath:
		r.math(n, name, st)
	case asHTML:
		r.htmlMacro(n, st)
	case asStatus:
		r.status(n, st)
	case asUser:
		r.profile(n, st)
	case asJira:
		r.jira(n, st)
	case asDiagram:
		r.diagram(n, st)
	case asUnknown:
		r.unknownMacro(n, name, st)
	default:
		r.reference(n, rule, st)
		r.bodyOf(n, st) // such macros have no body; if one does, it is meant to be read
	}
}

// isBlock reports whether the macro becomes a block, which a heading cannot hold.
func (m macroRule) isBlock(n *node) bool {
	switch m.as {
	case asCode, asPlain, asAlert, asQuote, asTitled, asHTML:
		return true
	case asUnknown, asDiagram:
		return n.child(tagPlainBody) != nil
	}
	return false
}

// reference renders a macro whose content is not in the body.
func (r *renderer) reference(n *node, rule macroRule, st style) {
	switch rule.as {
	case asInclude:
		r.include(n, rule.arg, st)
	case asFile:
		r.file(n, st)
	case asFileList:
		r.fileList(n, rule.arg, st)
	case asPicture:
		r.pictureMacro(n, st)
	case asAddress:
		r.address(n, st)
	case asQuery:
		r.query(n, rule.arg, st)
	case asRoadmap:
		r.roadmap(n, rule.arg, st)
	case asNothing:
		r.tell(page.Dropped, rule.arg)
	case asNavigation:
		r.tell(page.Dropped, "navigation")
	}
}

// bodied renders a macro with a body and perhaps a title.
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
		icon := n.param("panelIcon")
		icon = first(n.param("panelIconText"), codePoints(n.param("panelIconId")), emoji[icon], icon)
		r.alert(kind, icon, n.param("title"), st, func() { r.bodyOf(n, st) })
	case rule.as == asQuote && !r.flat:
		r.flush()
		r.quote("", nil, func() { r.bodyOf(n, st) })
	case rule.as == asBody && r.inSentence() && n.sentence() != nil:
		r.walk(n.sentence(), st)
	default:
		r.asBlock(func() {
			if rule.as == asTitled {
				r.titleLine(first(n.param("title"), n.param("label"), n.param("name")), st)
			}
			r.bodyOf(n, st)
		})
	}
	r.veil = veil
}

// inSentence reports whether the current node is in running text.
func (r *renderer) inSentence() bool {
	return tagStrong <= r.parent && r.parent <= tagP || r.parent.heading() > 0 || r.parent == tagLinkBody
}

// sentence returns the only paragraph of a macro's body, or the body itself if it holds inline
// content only, else nil.
func (n *node) sentence() *node {
	body := n.child(tagRichBody)
	if body == nil {
		return nil
	}
	var only *node
	for c := body.first; c != nil; c = c.next {
		switch {
		case c.tag == tagText && strings.TrimSpace(c.text) == "":
		case c.tag == tagP && only == nil:
			only = c
		case c.tag >= tagP && c.tag != tagMacro && c.tag != tagLink && c.tag != tagEmoticon, only != nil && only.tag == tagP,
			c.tag == tagMacro && (c.child(tagRichBody) != nil || ruleOf(macroName(c), c).isBlock(c)):
			return nil
		default:
			only = body
		}
	}
	return only
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
		return strings.TrimSpace(textOf(p, 1<<20))
	}
	return ""
}

// plainText is the text of a plain-text body, which may consist of several CDATA sections.
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

// find returns the first resource identifier with the tag below n.
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

// asBlock separates what body gathers from the content around it.
func (r *renderer) asBlock(body func()) {
	if r.flat {
		r.flatLine(body)
		return
	}
	r.part()
	body()
	r.flush()
}

// apart is asBlock, except that it continues a sentence.
func (r *renderer) apart(body func()) {
	if r.inSentence() {
		body()
		return
	}
	r.asBlock(body)
}

func (r *renderer) titleLine(title string, st style) {
	if title != "" {
		r.asBlock(func() { r.text(title, st.with(bold)) })
	}
}

// messageKinds are the types of the auimessage macro and similar macros.
var messageKinds = map[string]string{"success": "TIP", "hint": "TIP", "warning": "WARNING", "error": "CAUTION"}

var alertNames = map[string]string{"NOTE": "Note", "TIP": "Tip", "IMPORTANT": "Important", "WARNING": "Warning", "CAUTION": "Caution"}

// alert renders a box as an alert of the kind, with its own icon if it has one. In a cell or
// heading, and inside lists and quotes, where GitHub supports no alerts, the alert's name begins
// the line instead.
func (r *renderer) alert(kind, icon, title string, st style, body func()) {
	if icon != "" {
		icon = oneLine(icon) + " "
	}
	switch {
	case r.flat:
		r.flatLine(func() {
			if title != "" {
				r.text(alertNames[kind]+": ", st.with(bold))
				r.text(icon, st)
				r.text(title, st.with(bold))
				r.c.lineEnd = true
				body()
				return
			}
			r.lead(func() {
				r.c.text(alertNames[kind]+": ", st.with(bold))
				r.c.text(icon, st)
			})
			r.c.glued = true
			body()
			r.endLead()
		})
	case len(r.w.frames) > 1:
		r.flush()
		r.quote("", r.label(alertNames[kind], icon, title, st), body)
	default:
		r.flush()
		r.quote(kind, r.label("", icon, title, st), body)
	}
}

// label returns a function that writes the first words of a box: its kind, icon and title on one
// line, or, without a title, the kind and the icon before its text.
func (r *renderer) label(kind, icon, title string, st style) func() {
	if kind+icon+title == "" {
		return nil
	}
	return func() {
		if title != "" {
			r.text(icon, st)
			r.text(strings.TrimPrefix(kind+": "+title, ": "), st.with(bold))
			r.flush()
			return
		}
		r.lead(func() {
			if kind != "" {
				r.c.text(kind+": ", st.with(bold))
			}
			r.c.text(icon, st)
		})
	}
}

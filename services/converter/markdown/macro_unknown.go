package markdown

import (
	"slices"
	"strings"

	"github.com/sluicehq/sluice/shared/page"
)

// ruleOf returns the rule for the macro with the name. Apps have a name for each of their forms
// ("multiexcerpt-fast-include-block-macro"), so a part of the name can identify the macro.
func ruleOf(name string, n *node) macroRule {
	rule, known := macros[name]
	if known || n.child(tagRichBody) != nil || n.child(tagPlainBody) != nil {
		return rule
	}
	for _, part := range nameParts {
		if strings.Contains(name, part.name) {
			return part.rule
		}
	}
	return rule
}

// nameParts are the parts of names that identify a macro without a body, in this order.
var nameParts = []struct {
	name string
	rule macroRule
}{
	{"excerpt-include", macroRule{asInclude, "Excerpt of "}}, {"include-excerpt", macroRule{asInclude, "Excerpt of "}},
	{"excerpt", macroRule{asInclude, "Excerpt of "}}, {"include", macroRule{asInclude, "Included page: "}},
	{"mermaid", macroRule{asCode, "mermaid"}}, {"plantuml", macroRule{asCode, "plantuml"}}, {"graphviz", macroRule{asCode, "dot"}},
	{"drawio", macroRule{asDiagram, ""}}, {"draw.io", macroRule{asDiagram, ""}}, {"gliffy", macroRule{asDiagram, ""}},
	{"diagram", macroRule{asDiagram, ""}}, {"whiteboard", macroRule{asDiagram, ""}},
	{"latex", macroRule{asMath, ""}}, {"math", macroRule{asMath, ""}}, {"katex", macroRule{asMath, ""}},
}

// These parameters hold text for readers, in any spelling. The first kind names the macro's
// content, the second is content.
var (
	titleParams = []string{
		"title", "label", "heading", "header", "caption", "tabtitle", "tablabel", "tabname", "buttontext", "buttonlabel", "linktext",
		"displaytext", "displayname", "text", "name",
	}
	textParams = []string{
		"subtitle", "summary", "description", "message", "content", "body", "question", "answer", "note", "comment", "hint", "tooltip",
		"key", "keys", "shortcut", "value", "date", "startdate", "enddate", "duedate", "status", "author", "cite", "quote", "alt",
	}
)

// says returns the value of the first readable parameter with one of the names.
func (n *node) says(names []string) string {
	for _, name := range names {
		for c := n.first; c != nil; c = c.next {
			if c.tag != tagParameter || plainName(c.attr("ac:name")) != name {
				continue
			}
			if v := n.param(c.attr("ac:name")); readable(v) {
				return v
			}
		}
	}
	return ""
}

// named returns the first readable parameter whose name ends in what names things, such as boardTitle.
func (n *node) named() string {
	for c := n.first; c != nil; c = c.next {
		name := plainName(c.attr("ac:name"))
		if c.tag != tagParameter || !strings.HasSuffix(name, "title") && !strings.HasSuffix(name, "label") && !strings.HasSuffix(name, "caption") {
			continue
		}
		if v := n.param(c.attr("ac:name")); readable(v) {
			return v
		}
	}
	return ""
}

// plainName returns the same form for startDate, start-date and start_date.
func plainName(name string) string {
	return strings.ToLower(strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r == ' ' {
			return -1
		}
		return r
	}, name))
}

// readable reports whether a parameter's value is text, not a setting or an address.
func readable(v string) bool {
	switch strings.ToLower(v) {
	case "", "true", "false", "none", "null", "undefined", "auto", "default":
		return false
	}
	return v[0] != '#' && v[0] != '{' && !strings.HasPrefix(v, "%7B") && !webAddress(v)
}

func webAddress(v string) bool {
	rest, ok := strings.CutPrefix(v, "https://")
	if !ok {
		rest, ok = strings.CutPrefix(v, "http://")
	}
	return ok && rest != "" && !strings.ContainsAny(v, " \t\n<>")
}

// unknownMacro keeps the readable content of an unknown macro: its body with a title above it, or
// its parameters' values.
func (r *renderer) unknownMacro(n *node, name string, st style) {
	rich, plain := n.child(tagRichBody), n.child(tagPlainBody)
	switch {
	case rich != nil && (!blank(rich) || !r.stands(n, st)):
		r.tell(page.Rendered, "unknown macro: its body is kept")
		if r.inSentence() && n.sentence() != nil {
			r.walk(n.sentence(), st)
			r.tooltip(n, st)
			return
		}
		r.titleLine(n.title(name), st)
		r.walk(rich, st)
		r.extras(n, st)
	case rich != nil:
	case plain != nil && strings.TrimSpace(plainText(plain)) != "":
		r.tell(page.Rendered, "unknown macro: its text is kept")
		r.codeBlock(sniff(plainText(plain)), n.title(name), plainText(plain), st)
	case !r.stands(n, st):
		r.tell(page.Dropped, "unknown macro without a body")
	}
}

// title is the line above the body of a macro. The macro's name is informative only for tabs and
// cards.
func (n *node) title(name string) string {
	names := titleParams[:len(titleParams)-1]
	for _, part := range []string{"tab", "card", "pane", "slide", "step", "section"} {
		if strings.Contains(name, part) {
			names = titleParams
		}
	}
	return n.says(names)
}

// tooltip writes a word's tooltip behind the word.
func (r *renderer) tooltip(n *node, st style) {
	if tip := first(n.says([]string{"tooltip", "hint", "description", "content", "definition"}), n.says(titleParams[:len(titleParams)-1])); tip != "" {
		r.text(" ("+tip+")", st)
	}
}

// extras writes the remaining readable parameters of a macro with a body.
func (r *renderer) extras(n *node, st style) {
	for _, name := range []string{"subtitle", "summary", "description", "tooltip", "hint", "caption", "author", "cite", "date", "duedate"} {
		if v := n.says([]string{name}); v != "" && v != n.title("") {
			r.apart(func() { r.text(v, st) })
		}
	}
}

// stands writes the parameters that identify a macro's content: a diagram's source, a file, a page,
// addresses, a person, texts. It reports whether there were any.
func (r *renderer) stands(n *node, st style) bool {
	n = n.opened()
	if r.source(n, "", st) {
		return true
	}
	if latex := n.says(latexParams); latex != "" {
		r.tell(page.Rendered, "")
		r.latex(latex, false, st)
		return true
	}
	if target := find(n, tagRIAttachment); target != nil {
		r.tell(page.Placeholder, "unknown macro: the file that it names stands for it")
		r.alone(func() { r.fileLink(target, "file", st) })
		return true
	}
	label := first(n.says(titleParams), n.named())
	if l, ok := r.pageLinked(n); ok {
		r.tell(page.Placeholder, "unknown macro: the page that it names stands for it")
		r.facts.internal(l)
		r.apart(func() {
			st := st
			st.link = &link{url: l.PageURL}
			r.text(first(label, l.PageTitle), st)
		})
		return true
	}
	if r.addresses(n, label, st) {
		return true
	}
	if r.diagramFile(n, diagramNames[:len(diagramNames)-2], st) {
		return true
	}
	if u := find(n, tagRIUser); u != nil {
		r.tell(page.Placeholder, "unknown macro: the person that it names stands for it")
		r.apart(func() { r.mention(u, st) })
		return true
	}
	return r.texts(n, label, st)
}

// addresses links the addresses in a macro's parameters; the first gets the label.
func (r *renderer) addresses(n *node, label string, st style) bool {
	seen := map[string]bool{}
	for c := n.first; c != nil; c = c.next {
		if c.tag != tagParameter {
			continue
		}
		href := strings.TrimSpace(textOf(c, 4096))
		if u := find(c, tagRIURL); u != nil {
			href = u.attr("ri:value")
		} else if !webAddress(href) {
			continue
		}
		if seen[href] || href == "" {
			continue
		}
		text := href
		if len(seen) == 0 && label != "" {
			text = label
		}
		seen[href] = true
		r.tell(page.Placeholder, "unknown macro: the address that it names stands for it")
		r.alone(func() { r.hyperlink(href, "", text, st, func(st style) { r.text(text, st) }) })
	}
	return len(seen) > 0
}

// texts writes the readable parameters of a macro.
func (r *renderer) texts(n *node, label string, st style) bool {
	texts := []string{}
	if label != "" {
		texts = append(texts, label)
	}
	texts = append(texts, n.listed(label)...)
	if len(texts) == 0 {
		return false
	}
	r.tell(page.Placeholder, "unknown macro: the text of its parameters stands for it")
	if r.inSentence() {
		r.text(strings.Join(texts, ", "), st)
		return true
	}
	for i, t := range texts {
		if i == 0 && label != "" && len(texts) > 1 {
			r.titleLine(t, st)
			continue
		}
		r.alone(func() { r.text(t, st) })
	}
	return true
}

// listed returns the readable parameters of a macro, but for its label: by name, and in the macro's order if a name comes
// again, as in a list of questions and answers.
func (n *node) listed(label string) (texts []string) {
	again, known := false, map[string]bool{}
	for c := n.first; c != nil; c = c.next {
		name := plainName(c.attr("ac:name"))
		if c.tag != tagParameter || !slices.Contains(textParams, name) && !slices.Contains(titleParams, name) {
			continue
		}
		if v := strings.TrimSpace(textOf(c, 4096)); readable(v) && v != label {
			again, known[name] = again || known[name], true
			texts = append(texts, v)
		}
	}
	if again {
		return texts
	}
	texts = nil
	for _, name := range textParams {
		if v := n.says([]string{name}); v != "" && v != label {
			texts = append(texts, v)
		}
	}
	return texts
}

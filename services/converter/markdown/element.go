package markdown

import (
	"strings"

	"github.com/sluicehq/sluice/shared/page"
)

// hidden records elements that readers of the page do not see either, where this matters.
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

// unknown keeps the content of an unknown element.
func (r *renderer) unknown(n *node, st style) {
	switch n.name {
	case "math", "mjx-container":
		r.mathML(n, st)
		return
	}
	before := r.c.written
	r.walk(n, st)
	if r.c.written > before {
		r.lose(n.name, page.Rendered, "unknown element: its content is kept")
	} else {
		r.lose(n.name, page.Dropped, "unknown element without content")
	}
}

// mathML writes a formula once: as its LaTeX source if it carries one, else as its text.
func (r *renderer) mathML(n *node, st style) {
	if tex := texOf(n); tex != "" {
		r.formula(tex, st)
		r.lose("math", page.Rendered, "")
		return
	}
	before := r.c.written
	if m := findNamed(n, "math"); m != nil && n.name != "math" {
		n = m
	}
	r.walk(&node{tag: tagTransparent, first: &node{tag: tagText, text: textOf(n, MaxBody)}}, st)
	if r.c.written > before {
		r.lose("math", page.Placeholder, "only the characters of the formula")
	} else {
		r.lose("math", page.Dropped, "empty")
	}
}

// texOf returns the LaTeX source that a rendered formula carries.
func texOf(n *node) string {
	for c := n.first; c != nil; c = c.next {
		if c.name == "annotation" && strings.Contains(c.attr("encoding"), "tex") {
			return strings.TrimSpace(textOf(c, MaxBody))
		}
		if tex := texOf(c); tex != "" {
			return tex
		}
	}
	return ""
}

// findNamed returns the first element with the name below n.
func findNamed(n *node, name string) *node {
	for c := n.first; c != nil; c = c.next {
		if c.name == name {
			return c
		}
		if f := findNamed(c, name); f != nil {
			return f
		}
	}
	return nil
}

// span renders an element without a meaning of its own; its style and class may have one.
func (r *renderer) span(n *node, st style) {
	tip := ""
	for i := range n.attrs {
		switch a := &n.attrs[i]; a.name {
		case "style":
			st.marks |= marksOf(a.value)
		case "class":
			if strings.HasPrefix(a.value, "katex") || strings.HasPrefix(a.value, "MathJax") {
				if a.value == "MathJax_Preview" {
					return // the formula itself follows
				}
				if texOf(n) != "" || findNamed(n, "math") != nil {
					r.mathML(n, st)
					return
				}
			}
		case "title":
			tip = oneLine(a.value)
		}
	}
	r.walk(n, st)
	if tip != "" && (n.name == "abbr" || n.name == "acronym" || n.name == "dfn") {
		r.text(" ("+tip+")", st) // the abbreviation's meaning
	}
}

// marksOf reads the formats from a style attribute.
func marksOf(css string) marks {
	var m marks
	for css != "" {
		var one string
		one, css, _ = strings.Cut(css, ";")
		name, value, ok := strings.Cut(one, ":")
		if !ok {
			continue
		}
		value = strings.ToLower(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "!important")))
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "text-decoration", "text-decoration-line":
			if strings.Contains(value, "line-through") {
				m |= struck
			}
		case "font-weight":
			if value == "bold" || value == "bolder" || len(value) == 3 && value >= "600" && value <= "900" {
				m |= bold
			}
		case "font-style":
			if value == "italic" || value == "oblique" {
				m |= italic
			}
		case "vertical-align":
			switch value {
			case "super":
				m |= superscript
			case "sub":
				m |= subscript
			}
		}
	}
	return m
}

// date renders <time>.
func (r *renderer) date(n *node, st style) {
	if strings.TrimSpace(textOf(n, 64)) != "" {
		r.walk(n, st)
		return
	}
	r.text(n.attr("datetime"), st)
}

// checkbox renders the checkbox of an HTML form if it carries information.
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

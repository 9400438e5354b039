package markdown

import (
	"strings"

	"github.com/sluicehq/sluice/shared/page"
)

// codeBlock writes code with its title above it, as inline code where no block fits.
func (r *renderer) codeBlock(language, title, code string, st style) {
	if r.flat {
		r.newLine()
		r.titleLine(title, st)
		r.flatCode(code, st)
		return
	}
	r.flush()
	r.titleLine(title, style{})
	r.fence(safeLanguage(language), code)
}

// safeLanguage keeps what a language's name is made of; the rest could end the fence's line.
func safeLanguage(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || strings.ContainsRune("+#._-", r) {
			return r
		}
		return -1
	}, s[:min(len(s), 40)])
}

// codeMacro renders a macro whose text is shown as it is.
func (r *renderer) codeMacro(n *node, name string, rule macroRule, st style) {
	code := ""
	if b := n.child(tagPlainBody); b != nil {
		code = plainText(b)
	} else if b := n.child(tagRichBody); b != nil {
		code = preText(b)
	}
	if code == "" {
		if target := find(n, tagRIAttachment); target != nil {
			r.fileLink(target, "diagram", st)
			r.lose("macro:"+name, page.Placeholder, "its text is in an attachment")
			return
		}
		r.titleLine(n.param("title"), st)
		r.lose("macro:"+name, page.Dropped, "empty")
		return
	}
	language := rule.arg
	if language == "" && rule.as == asCode {
		language = first(n.param("language"), n.param("")) // the oldest pages give it no name
	}
	r.rendered(name)
	r.codeBlock(language, n.param("title"), code, st)
}

// math keeps LaTeX as it is: GitHub shows $`…`$ and math fences as formulas, and to every
// other renderer they are code.
func (r *renderer) math(n *node, name string, st style) {
	latex := n.param("body")
	if b := n.child(tagPlainBody); b != nil && strings.TrimSpace(plainText(b)) != "" {
		latex = plainText(b)
	}
	if latex == "" {
		latex = n.param("")
	}
	if latex == "" {
		r.lose("macro:"+name, page.Dropped, "empty")
		return
	}
	r.rendered(name)
	inline := strings.Contains(name, "inline") || name == "unit" || r.flat
	if !inline {
		r.flush()
		r.fence("math", latex)
		return
	}
	r.c.raw("$", st)
	st.code = true
	r.c.code(strings.ReplaceAll(latex, "\n", " "), st)
	st.code = false
	r.c.raw("$", st)
}

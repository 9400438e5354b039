package markdown

import (
	"strings"

	"github.com/sluicehq/sluice/shared/page"
)

// codeBlock writes code with its title above it, or as inline code where no block fits.
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

// safeLanguage keeps the characters of a language's name; the others could end the fence's line. It
// takes the first of two names (html/xml) and the subtype of a media type (text/x-python).
func safeLanguage(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	if kind, of, ok := strings.Cut(s, "/"); ok {
		s = strings.TrimSpace(kind)
		if s == "text" || s == "application" || s == "" {
			s = strings.TrimPrefix(strings.TrimSpace(of), "x-")
		}
	}
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || strings.ContainsRune("+#._-", r) {
			return r
		}
		return -1
	}, s[:min(len(s), 40)])
}

// codeMacro renders a macro whose text is shown unchanged.
func (r *renderer) codeMacro(n *node, rule macroRule, st style) {
	code := ""
	if b := n.child(tagPlainBody); b != nil {
		code = plainText(b)
	} else if b := n.child(tagRichBody); b != nil {
		code = preText(b)
	}
	language := rule.arg
	if language == "" && rule.as == asCode {
		language = first(n.param("language"), n.param("")) // the oldest pages give it no name
	}
	if code == "" {
		// An app's drawing is in an attachment, in a parameter or in an unknown place.
		if rule.arg != "" && r.source(n, language, st) || r.stands(n, st) {
			return
		}
		r.titleLine(n.param("title"), st)
		if r.tell(page.Dropped, "empty"); n.param("title") != "" {
			r.tell(page.Placeholder, "only a title")
		}
		return
	}
	r.codeBlock(language, n.param("title"), code, st)
}

// math keeps LaTeX unchanged: GitHub shows $`…`$ and math fences as formulas; every other renderer
// shows them as code.
func (r *renderer) math(n *node, name string, st style) {
	latex := ""
	if b := n.child(tagPlainBody); b != nil {
		latex = plainText(b)
	}
	for _, p := range []string{"body", "expression", "math", "value", ""} {
		if strings.TrimSpace(latex) == "" {
			latex = n.param(p)
		}
	}
	if latex = first(latex, n.says(latexParams)); strings.TrimSpace(latex) == "" {
		r.unknownMacro(n, name, st)
		return
	}
	r.latex(latex, strings.Contains(name, "inline") || name == "unit", st)
}

// latexParams are the parameters in which apps keep a formula.
var latexParams = []string{"latex", "tex", "formula", "equation"}

// latex writes a formula inline or as a block.
func (r *renderer) latex(latex string, inline bool, st style) {
	if !inline && !r.inSentence() && !r.flat {
		r.flush()
		r.fence("math", latex)
		return
	}
	r.formula(latex, st)
}

// formula writes LaTeX inline.
func (r *renderer) formula(latex string, st style) {
	r.c.raw("$", st)
	st.code = true
	r.noteHidden(latex)
	r.c.code(oneLine(latex), st)
	st.code = false
	r.c.raw("$", st)
}

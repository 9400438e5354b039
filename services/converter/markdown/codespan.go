package markdown

import (
	"bytes"
	"html"
	"unicode/utf8"
)

// codeSpan writes inline code between as many backticks as needed.
func (e *emitter) codeSpan(s []byte) {
	if e.codeMisread(s) {
		e.esc = append(e.esc, "<code>"...)
		for _, r := range html.EscapeString(string(s)) {
			switch r {
			case '\\', '|', '`', '*', '_', '~', '[', ']', ':', '.', '@':
				e.esc = appendReference(e.esc, r)
			default:
				e.esc = utf8.AppendRune(e.esc, r)
			}
		}
		e.esc = append(e.esc, "</code>"...)
		return
	}
	ticks := 1 + longestRun(s, '`')
	if bytes.IndexByte(s, '`') < 0 {
		ticks = 1
	}
	pad := s[0] == '`' || s[len(s)-1] == '`'
	for range ticks {
		e.esc = append(e.esc, '`')
	}
	if pad {
		e.esc = append(e.esc, ' ')
	}
	e.esc = append(e.esc, s...)
	if pad {
		e.esc = append(e.esc, ' ')
	}
	for range ticks {
		e.esc = append(e.esc, '`')
	}
}

// codeMisread reports whether backticks would not do for the code: a table takes the
// backslash before a pipe for its own; some renderers take the backtick in x`a@b.org` for the
// beginning of an address; and in a paragraph that begins with a bracket, "]:" makes a
// definition of it, code or not.
func (e *emitter) codeMisread(s []byte) bool {
	word, _, _ := bytes.Cut(s, []byte{' '})
	switch {
	case e.mode >= inCell && bytes.Contains(s, []byte(`\|`)):
		return true
	case e.mode == inHead && bytes.IndexByte(s, '"') >= 0:
		return true
	case bytes.IndexByte(s, '`') >= 0 && (bytes.IndexByte(s, '<') >= 0 || bytes.Contains(s, []byte("]("))):
		return true // some renderers support only a single backtick
	case closesLink(s):
		return true
	case len(e.esc) > 0 && e.esc[len(e.esc)-1] != ' ' && bytes.IndexByte(word, '@') > 0:
		return true
	case e.mode == inParagraph && bytes.Contains(s, []byte("]:")):
		return e.bracketed()
	}
	return false
}

// closesLink reports whether code would end a link that the text before it seems to open: some
// renderers look for links before code.
func closesLink(code []byte) bool {
	before, _, found := bytes.Cut(code, []byte("]("))
	return found && bytes.Count(before, []byte{'['}) <= bytes.Count(before, []byte{']'})
}

func longestRun[S []byte | string](s S, c byte) int {
	longest, n := 0, 0
	for i := range len(s) {
		if s[i] != c {
			n = 0
			continue
		}
		n++
		longest = max(longest, n)
	}
	return longest
}

package markdown

import (
	"bytes"
	"slices"
	"unicode"
	"unicode/utf8"
)

// special marks the bytes that may need a backslash in running text.
var special = [256]bool{
	'\\': true, '`': true, '*': true, '_': true, '~': true, '<': true, '&': true,
	'(': true, ':': true, '[': true, ']': true, '.': true, '{': true, '"': true,
}

// text escapes the text part i: only what a renderer would take for markup.
func (e *emitter) text(c *collector, i int) {
	p := &e.parts[i]
	s := c.bytes(p)
	at := 0
	followed := i+1 < len(e.parts) && e.parts[i+1].kind != breakPiece
	lineStart := len(e.tokens) == 0 || e.tokens[len(e.tokens)-1].kind == tokenBreak
	if lineStart && e.mode < inCell {
		lineEnd := i+1 == len(e.parts) || e.parts[i+1].kind == breakPiece
		if n := lineMarker(s, i == 0 && !e.continued, lineEnd); n >= 0 && (e.mode == inParagraph || s[0] == '[') {
			e.esc = append(e.esc, s[:n]...)
			e.esc = append(e.esc, '\\', s[n])
			at = n + 1
		}
	}
	for at < len(s) {
		j := at
		for j < len(s) && !special[s[j]] {
			j++
		}
		e.esc = append(e.esc, s[at:j]...)
		if j == len(s) {
			break
		}
		at = j + 1
		switch ch := s[j]; {
		case ch == '*' || ch == '_' || ch == '~':
			at = e.run(s, j)
		case ch == '.':
			// Renderers link www.example.org by themselves, backslashes included.
			if j >= 3 && bytes.EqualFold(s[j-3:j], []byte("www")) && (j == 3 || s[j-4] == '_' || !isNameByte(s[j-4])) && glued(s[j:], followed) {
				e.esc = append(e.esc, '\\')
			}
			e.esc = append(e.esc, '.')
		case ch == ':':
			if n := e.bareURL(s, j, p.style.link != nil, followed); n > 0 {
				at = n
				continue
			}
			if n := len(e.esc); n > 0 && e.esc[n-1] == ']' && e.bracketed() {
				e.esc = append(e.esc, '\\')
			}
			e.esc = append(e.esc, ':')
		case e.parsed(s, j, p.style.link != nil, followed):
			e.esc = appendEscaped(e.esc, s, j)
		default:
			e.esc = append(e.esc, ch)
		}
	}
}

// appendEscaped writes the byte at s[j] so that it is text. Not every renderer knows a backslash
// before "<" and "&", and what it does not know there is a tag: they are written as references.
// So is the bracket that would end a link's text and begin another address.
func appendEscaped[S string | []byte](dst []byte, s S, j int) []byte {
	switch ch := s[j]; {
	case ch == '<':
		return append(dst, "&lt;"...)
	case ch == '&':
		return append(dst, "&amp;"...)
	case ch == '"':
		return append(dst, "&quot;"...)
	case ch == ']' && j+1 < len(s) && (s[j+1] == '(' || s[j+1] == '[' || s[j+1] == ':'):
		return append(dst, "&#93;"...)
	default:
		return append(dst, '\\', ch)
	}
}

// parsed reports whether the byte at s[j] would be taken for markup; followed says that more stands
// behind s on its line.
func (e *emitter) parsed(s []byte, j int, inLink, followed bool) bool {
	last := j+1 == len(s)
	switch s[j] {
	case '`':
		return true
	case '\\':
		return last || isASCIIPunct(rune(s[j+1]))
	case '<':
		return last || isNameStart(s[j+1]) || s[j+1] == '/' || s[j+1] == '!' || s[j+1] == '?' || mailInBrackets(s[j+1:])
	case '&':
		k := j + 1
		for k < len(s) && k < j+34 && (isNameStart(s[k]) || s[k] == '#' || '0' <= s[k] && s[k] <= '9') {
			k++
		}
		if k == len(s) {
			return followed
		}
		return s[k] == ';' && referenceAt(string(s[j:k+1]))
	case '(':
		return !inLink && len(e.esc) > 0 && e.esc[len(e.esc)-1] == ']'
	case '[', ']':
		return inLink
	case '"':
		return e.mode == inHead
	case '{':
		// Python-Markdown's {: onclick=… } adds attributes to the text before it.
		end := bytes.IndexByte(s[j:], '}')
		return end > 0 && bytes.IndexByte(s[j:j+end], '=') > 0
	}
	return false
}

// mailInBrackets reports whether s could be the rest of <a@b.org>.
func mailInBrackets(s []byte) bool {
	for _, c := range s[:min(len(s), 320)] {
		if c == '@' {
			return true
		}
		if c <= ' ' || c == '<' || c == '>' || c >= 0x7f {
			return false
		}
	}
	return false
}

// run writes a run of '*', '_' or '~' and returns the position after it.
func (e *emitter) run(s []byte, from int) int {
	to := runEnd(s, from)
	escape := false
	switch s[from] {
	case '*':
		escape = e.star && flanking(s, from, to)
	case '~':
		escape = e.tilde && flanking(s, from, to)
	case '_':
		escape = e.under && !insideWord(s, from, to)
	}
	for range to - from {
		if escape {
			e.esc = append(e.esc, '\\')
		}
		e.esc = append(e.esc, s[from])
	}
	return to
}

func runEnd(s []byte, from int) int {
	to := from + 1
	for to < len(s) && s[to] == s[from] {
		to++
	}
	return to
}

// flanking reports whether the run s[from:to] touches text on a side.
func flanking(s []byte, from, to int) bool {
	return from == 0 || to == len(s) || s[from-1] != ' ' || s[to] != ' '
}

// insideWord reports whether the run s[from:to] has letters or digits on both sides, where '_'
// means nothing, or spaces on both sides.
func insideWord(s []byte, from, to int) bool {
	if from == 0 || to == len(s) {
		return false
	}
	before, _ := utf8.DecodeLastRune(s[:from])
	after, _ := utf8.DecodeRune(s[to:])
	return isWordRune(before) && isWordRune(after) || before == ' ' && after == ' '
}

func isWordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// longestAddress is the part of an address in running text that is examined, in bytes.
const longestAddress = 2000

// bareURL writes an address in running text between angle brackets when it holds characters that
// would need backslashes: an autolink would take the backslashes for part of the address. s[j] is
// the colon. It returns the position after the address, 0 when nothing is needed.
func (e *emitter) bareURL(s []byte, j int, inLink, followed bool) int {
	if inLink || !bytes.HasPrefix(s[j:], []byte("://")) {
		return 0
	}
	start := j
	for start > 0 && s[start-1] != '_' && isNameStart(s[start-1]) {
		start--
	}
	scheme := string(s[start:j])
	if !bytes.HasSuffix(e.esc, s[start:j]) {
		return 0
	}
	if scheme == "ftp" && glued(s[j:], followed) { // other renderers link these, Sluice does not
		e.esc = append(e.esc, "&#58;"...)
		return j + 1
	}
	if scheme != "http" && scheme != "https" {
		return 0
	}
	end := j
	for end < len(s) && end-j < longestAddress && s[end] > ' ' && s[end] < 0x7f && bytes.IndexByte([]byte("<>`\\|"), s[end]) < 0 {
		end++
	}
	end = addressEnd(s, j, end)
	odd := glued(s[j:], followed)
	if !odd || end <= j+3 {
		return 0
	}
	if tagLike(s[start:end]) {
		e.esc = append(e.esc, "&#58;"...) // no address to any renderer
		return j + 1
	}
	e.esc = e.esc[:len(e.esc)-len(scheme)]
	if start > 0 && s[start-1] == '\\' {
		if n := len(e.esc) - len(bytes.TrimRight(e.esc, `\`)); n%2 == 1 {
			e.esc = append(e.esc, '\\') // or it would escape the bracket
		}
	}
	e.esc = append(e.esc, '<')
	e.esc = append(e.esc, s[start:end]...)
	e.esc = append(e.esc, '>')
	for ; end < len(s) && (s[end] == '*' || s[end] == '_' || s[end] == '~'); end++ {
		e.esc = append(e.esc, '\\', s[end]) // the bracket before it makes it a delimiter
	}
	return end
}

// tagLike reports whether an address between angle brackets would be dangerous to a renderer that
// does not know such links: to a browser it is a tag then, and what follows a slash an attribute;
// or the renderer looks for other links inside.
func tagLike[S string | []byte](address S) bool {
	for i := range len(address) {
		switch c := address[i]; {
		case c == '"' || c == '\'' || c == '`' || c == '[' || c == ']':
			return true
		case c == '/' && i+2 < len(address) && address[i+1]|0x20 == 'o' && address[i+2]|0x20 == 'n':
			return true
		}
	}
	return false
}

// addressEnd returns the real end of an address that seems to end at end: punctuation behind it
// belongs to the sentence, and so does a closing bracket that the address did not open.
func addressEnd(s []byte, from, end int) int {
	for ; end > from; end-- {
		switch c := s[end-1]; c {
		case '.', ',', ';', ':', '!', '?', '"', '\'', '*', '_', '~':
		case ')', ']', '}':
			open := map[byte]byte{')': '(', ']': '[', '}': '{'}[c]
			if bytes.Count(s[from:end], []byte{open}) >= bytes.Count(s[from:end], []byte{c}) {
				return end
			}
		default:
			return end
		}
	}
	return end
}

// escapable are the bytes that may get a backslash inside an address.
var escapable = [256]bool{'*': true, '_': true, '~': true, '`': true, '\\': true, '&': true, ']': true}

// glued reports whether the address that s begins with would swallow markup: characters
// before the first space that may be escaped, or what follows on s when that is markup.
func glued(s []byte, followed bool) bool {
	if len(s) > longestAddress {
		s, followed = s[:longestAddress], true
	}
	for i, c := range s {
		if c == ' ' || c == '<' {
			return c == '<'
		}
		if escapable[c] && !(c == '_' && insideWord(s, i, i+1)) && !(c == '&' && !referenceAt(string(s[i:min(i+34, len(s))]))) {
			return true
		}
	}
	return followed
}

// lineMarker returns the position of the byte to escape so that a line does not begin a
// block, or -1. s is the line or, unless lineEnd, its beginning. first says that no line of
// the same paragraph stands before.
func lineMarker(s []byte, first, lineEnd bool) int {
	endsAt := func(i int) bool { return i == len(s) && lineEnd || i < len(s) && s[i] == ' ' }
	switch c := s[0]; {
	case c == '>':
		return 0
	case c == '#':
		n := 1
		for n < len(s) && s[n] == '#' {
			n++
		}
		if n <= 6 && endsAt(n) {
			return 0
		}
	case (c == '-' || c == '+' || c == '*') && endsAt(1):
		return 0
	case '0' <= c && c <= '9':
		n := 1
		for n < len(s) && n < 10 && '0' <= s[n] && s[n] <= '9' {
			n++
		}
		if n < 10 && n < len(s) && (s[n] == '.' || s[n] == ')') && endsAt(n+1) {
			return n
		}
	case c == '~' && bytes.HasPrefix(s, []byte("~~~")):
		return 0
	case c == '[' && len(s) > 2 && (s[1] == '!' || s[1] == '^' || s[2] == ']' && (s[1] == ' ' || s[1]|0x20 == 'x')):
		return 0
	}
	if lineEnd && bytes.IndexByte([]byte("-*_=:|"), s[0]) >= 0 && isRule(s, first) {
		return 0
	}
	return -1
}

// isRule reports whether the whole line would be a thematic break or, below another line, an
// underline or the delimiter row of a table.
func isRule(s []byte, first bool) bool {
	counts := [256]int{}
	for _, c := range s {
		counts[c]++
	}
	n := len(s) - counts[' ']
	for _, c := range []byte("-*_") {
		if n >= 2 && counts[c] == n {
			return true // two will do behind an item's marker
		}
	}
	if first {
		return false
	}
	return counts['='] == len(s) || counts['-'] > 0 && counts['-']+counts[':']+counts['|'] == n
}

// closingHashes escapes "#"s at the end of a heading, which would vanish.
func (e *emitter) closingHashes() {
	n := len(e.out)
	for n > 0 && e.out[n-1] == '#' {
		n--
	}
	if n < len(e.out) && (n == 0 || e.out[n-1] == ' ') {
		e.out = slices.Insert(e.out, n, '\\')
	}
}

// bracketed reports whether the line begins with a bracket, so that "]:" would make the
// definition of a link of it; to some renderers that is one in the middle of a paragraph too.
func (e *emitter) bracketed() bool {
	for i := len(e.tokens) - 1; i >= 0; i-- {
		if e.tokens[i].kind == tokenBreak {
			return i+1 < len(e.tokens) && e.begins(i+1) || i+1 == len(e.tokens) && e.openBracket(e.line)
		}
	}
	if len(e.tokens) > 0 {
		return e.begins(0)
	}
	return e.openBracket(0)
}

// begins reports whether token i, the first of its line, writes a bracket.
func (e *emitter) begins(i int) bool {
	if t := e.tokens[i]; t.kind == tokenOpen {
		return e.spans[t.span].link != nil
	}
	return e.openBracket(e.tokens[i].start)
}

func (e *emitter) openBracket(at int) bool { return at < len(e.esc) && e.esc[at] == '[' }

func isASCIIPunct(r rune) bool {
	return '!' <= r && r <= '/' || ':' <= r && r <= '@' || '[' <= r && r <= '`' || '{' <= r && r <= '~'
}

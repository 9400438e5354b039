package markdown

import (
	"strings"
	"unicode/utf8"
)

// marks are the character formats of a piece of text.
type marks uint8

const (
	bold marks = 1 << iota
	italic
	struck
	subscript
	superscript
	numMarks = 5
)

// link is the target of a piece of text. Two links to the same address are two links.
type link struct {
	url   string
	title string
}

// style is the formatting of a piece.
type style struct {
	marks marks
	code  bool
	link  *link
}

func (s style) with(m marks) style {
	s.marks |= m
	return s
}

type pieceKind uint8

const (
	textPiece  pieceKind = iota
	codePiece            // inline code
	breakPiece           // a hard line break
	rawPiece             // finished Markdown: an image, a marker in a table cell
)

// piece is a part of a paragraph: a range of the collector's buffer under one style.
type piece struct {
	kind       pieceKind
	style      style
	start, end int
}

// collector gathers the inline content of one paragraph, heading or cell. White space is
// collapsed as a browser does it.
type collector struct {
	buf    []byte
	pieces []piece
	// lineEnd says that the next content starts on a new line; see flat.go.
	lineEnd bool
	// glued says that the next line continues behind the current text, a marker or a label.
	glued   bool
	hidden  hiddenCharacters
	written int // visible bytes gathered so far
	// atom says that a lozenge or file just ended: a letter behind it begins a new word.
	atom bool
}

// gathered is the size of a collector at a moment.
type gathered struct{ pieces, size, written int }

func (c *collector) mark() gathered { return gathered{len(c.pieces), len(c.buf), c.written} }

// rewind drops everything gathered since g.
func (c *collector) rewind(g gathered) {
	c.pieces, c.buf, c.written = c.pieces[:g.pieces], c.buf[:g.size], g.written
	if n := g.pieces; n > 0 {
		c.pieces[n-1].end = min(c.pieces[n-1].end, g.size) // it may have grown
	}
}

func (c *collector) reset() {
	c.buf = c.buf[:0]
	c.pieces = c.pieces[:0]
	c.lineEnd, c.glued, c.atom = false, false, false
}

// begin breaks the line after a finished block, now that more content follows.
func (c *collector) begin() {
	c.glued = false
	if c.lineEnd {
		c.br(style{})
	}
}

// spaceBefore reports whether another space at the end of the buffer would be one too many.
func (c *collector) spaceBefore() bool {
	if len(c.pieces) == 0 {
		return true
	}
	p := &c.pieces[len(c.pieces)-1]
	return p.kind == breakPiece || c.buf[len(c.buf)-1] == ' '
}

// extend returns the buffer's current piece if its kind and style match, or begins a new one.
func (c *collector) extend(kind pieceKind, st style) *piece {
	if n := len(c.pieces); n > 0 {
		if p := &c.pieces[n-1]; p.kind == kind && p.style == st {
			return p
		}
	}
	c.pieces = append(c.pieces, piece{kind: kind, style: st, start: len(c.buf), end: len(c.buf)})
	return &c.pieces[len(c.pieces)-1]
}

// text adds readable text.
func (c *collector) text(s string, st style) {
	if st.code {
		c.code(s, st)
		return
	}
	if c.lineEnd || c.glued {
		if strings.TrimSpace(s) == "" {
			return
		}
		c.begin()
	}
	if c.atom {
		c.atom = false
		if r, _ := utf8.DecodeRuneInString(s); isWordRune(r) {
			c.text(" ", style{})
		}
	}
	space := c.spaceBefore()
	buf := c.buf
	start := len(buf)
	for i := 0; i < len(s); {
		b := s[i]
		if b > ' ' && b < utf8.RuneSelf-1 {
			j := i + 1
			for j < len(s) && s[j] > ' ' && s[j] < utf8.RuneSelf-1 {
				j++
			}
			buf = append(buf, s[i:j]...)
			space = false
			i = j
			continue
		}
		if b <= ' ' || b == 0x7f {
			i++
			if !space && isSpace(b) {
				buf = append(buf, ' ')
				space = true
			}
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch runeClass(r) {
		case classSpace:
			if !space {
				buf = append(buf, ' ')
				space = true
			}
		case classInvisible:
			c.hidden.invisible(r)
		default:
			if c.hidden.unseen(buf, r) {
				break
			}
			buf = append(buf, s[i:i+size]...)
			space = false
		}
		i += size
	}
	if len(buf) == start {
		return
	}
	if !space || len(buf) > start+1 {
		c.written += len(buf) - start
	}
	p := c.extend(textPiece, st)
	c.buf = buf
	p.end = len(buf)
}

// code adds inline code. Confluence shows its spaces as they are.
func (c *collector) code(s string, st style) {
	c.begin()
	start := len(c.buf)
	for _, r := range s {
		switch {
		case r == '\r' || r < ' ' && !isSpace(byte(r)) || r == 0x7f: //nolint:gosec // r is below a space
		case r < ' ' || runeClass(r) == classSpace:
			c.buf = append(c.buf, ' ')
		case runeClass(r) == classInvisible:
			c.hidden.invisible(r)
		case r < utf8.RuneSelf || !c.hidden.unseen(c.buf, r):
			c.buf = utf8.AppendRune(c.buf, r)
		}
	}
	if len(c.buf) == start {
		return
	}
	end := len(c.buf)
	c.written += end - start
	c.buf = c.buf[:start]
	p := c.extend(codePiece, st)
	c.buf = c.buf[:end]
	p.end = end
}

type class uint8

const (
	classVisible class = iota
	classSpace
	classInvisible
)

// runeClass returns the class of a character beyond ASCII in running text. No-break, wide and
// narrow spaces count as spaces, or no search would find the words beside them; zero-width spaces
// and byte order marks are dropped. Joiners stay: scripts and emoji need them.
func runeClass(r rune) class {
	switch {
	case r == 0xa0 || r == 0x85 || r == 0x1680 || 0x2000 <= r && r <= 0x200a ||
		r == 0x2028 || r == 0x2029 || r == 0x202f || r == 0x205f || r == 0x3000:
		return classSpace
	case r == 0x200b || 0x2060 <= r && r <= 0x2064 || r == 0xfeff || r == 0xad || 0x80 <= r && r < 0xa0 || r == 0x180e || 0xfff9 <= r && r <= 0xfffb:
		return classInvisible
	}
	return classVisible
}

// raw adds finished Markdown.
func (c *collector) raw(s string, st style) {
	if s == "" {
		return
	}
	c.begin()
	c.pieces = append(c.pieces, piece{kind: rawPiece, style: st, start: len(c.buf), end: len(c.buf) + len(s)})
	c.buf = append(c.buf, s...)
	c.written += len(s)
}

// br adds a hard line break.
func (c *collector) br(st style) {
	c.lineEnd = false
	c.trimSpace()
	if len(c.pieces) == 0 {
		return
	}
	c.pieces = append(c.pieces, piece{kind: breakPiece, style: style{link: st.link}, start: len(c.buf), end: len(c.buf)})
}

// chip adds an element that Confluence shows apart from the words around it.
func (c *collector) chip(s string, st style) {
	if n := len(c.pieces); n > 0 && c.pieces[n-1].kind != breakPiece {
		if r, _ := utf8.DecodeLastRune(c.buf); isWordRune(r) {
			c.text(" ", style{})
		}
	}
	c.text(s, st)
	c.atom = true
}

// trimSpace drops the space at the end.
func (c *collector) trimSpace() {
	for len(c.pieces) > 0 {
		p := &c.pieces[len(c.pieces)-1]
		if p.kind == rawPiece || p.kind == breakPiece || c.buf[len(c.buf)-1] != ' ' {
			return
		}
		c.buf = c.buf[:len(c.buf)-1]
		p.end--
		if p.end == p.start {
			c.pieces = c.pieces[:len(c.pieces)-1]
		}
	}
}

// trim drops breaks and spaces at the end (there are none at the beginning) and reports whether
// anything is left.
func (c *collector) trim() bool {
	c.trimSpace()
	for n := len(c.pieces); n > 0 && c.pieces[n-1].kind == breakPiece; n = len(c.pieces) {
		c.pieces = c.pieces[:n-1]
		c.trimSpace()
	}
	return len(c.pieces) > 0
}

func (c *collector) bytes(p *piece) []byte { return c.buf[p.start:p.end] }

package markdown

// mode is the place where inline content is written.
type mode uint8

const (
	inParagraph mode = iota // breaks are a backslash and a newline
	inHeading               // breaks are spaces
	inCell                  // breaks are <br>; pipes are escaped by the table
	inHead                  // a cell of a table's head: no quotes, because some renderers make it an attribute
)

// emitter writes a collector's pieces as inline Markdown.
//
// Emphasis is the hard part: CommonMark's flanking rules decide where "**" opens and closes, and
// text such as 강조(x)는 with the first four characters bold breaks them. Where a renderer would not
// understand a delimiter, the emitter writes the HTML element with the same meaning.
type emitter struct {
	mode   mode
	parts  []piece
	tokens []token
	spans  []span
	stack  []int // open spans
	esc    []byte
	line   int // start of the current line in esc
	out    []byte

	// continued says that the paragraph already has a line before this one: the line with an
	// alert's kind.
	continued bool

	star, under, tilde bool // whether an unescaped one could be a delimiter in this block
}

type tokenKind uint8

const (
	tokenText tokenKind = iota // esc[start:end]
	tokenBreak
	tokenOpen
	tokenClose
)

type token struct {
	kind       tokenKind
	span       int
	start, end int
}

// span is one range under one mark, or one link when link is set.
type span struct {
	mark marks
	link *link
	html bool // the delimiters would not parse here
	auto bool // a link whose text is its address
}

// emit renders the collector's pieces. The result is valid until the next call.
func (e *emitter) emit(c *collector, m mode) []byte {
	e.mode = m
	e.parts, e.tokens, e.spans, e.stack = e.parts[:0], e.tokens[:0], e.spans[:0], e.stack[:0]
	e.esc, e.out = e.esc[:0], e.out[:0]
	e.split(c)
	e.scan(c)
	for i := range e.parts {
		e.marks(i)
		e.part(c, i)
	}
	e.closeTo(0)
	e.resolve()
	for i := range e.tokens {
		e.write(i)
	}
	if m == inHeading {
		e.closingHashes()
	}
	return e.out
}

// split moves spaces at the edges of a format out of it and merges equal neighbours.
func (e *emitter) split(c *collector) {
	for i := range c.pieces {
		p := c.pieces[i]
		if p.kind != textPiece && p.kind != codePiece {
			e.parts = append(e.parts, p)
			continue
		}
		var prev, next style
		if i > 0 {
			prev = c.pieces[i-1].style
		}
		if i+1 < len(c.pieces) {
			next = c.pieces[i+1].style
		}
		lead, trail := p.start, p.end
		for lead < p.end && c.buf[lead] == ' ' {
			lead++
		}
		for trail > lead && c.buf[trail-1] == ' ' {
			trail--
		}
		if lead == p.end { // only spaces
			e.space(c, common(common(prev, p.style), next), p.end-1)
			continue
		}
		if lead > p.start {
			e.space(c, common(prev, p.style), lead-1)
		}
		e.add(piece{p.kind, p.style, lead, trail})
		if trail < p.end {
			e.space(c, common(p.style, next), trail)
		}
	}
}

// space adds the space at c.buf[at], unless it begins a line or follows another: code keeps
// its spaces, so there may be some to lose here.
func (e *emitter) space(c *collector, st style, at int) {
	n := len(e.parts)
	if n == 0 || e.parts[n-1].kind == breakPiece || e.parts[n-1].kind == textPiece && c.buf[e.parts[n-1].end-1] == ' ' {
		return
	}
	e.add(piece{textPiece, st, at, at + 1})
}

func (e *emitter) add(p piece) {
	if p.kind == textPiece {
		p.style.code = false
	}
	if n := len(e.parts); n > 0 {
		if last := &e.parts[n-1]; last.kind == p.kind && last.style == p.style && last.end == p.start {
			last.end = p.end
			return
		}
	}
	e.parts = append(e.parts, p)
}

// common is the style that both have.
func common(a, b style) style {
	st := style{marks: a.marks & b.marks}
	if a.link == b.link {
		st.link = a.link
	}
	return st
}

// scan finds the delimiter characters that could pair up in this block.
func (e *emitter) scan(c *collector) {
	var star, under, tilde int
	for i := range e.parts {
		p := &e.parts[i]
		if p.style.marks&(bold|italic) != 0 {
			star += 2
		}
		if p.style.marks&struck != 0 {
			tilde += 2
		}
		if p.kind == textPiece {
			text := c.bytes(p)
			for j := 0; j < len(text); j++ {
				switch text[j] {
				case '*', '_', '~':
				default:
					continue
				}
				end := runEnd(text, j)
				switch ch := text[j]; {
				case ch == '*' && flanking(text, j, end):
					star += end - j
				case ch == '~' && flanking(text, j, end):
					tilde += end - j
				case ch == '_' && !insideWord(text, j, end):
					under += end - j
				}
				j = end - 1
			}
		}
	}
	e.star, e.under, e.tilde = star > 1, under > 1, tilde > 1
}

// marks closes and opens spans so that part i gets its style. It opens the longest span first.
func (e *emitter) marks(i int) {
	want := e.parts[i].style
	keep := 0
	for keep < len(e.stack) && e.spans[e.stack[keep]].within(want) {
		keep++
	}
	e.closeTo(keep)
	var have marks
	linked := false
	for _, s := range e.stack {
		have |= e.spans[s].mark
		linked = linked || e.spans[s].link != nil
	}
	missing := want.marks &^ have
	needLink := want.link != nil && !linked
	for missing != 0 || needLink {
		best, longest := span{}, -1
		if needLink {
			best, longest = span{link: want.link}, e.lasting(i, span{link: want.link})
		}
		for m := bold; m < 1<<numMarks; m <<= 1 {
			if missing&m == 0 {
				continue
			}
			if n := e.lasting(i, span{mark: m}); n > longest {
				best, longest = span{mark: m}, n
			}
		}
		missing &^= best.mark
		needLink = needLink && best.link == nil
		e.spans = append(e.spans, best)
		e.stack = append(e.stack, len(e.spans)-1)
		e.tokens = append(e.tokens, token{kind: tokenOpen, span: len(e.spans) - 1})
	}
}

// within reports whether the span continues over a part of the style.
func (s span) within(st style) bool {
	if s.link != nil {
		return st.link == s.link
	}
	return st.marks&s.mark != 0
}

// lasting counts the parts from i on that the span would cover, up to the point where it matters.
func (e *emitter) lasting(i int, s span) int {
	n := 0
	for ; i < len(e.parts) && n < 16 && s.within(e.parts[i].style); i++ {
		n++
	}
	return n
}

func (e *emitter) closeTo(depth int) {
	for len(e.stack) > depth {
		n := len(e.stack) - 1
		e.tokens = append(e.tokens, token{kind: tokenClose, span: e.stack[n]})
		e.stack = e.stack[:n]
	}
}

// part escapes part i into a text token.
func (e *emitter) part(c *collector, i int) {
	p := &e.parts[i]
	t := token{kind: tokenText, start: len(e.esc)}
	switch p.kind {
	case breakPiece:
		e.tokens = append(e.tokens, token{kind: tokenBreak})
		e.line = len(e.esc)
		return
	case codePiece:
		e.codeSpan(c.bytes(p))
	case rawPiece:
		e.esc = append(e.esc, c.bytes(p)...)
	case textPiece:
		if e.autolink(c, i) {
			e.spans[e.stack[len(e.stack)-1]].auto = true
			e.esc = append(e.esc, c.bytes(p)...)
		} else {
			e.text(c, i)
		}
	}
	t.end = len(e.esc)
	e.tokens = append(e.tokens, t)
}

// autolink reports whether part i is the whole text of a link and equals its address.
func (e *emitter) autolink(c *collector, i int) bool {
	l := e.parts[i].style.link
	if l == nil || l.title != "" || string(c.bytes(&e.parts[i])) != l.url || !plainURL(l.url) {
		return false
	}
	top := len(e.stack) - 1
	return e.spans[e.stack[top]].link == l &&
		(i == 0 || e.parts[i-1].style.link != l) &&
		(i+1 == len(e.parts) || e.parts[i+1].style.link != l)
}

// plainURL reports whether url can be written between angle brackets unchanged.
func plainURL(url string) bool {
	if len(url) < 9 || url[:7] != "http://" && url[:8] != "https://" {
		return false
	}
	for i := range len(url) {
		if c := url[i]; c <= ' ' || c == '<' || c == '>' || c == '\\' || c == '|' || c >= 0x7f {
			return false
		}
	}
	return !tagLike(url)
}

// delimiter is the character of the span's Markdown delimiter, 0 if it has none.
func (s span) delimiter() byte {
	switch {
	case s.html || s.link != nil:
		return 0
	case s.mark == struck:
		return '~'
	case s.mark == bold || s.mark == italic:
		return '*'
	}
	return 0
}

func (e *emitter) write(i int) {
	t := e.tokens[i]
	switch t.kind {
	case tokenText:
		e.out = append(e.out, e.esc[t.start:t.end]...)
	case tokenBreak:
		for len(e.out) > 0 && e.out[len(e.out)-1] == ' ' {
			e.out = e.out[:len(e.out)-1]
		}
		switch {
		case e.mode == inHeading:
			e.out = append(e.out, ' ')
		case e.mode >= inCell:
			e.out = append(e.out, "<br>"...)
		case len(e.out) > 0 && e.out[len(e.out)-1] == '\\': // renderers count backslashes differently
			e.out = append(e.out, "<br>\n"...)
		default:
			e.out = append(e.out, '\\', '\n')
		}
	case tokenOpen:
		s := &e.spans[t.span]
		switch {
		case s.auto:
			e.out = append(e.out, '<')
		case s.link != nil:
			if n := len(e.out); n > 0 && e.out[n-1] == '!' {
				e.out = append(e.out[:n-1], `\!`...)
			}
			e.out = append(e.out, '[')
		default:
			e.out = append(e.out, s.openTag()...)
		}
	case tokenClose:
		s := &e.spans[t.span]
		switch {
		case s.auto:
			e.out = append(e.out, '>')
		case s.link != nil:
			e.out = append(e.out, ']', '(')
			e.out = appendDestination(e.out, s.link.url, s.link.title)
			e.out = append(e.out, ')')
		default:
			e.out = append(e.out, s.closeTag()...)
		}
	}
}

func (s *span) openTag() string {
	switch {
	case s.mark == bold && s.html:
		return "<strong>"
	case s.mark == italic && s.html:
		return "<em>"
	case s.mark == struck && s.html:
		return "<del>"
	case s.mark == bold:
		return "**"
	case s.mark == italic:
		return "*"
	case s.mark == struck:
		return "~~"
	case s.mark == subscript:
		return "<sub>"
	}
	return "<sup>"
}

func (s *span) closeTag() string {
	switch {
	case s.mark == bold && s.html:
		return "</strong>"
	case s.mark == italic && s.html:
		return "</em>"
	case s.mark == struck && s.html:
		return "</del>"
	case s.mark == subscript:
		return "</sub>"
	case s.mark == superscript:
		return "</sup>"
	}
	return s.openTag()
}

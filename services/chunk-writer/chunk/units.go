package chunk

import (
	"strings"
)

// unit is a part of the document that is not cut further. Between two units there is only white
// space and the quote marks at the beginning of a line.
type unit struct {
	start, end         int
	size, gap          int    // tokens of the unit, and of the text between it and the next
	lead, tail         string // text that makes a chunk that begins or ends here readable alone
	leadSize, tailSize int
	key                uint32 // hash of its beginning; picks among equally good seams
	rank               rank   // of the seam before it
	soft               bool   // the lead is dropped if the unit does not fit with it
	glue               bool   // no chunk begins here unless nothing else fits
	alone              bool   // a chunk always begins here
	fixed              bool   // the lead never changes
	block              *block // the block that the unit holds whole, nil for a part
	frame              *frame

	span    span // of the text up to spanEnd
	spanEnd int  // end, where span is right
}

// rank rates a seam; lower is better.
type rank uint8

const (
	rankTitle    rank = iota + 1 // before a title of the text, see titleOf
	rankBlock                    // between two blocks
	rankLead                     // between a paragraph and the list, table or code it leads to
	rankItem                     // between list items, table rows, parts of code
	rankInner                    // inside an item or a part of code
	rankLine                     // between lines of code
	rankSentence                 // between sentences
	rankWord                     // between words
	rankCut                      // inside a word
)

// measured keeps the span of the text from start to end. It is valid until one of them moves.
func (u *unit) measured(text span) { u.span, u.spanEnd = text, u.end }

// frame describes what the containers around a block require of a chunk that begins inside them.
type frame struct {
	open   string // lines that open the containers again
	prefix string // prefix of their lines
	quotes int
}

// splitter cuts the blocks of a document into units of at most max tokens.
type splitter struct {
	src   string
	max   int
	units []unit
	after bool // the next unit begins a chunk
	again int  // tokens that every chunk of the current section repeats
}

// block adds the units of b. The first has at most room tokens, the others max.
func (s *splitter) block(b *block, f *frame, room int, r rank) {
	whole := unit{start: b.start, end: b.end, tail: s.missingEnd(b, f), block: b, frame: f}
	first := len(s.units)
	if text, fits := spanWithin(s.src[b.start:b.end], room-Estimate(whole.tail)); fits {
		whole.measured(text)
		s.push(whole)
	} else {
		s.parts(b, f, room)
	}
	// Where a chunk has no room for the container, the container's closing line is missing too.
	s.after = s.after || whole.tail != "" && f.prefix != ""
	if first == len(s.units) {
		return
	}
	u := &s.units[first]
	u.rank, u.glue = r, false
	if !u.fixed {
		u.lead, u.soft = f.open, true
	}
	// In general, repeated markers are worth their cost; those of very deep nesting are not.
	if b.start < u.start && Estimate(s.src[b.start:u.start]) <= room/4 {
		u.start, u.spanEnd = b.start, 0
	}
}

// parts adds the units of a block that does not fit.
func (s *splitter) parts(b *block, f *frame, room int) {
	switch b.kind {
	case list:
		for i, it := range b.children {
			if i > 0 {
				room = s.max
			}
			s.block(it, f, room, rankItem)
		}
	case item:
		s.inner(b, s.itemFrame(b, f), room)
	case quote:
		s.quoteParts(b, f, room)
	case fence:
		s.fenceParts(b, f, room)
	case htmlBlock:
		s.htmlParts(b, f, room)
	case indented:
		s.lines(b.start, b.end, lineStyle{lead: f.open, mid: f.open + f.prefix + "    ", room: room})
	case table:
		s.tableParts(b, f, room)
	default:
		s.paragraphParts(b, f, room)
	}
}

// inner adds the units of a container's children.
func (s *splitter) inner(b *block, f *frame, room int) {
	if len(b.children) == 0 {
		s.lines(b.start, b.end, lineStyle{lead: f.open, mid: f.open + f.prefix, room: room})
		return
	}
	before := len(s.units)
	if above := Estimate(s.src[b.start:b.children[0].start]); above <= room/4 { // see block
		room -= above
	}
	over, first := title{}, true
	for _, c := range b.children {
		if !first {
			room = s.max
		}
		over = s.under(over, c, f, room, rankInner)
		first = first && over.line != "" // a title joins its text to the text before it
	}
	// Lines with only quote marks belong to no child.
	if n := len(s.units); n > before {
		last := s.units[n-1].end
		if rest := s.src[last:b.end]; strings.TrimSpace(rest) != "" {
			at := last + strings.IndexByte(rest, '\n') + 1
			s.lines(at, b.end, lineStyle{lead: f.open, mid: f.open + f.prefix, room: s.max})
		}
	}
}

// itemFrame is the frame inside a list item: a chunk that begins there opens the item again with
// its own marker and an ellipsis, so that the text keeps its level in the list.
func (s *splitter) itemFrame(b *block, f *frame) *frame {
	x := b.extra
	pad := strings.Repeat(" ", x.indent)
	g := &frame{prefix: f.prefix + strings.Repeat(" ", x.width), quotes: f.quotes}
	g.open = f.open + f.prefix + pad + x.marker + strings.Repeat(" ", x.width-x.indent-len(x.marker)) +
		Ellipsis + "\n" + strings.TrimRight(g.prefix, " ") + "\n"
	s.limitOpen(g)
	return g
}

// limitOpen drops a frame's opening lines if they would take more than an eighth of a chunk.
func (s *splitter) limitOpen(f *frame) {
	if Estimate(f.open) > s.max/8 {
		f.open = ""
	}
}

// quoteParts keeps the first line of an alert with its text and repeats it in every chunk.
func (s *splitter) quoteParts(b *block, f *frame, room int) {
	g := &frame{open: f.open, prefix: f.prefix + "> ", quotes: f.quotes + 1}
	first := len(s.units)
	var alert string
	if len(b.children) > 0 {
		alert = strings.TrimRight(lineAt(s.src, b.children[0].body), " \t")
	}
	if !isAlert(alert) {
		s.inner(b, g, room)
		return
	}
	g.open += g.prefix + alert + "\n" + strings.TrimRight(g.prefix, " ") + "\n"
	s.limitOpen(g)
	s.inner(b, g, room)
	if len(s.units) > first+1 && strings.HasSuffix(s.src[b.start:s.units[first].end], alert) {
		s.units[first+1].glue = true
	}
}

func isAlert(line string) bool {
	name, ok := strings.CutPrefix(line, "[!")
	if !ok {
		return false
	}
	name, ok = strings.CutSuffix(name, "]")
	return ok && len(name) < 16 && name != "" && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == ""
}

// fenceParts cuts code between lines. Every chunk opens and closes the fence.
func (s *splitter) fenceParts(b *block, f *frame, room int) {
	x := b.extra
	mark := strings.Repeat(string(x.char), x.run)
	lead, tail := f.prefix+x.opener+"\n", "\n"+f.prefix+mark
	if Estimate(lead)+Estimate(tail) > s.max/4 {
		s.plain(b, f, room)
		return
	}
	if with := f.open + lead; Estimate(with)+Estimate(tail) <= s.max/4 {
		lead = with
	}
	end := b.end
	if b.closed {
		end = max(b.start, strings.LastIndexByte(s.src[:b.end], '\n'))
	}
	first := len(s.units)
	size := s.lines(b.start, end, lineStyle{
		lead: lead, mid: lead + f.prefix, tail: tail, room: room, hard: true, held: 1,
	})
	if b.closed && len(s.units) > first {
		s.closeWith(end+1, b.end, size, lead)
	}
}

// closeWith adds the closing line of a fence, to the last unit if there is room.
func (s *splitter) closeWith(start, end, size int, lead string) {
	last := &s.units[len(s.units)-1]
	if extra := Estimate(s.src[last.end:end]); size > 0 && size+extra+last.leadCost() <= s.max {
		last.end, last.tail = end, ""
		return
	}
	s.push(unit{start: start, end: end, rank: rankLine, lead: lead, glue: true})
}

func (u *unit) leadCost() int { return Estimate(u.lead) }

// tableParts cuts a table between rows. Every chunk repeats the head and the delimiter row unless
// they take more than half of it.
func (s *splitter) tableParts(b *block, f *frame, room int) {
	headEnd := b.extra.headEnd
	delimiter := strings.LastIndexByte(s.src[:headEnd], '\n') + 1
	head := f.prefix + strings.TrimRight(lineAt(s.src, b.body), " \t") + "\n" +
		f.prefix + strings.TrimSpace(s.src[s.skip(delimiter, headEnd, f.quotes):headEnd]) + "\n"
	lead := f.open + head
	if Estimate(lead) > s.max/2 {
		lead, head = f.open, ""
	}
	if Estimate(s.src[b.start:headEnd]) <= room {
		s.push(unit{start: b.start, end: headEnd})
	} else {
		s.paragraphParts(&block{start: b.start, body: b.body, end: headEnd}, f, room)
	}
	glue := true
	for at := headEnd + 1; at < b.end; {
		end := s.lineEnd(at, b.end)
		if text, fits := spanWithin(s.src[at:end], s.max); fits {
			u := unit{start: at, end: end, rank: rankItem, lead: lead, soft: true, glue: glue}
			u.measured(text)
			s.push(u)
		} else {
			s.rowParts(at, end, f, lead, head != "")
		}
		glue = false
		at = end + 1
	}
}

// rowParts cuts a table row that is larger than a chunk. With the head repeated, a part begins with
// one empty cell for each cell before it in the row.
func (s *splitter) rowParts(start, end int, f *frame, lead string, cells bool) {
	const widest = 16
	first := len(s.units)
	from := s.skip(start, end, f.quotes)
	mid := lead + f.prefix
	room := s.max - Estimate(mid) - widest - 1
	s.sentences(start, from, end, textStyle{lead: mid, marked: mid + Ellipsis + " ", room: max(room, s.max/8)})
	if len(s.units) == first {
		return
	}
	s.units[first].lead, s.units[first].soft = lead, true
	if !cells {
		return
	}
	n, at := 0, from
	for i := first + 1; i < len(s.units); i++ {
		u := &s.units[i]
		n += strings.Count(s.src[at:u.start], "|")
		at = u.start
		u.lead = mid + strings.Repeat("| ", min(max(n, 1), widest))
		if s.src[u.start] != '|' {
			u.lead += Ellipsis + " "
		}
	}
}

// missingEnd returns the closing line of a block that only the end of the document or of its
// container closes, or "".
func (s *splitter) missingEnd(b *block, f *frame) string {
	switch {
	case b.closed:
		return ""
	case b.kind == fence:
		return "\n" + f.prefix + strings.Repeat(string(b.extra.char), b.extra.run)
	case b.kind == htmlBlock && b.level < 6:
		_, end := htmlFrame(s.src[b.body:b.end], b.level)
		return "\n" + f.prefix + end
	}
	return ""
}

// htmlParts cuts HTML between lines. Every chunk opens and closes the block's element again, so
// that the lines of a comment or of preformatted text are not read as Markdown.
func (s *splitter) htmlParts(b *block, f *frame, room int) {
	open, end := htmlFrame(s.src[b.body:b.end], b.level)
	lead, tail := f.prefix+open+"\n", "\n"+f.prefix+end
	if Estimate(lead)+Estimate(tail) > s.max/4 {
		s.plain(b, f, room)
		return
	}
	if with := f.open + lead; Estimate(with)+Estimate(tail) <= s.max/4 {
		lead = with
	}
	first := len(s.units)
	s.lines(b.start, b.end, lineStyle{lead: lead, mid: lead + f.prefix, tail: tail, room: room, hard: true})
	if n := len(s.units); n > first {
		last := &s.units[n-1]
		if b.level >= 6 || closesHTML(s.src[last.start:last.end], b.level) {
			last.tail = ""
		}
	}
}

// htmlFrame returns the shortest lines that begin and end an HTML block like the one in text.
func htmlFrame(text string, kind uint8) (open, end string) {
	switch kind {
	case 2:
		return "<!--", "-->"
	case 3:
		return "<?", "?>"
	case 4:
		return text[:3], ">"
	case 5:
		return "<![CDATA[", "]]>"
	}
	name := strings.TrimPrefix(text[1:], "/")
	if n := strings.IndexFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-'
	}); n >= 0 {
		name = name[:n]
	}
	return "<" + name + ">", "</" + name + ">"
}

// plain cuts a block that cannot be opened again, because its first line alone is too long, as
// lines of text. A line that would open a fence or HTML begins a chunk and is escaped.
func (s *splitter) plain(b *block, f *frame, room int) {
	for at := b.start; at < b.end; {
		end := s.lineEnd(at, b.end)
		first := len(s.units)
		s.lines(at, end, lineStyle{lead: f.open, mid: f.open + f.prefix + Ellipsis + " ", room: room - 1})
		room = s.max
		if from := s.skip(at, end, f.quotes); len(s.units) > first && opensRaw(s.src[from:end]) {
			u := &s.units[first]
			u.alone, u.fixed, u.soft, u.lead = true, true, false, `\`
		}
		at = end + 1
	}
}

func opensRaw(line string) bool {
	line = strings.TrimLeft(line, " \t>-+*0123456789.)")
	return strings.HasPrefix(line, "```") || strings.HasPrefix(line, "~~~") || strings.HasPrefix(line, "<")
}

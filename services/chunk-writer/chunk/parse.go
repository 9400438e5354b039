package chunk

import "strings"

type kind uint8

const (
	document kind = iota
	quote
	list
	item
	paragraph
	heading
	fence
	indented
	htmlBlock
	table
	rule
)

// maxDepth limits the nesting of quotes and list items; deeper markers are read as text. This
// limits the work on a line that consists of markers only.
const maxDepth = 16

// block is a part of the document: whole lines from start to end.
type block struct {
	kind     kind
	level    uint8 // heading: 1 to 6; htmlBlock: its kind of 1 to 7
	closed   bool  // fence, htmlBlock: its closing line was found
	start    int   // offset of its first line, including its containers' markers
	body     int   // offset of its first own character
	end      int   // offset behind its last line, without the line end
	children []*block
	extra    *extra
}

// extra holds the fields that only some kinds of block need.
type extra struct {
	width   int    // item: columns from its container to its text
	indent  int    // item: columns before the marker
	marker  string // item: "-", "3."
	opener  string // fence: "```go"
	char    byte   // fence: ` or ~; list: the marker's last character
	run     int    // fence: how many of char
	headEnd int    // table: offset behind the delimiter row
}

// parser reads Markdown line by line like CommonMark's reference parser: it has a stack of open
// containers, each of which a line must match, and one open leaf. It does not read inline syntax.
// Each line costs at most its length times the depth.
type parser struct {
	src   string
	stack []*block // document, then open quotes and items from the outside in
	leaf  *block   // the open leaf, nil after a blank line
	prev  int      // in an open paragraph: offset of its last line's text
	from  int      // offset of the beginning of that line
	start int      // offset of the current line
	end   int
	all   bool // the line matches every open container
	cur   cursor
}

// parse returns the blocks of src, a text whose lines end in \n.
func parse(src string) []*block {
	root := &block{kind: document}
	p := &parser{src: src, stack: []*block{root}}
	for at := 0; at < len(src); {
		n := strings.IndexByte(src[at:], '\n')
		end := at + n
		if n < 0 {
			end = len(src)
		}
		p.line(at, end)
		at = end + 1
	}
	spread(root)
	return root.children
}

// spread sets every container's end to its last child's end.
func spread(b *block) {
	for _, c := range b.children {
		spread(c)
		b.end = max(b.end, c.end)
	}
}

func (p *parser) line(start, end int) {
	p.start, p.end = start, end
	p.cur = cursor{s: p.src[:end], at: start}
	matched := p.match()
	p.all = matched == len(p.stack)
	if p.all && p.leaf != nil && p.continueLeaf() {
		return
	}
	tip := p.leaf // the leaf that a lazy line could continue
	opened := false
	for p.open(matched, tip) {
		opened = true
		tip = nil
		matched = len(p.stack)
		if p.leaf != nil {
			return // a leaf that takes the rest of the line
		}
	}
	switch {
	case p.cur.blank():
		p.closeTo(matched)
		p.leaf = nil
	case !p.all && !opened && tip != nil && tip.kind == paragraph:
		p.extendParagraph()
	default:
		p.closeTo(matched)
		if p.leaf != nil && (p.leaf.kind == paragraph || p.leaf.kind == table) {
			p.extendParagraph()
			return
		}
		p.add(&block{kind: paragraph})
		p.prev, p.from = p.leaf.body, p.start
	}
}

// match walks the open containers as far as the line belongs to them and returns their number.
func (p *parser) match() int {
	c := &p.cur
	for i := 1; i < len(p.stack); i++ {
		b := p.stack[i]
		indent, next := c.indent()
		switch {
		case b.kind == quote:
			if indent > 3 || next >= p.end || p.src[next] != '>' {
				return i
			}
			c.skip(indent + 1)
			c.skipSpace()
			b.end = p.end // a line with only the mark belongs to it too
		case next >= p.end:
			if len(b.children) == 0 {
				return i // an item may begin with one blank line, not with two
			}
			c.skip(indent)
		case indent >= b.extra.width:
			c.skip(b.extra.width)
		default:
			return i
		}
	}
	return len(p.stack)
}

// continueLeaf gives the line to the open leaf if the leaf takes it whatever its content.
func (p *parser) continueLeaf() bool {
	indent, next := p.cur.indent()
	rest := p.src[next:p.end]
	switch p.leaf.kind {
	case fence:
		p.leaf.end = p.end
		if indent <= 3 && closesFence(rest, p.leaf.extra) {
			p.leaf.closed = true
			p.leaf = nil
		}
		return true
	case htmlBlock:
		if p.leaf.level >= 6 && rest == "" {
			p.leaf.closed = true
			p.leaf = nil
			return true
		}
		p.leaf.end = p.end
		if closesHTML(rest, p.leaf.level) {
			p.leaf.closed = true
			p.leaf = nil
		}
		return true
	case indented:
		if rest == "" {
			return true
		}
		if indent >= 4 {
			p.leaf.end = p.end
			return true
		}
		p.leaf = nil
	}
	return false
}

// open opens the block that begins at the cursor and reports whether there is one. After it opens a
// container, the leaf is nil and the caller still has to read the rest of the line.
func (p *parser) open(matched int, tip *block) bool {
	indent, next := p.cur.indent()
	rest := p.src[next:p.end]
	if rest == "" {
		return false
	}
	if indent >= 4 {
		if tip != nil && tip.kind == paragraph {
			return false
		}
		p.closeTo(matched)
		p.leaf = nil
		p.add(&block{kind: indented})
		return true
	}
	inPara := p.all && tip != nil && tip.kind == paragraph
	if b := p.leafAt(rest, inPara, tip); b != nil {
		if b == tip { // an underline has turned the paragraph into a heading
			p.leaf = nil
			return p.swallow()
		}
		p.closeTo(matched)
		p.leaf = nil
		p.add(b)
		if b.kind == fence || b.kind == htmlBlock && !b.closed {
			return true
		}
		p.leaf = nil
		return p.swallow()
	}
	if len(p.stack) > maxDepth {
		return false
	}
	if rest[0] == '>' {
		p.closeTo(matched)
		p.leaf = nil
		p.add(&block{kind: quote})
		p.cur.skip(indent + 1)
		p.cur.skipSpace()
		return true
	}
	return p.openItem(matched, inPara, indent, rest)
}

// swallow moves the cursor behind the line, so that no more blocks are found on it, and returns
// true.
func (p *parser) swallow() bool {
	p.cur.at = p.end
	p.cur.tab = 0
	return true
}

// leafAt returns the leaf block, except a paragraph, at the start of rest, or nil. It returns tip
// itself when rest is the underline that turns it into a heading.
func (p *parser) leafAt(rest string, inPara bool, tip *block) *block {
	switch rest[0] {
	case '#':
		if n := atxLevel(rest); n > 0 {
			return &block{kind: heading, level: uint8(n)} //nolint:gosec // levels of headings and kinds of HTML blocks are 1 to 7
		}
	case '`', '~':
		if x := fenceOpener(rest); x != nil {
			return &block{kind: fence, extra: x}
		}
	case '<':
		if n := htmlKind(rest, tip != nil && tip.kind == paragraph); n > 0 {
			return &block{kind: htmlBlock, level: uint8(n), closed: closesHTML(rest, uint8(n))} //nolint:gosec // levels of headings and kinds of HTML blocks are 1 to 7
		}
	case '=', '-':
		if n := underlineLevel(rest); n > 0 && inPara {
			tip.kind, tip.level, tip.end = heading, uint8(n), p.end //nolint:gosec // levels of headings and kinds of HTML blocks are 1 to 7
			return tip
		}
	}
	if isRule(rest) {
		return &block{kind: rule}
	}
	return nil
}

// openItem opens a list item, and a list around it unless the last block is one of its kind.
func (p *parser) openItem(matched int, inPara bool, indent int, rest string) bool {
	marker := listMarker(rest)
	if marker == "" {
		return false
	}
	blank := strings.Trim(rest[len(marker):], " \t") == ""
	ordered := marker[0] >= '0' && marker[0] <= '9'
	if inPara && (blank || ordered && marker != "1." && marker != "1)") {
		return false
	}
	p.closeTo(matched)
	p.leaf = nil
	parent := p.stack[len(p.stack)-1]
	char := marker[len(marker)-1]
	if n := len(parent.children); n == 0 || parent.children[n-1].kind != list || parent.children[n-1].extra.char != char {
		parent.children = append(parent.children, &block{
			kind: list, start: p.start, body: p.cur.at, end: p.end, extra: &extra{char: char},
		})
	}
	parent = parent.children[len(parent.children)-1]
	it := &block{kind: item, start: p.start, body: p.cur.at, end: p.end}
	parent.children = append(parent.children, it)
	p.stack = append(p.stack, it)

	p.cur.skip(indent + len(marker))
	pad, _ := p.cur.indent()
	if blank || pad > 4 { // nothing behind the marker, or an indented block
		pad = 1
	}
	p.cur.skip(pad)
	it.extra = &extra{indent: indent, marker: marker, width: indent + len(marker) + pad}
	return true
}

// closeTo leaves the containers that the line does not match.
func (p *parser) closeTo(matched int) {
	if !p.all {
		p.stack = p.stack[:matched]
		p.leaf = nil
		p.all = true
	}
}

// add appends b, which begins at the cursor, to the innermost open container. A quote is
// opened, anything else becomes the open leaf.
func (p *parser) add(b *block) {
	_, next := p.cur.indent()
	b.start, b.body, b.end = p.start, next, p.end
	parent := p.stack[len(p.stack)-1]
	parent.children = append(parent.children, b)
	if b.kind == quote {
		p.stack = append(p.stack, b)
		return
	}
	p.leaf = b
}

// extendParagraph adds the line to the open paragraph or table. A delimiter row under a line
// of as many cells makes that line a table's head.
func (p *parser) extendParagraph() {
	_, at := p.cur.indent()
	b := p.leaf
	if p.all && b.kind == paragraph && isDelimiterRow(p.src[at:p.end]) &&
		cells(p.src[at:p.end]) == cells(lineAt(p.src, p.prev)) {
		if p.prev != b.body { // the lines above stay a paragraph
			b.end = p.from - 1
			b = &block{start: p.from, body: p.prev}
			parent := p.stack[len(p.stack)-1]
			parent.children = append(parent.children, b)
			p.leaf = b
		}
		b.kind = table
		b.extra = &extra{headEnd: p.end}
	}
	b.end = p.end
	p.prev, p.from = at, p.start
}

// lineAt returns the rest of the line at offset at.
func lineAt(src string, at int) string {
	line, _, _ := strings.Cut(src[at:], "\n")
	return line
}

package markdown

import (
	"slices"
	"strings"

	"github.com/sluicehq/sluice/shared/failure"
)

// node is an element, or text when tag is tagText or tagCDATA. Strings are slices of the body
// unless decoding changed them.
type node struct {
	tag         tag
	name        string // qualified name as written
	text        string
	attrs       []attr
	first, last *node
	next        *node
}

type attr struct{ name, value string }

// attr returns the value of the attribute with the qualified name, or "".
func (n *node) attr(name string) string {
	for i := range n.attrs {
		if n.attrs[i].name == name {
			return n.attrs[i].value
		}
	}
	return ""
}

// child returns the first child with the tag, or nil.
func (n *node) child(t tag) *node {
	for c := n.first; c != nil; c = c.next {
		if c.tag == t {
			return c
		}
	}
	return nil
}

func (n *node) append(c *node) {
	if n.last == nil {
		n.first = c
	} else {
		n.last.next = c
	}
	n.last = c
}

type problem struct {
	reason string
	count  int
}

type tree struct {
	root     *node
	problems []problem // in order of first appearance
}

// parser reads storage format: an XML fragment without a root, with undeclared prefixes and HTML's
// named entities. It never rejects a body: it repairs malformed markup as a reader would understand
// it, and notes it. ADR 0004 says why it does not use encoding/xml.
type parser struct {
	src string
	pos int
	// These fields hold the position of the last '>', and whether "-->" and "?>" are known to be
	// missing: another search would scan to the end again, and a body of a million unclosed tags or
	// comments would need a million scans. Most bodies have no comment, so the parser searches only
	// when it meets one.
	lastGT          int
	noComment, noPI bool

	open  []*node // open elements, the root first
	slab  []node
	nodes int // of all slabs
	attrs []attr
	tree  tree
}

func parse(src string) (tree, error) {
	p := &parser{
		src:    src,
		lastGT: strings.LastIndexByte(src, '>'),
	}
	root := p.node()
	root.tag = tagRoot
	p.open = append(p.open, root)
	p.tree.root = root
	for p.pos < len(src) {
		i := strings.IndexByte(src[p.pos:], '<')
		if i < 0 {
			p.text(src[p.pos:])
			break
		}
		if i > 0 {
			p.text(src[p.pos : p.pos+i])
			p.pos += i
		}
		p.markup()
		if p.full() {
			return tree{}, failure.New(failure.ConvertTooLarge, "the body has more than %d elements, attributes and pieces of text", MaxParts)
		}
		if len(p.open) > MaxDepth+1 {
			return tree{}, failure.New(failure.ConvertTooDeep, "elements nest deeper than %d", MaxDepth)
		}
	}
	for _, n := range p.open[1:] {
		if !n.tag.optionalEnd() {
			p.note("element not closed")
		}
	}
	return p.tree, nil
}

func (p *parser) node() *node {
	if len(p.slab) == 0 {
		p.slab = make([]node, min(max(len(p.src)/64, 16), 1024))
		p.nodes += len(p.slab)
	}
	n := &p.slab[0]
	p.slab = p.slab[1:]
	return n
}

// full reports whether the body has more parts than are held of one.
func (p *parser) full() bool { return p.nodes-len(p.slab)+len(p.attrs) > MaxParts }

func (p *parser) note(reason string) {
	for i := range p.tree.problems {
		if p.tree.problems[i].reason == reason {
			p.tree.problems[i].count++
			return
		}
	}
	p.tree.problems = append(p.tree.problems, problem{reason, 1})
}

func (p *parser) top() *node { return p.open[len(p.open)-1] }

func (p *parser) text(raw string) {
	n := p.node()
	n.tag, n.text = tagText, decode(raw)
	p.top().append(n)
}

// markup consumes the markup that begins with the '<' at pos.
func (p *parser) markup() {
	rest := p.src[p.pos:]
	switch {
	case strings.HasPrefix(rest, "<![CDATA["):
		p.cdata(rest[len("<![CDATA["):])
	case strings.HasPrefix(rest, "<!--"):
		p.skip(rest, "-->", &p.noComment)
	case strings.HasPrefix(rest, "<!"):
		none := p.pos >= p.lastGT
		p.skip(rest, ">", &none)
	case strings.HasPrefix(rest, "<?"):
		p.skip(rest, "?>", &p.noPI)
	case strings.HasPrefix(rest, "</") && len(rest) > 2 && isNameStart(rest[2]):
		p.endTag(rest)
	case len(rest) > 1 && isNameStart(rest[1]):
		p.startTag(rest)
	default:
		p.note("a bare < was read as text")
		p.text("<")
		p.pos++
	}
}

func (p *parser) cdata(rest string) {
	n := p.node()
	n.tag = tagCDATA
	p.pos += len("<![CDATA[")
	end := strings.Index(rest, "]]>")
	if end < 0 {
		p.note("CDATA not closed")
		n.text = rest
		p.pos += len(rest)
	} else {
		n.text = rest[:end]
		p.pos += end + len("]]>")
	}
	p.top().append(n)
}

// skip drops a comment, declaration or processing instruction. none says that no closing mark
// follows; skip sets it when a search fails.
func (p *parser) skip(rest, end string, none *bool) {
	i := -1
	if !*none {
		i = strings.Index(rest[2:], end)
	}
	if i < 0 {
		*none = true
		// It is never closed: only the opening is dropped, so that the text behind it stays
		// readable.
		p.note("a comment or declaration not closed")
		p.pos += 2
		for p.pos < len(p.src) && p.src[p.pos] == '-' {
			p.pos++
		}
		return
	}
	p.pos += 2 + i + len(end)
}

func (p *parser) endTag(rest string) {
	i := 3
	for i < len(rest) && isNameByte(rest[i]) {
		i++
	}
	name := lower(rest[2:i])
	if p.pos+i > p.lastGT {
		p.note("a tag not closed")
		p.pos += i
	} else {
		p.pos += i + strings.IndexByte(rest[i:], '>') + 1
	}
	if p.top().name != name && !p.isOpen(name) {
		if !isVoid(tagOf(name)) {
			p.note("an end tag without its element")
		}
		return
	}
	for {
		n := p.top()
		p.open = p.open[:len(p.open)-1]
		if n.name == name {
			return
		}
		if !n.tag.optionalEnd() {
			p.note("element not closed")
		}
	}
}

// isOpen reports whether an element with this name is open. At most MaxDepth are.
func (p *parser) isOpen(name string) bool {
	return slices.ContainsFunc(p.open[1:], func(n *node) bool { return n.name == name })
}

func (p *parser) startTag(rest string) {
	i := 1
	for i < len(rest) && isNameByte(rest[i]) {
		i++
	}
	n := p.node()
	n.name = lower(rest[1:i])
	n.tag = tagOf(n.name)
	i, selfClosed := p.attributes(n, rest, i)
	p.pos += i
	p.top().append(n)
	if selfClosed || isVoid(n.tag) {
		return
	}
	if n.tag == tagScript {
		p.rawText(n)
		return
	}
	p.open = append(p.open, n)
}

// rawText drops the content of script and style, which readers never see.
func (p *parser) rawText(n *node) {
	end := strings.Index(p.src[p.pos:], "</"+n.name)
	if end < 0 {
		p.note("element not closed")
		p.pos = len(p.src)
		return
	}
	p.pos += end
	if gt := strings.IndexByte(p.src[p.pos:], '>'); gt >= 0 {
		p.pos += gt + 1
	} else {
		p.pos = len(p.src)
	}
}

// attributes reads rest[i:] up to and including the '>' and returns the position after it.
func (p *parser) attributes(n *node, rest string, i int) (int, bool) {
	start := len(p.attrs)
	selfClosed := false
	for {
		for i < len(rest) && isSpace(rest[i]) {
			i++
		}
		if i == len(rest) {
			p.note("a tag not closed")
			break
		}
		c := rest[i]
		if c == '>' {
			i++
			break
		}
		if c == '/' {
			selfClosed = i+1 < len(rest) && rest[i+1] == '>'
			i++
			continue
		}
		if c == '<' {
			p.note("a tag not closed")
			break
		}
		var a attr
		a, i = p.attribute(rest, i)
		if !p.full() { // a tag may have millions
			p.attrs = append(p.attrs, a)
		}
	}
	if len(p.attrs) > start {
		n.attrs = p.attrs[start:len(p.attrs):len(p.attrs)]
	}
	return i, selfClosed
}

func (p *parser) attribute(rest string, i int) (attr, int) {
	start := i
	for i < len(rest) && rest[i] != '=' && rest[i] != '>' && rest[i] != '/' && rest[i] != '<' && !isSpace(rest[i]) {
		i++
	}
	if i == start { // a stray '='
		i++
	}
	a := attr{name: rest[start:i]}
	j := i
	for j < len(rest) && isSpace(rest[j]) {
		j++
	}
	if j >= len(rest) || rest[j] != '=' {
		return a, i
	}
	j++
	for j < len(rest) && isSpace(rest[j]) {
		j++
	}
	if j < len(rest) && (rest[j] == '"' || rest[j] == '\'') {
		end := strings.IndexByte(rest[j+1:], rest[j])
		if end < 0 {
			p.note("an attribute not closed")
			return a, j + 1
		}
		a.value = decode(rest[j+1 : j+1+end])
		return a, j + end + 2
	}
	start = j
	for j < len(rest) && rest[j] != '>' && !isSpace(rest[j]) {
		j++
	}
	a.value = decode(strings.TrimSuffix(rest[start:j], "/"))
	return a, j
}

func isNameStart(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_'
}

func isNameByte(c byte) bool {
	return isNameStart(c) || '0' <= c && c <= '9' || c == ':' || c == '-' || c == '.'
}

// lower is strings.ToLower without a call for lower-case names, the usual case.
func lower(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			return strings.ToLower(s)
		}
	}
	return s
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f' || c == '\v'
}

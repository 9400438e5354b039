package markdown

import (
	"strings"

	"github.com/sluicehq/sluice/shared/page"
)

// renderer walks the tree once and writes the page.
type renderer struct {
	places places
	w      writer
	c      collector // the paragraph, heading or cell being gathered
	e      emitter
	facts  *facts // what the page mentions
	losses map[lossKey]int
	lostAt map[lossKey][]int // where in the Markdown it happened, see lines

	// flat says that only inline content fits here, in a heading or a table cell: blocks are
	// written as lines, see flat.go.
	flat bool
	// deferred are the blocks inside a heading; they follow it.
	deferred []*node
	heading  bool
	parent   tag     // tag of the parent of the current node
	told     outcome // fate of the current macro
	led      int     // end of the current block's label, 0 without a label
	unled    gathered
	veil     veil // visibility of the current content

	anchors  anchors
	headings []page.Heading
}

type lossKey struct {
	element string
	fate    page.Fate
	reason  string
}

func newRenderer(f page.Facts, bodySize int) *renderer {
	r := &renderer{places: newPlaces(f), w: newWriter(bodySize), losses: map[lossKey]int{}, lostAt: map[lossKey][]int{}, anchors: anchors{}, veil: veil{ink: noColour, ground: white}}
	r.facts = newFacts(&r.places, &r.c)
	return r
}

// lose counts what happened to an element where the Markdown is now.
func (r *renderer) lose(element string, fate page.Fate, reason string) {
	r.loseAt(len(r.w.out), element, fate, reason)
}

func (r *renderer) loseAt(at int, element string, fate page.Fate, reason string) {
	k := lossKey{element, fate, reason}
	r.losses[k]++
	if list := r.lostAt[k]; (fate != page.Rendered || element == hiddenText) && len(list) < page.MostLossLines {
		r.lostAt[k] = append(list, at)
	}
}

// walk renders the children of n.
func (r *renderer) walk(n *node, st style) {
	outer, veil := r.parent, r.veil
	if len(n.attrs) > 0 {
		r.veil.look(n)
	}
	for c := n.first; c != nil && !r.w.overflow; c = c.next {
		r.parent = n.tag
		r.node(c, st)
	}
	r.parent, r.veil = outer, veil
}

// alone renders body as a separate block when the node is among blocks, and inline when it is in a
// paragraph: the same macro can be in either place.
func (r *renderer) alone(body func()) {
	switch r.parent {
	case tagRoot, tagDiv, tagRichBody, tagADFContent, tagADFNode, tagADFFallback:
		r.asBlock(body)
	default:
		body()
	}
}

// node renders one node. It gathers inline content; a block first ends the current paragraph, even
// inside a span or a link, so that no content is lost.
func (r *renderer) node(n *node, st style) {
	switch n.tag {
	case tagText, tagCDATA:
		r.text(n.text, st)
	case tagStrong:
		r.walk(n, st.with(bold))
	case tagEm:
		r.walk(n, st.with(italic))
	case tagDel:
		r.walk(n, st.with(struck))
	case tagSub:
		r.walk(n, st.with(subscript))
	case tagSup:
		r.walk(n, st.with(superscript))
	case tagCode:
		st.code = true
		r.walk(n, st)
	case tagTransparent:
		r.span(n, st)
	case tagRoot, tagRichBody, tagLinkBody, tagPlainLinkBody, tagADFContent:
		r.walk(n, st)
	case tagBr:
		r.c.br(st)
	case tagA:
		r.anchorElement(n, st)
	case tagLink:
		r.confluenceLink(n, st)
	case tagImg, tagImage:
		r.image(n, st)
	case tagTime:
		r.date(n, st)
	case tagEmoticon:
		r.emoticon(n, st)
	case tagRIUser:
		r.mention(n, st)
	case tagWbr, tagScript, tagParameter, tagCol, tagTaskStatus, tagADFAttribute, tagHidden, tagHiddenVoid:
		r.hidden(n)
	case tagInput:
		r.checkbox(n, st)
	case tagMacro:
		r.macro(n, st)
	case tagADFExtension:
		r.adfExtension(n, st)
	case tagUnknown:
		r.unknown(n, st)
	default:
		if n.tag.isRI() {
			r.resource(n, st)
			return
		}
		r.blockNode(n, st)
	}
}

// text gathers a text node.
func (r *renderer) text(s string, st style) {
	r.noteHidden(s)
	r.c.text(s, st)
}

// blockNode renders a block element in the form that fits its surroundings.
func (r *renderer) blockNode(n *node, st style) {
	veil := r.veil
	if len(n.attrs) > 0 && n.tag != tagP && n.tag != tagDiv {
		r.veil.look(n) // not every block is walked as a whole
	}
	switch {
	case r.heading && n.tag != tagP && n.tag != tagDiv && n.tag.heading() == 0:
		r.deferred = append(r.deferred, n)
	case r.flat:
		r.flatBlock(n, st)
	case n.tag == tagP || n.tag == tagDiv:
		r.part()
		r.block(n, st)
		r.part()
	default:
		r.flush()
		r.block(n, st)
		r.flush()
	}
	r.veil = veil
}

// flush writes the gathered content as a paragraph, or as several if double breaks form blank
// lines.
func (r *renderer) flush() {
	r.led = 0
	if !r.c.trim() {
		r.c.reset()
		return
	}
	r.facts.read(&r.c)
	whole := r.c.pieces
	for all := whole; len(all) > 0; {
		n := blankLine(all)
		r.c.pieces = all[:n]
		all = all[n:]
		for len(all) > 0 && all[0].kind == breakPiece {
			all = all[1:]
		}
		r.e.continued = r.w.lastBlock() == alertLine
		r.w.block(paragraphBlock)
		r.w.lines(r.e.emit(&r.c, inParagraph))
		r.e.continued = false
	}
	r.c.pieces = whole
	r.c.reset()
}

// blankLine returns the position of the first of two breaks in a row, or the end.
func blankLine(pieces []piece) int {
	for i := 1; i < len(pieces); i++ {
		if pieces[i-1].kind == breakPiece && pieces[i].kind == breakPiece {
			return i - 1
		}
	}
	return len(pieces)
}

// block renders a block element while no paragraph is being gathered.
func (r *renderer) block(n *node, st style) {
	if level := n.tag.heading(); level > 0 {
		r.headingBlock(n, level)
		return
	}
	switch n.tag {
	case tagP, tagDiv, tagADFNode, tagADFFallback:
		r.walk(n, st)
	case tagUL, tagOL, tagTaskList, tagDL:
		r.list(n, st)
	case tagLI, tagTask, tagDT, tagDD:
		r.strayItem(n, st)
	case tagTable:
		r.table(n, st)
	case tagQuote:
		r.quote("", nil, func() { r.walk(n, st) })
	case tagPre:
		r.fence("", preText(n))
	case tagHR:
		r.rule()
	default: // parts of a table or an image outside one
		r.walk(n, st)
	}
}

func (r *renderer) rule() {
	kind := "---"
	if len(r.w.out) == 0 {
		kind = "***" // three hyphens at the top of a file begin front matter
	}
	r.c.written++
	r.w.block(otherBlock)
	r.w.line()
	r.w.out = append(r.w.out, kind...)
	r.w.end()
}

// quote renders body behind "> ", as an alert of the kind if alert names one. label writes the text
// before body, if any.
func (r *renderer) quote(alert string, label, body func()) {
	before := r.w.mark()
	r.w.block(otherBlock)
	r.w.open(quotePrefix, quotePrefix)
	if alert != "" {
		r.w.line()
		r.w.out = append(r.w.out, "[!"+alert+"]"...)
		r.w.end()
		r.w.top().blocks, r.w.top().last = 1, alertLine
	}
	begun := r.w.top().blocks
	if label != nil {
		label()
	}
	body()
	r.endLead()
	r.flush()
	empty := r.w.top().blocks == begun
	r.w.close()
	if empty {
		r.w.rewind(before)
	}
}

// lead gathers a label with write: the next paragraph continues behind it.
func (r *renderer) lead(write func()) {
	r.unled = r.c.mark()
	write()
	r.led = len(r.c.buf)
}

func (r *renderer) atLead() bool { return r.led > 0 && len(r.c.buf) == r.led }

// endLead drops a label without a paragraph behind it.
func (r *renderer) endLead() {
	if r.atLead() {
		r.c.rewind(r.unled)
	}
	r.led = 0
}

// part ends the current paragraph, unless it is only a label so far.
func (r *renderer) part() {
	if !r.atLead() {
		r.flush()
	}
}

// fence writes code between fences, byte for byte.
func (r *renderer) fence(language, code string) {
	r.w.block(otherBlock)
	ticks := strings.Repeat("`", max(3, longestRun(code, '`')+1))
	r.w.line()
	r.w.out = append(r.w.out, ticks...)
	r.w.out = append(r.w.out, language...)
	r.w.end()
	r.noteHidden(code)
	r.c.hidden.inCode(code)
	r.c.written += len(code)
	r.w.verbatim(code)
	r.w.line()
	r.w.out = append(r.w.out, ticks...)
	r.w.end()
	r.facts.words += wordCount(code)
}

// preText is the text of a pre element; a break is a newline.
func preText(n *node) string {
	var b strings.Builder
	var walk func(*node)
	walk = func(n *node) {
		for c := n.first; c != nil; c = c.next {
			switch c.tag {
			case tagText, tagCDATA:
				b.WriteString(c.text)
			case tagBr:
				b.WriteByte('\n')
			default:
				walk(c)
			}
		}
	}
	walk(n)
	return cleanCode(strings.TrimPrefix(b.String(), "\n"))
}

// cleanCode turns line ends into newlines and drops characters that no text file holds.
func cleanCode(s string) string {
	if strings.IndexByte(s, '\r') >= 0 {
		s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	}
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\n' && s[i] != '\t' {
			return strings.Map(func(r rune) rune {
				if r < ' ' && r != '\n' && r != '\t' {
					return -1
				}
				return r
			}, s)
		}
	}
	return s
}

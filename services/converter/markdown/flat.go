package markdown

import (
	"strconv"
	"strings"

	"github.com/sluicehq/sluice/shared/page"
)

// flatBlock writes a block where only inline content fits: in a heading or a table cell.
// Blocks become lines, items keep their markers, code becomes inline code.
func (r *renderer) flatBlock(n *node, st style) {
	if n.tag.heading() > 0 {
		if !r.heading && !blank(n) {
			r.anchors.next(r.anchorText(n)) // the heading takes its id, although it is only a line of a cell here
			r.lose(n.name, page.Rendered, "in a table cell: bold text")
		}
		r.flatLine(func() { r.walk(n, r.flatHeading(st)) })
		return
	}
	switch n.tag {
	case tagUL, tagOL, tagTaskList, tagDL:
		r.flatList(n, st, 0)
	case tagLI, tagTask, tagDT, tagDD:
		r.flatItem(n, "- ", 0, st)
	case tagPre:
		r.flatCode(preText(n), st)
	case tagHR:
		r.c.br(st)
	case tagTable:
		r.flatTable(n, st)
	default:
		r.flatLine(func() { r.walk(n, st) })
	}
}

func (r *renderer) flatHeading(st style) style {
	if r.heading {
		return st
	}
	return st.with(bold)
}

// flatLine writes body on a line of its own.
func (r *renderer) flatLine(body func()) {
	r.newLine()
	body()
	r.c.trimSpace()
	if n := len(r.c.pieces); n > 0 && r.c.pieces[n-1].kind != breakPiece {
		r.c.lineEnd = true
	}
}

// newLine ends the current line, if there is one.
func (r *renderer) newLine() {
	if r.c.glued {
		return
	}
	if n := len(r.c.pieces); n > 0 && r.c.pieces[n-1].kind != breakPiece {
		r.c.br(style{})
	}
	r.c.lineEnd = false
}

func (r *renderer) flatList(n *node, st style, depth int) {
	number := 0
	if n.tag == tagOL {
		number = 1
		if start, err := strconv.Atoi(n.attr("start")); err == nil && start >= 0 && start < 1e8 {
			number = start
		}
	}
	for c := n.first; c != nil && !r.w.overflow; c = c.next {
		marker := "- "
		if n.tag == tagOL {
			marker = strconv.Itoa(number) + ". "
		}
		switch c.tag {
		case tagText, tagCDATA:
			if strings.TrimSpace(c.text) != "" {
				r.flatItem(wrap(c), marker, depth, st)
			}
		case tagUL, tagOL, tagTaskList:
			r.flatList(c, st, depth+1)
		case tagHidden, tagHiddenVoid, tagScript:
		case tagLI:
			if inner := onlyList(c); inner != nil {
				r.flatList(inner, st, depth+1)
				continue
			}
			r.flatItem(c, marker, depth, st)
			number++
		case tagTask:
			mark := "[ ] "
			if s := c.child(tagTaskStatus); s != nil && strings.TrimSpace(textOf(s, 32)) == "complete" {
				mark = "[x] "
			}
			r.flatItem(c, marker+mark, depth, st)
		default:
			r.flatItem(wrap(c), marker, depth, st)
			number++
		}
	}
}

// flatItem writes one item on a line of its own, with the lists inside it below.
func (r *renderer) flatItem(n *node, marker string, depth int, st style) {
	r.flatItemOf(marker, depth, func() { r.flatItemBody(n, depth, st) })
}

func (r *renderer) flatItemOf(marker string, depth int, body func()) {
	r.newLine()
	before := r.c.mark()
	r.c.raw(strings.Repeat("  ", min(depth, 8))+marker, style{})
	filled := len(r.c.pieces)
	r.c.glued = true
	body()
	r.c.glued = false
	r.c.trimSpace()
	if len(r.c.pieces) == filled {
		r.c.rewind(before)
		return
	}
	r.c.lineEnd = true
}

func (r *renderer) flatItemBody(n *node, depth int, st style) {
	for c := n.first; c != nil; c = c.next {
		switch c.tag {
		case tagUL, tagOL, tagTaskList:
			r.flatList(c, st, depth+1)
		case tagTaskBody:
			r.flatItemBody(c, depth, st)
		default:
			r.node(c, st)
		}
	}
}

// flatCode writes code as inline code, line by line.
func (r *renderer) flatCode(code string, st style) {
	st.code = true
	for line := range strings.SplitSeq(strings.Trim(code, "\n"), "\n") {
		r.newLine()
		r.c.code(line, st)
	}
	r.c.lineEnd = true
}

// flatTable writes a table inside a heading or a cell, one line for each row.
func (r *renderer) flatTable(n *node, st style) {
	for _, row := range readTable(n).rows {
		r.newLine()
		for i, c := range row.cells {
			if i > 0 {
				r.c.text(" / ", st)
			}
			r.walkCell(c, st)
			r.c.lineEnd = false
		}
		r.c.lineEnd = true
	}
}

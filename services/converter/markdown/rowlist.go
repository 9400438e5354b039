package markdown

import (
	"slices"
	"strings"

	"github.com/sluicehq/sluice/shared/page"
)

// rowList writes a table row by row: a line with the column heads, then one item for each row. The
// row's cells are nested items, labelled by their column, and can hold any block.
func (r *renderer) rowList(t tableTree, st style) {
	r.lose("table", page.Rendered, "cells hold blocks: written row by row")
	head := t.headRows()
	var labels []string
	rows := t.rows[head:]
	taken := []int{} // by column, the header rows that a merged head still covers
	for _, row := range t.rows[:head] {
		labels, taken = r.columnHeads(row, labels, taken, st)
	}
	l := &listWriter{kind: bulletBlock}
	if r.w.lastBlock() == bulletBlock {
		l.kind = starBlock
	}
	above := make([]merged, len(labels))
	for _, row := range rows {
		r.item(l, "", func() { above = r.rowItems(row, labels, above, st) })
	}
}

// merged is a cell that spans rows below its own.
type merged struct {
	rows int    // remaining
	text string // to repeat there, "" when it is too long
}

// columnHeads writes a header row as a line and returns each column's label, combined with its
// label in the header row above.
func (r *renderer) columnHeads(head row, above []string, taken []int, st style) ([]string, []int) {
	labels := slices.Clone(above)
	x := 0
	for i, c := range head.cells {
		if i > 0 {
			r.c.text(" / ", style{})
			r.c.glued = true
		}
		start := len(r.c.pieces)
		r.flat = true
		r.walkCell(c, st.with(bold))
		r.flat = false
		r.c.trimSpace()
		r.c.lineEnd = false
		label := r.plain(start)
		for x < len(taken) && taken[x] > 0 {
			taken[x]--
			x++
		}
		for range max(min(c.colspan, maxColumns-x), 1) {
			for len(labels) <= x {
				labels, taken = append(labels, ""), append(taken, 0)
			}
			labels[x] = join(": ", labels[x], label)
			taken[x] = max(c.rowspan, 1) - 1
			x++
		}
	}
	r.flush()
	return labels, taken
}

// rowItems writes the cells of a row as items, the first as the row's own text. It returns the
// cells that span further rows, by column.
func (r *renderer) rowItems(row row, labels []string, above []merged, st style) []merged {
	inner := &listWriter{kind: bulletBlock}
	below := slices.Repeat([]merged{{}}, len(above)) // a row may be wider than the rows above it
	for x := range above {
		if above[x].rows > 0 {
			below[x] = merged{above[x].rows - 1, above[x].text}
		}
	}
	x, first := 0, true
	item := func(label string, body func()) {
		labelled := func() {
			if label != "" {
				r.lead(func() { r.c.text(label+": ", style{marks: bold}) })
			}
			body()
			r.endLead()
		}
		if first {
			labelled()
			r.flush()
		} else {
			r.item(inner, "", labelled)
		}
		first = false
	}
	label := func(x int) string {
		if x < len(labels) {
			return labels[x]
		}
		return ""
	}
	for _, c := range row.cells {
		for ; x < len(above) && above[x].rows > 0; x++ {
			if text := above[x].text; text != "" {
				item(label(x), func() { r.c.text(text, st) })
			}
		}
		cellStyle := st
		if c.header {
			cellStyle = st.with(bold)
		}
		if !blank(c.node) {
			item(label(x), func() { r.walkCell(c, cellStyle) })
		}
		reach := merged{rows: c.rowspan - 1}
		if c.rowspan == 0 {
			reach.rows = maxSpan
		}
		if text := oneLine(textOf(c.node, maxRepeat+1)); len(text) <= maxRepeat {
			reach.text = text
		}
		for end := max(min(x+c.colspan, maxColumns), x+1); x < end; x++ {
			for len(below) <= x {
				below = append(below, merged{})
			}
			below[x] = reach
			reach.text = "" // once a row
		}
	}
	return below
}

// blank reports whether everything below n is invisible.
func blank(n *node) bool {
	for c := n.first; c != nil; c = c.next {
		switch c.tag {
		case tagText, tagCDATA:
			if strings.TrimSpace(c.text) != "" {
				return false
			}
		case tagBr, tagHidden, tagHiddenVoid, tagCol:
		case tagP, tagDiv, tagTransparent, tagStrong, tagEm, tagTable, tagTBody, tagTR, tagTD, tagTH, tagUL, tagOL, tagLI:
			if !blank(c) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

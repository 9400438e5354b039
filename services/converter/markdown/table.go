package markdown

import (
	"bytes"
	"strconv"
	"strings"
)

// cell is one cell of a table as it stands in the body.
type cell struct {
	node             *node
	header           bool
	colspan, rowspan int
}

type row struct {
	cells []cell
	head  bool // in a thead
}

// The bounds of a table's grid. What a span claims beyond them is not repeated.
const (
	maxColumns = 200
	maxSpan    = 1000
	// A merged cell's text is repeated in every row and head column it covers, so that each
	// row can be read alone, unless it is longer than this many bytes.
	maxRepeat = 120
)

// table writes a table: as GitHub's where its cells can be written on one line, otherwise
// row by row as a list (ADR 0005). A table of one cell is a box and one of sections without
// a header is a layout: their content is written as it is.
func (r *renderer) table(n *node, st style) {
	t := readTable(n)
	for _, c := range t.captions {
		r.walk(c, st)
		r.flush()
	}
	if len(t.rows) == 0 {
		return
	}
	if len(t.rows) == 1 && len(t.rows[0].cells) == 1 {
		r.walk(t.rows[0].cells[0].node, st)
		r.flush()
		return
	}
	switch blocks, layout := t.needs(); {
	case layout && !t.headRow():
		for _, row := range t.rows {
			for _, c := range row.cells {
				r.walk(c.node, st)
				r.flush()
			}
		}
	case blocks || layout:
		r.rowList(t, st)
	default:
		r.gfmTable(t, st)
	}
}

type tableTree struct {
	rows     []row
	captions []*node
}

// readTable collects the rows of a table, wherever its sections put them.
func readTable(n *node) tableTree {
	var t tableTree
	var section func(n *node, head bool)
	section = func(n *node, head bool) {
		for c := n.first; c != nil; c = c.next {
			switch c.tag {
			case tagTR:
				if cells := readRow(c); len(cells) > 0 {
					t.rows = append(t.rows, row{cells: cells, head: head})
				}
			case tagTHead:
				section(c, true)
			case tagTBody, tagTFoot, tagCol:
				section(c, false)
			case tagTH, tagTD:
				t.rows = append(t.rows, row{cells: []cell{readCell(c)}})
			case tagText, tagCDATA:
				if strings.TrimSpace(c.text) != "" {
					t.captions = append(t.captions, wrap(c))
				}
			default:
				t.captions = append(t.captions, wrap(c))
			}
		}
	}
	section(n, false)
	return t
}

// wrap puts one node into a container of its own, so that it can be walked.
func wrap(n *node) *node {
	alone := *n
	alone.next = nil
	return &node{tag: tagDiv, first: &alone, last: &alone}
}

func readRow(n *node) []cell {
	var cells []cell
	for c := n.first; c != nil; c = c.next {
		switch {
		case c.tag == tagTH || c.tag == tagTD:
			cells = append(cells, readCell(c))
		case c.tag == tagText && strings.TrimSpace(c.text) == "":
		case c.tag == tagHidden, c.tag == tagHiddenVoid, c.tag == tagScript:
		default:
			cells = append(cells, cell{node: wrap(c), colspan: 1, rowspan: 1})
		}
	}
	return cells
}

func readCell(n *node) cell {
	return cell{node: n, header: n.tag == tagTH, colspan: max(span1(n.attr("colspan")), 1), rowspan: span1(n.attr("rowspan"))}
}

// span1 reads a span; 0 is "to the end" for rows.
func span1(s string) int {
	if s == "" {
		return 1
	}
	n, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil || n < 0 {
		return 1
	}
	return min(n, maxSpan)
}

// needs reports whether a cell holds blocks that no line can hold, and whether one is a
// section of its own, a heading with text below it: such a table is a layout.
func (t *tableTree) needs() (blocks, layout bool) {
	for _, row := range t.rows {
		for _, c := range row.cells {
			blocks = blocks || needsBlocks(c.node)
			layout = layout || !c.header && sectioned(c.node)
		}
	}
	return blocks, layout
}

func needsBlocks(n *node) bool {
	for c := n.first; c != nil; c = c.next {
		switch c.tag {
		case tagTable:
			return true
		case tagPre:
			if strings.Contains(strings.TrimSpace(preText(c)), "\n") {
				return true
			}
			continue
		case tagMacro:
			if body := c.child(tagPlainBody); body != nil {
				if strings.Contains(plainText(body), "\n") {
					return true
				}
				continue
			}
		case tagText, tagCDATA:
			continue
		}
		if c.first != nil && needsBlocks(c) {
			return true
		}
	}
	return false
}

// sectioned reports whether a cell holds a heading and something besides.
func sectioned(n *node) bool {
	headings, others := false, false
	for c := n.first; c != nil; c = c.next {
		switch {
		case c.tag.heading() > 0:
			headings = headings || !blank(c)
		case c.tag == tagDiv && sectioned(c):
			return true
		case c.tag == tagText:
			others = others || strings.TrimSpace(c.text) != ""
		default:
			others = others || !blank(wrap(c))
		}
	}
	return headings && others
}

// slot is one place of the grid.
type slot struct {
	text   []byte
	align  byte // 0, 'c' or 'r'
	filled bool
	origin bool // the cell begins here
}

// gfmTable writes the table with pipes.
func (r *renderer) gfmTable(t tableTree, st style) {
	head := t.headRow()
	grid := r.grid(t, head, st)
	columns := 0
	for _, row := range grid {
		columns = max(columns, len(row))
	}
	if columns == 0 {
		return
	}
	r.w.block(otherBlock)
	var first []slot
	if head {
		first, grid = grid[0], grid[1:]
	}
	r.row(first, columns)
	r.w.line()
	r.w.out = append(r.w.out, '|')
	for i := range columns {
		var align byte
		if i < len(first) {
			align = first[i].align
		}
		r.w.out = append(r.w.out, map[byte]string{0: " --- |", 'c': " :---: |", 'r': " ---: |"}[align]...)
	}
	r.w.end()
	for _, row := range grid {
		r.row(row, columns)
	}
}

// headRow reports whether the first row is a header: it says so, or all its cells do.
func (t *tableTree) headRow() bool {
	if t.rows[0].head {
		return true
	}
	for _, c := range t.rows[0].cells {
		if !c.header {
			return false
		}
	}
	return true
}

// grid renders every cell and lays it out, merged cells over all the places they cover.
func (r *renderer) grid(t tableTree, head bool, st style) [][]slot {
	grid := make([][]slot, len(t.rows))
	for y, row := range t.rows {
		x := 0
		for _, c := range row.cells {
			for x < len(grid[y]) && grid[y][x].filled {
				x++
			}
			text := r.cellText(c, head && y == 0, st)
			r.place(grid, x, y, c, text, head)
			x += c.colspan
		}
	}
	return grid
}

func (r *renderer) place(grid [][]slot, x, y int, c cell, text []byte, head bool) {
	rows := c.rowspan
	if rows == 0 {
		rows = len(grid)
	}
	repeat := text
	if len(repeat) > maxRepeat {
		repeat = nil
	}
	for dy := 0; dy < rows && y+dy < len(grid); dy++ {
		for dx := 0; dx < c.colspan && x+dx < maxColumns || dx == 0; dx++ {
			s := slot{filled: true, align: alignment(c.node)}
			switch {
			case dx == 0 && dy == 0:
				s.text, s.origin = text, true
			case dx == 0 || head && y == 0:
				s.text = repeat
			}
			for len(grid[y+dy]) <= x+dx {
				grid[y+dy] = append(grid[y+dy], slot{})
			}
			if !grid[y+dy][x+dx].filled || s.origin {
				grid[y+dy][x+dx] = s
			}
		}
	}
}

// cellText renders a cell on one line. The slice is the caller's.
func (r *renderer) cellText(c cell, head bool, st style) []byte {
	wasFlat := r.flat
	r.flat = true
	if c.header && !head {
		st = st.with(bold) // a row's header
	}
	r.walk(c.node, st)
	r.flat = wasFlat
	defer r.c.reset()
	if !r.c.trim() {
		return nil
	}
	if head {
		r.unbold()
	}
	r.facts.read(&r.c)
	text := r.e.emit(&r.c, inCell)
	return bytes.ReplaceAll(text, []byte{'|'}, []byte(`\|`))
}

// row writes one line of a table.
func (r *renderer) row(slots []slot, columns int) {
	r.w.line()
	r.w.out = append(r.w.out, '|')
	for i := range columns {
		r.w.out = append(r.w.out, ' ')
		if i < len(slots) && len(slots[i].text) > 0 {
			r.w.out = append(r.w.out, slots[i].text...)
			r.w.out = append(r.w.out, ' ')
		}
		r.w.out = append(r.w.out, '|')
	}
	r.w.end()
}

// alignment reads the text alignment of a cell, or of the paragraph that it holds.
func alignment(n *node) byte {
	if a := alignOf(n.attr("style")); a != 0 {
		return a
	}
	if p := n.child(tagP); p != nil {
		return alignOf(p.attr("style"))
	}
	return 0
}

func alignOf(css string) byte {
	_, value, ok := strings.Cut(css, "text-align:")
	if !ok {
		return 0
	}
	value = strings.TrimSpace(value)
	switch {
	case strings.HasPrefix(value, "center"):
		return 'c'
	case strings.HasPrefix(value, "right"), strings.HasPrefix(value, "end"):
		return 'r'
	}
	return 0
}

// rowList writes a table row by row: a line with the column heads, then an item a row whose
// cells are items of their own, labelled by their column and free to hold any block.
func (r *renderer) rowList(t tableTree, st style) {
	head := t.headRow()
	var labels []string
	rows := t.rows
	if head {
		labels = r.columnHeads(t.rows[0], st)
		rows = rows[1:]
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

// merged is a cell that reaches down into the rows below.
type merged struct {
	rows int    // still to come
	text string // to repeat there, "" when it is too long
}

// columnHeads writes the header row as a line and returns each column's label.
func (r *renderer) columnHeads(head row, st style) []string {
	var labels []string
	for i, c := range head.cells {
		if i > 0 {
			r.c.text(" / ", style{})
		}
		start := len(r.c.pieces)
		r.flat = true
		r.walk(c.node, st.with(bold))
		r.flat = false
		r.c.trimSpace()
		label := r.plain(start)
		for range min(c.colspan, maxColumns-len(labels)) {
			labels = append(labels, label)
		}
	}
	r.flush()
	return labels
}

// rowItems writes the cells of a row as items, the first as the row's own text. It returns
// which cells reach down, by column.
func (r *renderer) rowItems(row row, labels []string, above []merged, st style) []merged {
	inner := &listWriter{kind: bulletBlock}
	below := make([]merged, len(above))
	for x := range above {
		if above[x].rows > 0 {
			below[x] = merged{above[x].rows - 1, above[x].text}
		}
	}
	x, first := 0, true
	item := func(label string, body func()) {
		labelled := func() {
			if label != "" {
				r.c.text(label+": ", style{marks: bold})
			}
			body()
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
			item(label(x), func() { r.walk(c.node, cellStyle) })
		}
		reach := merged{rows: c.rowspan - 1}
		if c.rowspan == 0 {
			reach.rows = maxSpan
		}
		if text := oneLine(textOf(c.node, maxRepeat+1)); len(text) <= maxRepeat {
			reach.text = text
		}
		for end := min(x+c.colspan, maxColumns); x < end; x++ {
			for len(below) <= x {
				below = append(below, merged{})
			}
			below[x] = reach
			reach.text = "" // once a row
		}
	}
	return below
}

// blank reports whether nothing below n shows.
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

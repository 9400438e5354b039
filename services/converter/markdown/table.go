package markdown

import (
	"bytes"
	"strconv"
	"strings"
)

// cell is one cell of a table as it stands in the body.
type cell struct {
	node             *node
	row              *node // the tr
	header           bool
	colspan, rowspan int
}

type row struct {
	cells []cell
	head  bool // in a thead
}

// The bounds of a table's grid. They concern merged cells only: no table has so many columns
// that its own cells need one.
const (
	maxSpan    = 1000 // what a span may say
	maxColumns = 200  // how wide merged cells may make a table

	// How many places merged cells may cover, in all and for each cell of the table. What
	// goes beyond stands in its first place only.
	spanBudget, spanBudgetPerCell = 10_000, 20

	// A merged cell's text is repeated in every row and head column it covers, so that each
	// row can be read alone, unless it is longer than this many bytes.
	maxRepeat = 120
	// Rows of wider tables are not filled up with empty cells, which GFM does not ask for.
	maxPadded = 50
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
				r.walkCell(c, st)
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
					for i := range cells {
						cells[i].row = c
					}
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
	count := 0
	for c := n.first; c != nil; c = c.next {
		count++
	}
	cells := make([]cell, 0, count)
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
	first := make([]slot, columns)
	if head {
		copy(first, grid[0])
		grid = grid[1:]
	}
	r.row(first, columns)
	r.w.line()
	r.w.out = append(r.w.out, '|')
	for i := range columns {
		switch first[i].align {
		case 'c':
			r.w.out = append(r.w.out, " :---: |"...)
		case 'r':
			r.w.out = append(r.w.out, " ---: |"...)
		default:
			r.w.out = append(r.w.out, " --- |"...)
		}
	}
	r.w.end()
	for _, row := range grid {
		if r.w.overflow {
			return
		}
		r.row(row, columns)
	}
}

// headRow reports whether the first row is a header: it says so, all its cells do, or all of
// it is bold where the next row is not.
func (t *tableTree) headRow() bool {
	if t.rows[0].head {
		return true
	}
	headers := true
	for _, c := range t.rows[0].cells {
		headers = headers && c.header
	}
	return headers || len(t.rows) > 1 && t.rows[0].allBold() && !t.rows[1].allBold()
}

// allBold reports whether a row of at least two cells holds bold text in each and no other.
func (r row) allBold() bool {
	for _, c := range r.cells {
		if blank(c.node) || !allBold(c.node) {
			return false
		}
	}
	return len(r.cells) > 1
}

func allBold(n *node) bool {
	for c := n.first; c != nil; c = c.next {
		switch c.tag {
		case tagText, tagCDATA:
			if strings.TrimSpace(c.text) != "" {
				return false
			}
		case tagStrong, tagBr, tagHidden:
		case tagP, tagDiv, tagTransparent, tagEm:
			if !allBold(c) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// grid renders every cell and lays it out, merged cells over all the places they cover.
func (r *renderer) grid(t tableTree, head bool, st style) [][]slot {
	grid := make([][]slot, len(t.rows))
	budget, columns := spanBudget, maxColumns
	for _, row := range t.rows {
		budget += spanBudgetPerCell * len(row.cells)
		columns = max(columns, len(row.cells))
	}
	for y, row := range t.rows {
		x := 0
		if grid[y] == nil {
			grid[y] = make([]slot, 0, len(row.cells))
		}
		for _, c := range row.cells {
			for x < len(grid[y]) && grid[y][x].filled {
				x++
			}
			if c.rowspan == 0 || c.rowspan > len(grid)-y {
				c.rowspan = len(grid) - y
			}
			c.colspan = max(min(c.colspan, columns-x), 1)
			if area := c.rowspan * c.colspan; area > 1 && area > budget {
				c.rowspan, c.colspan = 1, 1
			} else if area > 1 {
				budget -= area
			}
			place(grid, x, y, c, r.cellText(c, head && y == 0, st), head)
			x += c.colspan
		}
	}
	return grid
}

// place puts a cell's text where it belongs.
func place(grid [][]slot, x, y int, c cell, text []byte, head bool) {
	repeat := text
	if len(repeat) > maxRepeat {
		repeat = nil
	}
	align := alignment(c.node)
	for dy := range c.rowspan {
		row := grid[y+dy]
		for dx := range c.colspan {
			s := slot{filled: true, align: align}
			switch {
			case dx == 0 && dy == 0:
				s.text = text
			case dx == 0 || head && y == 0:
				s.text = repeat
			}
			for len(row) <= x+dx {
				row = append(row, slot{})
			}
			if !row[x+dx].filled {
				row[x+dx] = s
			}
		}
		grid[y+dy] = row
	}
}

// walkCell renders the children of a cell.
func (r *renderer) walkCell(c cell, st style) {
	veil := r.veil
	if c.row != nil && len(c.row.attrs) > 0 {
		r.veil.look(c.row)
	}
	r.walk(c.node, st)
	r.veil = veil
}

// cellText renders a cell on one line. The slice is the caller's.
func (r *renderer) cellText(c cell, head bool, st style) []byte {
	wasFlat := r.flat
	r.flat = true
	if c.header && !head {
		st = st.with(bold) // a row's header
	}
	r.walkCell(c, st)
	r.flat = wasFlat
	defer r.c.reset()
	if !r.c.trim() {
		return nil
	}
	m := inCell
	if head {
		m = inHead
		r.unbold()
	}
	r.facts.read(&r.c)
	text := r.e.emit(&r.c, m)
	return bytes.ReplaceAll(text, []byte{'|'}, []byte(`\|`))
}

// row writes one line of a table.
func (r *renderer) row(slots []slot, columns int) {
	if columns > maxPadded {
		columns = max(len(slots), 1)
	}
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

package markdown

import (
	"bytes"
	"slices"
	"strings"
)

// cell is one cell of a table in the body.
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

// These bounds limit a table's grid. They concern merged cells only: the number of unmerged cells
// is already limited by the body's size.
const (
	maxSpan    = 1000 // largest value of a span
	maxColumns = 200  // widest table that merged cells may create

	// Merged cells may cover so many slots, in total and for each cell of the table. Beyond that, a
	// merged cell appears in its first slot only.
	spanBudget, spanBudgetPerCell = 10_000, 20

	// A merged cell's text is repeated in every row and head column that it covers, so that each
	// row can be read alone. A text longer than this many bytes is not repeated.
	maxRepeat = 120
	// Rows of wider tables are not padded with empty cells; GFM does not require it.
	maxPadded = 50
)

// table writes a table: as a GitHub table if each cell fits on one line, otherwise row by row as a
// list (ADR 0005). A table with one cell is a box, and a table of sections without a header is a
// layout: only their content is written.
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
	case layout && t.headRows() == 0:
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

// slot is one position in the grid.
type slot struct {
	text   []byte
	align  byte // 0, 'c' or 'r'
	filled bool
}

// gfmTable writes the table with pipes.
func (r *renderer) gfmTable(t tableTree, st style) {
	head := t.headRows()
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
	if head > 0 {
		for x := range first {
			first[x] = oneHead(grid[:head], x)
		}
		grid = grid[head:]
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

// oneHead combines the heads of a column when the table has several header rows.
func oneHead(rows [][]slot, x int) slot {
	var s slot
	for _, row := range rows {
		switch {
		case x >= len(row) || len(row[x].text) == 0 || bytes.Equal(row[x].text, s.text):
		case len(s.text) == 0:
			s.text = row[x].text
		default:
			s.text = append(append(slices.Clip(s.text), ": "...), row[x].text...)
		}
		if x < len(row) && row[x].align != 0 {
			s.align = row[x].align
		}
	}
	return s
}

// grid renders every cell and lays it out; merged cells take all positions that they cover.
func (r *renderer) grid(t tableTree, head int, st style) [][]slot {
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
			place(grid, x, y, c, r.cellText(c, y < head, st), head)
			x += c.colspan
		}
	}
	return grid
}

// place puts a cell's text into its slots.
func place(grid [][]slot, x, y int, c cell, text []byte, head int) {
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
			case dx == 0 || y < head:
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

// cellText renders a cell on one line. The caller owns the slice.
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

// alignment reads the text alignment of a cell or of the paragraph in it.
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

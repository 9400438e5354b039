package extract

import (
	"fmt"
	"strings"

	"github.com/sluicehq/sluice/shared/failure"
)

// A part of a sheet ends after so many bytes or rows: about what a reader is shown as one answer.
const (
	gridBytes = 3 << 10
	gridRows  = 60
	gridLead  = 8 // so many rows before the header may be a title
)

// grid turns rows of cells into parts, each a table with the header row and the range it is from. Empty
// rows and columns are left out.
type grid struct {
	j     *job
	place func(first, last, left, right int) string // of rows and columns from 1

	lead       [][]string // the rows before the header: titles, of one cell each
	leadRows   []int
	header     []string
	rows       [][]string
	first      int // number of the first row in rows
	last       int
	size       int
	headerRow  int
	headerSent bool
}

// add takes a row. number counts from 1.
func (g *grid) add(number int, cells []string) error {
	filled := 0
	for _, c := range cells {
		if strings.TrimSpace(c) != "" {
			filled++
		}
	}
	for len(cells) > 0 && strings.TrimSpace(cells[len(cells)-1]) == "" {
		cells = cells[:len(cells)-1]
	}
	if g.j.cells += len(cells) + 1; g.j.cells > g.j.limits.Cells {
		return failure.New(failure.FileTooManyParts, "the file has more than %d cells", g.j.limits.Cells)
	}
	if filled == 0 {
		return g.j.ctx.Err()
	}
	if g.header == nil {
		if filled == 1 && len(g.lead) < gridLead {
			g.lead, g.leadRows = append(g.lead, cells), append(g.leadRows, number)
			return nil
		}
		g.header, g.headerRow = cells, number
		g.first, g.last = number, number
		return nil
	}
	return g.row(number, cells)
}

func (g *grid) row(number int, cells []string) error {
	if len(g.rows) == 0 && g.headerSent {
		g.first = number
	}
	g.rows, g.last = append(g.rows, cells), number
	for _, c := range cells {
		g.size += len(c) + 3
	}
	if g.size >= gridBytes || len(g.rows) >= gridRows {
		return g.flush()
	}
	return nil
}

// end writes what is left.
func (g *grid) end() error {
	if g.header == nil { // one column: its first cell is the header
		if len(g.lead) == 0 {
			return nil
		}
		lead, rows := g.lead, g.leadRows
		g.lead, g.leadRows = nil, nil
		g.header, g.headerRow, g.first, g.last = lead[0], rows[0], rows[0], rows[0]
		for i, cells := range lead[1:] {
			if err := g.row(rows[i+1], cells); err != nil {
				return err
			}
		}
	}
	if len(g.rows) > 0 || !g.headerSent {
		return g.flush()
	}
	return nil
}

func (g *grid) flush() error {
	all := append([][]string{g.header}, g.rows...)
	width := 0
	for _, r := range all {
		width = max(width, len(r))
	}
	used := make([]bool, width)
	left, right := width, 0
	for _, r := range all {
		for i, c := range r {
			if strings.TrimSpace(c) != "" {
				used[i] = true
				left, right = min(left, i+1), max(right, i+1)
			}
		}
	}
	var b strings.Builder
	first := g.first
	for i, r := range g.lead { // titles above the table
		b.WriteString(escape(strings.TrimSpace(strings.Join(r, " "))) + "\n\n")
		if i == 0 {
			first = g.leadRows[0]
		}
	}
	if !g.headerSent && len(g.lead) == 0 {
		first = g.headerRow
	}
	g.lead, g.leadRows = nil, nil
	for i, r := range all {
		if err := g.j.room(b.Len()); err != nil {
			return err
		}
		writeRow(&b, r, used)
		if i == 0 {
			writeRule(&b, used)
		}
	}
	g.headerSent, g.rows, g.size = true, nil, 0
	return g.j.part(g.place(first, g.last, left, right), b.String())
}

func writeRow(b *strings.Builder, cells []string, used []bool) {
	b.WriteByte('|')
	for i, in := range used {
		if !in {
			continue
		}
		b.WriteByte(' ')
		if i < len(cells) {
			b.WriteString(cell(cells[i]))
		}
		b.WriteString(" |")
	}
	b.WriteByte('\n')
}

func writeRule(b *strings.Builder, used []bool) {
	b.WriteByte('|')
	for _, in := range used {
		if in {
			b.WriteString(" --- |")
		}
	}
	b.WriteByte('\n')
}

// table writes rows of finished Markdown cells as one table; its first row is the header.
func table(rows [][]string) string {
	width := 0
	for _, r := range rows {
		width = max(width, len(r))
	}
	if width == 0 {
		return ""
	}
	var b strings.Builder
	for i, r := range rows {
		b.WriteByte('|')
		for c := range width {
			b.WriteByte(' ')
			if c < len(r) {
				b.WriteString(inCell(r[c]))
			}
			b.WriteString(" |")
		}
		b.WriteByte('\n')
		if i == 0 {
			b.WriteString("|" + strings.Repeat(" --- |", width) + "\n")
		}
	}
	return b.String()
}

// column returns a column's letters: 1 is A, 27 is AA.
func column(n int) string {
	s := ""
	for ; n > 0; n = (n - 1) / 26 {
		s = string(rune('A'+(n-1)%26)) + s
	}
	return s
}

func cellRange(first, last, left, right int) string {
	if first == last && left == right {
		return fmt.Sprintf("%s%d", column(left), first)
	}
	return fmt.Sprintf("%s%d:%s%d", column(left), first, column(right), last)
}

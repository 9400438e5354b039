// Package table writes tables of Markdown that can also be read as they are.
package table

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// Table is a Markdown table. The columns of figures are those whose head ends with a colon: they
// stand to the right.
type Table struct {
	Head []string
	rows [][]string
}

// Row adds a row with a cell for every head.
func (t *Table) Row(cells ...string) { t.rows = append(t.rows, cells) }

// Write writes the table, with its columns lined up, and an empty line.
func (t *Table) Write(b *bytes.Buffer) {
	widths := make([]int, len(t.Head))
	for i, h := range t.Head {
		widths[i] = max(3, utf8.RuneCountInString(strings.TrimSuffix(h, ":")))
	}
	for _, row := range t.rows {
		for i, c := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	line := func(cell func(i int) string) {
		for i := range t.Head {
			text := cell(i)
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(text))
			if strings.HasSuffix(t.Head[i], ":") {
				text = pad + text
			} else {
				text += pad
			}
			b.WriteString("| " + text + " ")
		}
		b.WriteString("|\n")
	}
	line(func(i int) string { return strings.TrimSuffix(t.Head[i], ":") })
	line(func(i int) string {
		if strings.HasSuffix(t.Head[i], ":") {
			return strings.Repeat("-", widths[i]-1) + ":"
		}
		return strings.Repeat("-", widths[i])
	})
	for _, row := range t.rows {
		line(func(i int) string { return row[i] })
	}
	b.WriteByte('\n')
}

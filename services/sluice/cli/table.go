package cli

import (
	"fmt"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/sluicehq/sluice/shared/terminal"
)

// table prints rows in columns; the first row is the heading. On a terminal it fits the terminal's width; elsewhere
// each row is one line, since programs may read it.
func (a *app) table(rows [][]string) {
	clean := make([][]string, len(rows)) // before the widths are measured
	for i, r := range rows {
		for _, cell := range r {
			clean[i] = append(clean[i], terminal.Clean(cell))
		}
	}
	a.verbatim(columns(clean, a.width))
}

const (
	gap       = 2  // spaces between two columns
	leastWrap = 12 // minimum width of a wrapped column
)

// columns formats rows as a table of at most width characters; 0 means any width. It wraps sentences within their
// column and keeps text without spaces, such as ids, whole. If the rows do not fit, it writes each cell on a line of
// its own.
func columns(rows [][]string, width int) string {
	if len(rows) == 0 {
		return ""
	}
	widths, fit := fitted(rows, width)
	if !fit {
		return records(rows, width)
	}
	t := table.NewWriter()
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", strings.Repeat(" ", gap)
	t.SetStyle(style)
	t.SuppressTrailingSpaces()
	var configs []table.ColumnConfig
	for i, w := range widths {
		configs = append(configs, table.ColumnConfig{Number: i + 1, WidthMax: w, WidthMaxEnforcer: text.WrapSoft})
	}
	t.SetColumnConfigs(configs)
	for _, r := range rows {
		cells := make(table.Row, len(r))
		for i, c := range r {
			cells[i] = c
		}
		t.AppendRow(cells)
	}
	return t.Render() + "\n"
}

// fitted returns the widths of the columns, and whether they fit into width.
func fitted(rows [][]string, width int) (widths []int, fit bool) {
	var wraps []bool
	var least []int // the longest word of each column, so that no word is broken
	for n, r := range rows {
		for i, c := range r {
			if i == len(widths) {
				widths, wraps, least = append(widths, 0), append(wraps, false), append(least, leastWrap)
			}
			widths[i] = max(widths[i], text.StringWidthWithoutEscSequences(c))
			wraps[i] = wraps[i] || n > 0 && strings.Contains(strings.TrimSpace(c), " ")
			for word := range strings.FieldsSeq(c) {
				least[i] = max(least[i], text.StringWidthWithoutEscSequences(word))
			}
		}
	}
	over := -width - gap
	for _, w := range widths {
		over += w + gap
	}
	for ; width > 0 && over > 0; over-- {
		widest := -1
		for i, w := range widths {
			if wraps[i] && w > least[i] && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return widths, false
		}
		widths[widest]--
	}
	return widths, true
}

// records writes each row as lines of a heading and a cell, with an empty line between rows.
func records(rows [][]string, width int) string {
	head, margin := rows[0], 0
	for _, h := range head {
		margin = max(margin, text.StringWidthWithoutEscSequences(h)+gap)
	}
	var out strings.Builder
	for n, r := range rows[1:] {
		if n > 0 {
			out.WriteByte('\n')
		}
		for i, c := range r {
			lines := strings.Split(text.WrapSoft(c, max(width-margin, leastWrap)), "\n")
			fmt.Fprintf(&out, "%s%s\n", text.Pad(head[i], margin, ' '), strings.Join(lines, "\n"+strings.Repeat(" ", margin)))
		}
	}
	return out.String()
}

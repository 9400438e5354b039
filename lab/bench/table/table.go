// Package table writes Markdown tables that are also readable as plain text.
package table

import (
	"bytes"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Table is a Markdown table. Columns whose head ends with a colon contain figures and are right-aligned.
type Table struct {
	Head []string
	rows [][]string
}

// Row adds a row with a cell for every head.
func (t *Table) Row(cells ...string) { t.rows = append(t.rows, cells) }

// Write writes the table, with aligned columns, and an empty line.
func (t *Table) Write(b *bytes.Buffer) {
	w := table.NewWriter()
	w.Style().Markdown.PadContent = true
	w.Style().Format.Header = text.FormatDefault
	var configs []table.ColumnConfig
	for i, h := range t.Head {
		c := table.ColumnConfig{Number: i + 1, WidthMin: 3}
		if strings.HasSuffix(h, ":") {
			c.Align, c.AlignHeader = text.AlignRight, text.AlignRight
		}
		configs = append(configs, c)
	}
	w.SetColumnConfigs(configs)
	w.AppendHeader(cells(t.Head, func(h string) string { return strings.TrimSuffix(h, ":") }))
	for _, row := range t.rows {
		w.AppendRow(cells(row, func(c string) string { return c }))
	}
	b.WriteString(w.RenderMarkdown() + "\n\n")
}

func cells(list []string, as func(string) string) table.Row {
	row := make(table.Row, len(list))
	for i, c := range list {
		row[i] = as(c)
	}
	return row
}

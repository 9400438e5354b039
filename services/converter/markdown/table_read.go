package markdown

import (
	"strconv"
	"strings"
)

type tableTree struct {
	rows     []row
	captions []*node
}

// readTable collects the rows of a table from all its sections.
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

// wrap puts one node into a new container, so that it can be walked.
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

// span1 reads a span; for rows, 0 means "to the end".
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

// needs reports whether a cell holds blocks that do not fit on one line, and whether a cell is a
// section, a heading with text below it: such a table is a layout.
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

// sectioned reports whether a cell holds a heading and other content.
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

// headRows returns the number of header rows at the top: the first row and the rows that share
// merged cells with it.
func (t *tableTree) headRows() int {
	if !t.headRow() {
		return 0
	}
	n := 1
	merged := func(row row) bool {
		for _, c := range row.cells {
			if c.colspan > 1 || c.rowspan > 1 {
				return true
			}
		}
		return false
	}
	for ; n < len(t.rows)-1 && merged(t.rows[n-1]); n++ {
		for _, c := range t.rows[n].cells {
			if !c.header && !t.rows[n].head {
				return n
			}
		}
	}
	return n
}

// headRow reports whether the first row is a header: its section or all its cells are headers, or
// the whole row is bold and the next row is not.
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

// allBold reports whether a row has at least two cells and each cell holds bold text only.
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

package chunk

// cursor is a position in a line, in bytes and, because of tabs, in columns.
type cursor struct {
	s   string // the document up to the end of the line
	at  int
	col int
	tab int // columns already passed of the tab at offset at
}

// indent returns the columns of white space at the cursor and the offset behind it.
func (c *cursor) indent() (cols, next int) {
	col := c.col
	for next = c.at; next < len(c.s); next++ {
		switch c.s[next] {
		case ' ':
			col++
		case '\t':
			col += 4 - col%4
		default:
			return col - c.col, next
		}
	}
	return col - c.col, next
}

func (c *cursor) blank() bool {
	_, next := c.indent()
	return next >= len(c.s)
}

// skip moves n columns forward. It may end inside a tab.
func (c *cursor) skip(n int) {
	for n > 0 && c.at < len(c.s) {
		width := 1
		if c.s[c.at] == '\t' {
			width = 4 - c.col%4
		}
		if width > n {
			c.col += n
			c.tab += n
			return
		}
		c.col += width
		c.at++
		c.tab = 0
		n -= width
	}
}

// skipSpace skips one column of white space if there is one.
func (c *cursor) skipSpace() {
	if c.at < len(c.s) && (c.s[c.at] == ' ' || c.s[c.at] == '\t') {
		c.skip(1)
	}
}

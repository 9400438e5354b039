package chunk

import "strings"

// title is a bold line alone, such as the title of an expand, a tab or a code block: not a heading
// in Markdown, but one for readers. It stays with the block that it introduces, and every chunk
// that begins inside that block repeats it.
type title struct {
	line string // "" without a title above the next block
	size int    // tokens of the text above the next block that must not be cut off from it
}

// titleOf returns b's line if b is a title, and the title of an alert in its first paragraph,
// behind the line with the alert's kind.
func (s *splitter) titleOf(b *block) string {
	if b.kind != paragraph {
		return ""
	}
	text := s.src[b.body:b.end]
	if n := strings.LastIndexByte(text, '\n'); n >= 0 {
		if first := strings.TrimRight(lineAt(s.src, b.body), " \t"); !isAlert(first) || strings.IndexByte(text, '\n') != n {
			return ""
		}
		text = strings.TrimLeft(text[n+1:], "> ")
	}
	text = strings.TrimSpace(text)
	inner, ok := strings.CutPrefix(strings.TrimSuffix(text, ":"), "**")
	if !ok {
		return ""
	}
	inner, ok = strings.CutSuffix(inner, "**")
	if !ok || inner == "" || strings.Contains(inner, "**") {
		return ""
	}
	return text
}

// under adds the units of b, which is below the title over, and returns the title above the next
// block.
func (s *splitter) under(over title, b *block, f *frame, room int, r rank) title {
	above := over.size
	if over.line != "" {
		above += s.again
	}
	if above > 0 && room-above >= s.max/2 {
		room -= above
	}
	if over.line != "" {
		g := *f
		g.open += f.prefix + over.line + "\n" + strings.TrimRight(f.prefix, " ") + "\n"
		if s.limitOpen(&g); g.open == "" {
			g.open = f.open
		}
		f = &g
	}
	line := s.titleOf(b)
	if line != "" && r == rankBlock {
		r = rankTitle
	}
	first := len(s.units)
	s.block(b, f, room, r)
	if over.size > 0 && len(s.units) > first {
		s.units[first].glue = true
	}
	if line == "" {
		return title{}
	}
	return title{line, over.size + Estimate(s.src[b.start:b.end]) + 1}
}

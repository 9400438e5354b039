package chunk

import (
	"html"
	"strings"
)

// section is a heading with the text up to the next heading of any level.
type section struct {
	head   *block // nil before the first heading
	blocks []*block
	level  int // 1 to 6; 0 before the first heading
	title  string
	path   []string
	anchor string
	cite   string
	line   string // the heading as Markdown, on one line
}

// maxTitle is the longest title, in bytes, that is copied into every chunk under it.
const maxTitle = 300

// sections cuts the document's blocks under its headings. Headings inside quotes, lists and
// code are part of the text.
func sections(src string, blocks []*block, d Document) []*section {
	current := &section{title: d.Title, cite: d.URL}
	all := []*section{current}
	for _, b := range blocks {
		if b.kind != heading {
			current.blocks = append(current.blocks, b)
			continue
		}
		raw := headingText(src, b)
		current = &section{
			head: b, level: int(b.level), title: plainText(raw),
			line: strings.Repeat("#", int(b.level)) + " " + raw,
		}
		all = append(all, current)
	}
	if len(all[0].blocks) == 0 {
		all = all[1:]
	}
	address, _, _ := strings.Cut(d.URL, "#")
	found := match(all, d.Headings)
	var open [7]*section // by level, the headings above the current one
	for i, s := range all {
		if s.head == nil {
			continue
		}
		if h := found[i]; h != nil {
			s.title, s.anchor = strings.TrimSpace(h.Text), h.Anchor
		}
		s.title = shorten(s.title)
		s.cite = d.URL
		if s.anchor != "" && address != "" {
			s.cite = address + "#" + s.anchor
		}
		open[s.level] = s
		clear(open[s.level+1:])
		for _, over := range open[1 : s.level+1] {
			if over != nil && over.title != "" {
				s.path = append(s.path, over.title)
			}
		}
		s.title = d.Title
		if n := len(s.path); n > 0 {
			s.title = s.path[n-1]
		}
	}
	return all
}

// headingText returns a heading's Markdown on one line, without the heading's marks.
func headingText(src string, b *block) string {
	text := src[b.body:b.end]
	if n := atxLevel(text); n > 0 && strings.IndexByte(text, '\n') < 0 {
		text = strings.Trim(text[n:], " \t")
		if t := strings.TrimRight(text, "#"); t == "" || t[len(t)-1] == ' ' || t[len(t)-1] == '\t' {
			text = t
		}
	} else {
		text = text[:strings.LastIndexByte(text, '\n')] // the underline
	}
	return strings.Join(strings.Fields(text), " ")
}

// plainText returns inline Markdown as readers see it; the result is approximate, which is enough
// for a title.
func plainText(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s) && strings.IndexByte("\\`*_{}[]<>()#+-.!|~\"'$%&,/:;=?@^", s[i+1]) >= 0:
			i++
			b.WriteByte(s[i])
		case c == '*' || c == '`':
		case c == '_' && (i == 0 || s[i-1] == ' ' || i+1 == len(s) || s[i+1] == ' '):
		case c == '!' && i+1 < len(s) && s[i+1] == '[':
		case c == '[':
		case c == ']' && i+1 < len(s) && s[i+1] == '(':
			n := strings.IndexByte(s[i:], ')')
			if n < 0 {
				b.WriteString(s[i:])
				return strings.TrimSpace(html.UnescapeString(b.String()))
			}
			i += n
		case c == ']':
		default:
			b.WriteByte(c)
		}
	}
	return strings.TrimSpace(html.UnescapeString(b.String()))
}

// shorten cuts a title that is too long to be repeated.
func shorten(s string) string {
	if len(s) <= maxTitle {
		return s
	}
	cut := s[:maxTitle]
	if n := strings.LastIndexByte(cut, ' '); n > maxTitle/2 {
		cut = cut[:n]
	}
	return strings.ToValidUTF8(cut, "") + Ellipsis
}

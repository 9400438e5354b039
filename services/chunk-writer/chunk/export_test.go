package chunk

import "strings"

// Seen is a block at the top of a document, as the scanner sees it.
type Seen struct {
	Kind string
	Line int // from 0
}

// Scan returns the document's headings, fences, lists, quotes and tables.
func Scan(md string) []Seen {
	names := map[kind]string{heading: "heading", fence: "fence", list: "list", quote: "quote", table: "table"}
	var out []Seen
	for _, b := range parse(md) {
		if name, ok := names[b.kind]; ok {
			out = append(out, Seen{name, strings.Count(md[:b.start], "\n")})
		}
	}
	return out
}

// Own is the part of a chunk's content that is the document's.
func Own(c Chunk) string { return c.Content[c.lead : len(c.Content)-c.tail] }

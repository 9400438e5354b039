package chunk

import "strings"

// Seen is a top-level block of a document, as the scanner sees it.
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

// Own is the part of a chunk's content that comes from the document.
func Own(c Chunk) string { return c.Content[c.lead : len(c.Content)-c.tail] }

// Plainly is Estimate by its definition, rune by rune.
func Plainly(s string) int {
	var m meter
	m.addString(s)
	return m.tokens()
}

// Composed is Estimate of combined parts, each measured separately.
func Composed(parts []string) int {
	var all span
	for _, part := range parts {
		all = all.then(spanOf(part))
	}
	return all.tokens()
}

// Within is Estimate up to a limit.
func Within(s string, limit int) (int, bool) {
	text, fits := spanWithin(s, limit)
	return text.tokens(), fits
}

// Join joins the chunks of a Split again, without the text that Split added: it returns the
// document's text from its first line that is not blank to its last. It takes all chunks of one
// Split, in order.
func Join(chunks []Chunk) string {
	var b strings.Builder
	for _, c := range chunks {
		b.WriteString(c.gap)
		b.WriteString(c.Content[c.lead : len(c.Content)-c.tail])
	}
	return b.String()
}

// Package chunk cuts a Markdown document into chunks for embedding and search. It is a pure
// function of its input: no clock, no database, the same answer every time.
//
// The document is first cut under its headings. Each section is then cut separately, so that an
// edit in one never moves a boundary in another; only sections of less than MinTokens are merged
// with the text behind them. A block (paragraph, list, table, code, quote) that fits is never cut.
// A larger block is cut at its best seams, and every chunk repeats what it needs to be readable
// alone: the heading, the table's head, the fence, the alert's mark, the list item's marker.
// docs/chunks.md tells the rest.
//
// Among equally good seams, the package takes the seam whose following text has the smallest hash,
// not the last one that fits. So the boundaries in a long section depend on its text, not on the
// distance from its beginning: a row inserted into a long table moves the boundaries near it, and
// the chunks behind stay the same.
//
// The package has its own line scanner for blocks (parse.go), which follows CommonMark's reference
// algorithm. A Markdown library throws away the positions that the package needs (the lines of a
// fence, a marker, a delimiter row), and it parses all the inline syntax, which the package does
// not read. Tests compare the scanner with goldmark.
package chunk

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sluicehq/sluice/shared/page"
)

// Document is the input of Split.
type Document struct {
	Title      string
	URL        string // the page's address, without an anchor
	Markdown   string
	Headings   []page.Heading // in order, with their anchors
	Breadcrumb []string       // titles of the ancestors, top first, without the page; see Trail
}

// Trail returns the titles that lead to c from the top of the space: ancestors, page, headings. It
// is not part of a chunk's content or hash, so that moving a page changes no chunk; put it before
// the content when embedding if this suits the model better.
func (d Document) Trail(c Chunk) []string {
	trail := make([]string, 0, len(d.Breadcrumb)+1+len(c.HeadingPath))
	trail = append(trail, d.Breadcrumb...)
	if d.Title != "" {
		trail = append(trail, d.Title)
	}
	return append(trail, c.HeadingPath...)
}

// The defaults of Options. Common embedding models read 512 tokens and drop the rest
// silently; 448 by Estimate leaves room for its error and for a Trail.
const (
	DefaultMaxTokens = 448
	DefaultMinTokens = 64
	// LeastMaxTokens is the smallest MaxTokens: with less, a table's head or a fence leaves no room
	// for content.
	LeastMaxTokens = 64
)

// Options are the sizes of chunks, all in tokens by Estimate. The zero value is the default.
type Options struct {
	MaxTokens     int // no chunk is larger, unless a single grapheme is; at least LeastMaxTokens
	MinTokens     int // a smaller section is merged with the next; at most a quarter of MaxTokens
	OverlapTokens int // how much of the previous chunk is repeated within a section; default 0, at most half of MaxTokens
}

func (o Options) withDefaults() Options {
	if o.MaxTokens <= 0 {
		o.MaxTokens = DefaultMaxTokens
	}
	o.MaxTokens = max(o.MaxTokens, LeastMaxTokens)
	if o.MinTokens <= 0 {
		o.MinTokens = DefaultMinTokens
	}
	o.MinTokens = min(o.MinTokens, o.MaxTokens/4)
	o.OverlapTokens = min(max(o.OverlapTokens, 0), o.MaxTokens/2)
	return o
}

// Chunk is a part of a document.
type Chunk struct {
	Number int // place in the document, from 0

	// Content is the text that is embedded and searched: Markdown that is readable alone. It holds
	// the heading of its section, repeated in every chunk where there is room, but not the headings
	// above it or the breadcrumb.
	Content string

	SectionTitle string   // the heading over the chunk's first text; the document's title when there is none
	HeadingPath  []string // titles from the top heading down to SectionTitle, nil before the first heading
	Anchor       string   // of that heading; "" before the first heading or when it is not known
	CitationURL  string   // URL#Anchor, or URL

	// Hash is page.ChunkHash of HeadingPath and Content. A document may
	// hold the same chunk twice: the hash and the number of its occurrence identify a chunk within
	// a document.
	Hash string

	Tokens int // by Estimate
	Words  int // runs of characters that are not white space
	Chars  int // code points

	gap        string // document text between the previous chunk and this one
	lead, tail int    // length of the bytes that Split added at the beginning and the end of Content
}

// Split cuts a document. A document without text gives no chunk, any other at least one.
//
// Split reads line ends as \n, and NUL and bytes that are not UTF-8 as U+FFFD. Time and memory are
// linear in the size of the document.
func Split(d Document, o Options) []Chunk {
	o = o.withDefaults()
	src := clean(d.Markdown)
	if strings.TrimSpace(src) == "" {
		return nil
	}
	// Some lines look blank but are text in Markdown, such as a line with a no-break space.
	src = src[textStart(src):]
	p := newPlan(src, d, o)
	chunks := make([]Chunk, 0, len(p.pieces))
	end := 0
	for _, piece := range p.pieces {
		c := p.chunk(piece)
		c.gap = src[end:p.units[piece.from].start]
		end = p.units[piece.to-1].end
		c.Number = len(chunks)
		chunks = append(chunks, c)
	}
	return chunks
}

// textStart returns the beginning of the first line of src that is not blank.
func textStart(src string) int {
	blank := len(src) - len(strings.TrimLeftFunc(src, unicode.IsSpace))
	return strings.LastIndexByte(src[:blank], '\n') + 1
}

// clean returns the text as valid UTF-8 with \n as line ends.
func clean(s string) string {
	s = strings.TrimPrefix(s, "\ufeff")
	if strings.IndexByte(s, '\r') >= 0 {
		s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	}
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "\ufffd")
	}
	return strings.ToValidUTF8(s, "\ufffd")
}

// measure sets the fields that follow from the heading path and the content, whose span is text.
func (c *Chunk) measure(text span) {
	c.Hash = page.ChunkHash(c.HeadingPath, c.Content)
	c.Tokens = text.tokens()
	c.Words, c.Chars = count(c.Content)
}

// count returns the words and the code points of s.
func count(s string) (words, chars int) {
	before := true // white space
	for i := 0; i < len(s); chars++ {
		var blank bool
		n := 1
		if b := s[i]; b < utf8.RuneSelf {
			blank = b == ' ' || b >= '\t' && b <= '\r'
		} else {
			var r rune
			r, n = utf8.DecodeRuneInString(s[i:])
			blank = unicode.IsSpace(r)
		}
		if before && !blank {
			words++
		}
		before = blank
		i += n
	}
	return words, chars
}

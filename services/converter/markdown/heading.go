package markdown

import (
	"strconv"
	"strings"

	"github.com/sluicehq/sluice/shared/page"
)

// anchors hands out the ids that Confluence gives to headings in the browser.
//
// The scheme is that of the renderer which Confluence Cloud's page view runs (Atlassian's
// editor packages, @atlaskit/renderer, ReactSerializer.getHeadingId): the heading's text,
// trimmed, every white space as '-', case and punctuation as they are; where the id is
// taken, ".1", ".2" and so on. "Copy link" on a Cloud heading gives that id through
// encodeURIComponent, which mozilla/markfluence checked in a browser in August 2026
// (docs/confluence/links-and-anchors.md there), and so do we. Pages that still use the
// legacy editor answer to PageTitle-HeadingWithoutSpaces instead, the form that body.view
// shows; storage format does not tell which editor a page has.
type anchors map[string]int

// next returns the percent-encoded anchor of a heading with the text.
func (a anchors) next(text string) string {
	id := strings.Map(func(r rune) rune {
		if r == ' ' {
			return '-'
		}
		return r
	}, strings.TrimSpace(text))
	n, taken := a[id]
	if !taken {
		a[id] = 1
		return encodeComponent(id)
	}
	for ; ; n++ {
		numbered := id + "." + strconv.Itoa(n)
		if _, taken := a[numbered]; !taken {
			a[numbered] = 1
			a[id] = n + 1
			return encodeComponent(numbered)
		}
	}
}

// headingBlock writes a heading and then what no heading can hold: the tables, lists or
// macros that were put inside it.
func (r *renderer) headingBlock(n *node, level int) {
	wasFlat, wasHeading, outer := r.flat, r.heading, r.deferred
	r.flat, r.heading, r.deferred = true, true, nil
	r.walk(n, style{})
	deferred := r.deferred
	r.flat, r.heading, r.deferred = wasFlat, wasHeading, outer

	if r.c.trim() {
		r.unbold()
		r.facts.read(&r.c)
		text := r.plain(0)
		r.headings = append(r.headings, page.Heading{Level: level, Text: text, Anchor: r.anchors.next(text)})
		line := r.e.emit(&r.c, inHeading)
		r.w.block(otherBlock)
		r.w.line()
		r.w.out = append(r.w.out, "###### "[6-level:]...)
		r.w.out = append(r.w.out, line...)
		r.w.end()
	}
	r.c.reset()
	for _, d := range deferred {
		r.node(d, style{})
		r.flush()
	}
}

// unbold drops bold where everything is: a heading says it already.
func (r *renderer) unbold() {
	for i := range r.c.pieces {
		if p := &r.c.pieces[i]; p.kind != breakPiece && p.style.marks&bold == 0 {
			return
		}
	}
	for i := range r.c.pieces {
		r.c.pieces[i].style.marks &^= bold
	}
}

// plain is the collected text from a piece on, without markup.
func (r *renderer) plain(from int) string {
	var b strings.Builder
	for i := min(from, len(r.c.pieces)); i < len(r.c.pieces); i++ {
		switch p := &r.c.pieces[i]; p.kind {
		case breakPiece:
			b.WriteByte(' ')
		case rawPiece: // an image; a reader of the heading's text sees none
		default:
			b.Write(r.c.bytes(p))
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

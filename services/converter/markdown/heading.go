package markdown

import (
	"bytes"
	"strconv"
	"strings"
	"unicode"

	"github.com/sluicehq/sluice/shared/page"
)

// anchors assigns the ids that Confluence gives to headings in the browser.
//
// The scheme is the scheme of the renderer in Confluence Cloud's page view (Atlassian's editor
// packages, @atlaskit/renderer, ReactSerializer.getHeadingId): the heading's text, trimmed, with
// every white space as '-', case and punctuation unchanged; if the id is taken, ".1", ".2" and so
// on follow. "Copy link" on a Cloud heading gives that id through encodeURIComponent, as
// mozilla/markfluence checked in a browser in August 2026 (docs/confluence/links-and-anchors.md
// there); anchors does the same. Pages that still use the legacy editor use
// PageTitle-HeadingWithoutSpaces instead, the form that body.view shows; storage format does not
// tell which editor a page has.
type anchors map[string]int

// next returns the percent-encoded anchor of a heading with the text.
func (a anchors) next(text string) string {
	id := strings.Map(func(r rune) rune {
		if scriptSpace(r) {
			return '-'
		}
		return r
	}, strings.TrimFunc(text, scriptSpace))
	if id == "" {
		return ""
	}
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

// scriptSpace reports whether \s and trim in JavaScript treat the rune as white space.
func scriptSpace(r rune) bool { return r != 0x85 && unicode.IsSpace(r) || r == 0xfeff }

// anchorText is the text from which a heading's id is built. An inline node without text of its own
// contributes the text it carries, or its type's name if it carries none.
func (r *renderer) anchorText(n *node) string {
	var b strings.Builder
	var walk func(*node)
	walk = func(n *node) {
		for c := n.first; c != nil; c = c.next {
			switch c.tag {
			case tagText, tagCDATA:
				appendCollapsed(&b, c.text)
			case tagBr:
				b.WriteByte('\n')
			case tagTime:
				b.WriteString("[date]")
			case tagEmoticon:
				b.WriteString(first(emojiFallback(c), c.attr("ac:emoji-shortname"), "[emoji]"))
			case tagRIUser:
				b.WriteString("@" + r.places.facts.Users[c.attr("ri:account-id")])
			case tagImage:
				b.WriteString("[mediaInline]")
			case tagHidden:
				if c.name == "ac:placeholder" {
					walk(c)
				}
			case tagMacro:
				switch rich := c.child(tagRichBody); {
				case c.attr("ac:name") == "status":
					b.WriteString(c.param("title"))
				case rich != nil:
					walk(rich)
				case c.attr("ac:name") != "anchor":
					b.WriteString("[inlineExtension]")
				}
			case tagA, tagLink:
				if c.attr("data-card-appearance") == "inline" || c.attr("ac:card-appearance") == "inline" {
					b.WriteString("[inlineCard]")
				} else if t := c.child(tagRIPage); t != nil && c.child(tagLinkBody) == nil && c.child(tagPlainLinkBody) == nil {
					b.WriteString(t.attr("ri:content-title"))
				} else {
					walk(c)
				}
			default:
				if c.tag.isRI() {
					continue
				}
				walk(c)
			}
		}
	}
	walk(n)
	return b.String()
}

// appendCollapsed adds text with its ASCII white space collapsed, as HTML requires.
func appendCollapsed(b *strings.Builder, s string) {
	for i := range len(s) {
		if !isSpace(s[i]) {
			b.WriteByte(s[i])
			continue
		}
		if t := b.String(); t != "" && t[len(t)-1] != ' ' && t[len(t)-1] != '\n' {
			b.WriteByte(' ')
		}
	}
}

// headingBlock writes a heading, then the tables, lists or macros inside it, which no heading can
// hold.
func (r *renderer) headingBlock(n *node, level int) {
	wasFlat, wasHeading, outer := r.flat, r.heading, r.deferred
	r.flat, r.heading, r.deferred = true, true, nil
	r.walk(n, style{})
	deferred := r.deferred
	r.flat, r.heading, r.deferred = wasFlat, wasHeading, outer

	anchor := r.anchors.next(r.anchorText(n))
	if !r.c.trim() {
		r.c.reset()
	}
	if text := r.plain(0); text == "" {
		r.flush() // an image alone: readers see no heading
	} else {
		r.unbold()
		r.facts.read(&r.c)
		r.headings = append(r.headings, page.Heading{Level: level, Text: text, Anchor: anchor})
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

// unbold drops bold if the whole heading is bold: a heading implies it.
func (r *renderer) unbold() {
	for i := range r.c.pieces {
		p := &r.c.pieces[i]
		space := p.kind == textPiece && len(bytes.TrimSpace(r.c.bytes(p))) == 0
		if p.kind != breakPiece && !space && p.style.marks&bold == 0 {
			return
		}
	}
	for i := range r.c.pieces {
		r.c.pieces[i].style.marks &^= bold
	}
}

// plain is the collected text from a piece on, without formatting.
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

package markdown

import (
	"strings"

	"github.com/sluicehq/sluice/shared/page"
)

// image renders <ac:image> and <img>.
func (r *renderer) image(n *node, st style) {
	if n.tag == tagImg {
		if s := oldEmoticon(n); s != "" {
			r.text(s, st)
			return
		}
		if r.picture(n.attr("src"), n.attr("alt"), n.attr("title"), st) {
			r.lose("img", page.Rendered, "")
		}
		return
	}
	caption := n.child(tagImageCaption)
	if caption != nil && !r.flat {
		r.flush()
	}
	alt, title := n.attr("ac:alt"), n.attr("ac:title")
	if href := n.attr("ac:href"); href != "" && st.link == nil {
		if u, safe := r.places.resolve(href); safe == safeURL && u != "" {
			st.link = &link{url: u}
		}
	}
	switch {
	case n.child(tagRIAttachment) != nil:
		a := n.child(tagRIAttachment)
		name := a.attr("ri:filename")
		o := r.owner(a)
		u := r.attached(o, name, "image")
		if o.url != "" {
			r.lose("ac:image", page.Placeholder, "the id of the page that holds it is not known: a link to that page")
			if st.link == nil {
				st.link = &link{url: u}
			}
			r.text(first(alt, name), st)
			break
		}
		if title == "" && alt != "" && alt != name {
			title = name
		}
		r.lose("ac:image", page.Rendered, "")
		r.drawImage(u, first(alt, name), title, st)
	case n.child(tagRIURL) != nil:
		if r.picture(n.child(tagRIURL).attr("ri:value"), alt, title, st) {
			r.lose("ac:image", page.Rendered, "")
		}
	default:
		if text := first(alt, title); strings.TrimSpace(text) != "" {
			r.lose("ac:image", page.Placeholder, "names no file: its alternative text")
			r.text(text, st)
		} else {
			r.lose("ac:image", page.Dropped, "names no file")
		}
	}
	if caption != nil {
		r.caption(caption, st)
	}
}

// caption renders the text below an image, in italics.
func (r *renderer) caption(n *node, st style) {
	st.link = nil
	if r.flat {
		r.flatLine(func() { r.walk(n, st.with(italic)) })
		return
	}
	r.flush()
	r.walk(n, st.with(italic))
	r.flush()
}

// picture renders an image from an address and reports whether it may be shown.
func (r *renderer) picture(src, alt, title string, st style) bool {
	u, safe := r.places.resolve(src)
	if safe != safeURL || u == "" {
		r.lose("img", page.Dropped, "the address cannot be linked; its text is kept")
		r.text(first(alt, title), st)
		return false
	}
	if alt == "" {
		alt = u[strings.LastIndexByte(u, '/')+1:]
		alt, _, _ = strings.Cut(alt, "?")
	}
	r.facts.asset(page.Asset{Title: alt, Type: "image", DownloadURL: u})
	r.drawImage(u, alt, title, st)
	return true
}

// drawImage adds a finished image.
func (r *renderer) drawImage(u, alt, title string, st style) {
	alt = oneLine(alt)
	r.facts.words += wordCount(alt)
	if title == alt {
		title = ""
	}
	var b []byte
	b = append(b, '!', '[')
	b = appendAlt(b, alt)
	b = append(b, ']', '(')
	b = appendDestination(b, u, title)
	b = append(b, ')')
	r.c.raw(string(b), st)
}

// appendAlt escapes text for an image's brackets: every character that could be markup there.
func appendAlt(dst []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; c {
		case '[', ']', '\\', '*', '`', '<', '~':
			dst = appendEscaped(dst, s, i)
		case '>':
			dst = append(dst, "&gt;"...) // it would end the tag, to some
		case '"':
			dst = append(dst, "&quot;"...)
		case '_':
			if i == 0 || i+1 == len(s) || s[i-1] <= '/' || s[i+1] <= '/' || s[i+1] == '_' || s[i-1] == '_' {
				dst = append(dst, '\\')
			}
			dst = append(dst, c)
		case '&':
			if referenceAt(s[i:]) {
				dst = appendEscaped(dst, s, i)
				continue
			}
			dst = append(dst, c)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

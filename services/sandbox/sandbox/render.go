package sandbox

import (
	"encoding/xml"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strings"
)

// element is a node of a parsed body: a tag, or text where name.Local is empty.
type element struct {
	name xml.Name
	attr map[string]string // by prefix:local
	kids []*element
	text string
}

func (e *element) is(space, local string) bool { return e.name.Space == space && e.name.Local == local }

// kid returns the first child with the name, or nil.
func (e *element) kid(space, local string) *element {
	for _, k := range e.kids {
		if k.is(space, local) {
			return k
		}
	}
	return nil
}

// inner is the text inside the element.
func (e *element) inner() string {
	if e == nil {
		return ""
	}
	var b strings.Builder
	b.WriteString(e.text)
	for _, k := range e.kids {
		b.WriteString(k.inner())
	}
	return b.String()
}

// parameter is a macro's parameter, whose value may be text or a resource.
func (e *element) parameter(name string) *element {
	for _, k := range e.kids {
		if k.is("ac", "parameter") && k.attr["ac:name"] == name {
			return k
		}
	}
	return nil
}

// parseStorage reads a body up to the first malformed place.
func parseStorage(storage string) *element {
	d := storageDecoder(storage)
	root := &element{}
	open := []*element{root}
	for {
		tok, err := d.Token()
		if err != nil {
			return root
		}
		top := open[len(open)-1]
		switch t := tok.(type) {
		case xml.StartElement:
			e := &element{name: t.Name, attr: map[string]string{}}
			for _, a := range t.Attr {
				key := a.Name.Local
				if a.Name.Space != "" {
					key = a.Name.Space + ":" + key
				}
				e.attr[key] = a.Value
			}
			top.kids = append(top.kids, e)
			open = append(open, e)
		case xml.EndElement:
			if len(open) > 1 {
				open = open[:len(open)-1]
			}
		case xml.CharData:
			top.kids = append(top.kids, &element{text: string(t)})
		}
	}
}

// renderer writes a page's body as the HTML of its browsable page.
type renderer struct {
	site  *Site
	page  int64
	out   strings.Builder
	ids   map[*element]string // of headings
	heads []*element
	depth int  // of included pages
	view  bool // write the markup of the API's view, not of the browsable page
}

// render returns the page's body as HTML for the API user. The caller must not hold the lock.
func (s *Site) render(page int64, storage string) string {
	return s.renderAt(page, storage, 0, false)
}

func (s *Site) renderAt(page int64, storage string, depth int, view bool) string {
	r := &renderer{site: s, page: page, ids: map[*element]string{}, depth: depth, view: view}
	root := parseStorage(storage)
	r.nameHeadings(root, map[string]bool{})
	r.kids(root)
	return r.out.String()
}

// nameHeadings gives every heading its id: its text with dashes for spaces, and a number after a
// dot if an earlier heading has the same id.
func (r *renderer) nameHeadings(e *element, taken map[string]bool) {
	if headingLevel(e.name) > 0 {
		if base := strings.ReplaceAll(strings.TrimSpace(e.inner()), " ", "-"); base != "" {
			id := base
			for i := 1; taken[id]; i++ {
				id = fmt.Sprintf("%s.%d", base, i)
			}
			taken[id], r.ids[e] = true, id
			r.heads = append(r.heads, e)
		}
	}
	for _, k := range e.kids {
		r.nameHeadings(k, taken)
	}
}

func (r *renderer) kids(e *element) {
	if e == nil {
		return
	}
	for _, k := range e.kids {
		r.element(k)
	}
}

func (r *renderer) write(format string, args ...any) {
	for i, a := range args {
		if s, ok := a.(string); ok {
			args[i] = html.EscapeString(s)
		}
	}
	fmt.Fprintf(&r.out, format, args...)
}

// plainTags are the HTML elements that storage format uses unchanged.
var plainTags = strings.Fields("p h1 h2 h3 h4 h5 h6 ul ol li table thead tbody tr th td strong em b i u s del sub sup code pre blockquote small")

func (r *renderer) element(e *element) {
	switch {
	case e.name.Local == "":
		r.write("%s", e.text)
	case e.name.Space == "ac":
		r.confluence(e)
	case e.name.Space != "":
	case slices.Contains([]string{"br", "hr"}, e.name.Local):
		r.write("<%s>", e.name.Local)
	case e.is("", "time"):
		r.write("<time>%s</time>", e.attr["datetime"])
	case e.is("", "a") && safeURL(e.attr["href"]):
		r.write(`<a href="%s">`, e.attr["href"])
		r.kids(e)
		r.write("</a>")
	case r.view && e.is("", "table"):
		r.wrap(e, `<div class="table-wrap"><table class="confluenceTable">`, "</table></div>")
	case slices.Contains(plainTags, e.name.Local):
		r.write("<%s", e.name.Local)
		if id := r.ids[e]; id != "" {
			r.write(` id="%s"`, id)
		}
		for _, name := range []string{"colspan", "rowspan", "start"} {
			if v := e.attr[name]; v != "" {
				r.write(` %s="%s"`, name, v)
			}
		}
		if class := viewClass[e.name.Local]; r.view && class != "" {
			r.write(` class="%s"`, class)
		}
		r.write(">")
		r.kids(e)
		r.write("</%s>", e.name.Local)
	default:
		r.kids(e)
	}
}

// safeURL drops links that a browser would execute.
func safeURL(href string) bool {
	u, err := url.Parse(href)
	return err == nil && slices.Contains([]string{"", "http", "https", "mailto"}, strings.ToLower(u.Scheme))
}

func (r *renderer) confluence(e *element) {
	switch e.name.Local {
	case "structured-macro", "macro":
		if !r.view || !r.viewMacro(e) {
			r.macro(e)
		}
	case "link":
		r.link(e)
	case "image":
		r.image(e)
	case "emoticon":
		r.write("%s", cmpOr(e.attr["ac:emoji-fallback"], emoticons[e.attr["ac:name"]]))
	case "task-list":
		r.wrap(e, `<ul class="`+r.either("tasks", "inline-task-list")+`">`, "</ul>")
	case "task":
		if r.view {
			r.viewTask(e)
			return
		}
		box := "☐ "
		if e.kid("ac", "task-status").inner() == "complete" {
			box = "☑ "
		}
		r.write("<li>%s", box)
		r.kids(e.kid("ac", "task-body"))
		r.write("</li>")
	case "layout-section":
		r.wrap(e, `<div class="section">`, "</div>")
	case "layout-cell":
		r.wrap(e, `<div class="cell">`, "</div>")
	case "placeholder", "parameter", "default-parameter", "adf-attribute", "adf-fallback":
	default:
		r.kids(e)
	}
}

func (r *renderer) wrap(e *element, before, after string) {
	r.out.WriteString(before)
	r.kids(e)
	r.out.WriteString(after)
}

var emoticons = map[string]string{
	"smile": "🙂", "sad": "🙁", "tick": "✅", "cross": "❌", "warning": "⚠️", "information": "ℹ️", "thumbs-up": "👍",
	"thumbs-down": "👎", "light-on": "💡", "question": "❓", "star": "⭐", "yellow-star": "⭐", "heart": "❤️",
}

func (r *renderer) image(e *element) {
	name := e.kid("ri", "attachment").attribute("ri:filename")
	if name == "" {
		name = e.kid("ri", "url").attribute("ri:value")
	}
	r.write(`<figure><div class="picture">🖼 %s</div>`, cmpOr(e.attr["ac:alt"], name))
	if c := e.kid("ac", "caption"); c != nil {
		r.wrap(c, "<figcaption>", "</figcaption>")
	}
	r.write("</figure>")
}

func (e *element) attribute(name string) string {
	if e == nil {
		return ""
	}
	return e.attr[name]
}

func (r *renderer) link(e *element) {
	if user := e.kid("ri", "user"); user != nil {
		r.write(`<span class="mention">@%s</span>`, r.site.displayName(user.attr["ri:account-id"]))
		return
	}
	var href, text string
	switch page, file := e.kid("ri", "page"), e.kid("ri", "attachment"); {
	case page != nil:
		text = page.attr["ri:content-title"]
		href = r.site.titlePath(r.page, page.attr["ri:space-key"], text)
	case file != nil:
		text = file.attr["ri:filename"]
	default:
		text = e.attr["ac:anchor"]
	}
	if anchor := e.attr["ac:anchor"]; anchor != "" {
		if plain, err := url.PathUnescape(anchor); err == nil {
			anchor = plain
		}
		href += "#" + strings.ReplaceAll(anchor, " ", "-")
	}
	if href == "" {
		r.write(`<span class="missing">`)
		r.linkBody(e, text)
		r.write("</span>")
		return
	}
	r.write(`<a href="%s">`, href)
	r.linkBody(e, text)
	r.write("</a>")
}

func (r *renderer) linkBody(e *element, text string) {
	for _, name := range []string{"link-body", "plain-text-link-body"} {
		if body := e.kid("ac", name); body != nil {
			r.kids(body)
			return
		}
	}
	r.write("%s", text)
}

// displayName is the person's name, or the id of an unknown person.
func (s *Site) displayName(account string) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return cmpOr(s.users[account].DisplayName, account)
}

// titlePath is the path of the page with the title, in the space or, without one, in the space of
// the linking page; "" if there is no such page or the API user may not see it.
func (s *Site) titlePath(from int64, space, title string) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n := s.titled(from, space, title)
	if n == nil {
		return ""
	}
	return "/wiki" + webPath(n)
}

func (s *Site) titled(from int64, space, title string) *node {
	sp := s.space(space)
	if n := s.nodes[from]; space == "" && n != nil {
		sp = n.space
	}
	if sp == nil {
		return nil
	}
	if n := sp.titles[titleKey(KindPage, title)]; n != nil && s.sees(n) {
		return n
	}
	return nil
}

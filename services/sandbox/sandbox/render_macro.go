package sandbox

import "strings"

// macro writes a macro as readers see it; an unknown macro, as its body.
func (r *renderer) macro(e *element) {
	name := e.attr["ac:name"]
	rich, plain := e.kid("ac", "rich-text-body"), e.kid("ac", "plain-text-body")
	switch name {
	case "code", "noformat":
		r.write(`<div class="code">`)
		if title := e.parameter("title").inner(); title != "" {
			r.write(`<div class="title">%s</div>`, title)
		}
		r.write("<pre><code>%s</code></pre></div>", plain.inner())
	case "info", "note", "warning", "tip", "panel":
		r.write(`<div class="panel %s">`, name)
		if title := e.parameter("title").inner(); title != "" {
			r.write("<strong>%s</strong>", title)
		}
		r.kids(rich)
		r.write("</div>")
	case "expand":
		r.write("<details><summary>%s</summary>", cmpOr(e.parameter("title").inner(), "Click here to expand…"))
		r.kids(rich)
		r.write("</details>")
	case "status":
		r.write(`<span class="status %s">%s</span>`, strings.ToLower(e.parameter("colour").inner()), e.parameter("title").inner())
	case "anchor":
		r.write(`<span id="%s"></span>`, strings.ReplaceAll(e.parameter("").inner(), " ", "-"))
	case "jira":
		key := cmpOr(e.parameter("key").inner(), e.parameter("jqlQuery").inner())
		r.write(`<span class="status blue">%s</span>`, key)
	case "toc":
		r.contents()
	case "children":
		r.children()
	case "include", "excerpt-include":
		r.included(e)
	default:
		if rich == nil && plain == nil {
			r.write(`<span class="missing">[%s]</span>`, name)
			return
		}
		r.kids(rich)
		if plain != nil {
			r.write("<pre>%s</pre>", plain.inner())
		}
	}
}

func (r *renderer) contents() {
	r.write(`<ul class="toc">`)
	for _, h := range r.heads {
		r.write(`<li class="level%d"><a href="#%s">%s</a></li>`, headingLevel(h.name), r.ids[h], strings.TrimSpace(h.inner()))
	}
	r.write("</ul>")
}

func (r *renderer) children() {
	type line struct{ path, title string }
	var lines []line
	r.site.mu.RLock()
	if n := r.site.nodes[r.page]; n != nil {
		for _, c := range n.children {
			if c.status == current && r.site.sees(c) {
				lines = append(lines, line{"/wiki" + webPath(c), c.rev.title})
			}
		}
	}
	r.site.mu.RUnlock()
	r.write("<ul>")
	for _, l := range lines {
		r.write(`<li><a href="%s">%s</a></li>`, l.path, l.title)
	}
	r.write("</ul>")
}

// included writes another page's body, or its excerpts only, at most three pages deep.
func (r *renderer) included(e *element) {
	target := firstNamed(e.parameter(""), "page")
	title, space := target.attribute("ri:content-title"), target.attribute("ri:space-key")
	r.site.mu.RLock()
	n := r.site.titled(r.page, space, title)
	var body source
	if n != nil {
		body = n.rev.body
	}
	r.site.mu.RUnlock()
	if body == nil || r.depth >= 3 {
		r.write(`<span class="missing">[%s]</span>`, title)
		return
	}
	if e.attr["ac:name"] == "include" {
		r.out.WriteString(r.site.renderAt(n.id, body.text(), r.depth+1, r.view))
		return
	}
	want := e.parameter("name").inner()
	r.excerpts(parseStorage(body.text()), want)
}

func (r *renderer) excerpts(e *element, want string) {
	for _, k := range e.kids {
		if k.attr["ac:name"] == "excerpt" && k.is("ac", "structured-macro") && (want == "" || k.parameter("name").inner() == want) {
			r.kids(k.kid("ac", "rich-text-body"))
			continue
		}
		r.excerpts(k, want)
	}
}

// firstNamed finds the first ri: element with the local name below e.
func firstNamed(e *element, local string) *element {
	if e == nil {
		return nil
	}
	for _, k := range e.kids {
		if k.is("ri", local) {
			return k
		}
		if found := firstNamed(k, local); found != nil {
			return found
		}
	}
	return nil
}

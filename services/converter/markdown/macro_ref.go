package markdown

import (
	"net/url"
	"strings"

	"github.com/sluicehq/sluice/shared/page"
)

// status renders a lozenge as bold text.
func (r *renderer) status(n *node, name string, st style) {
	title := n.param("title")
	if title == "" {
		title = n.param("Status")
	}
	if title == "" {
		r.lose("macro:"+name, page.Dropped, "empty")
		return
	}
	r.rendered(name)
	r.c.chip(title, st.with(bold))
}

func (r *renderer) profile(n *node, name string, st style) {
	u := find(n, tagRIUser)
	if u == nil {
		r.lose("macro:"+name, page.Dropped, "names no user")
		return
	}
	r.rendered(name)
	r.asBlock(func() { r.mention(u, st) })
}

// jira renders one issue as a link and a query as its JQL: the issues that it finds are not
// in the body.
func (r *renderer) jira(n *node, name string, st style) {
	key := n.param("key")
	if key == "" && wholeIssueKey(n.param("")) {
		key = n.param("")
	}
	if key != "" {
		target := r.places.issue(key)
		if base := n.param("baseurl"); base != "" {
			if u, safe := r.places.resolve(strings.TrimRight(base, "/") + "/browse/" + url.PathEscape(key)); safe == safeURL {
				target = u
			}
		}
		r.rendered(name)
		if r.places.site != "" {
			st.link = &link{url: target}
		}
		r.text(key, st)
		r.facts.issue(key, target)
		return
	}
	jql := n.param("jqlQuery")
	if jql == "" {
		jql = n.param("jql")
	}
	if jql == "" {
		if u, err := url.Parse(n.param("url")); err == nil {
			jql = u.Query().Get("jqlQuery")
			if jql == "" {
				jql = u.Query().Get("jql")
			}
		}
	}
	if jql == "" {
		r.lose("macro:"+name, page.Dropped, "names neither an issue nor a query")
		return
	}
	r.lose("macro:"+name, page.Placeholder, "the issues that the query finds are not in the body")
	r.alone(func() { r.jql(jql, st) })
}

func (r *renderer) jql(jql string, st style) {
	l := st
	if r.places.site != "" {
		l.link = &link{url: r.places.site + "/issues/?jql=" + url.QueryEscape(jql)}
	}
	r.text("Jira issues", l)
	r.text(": ", st)
	st.code = true
	r.text(jql, st)
}

// include renders a transclusion as the name of the page, with a link.
func (r *renderer) include(n *node, name, lead string, st style) {
	target := find(n, tagRIPage)
	if target == nil {
		target = find(n, tagRIBlogPost)
	}
	var l page.Link
	switch {
	case target != nil:
		l = r.pageOf(target)
	case n.param("") != "":
		space, title, ok := strings.Cut(n.param(""), ":")
		if !ok {
			space, title = "", n.param("")
		}
		l = r.places.page(space, title)
	case n.param("PageTitle") != "":
		l = r.places.page(n.param("Space"), n.param("PageTitle"))
	default:
		if e := find(n, tagRIContentEntity); e != nil {
			id := e.attr("ri:content-id")
			l = page.Link{PageID: id, PageTitle: "page " + id, PageURL: r.places.content(id)}
			break
		}
		r.lose("macro:"+name, page.Dropped, "names no page")
		return
	}
	r.lose("macro:"+name, page.Placeholder, "the content of the other page is not in the body")
	r.facts.include(l)
	r.asBlock(func() {
		r.text(lead, st)
		st.link = &link{url: l.PageURL}
		r.text(l.PageTitle, st)
	})
}

func (r *renderer) file(n *node, name string, st style) {
	if target := find(n, tagRIAttachment); target != nil {
		r.lose("macro:"+name, page.Placeholder, "the file is an attachment")
		r.alone(func() { r.fileLink(target, "file", st) })
		return
	}
	if f := n.param("name"); f != "" {
		r.lose("macro:"+name, page.Placeholder, "the file is an attachment")
		st.link = &link{url: r.attached(owner{}, f, "file")}
		r.alone(func() { r.c.chip(f, st) })
		return
	}
	r.lose("macro:"+name, page.Dropped, "names no file")
}

func (r *renderer) fileList(n *node, name, label string, st style) {
	r.lose("macro:"+name, page.Placeholder, "the list of files is made when the page is viewed")
	r.asBlock(func() {
		r.titleLine(n.param("title"), st)
		st.link = &link{url: r.places.facts.BaseURL + "/pages/viewpageattachments.action?pageId=" + url.QueryEscape(r.places.facts.ID)}
		r.text(label, st)
	})
}

// address renders a macro that shows something from another address as a link there.
func (r *renderer) address(n *node, name string, st style) {
	for _, p := range []string{"url", "src", "redirectTo", ""} {
		href := n.param(p)
		if href == "" {
			continue
		}
		r.lose("macro:"+name, page.Placeholder, "what the address shows is not in the body")
		title := n.param("title")
		if title == "" {
			title = href
		}
		r.alone(func() { r.hyperlink(href, "", title, st, func(st style) { r.text(title, st) }) })
		return
	}
	r.lose("macro:"+name, page.Dropped, "names no address")
}

// diagram renders a diagram as its text where the body holds it, otherwise as its name.
func (r *renderer) diagram(n *node, name string, st style) {
	if b := n.child(tagPlainBody); b != nil && strings.TrimSpace(plainText(b)) != "" {
		r.rendered(name)
		r.codeBlock("", n.param("diagramDisplayName"), plainText(b), st)
		return
	}
	title := ""
	for _, p := range []string{"diagramDisplayName", "diagramName", "name", "filename", "title"} {
		if title = n.param(p); title != "" {
			break
		}
	}
	if title == "" {
		r.lose("macro:"+name, page.Dropped, "names no diagram")
		return
	}
	r.lose("macro:"+name, page.Placeholder, "the diagram is an attachment")
	attached := n.param("diagramName")
	if attached == "" {
		attached = title
	}
	r.asBlock(func() {
		r.text("Diagram: ", st)
		st.link = &link{url: r.attached(owner{}, attached, "diagram")}
		r.text(title, st)
	})
}

// query renders a macro that lists what a query finds as its name and the query.
func (r *renderer) query(n *node, name, label string, st style) {
	r.lose("macro:"+name, page.Placeholder, "what the query finds is not in the body")
	r.asBlock(func() {
		r.titleLine(n.param("title"), st)
		r.text(label, st)
		for _, p := range []string{"cql", "label", "labels", "redirectMessage"} {
			if q := n.param(p); q != "" {
				r.text(": ", st)
				st.code = true
				r.text(q, st)
				return
			}
		}
	})
}

func (r *renderer) pictureMacro(n *node, name string, st style) {
	src := n.param("src")
	if src == "" {
		r.lose("macro:"+name, page.Dropped, "names no image")
		return
	}
	r.rendered(name)
	r.picture(src, n.param("alt"), n.param("title"), st)
}

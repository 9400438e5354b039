package markdown

import (
	"net/url"
	"strings"

	"github.com/sluicehq/sluice/shared/page"
)

// status renders a lozenge as bold text.
func (r *renderer) status(n *node, st style) {
	title := n.param("title")
	if title == "" {
		title = n.param("Status")
	}
	if title == "" {
		r.tell(page.Dropped, "empty")
		return
	}
	r.noteHidden(title)
	r.c.chip(title, st.with(bold))
}

func (r *renderer) profile(n *node, st style) {
	u := find(n, tagRIUser)
	if u == nil {
		r.tell(page.Dropped, "names no user")
		r.stands(n, st)
		return
	}
	r.apart(func() { r.mention(u, st) })
}

// jira renders one issue as a link and a query as its JQL: the issues that the query finds are not
// in the body.
func (r *renderer) jira(n *node, st style) {
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
		r.tell(page.Dropped, "names neither an issue nor a query")
		r.stands(n, st)
		return
	}
	r.tell(page.Placeholder, "the issues that the query finds are not in the body")
	r.alone(func() { r.jql(jql, st) })
}

func (r *renderer) jql(jql string, st style) {
	l := st
	if r.places.site != "" {
		l.link = &link{url: r.places.site + "/issues/?jql=" + url.QueryEscape(jql)}
	}
	r.text("Jira issues", l)
	r.text(": ", st)
	r.facts.issues([]byte(jql), len(r.c.buf)) // the keys that it names
	st.code = true
	r.text(jql, st)
}

// include renders a transclusion as the name of the page, with a link.
func (r *renderer) include(n *node, lead string, st style) {
	l, ok := r.pageNamed(n)
	if !ok {
		r.tell(page.Dropped, "names no page")
		r.stands(n, st)
		return
	}
	r.tell(page.Placeholder, "the content of the other page is not in the body")
	r.facts.include(l)
	r.apart(func() {
		r.text(lead, st)
		st.link = &link{url: l.PageURL}
		r.text(l.PageTitle, st)
	})
}

// pageNamed returns the page that the parameters of an including macro name.
func (r *renderer) pageNamed(n *node) (page.Link, bool) {
	if l, ok := r.pageLinked(n); ok {
		return l, true
	}
	for _, p := range []string{"", "page", "PageTitle", "pageTitle", "page-title", "pageName", "page-name", "content-title"} {
		named := n.param(p)
		if named == "" || webAddress(named) {
			continue
		}
		if digits(named) {
			return r.pageWithID(named), true
		}
		space, title, ok := strings.Cut(named, ":")
		if !ok || p != "" && strings.ContainsAny(space, " /") {
			space, title = first(n.param("Space"), n.param("space"), n.param("spaceKey"), n.param("space-key")), named
		}
		return r.places.page(space, strings.TrimSpace(title)), true
	}
	for _, p := range pageIDs {
		if id := n.param(p); digits(id) {
			return r.pageWithID(id), true
		}
	}
	return page.Link{}, false
}

// pageIDs are the parameters in which apps keep the id of another page.
var pageIDs = []string{"pageId", "page-id", "pageID", "contentId", "content-id"}

// pageLinked returns the page to which a parameter of a macro links.
func (r *renderer) pageLinked(n *node) (page.Link, bool) {
	for c := n.first; c != nil; c = c.next {
		if c.tag != tagParameter {
			continue
		}
		for _, t := range []tag{tagRIPage, tagRIBlogPost} {
			if target := find(c, t); target != nil {
				return r.pageOf(target), true
			}
		}
		if e := find(c, tagRIContentEntity); e != nil {
			return r.pageWithID(e.attr("ri:content-id")), true
		}
	}
	return page.Link{}, false
}

func (r *renderer) pageWithID(id string) page.Link {
	return page.Link{PageID: id, PageTitle: "page " + id, PageURL: r.places.content(id)}
}

func (r *renderer) file(n *node, st style) {
	if target := find(n, tagRIAttachment); target != nil {
		r.tell(page.Placeholder, "the file is an attachment")
		r.alone(func() { r.fileLink(target, "file", st) })
		return
	}
	if f := n.param("name"); f != "" {
		r.tell(page.Placeholder, "the file is an attachment")
		st.link = &link{url: r.attached(owner{}, f, "file")}
		r.alone(func() { r.c.chip(f, st) })
		return
	}
	r.tell(page.Dropped, "names no file")
	r.stands(n, st)
}

func (r *renderer) fileList(n *node, label string, st style) {
	r.tell(page.Placeholder, "the list of files is made when the page is viewed")
	r.asBlock(func() {
		r.titleLine(n.param("title"), st)
		st.link = &link{url: r.places.facts.BaseURL + "/pages/viewpageattachments.action?pageId=" + url.QueryEscape(r.places.facts.ID)}
		r.text(label, st)
	})
}

// address renders a macro that shows content from another address as a link to that address.
func (r *renderer) address(n *node, st style) {
	for _, p := range []string{"url", "src", "redirectTo", ""} {
		href := n.param(p)
		if href == "" {
			continue
		}
		r.tell(page.Placeholder, "what the address shows is not in the body")
		title := first(n.param("title"), href)
		r.alone(func() { r.hyperlink(href, "", title, st, func(st style) { r.text(title, st) }) })
		return
	}
	r.tell(page.Dropped, "names no address")
	r.stands(n, st)
}

// diagramNames are the parameters in which apps keep the name of a diagram, the preferred one
// first.
var diagramNames = []string{
	"diagramDisplayName", "diagram-display-name", "displayName", "diagramName", "diagram-name", "filename", "fileName", "file-name", "name", "title",
}

// diagram renders a diagram as its text if the body holds it, otherwise as its name.
func (r *renderer) diagram(n *node, st style) {
	if b := n.child(tagPlainBody); b != nil && strings.TrimSpace(plainText(b)) != "" {
		r.codeBlock("", n.param("diagramDisplayName"), plainText(b), st)
		return
	}
	if r.source(n, "", st) || r.diagramFile(n, diagramNames, st) || r.stands(n, st) {
		return
	}
	r.tell(page.Dropped, "names no diagram")
}

// diagramFile writes the name of a diagram that is an attachment of this page or of another page.
func (r *renderer) diagramFile(n *node, names []string, st style) bool {
	title, attached := "", ""
	for _, p := range names {
		if v := n.param(p); v != "" {
			title = first(title, v)
			if attached == "" && !strings.Contains(strings.ToLower(p), "display") {
				attached = v
			}
		}
	}
	if title == "" {
		return false
	}
	r.tell(page.Placeholder, "the diagram is an attachment")
	var o owner
	for _, p := range pageIDs {
		if id := n.param(p); digits(id) {
			o.id = id
		}
	}
	r.apart(func() {
		r.text("Diagram: ", st)
		st.link = &link{url: r.attached(o, first(attached, title), "diagram")}
		r.text(title, st)
	})
	return true
}

// query renders a macro that lists search results as its name and the query.
func (r *renderer) query(n *node, label string, st style) {
	r.tell(page.Placeholder, "what the query finds is not in the body")
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

func (r *renderer) pictureMacro(n *node, st style) {
	src := n.param("src")
	if src == "" {
		r.tell(page.Dropped, "names no image")
		r.stands(n, st)
		return
	}
	if !r.picture(src, n.param("alt"), n.param("title"), st) {
		r.tell(page.Placeholder, "the address cannot be linked; its text is kept")
	}
}

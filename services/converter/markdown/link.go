package markdown

import (
	"net/url"
	"path"
	"strings"

	"github.com/sluicehq/sluice/shared/page"
)

// anchorElement renders <a>.
func (r *renderer) anchorElement(n *node, st style) {
	href := n.attr("href")
	if href == "" {
		r.walk(n, st)
		return
	}
	name := oneLine(textOf(n, 300))
	if n.attr("data-card-appearance") != "" && (name == "" || name == href) {
		// A card shows its target's title, and the body holds only the address.
		if title := r.cardTitle(href); title != "" {
			r.hyperlink(href, "", title, st, func(st style) { r.text(title, st) })
			return
		}
	}
	r.hyperlink(href, n.attr("title"), name, st, func(st style) {
		if find(n, tagMacro) == nil {
			r.walk(n, st) // if this shows nothing, the page shows nothing either
			return
		}
		r.orElse(href, st, func() { r.walk(n, st) })
	})
}

// cardTitle is the title of a page or the key of an issue, if the address contains it.
func (r *renderer) cardTitle(href string) string {
	target, safe := r.places.resolve(href)
	u, err := url.Parse(target)
	if err != nil || safe != safeURL {
		return ""
	}
	if key := issueInURL(u); key != "" {
		return key
	}
	if r.places.host == "" || !strings.EqualFold(u.Host, r.places.host) {
		return ""
	}
	l, _ := r.facts.pageInURL(u, "")
	return oneLine(l.PageTitle)
}

// hyperlink renders a link to an address; name is its name in the metadata.
func (r *renderer) hyperlink(href, title, name string, st style, body func(style)) {
	target, safe := r.places.resolve(href)
	switch safe {
	case hostileURL:
		r.lose("a", page.Dropped, "the address could run code; its text is kept")
		body(st)
		return
	case plainScheme:
		r.lose("a", page.Rendered, "the address cannot be linked; it is shown as code")
		r.facts.href(target, name)
		body(st)
		if name != href {
			r.text(" (", st)
			code := st
			code.code = true
			r.text(target, code)
			r.text(")", st)
		}
		return
	}
	if target == "" {
		body(st)
		return
	}
	r.facts.href(target, name)
	if title = oneLine(title); title == name || title == href {
		title = ""
	}
	st.link = &link{url: target, title: title}
	body(st)
}

// orElse writes text if body shows nothing.
func (r *renderer) orElse(text string, st style, body func()) {
	gathered, written := len(r.c.buf), len(r.w.out)
	body()
	if len(r.c.buf) == gathered && len(r.w.out) == written {
		r.text(text, st)
	}
}

// confluenceLink renders <ac:link>: a target, with or without a body.
func (r *renderer) confluenceLink(n *node, st style) {
	var target, body *node
	for c := n.first; c != nil; c = c.next {
		switch {
		case c.tag == tagLinkBody || c.tag == tagPlainLinkBody || c.tag == tagImage:
			body = c
		case c.tag.isRI():
			target = c
		}
	}
	if target != nil && target.tag == tagRIShortcut && body == nil {
		body = firstOf(target, tagLinkBody, tagPlainLinkBody)
	}
	if body != nil && body.tag != tagImage && body.first == nil {
		body = nil
	}
	anchor := n.attr("ac:anchor")
	if decoded, err := url.PathUnescape(anchor); err == nil {
		anchor = decoded
	}
	if target == nil {
		r.selfLink(n, body, anchor, st)
		return
	}
	if target.tag == tagRIUser {
		r.mentionOr(target, body, st)
		return
	}
	d := r.destination(target)
	if anchor != "" && d.url != "" {
		d.url, _, _ = strings.Cut(d.url, "#")
		d.url += "#" + encodeComponent(anchor)
	}
	l := st
	if d.url != "" {
		if tip := oneLine(n.attr("ac:tooltip")); tip != d.text {
			l.link = &link{url: d.url, title: tip}
		} else {
			l.link = &link{url: d.url}
		}
	}
	r.linkBody(body, d.text, l)
}

func (r *renderer) linkBody(body *node, text string, st style) {
	switch {
	case body == nil:
		r.text(text, st)
	case body.tag == tagImage:
		r.node(body, st)
	default:
		r.orElse(text, st, func() { r.walk(body, st) })
	}
}

// selfLink renders a link without a target page: to an anchor on this page, or to nothing.
func (r *renderer) selfLink(n, body *node, anchor string, st style) {
	if anchor != "" {
		st.link = &link{url: r.places.anchor(anchor)}
		r.linkBody(body, anchor, st)
		return
	}
	if body != nil {
		r.linkBody(body, "", st)
		return
	}
	r.walk(n, st)
}

// destination is the address and the name of a resource identifier's target.
type destination struct{ url, text string }

func (r *renderer) destination(n *node) destination {
	switch n.tag {
	case tagRIPage, tagRIBlogPost:
		l := r.pageOf(n)
		r.facts.internal(l)
		return destination{l.PageURL, l.PageTitle}
	case tagRIAttachment:
		name := n.attr("ri:filename")
		return destination{r.attached(r.owner(n), name, "file"), name}
	case tagRIURL:
		href := n.attr("ri:value")
		u, safe := r.places.resolve(href)
		if safe != safeURL {
			r.lose("ri:url", page.Dropped, "the address cannot be linked")
			return destination{"", href}
		}
		r.facts.href(u, "")
		return destination{u, href}
	case tagRISpace:
		key := n.attr("ri:space-key")
		return destination{r.places.space(key), key}
	case tagRIContentEntity:
		id := n.attr("ri:content-id")
		l := page.Link{PageID: id, PageURL: r.places.content(id)}
		r.facts.internal(l)
		return destination{l.PageURL, "page " + id}
	case tagRIShortcut:
		key, parameter := n.attr("ri:key"), n.attr("ri:parameter")
		if wholeIssueKey(parameter) {
			u := r.places.issue(parameter)
			r.facts.issue(parameter, u)
			return destination{u, parameter}
		}
		r.lose("ri:shortcut", page.Placeholder, "only the site knows where the shortcut leads")
		return destination{"", parameter + "@" + key}
	}
	return destination{}
}

// pageOf resolves ri:page and ri:blog-post.
func (r *renderer) pageOf(n *node) page.Link {
	space, title := n.attr("ri:space-key"), n.attr("ri:content-title")
	if n.tag == tagRIBlogPost {
		return page.Link{PageTitle: title, PageURL: r.places.blogPost(space, title, n.attr("ri:posting-day"))}
	}
	if title == "" && space == "" {
		title = r.places.facts.Title
	}
	return r.places.page(space, title)
}

// resource renders a resource identifier outside a link.
func (r *renderer) resource(n *node, st style) {
	d := r.destination(n)
	if d.url != "" {
		st.link = &link{url: d.url}
	}
	r.text(d.text, st)
}

// owner is the page that holds an attachment: its id, or its address if only its title is known.
// Both are empty for this page.
type owner struct{ id, url string }

func (r *renderer) owner(n *node) owner {
	for c := n.first; c != nil; c = c.next {
		switch c.tag {
		case tagRIPage, tagRIBlogPost:
			l := r.pageOf(c)
			if l.PageID != "" {
				return owner{id: l.PageID}
			}
			return owner{url: l.PageURL}
		case tagRIContentEntity:
			return owner{id: c.attr("ri:content-id")}
		}
	}
	return owner{}
}

// attached files an attachment and returns its address, or its page's address if the page's id is
// unknown.
func (r *renderer) attached(o owner, name, kind string) string {
	a := page.Asset{Title: name, Type: assetType(name, kind)}
	target := o.url
	if o.url == "" {
		a.DownloadURL = r.places.attachment(o.id, name)
		target = a.DownloadURL
	}
	r.facts.asset(a)
	return target
}

// fileLink renders a link to the attachment that n names.
func (r *renderer) fileLink(n *node, kind string, st style) {
	name := n.attr("ri:filename")
	st.link = &link{url: r.attached(r.owner(n), name, kind)}
	r.c.chip(name, st)
}

var imageTypes = map[string]bool{
	".png": true, ".jpg": true, ".jpeg": true, ".gif": true, ".svg": true, ".webp": true, ".bmp": true,
	".tif": true, ".tiff": true, ".heic": true, ".avif": true, ".ico": true,
}

func assetType(name, kind string) string {
	if kind == "file" && imageTypes[strings.ToLower(path.Ext(name))] {
		return "image"
	}
	return kind
}

// mention renders ri:user.
func (r *renderer) mention(n *node, st style) { r.mentionOr(n, nil, st) }

// mentionOr renders a user: the known name, else the link's text, else the id.
func (r *renderer) mentionOr(n, body *node, st style) {
	account := n.attr("ri:account-id")
	r.facts.mention(account)
	name := r.places.facts.Users[account]
	if name == "" && body != nil {
		name = strings.TrimPrefix(oneLine(textOf(body, 200)), "@")
	}
	for _, a := range []string{"ri:username", "ri:userkey"} {
		if name == "" && account == "" {
			name = n.attr(a)
		}
	}
	if name == "" {
		name = account
		r.lose("ri:user", page.Placeholder, "the display name is not known")
	}
	if name != "" {
		r.text("@"+name, st)
	}
}

func firstOf(n *node, tags ...tag) *node {
	for _, t := range tags {
		if c := n.child(t); c != nil {
			return c
		}
	}
	return nil
}

package sandbox

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

func (s *Site) v2Pages() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /wiki/api/v2/pages":          s.listContent(KindPage),
		"GET /wiki/api/v2/pages/{id}":     s.getContentOf(KindPage),
		"GET /wiki/api/v2/blogposts":      s.listContent(KindBlogPost),
		"GET /wiki/api/v2/blogposts/{id}": s.getContentOf(KindBlogPost),
	}
}

// query is a request for a list of pages or blog posts.
type query struct {
	kind     Kind
	limit    int
	field    string // of the order
	down     bool
	after    *place
	statuses []string
	title    string
	subtype  string
	format   string
	root     bool
}

// cursor is the position of a walk. It belongs to one order: a walk that changes its sort in the
// middle is rejected.
type cursor struct {
	Order string `json:"o"`
	Place place  `json:"p"`
}

// listStatuses are the allowed and the default statuses of a list. Blog posts cannot be archived.
var listStatuses = map[Kind]struct{ may, unasked []string }{
	KindPage:     {[]string{current, archived, "deleted", trashed}, []string{current, archived}},
	KindBlogPost: {[]string{current, "deleted", trashed}, []string{current}},
}

// readQuery reads the common parameters of the lists, or returns the reason for a 400 answer.
func readQuery(q url.Values, kind Kind) (query, error) {
	limit, err := limitOf(q, 25, 250)
	if err != nil {
		return query{}, err
	}
	out := query{kind: kind, limit: limit, statuses: csv(q, "status"), title: q.Get("title"), subtype: q.Get("subtype"), format: q.Get("body-format")}
	if len(out.statuses) == 0 {
		out.statuses = listStatuses[kind].unasked
	}
	for _, st := range out.statuses {
		if may := listStatuses[kind].may; !slices.Contains(may, st) {
			return query{}, refuse("Invalid status %q: expected one of %s", st, strings.Join(may, ", "))
		}
	}
	if !slices.Contains([]string{"", "storage", "atlas_doc_format"}, out.format) {
		return query{}, refuse("Invalid body-format %q: expected storage or atlas_doc_format", out.format)
	}
	order := cmpOr(q.Get("sort"), "id")
	out.field, out.down = strings.CutPrefix(order, "-")
	if !slices.Contains([]string{"id", "created-date", "modified-date", "title"}, out.field) {
		return query{}, refuse("Invalid sort %q", order)
	}
	switch depth := q.Get("depth"); depth {
	case "", "all":
	case "root":
		out.root = true
	default:
		return query{}, refuse("Invalid depth %q: expected all or root", depth)
	}
	if raw := q.Get("cursor"); raw != "" {
		var c cursor
		if err := decodeCursor(raw, &c); err != nil {
			return query{}, err
		}
		if c.Order != order {
			return query{}, refuse("The cursor belongs to sort %q, not %q", c.Order, order)
		}
		out.after = &c.Place
	}
	return out, nil
}

func (q query) order() string {
	if q.down {
		return "-" + q.field
	}
	return q.field
}

// page picks one page of a list from nodes in ascending order of the query's field.
func (s *Site) page(sorted []*node, q query, admit func(*node) bool) (rows []*node, next string) {
	at, step := 0, 1
	if q.down {
		at, step = len(sorted)-1, -1
	}
	if q.after != nil {
		i, found := slices.BinarySearchFunc(sorted, *q.after, func(n *node, p place) int { return n.placeBy(q.field).compare(p) })
		switch {
		case q.down:
			at = i - 1
		case found:
			at = i + 1
		default:
			at = i
		}
	}
	for ; at >= 0 && at < len(sorted); at += step {
		n := sorted[at]
		if !q.admits(n) || admit != nil && !admit(n) || !s.sees(n) {
			continue
		}
		if len(rows) == q.limit {
			return rows, encodeCursor(cursor{q.order(), rows[len(rows)-1].placeBy(q.field)})
		}
		rows = append(rows, n)
	}
	return rows, ""
}

func (q query) admits(n *node) bool {
	return slices.Contains(q.statuses, n.status) && (q.title == "" || q.title == n.rev.title) &&
		(!q.root || n.parent == nil) && (q.subtype == "" || q.subtype == cmpOr(n.subtype, "page"))
}

// listContent lists the pages, or the blog posts, of the site.
func (s *Site) listContent(kind Kind) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		params := r.URL.Query()
		q, err := readQuery(params, kind)
		var ids, spaces []int64
		if err == nil {
			ids, err = idsOf(params, "id", 250)
		}
		if err == nil {
			spaces, err = idsOf(params, "space-id", 100)
		}
		if err != nil {
			badRequest(w, err.Error())
			return
		}
		s.mu.RLock()
		sorted := s.shelfFor(spaces, q)
		admit := func(n *node) bool { return len(spaces) == 0 || slices.Contains(spaces, n.space.id) }
		if len(ids) > 0 {
			sorted = s.byIDs(ids, q)
		}
		rows, next := s.page(sorted, q, admit)
		out := s.pagesOut(rows)
		s.mu.RUnlock()
		s.respondContent(w, r, out, q, next)
	}
}

// respondContent writes a page of a list; blog posts have fewer fields than pages.
func (s *Site) respondContent(w http.ResponseWriter, r *http.Request, out []pageDTO, q query, next string) {
	s.fill(out, q.format)
	if q.kind == KindPage {
		s.respond(w, r, out, next)
		return
	}
	posts := make([]contentDTO, 0, len(out))
	for _, d := range out {
		posts = append(posts, d.contentDTO)
	}
	s.respond(w, r, posts, next)
}

// shelfFor returns the smallest ordered list with all possible results of the query.
func (s *Site) shelfFor(spaces []int64, q query) []*node {
	if len(spaces) != 1 {
		return s.shelfOf(q.kind).by(q.field)
	}
	sp := s.spaceByID(spaces[0])
	if sp == nil {
		return nil
	}
	return sp.shelfOf(q.kind).by(q.field)
}

// byIDs returns the content with these ids, each once, in ascending order of the query's field.
func (s *Site) byIDs(ids []int64, q query) []*node {
	slices.Sort(ids)
	var out []*node
	for _, id := range slices.Compact(ids) {
		if n := s.nodes[id]; n != nil && n.kind == q.kind {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(a, b *node) int { return a.placeBy(q.field).compare(b.placeBy(q.field)) })
	return out
}

// listSpaceContent lists the pages, or the blog posts, of one space.
func (s *Site) listSpaceContent(kind Kind) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q, err := readQuery(r.URL.Query(), kind)
		if err != nil {
			badRequest(w, err.Error())
			return
		}
		s.mu.RLock()
		sp := s.visibleSpace(r.PathValue("id"))
		if sp == nil {
			s.mu.RUnlock()
			notFound(w, fmt.Sprintf("Cannot find a space with id [%s]", r.PathValue("id")))
			return
		}
		sorted := sp.shelfOf(kind).by(q.field)
		if q.title != "" {
			sorted = titled(sp, sorted, q)
		}
		rows, next := s.page(sorted, q, nil)
		out := s.pagesOut(rows)
		s.mu.RUnlock()
		s.respondContent(w, r, out, q, next)
	}
}

// titled shortcuts a lookup by title: without it, the lookup would walk the whole space. Each title
// has one holder; only trashed pages share titles.
func titled(sp *space, sorted []*node, q query) []*node {
	if slices.Contains(q.statuses, trashed) {
		return sorted
	}
	if n := sp.titles[titleKey(q.kind, q.title)]; n != nil {
		return []*node{n}
	}
	return nil
}

// oneFormats are the body formats of a single page; formats without their own rendering are
// rendered as view.
var oneFormats = []string{"", "storage", "atlas_doc_format", "view", "export_view", "anonymous_export_view", "styled_view"}

// getContentOf answers with one page or one blog post. A draft is returned only if the call
// requests drafts.
func (s *Site) getContentOf(kind Kind) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, q := r.PathValue("id"), r.URL.Query()
		format := q.Get("body-format")
		version, err := strconv.Atoi(cmpOr(q.Get("version"), "0"))
		if err != nil || !slices.Contains(oneFormats, format) {
			badRequest(w, fmt.Sprintf("Invalid version %q or body-format %q", q.Get("version"), format))
			return
		}
		s.mu.RLock()
		n := s.visible(id)
		if n == nil || n.kind != kind || !shows(q, n.status) {
			s.mu.RUnlock()
			notFound(w, fmt.Sprintf("Cannot find a %s with id [%s]", kindName[kind], id))
			return
		}
		out := s.pageOut(n)
		out.Subtype = "" // lists have it, and it is not documented for a single page
		if version > 0 && version != n.rev.number {
			rev, ok := n.revisionAt(version)
			if !ok {
				s.mu.RUnlock()
				notFound(w, fmt.Sprintf("Cannot find version %d of the %s with id [%s]", version, kindName[kind], id))
				return
			}
			out.Status, out.Title, out.Version, out.source = "historical", rev.title, versionOut(rev), rev.body
		}
		s.include(&out, n, q)
		s.mu.RUnlock()
		out.Links["base"] = s.base(r)
		one := []pageDTO{out}
		s.fill(one, format)
		if kind == KindBlogPost {
			write(w, http.StatusOK, one[0].contentDTO)
			return
		}
		write(w, http.StatusOK, one[0])
	}
}

// kindName is the kind's name in a 404.
var kindName = map[Kind]string{KindPage: "page", KindBlogPost: "blog post"}

// shows reports whether a call for one piece of content includes content with the status.
func shows(q url.Values, status string) bool {
	if asked := csv(q, "status"); len(asked) > 0 {
		return slices.Contains(asked, status)
	}
	return status != draft || q.Get("get-draft") == "true"
}

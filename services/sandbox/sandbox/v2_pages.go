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
		"GET /wiki/api/v2/pages":          s.listPages,
		"GET /wiki/api/v2/pages/{id}":     s.getPage,
		"GET /wiki/api/v2/blogposts":      s.listBlogPosts,
		"GET /wiki/api/v2/blogposts/{id}": s.getPage,
	}
}

// query is a read of a page list.
type query struct {
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

// cursor is where a walk stands. It belongs to one order: a walk that changes its sort in
// the middle is refused.
type cursor struct {
	Order string `json:"o"`
	Place place  `json:"p"`
}

var listStatuses = []string{current, archived, "deleted", trashed}

// readQuery reads what the page lists have in common, or says why it is refused.
func readQuery(q url.Values) (query, error) {
	limit, err := limitOf(q, 25, 250)
	if err != nil {
		return query{}, err
	}
	out := query{limit: limit, statuses: csv(q, "status"), title: q.Get("title"), subtype: q.Get("subtype"), format: q.Get("body-format")}
	if len(out.statuses) == 0 {
		out.statuses = []string{current, archived}
	}
	for _, st := range out.statuses {
		if !slices.Contains(listStatuses, st) {
			return query{}, refuse("Invalid status %q: expected one of %s", st, strings.Join(listStatuses, ", "))
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
		(!q.root || n.parent == nil) && (q.subtype == "" || q.subtype == "page")
}

func (s *Site) listPages(w http.ResponseWriter, r *http.Request) {
	params := r.URL.Query()
	q, err := readQuery(params)
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
		sorted = s.byIDs(ids, q.field)
	}
	rows, next := s.page(sorted, q, admit)
	out := s.pagesOut(rows)
	s.mu.RUnlock()
	s.fill(out, q.format)
	s.respond(w, r, out, next)
}

// shelfFor returns the smallest ordered list that holds every page the query can return.
func (s *Site) shelfFor(spaces []int64, q query) []*node {
	if len(spaces) != 1 {
		return s.all.by(q.field)
	}
	sp := s.spaceByID(spaces[0])
	if sp == nil {
		return nil
	}
	return sp.shelf.by(q.field)
}

// byIDs returns the pages with these ids, each once, in ascending order of the field.
func (s *Site) byIDs(ids []int64, field string) []*node {
	slices.Sort(ids)
	var out []*node
	for _, id := range slices.Compact(ids) {
		if n := s.nodes[id]; n != nil && n.kind == KindPage {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(a, b *node) int { return a.placeBy(field).compare(b.placeBy(field)) })
	return out
}

func (s *Site) listSpacePages(w http.ResponseWriter, r *http.Request) {
	q, err := readQuery(r.URL.Query())
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
	sorted := sp.shelf.by(q.field)
	if q.title != "" {
		sorted = titled(sp, sorted, q)
	}
	rows, next := s.page(sorted, q, nil)
	out := s.pagesOut(rows)
	s.mu.RUnlock()
	s.fill(out, q.format)
	s.respond(w, r, out, next)
}

// titled spares a lookup by title the walk over the space: a title has one holder. Only
// trashed pages share titles.
func titled(sp *space, sorted []*node, q query) []*node {
	if slices.Contains(q.statuses, trashed) {
		return sorted
	}
	if n := sp.titles[titleKey(KindPage, q.title)]; n != nil {
		return []*node{n}
	}
	return nil
}

func (s *Site) listBlogPosts(w http.ResponseWriter, r *http.Request) {
	s.blogPosts(w, r, func(*space) bool { return true })
}

func (s *Site) listSpaceBlogPosts(w http.ResponseWriter, r *http.Request) {
	id := parseID(r.PathValue("id"))
	s.blogPosts(w, r, func(sp *space) bool { return sp.id == id })
}

func (s *Site) blogPosts(w http.ResponseWriter, r *http.Request, in func(*space) bool) {
	q, err := readQuery(r.URL.Query())
	if err != nil {
		badRequest(w, err.Error())
		return
	}
	s.mu.RLock()
	var posts []*node
	for _, sp := range s.spaces {
		for _, n := range sp.others {
			if n.kind == KindBlogPost && in(sp) {
				posts = append(posts, n)
			}
		}
	}
	slices.SortFunc(posts, func(a, b *node) int { return a.placeBy(q.field).compare(b.placeBy(q.field)) })
	rows, next := s.page(posts, q, nil)
	filled := s.pagesOut(rows)
	s.mu.RUnlock()
	s.fill(filled, q.format)
	out := make([]contentDTO, 0, len(filled))
	for _, d := range filled {
		out = append(out, d.contentDTO)
	}
	s.respond(w, r, out, next)
}

// oneFormats are the body formats of a single page; those without a rendering of their own
// are rendered as view.
var oneFormats = []string{"", "storage", "atlas_doc_format", "view", "export_view", "anonymous_export_view", "styled_view"}

func (s *Site) getPage(w http.ResponseWriter, r *http.Request) {
	id, q := r.PathValue("id"), r.URL.Query()
	format := q.Get("body-format")
	version, err := strconv.Atoi(cmpOr(q.Get("version"), "0"))
	if err != nil || !slices.Contains(oneFormats, format) {
		badRequest(w, fmt.Sprintf("Invalid version %q or body-format %q", q.Get("version"), format))
		return
	}
	want := KindPage
	if strings.Contains(r.URL.Path, "/blogposts/") {
		want = KindBlogPost
	}
	s.mu.RLock()
	n := s.visible(id)
	if n == nil || n.kind != want || q.Has("status") && !slices.Contains(csv(q, "status"), n.status) {
		s.mu.RUnlock()
		notFound(w, fmt.Sprintf("Cannot find a %s with id [%s]", cmpOr(strings.TrimSuffix(string(want), "post"), "page"), id))
		return
	}
	out := s.pageOut(n)
	if version > 0 && version != n.rev.number {
		rev, ok := n.revisionAt(version)
		if !ok {
			s.mu.RUnlock()
			notFound(w, fmt.Sprintf("Cannot find version %d of the page with id [%s]", version, id))
			return
		}
		out.Status, out.Title, out.Version, out.source = "historical", rev.title, versionOut(rev), rev.body
	}
	s.include(&out, n, q)
	s.mu.RUnlock()
	out.Links["base"] = s.base(r)
	one := []pageDTO{out}
	s.fill(one, format)
	if want == KindBlogPost {
		write(w, http.StatusOK, one[0].contentDTO)
		return
	}
	write(w, http.StatusOK, one[0])
}

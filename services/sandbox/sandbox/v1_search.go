package sandbox

import (
	"encoding/json"
	"errors"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// hit is a search result with its place in the search's order.
type hit struct {
	node   *node
	places []place
}

// walkKey identifies a constant result: same query, same content, same minute.
type walkKey struct {
	cql    string
	shut   bool // include archived spaces
	moment uint64
	minute int64
}

// walkCache keeps the latest results, so that a walk over a large result does not repeat the search
// for every page.
type walkCache struct {
	mu   sync.Mutex
	hits map[walkKey][]hit
}

func (w *walkCache) get(k walkKey) ([]hit, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	hits, ok := w.hits[k]
	return hits, ok
}

func (w *walkCache) put(k walkKey, hits []hit) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hits == nil || len(w.hits) >= 16 {
		w.hits = map[walkKey][]hit{}
	}
	w.hits[k] = hits
}

// searchCursor is the position of a walk. It belongs to its query.
type searchCursor struct {
	Query  uint64  `json:"q"`
	Places []place `json:"p"`
}

// search runs the query and returns the hits in its order, including archived spaces if shut is
// set. The caller holds the read lock.
func (s *Site) search(cql string, shut bool) ([]hit, statement, error) {
	st, err := parseCQL(cql)
	if err != nil {
		return nil, st, err
	}
	now := s.now()
	match, err := cqlScope{now: now, zone: s.opt.TimeZone, me: s.me}.compile(st.where)
	if err != nil {
		return nil, st, err
	}
	for _, o := range st.order {
		if !slices.Contains([]string{"id", "title", "created", "lastmodified", "space", "type"}, o.field) {
			return nil, st, refuse("The field '%s' cannot be ordered by", o.field)
		}
	}
	key := walkKey{cql, shut, s.moment, now.Unix() / 60}
	lag := s.opt.IndexLag
	if hits, ok := s.walks.get(key); ok && lag == 0 {
		return hits, st, nil
	}
	var hits []hit
	for _, n := range s.nodes {
		sh, known := n.shade(now), true
		if lag > 0 {
			sh, known = n.indexed(now.Add(-lag))
		}
		if !known || sh.status != current || sh.space.hidden || n.unindexed || sh.space.unindexed || sh.space.status == archived && !shut {
			continue
		}
		c := &candidate{node: n, shade: sh}
		if match(c) && s.sees(n) {
			hits = append(hits, hit{n, st.places(c)})
		}
	}
	for _, c := range s.commentsSeen(false, true) {
		n := c.indexedNode(now.Add(-lag))
		if n == nil || c.on.unindexed || n.space.unindexed || n.space.status == archived && !shut {
			continue
		}
		if x := (&candidate{node: n, shade: n.shade(now)}); match(x) {
			hits = append(hits, hit{n, st.places(x)})
		}
	}
	for _, a := range s.attachmentsSeen() {
		n := a.node()
		if a.created.After(now.Add(-lag)) || a.on.unindexed || n.space.unindexed || n.space.status == archived && !shut {
			continue
		}
		if a.changed.After(now.Add(-lag)) {
			n.rev.at = a.created
		}
		if x := (&candidate{node: n, shade: n.shade(now)}); match(x) {
			hits = append(hits, hit{n, st.places(x)})
		}
	}
	slices.SortFunc(hits, func(a, b hit) int { return st.compare(a.places, b.places) })
	if lag == 0 {
		s.walks.put(key, hits)
	}
	return hits, st, nil
}

// places are a hit's sort keys in the statement's orders, then the id.
func (st statement) places(c *candidate) []place {
	var out []place
	for _, o := range st.order {
		var p place
		switch o.field {
		case "id":
			p.Num = c.node.id
		case "title":
			p.Str = strings.ToLower(c.title)
		case "created":
			p.Num = c.node.created.UnixMilli()
		case "lastmodified":
			p.Num = c.indexedAt().UnixMilli()
		case "space":
			p.Str = c.space.key
		case "type":
			p.Str = string(c.node.kind)
		}
		out = append(out, p)
	}
	return append(out, place{ID: c.node.id})
}

func (st statement) compare(a, b []place) int {
	for i := range min(len(a), len(b)) {
		c := a[i].compare(b[i])
		if i < len(st.order) && st.order[i].down {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	return 0
}

// v1Limit is the effective limit: the site silently lowers the requested limit when rows are
// expanded.
func v1Limit(asked int, expand []string) int {
	most := 1000
	for _, e := range expand {
		e = strings.TrimPrefix(e, "content.")
		switch {
		case strings.HasPrefix(e, "body.export_view"), strings.HasPrefix(e, "body.styled_view"):
			most = min(most, 25)
		case strings.HasPrefix(e, "body"):
			most = min(most, 50)
		case e != "":
			most = min(most, 200)
		}
	}
	return min(asked, most)
}

// found is one page of a search.
type found struct {
	hits  []hit
	total int
	limit int
	next  string
}

// searchPage reads the request, searches, and picks the page. It returns the reason for a 400
// answer as a refusal. It ignores start, like the real site. The caller holds the read lock.
func (s *Site) searchPage(q url.Values, shut bool) (found, error) {
	asked, err := limitOf(q, 25, 10_000)
	if err != nil {
		return found{}, err
	}
	cql := q.Get("cql")
	hits, st, err := s.search(cql, shut)
	if err != nil {
		return found{}, err
	}
	out := found{total: len(hits), limit: v1Limit(asked, csv(q, "expand"))}
	if raw := q.Get("cursor"); raw != "" {
		var c searchCursor
		if err := decodeCursor(raw, &c); err != nil {
			return found{}, err
		}
		if c.Query != hash(cql) || len(c.Places) != len(st.order)+1 {
			return found{}, refuse("The cursor belongs to another query")
		}
		i, seen := slices.BinarySearchFunc(hits, c.Places, func(h hit, p []place) int { return st.compare(h.places, p) })
		if seen {
			i++
		}
		hits = hits[i:]
	}
	if len(hits) > out.limit {
		hits = hits[:out.limit]
		out.next = encodeCursor(searchCursor{hash(cql), hits[len(hits)-1].places})
	}
	out.hits = hits
	return out, nil
}

func searchError(w http.ResponseWriter, err error) {
	if errors.Is(err, errEmptyText) {
		v1Error(w, http.StatusInternalServerError, err.Error())
		return
	}
	v1Error(w, http.StatusBadRequest, "com.atlassian.confluence.api.service.exceptions.BadRequestException: "+err.Error())
}

// nextLink is the address of the next page: without /wiki, unlike v2's, and without the parameters
// in drop.
func nextLink(path string, q url.Values, f found, drop ...string) string {
	next := url.Values{}
	for k, v := range q {
		if k != "start" && !slices.Contains(drop, k) {
			next[k] = v
		}
	}
	next.Set("cursor", f.next)
	next.Set("limit", formatID(int64(f.limit)))
	next.Set("start", formatID(int64(f.limit)))
	return path + "?next=true&" + next.Encode()
}

func (s *Site) searchContent(w http.ResponseWriter, r *http.Request) {
	q, base := r.URL.Query(), s.base(r)
	expand := csv(q, "expand")
	s.mu.RLock()
	f, err := s.searchPage(q, false) // this route has no parameter for archived spaces
	rows := make([]v1Content, 0, len(f.hits))
	for _, h := range f.hits {
		rows = append(rows, s.v1Content(h.node, expand, base))
	}
	s.mu.RUnlock()
	if err != nil {
		searchError(w, err)
		return
	}
	links := map[string]string{"base": base, "context": "/wiki", "self": base + "/rest/api/content/search?" + r.URL.RawQuery}
	if f.next != "" {
		links["next"] = nextLink("/rest/api/content/search", q, f)
	}
	write(w, http.StatusOK, map[string]any{
		"results": s.v1Bodies(rows), "start": 0, "limit": f.limit, "size": len(rows), "_links": links,
	})
}

func (s *Site) searchAll(w http.ResponseWriter, r *http.Request) {
	q, base := r.URL.Query(), s.base(r)
	var expand []string
	for _, e := range csv(q, "expand") {
		if sub, ok := strings.CutPrefix(e, "content."); ok {
			expand = append(expand, sub)
		}
	}
	began := time.Now()
	s.mu.RLock()
	f, err := s.searchPage(q, q.Get("includeArchivedSpaces") == "true")
	contents := make([]v1Content, 0, len(f.hits))
	rows := make([]map[string]any, 0, len(f.hits))
	for _, h := range f.hits {
		contents = append(contents, s.v1Content(h.node, expand, base))
		rows = append(rows, s.searchRow(h.node))
	}
	s.mu.RUnlock()
	if err != nil {
		searchError(w, err)
		return
	}
	for i, c := range s.v1Bodies(contents) {
		rows[i]["content"] = c
	}
	links := map[string]string{"base": base, "context": "/wiki", "self": base + "/rest/api/search?" + r.URL.RawQuery}
	if f.next != "" {
		links["next"] = nextLink("/rest/api/search", q, f, "excerpt") // the real site drops it too
	}
	write(w, http.StatusOK, map[string]any{
		"results": rows, "start": 0, "limit": f.limit, "size": len(rows), "cqlQuery": q.Get("cql"),
		"totalSize":      f.total + f.total/64, // an estimate on the real site, so never exact here
		"searchDuration": time.Since(began).Milliseconds(), "_links": links,
	})
}

// searchRow is a row of /search without its content. Its title is meant for display: escaped, with
// the matches marked.
func (s *Site) searchRow(n *node) map[string]any {
	c := candidate{node: n, shade: n.shade(time.Time{})}
	excerpt := []rune(plainText(cut(n.rev.body.text(), 3_000)))
	return map[string]any{
		"title":                 html.EscapeString(n.rev.title),
		"excerpt":               string(excerpt[:min(len(excerpt), 240)]),
		"url":                   webPath(n),
		"resultGlobalContainer": map[string]string{"title": n.space.name, "displayUrl": "/spaces/" + n.space.alias},
		"breadcrumbs":           []any{},
		"entityType":            "content",
		"iconCssClass":          "aui-icon content-type-" + string(n.kind),
		"lastModified":          stamp(c.indexedAt()),
		"friendlyLastModified":  n.rev.at.Format("Jan 02, 2006"),
		"score":                 json.Number("0.0"),
	}
}

// cut shortens s to about n bytes, at the end of an element if possible.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	if i := strings.LastIndex(s[:n], "<"); i > 0 {
		return s[:i]
	}
	return s[:n]
}

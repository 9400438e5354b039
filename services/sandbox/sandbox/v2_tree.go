package sandbox

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// treeKinds are the kinds of content with their own routes in the tree, by the plural in those
// routes.
var treeKinds = map[string]Kind{
	"pages": KindPage, "folders": KindFolder, "whiteboards": KindWhiteboard, "databases": KindDatabase, "embeds": KindEmbed,
}

func (s *Site) v2Tree() map[string]http.HandlerFunc {
	routes := map[string]http.HandlerFunc{"GET /wiki/api/v2/pages/{id}/children": s.listChildPages}
	for plural, kind := range treeKinds {
		at := "GET /wiki/api/v2/" + plural + "/{id}"
		if kind != KindPage {
			routes[at] = s.getTreeContent(kind)
		}
		routes[at+"/ancestors"] = s.listAncestors(kind)
		routes[at+"/direct-children"] = s.listDirectChildren(kind)
		routes[at+"/descendants"] = s.listDescendants(kind)
	}
	return routes
}

// look runs f under the lock on the visible content of the kind with the request's id, or answers
// 404 and returns false.
func (s *Site) look(w http.ResponseWriter, r *http.Request, kind Kind, f func(n *node)) bool {
	id := r.PathValue("id")
	s.mu.RLock()
	n := s.visible(id)
	found := n != nil && n.kind == kind
	if found {
		f(n)
	}
	s.mu.RUnlock()
	switch {
	case found:
	case kindName[kind] != "":
		notFound(w, fmt.Sprintf("Cannot find a %s with id [%s]", kindName[kind], id))
	default:
		notFound(w, fmt.Sprintf("Content with id: [%s] not found", id))
	}
	return found
}

func (s *Site) getTreeContent(kind Kind) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var out map[string]any
		found := s.look(w, r, kind, func(n *node) {
			d := s.pageOut(n)
			out = map[string]any{
				"id": d.ID, "type": n.kind, "status": d.Status, "title": d.Title, "parentId": d.ParentID, "parentType": d.ParentType,
				"position": n.position, "authorId": d.AuthorID, "ownerId": d.OwnerID, "createdAt": d.CreatedAt, "spaceId": d.SpaceID,
				"version": d.Version, "_links": map[string]string{"webui": d.Links["webui"], "base": s.base(r)},
			}
			if r.URL.Query().Get("include-direct-children") == "true" {
				out["directChildren"] = capped(s.childrenOut(n, nil), r.URL.Path+"/direct-children")
			}
		})
		if found {
			write(w, http.StatusOK, out)
		}
	}
}

// listAncestors answers with the nearest ancestors from the top down, up to the limit. There is no
// cursor: callers request more with the first one's id.
func (s *Site) listAncestors(kind Kind) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		limit, err := limitOf(r.URL.Query(), 25, 250)
		if err != nil {
			badRequest(w, err.Error())
			return
		}
		out := []map[string]string{}
		found := s.look(w, r, kind, func(n *node) {
			for p := range n.above {
				if len(out) == limit {
					break
				}
				out = append(out, map[string]string{"id": formatID(p.id), "type": string(p.kind)})
			}
		})
		if found {
			slices.Reverse(out)
			s.respond(w, r, out, "")
		}
	}
}

type childDTO struct {
	ID       string `json:"id"`
	Status   string `json:"status"`
	Title    string `json:"title"`
	Type     Kind   `json:"type,omitempty"`
	SpaceID  string `json:"spaceId,omitempty"`
	ParentID string `json:"parentId,omitempty"`
	Depth    int    `json:"depth,omitempty"`
	Position int    `json:"childPosition"`

	node *node
}

func (s *Site) childrenOut(n *node, admit func(*node) bool) []childDTO {
	var out []childDTO
	for _, c := range n.children {
		if s.sees(c) && c.status != draft && (admit == nil || admit(c)) {
			out = append(out, childDTO{
				ID: formatID(c.id), Status: c.status, Title: c.rev.title, Type: c.kind,
				SpaceID: formatID(c.space.id), Position: c.position, node: c,
			})
		}
	}
	return out
}

func (s *Site) listDirectChildren(kind Kind) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { s.children(w, r, kind, nil) }
}

// listChildPages is the deprecated route: it silently leaves out folders and all content in them.
func (s *Site) listChildPages(w http.ResponseWriter, r *http.Request) {
	s.children(w, r, KindPage, func(n *node) bool { return n.kind == KindPage })
}

func (s *Site) children(w http.ResponseWriter, r *http.Request, kind Kind, admit func(*node) bool) {
	q := r.URL.Query()
	from, limit, err := offsetOf(q)
	order := cmpOr(q.Get("sort"), "child-position")
	field, down := strings.CutPrefix(order, "-")
	if err == nil && !slices.Contains([]string{"child-position", "id", "created-date", "modified-date", "title"}, field) {
		err = refuse("Invalid sort %q", order)
	}
	if err != nil {
		badRequest(w, err.Error())
		return
	}
	var rows []childDTO
	found := s.look(w, r, kind, func(n *node) {
		rows = s.childrenOut(n, admit)
		sortChildren(rows, field, down)
	})
	if !found {
		return
	}
	if admit != nil {
		for i := range rows {
			rows[i].Type = ""
		}
	}
	respondFrom(s, w, r, rows, from, limit)
}

func sortChildren(rows []childDTO, field string, down bool) {
	slices.SortStableFunc(rows, func(a, b childDTO) int {
		c := a.node.placeBy(field).compare(b.node.placeBy(field))
		if field == "child-position" {
			c = cmp.Compare(a.Position, b.Position)
		}
		if down {
			return -c
		}
		return c
	})
}

func (s *Site) listDescendants(kind Kind) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		from, limit, err := offsetOf(q)
		depth, derr := strconv.Atoi(cmpOr(q.Get("depth"), "2"))
		if err == nil && (derr != nil || depth < 1 || depth > 10) {
			err = refuse("Invalid depth %q: it must be between 1 and 10", q.Get("depth"))
		}
		if err != nil {
			badRequest(w, err.Error())
			return
		}
		var rows []childDTO
		if s.look(w, r, kind, func(n *node) { rows = s.descendants(n, depth) }) {
			respondFrom(s, w, r, rows, from, limit)
		}
	}
}

// descendants lists the content at most depth levels below n, level by level.
func (s *Site) descendants(n *node, depth int) []childDTO {
	var out []childDTO
	level := []*node{n}
	for d := 1; d <= depth && len(level) > 0; d++ {
		var below []*node
		for _, p := range level {
			for _, c := range s.childrenOut(p, nil) {
				below = append(below, c.node)
				c.ParentID, c.Depth, c.SpaceID = formatID(p.id), d, ""
				out = append(out, c)
			}
		}
		level = below
	}
	return out
}

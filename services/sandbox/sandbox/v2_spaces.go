package sandbox

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

func (s *Site) v2Spaces() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /wiki/api/v2/spaces":                s.listSpaces,
		"GET /wiki/api/v2/spaces/{id}":           s.getSpace,
		"GET /wiki/api/v2/spaces/{id}/pages":     s.listSpaceContent(KindPage),
		"GET /wiki/api/v2/spaces/{id}/blogposts": s.listSpaceContent(KindBlogPost),
	}
}

type spaceDTO struct {
	ID          string         `json:"id"`
	Key         string         `json:"key"`
	Alias       string         `json:"currentActiveAlias,omitempty"` // of lists only
	Name        string         `json:"name"`
	Type        string         `json:"type"`
	Status      string         `json:"status"`
	AuthorID    string         `json:"authorId"`
	CreatedAt   stamp          `json:"createdAt"`
	HomepageID  *string        `json:"homepageId"`
	Description *string        `json:"description"`
	Icon        *string        `json:"icon"`
	OwnerID     string         `json:"spaceOwnerId"` // sent by the real site, undocumented
	Links       map[string]any `json:"_links"`
}

func spaceOut(sp *space) spaceDTO {
	d := spaceDTO{
		ID: formatID(sp.id), Key: sp.key, Alias: sp.alias, Name: sp.name, Type: sp.kind, Status: sp.status,
		AuthorID: sp.author, CreatedAt: stamp(sp.created), OwnerID: sp.author,
		Links: map[string]any{"webui": "/spaces/" + url.PathEscape(sp.alias)},
	}
	if sp.home != nil {
		id := formatID(sp.home.id)
		d.HomepageID = &id
	}
	return d
}

func (s *Site) listSpaces(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit, err := limitOf(q, 25, 250)
	var ids []int64
	if err == nil {
		ids, err = idsOf(q, "ids", 250)
	}
	order := cmpOr(q.Get("sort"), "id")
	if err == nil && !slices.Contains([]string{"id", "key", "name"}, strings.TrimPrefix(order, "-")) {
		err = refuse("Invalid sort %q", order)
	}
	keys := csv(q, "keys")
	if err == nil && len(keys) > 250 {
		err = refuse("The number of keys must not exceed 250")
	}
	var from int
	if c := q.Get("cursor"); c != "" && err == nil {
		err = decodeCursor(c, &from)
	}
	if err != nil {
		badRequest(w, err.Error())
		return
	}
	s.mu.RLock()
	var found []spaceDTO
	for _, sp := range s.spaces {
		if sp.hidden || len(ids) > 0 && !slices.Contains(ids, sp.id) || len(keys) > 0 && !sp.goesBy(keys...) ||
			q.Has("type") && q.Get("type") != sp.kind || q.Has("status") && q.Get("status") != sp.status {
			continue
		}
		found = append(found, spaceOut(sp))
	}
	s.mu.RUnlock()
	sortSpaces(found, order)
	found = found[min(max(from, 0), len(found)):]
	next := ""
	if len(found) > limit {
		found, next = found[:limit], encodeCursor(from+limit)
	}
	s.respond(w, r, emptyNotNull(found), next)
}

func sortSpaces(found []spaceDTO, order string) {
	field, down := strings.CutPrefix(order, "-")
	slices.SortStableFunc(found, func(a, b spaceDTO) int {
		c := cmp.Compare(parseID(a.ID), parseID(b.ID))
		switch field {
		case "key":
			c = cmp.Or(cmp.Compare(a.Key, b.Key), c)
		case "name":
			c = cmp.Or(cmp.Compare(a.Name, b.Name), c)
		}
		if down {
			return -c
		}
		return c
	})
}

func (s *Site) getSpace(w http.ResponseWriter, r *http.Request) {
	s.mu.RLock()
	sp := s.visibleSpace(r.PathValue("id"))
	var out spaceDTO
	if sp != nil {
		out = spaceOut(sp)
	}
	s.mu.RUnlock()
	if sp == nil {
		notFound(w, fmt.Sprintf("Cannot find a space with id [%s]", r.PathValue("id")))
		return
	}
	out.Alias, out.Links["base"] = "", s.base(r)
	write(w, http.StatusOK, out)
}

// visibleSpace returns the space with the id, or nil. A key is not an id.
func (s *Site) visibleSpace(id string) *space {
	sp := s.spaceByID(parseID(id))
	if sp == nil || sp.hidden {
		return nil
	}
	return sp
}

func containsFold(all []string, s string) bool {
	return slices.ContainsFunc(all, func(a string) bool { return strings.EqualFold(a, s) })
}

// emptyNotNull returns an empty list instead of nil, which JSON would show as null.
func emptyNotNull[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

package sandbox

import (
	"net/http"
	"strings"
)

// restrictionRows is the maximum number of people, and of groups, in one answer.
const restrictionRows = 100

// restrictions answers with the content's own restrictions only: callers read inherited ones from its
// ancestors.
func (s *Site) restrictions(w http.ResponseWriter, r *http.Request) {
	id, op := r.PathValue("id"), r.PathValue("op")
	base, q := s.base(r), r.URL.Query()
	limit, err := limitOf(q, restrictionRows, restrictionRows)
	var from int
	if err == nil {
		from, _, err = v1Range(q, restrictionRows)
	}
	if err != nil {
		v1BadRequest(w, err)
		return
	}
	s.mu.RLock()
	n := s.visible(id)
	var both map[string]any
	if n != nil {
		both = map[string]any{"read": s.restrictionOut(n, "read", base, from, limit), "update": s.restrictionOut(n, "update", base, from, limit)}
	}
	s.mu.RUnlock()
	if n == nil {
		noContent(w, id)
		return
	}
	if op != "" {
		if both[op] == nil {
			v1BadRequest(w, refuse("unknown operation %s", op))
			return
		}
		write(w, http.StatusOK, both[op])
		return
	}
	both["_links"] = map[string]string{"base": base, "context": "/wiki", "self": base + "/rest/api/content/" + id + "/restriction/byOperation"}
	write(w, http.StatusOK, both)
}

// restrictionOut is the restriction of one operation in v1's format, from a row on. Only viewing can be
// restricted here.
func (s *Site) restrictionOut(n *node, op, base string, from, limit int) map[string]any {
	var read audience
	if n.read != nil && op == "read" {
		read = *n.read
	}
	rows := func(all []any) map[string]any {
		all, _ = rowsFrom(all, from, limit)
		return map[string]any{"results": all, "start": from, "limit": limit, "size": len(all)}
	}
	users, groups := []any{}, []any{}
	for _, u := range read.users {
		users = append(users, s.v1User(u, base))
	}
	for _, g := range read.groups {
		groups = append(groups, s.groupOut(g, base))
	}
	path := "/rest/api/content/" + formatID(n.id)
	return map[string]any{
		"operation":    op,
		"restrictions": map[string]any{"user": rows(users), "group": rows(groups)},
		"_expandable":  map[string]string{"content": path},
		"_links":       map[string]string{"self": base + path + "/restriction/byOperation/" + op},
	}
}

// expandedRestrictions is the key restrictions of v1 content. Only lists that expand names have rows.
func (s *Site) expandedRestrictions(n *node, expand []string, base string) map[string]any {
	out, expandable := map[string]any{}, map[string]string{"read": "", "update": ""}
	path := "/rest/api/content/" + formatID(n.id) + "/restriction/byOperation"
	for _, e := range expand {
		parts := strings.Split(e, ".")
		if parts[0] != "restrictions" || len(parts) < 2 || parts[1] != "read" && parts[1] != "update" {
			continue
		}
		op := parts[1]
		delete(expandable, op)
		one, ok := out[op].(map[string]any)
		if !ok {
			one = s.restrictionOut(n, op, base, 0, restrictionRows)
			all := one["restrictions"].(map[string]any) //nolint:forcetypeassert // made by restrictionOut
			one["restrictions"] = map[string]any{"_expandable": map[string]string{"user": "", "group": ""}}
			one["_all"] = all
			out[op] = one
		}
		if len(parts) == 4 && parts[2] == "restrictions" {
			lists := one["restrictions"].(map[string]any) //nolint:forcetypeassert // set above
			lists[parts[3]] = one["_all"].(map[string]any)[parts[3]]
		}
	}
	for _, one := range out {
		delete(one.(map[string]any), "_all") //nolint:forcetypeassert // set above
	}
	out["_expandable"] = expandable
	out["_links"] = map[string]string{"self": base + path}
	return out
}

package sandbox

import (
	"fmt"
	"net/http"
)

func (s *Site) v1Routes() map[string]http.HandlerFunc {
	const api = "/wiki/rest/api"
	routes := map[string]http.HandlerFunc{
		"GET " + api + "/user/current":                              s.currentUser,
		"GET " + api + "/content/{id}/restriction/byOperation":      s.restrictions,
		"GET " + api + "/content/{id}/restriction/byOperation/{op}": s.restrictions,
	}
	// What the real site removed. Where V1Gone is not set, those of them that Basic
	// credentials still reach are answered.
	for _, path := range []string{
		"/content", "/content/{id}/child", "/content/{id}/child/{type}", "/content/{id}/label", "/content/{id}/history",
		"/content/{id}/property", "/content/{id}/version", "/space", "/space/{key}/content", "/space/{key}/content/{type}",
	} {
		routes["GET "+api+path] = gone
	}
	return routes
}

// gone is how a removed route answers: the caller is in order, the route is not.
func gone(w http.ResponseWriter, _ *http.Request) {
	v1Error(w, http.StatusGone, "com.atlassian.confluence.api.service.exceptions.pagesmodes.GoneException: This deprecated endpoint has been removed.")
}

func (s *Site) currentUser(w http.ResponseWriter, r *http.Request) {
	s.mu.RLock()
	out := s.v1User(s.me, s.base(r))
	s.mu.RUnlock()
	write(w, http.StatusOK, out)
}

// v1User is the user with the account id in v1's words.
func (s *Site) v1User(id, base string) map[string]any {
	u, known := s.users[id]
	if !known {
		u = User{AccountID: id, DisplayName: "Unknown user"}
	}
	out := userOut(u)
	delete(out, "personalSpaceId")
	out["type"] = "known"
	out["profilePicture"] = map[string]any{"path": "/wiki/aa-avatar/" + id, "width": 48, "height": 48, "isDefault": true}
	out["isGuest"] = false
	out["locale"] = "en_GB"
	out["_expandable"] = map[string]string{"operations": "", "personalSpace": ""}
	out["_links"] = map[string]string{"self": base + "/rest/api/user?accountId=" + id, "base": base, "context": "/wiki"}
	return out
}

// restrictions answers with the page's own restrictions only: what it inherits is asked of
// its ancestors.
func (s *Site) restrictions(w http.ResponseWriter, r *http.Request) {
	id, op := r.PathValue("id"), r.PathValue("op")
	base := s.base(r)
	s.mu.RLock()
	n := s.visible(id)
	var read audience
	if n != nil && n.read != nil {
		read = *n.read
	}
	users := []any{}
	for _, u := range read.users {
		users = append(users, s.v1User(u, base))
	}
	s.mu.RUnlock()
	groups := []any{}
	for _, g := range read.groups {
		groups = append(groups, map[string]any{"type": "group", "name": g, "id": fmt.Sprintf("%016x", hash(g))})
	}
	if n == nil {
		v1Error(w, http.StatusNotFound, fmt.Sprintf("com.atlassian.confluence.api.service.exceptions.NotFoundException: No content with id <ContentId{id=%s}> can be found", id))
		return
	}
	one := func(name string, users, groups []any) map[string]any {
		return map[string]any{
			"operation": name,
			"restrictions": map[string]any{
				"user":  map[string]any{"results": users, "start": 0, "limit": 200, "size": len(users)},
				"group": map[string]any{"results": groups, "start": 0, "limit": 200, "size": len(groups)},
			},
			"_expandable": map[string]string{"content": "/rest/api/content/" + id},
			"_links":      map[string]string{"self": base + "/rest/api/content/" + id + "/restriction/byOperation/" + name},
		}
	}
	both := map[string]any{"read": one("read", users, groups), "update": one("update", []any{}, []any{})}
	if op != "" {
		if both[op] == nil {
			v1Error(w, http.StatusBadRequest, "com.atlassian.confluence.api.service.exceptions.BadRequestException: unknown operation "+op)
			return
		}
		write(w, http.StatusOK, both[op])
		return
	}
	both["_links"] = map[string]string{"base": base, "context": "/wiki", "self": base + "/rest/api/content/" + id + "/restriction/byOperation"}
	write(w, http.StatusOK, both)
}

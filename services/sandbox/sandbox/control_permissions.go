package sandbox

import (
	"maps"
	"net/http"
	"slices"
)

// permissionRoutes are the control routes of people, groups and the readers of spaces.
func (s *Site) permissionRoutes() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"POST /_sandbox/users":                settled(s, func(_ *http.Request, u User) error { s.AddUser(u); return nil }),
		"POST /_sandbox/groups":               settled(s, func(_ *http.Request, g Group) error { return s.SetGroup(g) }),
		"POST /_sandbox/groups/{name}/delete": settled(s, func(r *http.Request, _ struct{}) error { return s.DeleteGroup(r.PathValue("name")) }),
		"POST /_sandbox/role-mode": settled(s, func(_ *http.Request, in struct {
			Mode RoleMode `json:"mode"`
		}) error {
			return s.SetRoleMode(in.Mode)
		}),
		"POST /_sandbox/spaces/{key}/readers": settled(s, func(r *http.Request, in struct {
			Readers []Reader `json:"readers"`
		}) error {
			return s.SetSpaceReaders(r.PathValue("key"), in.Readers...)
		}),
		"GET /_sandbox/groups": func(w http.ResponseWriter, _ *http.Request) { write(w, http.StatusOK, s.people()) },
	}
}

// settled runs a change and answers with the site's people and groups.
func settled[In any](s *Site, change func(r *http.Request, in In) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in In
		if r.ContentLength != 0 && !readBody(w, r, &in) {
			return
		}
		if err := change(r, in); err != nil {
			controlError(w, err)
			return
		}
		write(w, http.StatusOK, s.people())
	}
}

// people are the site's groups, its people and its mode.
func (s *Site) people() map[string]any {
	s.mu.RLock()
	defer s.mu.RUnlock()
	users := []User{}
	for _, id := range slices.Sorted(maps.Keys(s.users)) {
		users = append(users, s.users[id])
	}
	groups := []Group{}
	for _, g := range s.sortedGroups() {
		groups = append(groups, *g)
	}
	return map[string]any{"role_mode": s.roleMode, "api_user": s.me, "groups": groups, "users": users}
}

package sandbox

import (
	"fmt"
	"net/http"
	"strings"
)

func (s *Site) v2Permissions() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /wiki/api/v2/spaces/{id}/permissions":      s.spacePermissions,
		"GET /wiki/api/v2/spaces/{id}/role-assignments": s.roleAssignments,
		"GET /wiki/api/v2/space-roles":                  s.spaceRoles,
		"GET /wiki/api/v2/space-role-mode": func(w http.ResponseWriter, _ *http.Request) {
			s.mu.RLock()
			mode := s.roleMode
			s.mu.RUnlock()
			write(w, http.StatusOK, map[string]any{"mode": mode})
		},
	}
}

// The roles of the site. Not every role lets its holders read the space.
const (
	roleViewer = "c7a5fd94-0d31-4b4b-8b0c-0c1c5a0a0001"
	roleOther  = "c7a5fd94-0d31-4b4b-8b0c-0c1c5a0a0002"
)

func (s *Site) spaceRoles(w http.ResponseWriter, r *http.Request) {
	s.v2Part(w, r, []any{
		map[string]any{
			"id": roleViewer, "type": "SYSTEM", "name": "Viewer", "description": "Can view content.",
			"spacePermissions": []string{"read/space", "create/comment"},
		},
		map[string]any{
			"id": roleOther, "type": "CUSTOM", "name": "Archivist", "description": "Can archive content that others show.",
			"spacePermissions": []string{"archive/page"},
		},
	})
}

// readersOf returns the readers of the requested space for which keep is true. It answers 404 if the
// space is hidden.
func (s *Site) readersOf(w http.ResponseWriter, r *http.Request, keep func(RoleMode, Reader) bool) ([]Reader, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	sp := s.visibleSpace(r.PathValue("id"))
	if sp == nil {
		notFound(w, fmt.Sprintf("Cannot find a space with id [%s]", r.PathValue("id")))
		return nil, false
	}
	var out []Reader
	for _, reader := range sp.readers {
		if !keep(s.roleMode, reader) {
			continue
		}
		if (s.roleMode == PreRoles || s.roleMode == RolesTransition && !reader.Role) && (reader.Kind == ReaderAll || reader.Kind == ReaderAdmins) {
			// Without roles, there are only people and groups: everyone is the groups that give access.
			for _, g := range s.sortedGroups() {
				if g.Access != "" && (reader.Kind == ReaderAll || g.Access != "user") {
					out = append(out, Reader{Kind: ReaderGroup, ID: g.ID, NoRead: reader.NoRead})
				}
			}
			continue
		}
		out = append(out, reader)
	}
	return out, true
}

func (s *Site) spacePermissions(w http.ResponseWriter, r *http.Request) {
	readers, ok := s.readersOf(w, r, func(m RoleMode, reader Reader) bool { return m != RolesTransition || !reader.Role })
	if !ok {
		return
	}
	rows := []any{}
	for i, reader := range readers {
		// In its data, the real site has access classes, which its document does not have.
		kind, id := reader.Kind, reader.ID
		if kind != ReaderUser && kind != ReaderGroup && id == "" {
			kind, id = "access-class", strings.ToUpper(strings.ReplaceAll(kind, "-", "_"))
		}
		operations := [][2]string{{"create", "comment"}, {"read", "space"}, {"create", "page"}}
		if reader.NoRead {
			operations = [][2]string{{"create", "page"}, {"read", "page"}} // that to read the space is another
		}
		for j, o := range operations {
			rows = append(rows, map[string]any{
				"id": formatID(int64(1000*i + j + 1)), "principal": map[string]string{"type": kind, "id": id},
				"operation": map[string]string{"key": o[0], "targetType": o[1]},
			})
		}
	}
	s.v2Part(w, r, rows)
}

func (s *Site) roleAssignments(w http.ResponseWriter, r *http.Request) {
	readers, ok := s.readersOf(w, r, func(m RoleMode, reader Reader) bool { return m == Roles || m == RolesTransition && reader.Role })
	if !ok {
		return
	}
	rows := []any{}
	for _, reader := range readers {
		kind, id, role := strings.ToUpper(reader.Kind), reader.ID, roleViewer
		if reader.Kind != ReaderUser && reader.Kind != ReaderGroup && id == "" {
			kind, id = "ACCESS_CLASS", reader.Kind
		}
		if reader.NoRead {
			role = roleOther
		}
		rows = append(rows, map[string]any{"principal": map[string]string{"principalType": kind, "principalId": id}, "roleId": role})
	}
	s.v2Part(w, r, rows)
}

// v2Part answers with one page of rows.
func (s *Site) v2Part(w http.ResponseWriter, r *http.Request, rows []any) {
	from, limit, err := offsetOf(r.URL.Query())
	if err != nil {
		badRequest(w, err.Error())
		return
	}
	respondFrom(s, w, r, rows, from, limit)
}

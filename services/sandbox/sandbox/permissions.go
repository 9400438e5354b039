package sandbox

import (
	"fmt"
	"net/http"
	"slices"
)

// accessTypes are what groups may do with Confluence.
var accessTypes = []string{"user", "admin", "site-admin"}

// RoleMode says how a site gives permissions to spaces.
type RoleMode string

// The modes. During the transition, a space's readers may come by either way.
const (
	PreRoles        RoleMode = "PRE_ROLES"
	RolesTransition RoleMode = "ROLES_TRANSITION"
	Roles           RoleMode = "ROLES"
)

// The kinds of readers of a space. All others that a test invents admit nobody.
const (
	ReaderUser   = "user"
	ReaderGroup  = "group"
	ReaderAll    = "all-licensed-users" // everyone who may use the site
	ReaderAdmins = "all-product-admins" // the members of the groups with the access admin
)

// Reader is someone who has a permission in a space.
type Reader struct {
	Kind string `json:"kind"`
	ID   string `json:"id,omitempty"` // an account id, or the name of a group
	// NoRead: the permission is another one than that to read the space.
	NoRead bool `json:"no_read,omitempty"`
	// Role: in transition, the permission comes from a role.
	Role bool `json:"role,omitempty"`
}

// SetRoleMode sets how the site gives permissions to spaces.
func (s *Site) SetRoleMode(m RoleMode) error {
	if !slices.Contains([]RoleMode{PreRoles, RolesTransition, Roles}, m) {
		return fmt.Errorf("set role mode: %w: %q", ErrInvalid, m)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roleMode = m
	s.moment++
	return nil
}

// SetSpaceReaders replaces those who have a permission in the space. A new space has everyone.
func (s *Site) SetSpaceReaders(key string, readers ...Reader) error {
	return s.changeOf("set the readers of", key, func(sp *space) error {
		sp.readers = nil
		for _, r := range readers {
			if r.Kind == "" {
				return fmt.Errorf("%w: a reader without a kind", ErrInvalid)
			}
			if r.Kind == ReaderGroup {
				r.ID = s.namedGroups([]string{r.ID})[0]
			}
			sp.readers = append(sp.readers, r)
		}
		return nil
	})
}

// mayUse reports whether the account may use the site: it is active and in a group that gives access.
func (s *Site) mayUse(account string) bool {
	u, known := s.users[account]
	return known && !u.Inactive && s.hasAccess(account, accessTypes...)
}

func (s *Site) hasAccess(account string, types ...string) bool {
	return slices.ContainsFunc(s.groupsOf(account), func(id string) bool { return slices.Contains(types, s.groups[id].Access) })
}

// mayRead reports whether the account, which may use the site, has the permission to read the space.
func (s *Site) mayRead(account string, sp *space) bool {
	return slices.ContainsFunc(sp.readers, func(r Reader) bool {
		switch {
		case r.NoRead:
			return false
		case r.Kind == ReaderUser:
			return r.ID == account
		case r.Kind == ReaderGroup:
			return slices.Contains(s.groupsOf(account), r.ID)
		case r.Kind == ReaderAdmins:
			return s.hasAccess(account, "admin", "site-admin")
		default:
			return r.Kind == ReaderAll
		}
	})
}

// refusalOf is why the account may not view the content, in the words of the site; "" if it may.
func (s *Site) refusalOf(account string, n *node) string {
	switch {
	case !s.mayUse(account):
		return "User is not allowed to use Confluence"
	case !s.mayRead(account, n.space):
		return "User does not have permission to the space"
	}
	groups := s.groupsOf(account)
	for at := n; at != nil; at = at.parent {
		if at.read != nil && !at.read.admits(account, groups) {
			return "User does not have permission to the content"
		}
	}
	return ""
}

// refusalOfGroup is refusalOf for the members of a group.
func (s *Site) refusalOfGroup(id string, n *node) string {
	g := s.groups[id]
	reads := func(r Reader) bool {
		return !r.NoRead && g != nil && g.Access != "" && (r.Kind == ReaderGroup && r.ID == id || r.Kind == ReaderAll || r.Kind == ReaderAdmins && g.Access != "user")
	}
	if !slices.ContainsFunc(n.space.readers, reads) {
		return "Group does not have permission to the space"
	}
	for at := n; at != nil; at = at.parent {
		if at.read != nil && !slices.Contains(at.read.groups, id) {
			return "Group does not have permission to the content"
		}
	}
	return ""
}

// MayView reports whether the account may view the content with the id, as the route permission/check
// does: whether it may use the site, read the space, and whether the view restrictions of the content
// and of all its ancestors let it in.
func (s *Site) MayView(account, id string) (bool, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n, err := s.must(id)
	if err != nil {
		return false, err
	}
	return s.refusalOf(account, n) == "", nil
}

// checkPermission answers for the caller, and for others if the caller administers the site.
func (s *Site) checkPermission(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Subject struct {
			Type       string `json:"type"`
			Identifier string `json:"identifier"`
		} `json:"subject"`
		Operation string `json:"operation"`
	}
	if !readBody(w, r, &in) {
		return
	}
	who := in.Subject.Identifier
	if who == "" || in.Subject.Type != "user" && in.Subject.Type != "group" || !slices.Contains([]string{"read", "update", "delete"}, in.Operation) {
		v1BadRequest(w, refuse("the subject or the operation is invalid"))
		return
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	n := s.visible(r.PathValue("id"))
	switch {
	case who != s.me && !s.hasAccess(s.me, "admin", "site-admin"):
		v1Error(w, http.StatusForbidden, "com.atlassian.confluence.api.service.exceptions.PermissionException: Only an administrator may check the permissions of others")
		return
	case n == nil:
		noContent(w, r.PathValue("id"))
		return
	}
	refusal := ""
	switch {
	case in.Subject.Type == "group":
		refusal = s.refusalOfGroup(who, n)
	case who == "anonymous":
		refusal = "Anonymous users are not allowed to use Confluence"
	default:
		refusal = s.refusalOf(who, n)
	}
	errs := []any{}
	if refusal != "" {
		errs = append(errs, map[string]any{"translation": refusal, "args": []any{}})
	}
	write(w, http.StatusOK, map[string]any{
		"hasPermission": refusal == "", "errors": errs,
		"_links": map[string]string{"base": s.base(r), "context": "/wiki", "self": s.base(r) + "/rest/api/content/" + formatID(n.id) + "/permission/check"},
	})
}

func noContent(w http.ResponseWriter, id string) {
	v1Error(w, http.StatusNotFound, fmt.Sprintf("com.atlassian.confluence.api.service.exceptions.NotFoundException: No content with id <ContentId{id=%s}> can be found", id))
}

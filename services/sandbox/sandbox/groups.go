package sandbox

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// Group is a group of people of the site.
type Group struct {
	ID      string   `json:"id,omitempty"` // assigned by the site
	Name    string   `json:"name"`
	Members []string `json:"members"` // account ids
	// Access is what its members may do with Confluence: "user" to use it, "admin" and "site-admin" to
	// administer it too, "" nothing.
	Access string `json:"access,omitempty"`
}

// UsersGroup is the group of all people who may use the site. AddUser adds people to it.
const UsersGroup = "confluence-users"

// SetGroup creates the group, or replaces its members and its access.
func (s *Site) SetGroup(g Group) error {
	if g.Name == "" {
		return fmt.Errorf("set a group: %w: the name is empty", ErrInvalid)
	}
	if g.Access != "" && !slices.Contains(accessTypes, g.Access) {
		return fmt.Errorf("set group %s: %w: access %q is none of %v", g.Name, ErrInvalid, g.Access, accessTypes)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	members := slices.Clone(g.Members)
	slices.Sort(members)
	s.setGroup(Group{Name: g.Name, Members: slices.Compact(members), Access: g.Access})
	s.moment++
	return nil
}

func (s *Site) setGroup(g Group) {
	g.ID = s.groupID(g.Name)
	if s.groups[g.ID] == nil && s.deleted[g.ID] {
		// A group with the name of a deleted group is another group.
		g.ID = groupID(g.Name + " again " + strconv.Itoa(len(s.names)))
	}
	s.groups[g.ID], s.names[g.ID] = &g, g.Name
}

// DeleteGroup deletes the group. Restrictions and spaces that name it still do, by its id; a new group
// with its name is another group.
func (s *Site) DeleteGroup(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.groupID(name)
	if s.groups[id] == nil {
		return fmt.Errorf("delete group %s: %w", name, ErrNotFound)
	}
	delete(s.groups, id)
	s.deleted[id] = true
	s.moment++
	return nil
}

// GroupID returns the id of the group with the name. It is also that of a group that does not exist yet.
func (s *Site) GroupID(name string) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.groupID(name)
}

func (s *Site) groupID(name string) string {
	for id, g := range s.groups {
		if g.Name == name {
			return id
		}
	}
	return groupID(name)
}

func groupID(name string) string {
	h, g := hash(name), hash("group "+name)
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", h>>32, h>>16&0xffff, h&0xfff, g>>48&0xfff, g&0xffffffffffff)
}

// namedGroups returns the ids of groups, which need not exist, by their names.
func (s *Site) namedGroups(names []string) []string {
	ids := make([]string, 0, len(names))
	for _, name := range names {
		id := s.groupID(name)
		s.names[id] = name
		ids = append(ids, id)
	}
	return ids
}

// groupsOf returns the ids of the groups that have the account as a member.
func (s *Site) groupsOf(account string) []string {
	var ids []string
	for id, g := range s.groups {
		if slices.Contains(g.Members, account) {
			ids = append(ids, id)
		}
	}
	return ids
}

// sortedGroups are the site's groups by name.
func (s *Site) sortedGroups() []*Group {
	return slices.SortedFunc(maps.Values(s.groups), func(a, b *Group) int { return cmp.Compare(a.Name, b.Name) })
}

// groupOut is the group in v1's format.
func (s *Site) groupOut(id, base string) map[string]any {
	return map[string]any{
		"type": "group", "name": s.names[id], "id": id,
		"_links": map[string]string{"self": base + "/rest/api/group/by-id?id=" + id},
	}
}

// groupRows is the maximum number of groups, and of members, in one answer.
const groupRows = 200

// groupRange reads start and limit of a list of groups or members.
func groupRange(q url.Values) (start, limit int, err error) {
	if limit, err = limitOf(q, groupRows, groupRows); err != nil {
		return 0, 0, err
	}
	start, err = strconv.Atoi(cmpOr(q.Get("start"), "0"))
	if err != nil || start < 0 {
		return 0, 0, refuse("The provided start %q is not valid", q.Get("start"))
	}
	return start, limit, nil
}

// rowsFrom returns the rows of one answer, and whether more follow.
func rowsFrom[T any](all []T, start, limit int) ([]T, bool) {
	all = all[min(start, len(all)):]
	return all[:min(limit, len(all))], len(all) > limit
}

func (s *Site) listGroups(w http.ResponseWriter, r *http.Request) {
	q, base := r.URL.Query(), s.base(r)
	start, limit, err := groupRange(q)
	access := q.Get("accessType")
	if err == nil && access != "" && !slices.Contains(accessTypes, access) {
		err = refuse("Invalid accessType %q", access)
	}
	if err != nil {
		v1BadRequest(w, err)
		return
	}
	s.mu.RLock()
	found := slices.DeleteFunc(s.sortedGroups(), func(g *Group) bool { return access != "" && g.Access != access })
	found, more := rowsFrom(found, start, limit)
	rows := []any{}
	for _, g := range found {
		rows = append(rows, s.groupOut(g.ID, base))
	}
	s.mu.RUnlock()
	s.v1List(w, r, rows, len(rows), start, limit, more)
}

// groupMembers lists the members of a group, also deactivated ones. It does not say whose account is
// deactivated.
func (s *Site) groupMembers(w http.ResponseWriter, r *http.Request) {
	id, base := r.PathValue("id"), s.base(r)
	start, limit, err := groupRange(r.URL.Query())
	if err != nil {
		v1BadRequest(w, err)
		return
	}
	s.mu.RLock()
	g := s.groups[id]
	rows, more := []any{}, false
	if g != nil {
		var members []string
		members, more = rowsFrom(g.Members, start, limit)
		for _, account := range members {
			row := s.v1User(account, base)
			delete(row, "accountStatus")
			rows = append(rows, row)
		}
	}
	s.mu.RUnlock()
	if g == nil {
		v1Error(w, http.StatusNotFound, "com.atlassian.confluence.api.service.exceptions.NotFoundException: There is no group with id "+id)
		return
	}
	s.v1List(w, r, rows, len(rows), start, limit, more)
}

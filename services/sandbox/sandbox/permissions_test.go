package sandbox

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// people adds users with short account ids.
func people(t *testing.T, site *Site, ids ...string) {
	t.Helper()
	for _, id := range ids {
		site.AddUser(User{AccountID: id, DisplayName: id})
	}
}

// may asks the oracle as an administrator.
func (c *caller) may(kind, who, id string) bool {
	c.t.Helper()
	a := c.post(http.StatusOK, "/wiki/rest/api/content/"+id+"/permission/check",
		`{"subject":{"type":"`+kind+`","identifier":"`+who+`"},"operation":"read"}`)
	require.Equal(c.t, a.body["hasPermission"], len(a.body["errors"].([]any)) == 0)
	return a.body["hasPermission"].(bool)
}

func administrator(t *testing.T, site *Site) {
	t.Helper()
	require.NoError(t, site.SetGroup(Group{Name: "admins", Members: []string{apiUser}, Access: "admin"}))
}

func TestPermissionCheckIsTheRule(t *testing.T) {
	c, alpha, beta := small(t, Options{})
	people(t, c.site, "ann", "bob", "eve")
	c.site.AddUser(User{AccountID: "left", Inactive: true})
	c.site.AddUser(User{AccountID: "guest", Outside: true})
	check := "/wiki/rest/api/content/" + alpha.ID + "/permission/check"
	ask := `{"subject":{"type":"user","identifier":"ann"},"operation":"read"}`
	c.post(http.StatusForbidden, check, ask)
	c.post(http.StatusOK, check, `{"subject":{"type":"user","identifier":"`+apiUser+`"},"operation":"read"}`)
	administrator(t, c.site)
	c.post(http.StatusBadRequest, check, `{"subject":{"type":"team","identifier":"ann"},"operation":"read"}`)
	c.post(http.StatusBadRequest, check, `{"subject":{"type":"user","identifier":"ann"},"operation":"fly"}`)
	c.post(http.StatusNotFound, "/wiki/rest/api/content/1/permission/check", ask)

	for who, want := range map[string]bool{"ann": true, "left": false, "guest": false, "nobody": false, "anonymous": false} {
		require.Equal(t, want, c.may("user", who, alpha.ID), who)
	}
	// Every restriction on the way up must let in, by the person or by a group.
	require.NoError(t, c.site.SetGroup(Group{Name: "staff", Members: []string{"ann", "bob", "left", apiUser}}))
	require.NoError(t, c.site.Restrict(alpha.ID, []string{"eve"}, []string{"staff"}))
	require.NoError(t, c.site.Restrict(beta.ID, []string{"ann", "eve", apiUser}, nil))
	for who, want := range map[string][2]bool{"ann": {true, true}, "bob": {true, false}, "eve": {true, true}, "left": {false, false}} {
		require.Equal(t, want, [2]bool{c.may("user", who, alpha.ID), c.may("user", who, beta.ID)}, who)
	}
	require.False(t, c.may("group", c.site.GroupID("staff"), alpha.ID), "the group has no permission in the space")
	require.NoError(t, c.site.SetSpaceReaders("ENG", Reader{Kind: ReaderUser, ID: "bob"}, Reader{Kind: ReaderGroup, ID: "admins"},
		Reader{Kind: ReaderUser, ID: "ann", NoRead: true}, Reader{Kind: "team", ID: "eve"}))
	for _, who := range []string{"ann", "eve"} {
		require.False(t, c.may("user", who, alpha.ID), who)
	}
	require.True(t, c.may("user", "bob", alpha.ID))
	may, err := c.site.MayView("bob", alpha.ID)
	require.NoError(t, err)
	require.True(t, may)

	// None of this made a version. A group that is deleted lets nobody in, and neither does the next of its name.
	require.NoError(t, c.site.DeleteGroup("staff"))
	require.NoError(t, c.site.Restrict(alpha.ID, []string{apiUser}, []string{"staff"}))
	require.NoError(t, c.site.SetGroup(Group{Name: "staff", Members: []string{"bob"}}))
	require.False(t, c.may("user", "bob", alpha.ID))
	p, err := c.site.Page(alpha.ID)
	require.NoError(t, err)
	require.Equal(t, 1, p.Version)
}

// members reads a group to its end.
func (c *caller) members(path string) (ids []string) {
	c.t.Helper()
	for {
		a := c.get(http.StatusOK, path)
		ids = append(ids, a.column("accountId")...)
		next, more := a.body["_links"].(map[string]any)["next"].(string)
		if !more {
			return ids
		}
		path = "/wiki" + next
	}
}

func TestGroupsAndTheirMembersComeInParts(t *testing.T) {
	site := New(Options{})
	c := serve(t, site)
	var ids []string
	for i := range 430 {
		ids = append(ids, fmt.Sprintf("u%03d", i))
	}
	require.NoError(t, site.SetGroup(Group{Name: "crowd", Members: ids}))
	site.AddUser(User{AccountID: ids[7], Inactive: true})
	require.Equal(t, []string{UsersGroup}, c.get(200, "/wiki/rest/api/group?accessType=user").column("name"))
	require.Equal(t, []string{UsersGroup, "crowd"}, c.get(200, "/wiki/rest/api/group").column("name"))
	c.get(400, "/wiki/rest/api/group?accessType=owner")
	path := "/wiki/rest/api/group/" + site.GroupID("crowd") + "/membersByGroupId"
	require.Equal(t, ids, c.members(path), "deactivated people are among them")
	require.NotContains(t, c.get(200, path).raw, "accountStatus", "and nothing tells them apart")
	c.get(400, path+"?limit=201")
	require.NoError(t, site.DeleteGroup("crowd"))
	c.get(404, path)

	require.NoError(t, site.SetGroup(Group{Name: "crowd", Members: ids}))
	require.NoError(t, site.SetFaults(1, Fault{Kind: FaultCutOff, MaxLimit: 50, Route: "/wiki/rest/api/group/*"}))
	path = "/wiki/rest/api/group/" + site.GroupID("crowd") + "/membersByGroupId?limit=200"
	require.EqualValues(t, 50, c.get(200, path).body["size"])
	require.Equal(t, ids, c.members(path))
}

func TestSpacePermissionsInEveryMode(t *testing.T) {
	c, _, _ := small(t, Options{})
	space := "/wiki/api/v2/spaces/" + c.spaceID("ENG")
	mode := func(m RoleMode) {
		require.NoError(t, c.site.SetRoleMode(m))
		require.Equal(t, string(m), c.get(200, "/wiki/api/v2/space-role-mode").body["mode"])
	}
	principals := func(route, kind, id string) (out []string) {
		for _, row := range c.get(200, space+route).rows() {
			p := row["principal"].(map[string]any)
			if o, ok := row["operation"].(map[string]any); ok && (o["key"] != "read" || o["targetType"] != "space") {
				continue
			}
			out = append(out, fmt.Sprint(p[kind], " ", p[id]))
		}
		return out
	}
	require.Equal(t, []string{"group " + c.site.GroupID(UsersGroup)}, principals("/permissions", "type", "id"))
	require.Empty(t, principals("/role-assignments", "principalType", "principalId"))
	mode(Roles)
	require.Equal(t, []string{"ACCESS_CLASS all-licensed-users"}, principals("/role-assignments", "principalType", "principalId"))
	require.Equal(t, []string{"access-class ALL_LICENSED_USERS"}, principals("/permissions", "type", "id"))
	require.NoError(t, c.site.SetSpaceReaders("ENG", Reader{Kind: ReaderUser, ID: "ann"}, Reader{Kind: ReaderAll, Role: true}, Reader{Kind: ReaderUser, ID: "bob", NoRead: true}))
	mode(RolesTransition)
	require.Equal(t, []string{"user ann"}, principals("/permissions", "type", "id"), "read/space and nothing else")
	require.Equal(t, []string{"ACCESS_CLASS all-licensed-users"}, principals("/role-assignments", "principalType", "principalId"))
	roles := c.get(200, "/wiki/api/v2/space-roles").rows()
	require.Contains(t, roles[0]["spacePermissions"], "read/space")
	require.NotContains(t, roles[1]["spacePermissions"], "read/space")
	require.Len(t, c.walk(space+"/permissions?limit=1", "id"), 5)
	require.ErrorIs(t, c.site.SetRoleMode("BOTH"), ErrInvalid)
	require.NoError(t, c.site.HideSpace("ENG", true))
	c.get(404, space+"/permissions")
	c.get(404, space+"/role-assignments")
}

func TestRestrictionsComeWithASearch(t *testing.T) {
	c, alpha, beta := small(t, Options{})
	users := []string{apiUser}
	for i := range 120 {
		users = append(users, fmt.Sprintf("u%03d", i))
	}
	folder := create(t, c.site, Draft{Kind: KindFolder, Space: "ENG", Title: "Folder"})
	require.NoError(t, c.site.Restrict(alpha.ID, users, []string{"staff"}))
	require.NoError(t, c.site.Restrict(folder.ID, users[:1], nil))
	cql := "?limit=250&cql=" + url.QueryEscape("space = ENG and type in (page, blogpost)")
	search := "/wiki/rest/api/content/search" + cql
	rows := c.get(200, search+"&expand=restrictions.read.restrictions.user,restrictions.read.restrictions.group").rows()
	lists := map[string][2]int{}
	for _, row := range rows {
		read := row["restrictions"].(map[string]any)["read"].(map[string]any)["restrictions"].(map[string]any)
		size := func(list string) int {
			l := read[list].(map[string]any)
			require.EqualValues(t, restrictionRows, l["limit"])
			return len(l["results"].([]any))
		}
		lists[row["id"].(string)] = [2]int{size("user"), size("group")}
	}
	require.Equal(t, [2]int{100, 1}, lists[alpha.ID], "cut off, and the limit says so")
	require.Equal(t, [2]int{0, 0}, lists[beta.ID], "its own only")
	require.NotContains(t, lists, folder.ID)
	half := c.get(200, search+"&expand=restrictions.read.restrictions.user").rows()[0]["restrictions"].(map[string]any)
	require.NotContains(t, half["read"].(map[string]any)["restrictions"], "group", "what is not expanded is not there")
	require.NotContains(t, c.get(200, search).rows()[0], "restrictions")
	byID := c.get(200, "/wiki/rest/api/content/"+folder.ID+"/restriction/byOperation/read").body
	require.Len(t, byID["restrictions"].(map[string]any)["user"].(map[string]any)["results"], 1)
}

func TestPermissionRoutesFail(t *testing.T) {
	c, alpha, _ := small(t, Options{})
	space := c.spaceID("ENG")
	for path, route := range map[string]string{
		"/wiki/rest/api/content/" + alpha.ID + "/restriction/byOperation/read": "/wiki/rest/api/content/{id}/restriction/byOperation/{op}",
		"/wiki/rest/api/group": "/wiki/rest/api/group",
		"/wiki/rest/api/group/" + c.site.GroupID(UsersGroup) + "/membersByGroupId":            "/wiki/rest/api/group/{id}/membersByGroupId",
		"/wiki/api/v2/spaces/" + space + "/permissions":                                       "/wiki/api/v2/spaces/{id}/permissions",
		"/wiki/api/v2/spaces/" + space + "/role-assignments":                                  "/wiki/api/v2/spaces/{id}/role-assignments",
		"/wiki/api/v2/space-roles":                                                            "/wiki/api/v2/space-roles",
		"/wiki/api/v2/space-role-mode":                                                        "/wiki/api/v2/space-role-mode",
		"/wiki/rest/api/content/search?cql=type%3Dpage&expand=restrictions.read.restrictions": "/wiki/rest/api/content/search",
	} {
		c.get(200, path)
		for kind, status := range map[FaultKind]int{FaultForbidden: 403, FaultMissing: 404, FaultGone: 410, FaultServer: 500, FaultScope: 401} {
			require.NoError(t, c.site.SetFaults(1, Fault{Kind: kind, Route: route}))
			c.get(status, path)
		}
		require.NoError(t, c.site.SetFaults(1))
	}
	require.ErrorIs(t, c.site.SetFaults(1, Fault{Kind: FaultCutOff}), ErrInvalid)
}

func TestControlOfPermissions(t *testing.T) {
	c, alpha, _ := small(t, Options{})
	c.post(200, "/_sandbox/users", `{"account_id":"ann","display_name":"Ann"}`)
	c.post(200, "/_sandbox/groups", `{"name":"admins","members":["`+apiUser+`"],"access":"admin"}`)
	require.True(t, c.may("user", "ann", alpha.ID))
	c.post(200, "/_sandbox/spaces/ENG/readers", `{"readers":[{"kind":"group","id":"admins"}]}`)
	require.False(t, c.may("user", "ann", alpha.ID))
	c.post(200, "/_sandbox/groups", `{"name":"admins","members":["ann","`+apiUser+`"],"access":"admin"}`)
	require.True(t, c.may("user", "ann", alpha.ID))
	c.post(200, "/_sandbox/users", `{"account_id":"ann","inactive":true}`)
	require.False(t, c.may("user", "ann", alpha.ID))
	require.Equal(t, "ROLES", c.post(200, "/_sandbox/role-mode", `{"mode":"ROLES"}`).body["role_mode"])
	require.Len(t, c.get(200, "/_sandbox/groups").body["groups"], 2)
	c.post(200, "/_sandbox/groups/admins/delete", ``)
	c.post(404, "/_sandbox/groups/admins/delete", ``)
	c.post(400, "/_sandbox/groups", `{"name":"x","access":"owner"}`)
	c.post(400, "/_sandbox/role-mode", `{"mode":"NONE"}`)
	c.post(404, "/_sandbox/spaces/NOPE/readers", `{"readers":[]}`)
}

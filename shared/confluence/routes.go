package confluence

import (
	"maps"
	"slices"
	"strings"
	"sync"
)

// Route is a route of Confluence's API that this package calls.
type Route struct {
	Method   string
	Template string   // from /wiki on
	Scopes   []string // that a scoped token needs for it
	For      string   // what fails without it
	Feature  Feature  // what needs it
	// Instead is the route that could take its place; "" if none is known, as for most that is left of v1.
	Instead string
	// Alive is the last day on which the route is known to answer: of Atlassian's published document, or of a report of it.
	Alive string
}

// Feature is what of Sluice needs a route.
type Feature string

// The features. Every sync needs the routes of Syncing, the others only a source whose settings ask for them.
const (
	Syncing     Feature = "syncing"
	Permissions Feature = "permissions"
	Comments    Feature = "comments"
	Files       Feature = "files"
)

// Name is the route as in Stats, for example "GET /wiki/api/v2/spaces".
func (r Route) Name() string { return r.Method + " " + r.Template }

// Days on which routes were last known to answer: those of v2 stand in the document that Atlassian published on that day,
// those of v1 stayed when the others were removed (CHANGE-2520), as reports of that day say.
const (
	documented = "2026-07-21"
	survived   = "2026-08-17"
)

// v2 returns a route of the newest API.
func v2(of Feature, path, what string, scopes ...string) Route {
	return Route{Method: "GET", Template: "/wiki/api/v2/" + path, Scopes: scopes, For: what, Feature: of, Alive: documented}
}

// v1 returns a route that has no twin in the newest API.
func v1(of Feature, path, what string, scopes ...string) Route {
	return Route{Method: "GET", Template: "/wiki/rest/api/" + path, Scopes: scopes, For: what, Feature: of, Alive: survived}
}

// Routes lists every route that this package calls with the credential, by name. A call of another route is an error.
var Routes = sync.OnceValue(func() []Route {
	const (
		pageScope, spaceScope, metadata = "read:page:confluence", "read:space:confluence", "read:content.metadata:confluence"
		comment, permission             = "read:comment:confluence", "read:space.permission:confluence"
		fileScope                       = "read:attachment:confluence"
	)
	list := []Route{
		v1(Syncing, "content/search", "what changed since the last sync; restrictions in bulk", "search:confluence", "read:content-details:confluence"),
		v1(Syncing, "user/current", "the account and its time zone, in which searches are made", "read:content-details:confluence"),
		v1(Permissions, "group", "who may use the site", "read:group:confluence"),
		v1(Permissions, "group/{groupId}/membersByGroupId", "the members of groups", "read:group:confluence", "read:user:confluence"),
		v1(Permissions, "content/{id}/restriction/byOperation", "whether a page is restricted", "read:content-details:confluence"),
		v1(Permissions, "content/{id}/restriction/byOperation/{operationKey}", "view restrictions", "read:content-details:confluence"),
		v2(Syncing, "spaces", "finding a space", spaceScope),
		v2(Syncing, "spaces/{id}", "a space whose key has changed", spaceScope),
		v2(Permissions, "spaces/{id}/permissions", "the space's readers", spaceScope),
		v2(Permissions, "spaces/{id}/role-assignments", "the space's readers in role mode", permission),
		v2(Permissions, "space-roles", "the space's readers in role mode", permission),
		v2(Permissions, "space-role-mode", "the space's readers", "read:configuration:confluence"),
	}
	for _, k := range []content{pages, blogPosts} {
		list = append(list,
			v2(Syncing, "spaces/{id}/"+k.plural, "listing a space", pageScope), v2(Syncing, k.plural, "bodies", pageScope),
			v2(Syncing, k.plural+"/{id}", "bodies", pageScope), v2(Syncing, k.plural+"/{id}/labels", "labels", pageScope))
	}
	list = append(list, v2(Syncing, "pages/{id}/ancestors", "where a page is in the tree", metadata),
		v2(Files, "pages/{id}/attachments", "files", fileScope), v2(Files, "attachments", "listing files", fileScope),
		v2(Files, "attachments/{id}", "what is known of a file", fileScope),
		v1(Files, "content/{id}/child/attachment/{attachmentId}/download", "the bytes of files", fileScope, "readonly:content.attachment:confluence"))
	for _, kind := range slices.Sorted(maps.Keys(containers)) {
		plural := containers[kind]
		list = append(list, v2(Syncing, plural+"/{id}", "the titles of folders and the like", "read:"+kind+":confluence"),
			v2(Syncing, plural+"/{id}/ancestors", "where a page is in the tree", metadata))
	}
	for _, kind := range []CommentKind{Footer, Inline} {
		name := string(kind) + "-comments"
		list = append(list, v2(Comments, name, "comments", comment), v2(Comments, name+"/{id}", "comments", comment), v2(Comments, name+"/{id}/children", "comments", comment),
			v2(Comments, name+"/{id}/versions/{version-number}", "who wrote a comment that was edited", comment))
	}
	for i := range list {
		switch list[i].Template {
		case "/wiki/rest/api/content/search":
			list[i].Instead = "GET /wiki/rest/api/search"
		case "/wiki/api/v2/spaces/{id}/permissions":
			list[i].Instead = "GET /wiki/api/v2/spaces/{id}/role-assignments"
		}
	}
	people := v2(Syncing, "users-bulk", "names of people", "read:user:confluence")
	people.Method = "POST"
	list = append(list, people)
	slices.SortFunc(list, func(a, b Route) int { return strings.Compare(a.Name(), b.Name()) })
	return list
})

// known returns a request's route, and whether the table has it.
func (r request) known() (Route, bool) {
	at, found := slices.BinarySearchFunc(Routes(), r.method+" "+r.route, func(route Route, name string) int {
		return strings.Compare(route.Name(), name)
	})
	if !found {
		return Route{}, false
	}
	return Routes()[at], true
}

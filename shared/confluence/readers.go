package confluence

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// Readers are the people and groups to whom viewing is limited. Both empty means that it is not limited: a
// restriction always names somebody.
type Readers struct {
	Users  []string // account ids
	Groups []string // group ids
	// Others is the number of rows that name neither a person nor a group by its id. They admit nobody, but
	// with them alone viewing is limited all the same.
	Others int
}

// Limited reports whether viewing is limited at all.
func (r Readers) Limited() bool { return len(r.Users)+len(r.Groups)+r.Others > 0 }

func (r *Readers) add(w *wireRestriction) {
	for _, u := range *w.Restrictions.User.Results {
		if isAccountID(u.AccountID) {
			r.Users = append(r.Users, u.AccountID)
		} else {
			r.Others++
		}
	}
	for _, g := range *w.Restrictions.Group.Results {
		if isGroupID(g.ID) {
			r.Groups = append(r.Groups, g.ID)
		} else {
			r.Others++
		}
	}
}

// whole reports whether the answer has both lists of the operation.
func (w *wireRestriction) whole(op string) bool {
	return w != nil && w.Operation == op && w.Restrictions != nil && w.Restrictions.User.valid() && w.Restrictions.Group.valid()
}

// ReadersOf reads to whom viewing a page, a blog post, a folder or other content is limited by the content
// itself, not by its ancestors. If a part of an answer is missing, it returns *ProtocolError: an empty list
// would open the content to everyone. It returns *NotFoundError when the content is missing or hidden.
func (c *Client) ReadersOf(ctx context.Context, contentID string) (Readers, error) {
	if !isID(contentID) {
		return Readers{}, fmt.Errorf("read restrictions: content %w", ErrInvalidID)
	}
	var out Readers
	for start := 0; ; {
		r := request{
			method: http.MethodGet, route: "/wiki/rest/api/content/{id}/restriction/byOperation/{operationKey}",
			path: "/rest/api/content/" + contentID + "/restriction/byOperation/read",
			query: url.Values{
				"expand": {"restrictions.user,restrictions.group"}, "start": {strconv.Itoa(start)}, "limit": {strconv.Itoa(restrictionLimit)},
			},
			kind: "content", id: contentID, live: true,
		}
		var w wireRestriction
		if err := c.get(ctx, r, &w); err != nil {
			return Readers{}, err
		}
		switch {
		case !w.whole("read"):
			return Readers{}, c.malformed(r, &objectError{contentID, "an answer without the restrictions of read"})
		case start > maxRestrictions:
			return Readers{}, c.malformed(r, &objectError{contentID, "too many restrictions"})
		}
		out.add(&w)
		users, groups := w.Restrictions.User, w.Restrictions.Group
		more := max(len(*users.Results), len(*groups.Results))
		if more == 0 || !users.full() && !groups.full() {
			return out, nil
		}
		start += more
	}
}

// ContentReaders is a search's answer about the readers of one page or blog post.
type ContentReaders struct {
	ID      string
	Readers Readers
	// Complete says that the answer has all of them. Otherwise it proves nothing: ask ReadersOf.
	Complete bool
}

// SearchReaders reads the readers of pages and blog posts in bulk: of those that match the condition. A
// search leaves out what is archived, what its index does not have yet, and folders: only what it answers
// completely is known. An unusable result is a *RowError, after which the search continues.
func (c *Client) SearchReaders(ctx context.Context, of Condition) iter.Seq2[ContentReaders, error] {
	text, err := Where(of, TypeIn(KindPage, KindBlogPost)).OrderBy("id", Asc).Text()
	if err != nil {
		return fail[ContentReaders](fmt.Errorf("read restrictions: %w", err))
	}
	type row struct {
		ID           string `json:"id"`
		Restrictions *struct {
			Read *wireRestriction `json:"read"`
		} `json:"restrictions"`
	}
	l := listing{limit: bulkRestrictions, request: request{
		method: http.MethodGet, route: "/wiki/rest/api/content/search", path: "/rest/api/content/search", live: true,
		query: url.Values{"cql": {text}, "expand": {"restrictions.read.restrictions.user,restrictions.read.restrictions.group"}},
	}}
	return list(ctx, c, l, func(w row) (ContentReaders, error) {
		if !isID(w.ID) {
			return ContentReaders{}, &objectError{"", "a result whose id is not a string of digits"}
		}
		out := ContentReaders{ID: w.ID}
		if w.Restrictions == nil || !w.Restrictions.Read.whole("read") {
			return out, nil
		}
		lists := w.Restrictions.Read.Restrictions
		if lists.User.full() || lists.Group.full() {
			return out, nil
		}
		out.Complete = true
		out.Readers.add(w.Restrictions.Read)
		return out, nil
	})
}

// bulkRestrictions is the number of rows per call: as many as a search with expanded rows gives.
const bulkRestrictions = 200

// The modes in which a site gives permissions to spaces.
const (
	ModePermissions = "PRE_ROLES"        // to people and groups
	ModeBoth        = "ROLES_TRANSITION" // by permissions and by roles
	ModeRoles       = "ROLES"            // by roles
)

// SpaceRoleMode returns one of the modes. A mode that is unknown to this client is a *ProtocolError.
func (c *Client) SpaceRoleMode(ctx context.Context) (string, error) {
	r := request{method: http.MethodGet, route: "/wiki/api/v2/space-role-mode", path: "/api/v2/space-role-mode", live: true}
	var w struct {
		Mode string `json:"mode"`
	}
	if err := c.get(ctx, r, &w); err != nil {
		return "", err
	}
	if !slices.Contains([]string{ModePermissions, ModeBoth, ModeRoles}, w.Mode) {
		return "", c.malformed(r, &objectError{"", "an unknown mode of space roles: " + strconv.Quote(w.Mode)})
	}
	return w.Mode, nil
}

// Grant is a permission or a role that a principal has in a space.
type Grant struct {
	Kind      string // user, group, role, access-class; of a role: USER, GROUP, ACCESS_CLASS; perhaps others
	ID        string
	Operation string // of a permission: read/space, create/page, …
	RoleID    string // of a role
}

// SpacePermissions lists the permissions of a space.
func (c *Client) SpacePermissions(ctx context.Context, spaceID string) iter.Seq2[Grant, error] {
	type row struct {
		Principal struct {
			Type string `json:"type"`
			ID   string `json:"id"`
		} `json:"principal"`
		Operation struct {
			Key        string `json:"key"`
			TargetType string `json:"targetType"`
		} `json:"operation"`
	}
	return ofSpace(ctx, c, spaceID, "permissions", func(w row) (Grant, error) {
		return Grant{Kind: w.Principal.Type, ID: w.Principal.ID, Operation: w.Operation.Key + "/" + w.Operation.TargetType}, nil
	})
}

// RoleAssignments lists who has which role in a space.
func (c *Client) RoleAssignments(ctx context.Context, spaceID string) iter.Seq2[Grant, error] {
	type row struct {
		Principal struct {
			Type string `json:"principalType"`
			ID   string `json:"principalId"`
		} `json:"principal"`
		RoleID string `json:"roleId"`
	}
	return ofSpace(ctx, c, spaceID, "role-assignments", func(w row) (Grant, error) {
		return Grant{Kind: w.Principal.Type, ID: w.Principal.ID, RoleID: w.RoleID}, nil
	})
}

func ofSpace[R any](ctx context.Context, c *Client, spaceID, what string, convert func(R) (Grant, error)) iter.Seq2[Grant, error] {
	if !isID(spaceID) {
		return fail[Grant](fmt.Errorf("list %s: space %w", what, ErrInvalidID))
	}
	return list(ctx, c, listing{limit: maxLimit, request: request{
		method: http.MethodGet, route: "/wiki/api/v2/spaces/{id}/" + what, path: "/api/v2/spaces/" + spaceID + "/" + what,
		kind: kindSpace, id: spaceID, live: true,
	}}, convert)
}

// SpaceRole is a role of the site: a set of permissions.
type SpaceRole struct {
	ID          string
	Permissions []string // read/space, create/page, …
}

// SpaceRoles lists the roles of the site.
func (c *Client) SpaceRoles(ctx context.Context) iter.Seq2[SpaceRole, error] {
	type row struct {
		ID          string   `json:"id"`
		Permissions []string `json:"spacePermissions"`
	}
	return list(ctx, c, listing{limit: maxLimit, request: request{
		method: http.MethodGet, route: "/wiki/api/v2/space-roles", path: "/api/v2/space-roles", live: true,
	}}, func(w row) (SpaceRole, error) { return SpaceRole(w), nil })
}

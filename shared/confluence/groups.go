package confluence

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// AccessTypes are what groups let their members do with Confluence.
var AccessTypes = []string{"user", "admin", "site-admin"}

const (
	groupLimit = 200 // groups or members per call
	maxMembers = 1_000_000
)

// AccessGroups lists the ids of the groups that give access to Confluence, of one of AccessTypes.
func (c *Client) AccessGroups(ctx context.Context, accessType string) ([]string, error) {
	r := request{
		method: http.MethodGet, route: "/wiki/rest/api/group", path: "/rest/api/group", live: true,
		query: url.Values{"accessType": {accessType}},
	}
	type row struct {
		ID string `json:"id"`
	}
	var ids []string
	// A group that is missing would make a part of the people look like all of them: only an answer without
	// rows proves the end.
	err := inParts(ctx, c, r, true, func(w row) error {
		if !isGroupID(w.ID) {
			return &objectError{"", "a group without an id"}
		}
		ids = append(ids, w.ID)
		return nil
	})
	return ids, err
}

// GroupMembers lists the account ids of a group's members, also of deactivated ones. It returns
// *NotFoundError when the group is missing.
func (c *Client) GroupMembers(ctx context.Context, groupID string) ([]string, error) {
	if !isGroupID(groupID) {
		return nil, fmt.Errorf("list members: group %w", ErrInvalidID)
	}
	r := request{
		method: http.MethodGet, route: "/wiki/rest/api/group/{groupId}/membersByGroupId",
		path: "/rest/api/group/" + url.PathEscape(groupID) + "/membersByGroupId", kind: "group", id: groupID, live: true,
	}
	type row struct {
		AccountID string `json:"accountId"`
	}
	var ids []string
	err := inParts(ctx, c, r, false, func(w row) error {
		if isAccountID(w.AccountID) { // somebody without an account id cannot ask
			ids = append(ids, w.AccountID)
		}
		return nil
	})
	return ids, err
}

// inParts reads a list of v1 that counts rows, to its end: to an answer with fewer rows than its own limit
// and without a next link, or, where strict, without any row. Sites lower the limit as they like.
func inParts[R any](ctx context.Context, c *Client, r request, strict bool, each func(R) error) error {
	for start := 0; ; {
		at := r
		at.query = url.Values{"start": {strconv.Itoa(start)}, "limit": {strconv.Itoa(groupLimit)}}
		for k, v := range r.query {
			at.query[k] = v
		}
		a, err := c.do(ctx, at)
		if err != nil {
			return err
		}
		var env struct {
			envelope[R]
			Start *int `json:"start"`
			Limit int  `json:"limit"`
		}
		if err := c.decode(at, a, &env); err != nil {
			return err
		}
		switch {
		case env.Results == nil:
			return c.malformed(at, &objectError{r.id, "an answer without results"})
		case env.Start != nil && *env.Start != start:
			return c.malformed(at, &objectError{r.id, "rows from another start than the requested one"})
		case start > maxMembers:
			return c.malformed(at, &objectError{r.id, "too many rows"})
		}
		for _, row := range *env.Results {
			if err := each(row); err != nil {
				return c.malformed(at, err)
			}
		}
		n, limit := len(*env.Results), env.Limit
		if limit <= 0 || limit > groupLimit {
			limit = groupLimit
		}
		next := env.next(a) != ""
		switch {
		case n == 0 && next:
			return &ProtocolError{Exchange: c.exchange(at, a, "an answer without rows but with a next link"), ObjectID: r.id, Listing: true}
		case n == 0, !strict && n < limit && !next:
			return nil
		}
		start += n
	}
}

// isGroupID accepts the known shape, a UUID, and similar ones.
func isGroupID(s string) bool {
	return s != "" && len(s) <= maxAccountID && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == ':' || r == '-' || r == '_')
	})
}

package confluence

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
)

// Restriction is one person or group to whom an operation on a page is limited. A page without
// restrictions of an operation is open to everyone who sees the space, unless an ancestor restricts it:
// a restriction for reading applies to all descendants.
type Restriction struct {
	Operation string // read, update
	AccountID string // a person, or
	GroupID   string // a group
	GroupName string
}

type wireRestriction struct {
	Operation    string `json:"operation"`
	Restrictions *struct {
		User  *subjects `json:"user"`
		Group *subjects `json:"group"`
	} `json:"restrictions"`
}

type subjects struct {
	Results *[]struct {
		AccountID string `json:"accountId"`
		ID        string `json:"id"`
		Name      string `json:"name"`
	} `json:"results"`
	Limit int `json:"limit"`
}

// full reports whether there may be more rows than in this answer.
func (s *subjects) full() bool {
	limit := s.Limit
	if limit <= 0 {
		limit = restrictionLimit
	}
	return len(*s.Results) >= limit
}

const (
	restrictionLimit = 100 // people and groups per call, Confluence's own default
	maxRestrictions  = 10_000
)

// Restrictions lists to whom reading and editing a page is limited, for the page itself and not for its
// ancestors. If a part of an answer is missing, it returns *ProtocolError: an empty list would open the
// page to everyone. It returns *NotFoundError when the page is missing or hidden.
func (c *Client) Restrictions(ctx context.Context, pageID string) iter.Seq2[Restriction, error] {
	if !isID(pageID) {
		return fail[Restriction](fmt.Errorf("list restrictions: page %w", ErrInvalidID))
	}
	return func(yield func(Restriction, error) bool) {
		// v2 has no route for a page's restrictions.
		r := request{
			method: http.MethodGet, route: "/wiki/rest/api/content/{id}/restriction/byOperation",
			path:  "/rest/api/content/" + pageID + "/restriction/byOperation",
			query: url.Values{"expand": {"restrictions.user,restrictions.group"}}, kind: KindPage, id: pageID,
		}
		var first struct {
			Read   *wireRestriction `json:"read"`
			Update *wireRestriction `json:"update"`
		}
		if err := c.get(ctx, r, &first); err != nil {
			yield(Restriction{}, err)
			return
		}
		if c.restricted(ctx, r, "read", first.Read, yield) {
			c.restricted(ctx, r, "update", first.Update, yield)
		}
	}
}

// restricted yields the restrictions of one operation, and reads more while a part is full; false when
// the reader or an error ended it.
func (c *Client) restricted(ctx context.Context, r request, op string, w *wireRestriction, yield func(Restriction, error) bool) bool {
	for start := 0; ; {
		rows, more, err := w.rows(r.id, op)
		if err == nil && start > maxRestrictions {
			err = &objectError{r.id, "too many restrictions"}
		}
		if err != nil {
			yield(Restriction{}, c.malformed(r, err))
			return false
		}
		for _, row := range rows {
			if !yield(row, nil) {
				return false
			}
		}
		if more == 0 {
			return true
		}
		start += more
		next := r
		next.route += "/{operationKey}"
		next.path += "/" + op
		next.query = url.Values{
			"expand": r.query["expand"], "start": {strconv.Itoa(start)}, "limit": {strconv.Itoa(restrictionLimit)},
		}
		w = &wireRestriction{}
		if err := c.get(ctx, next, w); err != nil {
			yield(Restriction{}, err)
			return false
		}
	}
}

// rows converts one answer. more is the next position if there may be more rows, else 0.
func (w *wireRestriction) rows(pageID, op string) (rows []Restriction, more int, err error) {
	if w == nil || w.Operation != op || w.Restrictions == nil || !w.Restrictions.User.valid() || !w.Restrictions.Group.valid() {
		return nil, 0, &objectError{pageID, "an answer without the restrictions of " + op}
	}
	users, groups := w.Restrictions.User, w.Restrictions.Group
	for _, s := range *users.Results {
		if s.AccountID == "" {
			return nil, 0, &objectError{pageID, "a restriction without a person"}
		}
		rows = append(rows, Restriction{Operation: op, AccountID: s.AccountID})
	}
	for _, s := range *groups.Results {
		if s.ID == "" && s.Name == "" {
			return nil, 0, &objectError{pageID, "a restriction without a group"}
		}
		rows = append(rows, Restriction{Operation: op, GroupID: s.ID, GroupName: s.Name})
	}
	if users.full() || groups.full() {
		more = max(len(*users.Results), len(*groups.Results))
	}
	return rows, more, nil
}

func (s *subjects) valid() bool { return s != nil && s.Results != nil }

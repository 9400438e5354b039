package confluence

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Space is a Confluence space.
type Space struct {
	ID         string
	Key        string // in Confluence's spelling; requests ignore letter case
	Alias      string // the key in addresses, if it differs; "" from SpaceByID
	Name       string
	Type       string // global, collaboration, knowledge_base, personal, …
	Status     string // current, archived
	HomepageID string // "" if it has none
}

type wireSpace struct {
	ID         string `json:"id"`
	Key        string `json:"key"`
	Alias      string `json:"currentActiveAlias"`
	Name       string `json:"name"`
	Type       string `json:"type"`
	Status     string `json:"status"`
	HomepageID string `json:"homepageId"`
}

func (w wireSpace) space() (Space, error) {
	if !isID(w.ID) || w.Key == "" || w.HomepageID != "" && !isID(w.HomepageID) {
		return Space{}, &objectError{"", "a space without a valid key or valid ids"}
	}
	s := Space{ID: w.ID, Key: w.Key, Name: plain(w.Name), Type: w.Type, Status: w.Status, HomepageID: w.HomepageID}
	if w.Alias != w.Key {
		s.Alias = w.Alias
	}
	return s, nil
}

// SpaceByID reads a space by its id, which stays when its key changes. It returns *NotFoundError when
// the space is missing or hidden.
func (c *Client) SpaceByID(ctx context.Context, id string) (Space, error) {
	if !isID(id) {
		return Space{}, fmt.Errorf("read space: %w", ErrInvalidID)
	}
	r := request{method: http.MethodGet, route: "/wiki/api/v2/spaces/{id}", path: "/api/v2/spaces/" + id, kind: kindSpace, id: id}
	var w wireSpace
	if err := c.get(ctx, r, &w); err != nil {
		return Space{}, err
	}
	space, err := w.space()
	if err == nil && space.ID != id {
		err = &objectError{id, "a space that was not requested"}
	}
	if err != nil {
		return Space{}, c.malformed(r, err)
	}
	return space, nil
}

// SpacesByID reads spaces by their ids, at most 250, in one call, and the site's clock. Spaces that are missing or hidden
// are not in the result. A public site shows some to a rejected credential as well: a search distinguishes the two.
func (c *Client) SpacesByID(ctx context.Context, ids []string) ([]Space, time.Time, error) {
	if len(ids) == 0 || len(ids) > maxLimit || slices.ContainsFunc(ids, func(id string) bool { return !isID(id) }) {
		return nil, time.Time{}, fmt.Errorf("read %d spaces: %w", len(ids), ErrInvalidID)
	}
	var date time.Time
	l := listing{limit: maxLimit, request: request{
		method: http.MethodGet, route: "/wiki/api/v2/spaces", path: "/api/v2/spaces",
		query: url.Values{"ids": {strings.Join(ids, ",")}}, live: true, date: &date,
	}}
	found, err := collect(list(ctx, c, l, wireSpace.space))
	if err == nil && date.IsZero() {
		err = &ProtocolError{Exchange: Exchange{Method: l.method, Route: l.route, Status: http.StatusOK, Reason: "an answer without a date"}}
	}
	return found, date, err
}

// SpaceByKey finds a space by its key, its alias, or a former key. It returns *NotFoundError when the
// space is unknown or hidden. A public site gives the same answer to a rejected credential: Probe
// distinguishes the two.
func (c *Client) SpaceByKey(ctx context.Context, key string) (Space, error) {
	space, _, err := c.spaceByKey(ctx, key, false)
	return space, err
}

// spaceByKey finds a space and returns the site's clock. A space found by a former key does not show
// that key, so spaceByKey then checks with another call that the site applies the filter at all.
func (c *Client) spaceByKey(ctx context.Context, key string, live bool) (Space, time.Time, error) {
	if err := CheckSpaceKey(key); err != nil {
		return Space{}, time.Time{}, fmt.Errorf("look up space: %w", err)
	}
	var date time.Time
	l := spacesByKey(key, live, &date)
	var others []wireSpace
	for w, err := range list(ctx, c, l, checkedSpace) {
		if err != nil {
			return Space{}, date, err
		}
		if strings.EqualFold(w.Key, key) || strings.EqualFold(w.Alias, key) {
			space, err := w.space()
			return space, date, err
		}
		others = append(others, w)
	}
	e := Exchange{Method: l.method, Route: l.route, Status: http.StatusOK}
	if len(others) == 1 {
		filtered, err := c.filtersSpaces(ctx)
		if err != nil {
			return Space{}, date, err
		}
		if filtered {
			space, err := others[0].space()
			return space, date, err
		}
	}
	if len(others) > 0 {
		e.Reason = "other spaces than the requested one"
		return Space{}, date, &ProtocolError{Exchange: e}
	}
	e.Reason = "no space with this key is visible"
	return Space{}, date, &NotFoundError{Exchange: e, Kind: kindSpace, ID: key}
}

func spacesByKey(key string, live bool, date *time.Time) listing {
	return listing{limit: 25, request: request{
		method: http.MethodGet, route: "/wiki/api/v2/spaces", path: "/api/v2/spaces",
		query: url.Values{"keys": {key}}, live: live, date: date,
	}}
}

// Spaces lists the spaces that the credential can see, archived ones too. A public site also lists some to a rejected
// credential: Probe distinguishes the two.
func (c *Client) Spaces(ctx context.Context) iter.Seq2[Space, error] {
	l := listing{limit: 250, request: request{method: http.MethodGet, route: "/wiki/api/v2/spaces", path: "/api/v2/spaces"}}
	return list(ctx, c, l, wireSpace.space)
}

func checkedSpace(w wireSpace) (wireSpace, error) {
	_, err := w.space()
	return w, err
}

// filtersSpaces reports whether the site finds no space for a key that no one would choose.
func (c *Client) filtersSpaces(ctx context.Context) (bool, error) {
	nobodys := fmt.Sprintf("SLUICE%016X", rand.Uint64()) //nolint:gosec // any key that no space has
	for _, err := range list(ctx, c, spacesByKey(nobodys, true, nil), checkedSpace) {
		return false, err
	}
	return true, nil
}

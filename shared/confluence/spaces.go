package confluence

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Space is a Confluence space.
type Space struct {
	ID         string
	Key        string // as Confluence writes it; letter case is of no matter when asking
	Name       string
	Type       string // global, collaboration, knowledge_base, personal, …
	Status     string // current, archived
	HomepageID string // "" where it has none
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
		return Space{}, &objectError{"", "a space whose key or ids are none"}
	}
	return Space{ID: w.ID, Key: w.Key, Name: w.Name, Type: w.Type, Status: w.Status, HomepageID: w.HomepageID}, nil
}

// SpaceByKey finds a space by its key. It returns *NotFoundError when the space is unknown or
// hidden, which also is what a site open to everybody says to a refused credential: Probe
// tells the two apart.
func (c *Client) SpaceByKey(ctx context.Context, key string) (Space, error) {
	space, _, err := c.spaceByKey(ctx, key, false)
	return space, err
}

// spaceByKey finds a space, and says what the site's clock was.
func (c *Client) spaceByKey(ctx context.Context, key string, live bool) (Space, time.Time, error) {
	if err := CheckSpaceKey(key); err != nil {
		return Space{}, time.Time{}, fmt.Errorf("look up space: %w", err)
	}
	var date time.Time
	l := listing{limit: 25, request: request{
		method: http.MethodGet, route: "/wiki/api/v2/spaces", path: "/api/v2/spaces",
		query: url.Values{"keys": {key}}, live: live, date: &date,
	}}
	var other bool
	for w, err := range list(ctx, c, l, func(w wireSpace) (wireSpace, error) { _, err := w.space(); return w, err }) {
		if err != nil {
			return Space{}, date, err
		}
		if strings.EqualFold(w.Key, key) || strings.EqualFold(w.Alias, key) {
			space, err := w.space()
			return space, date, err
		}
		other = true
	}
	e := Exchange{Method: l.method, Route: l.route, Status: http.StatusOK}
	if other {
		e.Reason = "spaces that were not asked for, and not the one that was"
		return Space{}, date, &ProtocolError{Exchange: e}
	}
	e.Reason = "no space with this key is visible"
	return Space{}, date, &NotFoundError{Exchange: e, Kind: kindSpace, ID: key}
}

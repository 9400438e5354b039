package confluence

import (
	"context"
	"fmt"
	"net/http"
)

// Container is content other than a page that can be a page's parent.
type Container struct {
	ID         string
	Kind       string // folder, whiteboard, database, embed
	Title      string
	ParentID   string // "" at the top
	ParentType string
}

var containers = map[string]string{
	"folder": "folders", "whiteboard": "whiteboards", "database": "databases", "embed": "embeds",
}

// Container reads a folder, whiteboard, database or embed (a smart link in the tree); its kind is the
// parent type in a page. It returns *NotFoundError when it is missing or hidden, ErrInvalidArgument for
// another kind.
func (c *Client) Container(ctx context.Context, kind, id string) (Container, error) {
	plural, ok := containers[kind]
	if !ok {
		return Container{}, fmt.Errorf("read container: kind %q: %w", kind, ErrInvalidArgument)
	}
	if !isID(id) {
		return Container{}, fmt.Errorf("read container: %s %w", kind, ErrInvalidID)
	}
	r := request{
		method: http.MethodGet, route: "/wiki/api/v2/" + plural + "/{id}", path: "/api/v2/" + plural + "/" + id,
		kind: kind, id: id,
	}
	var w struct {
		ID         string `json:"id"`
		Title      string `json:"title"`
		ParentID   string `json:"parentId"`
		ParentType string `json:"parentType"`
	}
	if err := c.get(ctx, r, &w); err != nil {
		return Container{}, err
	}
	if w.ID != id || w.ParentID != "" && !isID(w.ParentID) {
		return Container{}, c.malformed(r, &objectError{id, "a " + kind + " with invalid ids"})
	}
	return Container{ID: w.ID, Kind: kind, Title: plain(w.Title), ParentID: w.ParentID, ParentType: w.ParentType}, nil
}

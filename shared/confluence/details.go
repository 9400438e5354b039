package confluence

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// Label is a label of a page or blog post.
type Label struct {
	ID     string
	Name   string
	Prefix string // global, my, team, system
}

// Ancestor is a page or container above a page.
type Ancestor struct {
	ID   string
	Type string // page, folder, whiteboard, database, embed
}

// Labels lists a page's labels. It returns *NotFoundError when the page is missing or hidden.
func (c *Client) Labels(ctx context.Context, pageID string) iter.Seq2[Label, error] {
	return pages.labels(ctx, c, pageID)
}

// maxDepth limits the ancestors of a page; a longer chain is a cycle.
const maxDepth = 1000

// Ancestors reads the ancestors of a page, from the top down; it needs one call more than there are
// answers with rows. It returns *NotFoundError when the page is missing or hidden.
func (c *Client) Ancestors(ctx context.Context, pageID string) ([]Ancestor, error) {
	var above []Ancestor // from the top down
	from, kind := pageID, KindPage
	for {
		if !isID(from) {
			return nil, fmt.Errorf("read ancestors: page %w", ErrInvalidID)
		}
		plural := containers[kind]
		if kind == KindPage {
			plural = "pages"
		}
		r := request{
			method: http.MethodGet, route: "/wiki/api/v2/" + plural + "/{id}/ancestors",
			path:  "/api/v2/" + plural + "/" + from + "/ancestors",
			query: url.Values{"limit": {strconv.Itoa(maxLimit)}}, kind: kind, id: from,
		}
		part, err := c.ancestors(ctx, r)
		var missing *NotFoundError
		if errors.As(err, &missing) && from != pageID {
			// The missing object is not the page but one of its former ancestors.
			return nil, &ProtocolError{Exchange: missing.Exchange, ObjectID: pageID, Listing: true}
		}
		if err != nil {
			return nil, err
		}
		// There is no cursor: the list continues above its first row, which is the highest. A short
		// answer proves nothing; only an answer without rows proves the end.
		if len(part) == 0 {
			return above, nil
		}
		above = append(part, above...)
		if len(above) > maxDepth {
			return nil, &ProtocolError{
				Exchange: Exchange{Method: r.method, Route: r.route, Status: http.StatusOK, Reason: "too many ancestors"},
				ObjectID: pageID, Listing: true,
			}
		}
		from, kind = part[0].ID, part[0].Type
	}
}

func (c *Client) ancestors(ctx context.Context, r request) ([]Ancestor, error) {
	type wire struct {
		ID   string `json:"id"`
		Type string `json:"type"`
	}
	found, err := whole[wire](ctx, c, r)
	if err != nil {
		return nil, err
	}
	part := make([]Ancestor, 0, len(found))
	for _, w := range found {
		if !isID(w.ID) || w.Type != KindPage && containers[w.Type] == "" {
			return nil, c.malformed(r, &objectError{r.id, "an ancestor without a valid id or type"})
		}
		part = append(part, Ancestor(w))
	}
	return slices.Clip(part), nil
}

// ofPage is the request for a list that belongs to one page.
func ofPage(id, what string) request { return pages.partOf(id, what) }

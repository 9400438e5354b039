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
	"strings"
	"time"
)

// The kinds of objects that a NotFoundError names.
const (
	kindPage  = "page"
	kindSpace = "space"
)

// PageStub is a page as a light listing gives it: enough to tell whether it changed, moved or
// went.
type PageStub struct {
	ID         string
	Version    int
	Status     string // current, archived, trashed, deleted
	Title      string
	ParentID   string // "" for a page at the top, and for one in the trash
	ParentType string // page, folder, whiteboard, database, embed
	WebUI      string // the path that follows BaseURL; "" where Confluence gives none
	Subtype    string // "" or live
}

// Page is a page with its facts and, where it was asked for, its body.
type Page struct {
	PageStub
	SpaceID    string
	AuthorID   string    // account id of the creator
	CreatedAt  time.Time // UTC
	ModifiedAt time.Time // when this version was made, UTC
	Body       string    // in storage format; "" also when it was not asked for
	URL        string    // where a person reads the page, absolute

	Labels    []Label    // where GetPageByID was asked for them
	Ancestors []Ancestor // where GetPageByID was asked for them, from the top downwards
}

// PagesOptions says what PagesByID reads.
type PagesOptions struct {
	Body     bool     // the body in storage format
	Statuses []string // current, archived, trashed, deleted; none means current and archived
}

type wirePage struct {
	ID         string   `json:"id"`
	Status     string   `json:"status"`
	Title      string   `json:"title"`
	SpaceID    string   `json:"spaceId"`
	ParentID   string   `json:"parentId"`
	ParentType string   `json:"parentType"`
	Subtype    string   `json:"subtype"`
	AuthorID   string   `json:"authorId"`
	CreatedAt  wireTime `json:"createdAt"`
	Version    struct {
		Number    int      `json:"number"`
		CreatedAt wireTime `json:"createdAt"`
	} `json:"version"`
	Body  wireBody `json:"body"`
	Links struct {
		WebUI string `json:"webui"`
	} `json:"_links"`
}

type wireBody struct {
	Storage *struct {
		Value *string `json:"value"`
	} `json:"storage"`
}

func (b wireBody) storage() (string, bool) {
	if b.Storage == nil || b.Storage.Value == nil {
		return "", false
	}
	return *b.Storage.Value, true
}

func (w wirePage) stub() (PageStub, error) {
	switch {
	case !isID(w.ID):
		return PageStub{}, &objectError{"", "a page whose id is no string of digits"}
	case w.ParentID != "" && !isID(w.ParentID):
		return PageStub{}, &objectError{w.ID, "a page whose parent's id is no string of digits"}
	case w.Version.Number < 1:
		return PageStub{}, &objectError{w.ID, "a page without a version"}
	case w.Status == "":
		return PageStub{}, &objectError{w.ID, "a page without a status"}
	}
	return PageStub{
		ID: w.ID, Version: w.Version.Number, Status: w.Status, Title: w.Title,
		ParentID: w.ParentID, ParentType: w.ParentType, WebUI: w.Links.WebUI, Subtype: w.Subtype,
	}, nil
}

func (c *Client) page(w wirePage, body bool) (Page, error) {
	stub, err := w.stub()
	if err != nil {
		return Page{}, err
	}
	if !isID(w.SpaceID) {
		return Page{}, &objectError{w.ID, "a page whose space's id is no string of digits"}
	}
	p := Page{
		PageStub: stub, SpaceID: w.SpaceID, AuthorID: w.AuthorID,
		CreatedAt: w.CreatedAt.Time, ModifiedAt: w.Version.CreatedAt.Time, URL: c.pageURL(w.ID, w.Links.WebUI),
	}
	if body {
		var ok bool
		if p.Body, ok = w.Body.storage(); !ok {
			// Some pages come without the body that was asked for; that is not an empty page.
			return Page{}, &objectError{w.ID, "a page without the body that was asked for"}
		}
	}
	return p, nil
}

// pageURL is BaseURL and the page's path. The site's own address is taken, not the one an
// answer names, so that one client gives one address for a page.
func (c *Client) pageURL(id, webUI string) string {
	if !strings.HasPrefix(webUI, "/") {
		webUI = "/pages/viewpage.action?pageId=" + id
	}
	return c.BaseURL() + webUI
}

// GetSpacePageIDs lists every current and archived page of a space, without bodies: the full
// listing that proves what a space holds. It returns *NotFoundError when the space is unknown
// or hidden. A page that is changed during the walk may come twice.
func (c *Client) GetSpacePageIDs(ctx context.Context, spaceKey string) iter.Seq2[PageStub, error] {
	return func(yield func(PageStub, error) bool) {
		space, err := c.SpaceByKey(ctx, spaceKey)
		if err != nil {
			yield(PageStub{}, err)
			return
		}
		c.SpacePages(ctx, space.ID)(yield)
	}
}

// SpacePages is GetSpacePageIDs by the space's id.
func (c *Client) SpacePages(ctx context.Context, spaceID string) iter.Seq2[PageStub, error] {
	if !isID(spaceID) {
		return fail[PageStub](fmt.Errorf("list pages: space %w", ErrInvalidID))
	}
	l := listing{limit: maxLimit, request: request{
		method: http.MethodGet, route: "/wiki/api/v2/spaces/{id}/pages", path: "/api/v2/spaces/" + spaceID + "/pages",
		// By id, so that pages which are changed during the walk keep their places.
		query: url.Values{"status": {"current,archived"}, "sort": {"id"}},
		kind:  kindSpace, id: spaceID,
	}}
	return list(ctx, c, l, wirePage.stub)
}

// PagesByID reads pages in bulk, 250 a call. What the answer leaves out is missing, hidden
// or has another status than those asked for. What is too much for one answer is asked for in
// parts. It returns *ProtocolError, naming the page in ObjectID, when a body was asked for and
// is not there, or is too large by itself.
func (c *Client) PagesByID(ctx context.Context, ids []string, o PagesOptions) ([]Page, error) {
	for _, id := range ids {
		if !isID(id) {
			return nil, fmt.Errorf("read pages: page %w", ErrInvalidID)
		}
	}
	pages := make([]Page, 0, len(ids))
	for batch := range slices.Chunk(ids, maxLimit) {
		found, err := c.pagesOrHalves(ctx, batch, o)
		if err != nil {
			return nil, err
		}
		pages = append(pages, found...)
	}
	return pages, nil
}

// pagesOrHalves asks for half as many pages where their bodies are too much for one answer.
func (c *Client) pagesOrHalves(ctx context.Context, ids []string, o PagesOptions) ([]Page, error) {
	pages, err := c.pagesByID(ctx, ids, o)
	var bad *ProtocolError
	if !errors.As(err, &bad) || !bad.tooLarge {
		return pages, err
	}
	if len(ids) == 1 {
		bad.ObjectID = ids[0]
		return nil, err
	}
	first, err := c.pagesOrHalves(ctx, ids[:len(ids)/2], o)
	if err != nil {
		return nil, err
	}
	second, err := c.pagesOrHalves(ctx, ids[len(ids)/2:], o)
	return append(first, second...), err
}

func (c *Client) pagesByID(ctx context.Context, ids []string, o PagesOptions) ([]Page, error) {
	query := url.Values{"id": {strings.Join(ids, ",")}}
	if len(o.Statuses) > 0 {
		query.Set("status", strings.Join(o.Statuses, ","))
	}
	if o.Body {
		query.Set("body-format", "storage")
	}
	asked := make(map[string]bool, len(ids))
	for _, id := range ids {
		asked[id] = true
	}
	l := listing{limit: maxLimit, request: request{
		method: http.MethodGet, route: "/wiki/api/v2/pages", path: "/api/v2/pages", query: query,
	}}
	var pages []Page
	for p, err := range list(ctx, c, l, func(w wirePage) (Page, error) {
		// A filter that a server passes over would hand us its whole site.
		if isID(w.ID) && !asked[w.ID] {
			return Page{}, &objectError{w.ID, "a page that was not asked for"}
		}
		return c.page(w, o.Body)
	}) {
		if err != nil {
			return nil, err
		}
		pages = append(pages, p)
	}
	return pages, nil
}

// GetPageByID reads one page, whatever its status; a page in the trash is still found. The
// expand is a comma-separated list of body (or body.storage), labels (or metadata.labels) and
// ancestors; version and space are always there. It returns *NotFoundError when the page is
// missing or hidden.
func (c *Client) GetPageByID(ctx context.Context, id, expand string) (Page, error) {
	if !isID(id) {
		return Page{}, fmt.Errorf("read page: page %w", ErrInvalidID)
	}
	want, err := pageExpand(expand)
	if err != nil {
		return Page{}, err
	}
	r := request{
		method: http.MethodGet, route: "/wiki/api/v2/pages/{id}", path: "/api/v2/pages/" + id,
		query: url.Values{}, kind: kindPage, id: id,
	}
	if want["body"] {
		r.query.Set("body-format", "storage")
	}
	var w wirePage
	if err := c.get(ctx, r, &w); err != nil {
		return Page{}, err
	}
	p, err := c.page(w, want["body"])
	if err == nil && p.ID != id {
		err = &objectError{id, "a page that was not asked for"}
	}
	if err != nil {
		return Page{}, c.malformed(r, err)
	}
	if want["labels"] {
		if p.Labels, err = collect(c.Labels(ctx, id)); err != nil {
			return Page{}, err
		}
	}
	if want["ancestors"] {
		if p.Ancestors, err = c.Ancestors(ctx, id); err != nil {
			return Page{}, err
		}
	}
	return p, nil
}

// pageExpand takes v2's words and those of v1 that mean the same.
func pageExpand(expand string) (map[string]bool, error) {
	want := map[string]bool{}
	for _, word := range strings.Split(expand, ",") {
		switch word = strings.TrimSpace(word); word {
		case "", "version", "space":
		case "body", "body.storage":
			want["body"] = true
		case "labels", "metadata.labels":
			want["labels"] = true
		case "ancestors":
			want["ancestors"] = true
		default:
			return nil, fmt.Errorf("read page: expand %s: %w", strconv.Quote(word), ErrInvalidArgument)
		}
	}
	return want, nil
}

// fail is a listing that could not begin.
func fail[T any](err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		yield(none, err)
	}
}

// collect reads a listing whole, for those that are small.
func collect[T any](seq iter.Seq2[T, error]) ([]T, error) {
	all := []T{}
	for v, err := range seq {
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

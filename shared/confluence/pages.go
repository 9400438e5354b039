package confluence

import (
	"context"
	"iter"
	"strings"
	"time"
)

// PageStub is a page or blog post from a light listing: enough to tell whether it changed, moved or
// disappeared.
type PageStub struct {
	ID         string
	Kind       string    // KindPage or KindBlogPost
	Version    int       // may fall and be reused for another text when people delete old versions: see ModifiedAt
	ModifiedAt time.Time // when this version was made, UTC
	Status     string    // current, archived, trashed, deleted
	Title      string
	ParentID   string // "" for a page at the top, for one in the trash, and for a blog post
	ParentType string // page, folder, whiteboard, database, embed
	WebUI      string // the path that follows BaseURL; "" if Confluence gives none
	Subtype    string // "" or live
}

// Page is a page or blog post with its facts and, if requested, its body.
type Page struct {
	PageStub
	SpaceID   string
	AuthorID  string    // account id of the creator
	CreatedAt time.Time // UTC
	Body      string    // in storage format; "" also when it was not requested
	URL       string    // where a person reads the page, absolute

	Labels    []Label    // if a read of one page requested them
	Ancestors []Ancestor // if a read of one page requested them, from the top down
}

// PagesOptions says what PagesByID and BlogPostsByID read.
type PagesOptions struct {
	Body     bool     // the body in storage format
	Statuses []string // current, archived, trashed, deleted; empty means those of a listing
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
	return plain(*b.Storage.Value), true
}

// pageURL is BaseURL and the page's path. It uses the configured address, not the address in an answer,
// so that one client returns one address for a page.
func (c *Client) pageURL(id, webUI string) string {
	if !strings.HasPrefix(webUI, "/") {
		webUI = "/pages/viewpage.action?pageId=" + id
	}
	return c.BaseURL() + webUI
}

// GetSpacePageIDs lists every current and archived page of a space, without bodies: the full listing
// that proves a space's content. It returns *NotFoundError when the space is unknown or hidden. A page
// that changes during the walk may appear twice. An unusable row is a *RowError, after which the listing
// continues.
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

// SpacePages is GetSpacePageIDs with the space's id.
func (c *Client) SpacePages(ctx context.Context, spaceID string) iter.Seq2[PageStub, error] {
	return pages.inSpace(ctx, c, spaceID)
}

// PagesByID reads pages in bulk, 250 per call. A page that the answer omits is missing, hidden or has a
// status that was not requested. Pages that are too large for one answer are requested in parts. It
// returns *ProtocolError, with the page in ObjectID, when a requested body is missing or is too large
// alone.
func (c *Client) PagesByID(ctx context.Context, ids []string, o PagesOptions) ([]Page, error) {
	return pages.byID(ctx, c, ids, o)
}

// GetPageByID reads one page, whatever its status; it finds trashed pages too. The expand is a
// comma-separated list of body (or body.storage), labels (or metadata.labels) and ancestors; version and
// space are always included. It returns *NotFoundError when the page is missing or hidden.
func (c *Client) GetPageByID(ctx context.Context, id, expand string) (Page, error) {
	return pages.one(ctx, c, id, expand)
}

// SpaceBlogPosts lists every current blog post of a space, as SpacePages lists its pages. Blog posts are
// never archived.
func (c *Client) SpaceBlogPosts(ctx context.Context, spaceID string) iter.Seq2[PageStub, error] {
	return blogPosts.inSpace(ctx, c, spaceID)
}

// BlogPostsByID is PagesByID for blog posts. It omits the status archived: Confluence rejects a request
// for a status that a blog post cannot have.
func (c *Client) BlogPostsByID(ctx context.Context, ids []string, o PagesOptions) ([]Page, error) {
	return blogPosts.byID(ctx, c, ids, o)
}

// GetBlogPostByID is GetPageByID for a blog post, which never has ancestors.
func (c *Client) GetBlogPostByID(ctx context.Context, id, expand string) (Page, error) {
	return blogPosts.one(ctx, c, id, expand)
}

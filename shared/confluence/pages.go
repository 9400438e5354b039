package confluence

import (
	"context"
	"iter"
	"strings"
	"time"
)

// PageStub is a page or blog post as a light listing gives it: enough to tell whether it
// changed, moved or went.
type PageStub struct {
	ID         string
	Kind       string    // KindPage or KindBlogPost
	Version    int       // falls, and comes again with other text, when people delete old versions: see ModifiedAt
	ModifiedAt time.Time // when this version was made, UTC
	Status     string    // current, archived, trashed, deleted
	Title      string
	ParentID   string // "" for a page at the top, for one in the trash, and for a blog post
	ParentType string // page, folder, whiteboard, database, embed
	WebUI      string // the path that follows BaseURL; "" where Confluence gives none
	Subtype    string // "" or live
}

// Page is a page or blog post with its facts and, where it was asked for, its body.
type Page struct {
	PageStub
	SpaceID   string
	AuthorID  string    // account id of the creator
	CreatedAt time.Time // UTC
	Body      string    // in storage format; "" also when it was not asked for
	URL       string    // where a person reads the page, absolute

	Labels    []Label    // where a read of one was asked for them
	Ancestors []Ancestor // where a read of one was asked for them, from the top downwards
}

// PagesOptions says what PagesByID and BlogPostsByID read.
type PagesOptions struct {
	Body     bool     // the body in storage format
	Statuses []string // current, archived, trashed, deleted; none means those that a listing shows
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
// or hidden. A page that is changed during the walk may come twice. A page whose row is no use is
// a *RowError, after which the listing goes on.
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
	return pages.inSpace(ctx, c, spaceID)
}

// PagesByID reads pages in bulk, 250 a call. What the answer leaves out is missing, hidden
// or has another status than those asked for. What is too much for one answer is asked for in
// parts. It returns *ProtocolError, naming the page in ObjectID, when a body was asked for and
// is not there, or is too large by itself.
func (c *Client) PagesByID(ctx context.Context, ids []string, o PagesOptions) ([]Page, error) {
	return pages.byID(ctx, c, ids, o)
}

// GetPageByID reads one page, whatever its status; a page in the trash is still found. The
// expand is a comma-separated list of body (or body.storage), labels (or metadata.labels) and
// ancestors; version and space are always there. It returns *NotFoundError when the page is
// missing or hidden.
func (c *Client) GetPageByID(ctx context.Context, id, expand string) (Page, error) {
	return pages.one(ctx, c, id, expand)
}

// SpaceBlogPosts lists every current blog post of a space, as SpacePages lists its pages.
// Blog posts are never archived.
func (c *Client) SpaceBlogPosts(ctx context.Context, spaceID string) iter.Seq2[PageStub, error] {
	return blogPosts.inSpace(ctx, c, spaceID)
}

// BlogPostsByID is PagesByID for blog posts. Of the statuses archived is left out: Confluence
// refuses to be asked for what a blog post cannot be.
func (c *Client) BlogPostsByID(ctx context.Context, ids []string, o PagesOptions) ([]Page, error) {
	return blogPosts.byID(ctx, c, ids, o)
}

// GetBlogPostByID is GetPageByID for a blog post, which never has ancestors.
func (c *Client) GetBlogPostByID(ctx context.Context, id, expand string) (Page, error) {
	return blogPosts.one(ctx, c, id, expand)
}

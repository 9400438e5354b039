package confluence

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Attachment is a file of a page or blog post.
type Attachment struct {
	ID         string // att and digits
	Status     string // current, trashed, …
	Title      string // the file's name
	PageID     string // of the page that it is on
	BlogPostID string // of the blog post that it is on, in place of PageID
	MediaType  string
	FileID     string // of the bytes, on the media host
	FileSize   int64  // bytes
	AuthorID   string // of this version
	CreatedAt  time.Time
	ModifiedAt time.Time // when this version was made
	Version    int
	URL        string // where a person sees it, absolute
}

type wireAttachment struct {
	ID         string   `json:"id"`
	Status     string   `json:"status"`
	Title      string   `json:"title"`
	CreatedAt  wireTime `json:"createdAt"`
	PageID     string   `json:"pageId"`
	BlogPostID string   `json:"blogPostId"`
	MediaType  string   `json:"mediaType"`
	FileID     string   `json:"fileId"`
	FileSize   int64    `json:"fileSize"`
	WebUI      string   `json:"webuiLink"`
	Version    struct {
		Number    int      `json:"number"`
		AuthorID  string   `json:"authorId"`
		CreatedAt wireTime `json:"createdAt"`
	} `json:"version"`
}

// check returns what makes an attachment unusable.
func (w wireAttachment) check() error {
	switch {
	case !isAttachmentID(w.ID):
		return &objectError{"", "an attachment without a valid id"}
	case w.PageID != "" && !isID(w.PageID), w.BlogPostID != "" && !isID(w.BlogPostID):
		return &objectError{w.ID, "an attachment with invalid ids"}
	case w.Title == "":
		return &objectError{w.ID, "an attachment without a name"}
	case w.Version.Number < 1 || w.Version.Number > math.MaxInt32:
		return &objectError{w.ID, "an attachment without a usable version"}
	case w.FileSize < 0:
		return &objectError{w.ID, "an attachment of less than no bytes"}
	}
	return nil
}

func isAttachmentID(id string) bool {
	digits, ok := strings.CutPrefix(id, "att")
	return ok && isID(digits)
}

func (w wireAttachment) attachment(c *Client) Attachment {
	a := Attachment{
		ID: w.ID, Status: w.Status, Title: plain(w.Title), PageID: w.PageID, BlogPostID: w.BlogPostID, MediaType: plain(w.MediaType),
		FileID: plain(w.FileID), FileSize: w.FileSize, AuthorID: w.Version.AuthorID, CreatedAt: w.CreatedAt.Time, ModifiedAt: w.Version.CreatedAt.Time,
		Version: w.Version.Number,
	}
	on := cmp.Or(a.PageID, a.BlogPostID)
	a.URL = c.BaseURL() + "/pages/viewpageattachments.action?pageId=" + on
	if strings.HasPrefix(w.WebUI, "/") {
		a.URL = c.BaseURL() + w.WebUI
	}
	return a
}

// Attachments lists a page's files, without their content. It returns *NotFoundError when the
// page is missing or hidden.
func (c *Client) Attachments(ctx context.Context, pageID string) iter.Seq2[Attachment, error] {
	if !isID(pageID) {
		return fail[Attachment](fmt.Errorf("list attachments: page %w", ErrInvalidID))
	}
	return c.attachments(ctx, listing{limit: maxLimit, rows: KindAttachment, request: ofPage(pageID, "attachments")})
}

// SiteAttachments lists all files that the account can see on the whole site, without their content: Confluence has no such list
// for a space. They are in the order of their creation, so that a file that is added during the walk comes last.
func (c *Client) SiteAttachments(ctx context.Context) iter.Seq2[Attachment, error] {
	return c.attachments(ctx, listing{limit: maxLimit, rows: KindAttachment, empty: mostUnseen, request: request{
		method: http.MethodGet, route: "/wiki/api/v2/attachments", path: "/api/v2/attachments",
		query: url.Values{"sort": {"created-date"}, "status": {"current"}},
	}})
}

func (c *Client) attachments(ctx context.Context, l listing) iter.Seq2[Attachment, error] {
	return list(ctx, c, l, func(w wireAttachment) (Attachment, error) {
		if err := w.check(); err != nil {
			if on := cmp.Or(w.PageID, w.BlogPostID); isID(on) {
				err = &placedError{err, on}
			}
			return Attachment{}, err
		}
		return w.attachment(c), nil
	})
}

// Attachment reads what is known of one file, whatever its status. It returns *NotFoundError when the file is missing or
// hidden.
func (c *Client) Attachment(ctx context.Context, id string) (Attachment, error) {
	if !isAttachmentID(id) {
		return Attachment{}, fmt.Errorf("read attachment: attachment %w", ErrInvalidID)
	}
	r := request{
		method: http.MethodGet, route: "/wiki/api/v2/attachments/{id}", path: "/api/v2/attachments/" + id, kind: KindAttachment, id: id,
	}
	var w wireAttachment
	if err := c.get(ctx, r, &w); err != nil {
		return Attachment{}, err
	}
	err := w.check()
	if err == nil && w.ID != id {
		err = &objectError{id, "an attachment that was not requested"}
	}
	if err != nil {
		return Attachment{}, c.malformed(r, err)
	}
	return w.attachment(c), nil
}

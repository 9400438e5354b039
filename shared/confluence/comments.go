package confluence

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// CommentKind is the position of a comment.
type CommentKind string

// The kinds of comments.
const (
	Footer CommentKind = "footer" // below the page
	Inline CommentKind = "inline" // beside a part of its text
)

// Comment is a comment on a page or blog post, or a reply to one.
type Comment struct {
	ID         string
	Kind       CommentKind
	Status     string // current, trashed, deleted
	Title      string // as Confluence makes it of what it is on
	PageID     string // of the page that it is on; "" in a list of replies
	BlogPostID string // of the blog post that it is on, in place of PageID
	ParentID   string // the comment that this replies to; "" for a comment on the page
	AuthorID   string // of this version
	ModifiedAt time.Time
	Version    int
	Body       string // in storage format; "" where it was not requested
	URL        string // where a person reads it, absolute

	// Of inline comments only.
	Resolution string // open, reopened, resolved, dangling
	Selection  string // the text that was marked
}

type wireComment struct {
	ID         string `json:"id"`
	Status     string `json:"status"`
	Title      string `json:"title"`
	PageID     string `json:"pageId"`
	BlogPostID string `json:"blogPostId"`
	ParentID   string `json:"parentCommentId"`
	Version    struct {
		Number    int      `json:"number"`
		AuthorID  string   `json:"authorId"`
		CreatedAt wireTime `json:"createdAt"`
	} `json:"version"`
	Body       wireBody `json:"body"`
	Resolution string   `json:"resolutionStatus"`
	Properties struct {
		Selection string `json:"inlineOriginalSelection"`
	} `json:"properties"`
	Links struct {
		WebUI string `json:"webui"`
	} `json:"_links"`
}

// LongestThread is how many comments of one thread are read: each costs a call.
const LongestThread = 1000

// ErrThreadTooLong is in the chain of an error of Thread when the thread has more comments, or larger ones, than are read.
var ErrThreadTooLong = errors.New("the thread of comments is too long")

// thread is a thread that is being read.
type thread struct {
	*Client
	kind CommentKind
	read []Comment
	size int // of the bodies, in bytes
}

func (t *thread) add(c Comment) error {
	t.read = append(t.read, c)
	if t.size += len(c.Body); t.size > mostHeld || len(t.read) > LongestThread {
		return fmt.Errorf("read comment %s: %w: more than %d comments or %d bytes", t.read[0].ID, ErrThreadTooLong, LongestThread, mostHeld)
	}
	return nil
}

// below reads the replies to a comment, each followed by the replies to it.
func (t *thread) below(ctx context.Context, parent string) error {
	for w, err := range list(ctx, t.Client, repliesTo(t.kind, parent), wireComment.check) {
		var gone *NotFoundError
		if errors.As(err, &gone) && parent != t.read[0].ID {
			return nil // a reply that was deleted a moment ago has none; without the first comment there is no thread
		}
		if err == nil && slices.ContainsFunc(t.read, func(c Comment) bool { return c.ID == w.ID }) {
			err = t.malformed(repliesTo(t.kind, parent).request, &objectError{parent, "a reply that the thread has already"})
		}
		if err == nil {
			err = t.add(w.comment(t.Client, t.kind, parent))
		}
		if err == nil {
			err = t.below(ctx, w.ID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// repliesTo lists the direct replies to a comment.
func repliesTo(kind CommentKind, id string) listing {
	return listing{limit: maxLimit, request: request{
		method: http.MethodGet, route: "/wiki/api/v2/" + string(kind) + "-comments/{id}/children",
		path:  "/api/v2/" + string(kind) + "-comments/" + id + "/children",
		query: url.Values{"body-format": {"storage"}}, kind: KindComment, id: id,
	}}
}

// mostUnseen limits consecutive answers without a comment that the account sees: a site can have many that it does not.
const mostUnseen = 1000

// SiteComments lists all comments of one kind that the account can see on the whole site, replies included, without
// their bodies: Confluence has no such list for a space. They are in the order of their creation, so that a
// comment that is made during the walk comes last.
func (c *Client) SiteComments(ctx context.Context, kind CommentKind) iter.Seq2[Comment, error] {
	if kind != Footer && kind != Inline {
		return fail[Comment](fmt.Errorf("list comments: kind %q: %w", string(kind), ErrInvalidArgument))
	}
	l := listing{limit: maxLimit, rows: KindComment, empty: mostUnseen, request: request{
		method: http.MethodGet, route: "/wiki/api/v2/" + string(kind) + "-comments", path: "/api/v2/" + string(kind) + "-comments",
		query: url.Values{"sort": {"created-date"}},
	}}
	return list(ctx, c, l, func(w wireComment) (Comment, error) {
		if err := w.named(); err != nil {
			if on := cmp.Or(w.PageID, w.BlogPostID); isID(on) {
				err = &placedError{err, on}
			}
			return Comment{}, err
		}
		return w.comment(c, kind, w.ParentID), nil
	})
}

// Comment reads one comment without its body, whatever its kind and status. It returns *NotFoundError when the comment
// is missing or hidden.
func (c *Client) Comment(ctx context.Context, id string) (Comment, error) {
	return c.oneComment(ctx, id, url.Values{})
}

// oneComment asks for a footer comment first: an id does not give its kind away.
func (c *Client) oneComment(ctx context.Context, id string, query url.Values) (Comment, error) {
	if !isID(id) {
		return Comment{}, fmt.Errorf("read comment: comment %w", ErrInvalidID)
	}
	var missing *NotFoundError
	for _, kind := range []CommentKind{Footer, Inline} {
		r := request{
			method: http.MethodGet, route: "/wiki/api/v2/" + string(kind) + "-comments/{id}",
			path: "/api/v2/" + string(kind) + "-comments/" + id, query: query, kind: KindComment, id: id,
		}
		var w wireComment
		err := c.get(ctx, r, &w)
		if kind == Footer && errors.As(err, &missing) {
			continue
		}
		if err != nil {
			return Comment{}, err
		}
		if err = w.named(); err == nil && w.ID != id {
			err = &objectError{id, "a comment that was not requested"}
		}
		if err == nil && query.Has("body-format") {
			_, err = w.check()
		}
		if err != nil {
			return Comment{}, c.malformed(r, err)
		}
		return w.comment(c, kind, w.ParentID), nil
	}
	return Comment{}, missing
}

// CommentAuthor returns the account that wrote the first version of a comment: the author of a later one may only have
// edited or resolved it. It returns *NotFoundError when that version is missing or hidden.
func (c *Client) CommentAuthor(ctx context.Context, kind CommentKind, id string) (string, error) {
	if !isID(id) {
		return "", fmt.Errorf("read who wrote a comment: comment %w", ErrInvalidID)
	}
	r := request{
		method: http.MethodGet, route: "/wiki/api/v2/" + string(kind) + "-comments/{id}/versions/{version-number}",
		path: "/api/v2/" + string(kind) + "-comments/" + id + "/versions/1", kind: KindComment, id: id,
	}
	var w struct {
		Number   int    `json:"number"`
		AuthorID string `json:"authorId"`
	}
	if err := c.get(ctx, r, &w); err != nil {
		return "", err
	}
	if w.Number != 1 {
		return "", c.malformed(r, &objectError{id, "another version than the first"})
	}
	return w.AuthorID, nil
}

// Thread reads a comment with its body and all replies below it, each comment followed by its replies. A comment without
// replies costs two calls, or three if it is inline, and each reply one more. It returns *NotFoundError when the comment is missing
// or hidden, *ProtocolError, with the comment in ObjectID, when a comment is unusable, and ErrThreadTooLong.
func (c *Client) Thread(ctx context.Context, id string) ([]Comment, error) {
	first, err := c.oneComment(ctx, id, url.Values{"body-format": {"storage"}})
	if err != nil {
		return nil, err
	}
	t := thread{Client: c, kind: first.Kind}
	if err = t.add(first); err == nil {
		err = t.below(ctx, id)
	}
	if err != nil {
		return nil, err
	}
	return t.read, nil
}

// named returns what makes a comment unusable even without its body.
func (w wireComment) named() error {
	switch {
	case !isID(w.ID):
		return &objectError{"", "a comment whose id is not a string of digits"}
	case w.PageID != "" && !isID(w.PageID), w.BlogPostID != "" && !isID(w.BlogPostID), w.ParentID != "" && !isID(w.ParentID):
		return &objectError{w.ID, "a comment with invalid ids"}
	case w.Version.Number < 1:
		return &objectError{w.ID, "a comment without a version"}
	}
	return nil
}

func (w wireComment) check() (wireComment, error) {
	if !isID(w.ID) {
		return w, &objectError{"", "a comment whose id is not a string of digits"}
	}
	if _, ok := w.Body.storage(); !ok {
		return w, &objectError{w.ID, "a comment without the requested body"}
	}
	return w, nil
}

func (w wireComment) comment(c *Client, kind CommentKind, parent string) Comment {
	body, _ := w.Body.storage()
	return Comment{
		ID: w.ID, Kind: kind, Status: w.Status, Title: plain(w.Title), PageID: w.PageID, BlogPostID: w.BlogPostID, ParentID: parent,
		AuthorID: w.Version.AuthorID, ModifiedAt: w.Version.CreatedAt.Time, Version: w.Version.Number, Body: body,
		URL:        c.commentURL(w.Links.WebUI, w.ID, w.PageID, w.BlogPostID),
		Resolution: w.Resolution, Selection: plain(w.Properties.Selection),
	}
}

// commentURL is the address at which Confluence shows a comment. Without one, it is made of what the comment is on.
func (c *Client) commentURL(webUI, id, pageID, blogPostID string) string {
	if strings.HasPrefix(webUI, "/") && strings.Contains(webUI, "ocusedCommentId="+id) {
		return c.BaseURL() + webUI
	}
	return c.BaseURL() + "/pages/viewpage.action?pageId=" + pageID + blogPostID + "&focusedCommentId=" + id
}

// CommentHit is a comment that a search found. As for every search, it is a hint.
type CommentHit struct {
	ID         string
	Version    int
	Title      string
	Resolution string   // of an inline comment; "" if Confluence omits it
	Above      []string // ids of the comments that it replies to, the first of the thread first
	Nested     bool     // whether Confluence said what it replies to; false makes Above mean nothing
}

// SearchComments reads all comments that the query finds, which should be limited to comments. An unusable row is a *RowError,
// after which the search continues.
func (c *Client) SearchComments(ctx context.Context, cql CQL) iter.Seq2[CommentHit, error] {
	text, err := cql.Text()
	if err != nil {
		return fail[CommentHit](fmt.Errorf("search comments: %w", err))
	}
	type row struct {
		ID      string `json:"id"`
		Title   string `json:"title"`
		Version struct {
			Number int `json:"number"`
		} `json:"version"`
		Extensions struct {
			Resolution struct {
				Status string `json:"status"`
			} `json:"resolution"`
		} `json:"extensions"`
		Ancestors *[]struct {
			ID   string `json:"id"`
			Type string `json:"type"`
		} `json:"ancestors"`
	}
	l := listing{limit: maxLimit, rows: KindComment, request: request{
		method: http.MethodGet, route: "/wiki/rest/api/content/search", path: "/rest/api/content/search",
		query: url.Values{"cql": {text}, "expand": {"version,ancestors,extensions.resolution"}},
	}}
	return list(ctx, c, l, func(w row) (CommentHit, error) {
		switch {
		case !isID(w.ID):
			return CommentHit{}, &objectError{"", "a comment whose id is not a string of digits"}
		case w.Version.Number < 1:
			return CommentHit{}, &objectError{w.ID, "a comment without the requested version"}
		}
		hit := CommentHit{ID: w.ID, Version: w.Version.Number, Title: plain(w.Title), Resolution: w.Extensions.Resolution.Status, Nested: w.Ancestors != nil}
		if w.Ancestors != nil {
			for _, a := range *w.Ancestors {
				if !isID(a.ID) {
					return CommentHit{}, &objectError{w.ID, "a comment with invalid ids"}
				}
				if a.Type == KindComment || a.Type == "" {
					hit.Above = append(hit.Above, a.ID)
				}
			}
		}
		return hit, nil
	})
}

package confluence

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// CommentKind is the position of a comment.
type CommentKind string

// The kinds of comments.
const (
	Footer CommentKind = "footer" // below the page
	Inline CommentKind = "inline" // beside a part of its text
)

// Comment is a comment on a page, or a reply to one.
type Comment struct {
	ID         string
	Kind       CommentKind
	Status     string
	ParentID   string // the comment that this replies to; "" for a comment on the page
	AuthorID   string // of this version
	ModifiedAt time.Time
	Version    int
	Body       string // in storage format

	// Of inline comments only.
	Resolution string // open, reopened, resolved, dangling
	MarkerRef  string // the ac:ref of the ac:inline-comment-marker in the page's body
	Selection  string // the text that was marked
}

type wireComment struct {
	ID      string `json:"id"`
	Status  string `json:"status"`
	Version struct {
		Number    int      `json:"number"`
		AuthorID  string   `json:"authorId"`
		CreatedAt wireTime `json:"createdAt"`
	} `json:"version"`
	Body       wireBody `json:"body"`
	Resolution string   `json:"resolutionStatus"`
	Properties struct {
		MarkerRef string `json:"inlineMarkerRef"`
		Selection string `json:"inlineOriginalSelection"`
	} `json:"properties"`
}

// Comments lists a page's comments of one kind, each followed by its replies. Every comment costs one
// more call for the replies. It returns *NotFoundError when the page is missing or hidden.
func (c *Client) Comments(ctx context.Context, pageID string, kind CommentKind) iter.Seq2[Comment, error] {
	if !isID(pageID) || kind != Footer && kind != Inline {
		return fail[Comment](fmt.Errorf("list comments: page or kind %q: %w", string(kind), ErrInvalidID))
	}
	r := ofPage(pageID, string(kind)+"-comments")
	r.query = url.Values{"body-format": {"storage"}}
	return func(yield func(Comment, error) bool) {
		c.thread(ctx, listing{limit: maxLimit, request: r}, kind, "", 0, yield)
	}
}

// maxReplies limits the nesting of replies; Confluence shows far fewer levels.
const maxReplies = 50

// thread yields the comments of a list, each followed by its replies; false when the reader or an error
// ended it.
func (c *Client) thread(ctx context.Context, l listing, kind CommentKind, parent string, depth int, yield func(Comment, error) bool) bool {
	if depth > maxReplies {
		yield(Comment{}, c.malformed(l.request, &objectError{parent, "replies that nest too deep"}))
		return false
	}
	for w, err := range list(ctx, c, l, wireComment.check) {
		if isRowError(err) {
			if !yield(Comment{}, err) {
				return false
			}
			continue
		}
		if err != nil {
			yield(Comment{}, err)
			return false
		}
		if !yield(w.comment(kind, parent), nil) {
			return false
		}
		replies := listing{limit: maxLimit, request: request{
			method: http.MethodGet, route: "/wiki/api/v2/" + string(kind) + "-comments/{id}/children",
			path:  "/api/v2/" + string(kind) + "-comments/" + w.ID + "/children",
			query: url.Values{"body-format": {"storage"}}, kind: "comment", id: w.ID,
		}}
		if !c.thread(ctx, replies, kind, w.ID, depth+1, yield) {
			return false
		}
	}
	return true
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

func (w wireComment) comment(kind CommentKind, parent string) Comment {
	body, _ := w.Body.storage()
	return Comment{
		ID: w.ID, Kind: kind, Status: w.Status, ParentID: parent,
		AuthorID: w.Version.AuthorID, ModifiedAt: w.Version.CreatedAt.Time, Version: w.Version.Number, Body: body,
		Resolution: w.Resolution, MarkerRef: w.Properties.MarkerRef, Selection: w.Properties.Selection,
	}
}

package sandbox

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

func (s *Site) v2Comments() map[string]http.HandlerFunc {
	routes := map[string]http.HandlerFunc{}
	for name, inline := range map[string]bool{"footer-comments": false, "inline-comments": true} {
		routes["GET /wiki/api/v2/"+name] = s.allComments(inline)
		routes["GET /wiki/api/v2/"+name+"/{id}"] = s.getComment(inline)
		routes["GET /wiki/api/v2/"+name+"/{id}/children"] = s.replies(inline)
		routes["GET /wiki/api/v2/"+name+"/{id}/versions/{number}"] = s.commentVersion(inline)
		for _, kind := range []string{"pages", "blogposts"} {
			routes["GET /wiki/api/v2/"+kind+"/{id}/"+name] = s.commentsOn(inline)
		}
	}
	return routes
}

type commentDTO struct {
	ID         string             `json:"id"`
	Status     string             `json:"status"`
	Title      string             `json:"title"`
	PageID     string             `json:"pageId,omitempty"`
	BlogPostID string             `json:"blogPostId,omitempty"`
	ParentID   string             `json:"parentCommentId,omitempty"`
	Version    *versionDTO        `json:"version"`
	Body       map[string]bodyDTO `json:"body"`
	Resolution string             `json:"resolutionStatus,omitempty"`
	SettledAt  *stamp             `json:"resolutionLastModifiedAt,omitempty"`
	SettledBy  string             `json:"resolutionLastModifierId,omitempty"`
	Properties map[string]string  `json:"properties,omitempty"`
	Links      map[string]string  `json:"_links"`
}

// commentOut is a comment as the route of lists shows it: what it is on, or what it replies to. whole adds what only the
// comment's own route and the lists of all comments have.
func commentOut(c *Comment, format string, whole bool) commentDTO {
	d := commentDTO{
		ID: c.ID, Status: current, Title: "Re: " + c.on.rev.title, Body: map[string]bodyDTO{},
		Version: versionOut(revision{number: c.version, at: c.changed, author: c.by(c.version)}),
		Links:   map[string]string{"webui": webPath(c.on) + "?focusedCommentId=" + c.ID},
	}
	if c.trashed {
		d.Status = trashed
	}
	if whole || c.ParentID == "" {
		if c.on.kind == KindBlogPost {
			d.BlogPostID = formatID(c.on.id)
		} else {
			d.PageID = formatID(c.on.id)
		}
	}
	d.ParentID = c.ParentID
	if c.Inline {
		d.Resolution = c.resolution()
		d.Properties = map[string]string{"inlineMarkerRef": c.MarkerRef, "inlineOriginalSelection": c.Selection}
		if at := stamp(c.settled); whole && !c.settled.IsZero() {
			d.SettledAt, d.SettledBy = &at, c.settler
		}
	}
	if format == "storage" {
		d.Body[format] = bodyDTO{format, c.Body}
	}
	return d
}

// commentQuery is a request for a list of comments.
type commentQuery struct {
	limit      int
	field      string
	down       bool
	after      *place
	format     string
	resolution []string
}

func readCommentQuery(q url.Values) (commentQuery, error) {
	limit, err := limitOf(q, 25, 250)
	if err != nil {
		return commentQuery{}, err
	}
	out := commentQuery{limit: limit, format: q.Get("body-format"), resolution: csv(q, "resolution-status")}
	order := cmpOr(q.Get("sort"), "created-date")
	out.field, out.down = strings.CutPrefix(order, "-")
	if out.field != "created-date" && out.field != "modified-date" {
		return commentQuery{}, refuse("Invalid sort %q", order)
	}
	if !slices.Contains([]string{"", "storage", "atlas_doc_format"}, out.format) {
		return commentQuery{}, refuse("Invalid body-format %q: expected storage or atlas_doc_format", out.format)
	}
	for _, r := range out.resolution {
		if !slices.Contains([]string{"open", "reopened", "resolved", "dangling"}, r) {
			return commentQuery{}, refuse("Invalid resolution-status %q", r)
		}
	}
	if raw := q.Get("cursor"); raw != "" {
		var c cursor
		if err := decodeCursor(raw, &c); err != nil {
			return commentQuery{}, err
		}
		if c.Order != order {
			return commentQuery{}, refuse("The cursor belongs to sort %q, not %q", c.Order, order)
		}
		out.after = &c.Place
	}
	return out, nil
}

// listComments answers with a part of a list of comments. of is called under the read lock; it returns nil and what is
// missing if there is no such list.
func (s *Site) listComments(w http.ResponseWriter, r *http.Request, whole bool, of func() (all []*Comment, missing string)) {
	q, err := readCommentQuery(r.URL.Query())
	if err != nil {
		badRequest(w, err.Error())
		return
	}
	s.mu.RLock()
	all, missing := of()
	all = slices.Clone(all)
	sortComments(all, q.field, q.down)
	rows, next := []commentDTO{}, ""
	for _, c := range all {
		by := 0
		if q.after != nil {
			if by = c.place(q.field).compare(*q.after); q.down {
				by = -by
			}
		}
		switch {
		case q.after != nil && by <= 0, len(q.resolution) > 0 && !slices.Contains(q.resolution, c.resolution()):
		case len(rows) == q.limit:
			next = "more"
		default:
			rows = append(rows, commentOut(c, q.format, whole))
			if next == "" {
				q.after = nil // all that follow are after it
			}
		}
		if next != "" {
			break
		}
	}
	if next != "" {
		order := q.field
		if q.down {
			order = "-" + order
		}
		next = encodeCursor(cursor{order, s.talk[rows[len(rows)-1].ID].place(q.field)})
	}
	s.mu.RUnlock()
	if missing != "" {
		notFound(w, missing)
		return
	}
	s.respond(w, r, rows, next)
}

// allComments lists the comments of the site, replies included.
func (s *Site) allComments(inline bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.listComments(w, r, true, func() ([]*Comment, string) { return s.commentsSeen(inline), "" })
	}
}

// commentsOn lists the comments of one page or blog post, without replies.
func (s *Site) commentsOn(inline bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		kind := KindPage
		if strings.HasPrefix(r.Pattern, "GET /wiki/api/v2/blogposts/") {
			kind = KindBlogPost
		}
		var on []*Comment
		if !s.look(w, r, kind, func(n *node) { on = n.talk(inline, "") }) {
			return
		}
		s.listComments(w, r, false, func() ([]*Comment, string) { return on, "" })
	}
}

// talk are the replies to the comment parent, or the content's own comments if parent is "".
func (n *node) talk(inline bool, parent string) []*Comment {
	var out []*Comment
	for _, c := range n.notes {
		if c.Inline == inline && c.ParentID == parent && !c.trashed {
			out = append(out, c)
		}
	}
	return out
}

// spoken returns the comment if the API user sees it. Trashed ones are known by their ids.
func (s *Site) spoken(id string, inline bool) *Comment {
	c := s.talk[id]
	if c == nil || c.Inline != inline || s.nodes[c.on.id] != c.on || !s.sees(c.on) {
		return nil
	}
	return c
}

func noComment(id string) string { return fmt.Sprintf("Cannot find a comment with id [%s]", id) }

// replies lists the direct replies to one comment.
func (s *Site) replies(inline bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("id")
		s.listComments(w, r, false, func() ([]*Comment, string) {
			c := s.spoken(id, inline)
			if c == nil || c.trashed {
				return nil, noComment(id)
			}
			return c.on.talk(inline, id), ""
		})
	}
}

// getComment answers with one comment, whether it is a reply or not.
func (s *Site) getComment(inline bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("id")
		s.mu.RLock()
		c := s.spoken(id, inline)
		var d commentDTO
		if c != nil {
			d = commentOut(c, r.URL.Query().Get("body-format"), true)
		}
		s.mu.RUnlock()
		if c == nil {
			notFound(w, noComment(id))
			return
		}
		d.Links["base"] = s.base(r)
		write(w, http.StatusOK, d)
	}
}

// commentVersion answers with one version of a comment, without its body.
func (s *Site) commentVersion(inline bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("id")
		number, err := strconv.Atoi(r.PathValue("number"))
		if err != nil {
			badRequest(w, "Invalid version number")
			return
		}
		s.mu.RLock()
		c := s.spoken(id, inline)
		var d *versionDTO
		if c != nil && number >= 1 && number <= c.version {
			at := c.At
			if number == c.version {
				at = c.changed
			}
			d = versionOut(revision{number: number, at: at, author: c.by(number)})
		}
		s.mu.RUnlock()
		if d == nil {
			notFound(w, noComment(id))
			return
		}
		write(w, http.StatusOK, d)
	}
}

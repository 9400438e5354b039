package sandbox

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Comment is a comment on a page or blog post, or a reply to one. Inline comments name the marker in the body.
type Comment struct {
	ID        string    `json:"id"`
	ParentID  string    `json:"parent_id"` // the comment that this one replies to
	Body      string    `json:"body"`      // storage format
	AuthorID  string    `json:"author_id"`
	At        time.Time `json:"at"`
	Inline    bool      `json:"inline"`
	Resolved  bool      `json:"resolved"`
	MarkerRef string    `json:"marker_ref"` // ac:ref of the marker in the page's body
	Selection string    `json:"selection"`  // the text under the marker

	on       *node
	version  int       // counts from 1
	changed  time.Time // when this version was made
	touched  time.Time // when the index last heard of it: of its version or its resolution
	trashed  bool
	reopened bool
	settled  time.Time // when it was last resolved or reopened
	settler  string    // by whom
	editors  []string  // who made the versions after the first
}

// by is who made a version of the comment.
func (c *Comment) by(version int) string {
	if version > 1 {
		return c.editors[version-2]
	}
	return c.AuthorID
}

// resolution is the status of an inline comment.
func (c *Comment) resolution() string {
	switch {
	case c.Resolved:
		return "resolved"
	case c.reopened:
		return "reopened"
	default:
		return "open"
	}
}

// AddComment adds a comment to the page, or a reply if c names a parent comment, and returns its
// id. It makes no version of the page. It keeps c's ID and time if they are set.
func (s *Site) AddComment(page string, c Comment) (id string, err error) {
	err = s.change("comment on", page, func(n *node) error {
		if c.ParentID != "" {
			parent := s.talk[c.ParentID]
			if parent == nil || parent.on != n || parent.trashed {
				return fmt.Errorf("%w: no comment %q of this page", ErrNotFound, c.ParentID)
			}
			c.Inline = parent.Inline
		}
		c.AuthorID = cmpOr(c.AuthorID, s.me)
		if c.At.IsZero() {
			c.At = s.now()
		}
		id = s.comment(n, c)
		return nil
	})
	return id, err
}

func (s *Site) comment(n *node, c Comment) string {
	if c.ID == "" {
		n.noted++
		c.ID = fmt.Sprintf("%d%03d", n.id, n.noted)
	}
	c.on, c.version, c.changed, c.touched = n, 1, c.At, c.At
	n.notes = append(n.notes, &c)
	s.talk[c.ID] = &c
	s.moment++
	return c.ID
}

// changeComment runs f on the comment with the id under the write lock.
func (s *Site) changeComment(what, id string, f func(c *Comment) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.talk[id]
	if c == nil || c.trashed {
		return fmt.Errorf("%s comment %s: %w", what, id, ErrNotFound)
	}
	if err := f(c); err != nil {
		return fmt.Errorf("%s comment %s: %w", what, id, err)
	}
	s.moment++
	return nil
}

// EditComment gives the comment another body, as a new version.
func (s *Site) EditComment(id, body string) error {
	return s.changeComment("edit", id, func(c *Comment) error {
		c.Body = body
		c.version, c.changed = c.version+1, s.now()
		c.touched = c.changed
		c.editors = append(c.editors, s.me)
		return nil
	})
}

// ResolveComment resolves the thread of an inline comment, or reopens it. That is a new version, as of the API's own
// route, unless it is quiet: then neither the comment's version nor the search index tells of it.
func (s *Site) ResolveComment(id string, resolved, quiet bool) error {
	return s.changeComment("resolve", id, func(c *Comment) error {
		if !c.Inline || c.ParentID != "" {
			return fmt.Errorf("%w: only the first comment of an inline thread is resolved", ErrInvalid)
		}
		if c.Resolved == resolved {
			return nil
		}
		c.Resolved, c.reopened, c.settled, c.settler = resolved, !resolved, s.now(), s.me
		if !quiet {
			c.version, c.changed, c.touched = c.version+1, c.settled, c.settled
			c.editors = append(c.editors, s.me)
		}
		return nil
	})
}

// DeleteComment deletes the comment for good. The replies to it become replies to what it replied to.
func (s *Site) DeleteComment(id string) error {
	return s.changeComment("delete", id, func(c *Comment) error {
		for _, reply := range c.on.notes {
			if reply.ParentID == c.ID {
				reply.ParentID = c.ParentID
			}
		}
		c.on.notes = slices.DeleteFunc(c.on.notes, func(o *Comment) bool { return o == c })
		delete(s.talk, id)
		return nil
	})
}

// TrashComment deletes the comment and the replies below it, so that they are known by their ids only.
func (s *Site) TrashComment(id string) error {
	return s.changeComment("trash", id, func(c *Comment) error {
		c.trashed = true
		for again := true; again; {
			again = false
			for _, reply := range c.on.notes {
				if above := s.talk[reply.ParentID]; above != nil && above.trashed && !reply.trashed {
					reply.trashed, again = true, true
				}
			}
		}
		return nil
	})
}

// forget drops the comments and files of content that is purged.
func (s *Site) forget(n *node) {
	for _, c := range n.notes {
		delete(s.talk, c.ID)
	}
	for _, a := range n.files {
		delete(s.files, a.ID)
	}
}

// commentsSeen are the comments of one sort, or of both, that the API user sees and that are not trashed, in the order
// of their creation.
func (s *Site) commentsSeen(inline ...bool) []*Comment {
	var all []*Comment
	for _, c := range s.talk {
		if !c.trashed && c.on.status == current && slices.Contains(inline, c.Inline) && s.sees(c.on) {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b *Comment) int { return a.place("created-date").compare(b.place("created-date")) })
	return all
}

// place is the comment's place in the order of a v2 sort field.
func (c *Comment) place(field string) place {
	at := c.At
	if field == "modified-date" {
		at = c.changed
	}
	return place{Num: at.UnixMilli(), ID: parseID(c.ID)}
}

// indexedNode is the comment as content that a search finds, as its index knows it at time t, or nil if it does not
// know it yet.
func (c *Comment) indexedNode(t time.Time) *node {
	if c.At.After(t) {
		return nil
	}
	n := c.node()
	if n.rev.at = c.touched; c.touched.After(t) {
		n.rev.at = c.At
	}
	return n
}

// node is the comment as content like any other. It is in no tree and on no shelf.
func (c *Comment) node() *node {
	return &node{
		id: parseID(c.ID), kind: KindComment, space: c.on.space, parent: c.on, status: current, created: c.At, author: c.AuthorID,
		rev:  revision{number: c.version, at: c.changed, author: c.by(c.version), title: "Re: " + c.on.rev.title, body: literal(c.Body)},
		note: c,
	}
}

// aboveComment are the comments that c replies to, the first of the thread first.
func (s *Site) aboveComment(c *Comment) []*Comment {
	var above []*Comment
	for p := s.talk[c.ParentID]; p != nil; p = s.talk[p.ParentID] {
		above = append(above, p)
	}
	slices.Reverse(above)
	return above
}

// sortComments orders comments by a v2 sort field and direction.
func sortComments(all []*Comment, field string, down bool) {
	slices.SortStableFunc(all, func(a, b *Comment) int {
		by := a.place(field).compare(b.place(field))
		if down {
			by = -by
		}
		return cmp.Or(by, cmp.Compare(a.ID, b.ID))
	})
}

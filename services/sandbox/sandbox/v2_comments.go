package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Comment is a comment on a page. Inline comments name the marker in the body.
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
}

type commentDTO struct {
	ID         string             `json:"id"`
	Status     string             `json:"status"`
	Title      string             `json:"title"`
	PageID     string             `json:"pageId"`
	Version    *versionDTO        `json:"version"`
	Body       map[string]bodyDTO `json:"body"`
	Resolution string             `json:"resolutionStatus,omitempty"`
	Properties map[string]string  `json:"properties,omitempty"`
	Links      map[string]string  `json:"_links"`
}

// commentsOut lists the replies to the comment parent, or the page's own comments if parent is "".
func commentsOut(n *node, r *http.Request, inline bool, parent string) []commentDTO {
	format, want := r.URL.Query().Get("body-format"), csv(r.URL.Query(), "resolution-status")
	var out []commentDTO
	for _, c := range n.notes {
		if c.Inline != inline || c.ParentID != parent {
			continue
		}
		d := commentDTO{
			ID: c.ID, Status: current, Title: "Re: " + n.rev.title, PageID: formatID(n.id), Body: map[string]bodyDTO{},
			Version: versionOut(revision{number: 1, at: c.At, author: c.AuthorID}),
			Links:   map[string]string{"webui": webPath(n) + "?focusedCommentId=" + c.ID},
		}
		if inline {
			d.Resolution = "open"
			if c.Resolved {
				d.Resolution = "resolved"
			}
			if len(want) > 0 && !slices.Contains(want, d.Resolution) {
				continue
			}
			d.Properties = map[string]string{"inlineMarkerRef": c.MarkerRef, "inlineOriginalSelection": c.Selection}
		}
		if format == "storage" {
			d.Body[format] = bodyDTO{format, c.Body}
		}
		out = append(out, d)
	}
	return out
}

// replies lists the direct replies to one comment.
func (s *Site) replies(inline bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("id")
		from, limit, err := offsetOf(r.URL.Query(), 25)
		if err != nil {
			badRequest(w, err.Error())
			return
		}
		s.mu.RLock()
		n := s.talk[id]
		found := n != nil && s.nodes[n.id] == n && s.sees(n)
		var all []commentDTO
		if found {
			all = commentsOut(n, r, inline, id)
		}
		s.mu.RUnlock()
		if !found {
			notFound(w, fmt.Sprintf("Cannot find a comment with id [%s]", id))
			return
		}
		respondFrom(s, w, r, all, from, limit)
	}
}

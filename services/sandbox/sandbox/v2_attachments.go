package sandbox

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

func (s *Site) v2Attachments() map[string]http.HandlerFunc {
	const api = "GET /wiki/api/v2"
	return map[string]http.HandlerFunc{
		api + "/attachments":                s.allAttachments,
		api + "/attachments/{id}":           s.getAttachment,
		api + "/pages/{id}/attachments":     s.attachmentsOn(KindPage),
		api + "/blogposts/{id}/attachments": s.attachmentsOn(KindBlogPost),
	}
}

type attachmentDTO struct {
	ID          string            `json:"id"`
	Status      string            `json:"status"`
	Title       string            `json:"title"`
	CreatedAt   stamp             `json:"createdAt"`
	PageID      string            `json:"pageId,omitempty"`
	BlogPostID  string            `json:"blogPostId,omitempty"`
	MediaType   string            `json:"mediaType"`
	Description string            `json:"mediaTypeDescription"`
	Comment     string            `json:"comment"`
	FileID      string            `json:"fileId"`
	FileSize    int64             `json:"fileSize"`
	WebUI       string            `json:"webuiLink"`
	Download    string            `json:"downloadLink"`
	Version     *versionDTO       `json:"version"`
	Links       map[string]string `json:"_links"`
}

// attachmentOut is an attachment in v2's format. Its download link is an address that takes no token.
func attachmentOut(a *Attachment) attachmentDTO {
	on := formatID(a.on.id)
	d := attachmentDTO{
		ID: a.ID, Status: current, Title: a.Name, CreatedAt: stamp(a.created), MediaType: a.MediaType, Description: "File",
		FileID: a.now().id, FileSize: a.now().size, WebUI: attachmentPath(a),
		Download: "/download/attachments/" + on + "/" + url.PathEscape(a.Name) + "?version=" + formatID(int64(a.version)) + "&api=v2",
		Version:  versionOut(revision{number: a.version, at: a.changed, author: a.author}),
	}
	if a.trashed {
		d.Status = trashed
	}
	if a.on.kind == KindBlogPost {
		d.BlogPostID = on
	} else {
		d.PageID = on
	}
	d.Links = map[string]string{"webui": d.WebUI, "download": d.Download}
	return d
}

// attachmentPath is the attachment's address for people, below /wiki.
func attachmentPath(a *Attachment) string {
	on := formatID(a.on.id)
	return "/pages/viewpageattachments.action?pageId=" + on + "&preview=" + url.QueryEscape("/"+on+"/"+strings.TrimPrefix(a.ID, "att")+"/"+a.Name)
}

// listAttachments answers with a part of a list of attachments. of is called under the read lock; it returns what is
// missing if there is no such list.
func (s *Site) listAttachments(w http.ResponseWriter, r *http.Request, of func() []*Attachment) {
	q := r.URL.Query()
	limit, err := limitOf(q, 50, 250)
	order := cmpOr(q.Get("sort"), "created-date")
	field, down := strings.CutPrefix(order, "-")
	status := csv(q, "status")
	var after cursor
	switch {
	case err != nil:
	case field != "created-date" && field != "modified-date":
		err = refuse("Invalid sort %q", order)
	case slices.ContainsFunc(status, func(v string) bool { return v != current && v != archived && v != trashed }):
		err = refuse("Invalid status %q", status)
	case q.Get("cursor") != "":
		if err = decodeCursor(q.Get("cursor"), &after); err == nil && after.Order != order {
			err = refuse("The cursor belongs to sort %q, not %q", after.Order, order)
		}
	}
	if err != nil {
		badRequest(w, err.Error())
		return
	}
	s.mu.RLock()
	all := slices.Clone(of())
	sortAttachments(all, field, down)
	rows, next := []attachmentDTO{}, ""
	var last place
	for _, a := range all {
		by := a.place(field).compare(after.Place)
		if down {
			by = -by
		}
		switch {
		case after.Order != "" && by <= 0:
		case q.Has("filename") && q.Get("filename") != a.Name, q.Has("mediaType") && q.Get("mediaType") != a.MediaType:
		case len(status) > 0 && !slices.Contains(status, current):
		case len(rows) == limit:
			next = encodeCursor(cursor{order, last})
		default:
			rows, last = append(rows, attachmentOut(a)), a.place(field)
		}
		if next != "" {
			break
		}
	}
	s.mu.RUnlock()
	s.respond(w, r, rows, next)
}

// allAttachments lists the attachments of the site.
func (s *Site) allAttachments(w http.ResponseWriter, r *http.Request) {
	s.listAttachments(w, r, s.attachmentsSeen)
}

// attachmentsOn lists the attachments of one page or blog post.
func (s *Site) attachmentsOn(kind Kind) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var on []*Attachment
		if s.look(w, r, kind, func(n *node) { on = n.uploads() }) {
			s.listAttachments(w, r, func() []*Attachment { return on })
		}
	}
}

// uploads are the content's attachments that are not trashed.
func (n *node) uploads() []*Attachment {
	return slices.DeleteFunc(slices.Clone(n.files), func(a *Attachment) bool { return a.trashed })
}

func (s *Site) getAttachment(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	s.mu.RLock()
	a := s.attachmentOf(id)
	var d attachmentDTO
	if a != nil {
		d = attachmentOut(a)
	}
	s.mu.RUnlock()
	if a == nil {
		notFound(w, fmt.Sprintf("Cannot find an attachment with id [%s]", id))
		return
	}
	d.Links["base"] = s.base(r)
	write(w, http.StatusOK, d)
}

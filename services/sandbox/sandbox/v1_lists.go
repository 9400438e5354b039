package sandbox

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// v1Lists are routes of v1 whose removal Atlassian announced and that many clients still call. They
// answer if Options.V1Lists is set.
func (s *Site) v1Lists() map[string]http.HandlerFunc {
	const api = "GET /wiki/rest/api"
	return map[string]http.HandlerFunc{
		api + "/content":                       s.left(s.listV1Content),
		api + "/space":                         s.left(s.listV1Spaces),
		api + "/content/{id}/child/attachment": s.left(s.listV1Attachments),
	}
}

// left answers 410 unless the site keeps the lists of v1.
func (s *Site) left(h http.HandlerFunc) http.HandlerFunc {
	if !s.opt.V1Lists {
		return gone
	}
	return s.removed(h)
}

// v1Range reads start and limit. Unlike a search, these lists honour start.
func v1Range(q url.Values, fallback int) (start, limit int, err error) {
	limit, err = limitOf(q, fallback, 10_000)
	if err != nil {
		return 0, 0, err
	}
	start, err = strconv.Atoi(cmpOr(q.Get("start"), "0"))
	if err != nil || start < 0 {
		return 0, 0, refuse("The provided start %q is not valid", q.Get("start"))
	}
	return start, limit, nil
}

func v1BadRequest(w http.ResponseWriter, err error) {
	v1Error(w, http.StatusBadRequest, "com.atlassian.confluence.api.service.exceptions.BadRequestException: "+err.Error())
}

// v1List writes one page of a v1 list: its next link counts rows and lacks /wiki.
func (s *Site) v1List(w http.ResponseWriter, r *http.Request, rows any, n, start, limit int, more bool) {
	base, path := s.base(r), strings.TrimPrefix(r.URL.Path, "/wiki")
	links := map[string]string{"base": base, "context": "/wiki", "self": base + path}
	if more {
		q := r.URL.Query()
		q.Set("start", strconv.Itoa(start+n))
		q.Set("limit", strconv.Itoa(limit))
		links["next"] = path + "?" + q.Encode()
	}
	write(w, http.StatusOK, map[string]any{"results": rows, "start": start, "limit": limit, "size": n, "_links": links})
}

// listV1Content lists pages or blog posts by space, title and status. It silently lowers the limit
// if bodies are expanded.
func (s *Site) listV1Content(w http.ResponseWriter, r *http.Request) {
	q, base := r.URL.Query(), s.base(r)
	expand := csv(q, "expand")
	start, limit, err := v1Range(q, 25)
	statuses := map[string]bool{}
	for _, status := range csv(q, "status") {
		statuses[status] = true
	}
	kind := Kind(cmpOr(q.Get("type"), string(KindPage)))
	if err == nil && kind != KindPage && kind != KindBlogPost {
		err = refuse("No type with that name: %q", kind)
	}
	if err != nil {
		v1BadRequest(w, err)
		return
	}
	limit = v1Limit(limit, expand)
	s.mu.RLock()
	from := s.shelfOf(kind)
	key := q.Get("spaceKey")
	if key != "" {
		sp := s.space(key)
		if sp == nil || sp.hidden {
			s.mu.RUnlock()
			v1Error(w, http.StatusNotFound, "com.atlassian.confluence.api.service.exceptions.NotFoundException: No space with key : "+key)
			return
		}
		from = sp.shelfOf(kind)
	}
	rows, skip, more := []v1Content{}, start, false
	for _, n := range from.byID {
		switch {
		case !wanted(n, statuses) || !s.sees(n), q.Has("title") && !strings.EqualFold(n.rev.title, q.Get("title")):
		case skip > 0:
			skip--
		case len(rows) == limit:
			more = true
		default:
			rows = append(rows, s.v1Content(n, expand, base))
		}
		if more {
			break
		}
	}
	s.mu.RUnlock()
	s.v1List(w, r, s.v1Bodies(rows), len(rows), start, limit, more)
}

// wanted reports whether the requested statuses include n's: only current by default; "any" means
// current or trashed.
func wanted(n *node, statuses map[string]bool) bool {
	switch n.status {
	case current:
		return len(statuses) == 0 || statuses[current] || statuses["any"]
	case trashed:
		return statuses[trashed] || statuses["any"]
	case archived:
		return statuses[archived]
	default:
		return false
	}
}

func (s *Site) listV1Spaces(w http.ResponseWriter, r *http.Request) {
	q, base := r.URL.Query(), s.base(r)
	start, limit, err := v1Range(q, 25)
	if err != nil {
		v1BadRequest(w, err)
		return
	}
	keys := csv(q, "spaceKey")
	s.mu.RLock()
	all := []any{}
	for _, sp := range s.spaces {
		if sp.hidden || len(keys) > 0 && !sp.goesBy(keys...) || q.Has("type") && q.Get("type") != sp.kind || q.Has("status") && q.Get("status") != sp.status {
			continue
		}
		all = append(all, s.v1SpaceWith(sp, csv(q, "expand"), base))
	}
	s.mu.RUnlock()
	rows := all[min(start, len(all)):]
	rows = rows[:min(limit, len(rows))]
	s.v1List(w, r, rows, len(rows), start, limit, start+len(rows) < len(all))
}

// v1SpaceWith is the space with the fields that expand requests. The caller holds the read lock.
func (s *Site) v1SpaceWith(sp *space, expand []string, base string) map[string]any {
	out := v1Space(sp, base)
	expandable, _ := out["_expandable"].(map[string]string)
	if sp.home != nil {
		expandable["homepage"] = "/rest/api/content/" + formatID(sp.home.id)
	}
	for _, e := range expand {
		if e == "homepage" && sp.home != nil && s.sees(sp.home) {
			out["homepage"] = s.v1Content(sp.home, nil, base)
			delete(expandable, "homepage")
		}
	}
	return out
}

// listV1Attachments lists a page's files in v1's format: as separate content, whose address is in
// _links.
func (s *Site) listV1Attachments(w http.ResponseWriter, r *http.Request) {
	q, id, base := r.URL.Query(), r.PathValue("id"), s.base(r)
	start, limit, err := v1Range(q, 50)
	if err != nil {
		v1BadRequest(w, err)
		return
	}
	expand := csv(q, "expand")
	s.mu.RLock()
	n := s.visible(id)
	all := []any{}
	if n != nil {
		for _, a := range n.uploads() {
			all = append(all, s.v1Attachment(n, attachmentOut(a), expand, base))
		}
	}
	s.mu.RUnlock()
	if n == nil {
		v1Error(w, http.StatusNotFound, fmt.Sprintf("com.atlassian.confluence.api.service.exceptions.NotFoundException: No content found with id: ContentId{id=%s}", id))
		return
	}
	rows := all[min(start, len(all)):]
	rows = rows[:min(limit, len(rows))]
	s.v1List(w, r, rows, len(rows), start, limit, start+len(rows) < len(all))
}

func (s *Site) v1Attachment(n *node, f attachmentDTO, expand []string, base string) map[string]any {
	out := map[string]any{
		"id": f.ID, "type": "attachment", "status": f.Status, "title": f.Title, "macroRenderedOutput": map[string]any{},
		"metadata": map[string]any{"mediaType": f.MediaType},
		"extensions": map[string]any{
			"mediaType": f.MediaType, "fileSize": f.FileSize, "comment": "", "fileId": f.FileID, "collectionName": "contentId-" + f.PageID,
		},
		"_links": map[string]string{"webui": f.WebUI, "self": base + "/rest/api/content/" + f.ID, "download": f.Download},
	}
	expandable := map[string]string{
		"container": "/rest/api/content/" + f.PageID, "version": "", "space": "/rest/api/space/" + n.space.key,
		"restrictions": "/rest/api/content/" + f.ID + "/restriction/byOperation", "history": "/rest/api/content/" + f.ID + "/history", "ancestors": "",
	}
	var ofContainer []string
	for _, e := range expand {
		if e == "version" {
			out["version"] = s.v1Version(&node{id: parseID(strings.TrimPrefix(f.ID, "att")), rev: revision{number: 1, at: n.created, author: n.author}}, base)
			delete(expandable, "version")
		} else if sub, ok := strings.CutPrefix(e, "container."); ok {
			ofContainer = append(ofContainer, sub)
		}
	}
	if len(ofContainer) > 0 {
		out["container"] = s.v1Content(n, ofContainer, base)
		delete(expandable, "container")
	}
	out["_expandable"] = expandable
	return out
}

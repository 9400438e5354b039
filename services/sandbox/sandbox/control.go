package sandbox

import (
	"errors"
	"net/http"
)

// controlRoutes are the routes that change the site. They need no credential: the sandbox holds no
// secrets.
func (s *Site) controlRoutes() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /_sandbox/{$}":                       s.overview,
		"GET /_sandbox/stats":                     func(w http.ResponseWriter, _ *http.Request) { write(w, http.StatusOK, s.Stats()) },
		"POST /_sandbox/stats/reset":              s.resetStats,
		"GET /_sandbox/faults":                    s.controlGetFaults,
		"POST /_sandbox/faults":                   s.controlSetFaults,
		"DELETE /_sandbox/faults":                 s.controlClearFaults,
		"POST /_sandbox/site":                     s.controlSite,
		"POST /_sandbox/spaces":                   s.controlSpace,
		"POST /_sandbox/spaces/{key}/hide":        s.controlSpaceIs(s.HideSpace, true),
		"POST /_sandbox/spaces/{key}/show":        s.controlSpaceIs(s.HideSpace, false),
		"POST /_sandbox/spaces/{key}/archive":     s.controlSpaceIs(s.ArchiveSpace, true),
		"POST /_sandbox/spaces/{key}/restore":     s.controlSpaceIs(s.ArchiveSpace, false),
		"POST /_sandbox/spaces/{key}/unindex":     s.controlSpaceIs(s.LeaveSpaceOutOfSearch, true),
		"POST /_sandbox/spaces/{key}/index":       s.controlSpaceIs(s.LeaveSpaceOutOfSearch, false),
		"POST /_sandbox/spaces/{key}/rekey":       s.controlRekey,
		"POST /_sandbox/spaces/{key}/edit":        s.controlEditSome,
		"GET /_sandbox/spaces/{key}/pages":        s.controlPages,
		"POST /_sandbox/pages":                    s.controlCreate,
		"GET /_sandbox/pages/{id}":                s.controlled(nil),
		"POST /_sandbox/pages/{id}/edit":          s.controlled(s.controlEdit),
		"POST /_sandbox/pages/{id}/move":          s.controlled(s.controlMove),
		"POST /_sandbox/pages/{id}/archive":       s.controlled(func(id string, _ order) error { return s.ArchivePage(id) }),
		"POST /_sandbox/pages/{id}/trash":         s.controlled(s.controlTrash),
		"POST /_sandbox/pages/{id}/restore":       s.controlled(func(id string, _ order) error { return s.RestorePage(id) }),
		"POST /_sandbox/pages/{id}/publish":       s.controlled(func(id string, _ order) error { return s.PublishPage(id) }),
		"POST /_sandbox/pages/{id}/purge":         s.controlled(func(id string, _ order) error { return s.PurgePage(id) }),
		"POST /_sandbox/pages/{id}/label":         s.controlled(func(id string, o order) error { return s.SetLabels(id, o.Labels...) }),
		"POST /_sandbox/pages/{id}/restrict":      s.controlled(func(id string, o order) error { return s.Restrict(id, o.Users, o.Groups) }),
		"POST /_sandbox/pages/{id}/keep-versions": s.controlled(func(id string, o order) error { return s.KeepVersions(id, o.Keep) }),
		"POST /_sandbox/pages/{id}/number":        s.controlled(func(id string, o order) error { return s.NumberVersion(id, o.Number) }),
		"POST /_sandbox/pages/{id}/unindex":       s.controlled(func(id string, _ order) error { return s.LeaveOutOfSearch(id, true) }),
		"POST /_sandbox/pages/{id}/index":         s.controlled(func(id string, _ order) error { return s.LeaveOutOfSearch(id, false) }),
		"POST /_sandbox/pages/{id}/comment": s.controlled(func(id string, o order) error {
			_, err := s.AddComment(id, o.Comment)
			return err
		}),
		"POST /_sandbox/comments/{id}/edit":    s.commented(func(id string, o order) error { return s.EditComment(id, o.Comment.Body) }),
		"POST /_sandbox/comments/{id}/resolve": s.commented(func(id string, _ order) error { return s.ResolveComment(id, true, false) }),
		"POST /_sandbox/comments/{id}/reopen":  s.commented(func(id string, _ order) error { return s.ResolveComment(id, false, false) }),
		"POST /_sandbox/comments/{id}/delete":  s.commented(func(id string, _ order) error { return s.DeleteComment(id) }),
		"POST /_sandbox/comments/{id}/trash":   s.commented(func(id string, _ order) error { return s.TrashComment(id) }),
		"POST /_sandbox/pages/{id}/unrestrict": s.controlled(func(id string, _ order) error {
			return s.Unrestrict(id)
		}),
	}
}

// order is the JSON body of a control route; each route reads its own part.
type order struct {
	Edit
	ParentID   string     `json:"parent_id"` // move
	Space      string     `json:"space"`     // move: to this space's homepage
	Tree       bool       `json:"tree"`      // trash: with everything below
	Keep       int        `json:"keep"`      // keep-versions: so many of the newest
	Number     int        `json:"number"`    // number: of the newest version
	Labels     []string   `json:"labels"`
	Users      []string   `json:"users"` // restrict: account ids
	Groups     []string   `json:"groups"`
	Comment    Comment    `json:"comment"`
	Attachment Attachment `json:"attachment"`
}

// controlled runs a change on the page that the request names. It answers with the changed page, or
// with 204 if the page no longer exists.
func (s *Site) controlled(f func(id string, o order) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var o order
		if f != nil {
			if r.ContentLength != 0 && !readBody(w, r, &o) {
				return
			}
			if err := f(r.PathValue("id"), o); err != nil {
				controlError(w, err)
				return
			}
		}
		p, err := s.Page(r.PathValue("id"))
		switch {
		case err == nil:
			write(w, http.StatusOK, p)
		case f != nil:
			w.WriteHeader(http.StatusNoContent)
		default:
			controlError(w, err)
		}
	}
}

// commented runs a change on the comment that the request names.
func (s *Site) commented(f func(id string, o order) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var o order
		if r.ContentLength != 0 && !readBody(w, r, &o) {
			return
		}
		if err := f(r.PathValue("id"), o); err != nil {
			controlError(w, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

func controlError(w http.ResponseWriter, err error) {
	status := http.StatusBadRequest
	switch {
	case errors.Is(err, ErrNotFound):
		status = http.StatusNotFound
	case errors.Is(err, ErrConflict):
		status = http.StatusConflict
	}
	write(w, status, map[string]string{"error": err.Error()})
}

func (s *Site) controlEdit(id string, o order) error {
	_, err := s.EditPage(id, o.Edit)
	return err
}

func (s *Site) controlMove(id string, o order) error {
	if o.Space != "" {
		return s.MoveToSpace(id, o.Space)
	}
	return s.MovePage(id, o.ParentID)
}

func (s *Site) controlTrash(id string, o order) error {
	if o.Tree {
		return s.TrashTree(id)
	}
	return s.TrashPage(id)
}

func (s *Site) controlCreate(w http.ResponseWriter, r *http.Request) {
	var d Draft
	if !readBody(w, r, &d) {
		return
	}
	p, err := s.CreatePage(d)
	if err != nil {
		controlError(w, err)
		return
	}
	write(w, http.StatusCreated, p)
}

func (s *Site) controlSpace(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Key       string `json:"key"`
		Name      string `json:"name"`
		Pages     int    `json:"pages"`      // more than 0: a generated space
		BlogPosts int    `json:"blog_posts"` // generated ones
		Seed      int64  `json:"seed"`
	}
	if !readBody(w, r, &in) {
		return
	}
	if in.Pages > 0 {
		s.AddGenerated(in.Key, in.Pages, in.Seed)
	} else if err := s.AddSpace(in.Key, cmpOr(in.Name, in.Key)); err != nil {
		controlError(w, err)
		return
	}
	if err := s.AddGeneratedBlogPosts(in.Key, in.BlogPosts, in.Seed); err != nil {
		controlError(w, err)
		return
	}
	s.overview(w, r)
}

// controlSpaceIs turns a property of a space on or off.
func (s *Site) controlSpaceIs(set func(key string, yes bool) error, yes bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := set(r.PathValue("key"), yes); err != nil {
			controlError(w, err)
			return
		}
		s.overview(w, r)
	}
}

func (s *Site) controlRekey(w http.ResponseWriter, r *http.Request) {
	var in Rekey
	if !readBody(w, r, &in) {
		return
	}
	if err := s.RekeySpace(r.PathValue("key"), in); err != nil {
		controlError(w, err)
		return
	}
	s.overview(w, r)
}

func (s *Site) controlEditSome(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Count int   `json:"count"`
		Seed  int64 `json:"seed"`
	}
	if !readBody(w, r, &in) {
		return
	}
	ids, err := s.EditSome(r.PathValue("key"), in.Count, in.Seed)
	if err != nil {
		controlError(w, err)
		return
	}
	write(w, http.StatusOK, map[string]any{"edited": emptyNotNull(ids)})
}

func (s *Site) controlPages(w http.ResponseWriter, r *http.Request) {
	key := r.PathValue("key")
	write(w, http.StatusOK, map[string]any{"pages": emptyNotNull(s.Pages(key)), "blog_posts": emptyNotNull(s.BlogPosts(key))})
}

func (s *Site) resetStats(w http.ResponseWriter, _ *http.Request) {
	s.ResetStats()
	write(w, http.StatusOK, s.Stats())
}

// Own makes the overview of the control routes name the owner, so that a program can tell its own stand-in from
// another one that took over the address.
func (s *Site) Own(owner string) { s.owner.Store(&owner) }

// overview describes the site's content and the routes that change it.
func (s *Site) overview(w http.ResponseWriter, r *http.Request) {
	type spaceLine struct {
		Key       string         `json:"key"`
		Alias     string         `json:"alias"`            // the key in addresses
		Former    []string       `json:"former,omitempty"` // former keys that still work
		Status    string         `json:"status"`
		ID        string         `json:"id"`
		Name      string         `json:"name"`
		Pages     map[string]int `json:"pages"`      // by status
		Posts     map[string]int `json:"blog_posts"` // by status
		Homepage  string         `json:"homepage"`
		Hidden    bool           `json:"hidden"`
		Unindexed bool           `json:"unindexed"` // no search finds its content
	}
	out := []spaceLine{}
	s.mu.RLock()
	for _, sp := range s.spaces {
		line := spaceLine{
			Key: sp.key, Alias: sp.alias, Former: sp.former, Status: sp.status, ID: formatID(sp.id), Name: sp.name,
			Pages: map[string]int{}, Posts: map[string]int{}, Hidden: sp.hidden, Unindexed: sp.unindexed,
		}
		for _, n := range sp.shelf.byID {
			line.Pages[n.status]++
		}
		for _, n := range sp.posts.byID {
			line.Posts[n.status]++
		}
		if sp.home != nil {
			line.Homepage = s.base(r) + webPath(sp.home)
		}
		out = append(out, line)
	}
	s.mu.RUnlock()
	owner := ""
	if p := s.owner.Load(); p != nil {
		owner = *p
	}
	write(w, http.StatusOK, map[string]any{
		"site": s.opt.SiteTitle, "owner": owner, "base_url": s.base(r), "gateway_url": s.origin(r) + "/ex/confluence/" + s.opt.CloudID + "/wiki",
		"email": s.opt.Email, "now": stamp(s.opt.Now()), "spaces": out,
		"control": map[string]string{
			"POST /_sandbox/pages":                    "create: {space, parent_id, title, body, kind, labels, status, subtype}",
			"POST /_sandbox/pages/{id}/edit":          "{title?, body?}; without either a line is added",
			"POST /_sandbox/pages/{id}/move":          "{parent_id} or {space}",
			"POST /_sandbox/pages/{id}/trash":         "{tree?}; also archive, restore, purge, publish",
			"POST /_sandbox/pages/{id}/label":         "{labels}",
			"POST /_sandbox/pages/{id}/restrict":      "{users, groups}; also unrestrict",
			"POST /_sandbox/pages/{id}/keep-versions": "{keep}: the newest so many stay, numbered anew from 1",
			"POST /_sandbox/pages/{id}/number":        "{number}: the newest version gets this number",
			"POST /_sandbox/pages/{id}/unindex":       "no search finds it; also index",
			"POST /_sandbox/site":                     "{moved_to}: another scheme and host, to which the present one redirects",
			"POST /_sandbox/spaces/{key}/archive":     "no search finds what it has; also restore, and unindex and index for a space that is not archived",
			"POST /_sandbox/spaces/{key}/rekey":       "{key, alias?, forget?}",
			"POST /_sandbox/spaces/{key}/readers":     "{readers: [{kind, id?, no_read?, role?}]}: kind is user, group (id is its name), all-licensed-users, all-product-admins",
			"POST /_sandbox/role-mode":                "{mode}: PRE_ROLES, ROLES_TRANSITION, ROLES",
			"POST /_sandbox/groups":                   "{name, members, access?}; access is user, admin or site-admin; GET too, and /{name}/delete",
			"POST /_sandbox/users":                    "{account_id, display_name, inactive?, outside?}",
			"POST /_sandbox/pages/{id}/comment":       "{comment: {body, parent_id?, inline?, selection?}}",
			"POST /_sandbox/comments/{id}/edit":       "{comment: {body}}; also resolve, reopen, delete, trash",
			"POST /_sandbox/pages/{id}/attach":        "{attachment: {name, media_type, content}}: content is base64",
			"POST /_sandbox/attachments/{id}/replace": "{attachment: {content}}; also rename {attachment: {name}}, move {parent_id}, trash, restore, purge",
			"POST /_sandbox/media/expire":             "the addresses on the media host that were given out end",
			"POST /_sandbox/spaces":                   "{key, name} or {key, pages, seed}, with blog_posts too; also /{key}/hide and /{key}/show",
			"POST /_sandbox/spaces/{key}/edit":        "{count, seed}: so many pages get a new version",
			"POST /_sandbox/faults":                   "{seed, faults: [{kind, route?, rate?, after?, times?, …}]}; GET and DELETE too",
			"GET /_sandbox/stats":                     "what was asked; POST /_sandbox/stats/reset",
		},
	})
}

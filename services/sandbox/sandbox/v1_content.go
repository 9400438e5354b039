package sandbox

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
)

func (s *Site) v1Routes() map[string]http.HandlerFunc {
	const api = "/wiki/rest/api"
	routes := map[string]http.HandlerFunc{
		"GET " + api + "/search":                                    s.searchAll,
		"GET " + api + "/content/search":                            s.searchContent,
		"GET " + api + "/content/{id}":                              s.removed(s.getContent),
		"GET " + api + "/space/{key}":                               s.removed(s.getV1Space),
		"GET " + api + "/user/current":                              s.currentUser,
		"GET " + api + "/content/{id}/restriction/byOperation":      s.restrictions,
		"GET " + api + "/content/{id}/restriction/byOperation/{op}": s.restrictions,
		"POST " + api + "/content/{id}/permission/check":            s.checkPermission,
		"GET " + api + "/group":                                     s.listGroups,
		"GET " + api + "/group/{id}/membersByGroupId":               s.groupMembers,
	}
	// Routes that the real site removed for everyone.
	for _, path := range []string{
		"/content/{id}/child", "/content/{id}/child/{type}", "/content/{id}/label", "/content/{id}/history",
		"/content/{id}/property", "/content/{id}/version", "/space/{key}/content", "/space/{key}/content/{type}",
	} {
		routes["GET "+api+path] = gone
	}
	maps.Copy(routes, s.v1Lists())
	return routes
}

// gone answers like a removed route to a valid caller.
func gone(w http.ResponseWriter, _ *http.Request) {
	v1Error(w, http.StatusGone, "com.atlassian.confluence.api.service.exceptions.pagesmodes.GoneException: This deprecated endpoint has been removed.")
}

func (s *Site) currentUser(w http.ResponseWriter, r *http.Request) {
	s.mu.RLock()
	out := s.v1User(s.me, s.base(r))
	s.mu.RUnlock()
	write(w, http.StatusOK, out)
}

// v1User is the user with the account id in v1's format.
func (s *Site) v1User(id, base string) map[string]any {
	u, known := s.users[id]
	if !known {
		u = User{AccountID: id, DisplayName: "Unknown user"}
	}
	out := userOut(u)
	delete(out, "personalSpaceId")
	out["type"] = "known"
	out["profilePicture"] = map[string]any{"path": "/wiki/aa-avatar/" + id, "width": 48, "height": 48, "isDefault": true}
	out["isGuest"] = false
	out["locale"] = "en_GB"
	out["_expandable"] = map[string]string{"operations": "", "personalSpace": ""}
	out["_links"] = map[string]string{"self": base + "/rest/api/user?accountId=" + id, "base": base, "context": "/wiki"}
	return out
}

// v1Content is content in v1's format; v1Bodies adds the bodies outside the lock.
type v1Content struct {
	fields  map[string]any
	formats []string
	id      int64
	source  source
}

// v1Content copies the node with the fields that expand requests.
func (s *Site) v1Content(n *node, expand []string, base string) v1Content {
	id := formatID(n.id)
	if n.upload != nil {
		id = n.upload.ID
	}
	page := s.pageOut(n)
	spacePath := "/rest/api/space/" + n.space.key
	expandable := map[string]string{
		"container": spacePath, "metadata": "", "restrictions": "/rest/api/content/" + id + "/restriction/byOperation",
		"history": "/rest/api/content/" + id + "/history", "body": "", "version": "",
		"descendants": "/rest/api/content/" + id + "/descendant", "space": spacePath, "childTypes": "", "operations": "",
		"schedulePublishDate": "", "schedulePublishInfo": "", "children": "/rest/api/content/" + id + "/child", "ancestors": "",
	}
	c := v1Content{id: n.id, source: n.rev.body, fields: map[string]any{
		"id": id, "type": n.kind, "status": n.status, "title": n.rev.title, "macroRenderedOutput": map[string]any{},
		"ari":         "ari:cloud:confluence:" + s.opt.CloudID + ":" + string(n.kind) + "/" + id,
		"extensions":  map[string]int{"position": n.position},
		"_expandable": expandable,
		"_links": map[string]string{
			"webui": page.Links["webui"], "editui": page.Links["editui"], "edituiv2": page.Links["edituiv2"],
			"tinyui": page.Links["tinyui"], "self": base + "/rest/api/content/" + id,
		},
	}}
	if a := n.upload; a != nil {
		c.fields["extensions"] = map[string]any{
			"mediaType": a.MediaType, "fileSize": a.now().size, "comment": "", "fileId": a.now().id, "collectionName": "contentId-" + formatID(a.on.id),
		}
	}
	for _, e := range expand {
		name, _, _ := strings.Cut(e, ".")
		delete(expandable, name)
		switch {
		case name == "version":
			c.fields["version"] = s.v1Version(n, base)
		case name == "container" && (n.note != nil || n.upload != nil):
			c.fields[name] = s.v1Content(n.parent, nil, base)
		case name == "space" || name == "container":
			c.fields[name] = v1Space(n.space, base)
		case name == "extensions" && n.note != nil:
			c.fields["extensions"] = v1CommentExtensions(n.note)
		case name == "history":
			c.fields["history"] = map[string]any{
				"latest": true, "createdDate": stamp(n.created), "createdBy": s.v1User(n.author, base), "lastUpdated": s.v1Version(n, base),
			}
		case name == "restrictions":
			c.fields["restrictions"] = s.expandedRestrictions(n, expand, base)
		case name == "ancestors":
			above := []any{}
			if n.note != nil {
				for _, p := range s.aboveComment(n.note) {
					above = append(above, s.v1Content(p.node(), nil, base))
				}
				c.fields["ancestors"] = above
				continue
			}
			for p := range n.above {
				above = append([]any{s.v1Content(p, nil, base)}, above...)
			}
			c.fields["ancestors"] = above
		case strings.HasPrefix(e, "metadata.labels"):
			labels := v1Labels(n.labels)
			c.fields["metadata"] = map[string]any{"labels": map[string]any{"results": labels, "start": 0, "limit": 200, "size": len(labels)}}
		case strings.HasPrefix(e, "body."):
			format, _, _ := strings.Cut(strings.TrimPrefix(e, "body."), ".") // body.view.value is body.view too
			c.formats = append(c.formats, format)
		}
	}
	return c
}

// v1CommentExtensions are what v1 shows of a comment alone.
func v1CommentExtensions(c *Comment) map[string]any {
	if !c.Inline {
		return map[string]any{"location": "footer", "_expandable": map[string]string{"resolution": ""}}
	}
	return map[string]any{
		"location":         "inline",
		"inlineProperties": map[string]string{"originalSelection": c.Selection, "markerRef": c.MarkerRef},
		"resolution":       map[string]any{"status": c.resolution(), "lastModifiedDate": stamp(c.touched)},
	}
}

// MarshalJSON writes the fields.
func (c v1Content) MarshalJSON() ([]byte, error) { return marshalPlain(c.fields) }

// v1Bodies adds the requested bodies.
func (s *Site) v1Bodies(contents []v1Content) []v1Content {
	for _, c := range contents {
		if len(c.formats) == 0 {
			continue
		}
		s.stats.bodies(1)
		body := map[string]any{"_expandable": map[string]string{"editor": "", "atlas_doc_format": "", "dynamic": ""}}
		for _, format := range c.formats {
			value := c.source.text()
			switch format {
			case "storage":
			case "view", "export_view", "styled_view", "anonymous_export_view":
				value = s.view(c.id, value)
			default:
				continue
			}
			body[format] = map[string]any{
				"value": value, "representation": format, "embeddedContent": []any{},
				"_expandable": map[string]string{"content": "/rest/api/content/" + formatID(c.id)},
			}
		}
		c.fields["body"] = body
	}
	return contents
}

func (s *Site) v1Version(n *node, base string) map[string]any {
	v := versionOut(n.rev)
	return map[string]any{
		"by": s.v1User(n.rev.author, base), "when": v.CreatedAt, "friendlyWhen": n.rev.at.Format("Jan 02, 2006"),
		"message": v.Message, "number": v.Number, "minorEdit": false, "ncsStepVersion": v.NcsStepVersion,
		"ncsStepVersionSource": "ncs-ack", "contentTypeModified": false,
		"confRev":     fmt.Sprintf("confluence$content$%d.%d", n.id, v.Number),
		"_expandable": map[string]string{"collaborators": "", "content": "/rest/api/content/" + formatID(n.id)},
		"_links":      map[string]string{"self": fmt.Sprintf("%s/rest/api/content/%d/version/%d", base, n.id, v.Number)},
	}
}

// v1Labels are labels in v1's format, which repeats the name.
func v1Labels(labels []string) []any {
	out := []any{}
	for _, l := range labelsOut(labels) {
		out = append(out, map[string]string{"id": l.ID, "prefix": l.Prefix, "name": l.Name, "label": l.Name})
	}
	return out
}

func v1Space(sp *space, base string) map[string]any {
	return map[string]any{
		"id": sp.id, "key": sp.key, "alias": sp.alias, "name": sp.name, "type": sp.kind, "status": sp.status,
		"_expandable": map[string]string{"homepage": "", "description": "", "permissions": ""},
		"_links":      map[string]string{"webui": "/spaces/" + sp.alias, "self": base + "/rest/api/space/" + sp.key},
	}
}

// getContent answers one of the two removed routes that Basic credentials still reach; getV1Space
// answers the other.
func (s *Site) getContent(w http.ResponseWriter, r *http.Request) {
	id, base := r.PathValue("id"), s.base(r)
	expand := csv(r.URL.Query(), "expand")
	if len(expand) == 0 {
		expand = []string{"version", "space", "history"} // the default of expand
	}
	s.mu.RLock()
	n := s.visible(id)
	var c v1Content
	if n != nil && n.status == current {
		c = s.v1Content(n, expand, base)
	}
	s.mu.RUnlock()
	if c.fields == nil {
		v1Error(w, http.StatusNotFound, "Cannot find content. Outdated version/old_draft/trashed? Please provide valid ContentId.")
		return
	}
	write(w, http.StatusOK, s.v1Bodies([]v1Content{c})[0])
}

func (s *Site) getV1Space(w http.ResponseWriter, r *http.Request) {
	key := r.PathValue("key")
	s.mu.RLock()
	sp := s.space(key)
	if sp != nil && sp.hidden {
		sp = nil
	}
	var out map[string]any
	if sp != nil {
		out = s.v1SpaceWith(sp, csv(r.URL.Query(), "expand"), s.base(r))
	}
	s.mu.RUnlock()
	if out == nil {
		v1Error(w, http.StatusNotFound, "com.atlassian.confluence.api.service.exceptions.NotFoundException: No space with key : "+key)
		return
	}
	write(w, http.StatusOK, out)
}

// removed answers a route whose removal the real site announced: with its old answer and the two
// headers that warn of the removal, or with 410 behind the gateway and if Options.V1Gone is set.
func (s *Site) removed(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s.opt.V1Gone || viaGateway(r) {
			gone(w, r)
			return
		}
		w.Header().Set("Deprecation", "Wed, 1 Mar 2023")
		w.Header().Set("Warning", `299 - "Deprecated API, will be removed on Mon, 31 Mar 2025"`)
		h(w, r)
	}
}

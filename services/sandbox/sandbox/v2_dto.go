package sandbox

import (
	"encoding/json"
	"net/url"
)

// pageDTO is a page in v2's format, including the undocumented keys.
type pageDTO struct {
	treeDTO
	contentDTO
}

// treeDTO is a page's position in the tree and its owner, which blog posts lack.
type treeDTO struct {
	ParentType  *Kind   `json:"parentType"`
	ParentID    *string `json:"parentId"`
	Position    *int    `json:"position"`
	OwnerID     string  `json:"ownerId"`
	LastOwnerID *string `json:"lastOwnerId"`
	Subtype     string  `json:"subtype,omitempty"`
}

// contentDTO is the common part of pages and blog posts.
type contentDTO struct {
	CreatedAt  stamp              `json:"createdAt"`
	AuthorID   string             `json:"authorId"`
	Version    *versionDTO        `json:"version,omitempty"`
	ID         string             `json:"id"`
	Body       map[string]bodyDTO `json:"body"`
	Status     string             `json:"status"`
	SpaceID    string             `json:"spaceId"`
	Title      string             `json:"title"`
	Labels     *included          `json:"labels,omitempty"`
	Versions   *included          `json:"versions,omitempty"`
	Children   *included          `json:"directChildren,omitempty"`
	Properties *included          `json:"properties,omitempty"`
	Operations *included          `json:"operations,omitempty"`
	Likes      *included          `json:"likes,omitempty"`
	Links      map[string]string  `json:"_links"`

	id     int64
	source source
}

type versionDTO struct {
	Number         int    `json:"number"`
	Message        string `json:"message"`
	MinorEdit      bool   `json:"minorEdit"`
	AuthorID       string `json:"authorId"`
	CreatedAt      stamp  `json:"createdAt"`
	NcsStepVersion string `json:"ncsStepVersion"` // sent by the real site, undocumented
}

type bodyDTO struct {
	Representation string `json:"representation"`
	Value          string `json:"value"`
}

// included is a list inside a page: at most 50 rows, and whether there are more.
type included struct {
	Results any               `json:"results"`
	Meta    map[string]any    `json:"meta"`
	Links   map[string]string `json:"_links"`
}

func versionOut(r revision) *versionDTO {
	return &versionDTO{
		Number: r.number, Message: r.message, AuthorID: r.author, CreatedAt: stamp(r.at),
		NcsStepVersion: formatID(int64(r.number) * 7),
	}
}

func (s *Site) pagesOut(rows []*node) []pageDTO {
	out := make([]pageDTO, 0, len(rows))
	for _, n := range rows {
		out = append(out, s.pageOut(n))
	}
	return out
}

// pageOut copies the node without its body, which fill adds outside the lock.
func (s *Site) pageOut(n *node) pageDTO {
	id := formatID(n.id)
	d := pageDTO{treeDTO{OwnerID: n.author, Subtype: n.subtype}, contentDTO{
		ID: id, CreatedAt: stamp(n.created), AuthorID: n.author, Version: versionOut(n.rev),
		Status: n.status, SpaceID: formatID(n.space.id), Title: n.rev.title, id: n.id, source: n.rev.body,
		Links: map[string]string{
			"webui":    webPath(n),
			"editui":   "/pages/resumedraft.action?draftId=" + id,
			"edituiv2": "/spaces/" + url.PathEscape(n.space.alias) + "/pages/edit-v2/" + id,
			"tinyui":   tinyPath(n.id),
		},
	}}
	if n.parent != nil {
		parent, kind, position := formatID(n.parent.id), n.parent.kind, n.position
		d.ParentID, d.ParentType, d.Position = &parent, &kind, &position
	}
	return d
}

// fill adds the bodies without holding the site's lock: bodies may be generated on demand, and they
// never change.
func (s *Site) fill(out []pageDTO, format string) {
	if format != "" {
		s.stats.bodies(len(out))
	}
	for i := range out {
		d := &out[i]
		d.Body = map[string]bodyDTO{}
		switch format {
		case "":
		case "storage":
			d.Body[format] = bodyDTO{format, d.source.text()}
		case "atlas_doc_format":
			d.Body[format] = bodyDTO{format, adf(d.source.text())}
		default:
			d.Body[format] = bodyDTO{format, s.view(d.id, d.source.text())}
		}
	}
}

// adf is a plain rendering in Atlassian's document format: the text, as one paragraph.
func adf(storage string) string {
	doc := map[string]any{
		"type": "doc", "version": 1,
		"content": []any{map[string]any{
			"type": "paragraph", "content": []any{map[string]any{"type": "text", "text": plainText(storage)}},
		}},
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		return "{}"
	}
	return string(raw)
}

// include adds the lists that the include-* parameters request.
func (s *Site) include(d *pageDTO, n *node, q url.Values) {
	if q.Get("include-version") == "false" {
		d.Version = nil
	}
	self := "/wiki/api/v2/" + string(n.kind) + "s/" + d.ID
	if q.Get("include-labels") == "true" {
		d.Labels = capped(labelsOut(n.labels), self+"/labels")
	}
	if q.Get("include-versions") == "true" {
		d.Versions = capped(n.history(), self+"/versions")
	}
	if q.Get("include-direct-children") == "true" {
		d.Children = capped(s.childrenOut(n, nil), self+"/direct-children")
	}
	for name, field := range map[string]**included{
		"properties": &d.Properties, "operations": &d.Operations, "likes": &d.Likes,
	} {
		if q.Get("include-"+name) == "true" {
			*field = capped([]any{}, self+"/"+name)
		}
	}
}

func capped[T any](rows []T, self string) *included {
	const most = 50
	meta := map[string]any{"hasMore": len(rows) > most}
	if len(rows) > most {
		rows, meta["cursor"] = rows[:most], encodeCursor(most)
	}
	return &included{Results: emptyNotNull(rows), Meta: meta, Links: map[string]string{"self": self}}
}

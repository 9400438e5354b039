package confluence

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/url"
	"strings"
)

// ErrNoSample means that nothing was found on the site on which a route could be tried.
var ErrNoSample = errors.New("nothing there to try it on")

// sampled is how many pages of a space are looked at for something below which they are.
const sampled = 1000

// Samples are objects of a site on which routes can be tried: ids, by what they are of, such as page, group or account.
type Samples map[string]string

// Samples finds objects to try routes on. What cannot be read is left out: trying its route says why.
func (c *Client) Samples(ctx context.Context, probe Probe) Samples {
	s := Samples{"space": probe.Space.ID, "space key": probe.Space.Key, "account": probe.AccountID}
	n := 0
	for stub, err := range c.SpacePages(ctx, probe.Space.ID) {
		if n++; err != nil || n > sampled {
			break
		}
		s[KindPage] = cmp.Or(s[KindPage], stub.ID)
		if _, is := containers[stub.ParentType]; is {
			s[stub.ParentType] = stub.ParentID
		}
	}
	if post, ok := one(c.SpaceBlogPosts(ctx, probe.Space.ID)); ok {
		s[KindBlogPost] = post.ID
	}
	for _, kind := range []CommentKind{Footer, Inline} {
		if comment, ok := one(c.SiteComments(ctx, kind)); ok {
			s[string(kind)+" comment"] = comment.ID
		}
	}
	n = 0
	for a, err := range c.SiteAttachments(ctx) {
		if n++; err != nil || n > sampled {
			break
		}
		if a.PageID != "" {
			s[KindAttachment], s["page with a file"] = a.ID, a.PageID
			break
		}
	}
	for _, access := range AccessTypes {
		if groups, err := c.AccessGroups(ctx, access); err == nil && len(groups) > 0 {
			s["group"] = cmp.Or(s["group"], groups[0])
		}
	}
	return s
}

// one returns the first row of a listing.
func one[T any](rows iter.Seq2[T, error]) (row T, ok bool) {
	for row, err := range rows {
		return row, err == nil
	}
	return row, false
}

// Try makes one call of the route with the client's credential, and returns the error of the call, or ErrNoSample.
func (c *Client) Try(ctx context.Context, route Route, s Samples) error {
	r := request{method: route.Method, route: route.Template, path: strings.TrimPrefix(route.Template, "/wiki"), live: true, query: url.Values{}}
	of, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(r.path, "/api/v2/"), "/rest/api/"), "/")
	kind := sampleOf(of)
	if r.redirects = strings.Contains(r.path, "{attachmentId}"); r.redirects {
		kind = "page with a file"
	}
	id := s[kind]
	if strings.Contains(r.path, "{") {
		if id == "" {
			return ErrNoSample
		}
		r.id, r.kind = id, kind
		r.path = strings.NewReplacer("{id}", id, "{groupId}", url.PathEscape(id), "{operationKey}", "read", "{version-number}", "1", "{attachmentId}", s[KindAttachment]).Replace(r.path)
	}
	switch {
	case of == "users-bulk":
		if s["account"] == "" {
			return ErrNoSample
		}
		body, err := json.Marshal(map[string][]string{"accountIds": {s["account"]}})
		if err != nil {
			return err
		}
		r.body = body
	case route.Template == "/wiki/rest/api/group":
		r.query.Set("accessType", AccessTypes[0])
	case of == "content" && strings.HasSuffix(r.path, "/search"):
		text, err := Where(InSpace(s["space key"])).Text()
		if err != nil {
			return err
		}
		r.query.Set("cql", text)
	case route.Template == "/wiki/api/v2/"+of && id != "" && (kind == KindPage || kind == KindBlogPost):
		r.query.Set("id", id)
	}
	_, err := c.do(ctx, r)
	return err
}

// sampleOf returns of what kind the ids of a route are, from the word that its path begins with.
func sampleOf(word string) string {
	for kind, plural := range containers {
		if plural == word {
			return kind
		}
	}
	return map[string]string{
		"spaces": "space", "pages": KindPage, "blogposts": KindBlogPost, "content": KindPage, "group": "group",
		"footer-comments": "footer comment", "inline-comments": "inline comment", "attachments": KindAttachment,
	}[word]
}

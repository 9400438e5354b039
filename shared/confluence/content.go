package confluence

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// The kinds of content that a space is read for, as named in PageStub, SearchResult and TypeIn.
const (
	KindPage       = "page"
	KindBlogPost   = "blogpost"
	KindComment    = "comment"
	KindAttachment = "attachment"
)

// kindSpace is another kind in a NotFoundError.
const kindSpace = "space"

// content is a kind of content. Each kind has its own routes, which differ only in their names.
type content struct {
	kind     string
	name     string   // for people
	plural   string   // in routes
	statuses []string // that a space's listing shows
}

var (
	pages     = content{KindPage, "page", "pages", []string{"current", "archived"}}
	blogPosts = content{KindBlogPost, "blog post", "blogposts", []string{"current"}}
)

// inSpace lists a space's content of the kind.
func (k content) inSpace(ctx context.Context, c *Client, spaceID string) iter.Seq2[PageStub, error] {
	if !isID(spaceID) {
		return fail[PageStub](fmt.Errorf("list %ss: space %w", k.name, ErrInvalidID))
	}
	l := listing{limit: maxLimit, rows: k.kind, request: request{
		method: http.MethodGet, route: "/wiki/api/v2/spaces/{id}/" + k.plural, path: "/api/v2/spaces/" + spaceID + "/" + k.plural,
		// Sorted by id, so that content that changes during the walk keeps its position.
		query: url.Values{"status": {strings.Join(k.statuses, ",")}, "sort": {"id"}},
		kind:  kindSpace, id: spaceID,
	}}
	return list(ctx, c, l, k.stub)
}

func (k content) stub(w wirePage) (PageStub, error) {
	a := "a " + k.name
	switch {
	case !isID(w.ID):
		return PageStub{}, &objectError{"", a + " whose id is not a string of digits"}
	case w.ParentID != "" && !isID(w.ParentID):
		return PageStub{}, &objectError{w.ID, a + " whose parent's id is not a string of digits"}
	case w.Version.Number < 1:
		return PageStub{}, &objectError{w.ID, a + " without a version"}
	case w.Version.Number > math.MaxInt32:
		return PageStub{}, &objectError{w.ID, a + " whose version is too large: " + strconv.Itoa(w.Version.Number)}
	case w.Status == "":
		return PageStub{}, &objectError{w.ID, a + " without a status"}
	}
	return PageStub{
		ID: w.ID, Kind: k.kind, Version: w.Version.Number, ModifiedAt: w.Version.CreatedAt.Time, Status: w.Status, Title: plain(w.Title),
		ParentID: w.ParentID, ParentType: w.ParentType, WebUI: w.Links.WebUI, Subtype: w.Subtype,
	}, nil
}

func (k content) page(c *Client, w wirePage, body bool) (Page, error) {
	stub, err := k.stub(w)
	if err != nil {
		return Page{}, err
	}
	if !isID(w.SpaceID) {
		return Page{}, &objectError{w.ID, "a " + k.name + " whose space's id is not a string of digits"}
	}
	p := Page{
		PageStub: stub, SpaceID: w.SpaceID, AuthorID: w.AuthorID,
		CreatedAt: w.CreatedAt.Time, URL: c.pageURL(w.ID, w.Links.WebUI),
	}
	if body {
		var ok bool
		if p.Body, ok = w.Body.storage(); !ok {
			// Some pages come without the requested body; they are not empty pages.
			return Page{}, &objectError{w.ID, "a " + k.name + " without the requested body"}
		}
	}
	return p, nil
}

// byID reads in bulk.
func (k content) byID(ctx context.Context, c *Client, ids []string, o PagesOptions) ([]Page, error) {
	for _, id := range ids {
		if !isID(id) {
			return nil, fmt.Errorf("read %ss: %s %w", k.name, k.name, ErrInvalidID)
		}
	}
	if k.kind == KindBlogPost {
		o.Statuses = slices.DeleteFunc(slices.Clone(o.Statuses), func(status string) bool { return status == "archived" })
	}
	r := reading{content: k, client: c, o: o, wanted: len(ids), found: make([]Page, 0, len(ids))}
	for batch := range slices.Chunk(ids, maxLimit) {
		if err := r.batchOrHalves(ctx, batch); err != nil {
			return nil, err
		}
	}
	return r.found, nil
}

// reading is one reading of many.
type reading struct {
	content
	client *Client
	o      PagesOptions
	wanted int
	found  []Page
	bytes  int // of their bodies
}

// batchOrHalves asks for half as many where their bodies are too much for one answer.
func (r *reading) batchOrHalves(ctx context.Context, ids []string) error {
	had, bytes := len(r.found), r.bytes
	err := r.batch(ctx, ids)
	var bad *ProtocolError
	if !errors.As(err, &bad) || !bad.tooLarge {
		return err
	}
	r.found, r.bytes = r.found[:had], bytes
	if len(ids) == 1 {
		bad.ObjectID = ids[0]
		return err
	}
	if err := r.batchOrHalves(ctx, ids[:len(ids)/2]); err != nil {
		return err
	}
	return r.batchOrHalves(ctx, ids[len(ids)/2:])
}

func (r *reading) batch(ctx context.Context, ids []string) error {
	k, c, o := r.content, r.client, r.o
	query := url.Values{"id": {strings.Join(ids, ",")}}
	if len(o.Statuses) > 0 {
		query.Set("status", strings.Join(o.Statuses, ","))
	}
	if o.Body {
		query.Set("body-format", "storage")
	}
	asked := make(map[string]bool, len(ids))
	for _, id := range ids {
		asked[id] = true
	}
	l := listing{limit: maxLimit, rows: k.kind, request: request{
		method: http.MethodGet, route: "/wiki/api/v2/" + k.plural, path: "/api/v2/" + k.plural, query: query,
	}}
	if len(ids) > 1 { // one page is read however large, several are asked for one by one then
		l.request.most = mostHeld
	}
	for p, err := range list(ctx, c, l, func(w wirePage) (Page, error) {
		// A server that ignores the filter would return its whole site.
		if isID(w.ID) && !asked[w.ID] {
			return Page{}, &objectError{w.ID, "a " + k.name + " that was not requested"}
		}
		return k.page(c, w, o.Body)
	}) {
		if err != nil {
			return err
		}
		r.found, r.bytes = append(r.found, p), r.bytes+len(p.Body)
		if r.bytes > mostHeld && len(r.found) < r.wanted {
			return fmt.Errorf("read %ss: %w", k.name, ErrTooMuch)
		}
	}
	return nil
}

// one reads one item, whatever its status.
func (k content) one(ctx context.Context, c *Client, id, expand string) (Page, error) {
	if !isID(id) {
		return Page{}, fmt.Errorf("read %s: %s %w", k.name, k.name, ErrInvalidID)
	}
	want, err := pageExpand(expand)
	if err != nil {
		return Page{}, err
	}
	r := request{
		method: http.MethodGet, route: "/wiki/api/v2/" + k.plural + "/{id}", path: "/api/v2/" + k.plural + "/" + id,
		query: url.Values{}, kind: k.kind, id: id,
	}
	if want["body"] {
		r.query.Set("body-format", "storage")
	}
	var w wirePage
	if err := c.get(ctx, r, &w); err != nil {
		return Page{}, err
	}
	p, err := k.page(c, w, want["body"])
	if err == nil && p.ID != id {
		err = &objectError{id, "a " + k.name + " that was not requested"}
	}
	if err != nil {
		return Page{}, c.malformed(r, err)
	}
	if want["labels"] {
		if p.Labels, err = collect(k.labels(ctx, c, id)); err != nil {
			return Page{}, err
		}
	}
	if want["ancestors"] && k.kind == KindPage {
		if p.Ancestors, err = c.Ancestors(ctx, id); err != nil {
			return Page{}, err
		}
	}
	return p, nil
}

// labels lists the labels of one item.
func (k content) labels(ctx context.Context, c *Client, id string) iter.Seq2[Label, error] {
	if !isID(id) {
		return fail[Label](fmt.Errorf("list labels: %s %w", k.name, ErrInvalidID))
	}
	type wire struct {
		ID     string `json:"id"`
		Name   string `json:"name"`
		Prefix string `json:"prefix"`
	}
	return list(ctx, c, listing{limit: maxLimit, request: k.partOf(id, "labels")}, func(w wire) (Label, error) {
		if w.Name == "" {
			return Label{}, &objectError{id, "a label without a name"}
		}
		return Label{ID: w.ID, Name: plain(w.Name), Prefix: w.Prefix}, nil
	})
}

// partOf is the request for a list that belongs to one item.
func (k content) partOf(id, what string) request {
	return request{
		method: http.MethodGet, route: "/wiki/api/v2/" + k.plural + "/{id}/" + what,
		path: "/api/v2/" + k.plural + "/" + id + "/" + what, kind: k.kind, id: id,
	}
}

// pageExpand accepts v2's names and the v1 names for the same fields.
func pageExpand(expand string) (map[string]bool, error) {
	want := map[string]bool{}
	for _, word := range strings.Split(expand, ",") {
		switch word = strings.TrimSpace(word); word {
		case "", "version", "space":
		case "body", "body.storage":
			want["body"] = true
		case "labels", "metadata.labels":
			want["labels"] = true
		case "ancestors":
			want["ancestors"] = true
		default:
			return nil, fmt.Errorf("read page: expand %s: %w", strconv.Quote(word), ErrInvalidArgument)
		}
	}
	return want, nil
}

package assistant

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store"
)

const scheme = "sluice://"

// uri is how a page, or with an anchor a section of it, is named in answers.
func uri(source, id, anchor string) string {
	u := scheme + url.PathEscape(source) + "/" + url.PathEscape(id)
	if anchor != "" {
		u += "#" + anchor
	}
	return u
}

// anchorOf is the fragment of an address.
func anchorOf(address string) string {
	_, anchor, _ := strings.Cut(address, "#")
	return anchor
}

// ref is a page as it was named.
type ref struct{ source, id, section string }

// byAddress finds the page of an address: of a site that is stored, and of no other, whose pages have the same ids.
func (s *Server) byAddress(ctx context.Context, c *call, address, source string) (store.PageKey, error) {
	none := &trouble{"no page with this address is stored, or it is not for this reader; find it with search"}
	key, err := c.control.Reader.PageAt(ctx, c.Viewer, address)
	if !errors.Is(err, store.ErrNotFound) {
		return key, err
	}
	u, err := url.Parse(address)
	if err != nil || page.IDIn(u) == "" {
		return key, none
	}
	at := []string{source}
	for i := 0; i < len(at); i++ {
		p, err := c.control.Page(ctx, c.Viewer, at[i], page.IDIn(u))
		var several *store.AmbiguousPageError
		if errors.As(err, &several) {
			at = append(at, several.Sources...)
			continue
		}
		var unknown *control.UnknownPageError
		if err != nil && !errors.As(err, &unknown) {
			return key, err
		}
		if of, bad := url.Parse(p.URL); err == nil && bad == nil && strings.EqualFold(of.Host, u.Host) {
			return store.PageKey{SourceID: p.SourceID, ID: p.ID}, nil
		}
	}
	return key, none
}

// parse reads how a page is named: sluice://source/page, an address, or an id; each with #section or not.
// A source that is given beside it is where the page is.
func (s *Server) parse(ctx context.Context, c *call, named, source string) (ref, error) {
	whole, section, _ := strings.Cut(strings.TrimSpace(named), "#")
	if plain, err := url.PathUnescape(section); err == nil {
		section = plain
	}
	r := ref{source: source, section: section}
	switch {
	case whole == "":
		return r, &trouble{"page is missing: give the page or ref of a hit of search"}
	case strings.HasPrefix(whole, scheme):
		of, id, ok := strings.Cut(strings.TrimPrefix(whole, scheme), "/")
		of, ofErr := url.PathUnescape(of)
		id, idErr := url.PathUnescape(id)
		if !ok || id == "" || errors.Join(ofErr, idErr) != nil {
			return r, &trouble{"page is no " + scheme + "source/page: " + oneLine(whole)}
		}
		r.source, r.id = of, id
	case strings.Contains(whole, "://"):
		key, err := s.byAddress(ctx, c, whole, source)
		if err != nil {
			return r, err
		}
		r.source, r.id = key.SourceID, key.ID
	default:
		r.id = whole
	}
	return r, nil
}

// page reads the page that is named.
func (s *Server) page(ctx context.Context, c *call, named, source string) (store.Page, ref, error) {
	r, err := s.parse(ctx, c, named, source)
	if err != nil {
		return store.Page{}, r, err
	}
	p, err := c.control.Page(ctx, c.Viewer, r.source, r.id)
	return p, r, err
}

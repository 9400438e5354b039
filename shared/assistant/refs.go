package assistant

import (
	"context"
	"errors"
	"net/url"
	"regexp"
	"strings"

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

var pageInAddress = regexp.MustCompile(`/pages/(\d+)(?:/|$)`)

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
		key, err := s.control.Reader.PageAt(ctx, c.Viewer, whole)
		switch {
		case err == nil:
			r.source, r.id = key.SourceID, key.ID
		case !errors.Is(err, store.ErrNotFound):
			return r, err
		default:
			found := pageInAddress.FindStringSubmatch(whole)
			if found == nil {
				return r, &trouble{"no page with this address is stored; find it with search"}
			}
			r.id = found[1]
		}
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
	p, err := s.control.Page(ctx, c.Viewer, r.source, r.id)
	return p, r, err
}

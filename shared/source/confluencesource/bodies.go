package confluencesource

import (
	"context"
	"errors"
	"fmt"
	"html"
	"regexp"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/source"
)

// bodies reads the bodies of some pages.
type bodies struct {
	*space
	kinds  map[string]string // page.BlogPost, or "" for a page, by id
	wanted []string          // ids; pages that fail alone are removed
	found  []confluence.Page
	failed []source.Page // and threads of comments, and files
}

// Bodies reads pages and blog posts with their bodies in bulk, whatever their status, and threads one by one. For every page
// that is missing from the result, Confluence has confirmed separately that this account cannot see it.
func (s *space) Bodies(ctx context.Context, refs []page.Ref) ([]source.Page, error) {
	ctx = confluence.HeldBy(s.counted(ctx), s.held)
	b := &bodies{space: s, kinds: make(map[string]string, len(refs))}
	var threads, files []string
	for _, ref := range refs {
		if ref.Kind == page.Attachment {
			files = append(files, ref.ID)
			continue
		}
		if ref.Kind == page.Comment {
			threads = append(threads, ref.ID)
			continue
		}
		b.wanted, b.kinds[ref.ID] = append(b.wanted, ref.ID), ref.Kind
	}
	for _, part := range []struct {
		ids  []string
		read func(context.Context, []string) ([]source.Page, error)
	}{{threads, s.readThreads}, {files, s.readFiles}} {
		if len(part.ids) == 0 {
			continue
		}
		found, err := part.read(ctx, part.ids)
		if b.failed = append(b.failed, found...); err != nil {
			return b.failed, err
		}
	}
	if len(b.wanted) == 0 {
		return b.failed, nil
	}
	if err := b.read(ctx); err != nil {
		return b.failed, err
	}
	spaceID, err := s.spaceID(ctx, false)
	if err == nil && slices.ContainsFunc(b.found, func(p confluence.Page) bool { return p.SpaceID != spaceID }) {
		// Check again before a page counts as moved: the space may have been recreated with its key.
		spaceID, err = s.spaceID(ctx, true)
	}
	if err != nil {
		return b.failed, err
	}
	for _, p := range b.found {
		b.failed = append(b.failed, s.page(p, spaceID))
	}
	return b.failed, nil
}

func (b *bodies) read(ctx context.Context) error {
	if err := b.readKind(ctx, "", b.client.PagesByID); err != nil {
		return err
	}
	if err := b.readKind(ctx, page.BlogPost, b.client.BlogPostsByID); err != nil {
		return err
	}
	return b.confirm(ctx)
}

// tooMuch reports that fewer pages must be requested at once.
type tooMuch struct{ error }

func (e *tooMuch) Unwrap() error        { return e.error }
func (e *tooMuch) Is(target error) bool { return target == source.ErrTooMuch }

// Release gives room for large answers back.
func (s *space) Release() { s.held.Leave() }

// readKind reads those of one kind.
func (b *bodies) readKind(ctx context.Context, kind string, read bulk) error {
	for {
		ids := slices.DeleteFunc(slices.Clone(b.wanted), func(id string) bool { return b.kinds[id] != kind })
		if len(ids) == 0 {
			return nil
		}
		found, err := read(ctx, ids, confluence.PagesOptions{Body: true, Statuses: []string{"current", "archived", "trashed"}})
		if err == nil {
			b.found = append(b.found, found...)
			return nil
		}
		if errors.Is(err, confluence.ErrTooMuch) {
			return &tooMuch{err}
		}
		// A page whose answer cannot be read fails alone. If it were requested again together with its
		// neighbours, all of them would fail too.
		if err := b.failOne(err); err != nil {
			return err
		}
	}
}

// confirm requests each page that the bulk answer omitted: such an answer proves nothing, and a page
// that ends as missing is not requested again before the next run.
func (b *bodies) confirm(ctx context.Context) error {
	have := make(map[string]bool, len(b.found))
	size := 0
	for _, p := range b.found {
		have[p.ID], size = true, size+len(p.Body)
	}
	for _, id := range slices.Clone(b.wanted) {
		if have[id] {
			continue
		}
		p, err := b.one(b.kinds[id])(ctx, id, "body")
		var missing *confluence.NotFoundError
		switch {
		case err == nil:
			b.found, have[id] = append(b.found, p), true
			if size += len(p.Body); size > page.MaxBody && len(have) < len(b.wanted) {
				return &tooMuch{confluence.ErrTooMuch}
			}
		case !errors.As(err, &missing):
			if err := b.failOne(err); err != nil {
				return err
			}
		}
	}
	return nil
}

// failOne fails the one wanted page that the error concerns. It returns any other error.
func (b *bodies) failOne(err error) error {
	err = fmt.Errorf("fetch bodies: %w", meaning(err))
	var bad *confluence.ProtocolError
	if !errors.As(err, &bad) || !slices.Contains(b.wanted, bad.ObjectID) {
		return err
	}
	b.wanted = slices.DeleteFunc(b.wanted, func(id string) bool { return id == bad.ObjectID })
	b.failed = append(b.failed, source.Page{Facts: page.Facts{ID: bad.ObjectID}, Err: err})
	return nil
}

// bulk reads several pages of one kind.
type bulk = func(context.Context, []string, confluence.PagesOptions) ([]confluence.Page, error)

// one reads a single page of the kind.
func (s *space) one(kind string) func(context.Context, string, string) (confluence.Page, error) {
	if kind == page.BlogPost {
		return s.client.GetBlogPostByID
	}
	return s.client.GetPageByID
}

// page converts a page to the type of package source.
func (s *space) page(p confluence.Page, spaceID string) source.Page {
	out := source.Page{Body: p.Body, Facts: page.Facts{
		ID: p.ID, Kind: kindOf(p.Kind), Version: p.Version, Title: p.Title, SpaceKey: s.key(), SpaceKeys: s.otherNames(), BaseURL: s.site, URL: p.URL,
		Status: p.Status, ParentID: p.ParentID, ParentType: p.ParentType, AuthorID: p.AuthorID,
		CreatedAt: p.CreatedAt, ModifiedAt: madeAt(p.ModifiedAt),
	}}
	switch {
	case p.Status != "current":
		out.Gone = p.Status
	case p.SpaceID != spaceID:
		out.Gone = "moved"
	}
	out.People, out.Titles = references(p, s.names())
	return out
}

var (
	mentioned = regexp.MustCompile(`ri:account-id="([^"]+)"`)
	pageLink  = regexp.MustCompile(`<ri:page\s[^>]*>`)
	linkTitle = regexp.MustCompile(`ri:content-title="([^"]+)"`)
	linkSpace = regexp.MustCompile(`ri:space-key="([^"]+)"`)
)

// references finds the accounts that a page mentions, including its author's, and the titles of this
// space's pages that it links to. It searches the markup without parsing it: a wrong match costs a
// look-up and changes nothing.
func references(p confluence.Page, keys []string) (people, titles []string) {
	if p.AuthorID != "" {
		people = append(people, p.AuthorID)
	}
	for _, m := range mentioned.FindAllStringSubmatch(p.Body, -1) {
		people = append(people, html.UnescapeString(m[1]))
	}
	for _, tag := range pageLink.FindAllString(p.Body, -1) {
		title, space := linkTitle.FindStringSubmatch(tag), linkSpace.FindStringSubmatch(tag)
		if title != nil && (space == nil || slices.Contains(keys, strings.ToLower(html.UnescapeString(space[1])))) {
			titles = append(titles, html.UnescapeString(title[1]))
		}
	}
	return people, titles
}

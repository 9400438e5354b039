package confluencesource

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"

	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/source"
)

// files lists the files of the noted pages. As for comments, the site's list is far fewer calls than one for each page.
func (s *space) files(on *commented) source.Part {
	return func(ctx context.Context) iter.Seq2[source.Item, error] {
		return func(yield func(source.Item, error) bool) {
			select {
			case <-on.ended:
			case <-ctx.Done():
				yield(source.Item{}, ctx.Err())
				return
			}
			for a, err := range s.client.SiteAttachments(s.counted(ctx)) {
				var unusable *confluence.RowError
				item := source.Item{Ref: page.Ref{Kind: page.Attachment}}
				switch {
				case errors.As(err, &unusable):
					if unusable.On != "" && !on.pages[unusable.On] {
						continue // of another space
					}
					if unusable.ID == "" {
						yield(source.Item{}, noFiles(err))
						return
					}
					item.ID, item.Err = unusable.ID, unusable // it may be the space's: it fails alone, and nothing is removed for it
				case err != nil:
					yield(source.Item{}, noFiles(err))
					return
				default:
					id, kind := fileOn(a)
					if !on.pages[id] {
						continue
					}
					item.ID, item.Version, item.Title, item.Status, item.ModifiedAt = a.ID, a.Version, a.Title, "current", madeAt(a.ModifiedAt)
					item.ParentID, item.ParentKind = id, kind
				}
				if !yield(item, nil) {
					return
				}
			}
		}
	}
}

// noFiles is the error of a listing of files, without which a run goes on.
func noFiles(err error) error {
	return &source.KindError{Kind: page.Attachment, Err: fmt.Errorf("list attachments of the site: %w", meaning(err))}
}

// fileOn is what an attachment is on; it is on neither if it is on something else, such as custom content.
func fileOn(a confluence.Attachment) (id, kind string) {
	if a.BlogPostID != "" {
		return a.BlogPostID, page.BlogPost
	}
	return a.PageID, "page"
}

// readFiles reads what is known of files, and whether what they are on is a current page of the space. It reads no bytes. With an
// error it returns what was read before; a file that Confluence refuses to tell of fails alone.
func (s *space) readFiles(ctx context.Context, ids []string) ([]source.Page, error) {
	var found []confluence.Attachment
	var pages []source.Page
	var failed error
	for _, id := range ids {
		a, err := s.client.Attachment(ctx, id)
		var missing *confluence.NotFoundError
		var bad *confluence.ProtocolError
		var refused *confluence.StatusError
		switch {
		case errors.As(err, &missing):
		case errors.As(err, &bad) && bad.ObjectID != "", errors.As(err, &refused):
			pages = append(pages, source.Page{Facts: page.Facts{ID: id, Kind: page.Attachment}, Err: fmt.Errorf("read attachment: %w", meaning(err))})
		case err != nil:
			failed = fmt.Errorf("read attachment %s: %w", id, meaning(err))
		default:
			found = append(found, a)
		}
		if failed != nil {
			break
		}
	}
	standing, err := s.whereFiles(ctx, found)
	if err != nil {
		return pages, cmp.Or(failed, err)
	}
	for _, a := range found {
		p := s.file(a)
		p.Gone = gone[standing[a.ID]]
		pages = append(pages, p)
	}
	return pages, failed
}

// whereFiles is the standing of files by that of what they are on, by id. What nobody can see has none.
func (s *space) whereFiles(ctx context.Context, found []confluence.Attachment) (map[string]source.Standing, error) {
	firsts := make([]confluence.Comment, len(found)) // a file is where a comment would be
	for i, a := range found {
		firsts[i] = confluence.Comment{ID: a.ID, Status: a.Status, PageID: a.PageID, BlogPostID: a.BlogPostID, Kind: confluence.Footer}
	}
	return s.whereOn(ctx, firsts)
}

// verifyFiles looks up files one by one, which no bulk call does.
func (s *space) verifyFiles(ctx context.Context, refs []page.Ref) (map[string]source.Standing, error) {
	var found []confluence.Attachment
	for _, ref := range refs {
		a, err := s.client.Attachment(ctx, ref.ID)
		var missing *confluence.NotFoundError
		switch {
		case err == nil:
			found = append(found, a)
		case !errors.As(err, &missing):
			return nil, fmt.Errorf("verify removal candidate %s: %w", ref.ID, meaning(err))
		}
	}
	return s.whereFiles(ctx, found)
}

// file converts an attachment to the type of package source.
func (s *space) file(a confluence.Attachment) source.Page {
	id, kind := fileOn(a)
	out := source.Page{Facts: page.Facts{
		ID: a.ID, Kind: page.Attachment, Version: a.Version, Title: a.Title, SpaceKey: s.key(), SpaceKeys: s.otherNames(), BaseURL: s.site, URL: a.URL,
		Status: "current", ParentID: id, ParentType: kind, AuthorID: a.AuthorID, CreatedAt: madeAt(a.CreatedAt), ModifiedAt: madeAt(a.ModifiedAt),
		File: &page.File{MediaType: a.MediaType, Size: a.FileSize},
	}}
	if a.AuthorID != "" {
		out.People = []string{a.AuthorID}
	}
	return out
}

// Download reads an attachment's bytes.
func (s *space) Download(ctx context.Context, of page.Facts, most int64, to *os.File) (string, error) {
	a := confluence.Attachment{ID: of.ID, Version: of.Version, PageID: of.ParentID}
	if of.File != nil {
		a.FileSize = of.File.Size
	}
	got, err := s.client.Download(s.counted(ctx), a, most, to)
	if err != nil {
		return "", meaning(err)
	}
	return got.Sum, nil
}

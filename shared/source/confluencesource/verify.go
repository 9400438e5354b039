package confluencesource

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/source"
)

// Verify looks up pages by id, without their bodies: in bulk for each kind if Confluence supports it,
// or, with proof, one by one. A page's absence from a bulk answer proves nothing; Confluence's answer
// that it has no such page for this account does.
//
// Threads of comments and files are looked up only with proof: each costs a call.
func (s *space) Verify(ctx context.Context, refs []page.Ref, proof bool) (map[string]source.Standing, error) {
	ctx = s.counted(ctx)
	out, err := s.verifyPages(ctx, slices.DeleteFunc(slices.Clone(refs), func(ref page.Ref) bool { return page.IsPart(ref.Kind) }), proof)
	if err != nil || !proof {
		return out, err
	}
	for _, part := range []struct {
		kind   string
		verify func(context.Context, []page.Ref) (map[string]source.Standing, error)
	}{{page.Comment, s.verifyThreads}, {page.Attachment, s.verifyFiles}} {
		of := slices.DeleteFunc(slices.Clone(refs), func(ref page.Ref) bool { return ref.Kind != part.kind })
		if len(of) == 0 {
			continue
		}
		more, err := part.verify(ctx, of)
		if err != nil {
			return nil, err
		}
		maps.Copy(out, more)
	}
	return out, nil
}

// verifyPages is Verify for pages and blog posts.
func (s *space) verifyPages(ctx context.Context, refs []page.Ref, proof bool) (map[string]source.Standing, error) {
	if len(refs) == 0 {
		return map[string]source.Standing{}, nil
	}
	spaceID, err := s.spaceID(ctx, false)
	if err != nil {
		return nil, err
	}
	look := s.lookUp
	if proof {
		look = s.lookUpEach
	}
	found, err := look(ctx, refs)
	if err != nil {
		return nil, err
	}
	out := make(map[string]source.Standing, len(found))
	for _, p := range found {
		out[p.ID] = standing(p, spaceID)
	}
	return out, nil
}

func (s *space) lookUp(ctx context.Context, refs []page.Ref) ([]confluence.Page, error) {
	var pages, posts []string
	for _, ref := range refs {
		if ref.Kind == page.BlogPost {
			posts = append(posts, ref.ID)
		} else {
			pages = append(pages, ref.ID)
		}
	}
	var all []confluence.Page
	for _, part := range []struct {
		ids  []string
		read bulk
	}{{pages, s.client.PagesByID}, {posts, s.client.BlogPostsByID}} {
		if len(part.ids) == 0 {
			continue
		}
		found, err := part.read(ctx, part.ids, confluence.PagesOptions{Statuses: []string{"current", "archived", "trashed", "deleted"}})
		if err != nil {
			return nil, fmt.Errorf("verify removal candidates: %w", meaning(err))
		}
		all = append(all, found...)
	}
	return all, nil
}

func (s *space) lookUpEach(ctx context.Context, refs []page.Ref) ([]confluence.Page, error) {
	var all []confluence.Page
	for _, ref := range refs {
		p, err := s.one(ref.Kind)(ctx, ref.ID, "")
		var missing *confluence.NotFoundError
		switch {
		case err == nil:
			all = append(all, p)
		case !errors.As(err, &missing):
			return nil, fmt.Errorf("verify removal candidate %s: %w", ref.ID, meaning(err))
		}
	}
	return all, nil
}

// standing derives a page's standing from Confluence's answer.
func standing(p confluence.Page, spaceID string) source.Standing {
	switch {
	case p.Status == "trashed" || p.Status == "deleted":
		return source.Trashed
	case p.Status == "archived":
		return source.Archived
	case p.SpaceID != spaceID:
		return source.Moved
	default:
		return source.Here
	}
}

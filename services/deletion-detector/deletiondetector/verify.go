package deletiondetector

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/store"
)

// verdict is what becomes of candidates, each looked up by its id.
type verdict struct {
	spaceID string
	posts   map[string]bool // by id: it is a blog post
	gone    []store.Removal
	absent  []string // not in the answer for many, and not asked for one by one yet
	kept    []string // there after all
}

// without returns the ids that are not in out.
func without(ids []string, out map[string]bool) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return out[id] })
}

// exclude judges the blog posts of a run that is not about any, and returns the other
// candidates: nobody asked whether those blog posts are there, and it does not matter.
func (v *verdict) exclude(ids []string) []string {
	for _, id := range ids {
		if v.posts[id] {
			v.gone = append(v.gone, store.Removal{PageID: id, Reason: store.ReasonExcluded})
		}
	}
	return without(ids, v.posts)
}

// lookUp asks for the candidates in bulk, those of each kind where Confluence has it.
func (v *verdict) lookUp(ctx context.Context, client *confluence.Client, ids []string) error {
	pages := without(ids, v.posts)
	posts := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !v.posts[id] })
	if err := v.lookUpIn(ctx, client.PagesByID, pages); err != nil {
		return err
	}
	return v.lookUpIn(ctx, client.BlogPostsByID, posts)
}

func (v *verdict) lookUpIn(ctx context.Context, read func(context.Context, []string, confluence.PagesOptions) ([]confluence.Page, error), ids []string) error {
	for batch := range slices.Chunk(ids, verifyBatch) {
		found, err := read(ctx, batch, confluence.PagesOptions{Statuses: []string{"current", "archived", "trashed", "deleted"}})
		if err != nil {
			return fmt.Errorf("verify removal candidates: %w", err)
		}
		byID := make(map[string]confluence.Page, len(found))
		for _, p := range found {
			byID[p.ID] = p
		}
		for _, id := range batch {
			if p, ok := byID[id]; ok {
				v.take(p)
			} else {
				v.absent = append(v.absent, id)
			}
		}
	}
	return nil
}

// confirm asks for each absent page by itself. That an answer for many leaves a page out
// proves nothing; that Confluence says it has no such page for us does.
func (v *verdict) confirm(ctx context.Context, client *confluence.Client) error {
	for _, id := range v.absent {
		read := client.GetPageByID
		if v.posts[id] {
			read = client.GetBlogPostByID
		}
		p, err := read(ctx, id, "")
		var missing *confluence.NotFoundError
		switch {
		case err == nil:
			v.take(p)
		case errors.As(err, &missing):
			v.gone = append(v.gone, store.Removal{PageID: id, Reason: store.ReasonUnreadable})
		default:
			return fmt.Errorf("verify removal candidate %s: %w", id, err)
		}
	}
	v.absent = nil
	return nil
}

// take judges a page by what Confluence says of it.
func (v *verdict) take(p confluence.Page) {
	switch {
	case p.Status == "trashed" || p.Status == "deleted":
		v.gone = append(v.gone, store.Removal{PageID: p.ID, Reason: store.ReasonTrashed})
	case p.Status == "archived":
		v.gone = append(v.gone, store.Removal{PageID: p.ID, Reason: store.ReasonArchived})
	case p.SpaceID != v.spaceID:
		v.gone = append(v.gone, store.Removal{PageID: p.ID, Reason: store.ReasonMoved})
	default:
		v.kept = append(v.kept, p.ID)
	}
}

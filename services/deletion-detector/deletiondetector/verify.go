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
	gone    []store.Removal
	absent  []string // not in the answer for many, and not asked for one by one yet
	kept    []string // there after all
}

// lookUp asks for the candidates in bulk.
func (v *verdict) lookUp(ctx context.Context, client *confluence.Client, ids []string) error {
	for batch := range slices.Chunk(ids, verifyBatch) {
		found, err := client.PagesByID(ctx, batch, confluence.PagesOptions{Statuses: []string{"current", "archived", "trashed", "deleted"}})
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
		p, err := client.GetPageByID(ctx, id, "")
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

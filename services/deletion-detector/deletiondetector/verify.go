package deletiondetector

import (
	"context"
	"slices"

	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/source"
	"github.com/sluicehq/sluice/shared/store"
)

// verdict is the result for candidates, each looked up by its id.
type verdict struct {
	system source.System
	posts  map[string]bool // by id: it is a blog post
	gone   []store.Removal
	absent []string // not in the bulk answer, and not yet requested one by one
	kept   []string // still in the source
}

// without returns the ids that are not in out.
func without(ids []string, out map[string]bool) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return out[id] })
}

// exclude removes the blog posts from a run without blog posts, and returns the other candidates: it
// does not matter whether those blog posts still exist.
func (v *verdict) exclude(ids []string) []string {
	for _, id := range ids {
		if v.posts[id] {
			v.gone = append(v.gone, store.Removal{PageID: id, Reason: store.ReasonExcluded})
		}
	}
	return without(ids, v.posts)
}

// lookUp requests the candidates in bulk.
func (v *verdict) lookUp(ctx context.Context, ids []string) error {
	for batch := range slices.Chunk(ids, verifyBatch) {
		found, err := v.system.Verify(ctx, v.refs(batch), false)
		if err != nil {
			return err
		}
		for _, id := range batch {
			if standing, ok := found[id]; ok {
				v.take(id, standing)
			} else {
				v.absent = append(v.absent, id)
			}
		}
	}
	return nil
}

// confirm requests each absent page separately. A page's absence from a bulk answer proves nothing; the
// system's answer that it has no such page for this account does.
func (v *verdict) confirm(ctx context.Context) error {
	for batch := range slices.Chunk(v.absent, verifyBatch) {
		found, err := v.system.Verify(ctx, v.refs(batch), true)
		if err != nil {
			return err
		}
		for _, id := range batch {
			if standing, ok := found[id]; ok {
				v.take(id, standing)
			} else {
				v.gone = append(v.gone, store.Removal{PageID: id, Reason: store.ReasonUnreadable})
			}
		}
	}
	v.absent = nil
	return nil
}

func (v *verdict) refs(ids []string) []page.Ref {
	refs := make([]page.Ref, len(ids))
	for i, id := range ids {
		if refs[i].ID = id; v.posts[id] {
			refs[i].Kind = page.BlogPost
		}
	}
	return refs
}

// reasons are the reasons of removals by standing. A page that is still here stays.
var reasons = map[source.Standing]string{
	source.Trashed:  store.ReasonTrashed,
	source.Archived: store.ReasonArchived,
	source.Moved:    store.ReasonMoved,
	source.Deleted:  store.ReasonDeleted,
}

func (v *verdict) take(id string, standing source.Standing) {
	if reason, ok := reasons[standing]; ok {
		v.gone = append(v.gone, store.Removal{PageID: id, Reason: reason})
	} else {
		v.kept = append(v.kept, id)
	}
}

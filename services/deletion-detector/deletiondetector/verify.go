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
	kinds  map[string]string // by id, of what is no plain page
	on     map[string]string // the page that it is a part of, by id, of what is a part
	gone   []store.Removal
	absent []string // not in the bulk answer, and not yet requested one by one
	kept   []string // still in the source
}

// includes reports whether the kind of the page is among the run's kinds. Pages always are.
func (v *verdict) includes(id string, kinds []string) bool {
	return v.kinds[id] == "" || slices.Contains(kinds, v.kinds[id])
}

// included returns the ids whose kinds are among the run's.
func (v *verdict) included(ids, kinds []string) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !v.includes(id, kinds) })
}

// exclude removes, say, the blog posts from a run without blog posts, and returns the other candidates: it
// does not matter whether those blog posts still exist. If the source wants blog posts all the same, because that
// was changed since or a process of an older release requested the run, they stay until a run lists them.
func (v *verdict) exclude(ids, kinds, wanted []string) []string {
	for _, id := range ids {
		switch {
		case v.includes(id, kinds):
		case v.includes(id, wanted):
			v.kept = append(v.kept, id)
		default:
			v.gone = append(v.gone, store.Removal{PageID: id, Reason: store.ReasonExcluded})
		}
	}
	return v.included(ids, kinds)
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

// leaveOut takes the resolved threads that the run has listed, which nothing need prove, from the candidates: they leave
// unless the source has such threads now.
func (v *verdict) leaveOut(ids, resolved []string, wanted bool) []string {
	there := make(map[string]bool, len(resolved))
	for _, id := range resolved {
		there[id] = true
	}
	return slices.DeleteFunc(ids, func(id string) bool {
		switch {
		case !there[id]:
			return false
		case wanted:
			v.kept = append(v.kept, id)
		default:
			v.gone = append(v.gone, store.Removal{PageID: id, Reason: store.ReasonExcluded})
		}
		return true
	})
}

// confirm requests each absent page separately. A page's absence from a bulk answer proves nothing; the
// system's answer that it has no such page for this account does. Then it requests the absent parts, but not
// those of pages that leave: they leave with them.
func (v *verdict) confirm(ctx context.Context) error {
	var pages, parts []string
	for _, id := range v.absent {
		if v.on[id] == "" {
			pages = append(pages, id)
		} else {
			parts = append(parts, id)
		}
	}
	v.absent = nil
	if err := v.confirmEach(ctx, pages); err != nil {
		return err
	}
	why := make(map[string]string, len(v.gone))
	for _, r := range v.gone {
		why[r.PageID] = r.Reason
	}
	var alone []string
	for _, id := range parts {
		if reason, ok := why[v.on[id]]; ok {
			v.gone = append(v.gone, store.Removal{PageID: id, Reason: reason})
		} else {
			alone = append(alone, id)
		}
	}
	return v.confirmEach(ctx, alone)
}

func (v *verdict) confirmEach(ctx context.Context, ids []string) error {
	for batch := range slices.Chunk(ids, verifyBatch) {
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
	return nil
}

func (v *verdict) refs(ids []string) []page.Ref {
	refs := make([]page.Ref, len(ids))
	for i, id := range ids {
		refs[i].ID, refs[i].Kind = id, v.kinds[id]
	}
	return refs
}

// reasons are the reasons of removals by standing. A page that is still here stays.
var reasons = map[source.Standing]string{
	source.Trashed:  store.ReasonTrashed,
	source.Archived: store.ReasonArchived,
	source.Moved:    store.ReasonMoved,
	source.Deleted:  store.ReasonDeleted,
	source.Excluded: store.ReasonExcluded,
}

func (v *verdict) take(id string, standing source.Standing) {
	if reason, ok := reasons[standing]; ok {
		v.gone = append(v.gone, store.Removal{PageID: id, Reason: reason})
	} else {
		v.kept = append(v.kept, id)
	}
}

package sweep

import (
	"context"
	"errors"

	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/source"
	"github.com/sluicehq/sluice/shared/store"
)

// Files reads on which pages the files are now, of a source with these kinds: a file is moved alone without a new version. It is
// done after the rest, whose restrictions must not wait for the files of a large site. One on a page that the tree does not have
// is hidden until a run has listed the page. Without the list of files, they stay where they were.
func (r Reader) Files(ctx context.Context, kinds source.Kinds) error {
	system, err := r.permissions(ctx)
	if err != nil || system == nil {
		return err
	}
	_, started, err := r.Ledger.UnknownAccess(ctx, r.Source, nil)
	if err != nil {
		return err
	}
	listing, err := r.System.List(ctx, kinds)
	if err != nil {
		return err
	}
	read := store.AccessRead{SourceID: r.Source, Started: started}
	for _, part := range listing.Parts {
		for item, err := range part(ctx) {
			if unread := new(source.KindError); errors.As(err, &unread) {
				r.Log.Warn().Str("source", r.Source).Err(err).Msg("files that were moved to other pages are not found")
				break
			}
			if err != nil {
				return err
			}
			if item.Err == nil && item.Kind == page.Attachment {
				read.Parents = append(read.Parents, store.Node{ID: item.ID, ParentID: item.ParentID, ParentKind: item.ParentKind})
			}
		}
	}
	if change, err := r.Ledger.SaveAccess(ctx, read); err != nil || change.Moved == 0 {
		return err
	}
	return r.place(ctx)
}

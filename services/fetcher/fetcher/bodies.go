package fetcher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store"
)

// bodies is the fetching of one task's pages.
type bodies struct {
	*Fetcher
	client   *confluence.Client
	run      store.Run
	task     event.PagesListed
	attempts int
	kinds    map[string]string // page.BlogPost, or "" for a page, by id
	wanted   []string          // ids; those that fail by themselves leave it
	found    []confluence.Page
}

// fetch reads the wanted pages and blog posts with their bodies, whatever became of them. Of
// what is not found then, Confluence has said one by one that it does not have it for us.
func (b *bodies) fetch(ctx context.Context) error {
	if err := b.fetchKind(ctx, "", b.client.PagesByID); err != nil {
		return err
	}
	if err := b.fetchKind(ctx, page.BlogPost, b.client.BlogPostsByID); err != nil {
		return err
	}
	return b.confirm(ctx)
}

// fetchKind reads those of one kind.
func (b *bodies) fetchKind(ctx context.Context, kind string, read func(context.Context, []string, confluence.PagesOptions) ([]confluence.Page, error)) error {
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
		// A page that comes in a form that is no use fails alone: asked for again and again
		// together with it, all of its neighbours would fail too.
		if err := b.failOne(ctx, err); err != nil {
			return err
		}
	}
}

// confirm asks for each page that the answer for many left out: such an answer proves
// nothing, and a page that ends as missing is not looked for before the next run.
func (b *bodies) confirm(ctx context.Context) error {
	have := make(map[string]bool, len(b.found))
	for _, p := range b.found {
		have[p.ID] = true
	}
	for _, id := range slices.Clone(b.wanted) {
		if have[id] {
			continue
		}
		read := b.client.GetPageByID
		if b.kinds[id] == page.BlogPost {
			read = b.client.GetBlogPostByID
		}
		p, err := read(ctx, id, "body")
		var missing *confluence.NotFoundError
		switch {
		case err == nil:
			b.found = append(b.found, p)
		case !errors.As(err, &missing):
			if err := b.failOne(ctx, err); err != nil {
				return err
			}
		}
	}
	return nil
}

// failOne fails the one wanted page that the error is about. An error about anything else is
// returned.
func (b *bodies) failOne(ctx context.Context, err error) error {
	err = fmt.Errorf("fetch bodies: %w", err)
	var bad *confluence.ProtocolError
	if !errors.As(err, &bad) || !slices.Contains(b.wanted, bad.ObjectID) {
		return err
	}
	b.wanted = slices.DeleteFunc(b.wanted, func(id string) bool { return id == bad.ObjectID })
	failed := event.PageFailed{
		SourceID: b.run.SourceID, RunID: b.run.ID, PageID: bad.ObjectID, Stage: "fetcher",
		Code: failure.CodeOf(bad), Message: err.Error(), Attempts: b.attempts, At: time.Now().UTC(),
	}
	for _, ref := range b.task.Pages {
		if ref.ID == bad.ObjectID {
			failed.Version = ref.Version
		}
	}
	b.log.Warn().Str("run", b.run.ID).Str("page", bad.ObjectID).Err(err).Msg("page given up")
	return b.bus.Publish(ctx, failed)
}

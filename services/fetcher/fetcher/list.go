package fetcher

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store"
)

const (
	listBatch = 250 // pages a listing call gives at most

	// overlap reaches back before the watermark: the search index lags behind writes, and
	// its times are whole minutes.
	overlap = 10 * time.Minute

	// leaveTimeout bounds what is said to the ledger while the process stops.
	leaveTimeout = 3 * time.Second
)

// list brings the run's listing into the ledger and proves it complete, or fails: an
// iterator of the client ends complete or with an error.
func (f *Fetcher) list(ctx context.Context, run store.Run) error {
	src, err := f.ledger.Source(ctx, run.SourceID)
	if err != nil {
		if errors.Is(err, store.ErrNotFound) {
			err = failure.Wrap(failure.SourceGone, err)
		}
		return err
	}
	client, err := f.site.Client(ctx, src)
	if err != nil {
		return err
	}
	ctx, usage := confluence.WithUsage(ctx)
	defer f.account(ctx, run.ID, usage)
	return f.doubt(ctx, client, src, f.listFrom(ctx, client, run, src))
}

func (f *Fetcher) listFrom(ctx context.Context, client *confluence.Client, run store.Run, src store.Source) error {
	// A dead token looks like an empty space; the probe tells them apart, and its clock is
	// the one that the watermark is kept by. A search refuses a dead token by itself.
	look := client.Probe
	if run.Mode == event.Incremental {
		look = client.ProbeSpace
	}
	probe, err := look(ctx, src.SpaceKey)
	if err != nil {
		var missing *confluence.NotFoundError
		if errors.As(err, &missing) {
			return failure.New(failure.SpaceNotFound,
				"space %s is not there, or not visible to the configured account: %w", src.SpaceKey, err)
		}
		return fmt.Errorf("probe space %s: %w", src.SpaceKey, err)
	}
	f.rememberSpace(src, probe.Space.ID)
	attempt, err := f.ledger.StartListing(ctx, run.ID, probe.ServerTime)
	if err != nil {
		return err
	}
	return f.hold(ctx, run.ID, attempt, func(ctx context.Context) error {
		var err error
		if run.Mode == event.Full {
			err = f.listSpace(ctx, client, run, attempt, probe.Space)
		} else {
			err = f.listChanges(ctx, client, run, attempt, src, probe.ServerTime)
		}
		if err != nil {
			return err
		}
		listed, err := f.ledger.CompleteListing(ctx, run, attempt)
		if err != nil {
			return err
		}
		f.log.Info().Str("source", run.SourceID).Str("run", run.ID).Str("mode", string(run.Mode)).Int("listed", listed).Msg("listing complete")
		return nil
	})
}

// hold runs list and tells the ledger meanwhile that the lister lives: looking up folders, or
// a pause that Confluence asks for, may take longer than the lease. A listing that ends early
// is free for the next lister at once.
func (f *Fetcher) hold(ctx context.Context, runID string, attempt int, list func(context.Context) error) error {
	listCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var signs sync.WaitGroup
	signs.Go(func() {
		tick := time.NewTicker(store.ListingLease / 3)
		defer tick.Stop()
		for {
			select {
			case <-listCtx.Done():
				return
			case <-tick.C:
				// One sign may be lost; only the word that another lists ends this one.
				if err := f.ledger.KeepListing(listCtx, runID, attempt); errors.Is(err, store.ErrNotCurrent) {
					cancel(err)
				}
			}
		}
	})
	err := list(listCtx)
	cause := context.Cause(listCtx)
	cancel(nil)
	signs.Wait()
	switch {
	case err == nil:
		return nil
	case errors.Is(cause, store.ErrNotCurrent):
		return cause
	}
	leaveCtx, stop := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer stop()
	if leaveErr := f.ledger.LeaveListing(leaveCtx, runID, attempt); leaveErr != nil {
		f.log.Warn().Str("run", runID).Err(leaveErr).Msg("the listing is free only when its lease ends")
	}
	return err
}

// listSpace lists every page of the space, whatever its version, its blog posts where they are
// wanted, and builds the tree. The labels, which a listing does not have, are read meanwhile: a
// walk can only ask for one part after the other, so that side by side they take half the time.
func (f *Fetcher) listSpace(ctx context.Context, client *confluence.Client, run store.Run, attempt int, space confluence.Space) error {
	group, ctx := errgroup.WithContext(ctx)
	labels := make(chan map[string][]string, labelsAhead)
	group.Go(func() error {
		defer close(labels)
		return f.readLabels(ctx, client, run, space, labels)
	})
	group.Go(func() error {
		walks, walkCtx := errgroup.WithContext(ctx)
		walks.Go(func() error {
			if err := f.listAll(walkCtx, client.SpacePages(walkCtx, space.ID), run, attempt); err != nil {
				return fmt.Errorf("list space %s: %w", space.Key, err)
			}
			return nil
		})
		if run.BlogPosts {
			walks.Go(func() error {
				if err := f.listAll(walkCtx, client.SpaceBlogPosts(walkCtx, space.ID), run, attempt); err != nil {
					return fmt.Errorf("list blog posts of space %s: %w", space.Key, err)
				}
				return nil
			})
		}
		if err := walks.Wait(); err != nil {
			return err
		}
		// A label belongs to a row of the ledger, and all of these are there only now.
		group.Go(func() error { return f.addLabels(ctx, run, attempt, labels) })
		if err := f.ledger.TreeFromListing(ctx, run); err != nil {
			return err
		}
		return f.growTree(ctx, client, run)
	})
	return group.Wait()
}

// listAll brings a listing of Confluence's into the ledger, to its proven end. A batch is written
// while the next is asked for.
func (f *Fetcher) listAll(ctx context.Context, stubs iter.Seq2[confluence.PageStub, error], run store.Run, attempt int) error {
	group, ctx := errgroup.WithContext(ctx)
	batches := make(chan []store.Listed)
	group.Go(func() error {
		for batch := range batches {
			if err := f.ledger.AddListed(ctx, run.ID, attempt, batch); err != nil {
				return err
			}
		}
		return nil
	})
	group.Go(func() error {
		defer close(batches)
		batch := make([]store.Listed, 0, listBatch)
		give := func() error {
			select {
			case batches <- batch:
				batch = make([]store.Listed, 0, listBatch)
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		for stub, err := range stubs {
			if err != nil {
				return err
			}
			batch = append(batch, store.Listed{
				ID: stub.ID, Kind: kindOf(stub.Kind), Version: stub.Version, Title: stub.Title, Status: stub.Status,
				ParentID: stub.ParentID, ParentKind: stub.ParentType,
			})
			if len(batch) == listBatch {
				if err := give(); err != nil {
					return err
				}
			}
		}
		return give()
	})
	return group.Wait()
}

// wanted holds for what the run is about.
func wanted(run store.Run) confluence.Condition {
	if run.BlogPosts {
		return confluence.TypeIn(confluence.KindPage, confluence.KindBlogPost)
	}
	return confluence.TypeIs(confluence.KindPage)
}

// kindOf is Confluence's kind in our words.
func kindOf(kind string) string {
	if kind == confluence.KindBlogPost {
		return page.BlogPost
	}
	return ""
}

// account writes down what a piece of work has cost, also when it failed. The figure is for
// people: that it cannot be written fails nothing.
func (f *Fetcher) account(ctx context.Context, runID string, u *confluence.Usage) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	if err := f.ledger.AddUsage(ctx, runID, u.Calls(), u.Bytes()); err != nil {
		f.log.Warn().Str("run", runID).Err(err).Msg("usage is not written down")
	}
}

// listChanges lists what the search index says has changed since the last complete run,
// and what failed before. The ledger knows which of it is stored already.
func (f *Fetcher) listChanges(ctx context.Context, client *confluence.Client, run store.Run, attempt int, src store.Source, now time.Time) error {
	minutes := confluence.MinutesSince(src.LastSync.Add(-overlap), now)
	cql := confluence.Where(
		confluence.InSpace(src.SpaceKey), wanted(run), confluence.ModifiedWithin(minutes),
	).OrderBy("lastmodified", confluence.Asc)
	batch := make([]store.Listed, 0, listBatch)
	for hit, err := range client.CQLSearch(ctx, cql, "version,metadata.labels", listBatch) {
		if err != nil {
			return fmt.Errorf("search for changes in space %s: %w", src.SpaceKey, err)
		}
		batch = append(batch, store.Listed{ID: hit.ID, Kind: kindOf(hit.Type), Version: hit.Version, Title: hit.Title, Labels: hit.Labels})
		if len(batch) == listBatch {
			if err := f.ledger.AddListed(ctx, run.ID, attempt, batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	if err := f.ledger.AddListed(ctx, run.ID, attempt, batch); err != nil {
		return err
	}
	return f.ledger.AddFailed(ctx, run, attempt)
}

// growTree looks up the folders and other containers between pages, which listings of pages
// leave out, up to the top, and then writes every node's path.
func (f *Fetcher) growTree(ctx context.Context, client *confluence.Client, run store.Run) error {
	for {
		unknown, err := f.ledger.UncheckedContainers(ctx, run, listBatch)
		if err != nil {
			return err
		}
		if len(unknown) == 0 {
			if err := f.ledger.BuildPaths(ctx, run.SourceID); err != nil {
				return err
			}
			return f.ledger.Repath(ctx, run)
		}
		for i, n := range unknown {
			c, err := client.Container(ctx, n.Kind, n.ID)
			var hidden *confluence.NotFoundError
			switch {
			case err == nil:
				unknown[i].Title, unknown[i].ParentID, unknown[i].ParentKind = c.Title, c.ParentID, c.ParentType
			case !errors.As(err, &hidden) && !errors.Is(err, confluence.ErrInvalidArgument):
				return fmt.Errorf("look up %s %s: %w", n.Kind, n.ID, err)
			}
			// A container that is hidden from us, or of a kind that Confluence has made up
			// since, stays in the tree without a title, so that the path still runs through it.
		}
		if err := f.ledger.PutNodes(ctx, run, unknown); err != nil {
			return err
		}
	}
}

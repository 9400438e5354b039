package fetcher

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/sluicehq/sluice/services/fetcher/visit"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/source"
	"github.com/sluicehq/sluice/shared/store"
)

// HandlePages fetches the bodies of a task's pages without an outcome and publishes them. A page that is
// no longer a current page of the source ends as skipped: the deletion-detector proves whether it must
// be removed.
func (f *Fetcher) HandlePages(ctx context.Context, d bus.Delivery) error {
	task, err := bus.Decode[event.PagesListed](d)
	if err != nil {
		return err
	}
	ids := make([]string, len(task.Pages))
	for i, ref := range task.Pages {
		ids[i] = ref.ID
	}
	if d.Attempt > 1 {
		if err := f.announce(ctx, task.SourceID, task.RunID, ids); err != nil {
			return err
		}
	}
	if ids, err = f.ledger.UnfinishedPages(ctx, task.RunID, ids); err != nil || len(ids) == 0 {
		return err
	}
	run, src, err := f.runAndSource(ctx, task.RunID)
	// No stage needs the pages of a run that was given up, and a run that was sent again has newer
	// tasks.
	if err != nil || run.State.Final() || task.Attempt < run.Attempt {
		return err
	}
	ids, err = f.restore(ctx, run, src, task.Attempt, ids)
	if err != nil || len(ids) == 0 {
		return err
	}
	v, err := visit.Open(ctx, f.systems, f.ledger, run, src, f.log)
	if err != nil {
		return err
	}
	defer v.End(ctx)
	b := batch{Fetcher: f, Visit: v, task: task, deliveries: d.Attempt}
	for _, ref := range task.Pages {
		if slices.Contains(ids, ref.ID) {
			b.wanted = append(b.wanted, ref)
		}
	}
	err = b.fetch(ctx)
	if errors.Is(err, source.ErrTooMuch) && (len(b.wanted) > 1 || len(b.wanted) < len(ids)) {
		return b.split(ctx)
	}
	if d.Attempt >= splitAfter && len(b.wanted) > 1 && v.OnlyHere(ctx, err) {
		return b.split(ctx)
	}
	return v.Doubt(ctx, err)
}

// splitAfter is the attempt from which a task that the system cannot answer is split: splitting every
// task while the whole system is down would only cost more calls.
const splitAfter = 3

// restore publishes the pages whose present version's Markdown is still stored, and returns the ids of
// the others. Only the listing of a full run proves that a page is back: a search index lags behind.
func (f *Fetcher) restore(ctx context.Context, run store.Run, src store.Source, attempt int, ids []string) ([]string, error) {
	if run.Mode != event.Full {
		return ids, nil
	}
	kept, err := f.ledger.KeptPages(ctx, run, ids)
	if err != nil || len(kept) == 0 {
		return ids, err
	}
	events := make([]event.Event, len(kept))
	for i, k := range kept {
		ids = slices.DeleteFunc(ids, func(id string) bool { return id == k.Page.ID })
		k.Page.BaseURL, k.Page.Status = src.BaseURL, "current"
		events[i] = event.PageConverted{
			SourceID: run.SourceID, RunID: run.ID, Attempt: attempt, Page: k.Page, Markdown: k.Markdown,
			Metadata: k.Metadata, Headings: k.Headings, Losses: k.Losses, Includes: k.Includes,
		}
	}
	return ids, f.bus.PublishAll(ctx, events)
}

func (f *Fetcher) runAndSource(ctx context.Context, runID string) (store.Run, store.Source, error) {
	run, err := f.ledger.Run(ctx, runID)
	if err == nil {
		var src store.Source
		if src, err = f.ledger.Source(ctx, run.SourceID); err == nil {
			return run, src, nil
		}
	}
	if errors.Is(err, store.ErrNotFound) {
		err = failure.Wrap(failure.SourceGone, err)
	}
	return run, store.Source{}, err
}

// batch fetches one task's pages.
type batch struct {
	*Fetcher
	*visit.Visit
	task       event.PagesListed
	deliveries int        // of the task
	wanted     []page.Ref // in the task's order; pages that fail alone are removed
}

// fetch fetches the pages of a task and publishes them. What was read before an error is published too, and no longer
// wanted.
func (b *batch) fetch(ctx context.Context) error {
	found, err := b.System.Bodies(ctx, b.wanted)
	for i := range found {
		if n := len(found[i].Body); n > page.MaxBody {
			found[i].Body, found[i].Err = "", failure.New(failure.ConvertTooLarge, "the body has %d bytes, the bound is %d", n, page.MaxBody)
		}
	}
	// Pages that failed alone have failed, whatever happens to the others.
	if failErr := b.failSome(ctx, found); failErr != nil {
		return cmp.Or(err, failErr)
	}
	pages, siftErr := b.sift(ctx, found, err == nil)
	if siftErr == nil {
		siftErr = b.publish(ctx, pages)
	}
	if err == nil || siftErr != nil {
		return cmp.Or(err, siftErr)
	}
	b.wanted = slices.DeleteFunc(slices.Clone(b.wanted), func(ref page.Ref) bool {
		return slices.ContainsFunc(found, func(p source.Page) bool { return p.Facts.ID == ref.ID })
	})
	return err
}

// publish publishes pages of the source.
func (b *batch) publish(ctx context.Context, pages []source.Page) error {
	if len(pages) == 0 {
		return nil
	}
	if err := b.place(ctx, pages); err != nil {
		return err
	}
	pages, err := b.readers(ctx, pages)
	if err != nil || len(pages) == 0 {
		return err
	}
	events, err := b.describe(ctx, pages)
	if err != nil {
		return err
	}
	return b.bus.PublishAll(ctx, events)
}

// index returns the position of the page in wanted, or -1.
func (b *batch) index(id string) int {
	return slices.IndexFunc(b.wanted, func(ref page.Ref) bool { return ref.ID == id })
}

// failSome fails the pages that could not be read alone.
func (b *batch) failSome(ctx context.Context, found []source.Page) error {
	for _, p := range found {
		i := b.index(p.Facts.ID)
		if p.Err == nil || i < 0 {
			continue
		}
		ref := b.wanted[i]
		b.wanted = slices.Delete(slices.Clone(b.wanted), i, i+1)
		b.log.Warn().Str("run", b.Run.ID).Str("page", ref.ID).Err(p.Err).Msg("page given up")
		err := b.bus.Publish(ctx, event.PageFailed{
			SourceID: b.Run.SourceID, RunID: b.Run.ID, PageID: ref.ID, Version: ref.Version, Stage: "fetcher",
			Code: failure.CodeOf(p.Err), Message: p.Err.Error(), Attempts: b.deliveries, At: time.Now().UTC(),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// sift keeps the current pages of the source and ends the others as skipped, also those that found lacks if it is complete.
func (b *batch) sift(ctx context.Context, found []source.Page, complete bool) ([]source.Page, error) {
	reasons := make(map[string]string, len(b.wanted))
	for _, ref := range b.wanted {
		if complete {
			reasons[ref.ID] = "missing"
		}
	}
	var keep []source.Page
	for _, p := range found {
		i := b.index(p.Facts.ID)
		switch {
		case i < 0: // it has failed alone
		case p.Gone != "":
			reasons[p.Facts.ID] = p.Gone
		default:
			delete(reasons, p.Facts.ID)
			p.Facts.Version = cmp.Or(p.Facts.Version, b.wanted[i].Version)
			keep = append(keep, p)
		}
	}
	if err := b.leaveOut(ctx, reasons); err != nil {
		return nil, err
	}
	for _, id := range slices.Sorted(maps.Keys(reasons)) {
		if err := b.ledger.SkipPage(ctx, b.Run.ID, id, reasons[id]); err != nil {
			return nil, err
		}
	}
	return keep, nil
}

// split makes two tasks of one, so that the one page that breaks the answer for all finally fails alone.
func (b *batch) split(ctx context.Context) error {
	b.log.Warn().Str("run", b.Run.ID).Int("pages", len(b.wanted)).Msg("these pages cannot be fetched together, splitting the task")
	half := len(b.wanted) / 2
	var tasks []event.Event
	for _, refs := range [][]page.Ref{b.wanted[:half], b.wanted[half:]} {
		if len(refs) > 0 {
			tasks = append(tasks, event.PagesListed{SourceID: b.Run.SourceID, RunID: b.Run.ID, Attempt: b.task.Attempt, Pages: refs})
		}
	}
	return b.bus.PublishAll(ctx, tasks)
}

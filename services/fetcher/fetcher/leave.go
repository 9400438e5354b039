package fetcher

import (
	"context"
	"slices"
	"time"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store"
)

// leaveOut ends the parts of pages that the source's settings exclude, such as threads that were resolved since, and takes
// them from the reasons. The system has just said so of each by its id, so that what is stored of them need not wait for a full run.
func (b *batch) leaveOut(ctx context.Context, reasons map[string]string) error {
	var ids []string
	for _, ref := range b.wanted {
		if reasons[ref.ID] == store.ReasonExcluded && page.IsPart(ref.Kind) {
			ids = append(ids, ref.ID)
			delete(reasons, ref.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	if err := b.ledger.LeaveExcluded(ctx, b.Run, ids, store.ReasonExcluded); err != nil {
		return err
	}
	return b.announce(ctx, b.Run.SourceID, b.Run.ID, ids)
}

// announce says which of the ids the run has removed. It is repeated when a task comes again.
func (f *Fetcher) announce(ctx context.Context, sourceID, runID string, ids []string) error {
	removed, err := f.ledger.Removals(ctx, runID)
	if err != nil {
		return err
	}
	var events []event.Event
	for _, r := range removed {
		if slices.Contains(ids, r.PageID) {
			events = append(events, event.PageRemoved{SourceID: sourceID, RunID: runID, PageID: r.PageID, Title: r.Title, Reason: r.Reason, At: time.Now().UTC()})
		}
	}
	if len(events) == 0 {
		return nil
	}
	return f.bus.PublishAll(ctx, events)
}

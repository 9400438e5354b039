package lister

import (
	"context"

	"github.com/sluicehq/sluice/services/fetcher/visit"
	"github.com/sluicehq/sluice/shared/source"
)

// labelsAhead is the number of batches of labels that may wait for the end of the listing: those of
// 32,000 pages, a few MiB. In a larger source the reading of labels then waits.
const labelsAhead = 128

// readLabels reads the labels of the source's content of the kinds if its listing lacks them. If the reading fails, the
// stored labels stay.
func (l *Lister) readLabels(ctx context.Context, v *visit.Visit, of source.Kinds, out chan<- map[string][]string) (complete bool, err error) {
	labels, ok := v.System.(source.Labels)
	if !ok {
		return false, nil
	}
	batch := make(map[string][]string, listBatch)
	give := func() error {
		select {
		case out <- batch:
			batch = make(map[string][]string, listBatch)
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for page, err := range labels.Labels(ctx, of) {
		if err != nil {
			return false, v.DoWithout(ctx, err, "labels are as they were until the next full run")
		}
		if batch[page.PageID] = page.Labels; len(batch) == listBatch {
			if err := give(); err != nil {
				return false, err
			}
		}
	}
	return true, give()
}

// addLabels writes the labels from readLabels into the ledger, whose rows must exist.
func (l *Lister) addLabels(ctx context.Context, runID string, attempt int, labels <-chan map[string][]string) error {
	for batch := range labels {
		if err := l.ledger.AddLabels(ctx, runID, attempt, batch); err != nil {
			return err
		}
	}
	return nil
}

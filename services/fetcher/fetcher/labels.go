package fetcher

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/store"
)

// labelsAhead is how many batches of labels may wait for the end of the listing: those of
// 32,000 pages, a few MiB. In a larger space the reading of labels waits then.
const labelsAhead = 128

// readLabels asks the search index for the labels of the space's pages. A token that may not
// search leaves the labels as they are stored.
func (f *Fetcher) readLabels(ctx context.Context, client *confluence.Client, run store.Run, space confluence.Space, out chan<- map[string][]string) error {
	cql := confluence.Where(confluence.InSpace(space.Key), wanted(run))
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
	for hit, err := range client.CQLSearch(ctx, cql, "metadata.labels", listBatch) {
		var denied *confluence.AuthError
		if errors.As(err, &denied) {
			f.log.Warn().Err(err).Str("source", run.SourceID).Msg("labels are not readable")
			return nil
		}
		if err != nil {
			return fmt.Errorf("read labels in space %s: %w", space.Key, err)
		}
		if batch[hit.ID] = hit.Labels; len(batch) == listBatch {
			if err := give(); err != nil {
				return err
			}
		}
	}
	return give()
}

// addLabels writes what readLabels gives into the ledger, whose rows have to be there.
func (f *Fetcher) addLabels(ctx context.Context, run store.Run, attempt int, labels <-chan map[string][]string) error {
	for batch := range labels {
		if err := f.ledger.AddLabels(ctx, run.ID, attempt, batch); err != nil {
			return err
		}
	}
	return nil
}

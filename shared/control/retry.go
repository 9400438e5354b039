package control

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// RetryRequest selects the failed pages to retry: all of a source, or of every source; one page; or some.
type RetryRequest struct {
	SourceID string
	About    string   // the id of a page, which is retried alone, or of a run, whose source is
	Pages    []string // ids of failed pages of the source, which are retried and no others; at most event.MaxOnly
	Key      string   // the same key means the same run; for one source only
}

// check returns an *InvalidError if the request can never become a run.
func (r RetryRequest) check() error {
	switch {
	case len(r.Pages) > 0 && r.SourceID == "":
		return &InvalidError{Field: "source_id", Reason: "is missing: page ids are those of one source"}
	case len(r.Pages) > event.MaxOnly:
		return &InvalidError{Field: "pages", Reason: fmt.Sprintf("must be at most %d; without any, all failed pages are retried", event.MaxOnly)}
	}
	return nil
}

// Retried is a run that lists failed pages of its source again.
type Retried struct {
	Asked
	Failed int // number of failed pages that it lists
}

// mostFailures is the maximum number of failed pages that are counted.
const mostFailures = 10_000

// retrying are failed pages of a source.
type retrying struct {
	source string
	pages  []string // nil for all
	failed int      // how many
}

// Retry requests a run of each source that has such failed pages. A request for some pages joins a run that waits and lists
// them. It returns an
// *InvalidError, an *UnknownSourceError, a *NothingFailedError, a *NotFailedError, a *KeyReusedError, a *TooManyRunsError, or
// a *store.AmbiguousPageError if failed pages of several sites have the id and no source is given.
func (c *Control) Retry(ctx context.Context, v viewer.Viewer, r RetryRequest) ([]Retried, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	v, err := c.narrow(ctx, v, r.SourceID, "")
	if err != nil {
		return nil, err
	}
	slices.Sort(r.Pages)
	r.Pages = slices.Compact(r.Pages)
	if r.Key != "" { // the run of the same key may already have succeeded, so that no page is failed now
		id, err := c.runID(ctx, "retry", r.SourceID, r.Key)
		if err != nil {
			return nil, err
		}
		_, err = c.Reader.Run(ctx, v, id)
		if err == nil {
			asked, err := c.request(ctx, v, retryOf(r.SourceID, id, r.Pages), true, false)
			return []Retried{{Asked: asked}}, err
		}
		if !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
	}
	failed, err := c.failedPages(ctx, v, r)
	if err != nil {
		return nil, err
	}
	var all []Retried
	var unsent error
	for _, f := range failed {
		one := *c
		if unsent != nil { // wait for an unavailable broker only once
			one.Bus = unreachable{unsent}
		}
		id, err := c.runID(ctx, "retry", f.source, r.Key)
		if err != nil {
			return all, err
		}
		asked, err := one.request(ctx, v, retryOf(f.source, id, f.pages), r.Key != "", r.Key == "" && f.pages != nil)
		if err != nil {
			return all, err
		}
		unsent = asked.Unsent
		all = append(all, Retried{Asked: asked, Failed: f.failed})
	}
	return all, nil
}

// retryOf is the request for a run that lists failed pages of a source again, all if pages is empty.
func retryOf(sourceID, runID string, pages []string) event.SyncRequested {
	return event.SyncRequested{RequestID: runID, Mode: event.Incremental, SourceID: sourceID, OnlyPages: pages}
}

// unreachable is a broker that is known to be unavailable.
type unreachable struct{ err error }

func (a unreachable) Publish(context.Context, event.Event) error { return a.err }

// failedPages returns the selected failed pages by source.
func (c *Control) failedPages(ctx context.Context, v viewer.Viewer, r RetryRequest) ([]retrying, error) {
	if len(r.Pages) > 0 {
		err := c.allFailed(ctx, v, r.SourceID, r.Pages)
		return []retrying{{r.SourceID, r.Pages, len(r.Pages)}}, err
	}
	list, err := c.Reader.Failures(ctx, v, r.SourceID, "", r.About, store.First(mostFailures))
	var only []string
	if r.About != "" {
		only = []string{r.About}
	}
	if err == nil && len(list) == 0 && r.About != "" {
		only = nil
		list, err = c.Reader.Failures(ctx, v, r.SourceID, r.About, "", store.First(mostFailures))
	}
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, c.nothingFailed(ctx, v, r)
	}
	var ids []string
	sites := map[int64]bool{}
	for _, f := range list {
		ids, sites[f.Site] = append(ids, f.SourceID), true
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if only != nil && len(sites) > 1 {
		return nil, &store.AmbiguousPageError{ID: r.About, Sources: ids}
	}
	all := make([]retrying, len(ids))
	for i, id := range ids {
		all[i] = retrying{id, only, 1}
		if only != nil {
			continue
		}
		failed, err := c.Reader.Failures(ctx, v, id, "", "", store.First(mostFailures))
		if err != nil {
			return nil, err
		}
		all[i].failed = len(failed)
	}
	return all, nil
}

// nothingFailed is the error of a request that selects no failed page.
func (c *Control) nothingFailed(ctx context.Context, v viewer.Viewer, r RetryRequest) error {
	nothing := &NothingFailedError{SourceID: r.SourceID, About: r.About}
	if r.About != "" {
		_, err := c.Reader.Run(ctx, v, r.About)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		nothing.IsRun = err == nil
	}
	return nothing
}

// allFailed returns a *NotFailedError unless all of the pages are failed now.
func (c *Control) allFailed(ctx context.Context, v viewer.Viewer, sourceID string, pages []string) error {
	list, err := c.Reader.Failures(ctx, v, sourceID, "", "", store.First(mostFailures))
	if err != nil {
		return err
	}
	failed := map[string]bool{}
	for _, f := range list {
		failed[f.PageID] = true
	}
	var not []string
	for _, id := range pages {
		if failed[id] {
			continue
		}
		if len(list) == mostFailures { // it may be older than all of them
			one, err := c.Reader.Failures(ctx, v, sourceID, "", id, store.First(1))
			if err != nil {
				return err
			}
			if len(one) > 0 {
				continue
			}
		}
		not = append(not, id)
	}
	if not != nil {
		return &NotFailedError{SourceID: sourceID, Pages: not}
	}
	return nil
}

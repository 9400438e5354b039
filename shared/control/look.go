package control

import (
	"context"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/run"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/viewer"
)

// Runs lists runs, the newest first, only of one source if sourceID is not empty. It returns an *UnknownSourceError.
func (c *Control) Runs(ctx context.Context, v viewer.Viewer, sourceID string, p store.Part) ([]store.Run, error) {
	v, err := c.narrow(ctx, v, sourceID, "")
	if err != nil {
		return nil, err
	}
	list, err := c.Reader.Runs(ctx, v, sourceID, p)
	return orEmpty(list), err
}

// Operation is a run and its progress.
type Operation = store.Operation

// Active lists the runs that have not ended, the oldest first.
func (c *Control) Active(ctx context.Context, v viewer.Viewer, p store.Part) ([]Operation, error) {
	return c.Reader.OpenOperations(ctx, v, p)
}

// Progress returns the progress of a run. It returns an *UnknownRunError.
func (c *Control) Progress(ctx context.Context, v viewer.Viewer, id string) (Operation, error) {
	if !event.ValidID(id) {
		return Operation{}, &UnknownRunError{ID: id}
	}
	op, err := c.Reader.Operation(ctx, v, id)
	return op, unknownRun(id, err)
}

// Story is everything that is known about a run.
type Story struct {
	store.Story
	WaitsFor string             `json:"waits_for,omitempty"` // the run that must end before this one begins
	Failures []store.LedgerPage `json:"failures"`
	Removals []store.LedgerPage `json:"removals"`
	Held     []store.Removal    `json:"held"` // what a held run would have removed
}

// StoryParts are the parts of a story's lists. The zero value contains none of their pages.
type StoryParts struct{ Failures, Removals, Held store.Part }

// StoryPages are the parts with the first pages of each list, at most most.
func StoryPages(most int) StoryParts {
	p := store.First(most)
	return StoryParts{Failures: p, Removals: p, Held: p}
}

// Story returns what a run did and how long each part took. It returns an *UnknownRunError.
func (c *Control) Story(ctx context.Context, v viewer.Viewer, id string, parts StoryParts) (Story, error) {
	if _, err := c.visibleRun(ctx, v, id); err != nil {
		return Story{}, err
	}
	told, err := c.Reader.Story(ctx, v, id)
	if err != nil {
		return Story{}, unknownRun(id, err)
	}
	st := Story{Story: told, Held: []store.Removal{}}
	if st.Failures, err = c.Reader.LedgerPages(ctx, v, id, event.Failed, parts.Failures); err != nil {
		return st, err
	}
	if st.Removals, err = c.Reader.LedgerPages(ctx, v, id, event.Removed, parts.Removals); err != nil {
		return st, err
	}
	st.Failures, st.Removals, st.ByKind = orEmpty(st.Failures), orEmpty(st.Removals), orEmpty(st.ByKind)
	switch st.State {
	case event.StateHeld:
		held, err := c.Reader.HeldRemovals(ctx, v, id)
		if err != nil {
			return st, err
		}
		held, err = store.Cut(held, parts.Held)
		st.Held = orEmpty(held)
		return st, err
	case event.StateRequested:
		st.WaitsFor, err = c.waitsFor(ctx, v, st.Run)
	}
	return st, err
}

// waitsFor returns the run that must end before this one begins, or "".
func (c *Control) waitsFor(ctx context.Context, v viewer.Viewer, r store.Run) (string, error) {
	open, err := c.Reader.OpenRuns(ctx, v.Only(r.SourceID), store.Whole())
	line := make([]run.Place, len(open))
	for i, o := range open {
		line[i] = run.Place{ID: o.ID, State: o.State, Requested: o.RequestedAt}
	}
	return run.WaitsFor(line, r.ID), err
}

// Failures lists the pages that are failed now, the newest first. Each of sourceID, runID and pageID filters the list
// if it is not empty. It returns an *UnknownSourceError or an *UnknownRunError.
func (c *Control) Failures(ctx context.Context, v viewer.Viewer, sourceID, runID, pageID string, p store.Part) ([]store.Failure, error) {
	v, err := c.narrow(ctx, v, sourceID, runID)
	if err != nil {
		return nil, err
	}
	list, err := c.Reader.Failures(ctx, v, sourceID, runID, pageID, p)
	return orEmpty(list), err
}

// Pages lists a source's live pages. It returns an *UnknownSourceError.
func (c *Control) Pages(ctx context.Context, v viewer.Viewer, sourceID string, f store.PageFilter) ([]store.PageInfo, error) {
	if _, err := c.visibleSource(ctx, v, sourceID); err != nil {
		return nil, err
	}
	list, err := c.Reader.Pages(ctx, v, sourceID, f)
	return orEmpty(list), err
}

// Page returns a live page, only of one source if sourceID is not empty. It returns an *UnknownSourceError or an
// *UnknownPageError. If pages of several sites have the id and no source is given, it returns a
// *store.AmbiguousPageError. For a page that was removed from its space it returns a *PageRemovedError: a user who
// can no longer read it there must not read it here.
func (c *Control) Page(ctx context.Context, v viewer.Viewer, sourceID, id string) (store.Page, error) {
	v, err := c.narrow(ctx, v, sourceID, "")
	if err != nil {
		return store.Page{}, err
	}
	p, err := c.Reader.LivePage(ctx, v, id)
	if errors.Is(err, store.ErrNotFound) && p.Deleted {
		return store.Page{}, &PageRemovedError{ID: id}
	}
	return p, unknownPage(id, err)
}

// KeptPage returns a page even if it was removed, as long as it is stored: for an operator, who has access to the
// database. It returns the same errors as Page except the last one.
func (c *Control) KeptPage(ctx context.Context, v viewer.Viewer, sourceID, id string) (store.Page, error) {
	v, err := c.narrow(ctx, v, sourceID, "")
	if err != nil {
		return store.Page{}, err
	}
	p, err := c.Reader.Page(ctx, v, id)
	return p, unknownPage(id, err)
}

func unknownPage(id string, err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return &UnknownPageError{ID: id}
	}
	return err
}

// Chunks lists a page's chunks in order; a removed page has none.
func (c *Control) Chunks(ctx context.Context, v viewer.Viewer, p store.Page, part store.Part) ([]store.StoredChunk, error) {
	list, err := c.Reader.Chunks(ctx, v, p.SourceID, p.ID, part)
	return orEmpty(list), err
}

// Search finds chunks, the best first. It returns an *UnknownSourceError if the viewer may not see a source that the
// filter names, a *store.AmbiguousPageError if pages of several sites have the id of the page to search below, and
// ErrNoQuery if the query contains no word.
//
// If nothing is found, it checks the filter: it returns an *UnknownSourceError if the source does not exist, and an
// *UnknownPageError if the page to search below is not stored.
func (c *Control) Search(ctx context.Context, v viewer.Viewer, query string, f search.Filter) ([]search.Hit, error) {
	a, err := c.Explain(ctx, v, query, f)
	return a.Hits, err
}

// Explain returns the same hits as Search, and explains them.
func (c *Control) Explain(ctx context.Context, v viewer.Viewer, query string, f search.Filter) (search.Answer, error) {
	var none search.Answer
	if strings.TrimSpace(query) == "" || !utf8.ValidString(query) {
		return none, ErrNoQuery
	}
	for _, id := range append([]string{f.SourceID}, f.Sources...) {
		if id != "" && !v.Sees(id) {
			return none, c.unknownSource(ctx, v, id, store.ErrNotFound)
		}
	}
	a, err := c.Searcher.Explain(ctx, v, query, f)
	if err != nil || len(a.Hits) > 0 {
		return a, err
	}
	if f.SourceID != "" { // a source of Archon is searched too
		if _, err := c.visibleSource(ctx, v, f.SourceID); err != nil {
			return none, err
		}
	}
	if f.Under != "" {
		var ambiguous *store.AmbiguousPageError // among sources that are not searched
		var unknown *UnknownPageError
		_, err := c.KeptPage(ctx, v, "", f.Under)
		if errors.As(err, &unknown) {
			holds, failed := c.Reader.Holds(ctx, v, f.Under)
			if failed != nil || holds {
				err = failed
			}
		}
		if err != nil && !errors.As(err, &ambiguous) {
			return none, err
		}
	}
	a.Hits = []search.Hit{}
	return a, nil
}

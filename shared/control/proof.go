package control

import (
	"context"
	"errors"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// RunPages lists the pages of a run with one outcome, ordered by id. It returns an *UnknownRunError.
func (c *Control) RunPages(ctx context.Context, v viewer.Viewer, id string, outcome event.Outcome, p store.Part) (store.Run, []store.LedgerPage, error) {
	if !event.ValidID(id) {
		return store.Run{}, nil, &UnknownRunError{ID: id}
	}
	var run store.Run
	var list []store.LedgerPage
	err := c.Reader.Together(ctx, v, func(ctx context.Context) (err error) {
		run, err = c.visibleRun(ctx, v, id)
		return err
	}, func(ctx context.Context) (err error) {
		list, err = c.Reader.LedgerPages(ctx, v, id, outcome, p)
		return err
	})
	return run, orEmpty(list), err
}

// Report returns what a run did and how long each part took, without its pages. It returns an *UnknownRunError.
func (c *Control) Report(ctx context.Context, v viewer.Viewer, id string) (store.Story, error) {
	if !event.ValidID(id) {
		return store.Story{}, &UnknownRunError{ID: id}
	}
	story, err := c.Reader.Story(ctx, v, id)
	return story, unknownRun(id, err)
}

// Proof is everything that is known about one page: its copy, and how it came to be.
type Proof struct {
	Page    store.Page // empty if the page was never stored
	Stored  bool
	Journey []store.Passage // the newest first
	Chunks  []store.StoredChunk
	Related []store.RelatedPage
}

// journeyShown is the number of runs in a proof.
const journeyShown = 10

// Proof returns a live page of a source with its journey, a part of its chunks, and its links. A page that has failed
// ever since has only a journey. It returns the errors of Page.
func (c *Control) Proof(ctx context.Context, v viewer.Viewer, sourceID, id string, p store.Part) (Proof, error) {
	var proof Proof
	var unknown *UnknownPageError
	err := c.Reader.Together(ctx, v, func(ctx context.Context) (err error) {
		proof.Page, err = c.Page(ctx, v, sourceID, id)
		if proof.Stored = err == nil; errors.As(err, &unknown) {
			return nil
		}
		return err
	}, func(ctx context.Context) (err error) {
		proof.Journey, err = c.Reader.Journey(ctx, v, sourceID, id, journeyShown)
		return err
	}, func(ctx context.Context) (err error) {
		proof.Chunks, err = c.Reader.Chunks(ctx, v, sourceID, id, p)
		return err
	}, func(ctx context.Context) (err error) {
		proof.Related, err = c.Reader.Related(ctx, v, store.PageKey{SourceID: sourceID, ID: id})
		return err
	})
	if err == nil && unknown != nil {
		proof.Chunks, proof.Related = nil, nil
		if len(proof.Journey) == 0 {
			err = unknown
		}
	}
	return proof, err
}

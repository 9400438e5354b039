package lister

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/services/fetcher/sweep"
	"github.com/sluicehq/sluice/services/fetcher/visit"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/source"
	"github.com/sluicehq/sluice/shared/store"
)

const (
	listBatch = 250 // pages that are written into the ledger at once

	// leaveTimeout limits the calls to the ledger while the process stops.
	leaveTimeout = 3 * time.Second
)

// list writes the run's listing into the ledger and proves it complete, or fails: a part of a listing
// ends complete or with an error.
func (l *Lister) list(ctx context.Context, run store.Run) error {
	src, err := l.ledger.Source(ctx, run.SourceID)
	if err != nil {
		if errors.Is(err, store.ErrNotFound) {
			err = failure.Wrap(failure.SourceGone, err)
		}
		return err
	}
	v, err := visit.Open(ctx, l.systems, l.ledger, run, src, l.log)
	if err != nil {
		return err
	}
	defer v.End(ctx)
	return v.Doubt(ctx, l.listFrom(ctx, v))
}

func (l *Lister) listFrom(ctx context.Context, v *visit.Visit) error {
	listing, err := begin(ctx, v)
	unsearchable := err
	if errors.Is(err, source.ErrUnsearchable) {
		v.Run.Mode = event.Full
		listing, err = begin(ctx, v)
	}
	if err != nil {
		return err
	}
	if err := l.identify(ctx, v); err != nil {
		return err
	}
	run := v.Run
	attempt, err := l.ledger.StartListing(ctx, run.ID, listing.At)
	if err != nil {
		return err
	}
	// From here on the listing belongs to this lister, and any failure releases it.
	return l.hold(ctx, run.ID, attempt, func(ctx context.Context) error {
		moved, err := l.ledger.Readdress(ctx, run.SourceID)
		if err != nil {
			return err
		}
		if moved > 0 {
			l.log.Info().Str("source", run.SourceID).Str("run", run.ID).Int("pages", moved).Msg("pages have their new addresses")
		}
		if err := l.fill(ctx, v, attempt, listing, unsearchable); err != nil {
			return err
		}
		listed, err := l.ledger.CompleteListing(ctx, v.Run, attempt)
		if err != nil {
			return err
		}
		l.log.Info().Str("source", run.SourceID).Str("run", run.ID).Str("mode", string(run.Mode)).Int("listed", listed).Msg("listing complete")
		return nil
	})
}

// identify makes sure that the source is what it was, before anything is believed of its listing.
func (l *Lister) identify(ctx context.Context, v *visit.Visit) error {
	known, ok := v.System.(source.Identified)
	if !ok {
		return nil
	}
	is, err := known.Identity(ctx)
	if err != nil {
		return err
	}
	v.Source, err = l.ledger.Identify(ctx, v.Source.ID, store.Identity(is))
	if errors.Is(err, store.ErrNotFound) {
		err = failure.Wrap(failure.SourceGone, err)
	}
	return err
}

// fill brings the listing into the ledger. unsearchable is why all is listed although less was asked
// for; nil where nothing is.
func (l *Lister) fill(ctx context.Context, v *visit.Visit, attempt int, listing source.Listing, unsearchable error) error {
	run := v.Run
	if unsearchable != nil {
		if err := l.ledger.ListInFull(ctx, run.ID, attempt); err != nil {
			return err
		}
		if err := l.ledger.Note(ctx, run.ID, "all pages are listed: "+unsearchable.Error()); err != nil {
			return err
		}
	}
	if run.Mode == event.Full {
		if err := l.listAll(ctx, v, attempt, listing); err != nil {
			return err
		}
		r := sweep.Reader{Ledger: l.ledger, System: v.System, Source: run.SourceID, Log: l.log}
		// The listing has just placed all pages, so that only their readers are missing.
		if err := v.DoWithout(ctx, r.All(ctx, false), sweep.Missing); err != nil {
			return err
		}
		return l.ledger.LeaveOutListed(ctx, run, attempt)
	}
	if run.OnlyPages != nil {
		return l.ledger.AddFailed(ctx, run, attempt)
	}
	if err := l.walk(ctx, v, attempt, listing); err != nil {
		return err
	}
	// Add the pages that failed before; the ledger later finds the ones that are already stored.
	if err := l.ledger.AddFailed(ctx, v.Run, attempt); err != nil {
		return err
	}
	// Add the folders that an earlier run could not look up.
	return v.MendTree(ctx)
}

// begin starts the listing for the run's mode. A run of some failed pages reads no listing. It knows no change that the
// last run did not know, so the watermark stays where it is.
func begin(ctx context.Context, v *visit.Visit) (source.Listing, error) {
	switch {
	case v.Run.Mode == event.Full:
		return v.System.List(ctx, kinds(v.Run))
	case v.Run.OnlyPages != nil:
		return source.Listing{At: v.Source.LastSync}, nil
	}
	return v.System.Changes(ctx, v.Source.LastSync, kinds(v.Run))
}

// kinds are the run's kinds besides pages.
func kinds(run store.Run) source.Kinds { return run.Kinds }

// hold runs list and renews the lister's lease meanwhile: looking up folders, or a pause that a site
// requests, may take longer than the lease. If a listing ends early, the next lister may start
// immediately.
func (l *Lister) hold(ctx context.Context, runID string, attempt int, list func(context.Context) error) error {
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
				// One renewal may fail; only the news that another lister has taken over ends this one.
				if err := l.ledger.RenewListing(listCtx, runID, attempt); errors.Is(err, store.ErrNotCurrent) {
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
	if leaveErr := l.ledger.ReleaseListing(leaveCtx, runID, attempt); leaveErr != nil {
		l.log.Warn().Str("run", runID).Err(leaveErr).Msg("the listing is free only when its lease ends")
	}
	return err
}

// listAll writes a full listing into the ledger and builds the tree. It reads labels that the listing
// lacks at the same time: each walk requests one part after the other, so concurrent walks take half the
// time.
func (l *Lister) listAll(ctx context.Context, v *visit.Visit, attempt int, listing source.Listing) error {
	outer := ctx
	group, ctx := errgroup.WithContext(ctx)
	complete := false
	labels := make(chan map[string][]string, labelsAhead)
	of := kinds(v.Run) // before the walk, which leaves out kinds that are refused
	group.Go(func() error {
		defer close(labels)
		var err error
		complete, err = l.readLabels(ctx, v, of, labels)
		return err
	})
	group.Go(func() error {
		if err := l.walk(ctx, v, attempt, listing); err != nil {
			return err
		}
		// A label belongs to a row of the ledger; only now do all rows exist.
		group.Go(func() error { return l.addLabels(ctx, v.Run.ID, attempt, labels) })
		if err := l.ledger.TreeFromListing(ctx, v.Run); err != nil {
			return err
		}
		return v.GrowTree(ctx)
	})
	if err := group.Wait(); err != nil || !complete {
		return err
	}
	missed, err := l.ledger.CompareSearch(outer, v.Run)
	if err != nil || missed == 0 {
		return err
	}
	return l.ledger.Note(outer, v.Run.ID, fmt.Sprintf(
		"the search leaves out %d pages that the listing has, so that runs list all pages until it does not", missed))
}

// walk writes the parts of a listing into the ledger, concurrently. What the run then does without is no longer among its
// kinds, so that nothing is concluded from its absence.
func (l *Lister) walk(ctx context.Context, v *visit.Visit, attempt int, listing source.Listing) error {
	walks, walkCtx := errgroup.WithContext(ctx)
	var without sync.Map
	for _, part := range listing.Parts {
		walks.Go(func() error {
			kind, err := l.walkKind(walkCtx, v, attempt, part)
			without.Store(kind, true)
			return err
		})
	}
	err := walks.Wait()
	v.Run.Kinds = slices.DeleteFunc(slices.Clone(v.Run.Kinds), func(kind string) bool {
		_, ok := without.Load(kind)
		return ok
	})
	return err
}

// walkKind is walkPart. If only content of one kind cannot be listed while the system answers otherwise, it returns the
// kind, which the run does without, and notes why.
func (l *Lister) walkKind(ctx context.Context, v *visit.Visit, attempt int, part source.Part) (without string, err error) {
	var of *source.KindError
	err = l.walkPart(ctx, v.Run, attempt, part)
	if errors.As(err, &of) && ctx.Err() == nil {
		err = l.walkPart(ctx, v.Run, attempt, part) // a proxy may have refused that one call
	}
	if !errors.As(err, &of) || ctx.Err() != nil {
		return "", err
	}
	refused := !slices.Contains([]failure.Code{failure.Unavailable, failure.Protocol, failure.BadListing}, failure.CodeOf(err))
	note := of.Kind + "s could not be listed, and what is stored of them stays; the next sync is a full one and tries again"
	if refused {
		note = of.Kind + "s could not be listed, and what is stored of them stays; a full sync tries again, others do after a day"
	}
	if err := v.DoWithout(ctx, err, note); err != nil {
		return "", err
	}
	if refused {
		return of.Kind, l.ledger.RefuseKind(ctx, v.Source.ID, of.Kind)
	}
	return of.Kind, nil
}

// walkPart writes a part of a listing into the ledger, to its proven end. It writes a batch while it
// requests the next.
func (l *Lister) walkPart(ctx context.Context, run store.Run, attempt int, part source.Part) error {
	group, ctx := errgroup.WithContext(ctx)
	batches := make(chan []store.Listed)
	group.Go(func() error {
		for batch := range batches {
			if err := l.ledger.AddListed(ctx, run.ID, attempt, batch); err != nil {
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
		for item, err := range part(ctx) {
			if err != nil {
				return err
			}
			why, code := "", failure.Code("")
			if item.Err != nil {
				l.log.Warn().Str("run", run.ID).Str("page", item.ID).Err(item.Err).Msg("page given up")
				why, code = item.Err.Error(), failure.CodeOf(item.Err)
			}
			batch = append(batch, store.Listed{
				Failure: why, Code: code,
				ID: item.ID, Kind: item.Kind, Version: item.Version, Title: item.Title, Status: item.Status,
				ParentID: item.ParentID, ParentKind: item.ParentKind, Labels: item.Labels, Hash: item.Hash, HashPart: item.HashPart, ModifiedAt: item.ModifiedAt,
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

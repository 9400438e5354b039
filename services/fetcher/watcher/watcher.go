// Package watcher looks at the sources that are due by their schedule: it asks each site once what changed in all of them,
// and requests runs of those in which something did.
//
// The broker is the clock. A tick finds the sites that have sources which are due, and publishes a nudge for each; a nudge
// claims these sources in the database, so that one process at a time looks at them. Delivery is at least once, and what is
// due is in the database: a lost tick or nudge is made up for by the next one.
package watcher

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/source"
	"github.com/sluicehq/sluice/shared/source/systems"
	"github.com/sluicehq/sluice/shared/store"
)

// ledger is the part of the store that the watcher uses; its errors are the store's.
type ledger interface {
	DueSources(ctx context.Context, since time.Duration) ([]string, error)
	ClaimDue(ctx context.Context, sourceID string) (store.Look, error)
	UnknownHits(ctx context.Context, hits []store.Hit) ([]store.Hit, error)
	EndLook(ctx context.Context, token string, list []store.Looked) ([]event.SyncRequested, error)
}

// broker is the part of the bus that the watcher uses.
type broker interface {
	Publish(ctx context.Context, e event.Event) error
	Ticks() bool
}

// opener opens sources.
type opener interface {
	Open(ctx context.Context, src store.Source) (source.System, error)
}

var (
	_ ledger = (*store.Store)(nil)
	_ broker = (*bus.Bus)(nil)
	_ opener = (*systems.Systems)(nil)
)

const (
	// lookWithin limits the questions to a site. It is less than store.LookLease and the broker's ack time, so that nobody
	// else looks meanwhile.
	lookWithin = 45 * time.Second
	// endWithin limits what is written and published at the end, also while the process stops.
	endWithin = 5 * time.Second

	// lookEvery is how often a process looks for sources that nobody looks at although they have been due for lateAfter: the
	// broker's clock may be lost. It is a broker's own interval where that is too old to be the clock.
	lookEvery = 15 * time.Second
	lateAfter = 20 * time.Second
	ownEvery  = 5 * time.Second
)

// Watcher looks at sources. It is safe for concurrent use.
type Watcher struct {
	ledger  ledger
	bus     broker
	systems opener
	log     zerolog.Logger
}

// New returns a watcher.
func New(l ledger, b broker, s opener, log zerolog.Logger) *Watcher {
	return &Watcher{ledger: l, bus: b, systems: s, log: log}
}

// Handle handles ticks and nudges.
func (w *Watcher) Handle(ctx context.Context, d bus.Delivery) error {
	if d.Type == event.TypeTick {
		return w.nudge(ctx, 0)
	}
	due, err := bus.Decode[event.SourceDue](d)
	if err != nil {
		return err
	}
	return w.look(ctx, due.SourceID)
}

// GiveUp replaces the bus's page.failed: the sources stay due, and the next tick finds them.
func (w *Watcher) GiveUp(_ context.Context, d bus.Delivery, cause error) error {
	w.log.Warn().Str("source", d.SourceID).Err(cause).Msg("sources that are due are not looked at; the next tick tries again")
	return nil
}

// Run looks for sources that are late, until ctx ends. Where the broker is no clock, each that is due is late.
func (w *Watcher) Run(ctx context.Context) error {
	for {
		every, late := lookEvery, lateAfter
		if !w.bus.Ticks() {
			every, late = ownEvery, 0
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every):
			if err := w.nudge(ctx, late); err != nil && ctx.Err() == nil {
				w.log.Warn().Err(err).Msg("sources that are due are not looked for")
			}
		}
	}
}

// nudge publishes a nudge for each site with sources that have been due for so long.
func (w *Watcher) nudge(ctx context.Context, since time.Duration) error {
	due, err := w.ledger.DueSources(ctx, since)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, endWithin)
	defer cancel()
	now := time.Now().UTC()
	for _, id := range due {
		if err := w.bus.Publish(ctx, event.SourceDue{SourceID: id, At: now}); err != nil {
			return err
		}
	}
	return nil
}

// look looks at the sources that are due on a source's site.
func (w *Watcher) look(ctx context.Context, sourceID string) error {
	claimed, err := w.ledger.ClaimDue(ctx, sourceID)
	if err != nil || len(claimed.Sources) == 0 {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	list, err := w.judge(asking, claimed.Sources)
	if ctx.Err() != nil {
		list = nil // the process stops, which says nothing of the sources: they are due again at once
	}
	end, stop := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
	defer stop()
	requests, endErr := w.ledger.EndLook(end, claimed.Token, list)
	for _, req := range requests {
		// The request is in the ledger: without the broker it is sent again from there.
		if err := w.bus.Publish(end, req); err != nil {
			w.log.Warn().Str("run", req.RequestID).Err(err).Msg("the request waits for the broker")
		}
	}
	return errors.Join(err, endErr, ctx.Err())
}

// Package lister turns a sync request into a run: it lists the run's pages into the ledger, and sends
// the tasks that fetch the bodies.
//
// Delivery is at least once: for a redelivered request, the ledger shows the finished work, and the
// lister does the rest.
package lister

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/services/fetcher/sweep"
	"github.com/sluicehq/sluice/services/fetcher/visit"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store"
)

// ledger is the part of the store that the lister uses; its errors are the store's.
type ledger interface {
	visit.Ledger
	sweep.Ledger
	Source(ctx context.Context, id string) (store.Source, error)
	Identify(ctx context.Context, sourceID string, is store.Identity) (store.Source, error)
	Readdress(ctx context.Context, sourceID string) (int, error)
	OpenRun(ctx context.Context, req event.SyncRequested) (store.Run, error)
	Run(ctx context.Context, id string) (store.Run, error)
	StartListing(ctx context.Context, runID string, startedAt time.Time) (int, error)
	RenewListing(ctx context.Context, runID string, attempt int) error
	ReleaseListing(ctx context.Context, runID string, attempt int) error
	AddListed(ctx context.Context, runID string, attempt int, batch []store.Listed) error
	AddLabels(ctx context.Context, runID string, attempt int, labels map[string][]string) error
	AddFailed(ctx context.Context, run store.Run, attempt int) error
	RefuseKind(ctx context.Context, sourceID, kind string) error
	ListInFull(ctx context.Context, runID string, attempt int) error
	CompareSearch(ctx context.Context, run store.Run) (missed int, err error)
	CompleteListing(ctx context.Context, run store.Run, attempt int) (int, error)
	LeaveOutListed(ctx context.Context, run store.Run, attempt int) error
	TreeFromListing(ctx context.Context, run store.Run) error
	PendingPages(ctx context.Context, runID, after string, limit int) ([]page.Ref, error)
	FailRun(ctx context.Context, id string, code failure.Code, message string) error
	Advance(ctx context.Context, runID string) (snap event.Progress, first bool, err error)
}

// publisher is the part of the bus that the lister uses.
type publisher interface {
	Publish(ctx context.Context, e event.Event) error
	PublishAll(ctx context.Context, events []event.Event) error
}

var (
	_ ledger    = (*store.Store)(nil)
	_ publisher = (*bus.Bus)(nil)
)

// Lister handles sync requests.
type Lister struct {
	ledger  ledger
	bus     publisher
	systems visit.Systems
	log     zerolog.Logger
}

// New returns a lister; its handlers are safe for concurrent use.
func New(l ledger, b publisher, s visit.Systems, log zerolog.Logger) *Lister {
	return &Lister{ledger: l, bus: b, systems: s, log: log}
}

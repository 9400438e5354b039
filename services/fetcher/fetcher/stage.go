// Package fetcher is the first stage: it turns a sync request into a run, lists the run's pages, and
// fetches their bodies in bulk.
//
// It reads three durable consumers. The watcher looks at sources that are due by their schedule. The lister opens the run of a sync request, lists the source into the
// ledger and publishes tasks of up to event.MaxListed pages; the fetcher, in any replica, takes a task,
// fetches the bodies and publishes each page. Delivery is at least once: for a redelivered request or
// task, the ledger shows the finished work, and the fetcher does the rest.
package fetcher

import (
	"context"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/services/fetcher/lister"
	"github.com/sluicehq/sluice/services/fetcher/sweep"
	"github.com/sluicehq/sluice/services/fetcher/visit"
	"github.com/sluicehq/sluice/services/fetcher/watcher"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/service"
	"github.com/sluicehq/sluice/shared/store"
)

// ledger is the part of the store that the fetcher uses; its errors are the store's.
type ledger interface {
	visit.Ledger
	sweep.Ledger
	Source(ctx context.Context, id string) (store.Source, error)
	Run(ctx context.Context, id string) (store.Run, error)
	UnfinishedPages(ctx context.Context, runID string, ids []string) ([]string, error)
	LeaveOut(ctx context.Context, run store.Run, ids []string) ([]string, error)
	SkipPage(ctx context.Context, runID, pageID, reason string) error
	LeaveExcluded(ctx context.Context, run store.Run, ids []string, reason string) error
	Removals(ctx context.Context, runID string) ([]store.Removal, error)
	Labels(ctx context.Context, runID string, ids []string) (map[string][]string, error)
	KeptPages(ctx context.Context, run store.Run, ids []string) ([]store.KeptPage, error)
	StrayNodes(ctx context.Context, sourceID string, nodes []store.Node) ([]store.Node, error)
	PagesByTitle(ctx context.Context, sourceID string, titles []string) (map[string]string, error)
}

// publisher is the part of the bus that the fetcher uses.
type publisher interface {
	Publish(ctx context.Context, e event.Event) error
	PublishAll(ctx context.Context, events []event.Event) error
}

var (
	_ ledger    = (*store.Store)(nil)
	_ publisher = (*bus.Bus)(nil)
)

// Fetcher handles fetch tasks.
type Fetcher struct {
	ledger  ledger
	bus     publisher
	systems visit.Systems
	log     zerolog.Logger
}

// New returns a fetcher; its handlers are safe for concurrent use.
func New(l ledger, b publisher, s visit.Systems, log zerolog.Logger) *Fetcher {
	return &Fetcher{ledger: l, bus: b, systems: s, log: log}
}

// Stage describes the fetcher as a stage of a process.
func Stage() service.Stage {
	return service.Stage{
		Name: "fetcher", Settings: config.TypeOf[config.Fetcher](), Open: open,
		// The live heap is answers of a hundred bodies each, one per worker. At Go's default, as much
		// garbage again would be most of the process's memory.
		GCPercent: 50,
	}
}

func open(ctx context.Context, h *service.Host) (service.Runner, error) {
	cfg, s, b, err := service.Open[config.Fetcher](ctx, h)
	if err != nil {
		return nil, err
	}
	systems, err := h.Systems(ctx)
	if err != nil {
		return nil, err
	}
	l, f := lister.New(s, b, systems, h.Log), New(s, b, systems, h.Log)
	due := watcher.New(s, b, systems, h.Log)
	return service.All(
		service.Consume(b, bus.Due, due.Handle, bus.OnPermanent(due.GiveUp), service.BySite(s)),
		due,
		service.Consume(b, bus.Sync, l.HandleSync, bus.OnPermanent(l.SyncFailed), service.BySite(s)),
		service.Consume(b, bus.Fetch, f.HandlePages, bus.Workers(cfg.Workers), service.BySite(s)),
		sweep.New(s, b, systems, cfg.PermissionsEvery, cfg.PermissionsMaxAge, h.Log),
	), nil
}

// Package fetcher is the first stage: it turns a sync request into a run, lists the pages
// that the run is about, and fetches their bodies in bulk.
//
// It answers two durable consumers. A sync request opens the run, lists the space into the
// ledger and publishes tasks of up to event.MaxListed pages; any replica takes a task,
// fetches the bodies and publishes each page. Delivery is at least once: a request or task
// that comes again finds in the ledger what is done and does the rest.
package fetcher

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/service"
	"github.com/sluicehq/sluice/shared/store"
)

// ledger is what the fetcher needs of the store; its errors are the store's.
type ledger interface {
	Source(ctx context.Context, id string) (store.Source, error)
	OpenRun(ctx context.Context, req event.SyncRequested) (store.Run, error)
	Run(ctx context.Context, id string) (store.Run, error)
	StartListing(ctx context.Context, runID string, startedAt time.Time) (int, error)
	KeepListing(ctx context.Context, runID string, attempt int) error
	LeaveListing(ctx context.Context, runID string, attempt int) error
	AddListed(ctx context.Context, runID string, attempt int, batch []store.Listed) error
	AddLabels(ctx context.Context, runID string, attempt int, labels map[string][]string) error
	AddFailed(ctx context.Context, run store.Run, attempt int) error
	CompleteListing(ctx context.Context, run store.Run, attempt int) (int, error)
	FailRun(ctx context.Context, id string, code failure.Code, message string) error
	Advance(ctx context.Context, runID string, publish func(event.Progress) error) (event.Progress, error)
	Pending(ctx context.Context, runID, after string, limit int) ([]page.Ref, error)
	Unfinished(ctx context.Context, runID string, ids []string) ([]string, error)
	SkipPage(ctx context.Context, runID, pageID, reason string) error
	Labels(ctx context.Context, runID string, ids []string) (map[string][]string, error)
	Kept(ctx context.Context, run store.Run, ids []string) ([]store.KeptPage, error)
	AddUsage(ctx context.Context, runID string, calls int, bytes int64) error

	TreeFromListing(ctx context.Context, run store.Run) error
	UncheckedContainers(ctx context.Context, run store.Run, limit int) ([]store.Node, error)
	PutNodes(ctx context.Context, run store.Run, nodes []store.Node) error
	StrayNodes(ctx context.Context, sourceID string, nodes []store.Node) ([]store.Node, error)
	BuildPaths(ctx context.Context, sourceID string) error
	Repath(ctx context.Context, run store.Run) error
	PagesByTitle(ctx context.Context, sourceID string, titles []string) (map[string]string, error)
}

// publisher is what the fetcher needs of the bus.
type publisher interface {
	Publish(ctx context.Context, e event.Event) error
	PublishAll(ctx context.Context, events []event.Event) error
}

// site gives the client for a source, or an error when this process may not read it.
type site interface {
	Client(ctx context.Context, src store.Source) (*confluence.Client, error)
}

var (
	_ ledger    = (*store.Store)(nil)
	_ publisher = (*bus.Bus)(nil)
	_ site      = (*service.Site)(nil)
)

// Fetcher handles sync requests and fetch tasks.
type Fetcher struct {
	ledger ledger
	bus    publisher
	site   site
	log    zerolog.Logger

	mu     sync.Mutex
	people map[string]string        // display names by account id, emptied when it grows too large
	asking map[string]chan struct{} // closed when the account's name is no longer being asked for
	spaces map[string]string        // space ids by site and key

	refused int // times in a row that users were refused

	lookups singleflight.Group // of spaces
}

// New returns a fetcher; any number of its handlers may run at once.
func New(l ledger, b publisher, s site, log zerolog.Logger) *Fetcher {
	return &Fetcher{ledger: l, bus: b, site: s, log: log, people: map[string]string{}, asking: map[string]chan struct{}{}, spaces: map[string]string{}}
}

// Stage is the fetcher as a process runs it.
func Stage() service.Stage {
	return service.Stage{
		Name: "fetcher",
		// What lives are answers of a hundred bodies each, one a worker, so that as much garbage
		// again would be most of what the process holds.
		GCPercent: 50,
		Load: func(lookup func(string) (string, bool)) (service.Settings, error) {
			c, err := config.Load[config.Fetcher](lookup)
			return service.Settings{Service: c.Service, Nats: c.Nats, Postgres: &c.Postgres, Confluence: &c.Confluence, Master: c.Master}, err
		},
		Run: func(ctx context.Context, d service.Deps) error {
			f := New(d.Store, d.Bus, d.Confluence, d.Log)
			group, ctx := errgroup.WithContext(ctx)
			group.Go(func() error {
				return d.Consume(ctx, bus.Sync, f.HandleSync, bus.OnPermanent(f.SyncFailed))
			})
			group.Go(func() error {
				return d.Consume(ctx, bus.Fetch, f.HandlePages, bus.Workers(d.Workers))
			})
			return group.Wait()
		},
	}
}

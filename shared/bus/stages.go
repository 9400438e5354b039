package bus

import (
	"runtime"
	"slices"

	"github.com/sluicehq/sluice/shared/event"
)

// Stage is a row of the list of stages: the events that a stage consumes and publishes, and its other
// use of the bus.
type Stage struct {
	Name     string // the name of its folder under services/
	Consumes []Consumer
	// Publishes are its events. A stage that consumes publishes page.failed as well.
	Publishes []event.Type
	// Large are its events with bodies or long lists: they travel compressed, and by a reference into
	// the object store if they do not fit into a message. All other events stay plain, so that any NATS
	// client can read them.
	Large   []event.Type
	Calls   bool // it calls source systems, and so shares their request budget
	Follows bool // it reads the progress of runs
	Hears   []event.Type
	// Keeps says that it creates the streams, consumers and buckets. A client that may create a stream
	// can create one that copies another, so only few may.
	Keeps bool
	Looks bool // it shows people the state of all streams, consumers and buckets
}

// Stages is the list of stages, in the order of a page's path. It determines the streams and consumers,
// the permissions on the bus, which events are compressed, and which messages a run waits for. A stage's
// code is in its folder, and services/stages lists it.
var Stages = []Stage{
	{
		Name: "fetcher", Consumes: []Consumer{Sync, Fetch, Due}, Calls: true,
		Publishes: []event.Type{
			event.TypePagesListed, event.TypePageFetched, event.TypeFileFound, event.TypePageConverted,
			event.TypePageRemoved, event.TypeListingCompleted, event.TypeSyncRejected, event.TypeProgress,
			event.TypeDue, event.TypeSyncRequested, // of sources that are due
		},
		Large: []event.Type{event.TypePagesListed, event.TypePageFetched, event.TypePageConverted},
	},
	{
		Name: "converter", Consumes: []Consumer{Convert},
		Publishes: []event.Type{event.TypePageConverted}, Large: []event.Type{event.TypePageConverted},
	},
	{
		Name: "extractor", Consumes: []Consumer{Extract}, Calls: true,
		Publishes: []event.Type{event.TypePageConverted, event.TypePageRemoved}, Large: []event.Type{event.TypePageConverted},
	},
	{
		Name: "chunk-writer", Consumes: []Consumer{Write},
		Publishes: []event.Type{event.TypePageStored},
	},
	{
		Name: "deletion-detector", Consumes: []Consumer{Removals}, Calls: true,
		Publishes: []event.Type{event.TypePageRemoved},
	},
	{
		Name: "progress", Consumes: []Consumer{Ledger}, Follows: true, Keeps: true,
		Publishes: []event.Type{event.TypeProgress, event.TypeSyncRequested},
	},
	{Name: "embedder", Consumes: []Consumer{Embed}},
	{
		Name: "gateway", Calls: true, Follows: true, Looks: true,
		Publishes: []event.Type{event.TypeSyncRequested}, Hears: []event.Type{event.TypeProgress},
	},
}

const maxRequests = 10_000

// The durable consumers. Bodies travel in the messages of Convert and Write; a worker requests one
// message at a time, so that the workers limit a process's memory.
var (
	Sync = Consumer{
		Stream: "SLUICE_SYNC", Durable: "fetcher-sync", Stage: "fetcher",
		Types: []event.Type{event.TypeSyncRequested}, Workers: 4, Waits: true,
		MaxPending: maxRequests, // waiting requests never block other requests
		QueueBytes: 16 * mib, QueueMsgs: maxRequests,
	}
	// As many as may call a site at a time by default: a worker waits for most of its time, and
	// answers of a site far away take a second.
	Fetch = Consumer{
		Stream: "SLUICE_FETCH", Durable: "fetcher-pages", Stage: "fetcher",
		Types: []event.Type{event.TypePagesListed}, Workers: 8, Waits: true,
		MaxPending: 10_000, // the tasks of a slow site, which all wait, never block those of others
		QueueBytes: 256 * mib, RunWaits: true,
	}
	// Ticks of the broker's clock, and the sources that were found to be due.
	Due = Consumer{
		Stream: "SLUICE_SCHEDULE", Durable: "fetcher-schedule", Stage: "fetcher",
		Types: []event.Type{event.TypeTick, event.TypeDue}, Workers: 4, Waits: true, MaxPending: 1000,
		QueueBytes: 4 * mib, Clock: true,
	}
	Convert = Consumer{
		Stream: "SLUICE_CONVERT", Durable: "converter", Stage: "converter",
		Types: []event.Type{event.TypePageFetched}, Workers: runtime.GOMAXPROCS(0), MaxPending: 1000,
		QueueBytes: 512 * mib, RunWaits: true, Alone: true,
	}
	// A worker has one file and one process that reads it. It waits for the site and its media host too.
	Extract = Consumer{
		Stream: "SLUICE_EXTRACT", Durable: "extractor", Stage: "extractor",
		Types: []event.Type{event.TypeFileFound}, Workers: 2, Waits: true, MaxPending: 1000,
		QueueBytes: 64 * mib, RunWaits: true, Alone: true,
	}
	// A worker keeps a connection of the database busy, which may be on the same cores: more than there are
	// write no faster, and whoever searches meanwhile waits behind them.
	Write = Consumer{
		Stream: "SLUICE_WRITE", Durable: "chunk-writer", Stage: "chunk-writer",
		Types: []event.Type{event.TypePageConverted}, Workers: min(max(2, runtime.GOMAXPROCS(0)), 4), MaxPending: 1000,
		QueueBytes: 512 * mib, RunWaits: true, Alone: true,
	}
	Removals = Consumer{
		Stream: factsStream, Durable: "deletion-detector", Stage: "deletion-detector",
		Types: []event.Type{event.TypeListingCompleted}, Workers: 2, MaxPending: 1000, Waits: true,
	}
	Ledger = Consumer{
		Stream: factsStream, Durable: "progress", Stage: "progress",
		Types:   []event.Type{event.TypePageStored, event.TypePageRemoved, event.TypePageFailed, event.TypeListingCompleted},
		Workers: 4, MaxPending: 1000,
	}
	Embed = Consumer{
		Stream: factsStream, Durable: "embedder", Stage: "embedder",
		Types: []event.Type{event.TypePageStored}, Workers: 2, MaxPending: 1000,
	}
)

// Consumer is a durable consumer: a position in a stream that all replicas of a service share.
type Consumer struct {
	// Stream is the consumer's own queue if it has QueueBytes, else the stream of facts.
	Stream  string
	Durable string
	Stage   string       // the stage that reads it, also the stage in page.failed
	Types   []event.Type // the types that it receives
	Workers int          // concurrent handlers in one process, unless the process sets another number
	// Waits says that its handlers wait for other servers. A handler that waits long gives its place to
	// other messages, and no site has more than its share of the workers.
	Waits bool
	// MaxPending limits the messages that handlers process or that wait for a retry, over all replicas.
	// At the limit, a consumer gets no new messages.
	MaxPending int

	// QueueBytes limits the consumer's queue, which rejects messages when it is full and so slows its
	// publishers; QueueMsgs, if it is not 0, limits it as well.
	QueueBytes, QueueMsgs int64
	// RunWaits says that a run is not over while it has messages here: as long as some wait, nothing is
	// lost.
	RunWaits bool
	// Clock says that the broker publishes its first type by itself, again and again. Of its messages, only the
	// newest of a subject is kept.
	Clock bool
	// Alone says that a redelivered message is handled alone, because it may have crashed a process.
	Alone bool
}

// queued reports whether the consumer has its own queue.
func (c Consumer) queued() bool { return c.QueueBytes > 0 }

// publishes are all events of the stage, including page.failed, which the bus publishes for it when it
// gives up a message.
func (r Stage) publishes() []event.Type {
	list := slices.Clone(r.Publishes)
	if len(r.Consumes) > 0 {
		list = add(list, []event.Type{event.TypePageFailed})
	}
	return list
}

// compressible reports whether events of type t may be large.
func compressible(t event.Type) bool {
	return slices.ContainsFunc(Stages, func(s Stage) bool { return slices.Contains(s.Large, t) })
}

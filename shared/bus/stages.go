package bus

import (
	"runtime"
	"slices"

	"github.com/sluicehq/sluice/shared/event"
)

// Stage is a row of the list of stages: what a stage takes from the bus, what it gives, and what
// else it does there.
type Stage struct {
	Name     string // as the folder under services/
	Consumes []Consumer
	// Publishes are its events. A stage that consumes publishes page.failed as well.
	Publishes []event.Type
	// Large are those among its events that carry bodies or long lists: they travel compressed,
	// and by a reference into the object store where they do not fit into a message. All others
	// stay plain, so that any NATS client can read them.
	Large   []event.Type
	Calls   bool // it calls systems that pages come from, and so shares their budget of requests
	Follows bool // it reads the progress of runs
	Hears   []event.Type
	// Keeps says that it makes the streams, consumers and buckets. Whoever may make a stream
	// can make one that copies another, so only few do.
	Keeps bool
}

// Stages is the list of stages, in the order of the way of a page. From it follow the streams and
// consumers, who may do what on the bus, what travels compressed, and what a run waits for. What a
// stage runs is in its folder, and services/stages lists that.
var Stages = []Stage{
	{
		Name: "fetcher", Consumes: []Consumer{Sync, Fetch}, Calls: true,
		Publishes: []event.Type{
			event.TypePagesListed, event.TypePageFetched, event.TypePageConverted,
			event.TypeListingCompleted, event.TypeSyncRejected, event.TypeProgress,
		},
		Large: []event.Type{event.TypePagesListed, event.TypePageFetched, event.TypePageConverted},
	},
	{
		Name: "converter", Consumes: []Consumer{Convert},
		Publishes: []event.Type{event.TypePageConverted}, Large: []event.Type{event.TypePageConverted},
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
	{
		Name: "gateway", Follows: true,
		Publishes: []event.Type{event.TypeSyncRequested}, Hears: []event.Type{event.TypeProgress},
	},
}

const maxRequests = 10_000

// The durable consumers. Bodies travel in the messages of Convert and Write; a worker asks
// for one message at a time, so that the workers bound what a process holds in memory.
var (
	Sync = Consumer{
		Stream: "SLUICE_SYNC", Durable: "fetcher-sync", Stage: "fetcher",
		Types: []event.Type{event.TypeSyncRequested}, Workers: 4,
		MaxPending: maxRequests, // requests that wait for their turn never keep others from theirs
		QueueBytes: 16 * mib, QueueMsgs: maxRequests,
	}
	// As many as may call a site at a time by default: a worker waits for most of its time, and
	// answers of a site far away take a second.
	Fetch = Consumer{
		Stream: "SLUICE_FETCH", Durable: "fetcher-pages", Stage: "fetcher",
		Types: []event.Type{event.TypePagesListed}, Workers: 8, MaxPending: 1000,
		QueueBytes: 256 * mib, RunWaits: true,
	}
	Convert = Consumer{
		Stream: "SLUICE_CONVERT", Durable: "converter", Stage: "converter",
		Types: []event.Type{event.TypePageFetched}, Workers: runtime.GOMAXPROCS(0), MaxPending: 1000,
		QueueBytes: 512 * mib, RunWaits: true, Alone: true,
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
		Types: []event.Type{event.TypeListingCompleted}, Workers: 2, MaxPending: 1000,
	}
	Ledger = Consumer{
		Stream: factsStream, Durable: "progress", Stage: "progress",
		Types:   []event.Type{event.TypePageStored, event.TypePageRemoved, event.TypePageFailed, event.TypeListingCompleted},
		Workers: 4, MaxPending: 1000,
	}
)

// Consumer is a durable consumer: a place in a stream that all replicas of a service share.
type Consumer struct {
	// Stream is a queue of the consumer's own, if it has QueueBytes, and else the stream of facts.
	Stream  string
	Durable string
	Stage   string       // the stage that reads it, as page.failed names it
	Types   []event.Type // what it is given
	Workers int          // handlers at a time in one process unless the process says otherwise
	// MaxPending bounds the messages that are with handlers or wait for another try, over
	// all replicas. A consumer that has reached it is given nothing new.
	MaxPending int

	// QueueBytes bounds the consumer's queue, which refuses messages when it is full and so slows
	// whoever publishes them; QueueMsgs, if it is not 0, bounds it as well.
	QueueBytes, QueueMsgs int64
	// RunWaits says that a run is not over before its messages here are: as long as some wait,
	// nothing is lost.
	RunWaits bool
	// Alone says that a message which was delivered before is handled while no other one is: it may
	// have ended a process.
	Alone bool
}

// queued reports whether the consumer has a queue of its own.
func (c Consumer) queued() bool { return c.QueueBytes > 0 }

// publishes are all events that the stage publishes: the bus does so for it when it gives a
// message up.
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

package bus

import (
	"runtime"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/shared/event"
)

// Stream is one row of the topology: what a JetStream stream keeps and how much of it.
// Every stream is bounded, and the bounds together stay below 4 GiB, because a server sets
// them aside from its limit as a whole.
type Stream struct {
	Name  string
	Types []event.Type
	// Work says that a message is one consumer's task and leaves the stream when it is done.
	// Such a stream refuses messages when it is full, which slows its publisher. Any other
	// stream keeps its messages for many readers and lets go of the oldest.
	Work      bool
	MaxBytes  int64
	MaxMsgs   int64         // 0 for no bound but MaxBytes
	MaxAge    time.Duration // 0 for ever
	Newest    bool          // only the newest message of a subject is kept
	Consumers []Consumer
}

// Consumer is a durable consumer: a place in a stream that all replicas of a service share.
type Consumer struct {
	Stream  string
	Durable string
	Stage   string       // the stage that reads it, as page.failed names it
	Types   []event.Type // what it is given
	Workers int          // handlers at a time in one process unless the process says otherwise
	// MaxPending bounds the messages that are with handlers or wait for another try, over
	// all replicas. A consumer that has reached it is given nothing new.
	MaxPending int
}

const (
	mib = 1 << 20

	// duplicateWindow is how long the broker remembers message ids. It filters a publisher's
	// own retries; it is no guarantee, for the ids of acknowledged work are forgotten when
	// the broker restarts.
	duplicateWindow = 2 * time.Minute

	claimBucket   = "SLUICE_CLAIMS"
	claimBytes    = 1024 * mib
	counterBucket = "SLUICE_UNCOUNTED"
	counterBytes  = 16 * mib
	budgetBucket  = "SLUICE_BUDGETS"
	budgetBytes   = 4 * mib
	bucketAge     = 24 * time.Hour

	// advisoryStream keeps the broker's own notes on messages that were given up.
	advisoryStream = "SLUICE_ADVISORIES"
	advisoryBytes  = 16 * mib
	advisoryAge    = 7 * 24 * time.Hour
)

// The durable consumers. Bodies travel in the messages of Convert and Write; a worker asks
// for one message at a time, so that the workers bound what a process holds in memory.
var (
	Sync = Consumer{
		Stream: "SLUICE_SYNC", Durable: "fetcher-sync", Stage: "fetcher",
		Types: []event.Type{event.TypeSyncRequested}, Workers: 4,
		MaxPending: maxRequests, // requests that wait for their turn never keep others from theirs
	}
	// As many as may call a site at a time by default: a worker waits for most of its time, and
	// answers of a site far away take a second.
	Fetch = Consumer{
		Stream: "SLUICE_FETCH", Durable: "fetcher-pages", Stage: "fetcher",
		Types: []event.Type{event.TypePagesListed}, Workers: 8, MaxPending: 1000,
	}
	Convert = Consumer{
		Stream: "SLUICE_CONVERT", Durable: "converter", Stage: "converter",
		Types: []event.Type{event.TypePageFetched}, Workers: runtime.GOMAXPROCS(0), MaxPending: 1000,
	}
	// A worker keeps a connection of the database busy, which may be on the same cores: more than there are
	// write no faster, and whoever searches meanwhile waits behind them.
	Write = Consumer{
		Stream: "SLUICE_WRITE", Durable: "chunk-writer", Stage: "chunk-writer",
		Types: []event.Type{event.TypePageConverted}, Workers: min(max(2, runtime.GOMAXPROCS(0)), 4), MaxPending: 1000,
	}
	Removals = Consumer{
		Stream: "SLUICE_FACTS", Durable: "deletion-detector", Stage: "deletion-detector",
		Types: []event.Type{event.TypeListingCompleted}, Workers: 2, MaxPending: 1000,
	}
	Ledger = Consumer{
		Stream: "SLUICE_FACTS", Durable: "progress", Stage: "progress",
		Types:   []event.Type{event.TypePageStored, event.TypePageRemoved, event.TypePageFailed, event.TypeListingCompleted},
		Workers: 4, MaxPending: 1000,
	}
)

const maxRequests = 10_000

// Topology is everything that Apply makes: a new stage is a row here.
var Topology = []Stream{
	{
		Name: Sync.Stream, Work: true, Types: []event.Type{event.TypeSyncRequested},
		MaxBytes: 16 * mib, MaxMsgs: maxRequests, Consumers: []Consumer{Sync},
	},
	{
		Name: Fetch.Stream, Work: true, Types: []event.Type{event.TypePagesListed},
		MaxBytes: 256 * mib, Consumers: []Consumer{Fetch},
	},
	{
		Name: Convert.Stream, Work: true, Types: []event.Type{event.TypePageFetched},
		MaxBytes: 512 * mib, Consumers: []Consumer{Convert},
	},
	{
		Name: Write.Stream, Work: true, Types: []event.Type{event.TypePageConverted},
		MaxBytes: 512 * mib, Consumers: []Consumer{Write},
	},
	{
		Name: "SLUICE_FACTS",
		Types: []event.Type{
			event.TypePageStored, event.TypePageRemoved, event.TypePageFailed,
			event.TypeListingCompleted, event.TypeSyncRejected,
		},
		MaxBytes: 256 * mib, MaxAge: 72 * time.Hour, Consumers: []Consumer{Removals, Ledger},
	},
	{
		Name: "SLUICE_PROGRESS", Newest: true, Types: []event.Type{event.TypeProgress},
		MaxBytes: 64 * mib, MaxAge: 7 * 24 * time.Hour,
	},
}

// subject is where events of type t are published, for every source.
func subject(t event.Type) string {
	if t == event.TypeProgress {
		return event.ProgressSubject("*", "*")
	}
	return event.Subject(t, "*")
}

func subjects(types []event.Type) []string {
	out := make([]string, len(types))
	for i, t := range types {
		out[i] = subject(t)
	}
	return out
}

func (s Stream) config(replicas int) jetstream.StreamConfig {
	c := jetstream.StreamConfig{
		Name:      s.Name,
		Subjects:  subjects(s.Types),
		Storage:   jetstream.FileStorage,
		Retention: jetstream.LimitsPolicy,
		Discard:   jetstream.DiscardOld,
		MaxBytes:  s.MaxBytes,
		MaxMsgs:   -1,
		MaxAge:    s.MaxAge,

		MaxMsgsPerSubject: -1,

		Duplicates:  duplicateWindow,
		Replicas:    replicas,
		AllowDirect: true,
	}
	if s.MaxMsgs > 0 {
		c.MaxMsgs = s.MaxMsgs
	}
	if s.Newest {
		c.MaxMsgsPerSubject = 1
	}
	if s.Work {
		c.Retention, c.Discard = jetstream.WorkQueuePolicy, jetstream.DiscardNew
	}
	return c
}

// config has no BackOff list, which would take the place of AckWait, and no MaxDeliver: an
// exhausted message would stay in the stream for ever. The bus counts and gives up itself. It
// has no Replicas either: without, a consumer has as many copies as its stream, also when these
// become more.
func (c Consumer) config(ackWait time.Duration) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable:        c.Durable,
		FilterSubjects: subjects(c.Types),
		DeliverPolicy:  jetstream.DeliverAllPolicy,
		AckPolicy:      jetstream.AckExplicitPolicy,
		AckWait:        ackWait,
		MaxDeliver:     -1,
		MaxAckPending:  c.MaxPending,
	}
}

// advisories keeps what the broker says about messages that a consumer gave up. These notes
// are plain messages, lost unless a stream catches them.
func advisories(replicas int) jetstream.StreamConfig {
	c := jetstream.StreamConfig{
		Name: advisoryStream, Storage: jetstream.FileStorage, Replicas: replicas,
		MaxBytes: advisoryBytes, MaxMsgs: -1, MaxMsgsPerSubject: -1, MaxAge: advisoryAge,
		Discard: jetstream.DiscardOld, Duplicates: duplicateWindow, AllowDirect: true,
	}
	for _, s := range Topology {
		for _, kind := range []string{"MAX_DELIVERIES", "MSG_TERMINATED"} {
			c.Subjects = append(c.Subjects, "$JS.EVENT.ADVISORY.CONSUMER."+kind+"."+s.Name+".>")
		}
	}
	return c
}

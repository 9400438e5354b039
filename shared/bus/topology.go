package bus

import (
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/shared/event"
)

// Stream is one row of the topology: the content and the limits of a JetStream stream. Every stream is
// limited, and the limits together stay below 4 GiB, because a server reserves them from its total
// limit.
type Stream struct {
	Name  string
	Types []event.Type
	// Work says that a message is one consumer's task and leaves the stream when it is done. Such a
	// stream rejects messages when it is full, which slows its publisher. Any other stream keeps its
	// messages for many readers and drops the oldest.
	Work      bool
	MaxBytes  int64
	MaxMsgs   int64         // 0 for no limit except MaxBytes
	MaxAge    time.Duration // 0 for no limit
	Newest    bool          // only the newest message of a subject is kept
	Clock     bool          // the broker repeats a message in it
	Consumers []Consumer
}

const (
	mib = 1 << 20

	// duplicateWindow is how long the broker remembers message ids. It filters a publisher's own
	// retries. It is not a guarantee, because a restarted broker forgets the ids of acknowledged work.
	duplicateWindow = 2 * time.Minute

	factsStream   = "SLUICE_FACTS"
	factsBytes    = 256 * mib
	factsAge      = 72 * time.Hour
	progressBytes = 64 * mib
	progressAge   = 7 * 24 * time.Hour

	claimBucket   = "SLUICE_CLAIMS"
	claimBytes    = 1024 * mib
	counterBucket = "SLUICE_UNCOUNTED"
	counterBytes  = 16 * mib
	budgetBucket  = "SLUICE_BUDGETS"
	budgetBytes   = 4 * mib
	bucketAge     = 24 * time.Hour

	// advisoryStream keeps the broker's own advisories about messages that were given up.
	advisoryStream = "SLUICE_ADVISORIES"
	advisoryBytes  = 16 * mib
	advisoryAge    = 7 * 24 * time.Hour
)

// Topology is everything that Apply creates. It follows from Stages.
var Topology = topology(Stages)

// topology gives every consumer with a queue its own stream. All other events of stages are facts for
// any number of readers, except progress.
func topology(stages []Stage) []Stream {
	facts := Stream{Name: factsStream, MaxBytes: factsBytes, MaxAge: factsAge}
	var streams []Stream
	var tasks []event.Type
	for _, s := range stages {
		for _, c := range s.Consumes {
			if !c.queued() {
				facts.Consumers = append(facts.Consumers, c)
				continue
			}
			tasks = append(tasks, c.Types...)
			if c.Clock {
				// A nudge is as good as another, and only the newest of each is kept.
				streams = append(streams, Stream{
					Name: c.Stream, Newest: true, Clock: true, Types: append([]event.Type{event.TypeClock}, c.Types...),
					MaxBytes: c.QueueBytes, Consumers: []Consumer{c},
				})
				continue
			}
			streams = append(streams, Stream{
				Name: c.Stream, Work: true, Types: c.Types, MaxBytes: c.QueueBytes, MaxMsgs: c.QueueMsgs, Consumers: []Consumer{c},
			})
		}
	}
	for _, s := range stages {
		for _, t := range s.publishes() {
			if t != event.TypeProgress && !slices.Contains(tasks, t) {
				facts.Types = add(facts.Types, []event.Type{t})
			}
		}
	}
	// The order has no meaning, but a broker treats another order as a change.
	slices.Sort(facts.Types)
	return append(streams, facts, Stream{
		Name: progressStream, Newest: true, Types: []event.Type{event.TypeProgress}, MaxBytes: progressBytes, MaxAge: progressAge,
	})
}

// all is where events of type t are published, for every source.
func (p Prefix) all(t event.Type) string {
	if t == event.TypeProgress {
		return p.Subject(event.ProgressSubject("*", "*"))
	}
	return p.Subject(event.Subject(t, "*"))
}

func (p Prefix) subjects(types []event.Type) []string {
	out := make([]string, len(types))
	for i, t := range types {
		out[i] = p.all(t)
	}
	return out
}

func (s Stream) config(p Prefix, replicas int) jetstream.StreamConfig {
	c := jetstream.StreamConfig{
		Name:      p.name(s.Name),
		Subjects:  p.subjects(s.Types),
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
	// The broker wants roll-ups with a clock, which is one of them.
	c.AllowMsgSchedules, c.AllowRollup = s.Clock, s.Clock
	if s.Work {
		c.Retention, c.Discard = jetstream.WorkQueuePolicy, jetstream.DiscardNew
	}
	return c
}

// config has no BackOff list, which would take the place of AckWait, and no MaxDeliver: an
// exhausted message would stay in the stream for ever. The bus counts and gives up itself. It
// has no Replicas either: without, a consumer has as many copies as its stream, also when these
// become more.
func (c Consumer) config(p Prefix, ackWait time.Duration) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable:        c.Durable,
		FilterSubjects: p.subjects(c.Types),
		DeliverPolicy:  jetstream.DeliverAllPolicy,
		AckPolicy:      jetstream.AckExplicitPolicy,
		AckWait:        ackWait,
		MaxDeliver:     -1,
		MaxAckPending:  c.MaxPending,
	}
}

// advisories keeps what the broker says about messages that a consumer gave up. These notes
// are plain messages, lost unless a stream catches them.
func advisories(p Prefix, replicas int) jetstream.StreamConfig {
	c := jetstream.StreamConfig{
		Name: p.name(advisoryStream), Storage: jetstream.FileStorage, Replicas: replicas,
		MaxBytes: advisoryBytes, MaxMsgs: -1, MaxMsgsPerSubject: -1, MaxAge: advisoryAge,
		Discard: jetstream.DiscardOld, Duplicates: duplicateWindow, AllowDirect: true,
	}
	for _, s := range Topology {
		for _, kind := range []string{"MAX_DELIVERIES", "MSG_TERMINATED"} {
			c.Subjects = append(c.Subjects, "$JS.EVENT.ADVISORY.CONSUMER."+kind+"."+p.name(s.Name)+".>")
		}
	}
	return c
}

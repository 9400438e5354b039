package bus

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/shared/event"
)

// State compares a part of the topology with its definition.
type State string

// The states of a part.
const (
	PartOK        State = "ok"
	PartMissing   State = "missing"
	PartDifferent State = "different" // Apply would change it
)

// Part is a stream, consumer or bucket in the broker.
type Part struct {
	Name    string `json:"name"` // "stream SLUICE_SYNC", "consumer fetcher-sync", "bucket KV_SLUICE_BUDGETS"
	State   State  `json:"state"`
	Waiting uint64 `json:"waiting"` // of a consumer: messages not yet delivered
	InHand  int    `json:"in_hand"` // of a consumer: messages that workers handle or that wait for a retry
	// Redelivered are messages of a consumer that were delivered more than once and are not done yet, and Free the
	// workers of all processes that ask for its next message.
	Redelivered int `json:"redelivered"`
	Free        int `json:"free"`

	Bytes    uint64 `json:"bytes"`    // of a stream or bucket
	Messages uint64 `json:"messages"` // of a stream or bucket
	MaxBytes int64  `json:"max_bytes"`
	Drops    bool   `json:"drops"` // of a stream: when it is full, its oldest messages go, as they should
}

// Unread reports whether the part is a consumer of which no worker asks for a message or handles one: its stage does not run.
func (p Part) Unread() bool {
	return p.State != PartMissing && strings.HasPrefix(p.Name, consumerPart) && p.Free == 0 && p.InHand == 0
}

// consumerPart is what the name of a consumer's part begins with.
const consumerPart = "consumer "

// Inspect reads the state of every part of the topology and changes nothing. It also returns the
// broker's version; the error says that JetStream does not answer.
func (b *Bus) Inspect(ctx context.Context) (version string, parts []Part, err error) {
	version = b.nc.ConnectedServerVersion()
	if _, err := b.js.AccountInfo(ctx); err != nil {
		return version, nil, refused("JetStream", err)
	}
	stream := func(kind, name string, same func(jetstream.StreamConfig) bool) error {
		s, err := b.js.Stream(ctx, name)
		if missing(err) {
			parts = append(parts, Part{Name: kind + " " + name, State: PartMissing})
			return nil
		}
		if err != nil {
			return fmt.Errorf("look at %s %s: %w", kind, name, err)
		}
		info := s.CachedInfo()
		p := Part{Name: kind + " " + name, State: PartOK, Bytes: info.State.Bytes, Messages: info.State.Msgs, MaxBytes: info.Config.MaxBytes,
			Drops: info.Config.Discard == jetstream.DiscardOld && kind == "stream"}
		if !same(info.Config) {
			p.State = PartDifferent
		}
		parts = append(parts, p)
		return nil
	}
	for _, want := range append(Topology, Stream{Name: advisoryStream}) {
		c := b.mark(want.config(b.p, b.o.Replicas))
		if want.Name == advisoryStream {
			c = advisories(b.p, b.o.Replicas)
		}
		err := stream("stream", b.p.name(want.Name), func(is jetstream.StreamConfig) bool { return reflect.DeepEqual(asWanted(is, c), is) })
		if err != nil {
			return version, parts, err
		}
		for _, consumer := range want.Consumers {
			p, err := b.InspectConsumer(ctx, consumer)
			if err != nil {
				return version, parts, err
			}
			parts = append(parts, p)
		}
	}
	for _, bucket := range []struct {
		name  string
		bytes int64
	}{{b.p.claims(), claimBytes}, {b.p.kv(counterBucket), counterBytes}, {b.p.kv(budgetBucket), budgetBytes}} {
		err := stream("bucket", bucket.name, func(is jetstream.StreamConfig) bool {
			return is.MaxBytes == bucket.bytes && is.MaxAge == bucketAge && is.Replicas == b.o.Replicas
		})
		if err != nil {
			return version, parts, err
		}
	}
	return version, parts, nil
}

// InspectConsumer is Inspect for one consumer of the topology.
func (b *Bus) InspectConsumer(ctx context.Context, want Consumer) (Part, error) {
	p := Part{Name: consumerPart + want.Durable, State: PartOK}
	c, err := b.js.Consumer(ctx, b.p.name(want.Stream), want.Durable)
	if missing(err) {
		p.State = PartMissing
		return p, nil
	}
	if err != nil {
		return p, fmt.Errorf("look at consumer %s: %w", want.Durable, err)
	}
	info := c.CachedInfo()
	p.Waiting, p.InHand = info.NumPending, info.NumAckPending
	p.Redelivered, p.Free = info.NumRedelivered, info.NumWaiting
	if !reflect.DeepEqual(consumerAsWanted(info.Config, want.config(b.p, b.o.AckWait)), info.Config) {
		p.State = PartDifferent
	}
	return p, nil
}

// Queued reports whether messages of a source that a run waits for are queued for a stage or being
// handled: pages to be fetched, converted or written.
func (b *Bus) Queued(ctx context.Context, sourceID string) (bool, error) {
	if !event.ValidID(sourceID) {
		return false, fmt.Errorf("look for messages of a source: %q is not an id", sourceID)
	}
	for _, s := range Stages {
		for _, c := range s.Consumes {
			if !c.RunWaits {
				continue
			}
			if there, err := b.holds(ctx, c, sourceID); err != nil || there {
				return there, err
			}
		}
	}
	return false, nil
}

// holds reports whether messages of a source are in the consumer's queue.
func (b *Bus) holds(ctx context.Context, c Consumer, sourceID string) (bool, error) {
	stream, err := b.js.Stream(ctx, b.p.name(c.Stream))
	for _, t := range c.Types {
		subject := b.p.Subject(event.Subject(t, sourceID))
		var info *jetstream.StreamInfo
		if err == nil {
			info, err = stream.Info(ctx, jetstream.WithSubjectFilter(subject))
		}
		switch {
		case missing(err): // its messages are missing too
			return false, nil
		case err != nil:
			return false, fmt.Errorf("look for messages of %s: %w", sourceID, err)
		case info.State.Subjects[subject] > 0:
			return true, nil
		}
	}
	return false, nil
}

// Discard deletes the messages of a source that wait for a stage. It is for a source that is removed and made anew.
func (b *Bus) Discard(ctx context.Context, sourceID string) error {
	if !event.ValidID(sourceID) {
		return fmt.Errorf("discard messages of a source: %q is not an id", sourceID)
	}
	for _, s := range Topology {
		if !s.Work {
			continue
		}
		stream, err := b.js.Stream(ctx, b.p.name(s.Name))
		for _, t := range s.Types {
			if err == nil {
				err = stream.Purge(ctx, jetstream.WithPurgeSubject(b.p.Subject(event.Subject(t, sourceID))))
			}
		}
		if err != nil && !missing(err) {
			return fmt.Errorf("discard messages of %s: %w", sourceID, err)
		}
	}
	return nil
}

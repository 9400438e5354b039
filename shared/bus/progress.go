package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/shared/event"
)

const progressStream = "SLUICE_PROGRESS"

// LatestProgress returns the newest snapshot of a run, and false if there is none.
func (b *Bus) LatestProgress(ctx context.Context, sourceID, runID string) (event.Progress, bool, error) {
	if err := validRun(sourceID, runID); err != nil {
		return event.Progress{}, false, err
	}
	data, at, err := b.newest(ctx, sourceID, runID)
	if errors.Is(err, jetstream.ErrStreamNotFound) || err == nil && at == 0 {
		return event.Progress{}, false, nil
	}
	var p event.Progress
	if err == nil {
		err = json.Unmarshal(data, &p)
	}
	if err != nil {
		return event.Progress{}, false, fmt.Errorf("read progress of run %s: %w", runID, err)
	}
	return p, true, nil
}

// newest reads the stored snapshot of a run, and its sequence in the stream; 0 if there is none.
func (b *Bus) newest(ctx context.Context, sourceID, runID string) (data []byte, at uint64, err error) {
	stream, err := b.js.Stream(ctx, b.p.name(progressStream))
	if err != nil {
		return nil, 0, err
	}
	msg, err := stream.GetLastMsgForSubject(ctx, b.p.Subject(event.ProgressSubject(sourceID, runID)))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	return msg.Data, msg.Sequence, nil
}

// publishNewer publishes a snapshot unless a newer one of its run is stored: the stream keeps the last
// message, and late subscribers must find the newest snapshot. If several publishers find the same
// stored snapshot, the broker accepts the first; the others look again.
func (b *Bus) publishNewer(ctx context.Context, msg *nats.Msg, p event.Progress) (*jetstream.PubAck, error) {
	data, at, err := b.newest(ctx, p.SourceID, p.RunID)
	if err != nil {
		return nil, err
	}
	var kept event.Progress
	// An unreadable or absurd snapshot is replaced.
	if at != 0 && json.Unmarshal(data, &kept) == nil && kept.After(p) && !kept.Absurd(time.Now()) {
		return &jetstream.PubAck{Stream: b.p.name(progressStream), Sequence: at, Duplicate: true}, nil
	}
	return b.js.PublishMsg(ctx, msg, jetstream.WithRetryAttempts(1), jetstream.WithExpectLastSequencePerSubject(at))
}

// FollowProgress yields the newest snapshot of a run immediately and each newer one when it arrives; it
// drops a snapshot that arrives after a newer one. It ends after a final one, or when ctx ends. Lost
// connections and restarts of the broker delay snapshots, but the newest is always yielded. It yields at
// most one error, as the last pair, for invalid ids and for a closed bus.
func (b *Bus) FollowProgress(ctx context.Context, sourceID, runID string) iter.Seq2[event.Progress, error] {
	return func(yield func(event.Progress, error) bool) {
		if err := validRun(sourceID, runID); err != nil {
			yield(event.Progress{}, err)
			return
		}
		f := &following{b: b, source: sourceID, run: runID, yield: yield}
		if err := f.follow(ctx); err != nil && ctx.Err() == nil {
			yield(event.Progress{}, err)
		}
	}
}

func validRun(sourceID, runID string) error {
	if !event.ValidID(sourceID) || !event.ValidID(runID) {
		return fmt.Errorf("%q and %q are not the ids of a source and a run", sourceID, runID)
	}
	return nil
}

// following is one reader of a run's progress. Live snapshots come by plain subscription, which the
// broker need not store; the stored snapshot replaces missed ones.
type following struct {
	b           *Bus
	source, run string
	yield       func(event.Progress, error) bool

	last event.Progress
	seen bool
}

func (f *following) follow(ctx context.Context) error {
	live := make(chan *nats.Msg, 64)
	sub, err := f.b.nc.ChanSubscribe(f.b.p.Subject(event.ProgressSubject(f.source, f.run)), live)
	if err != nil {
		return ErrClosed
	}
	defer func() { _ = sub.Unsubscribe() }()
	poll := time.NewTicker(f.b.o.ProgressPoll)
	defer poll.Stop()
	for {
		reconnected := f.b.connected.next()
		if !f.stored(ctx, live) {
			return nil
		}
		for again := false; !again; {
			select {
			case <-ctx.Done():
				return nil
			case <-f.b.closed:
				return ErrClosed
			case <-reconnected:
				again = true
			case <-poll.C:
				again = true
			case msg := <-live:
				if !f.live(msg) {
					return nil
				}
			}
		}
	}
}

// stored yields the stored snapshot unless it is known. It reports whether to continue. If the broker
// does not answer, it continues: the next look finds it.
func (f *following) stored(ctx context.Context, live <-chan *nats.Msg) bool {
	callCtx, cancel := context.WithTimeout(ctx, f.b.o.AckTimeout)
	defer cancel()
	// The subscription must be active before the look; otherwise a snapshot could be missed in between.
	if err := f.b.nc.FlushWithContext(callCtx); err != nil {
		return ctx.Err() == nil
	}
	p, ok, err := f.b.LatestProgress(callCtx, f.source, f.run)
	if err != nil {
		if ctx.Err() == nil {
			f.b.log.Debug().Err(err).Str("run", f.run).Msg("progress cannot be read, trying again")
		}
		return ctx.Err() == nil
	}
	// What arrived before the answer is older than it, and would be dropped after it.
	for len(live) > 0 {
		if !f.live(<-live) {
			return false
		}
	}
	if !ok || f.seen && !p.After(f.last) && (p == f.last || !f.last.Absurd(time.Now())) {
		return true
	}
	return f.give(p)
}

// live yields a snapshot that was just published.
func (f *following) live(msg *nats.Msg) bool {
	var p event.Progress
	if err := json.Unmarshal(msg.Data, &p); err != nil {
		f.b.log.Debug().Err(err).Str("run", f.run).Msg("unreadable progress ignored")
		return true
	}
	// The end of a run is never outdated if only clocks determine which snapshot is newer.
	if f.seen && (p == f.last || f.last.After(p) && !f.last.Absurd(time.Now()) && (p.Seq != 0 || !p.State.Final())) {
		return true
	}
	return f.give(p)
}

func (f *following) give(p event.Progress) bool {
	f.last, f.seen = p, true
	return f.yield(p, nil) && !p.State.Final()
}

// Listen calls fn for every event of type t that is published from now on until stop is called: for a
// source, or for all sources when sourceID is empty. Nothing is stored or acknowledged, and events are
// missed while the connection is down. It suits watchers that have another way to learn the state.
func (b *Bus) Listen(t event.Type, sourceID string, fn func(Delivery)) (stop func(), err error) {
	subj := b.p.all(t)
	if sourceID != "" {
		if !event.ValidID(sourceID) || t == event.TypeProgress {
			return nil, fmt.Errorf("listen to %s of source %q: use a source id, and FollowProgress for progress", t, sourceID)
		}
		subj = b.p.Subject(event.Subject(t, sourceID))
	}
	sub, err := b.nc.Subscribe(subj, func(msg *nats.Msg) {
		d := Delivery{Type: t, SourceID: event.SourceOf(t, b.p.bare(msg.Subject)), Subject: msg.Subject, Attempt: 1}
		var err error
		if d.Data, err = b.read(msg); err != nil {
			b.log.Debug().Err(err).Str("event", string(t)).Msg("unreadable event not heard")
			return
		}
		fn(d)
	})
	if err != nil {
		return nil, fmt.Errorf("listen to %s: %w", t, err)
	}
	if err := b.nc.FlushTimeout(b.o.AckTimeout); err != nil {
		_ = sub.Unsubscribe()
		return nil, fmt.Errorf("listen to %s: %w", t, err)
	}
	return func() { _ = sub.Unsubscribe() }, nil
}

// read returns the event's JSON from a message that no consumer delivered.
func (b *Bus) read(msg *nats.Msg) ([]byte, error) {
	data := msg.Data
	if name := msg.Header.Get(headerClaim); name != "" {
		var err error
		if data, err = b.claim(context.Background(), name); err != nil {
			return nil, err
		}
	}
	return b.inflate(msg.Header.Get(headerEncoding), data)
}

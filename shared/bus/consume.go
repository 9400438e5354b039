package bus

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
)

// Delivery is a message for a handler.
type Delivery struct {
	Type     event.Type
	SourceID string // from the subject
	Subject  string
	Attempt  int    // 1 for the first; parking and shutdown do not count
	Data     []byte // the event's JSON, decompressed and without a claim
}

// Handler handles one message. Its result determines the message's fate: see the package comment. It may
// see every message twice, late and out of order; its context ends when the consumer must stop.
type Handler func(ctx context.Context, d Delivery) error

// ConsumeOption changes how Consume works.
type ConsumeOption func(*consuming)

// Workers sets the number of concurrent handlers; 0 leaves it to the consumer's row. Handlers that wait
// for a slow server do not count: see Consumer.Waits.
func Workers(n int) ConsumeOption {
	return func(k *consuming) {
		if n > 0 {
			k.workers = n
		}
	}
}

// OnPermanent replaces the bus's own action before it gives up a message, which is to publish
// page.failed for its pages. The error has a failure code. While f fails, the message is not given up:
// it is handled again later, unless f's error is permanent itself.
func OnPermanent(f func(ctx context.Context, d Delivery, cause error) error) ConsumeOption {
	return func(k *consuming) { k.record = f }
}

// lastCall is how long a stopping worker waits for a message that it has requested.
const lastCall = 500 * time.Millisecond

// consuming is one call of Consume.
type consuming struct {
	b       *Bus
	c       Consumer
	handle  Handler
	record  func(ctx context.Context, d Delivery, cause error) error
	workers int
	site    func(ctx context.Context, sourceID string) string
	hands   *semaphore.Weighted // bytes, see inHand
	crew    crew
	log     zerolog.Logger
}

// Consume hands the consumer's messages to h until ctx ends. Then it waits for the running handlers,
// hands back the messages that they could not finish, and returns nil. It recovers from missing streams
// and lost connections; its only error is ErrClosed.
func (b *Bus) Consume(ctx context.Context, c Consumer, h Handler, opts ...ConsumeOption) error {
	k := &consuming{
		b: b, c: c, handle: h, workers: c.Workers, hands: semaphore.NewWeighted(inHand),
		log: b.log.With().Str("stage", c.Stage).Str("consumer", c.Durable).Logger(),
	}
	k.record = k.failPages
	for _, o := range opts {
		o(k)
	}
	group, ctx := errgroup.WithContext(ctx)
	k.crew = crew{
		group: group, work: func() error { return k.work(ctx) },
		workers: k.workers, most: crewMost * k.workers, lanes: map[string]*lane{},
	}
	if c.Waits {
		k.crew.slow = b.o.Slow
	}
	k.crew.start()
	return group.Wait()
}

// errSpare ends a worker that is no longer needed.
var errSpare = errors.New("the worker is no longer needed")

// work is one worker: it requests a message, handles it, and only then requests the next. So no message
// waits in this process while its ack time runs, and at the end only the current messages must be handed
// back.
func (k *consuming) work(ctx context.Context) error {
	for try := 0; ctx.Err() == nil; try++ {
		err := k.pull(ctx)
		switch {
		case ctx.Err() != nil, errors.Is(err, errSpare):
			return nil //nolint:nilerr // both end the worker as intended
		case k.b.nc.IsClosed():
			return ErrClosed
		case silent(err):
			k.b.heal(ctx, err)
		default:
			if !passing(err) {
				k.log.Warn().Err(err).Msg("the consumer cannot be read, trying again")
			}
			pause(ctx, backoff(try))
		}
	}
	return nil
}

// pull handles messages one by one until ctx ends or the consumer has a problem.
func (k *consuming) pull(ctx context.Context) error {
	if err := k.b.awaitConnection(ctx); err != nil {
		return err
	}
	lookup, cancel := context.WithTimeout(ctx, k.b.o.AckTimeout)
	consumer, err := k.b.js.Consumer(lookup, k.b.p.name(k.c.Stream), k.c.Durable)
	cancel()
	for err == nil && ctx.Err() == nil {
		if err = k.b.awaitConnection(ctx); err == nil {
			err = k.listen(ctx, consumer)
		}
	}
	return err
}

// listen handles messages until there is a new connection, because the broker does not remember a
// request over a reconnect, or until ctx ends, and then returns nil.
//
// All messages come through one subscription. The client's Fetch makes one for each call and leaves a
// timer that holds it for twice the heartbeat: thousands of them at a time.
func (k *consuming) listen(ctx context.Context, consumer jetstream.Consumer) error {
	reconnected := k.b.connected.next()
	// With at most one message, the next is requested only when Next is called.
	messages, err := consumer.Messages(jetstream.PullMaxMessages(1), jetstream.PullHeartbeat(k.b.o.Heartbeat))
	if err != nil {
		return err
	}
	defer k.leave(ctx, messages)
	ask, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var watching sync.WaitGroup
	watching.Go(func() {
		k.watch(ctx, ask, consumer, reconnected)
		cancel()
	})
	defer watching.Wait()
	defer cancel()
	for ctx.Err() == nil && ask.Err() == nil {
		msg, err := messages.Next(jetstream.NextMaxWait(firstLook))
		if errors.Is(err, nats.ErrTimeout) {
			msg, err = messages.Next(jetstream.NextContext(ask))
		}
		switch {
		case err == nil:
			if k.deliver(ctx, msg); k.crew.spare() {
				return errSpare
			}
		case ask.Err() != nil:
			return nil
		default:
			return err
		}
	}
	return nil
}

// leave removes the subscription and waits until the broker knows. A message that is sent to it
// meanwhile is handled or handed back. Otherwise it would wait until its ack time has passed, and its
// delivery would count for nothing.
func (k *consuming) leave(ctx context.Context, messages jetstream.MessagesContext) {
	messages.Drain()
	for end := time.Now().Add(lastCall); time.Now().Before(end); {
		msg, err := messages.Next(jetstream.NextMaxWait(time.Until(end)))
		if err != nil {
			break // everything has arrived, or the broker does not answer
		}
		k.deliver(ctx, msg)
	}
}

// firstLook is how long the first call for a message waits. The client sends no request while it
// believes the last one is still pending, which may be wrong; a call that detects this only by the
// missing heartbeat would wait many seconds.
const firstLook = 20 * time.Millisecond

// watch returns when no worker should wait for a message any more.
func (k *consuming) watch(ctx, ask context.Context, consumer jetstream.Consumer, reconnected <-chan struct{}) {
	select {
	case <-ctx.Done():
		// If messages wait, one is on its way. If no one handed it back, the broker would count a
		// delivery that never happened.
		if !k.idle(ask, consumer) {
			pause(ask, lastCall)
		}
	case <-reconnected:
	case <-k.b.closed:
	case <-ask.Done():
	}
}

// idle reports whether the consumer has no messages.
func (k *consuming) idle(ctx context.Context, consumer jetstream.Consumer) bool {
	if !k.b.nc.IsConnected() {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, lastCall)
	defer cancel()
	info, err := consumer.Info(ctx)
	return err == nil && info.NumPending == 0 && info.NumAckPending == 0
}

// silent reports whether err means that the consumer may no longer exist. Silence is the only sign of a
// wiped store.
func silent(err error) bool {
	return missing(err) || errors.Is(err, jetstream.ErrNoHeartbeat) || errors.Is(err, jetstream.ErrConsumerDeleted)
}

// unit is one current message.
type unit struct {
	*consuming
	msg       jetstream.Msg
	d         Delivery
	key       string // of the counter of its uncounted deliveries
	uncounted int
	claim     string
	waited    bool // it waited for its turn, as its counter records
	started   time.Time
	stack     []byte // of a panic
	release   func() // ends the progress reports; nothing may follow an answer
}

// deliver handles a message until its answer.
func (k *consuming) deliver(ctx context.Context, msg jetstream.Msg) {
	u := &unit{consuming: k, msg: msg, started: time.Now(), claim: msg.Headers().Get(headerClaim)}
	u.release = keepAlive(msg, k.b.o.AckWait/3)
	defer u.release()
	meta, err := msg.Metadata()
	if err != nil {
		k.log.Error().Err(err).Msg("message without metadata ignored")
		return
	}
	u.d = Delivery{Subject: msg.Subject(), Data: msg.Data(), Attempt: int(meta.NumDelivered)} //nolint:gosec // a count
	u.d.Type, u.d.SourceID = k.address(msg)
	// Sequences restart in a recreated stream; the time distinguishes the two.
	u.key = fmt.Sprintf("%s.%d.%d", k.c.Durable, meta.Sequence.Stream, meta.Timestamp.UnixNano())
	if meta.NumDelivered > 1 {
		if u.uncounted, err = u.readCounter(ctx); err != nil {
			u.line(zerolog.WarnLevel).Err(err).Msg("attempts cannot be counted, message comes again")
			u.nak(k.b.o.RetryBase)
			return
		}
		u.d.Attempt = max(1, u.d.Attempt-u.uncounted)
	}
	lane := u.d.SourceID
	if k.site != nil {
		lane = k.site(ctx, lane)
	}
	leave, delay := k.crew.enter(lane)
	if leave == nil {
		u.line(zerolog.DebugLevel).Dur("after", delay).Msg("its site has its share of the workers, comes again")
		u.park(ctx, delay)
		return
	}
	defer leave()
	put := u.take(ctx)
	defer put()
	if ctx.Err() != nil {
		u.handBack(ctx)
		return
	}
	u.settle(ctx, u.attempt(ctx))
}

// address reads type and source from the subject; the header, if there is one, also has the type.
func (k *consuming) address(msg jetstream.Msg) (t event.Type, source string) {
	for _, t = range k.c.Types {
		if source = event.SourceOf(t, k.b.p.bare(msg.Subject())); source != "" {
			break
		}
	}
	if h := msg.Headers().Get(headerEvent); h != "" {
		t = event.Type(h)
	}
	return t, source
}

// attempt reads the message and runs the handler.
func (u *unit) attempt(ctx context.Context) error {
	err := u.open(ctx)
	if u.d.Attempt > u.b.o.MaxAttempts {
		// Every answer except silence keeps the count below this limit.
		u.d.Attempt--
		return Permanent(failure.New(failure.Crashed, "%d deliveries ended without an answer or an end", u.d.Attempt))
	}
	if err != nil {
		return err
	}
	return u.call(ctx)
}

func (u *unit) call(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			u.stack = debug.Stack()
			err = Permanent(failure.New(failure.Panic, "panic: %v", p))
		}
	}()
	return u.handle(ctx, u.d)
}

// open turns the delivery's data into the event's JSON.
func (u *unit) open(ctx context.Context) error {
	data := u.msg.Data()
	if u.claim != "" {
		var err error
		if data, err = u.b.claim(ctx, u.claim); err != nil {
			if missing(err) {
				u.b.heal(ctx, err)
			}
			return err
		}
	}
	doc, err := u.b.inflate(u.msg.Headers().Get(headerEncoding), data)
	if err != nil {
		return Permanent(err)
	}
	u.d.Data = doc
	return nil
}

// keepAlive repeatedly tells the broker that the message is being handled, until the returned function
// is called.
func keepAlive(msg jetstream.Msg, every time.Duration) (release func()) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				// Without a connection the report is lost, and the message is redelivered.
				_ = msg.InProgress()
			case <-stop:
				return
			}
		}
	}()
	return sync.OnceFunc(func() { close(stop); <-stopped })
}

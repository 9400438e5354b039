package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/shared/event"
)

// inFlight is the number of events that PublishAll publishes concurrently. It limits its memory.
const inFlight = 32

// Publish returns nil when the broker has stored the event, or has stored one with the same message id
// before. While the stream is full or the broker is down, it waits and retries until ctx ends. An event
// that can never be published is a permanent error. A snapshot of a run that is older than the stored
// one is not published; that is nil as well.
func (b *Bus) Publish(ctx context.Context, e event.Event) error {
	l, err := b.encode(e)
	if err != nil {
		return err
	}
	var claim string
	if l.claim != nil {
		if claim, err = b.putClaim(ctx, l.claim); err != nil {
			return err
		}
		l.msg.Header.Set(headerClaim, claim)
	}
	var ack *jetstream.PubAck
	tries := 0
	err = b.persist(ctx, string(l.event), func(ctx context.Context) error {
		var err error
		tries++
		if p, ok := e.(event.Progress); ok {
			ack, err = b.publishNewer(ctx, l.msg, p)
		} else {
			ack, err = b.js.PublishMsg(ctx, l.msg, jetstream.WithRetryAttempts(1))
		}
		return err
	})
	if err != nil {
		return err
	}
	if ack.Duplicate {
		b.log.Debug().Str("event", string(l.event)).Str("id", l.msg.Header.Get(nats.MsgIdHdr)).Msg("published before")
		// After one try the stored message is an earlier one, with its own object.
		if claim != "" && tries == 1 {
			b.dropClaim(context.WithoutCancel(ctx), claim)
		}
	}
	return nil
}

// PublishAll publishes events concurrently, in no particular order. If it returns nil, all of them are
// stored; otherwise some may be.
func (b *Bus) PublishAll(ctx context.Context, events []event.Event) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(inFlight)
	for _, e := range events {
		// After the first failure this returns immediately.
		group.Go(func() error { return b.Publish(groupCtx, e) })
	}
	return group.Wait()
}

// persist calls send until it succeeds, fails permanently, or ctx ends. Each call has its own timeout;
// the wait between calls grows.
func (b *Bus) persist(ctx context.Context, what string, send func(context.Context) error) error {
	var last error
	for try := 0; ; try++ {
		err := b.awaitConnection(ctx)
		if err == nil {
			err = b.within(ctx, send)
		}
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return interrupted(ctx, what, last)
		case missing(err), unanswered(err):
			b.heal(ctx, err)
		case full(err):
			if !full(last) {
				b.log.Warn().Str("event", what).Err(err).Msg("no room on the broker, waiting")
			}
		case !passing(err):
			if errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, nats.ErrConnectionDraining) {
				err = ErrClosed
			}
			return fmt.Errorf("publish %s: %w", what, err)
		}
		last = err
		if !pause(ctx, backoff(try)) {
			return interrupted(ctx, what, last)
		}
	}
}

// unanswered reports whether no answer came. A busy broker is one cause. A missing stream is another if
// someone else subscribes to its subject: the broker then has delivered the message and sends no answer.
func unanswered(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) ||
		errors.Is(err, jetstream.ErrAsyncPublishTimeout)
}

func (b *Bus) within(ctx context.Context, send func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, b.o.AckTimeout)
	defer cancel()
	return send(ctx)
}

func interrupted(ctx context.Context, what string, last error) error {
	if last == nil {
		return fmt.Errorf("publish %s: %w", what, context.Cause(ctx))
	}
	return fmt.Errorf("publish %s: %w (last: %w)", what, context.Cause(ctx), last)
}

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

// inFlight is how many events PublishAll has under way at a time. It bounds its memory.
const inFlight = 32

// Publish returns nil when the broker has stored the event, or had stored one with the same
// message id before. While the stream is full or the broker away it waits and tries again,
// until ctx ends. An event that can never be published is a permanent error. A snapshot of a run
// that is older than the one that is kept is not published: it is nil as well.
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
		// After one try the stored message is an earlier one, with an object of its own.
		if claim != "" && tries == 1 {
			b.dropClaim(context.WithoutCancel(ctx), claim)
		}
	}
	return nil
}

// PublishAll publishes events side by side, in no particular order. When it returns nil, all
// of them are stored; otherwise some may be.
func (b *Bus) PublishAll(ctx context.Context, events []event.Event) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(inFlight)
	for _, e := range events {
		// After the first failure this returns at once.
		group.Go(func() error { return b.Publish(groupCtx, e) })
	}
	return group.Wait()
}

// persist calls send until it succeeds, fails for good, or ctx ends. Each call has its own
// time limit; between calls it waits longer and longer.
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

// unanswered reports whether nothing came back. So it is with a busy broker, but with a
// stream that is gone too, as soon as somebody else listens to its subject: the broker then
// has delivered the message and finds nothing to say.
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

package service

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/store"
)

// databaseRest is how long a message rests while the database is away.
const databaseRest = 2 * time.Second

// Steer turns a handler's error into what the bus is to do about it, in the one place that
// decides what is retried: the system's own time when it names one, never again for what no
// repetition mends, and a growing delay for the rest. That the database is away counts against
// no message: it waits, however long that takes.
func Steer(err error) error {
	if at, ok := failure.RetryAt(err); ok {
		return bus.RetryAfter(err, max(time.Second, time.Until(at)))
	}
	if failure.CodeOf(err).Final() && !failure.Doubtful(err) {
		return bus.Permanent(err)
	}
	if failure.CodeOf(err) != failure.Unavailable && store.Unavailable(err) {
		return bus.RetryAfter(err, databaseRest)
	}
	return err
}

// Steered returns h with its errors steered, as Consume runs it.
func Steered(h bus.Handler) bus.Handler {
	return func(ctx context.Context, d bus.Delivery) error { return Steer(h(ctx, d)) }
}

// Consume is a runner that hands the consumer's messages to h and steers by the errors that it
// returns, so that handlers return them as they are.
func Consume(b *bus.Bus, c bus.Consumer, h bus.Handler, opts ...bus.ConsumeOption) Runner {
	return RunnerFunc(func(ctx context.Context) error { return b.Consume(ctx, c, Steered(h), opts...) })
}

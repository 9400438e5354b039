package service

import (
	"context"
	"strings"
	"time"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/store"
)

// databaseRest is the delay of a message while the database is down.
const databaseRest = 2 * time.Second

// Steer turns a handler's error into an instruction for the bus. It is the only place that decides about
// retries: a retry at the time that the system names, none for errors that a retry cannot fix, and a
// growing delay for the others. An outage of the database does not count as an attempt: the message
// waits, however long it takes.
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

// Consume is a runner that hands the consumer's messages to h and steers by the errors of h, so that
// handlers return plain errors.
func Consume(b *bus.Bus, c bus.Consumer, h bus.Handler, opts ...bus.ConsumeOption) Runner {
	return RunnerFunc(func(ctx context.Context) error { return b.Consume(ctx, c, Steered(h), opts...) })
}

// BySite makes the sources of one site share its part of the workers; see bus.Lanes. It is for the
// consumers whose handlers call sites.
func BySite(s *store.Store) bus.ConsumeOption {
	return bus.Lanes(func(ctx context.Context, sourceID string) string {
		src, err := s.Source(ctx, sourceID)
		if err != nil || src.System != store.Confluence {
			return "source " + sourceID // which finds out itself
		}
		return "site " + strings.ToLower(src.BaseURL)
	})
}

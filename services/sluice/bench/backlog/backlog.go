// Package backlog waits until enough work waits for a stage that does not run.
package backlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/shared/bus"
)

// every is how often the broker is asked.
const every = 50 * time.Millisecond

// Await waits until so many messages wait for the consumer. It gives up with ctx and then says
// how many there were; its cause is in the error.
func Await(ctx context.Context, b *bus.Bus, c bus.Consumer, messages int) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	var waiting uint64
	for {
		_, parts, err := b.Inspect(ctx)
		if err != nil {
			return errors.Join(err, context.Cause(ctx))
		}
		for _, p := range parts {
			if p.Name == "consumer "+c.Durable {
				waiting = p.Waiting
			}
		}
		if waiting >= uint64(messages) { //nolint:gosec // a number of pages
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d messages wait for the %s: %w", waiting, messages, c.Stage, context.Cause(ctx))
		}
	}
}

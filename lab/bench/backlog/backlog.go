// Package backlog waits until enough work waits for a stage that is not running.
package backlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/shared/bus"
)

// Each query costs the broker processor time, which a benchmark may be measuring, so queries are
// frequent only near the last message.
const (
	atFirst = 50 * time.Millisecond
	often   = 20 * time.Millisecond
	rarely  = 500 * time.Millisecond
)

// Await waits until that many messages wait for the consumer. It gives up when ctx ends; the error then
// has their number and the context's cause.
func Await(ctx context.Context, b *bus.Bus, c bus.Consumer, messages int) error {
	began := time.Now()
	for {
		_, parts, err := b.Inspect(ctx)
		if err != nil {
			return errors.Join(err, context.Cause(ctx))
		}
		waiting := 0
		for _, p := range parts {
			if p.Name == "consumer "+c.Durable {
				waiting = int(p.Waiting) //nolint:gosec // a count of messages
			}
		}
		if waiting >= messages {
			return nil
		}
		select {
		case <-time.After(pause(time.Since(began), waiting, messages)):
		case <-ctx.Done():
			return fmt.Errorf("%d of %d messages wait for the %s: %w", waiting, messages, c.Stage, context.Cause(ctx))
		}
	}
}

// pause is half of the remaining time at the pace so far.
func pause(took time.Duration, waiting, messages int) time.Duration {
	if waiting == 0 {
		return atFirst // the pace is not known yet, and the messages may be few
	}
	left := float64(took) / float64(waiting) * float64(messages-waiting)
	return min(rarely, max(often, time.Duration(left/2)))
}

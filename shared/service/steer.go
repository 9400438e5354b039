package service

import (
	"time"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/failure"
)

// Steer turns a handler's error into what the bus is to do about it, in the one place that
// decides what is retried: Confluence's own time when it names one, never again for what no
// repetition mends, and a growing delay for the rest.
func Steer(err error) error {
	if at, ok := confluence.RetryAt(err); ok {
		return bus.RetryAfter(err, max(time.Second, time.Until(at)))
	}
	if failure.CodeOf(err).Final() {
		return bus.Permanent(err)
	}
	return err
}

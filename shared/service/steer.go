package service

import (
	"errors"
	"time"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/failure"
)

// Steer turns a handler's error into what the bus is to do about it, in the one place that
// decides what is retried: Confluence's own time when it names one, never again for what no
// repetition mends, and a growing delay for the rest.
func Steer(err error) error {
	var limited *confluence.RateLimitError
	if errors.As(err, &limited) {
		return bus.RetryAfter(err, max(time.Second, time.Until(limited.RetryAt)))
	}
	if failure.CodeOf(err).Final() {
		return bus.Permanent(err)
	}
	return err
}

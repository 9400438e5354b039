package bus_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/bustest"
)

// recorder passes a handler's deliveries to the test, in order.
type recorder struct{ ch chan bus.Delivery }

func newRecorder() *recorder { return &recorder{ch: make(chan bus.Delivery, 10_000)} }

// handle records a delivery and returns the result of then; nil means success.
func (r *recorder) handle(then func(bus.Delivery) error) bus.Handler {
	return func(_ context.Context, d bus.Delivery) error {
		r.ch <- d
		if then == nil {
			return nil
		}
		return then(d)
	}
}

func (r *recorder) next(t *testing.T) bus.Delivery {
	t.Helper()
	select {
	case d := <-r.ch:
		return d
	case <-time.After(bustest.Patience):
		require.Fail(t, "nothing is delivered")
		return bus.Delivery{}
	}
}

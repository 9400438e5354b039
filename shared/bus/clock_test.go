package bus_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/event"
)

// The broker is the clock: ticks come without anybody who publishes them, also after it was restarted, and however many
// processes set it. While nobody listens, they do not pile up.
func TestTheBrokerIsTheClock(t *testing.T) {
	t.Parallel()
	k := bustest.New(t, bustest.With(func(o *bus.Options) { o.Tick = time.Second }))
	require.True(t, k.Bus.Ticks())
	require.NoError(t, k.Bus.Apply(t.Context()))
	ticks := make(chan event.Type, 100)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- k.Bus.Consume(ctx, bus.Due, func(_ context.Context, d bus.Delivery) error {
			ticks <- d.Type
			return nil
		})
	}()
	require.Equal(t, event.TypeTick, <-ticks)
	k.Stop()
	k.Start()
	require.Equal(t, event.TypeTick, <-ticks)
	require.Equal(t, event.TypeTick, <-ticks)
	cancel()
	require.NoError(t, <-ended)
}

package backlog_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sluice/bench/backlog"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/page"
)

func TestItIsWaitedForTheLastMessage(t *testing.T) {
	b := bustest.New(t).Connect()
	publish := func(i int) {
		require.NoError(t, b.Publish(t.Context(), event.PageConverted{SourceID: "docs", RunID: "r", Page: page.Facts{ID: fmt.Sprint(i), Version: 1}}))
	}
	publish(1)
	require.NoError(t, backlog.Await(t.Context(), b, bus.Write, 1))

	ended := make(chan error, 1)
	go func() { ended <- backlog.Await(t.Context(), b, bus.Write, 3) }()
	publish(2)
	require.Empty(t, ended, "two are not three")
	publish(3)
	require.NoError(t, <-ended)

	ctx, cancel := context.WithCancelCause(t.Context())
	go func() { ended <- backlog.Await(ctx, b, bus.Write, 4) }()
	cancel(fmt.Errorf("nobody comes"))
	require.ErrorContains(t, <-ended, "nobody comes")
}

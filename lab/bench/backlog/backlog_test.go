package backlog

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
	require.NoError(t, Await(t.Context(), b, bus.Write, 1))

	ended := make(chan error, 1)
	go func() { ended <- Await(t.Context(), b, bus.Write, 3) }()
	publish(2)
	require.Empty(t, ended, "two are not three")
	publish(3)
	require.NoError(t, <-ended)

	ctx, cancel := context.WithCancelCause(t.Context())
	go func() { ended <- Await(ctx, b, bus.Write, 4) }()
	cancel(fmt.Errorf("nobody comes"))
	require.ErrorContains(t, <-ended, "nobody comes")
}

func TestItIsAskedOftenAtTheEnd(t *testing.T) {
	for _, tc := range []struct {
		took    time.Duration
		waiting int
		want    time.Duration
	}{
		{time.Minute, 0, atFirst},
		{time.Second, 10, rarely},                       // ninety more in nine seconds
		{time.Second, 80, 125 * time.Millisecond},       // twenty more in a quarter of a second
		{time.Second, 99, often},                        // one more at once
		{time.Millisecond, 50, often},                   // never all the time
		{time.Hour, 99, rarely}, {time.Hour, 1, rarely}, // never too late by much
	} {
		require.Equal(t, tc.want, pause(tc.took, tc.waiting, 100), tc)
	}
}

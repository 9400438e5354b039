package bus_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/page"
)

func TestMain(m *testing.M) { bustest.Main(m) }

func fetched(n int) event.PageFetched {
	return event.PageFetched{
		SourceID: "docs", RunID: "run-1", Attempt: 1,
		Page: page.Facts{ID: fmt.Sprint(100 + n), Version: n, Title: "Page"},
		Body: fmt.Sprintf("<p>Body %d</p>", n),
	}
}

// The smallest possible stage passes the suite for all stages.
func TestSuite(t *testing.T) {
	t.Parallel()
	bustest.Suite(t, bustest.Stage{
		Consumer: bus.Convert,
		Handler: func(b *bus.Bus) bus.Handler {
			return func(ctx context.Context, d bus.Delivery) error {
				in, err := bus.Decode[event.PageFetched](d)
				if err != nil {
					return err
				}
				return b.Publish(ctx, event.PageConverted{SourceID: in.SourceID, RunID: in.RunID, Attempt: in.Attempt, Page: in.Page})
			}
		},
		Event:     func(n int) event.Event { return fetched(n) },
		Publishes: event.TypePageConverted,
		Fails:     1,
	})
}

// A stage that reads facts publishes nothing and has its own action for messages that it gives up.
func TestSuiteForReadersOfFacts(t *testing.T) {
	t.Parallel()
	bustest.Suite(t, bustest.Stage{
		Consumer: bus.Removals,
		Handler: func(*bus.Bus) bus.Handler {
			return func(_ context.Context, d bus.Delivery) error {
				_, err := bus.Decode[event.ListingCompleted](d)
				return err
			}
		},
		Options: []bus.ConsumeOption{bus.OnPermanent(func(context.Context, bus.Delivery, error) error { return nil })},
		Event: func(n int) event.Event {
			return event.ListingCompleted{SourceID: "docs", RunID: "run-1", Mode: event.Full, Listed: n, At: time.Unix(int64(n), 0).UTC()}
		},
	})
}

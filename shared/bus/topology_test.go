package bus_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
)

var allTypes = []event.Type{
	event.TypeSyncRequested, event.TypeSyncRejected, event.TypePagesListed, event.TypePageFetched, event.TypePageConverted,
	event.TypePageStored, event.TypePageRemoved, event.TypePageFailed, event.TypeListingCompleted, event.TypeProgress,
	event.TypeClock, event.TypeTick, event.TypeDue,
}

func TestEveryTypeHasOneStream(t *testing.T) {
	t.Parallel()
	home := map[event.Type]string{}
	for _, s := range bus.Topology {
		for _, typ := range s.Types {
			require.Empty(t, home[typ], "%s is in two streams", typ)
			home[typ] = s.Name
		}
		for _, c := range s.Consumers {
			require.Equal(t, s.Name, c.Stream)
			require.Subset(t, s.Types, c.Types)
			require.Positive(t, c.Workers)
			require.NotEmpty(t, c.Stage)
		}
	}
	for _, typ := range allTypes {
		require.Contains(t, home, typ)
	}
}

func TestTheListOfStagesFitsTogether(t *testing.T) {
	t.Parallel()
	published := map[event.Type]bool{event.TypeTick: true} // by the broker
	for _, s := range bus.Stages {
		require.Subset(t, s.Publishes, s.Large, s.Name)
		for _, typ := range s.Publishes {
			published[typ] = true
		}
		if len(s.Consumes) > 0 {
			published[event.TypePageFailed] = true
		}
	}
	durables, queues := map[string]bool{}, map[string]bool{}
	for _, s := range bus.Stages {
		for _, c := range s.Consumes {
			require.Equal(t, s.Name, c.Stage, c.Durable)
			require.False(t, durables[c.Durable], "two consumers are called %s", c.Durable)
			durables[c.Durable] = true
			for _, typ := range c.Types {
				require.True(t, published[typ], "%s waits for %s, which nobody publishes", s.Name, typ)
			}
			if c.QueueBytes > 0 {
				require.False(t, queues[c.Stream], "two consumers have the queue %s", c.Stream)
				queues[c.Stream] = true
			}
		}
	}
}

func TestManyReplicasApplyAtOnce(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	k.Stop()
	k.Wipe()
	k.Start()
	var group errgroup.Group
	for range 6 {
		b := k.Connect()
		group.Go(func() error { return b.Apply(t.Context()) })
	}
	require.NoError(t, group.Wait())

	js := k.JetStream()
	for _, s := range bus.Topology {
		stream, err := js.Stream(t.Context(), s.Name)
		require.NoError(t, err)
		c := stream.CachedInfo().Config
		require.Positive(t, c.MaxBytes, "%s is bounded", s.Name)
		require.Equal(t, jetstream.FileStorage, c.Storage)
		require.Equal(t, 2*time.Minute, c.Duplicates)
		if s.Work {
			require.Equal(t, jetstream.WorkQueuePolicy, c.Retention)
			require.Equal(t, jetstream.DiscardNew, c.Discard, "a full %s slows its publisher", s.Name)
			require.Len(t, s.Consumers, 1)
		} else {
			require.Equal(t, jetstream.LimitsPolicy, c.Retention)
		}
		for _, want := range s.Consumers {
			consumer, err := stream.Consumer(t.Context(), want.Durable)
			require.NoError(t, err)
			got := consumer.CachedInfo().Config
			require.Equal(t, jetstream.AckExplicitPolicy, got.AckPolicy)
			require.Equal(t, jetstream.DeliverAllPolicy, got.DeliverPolicy)
			require.Equal(t, -1, got.MaxDeliver)
			require.Empty(t, got.BackOff)
			require.Equal(t, want.MaxPending, got.MaxAckPending)
		}
	}
	account, err := js.AccountInfo(t.Context())
	require.NoError(t, err)
	require.Less(t, account.ReservedStore, uint64(3<<30), "a server with 4 GiB takes it all")
}

func TestApplyLeavesAloneWhatIsRight(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	js := k.JetStream()
	updates := make(chan *nats.Msg, 100)
	for _, what := range []string{"STREAM.UPDATED.*", "CONSUMER.UPDATED.*.*"} {
		_, err := js.Conn().ChanSubscribe("$JS.EVENT.ADVISORY."+what, updates)
		require.NoError(t, err)
	}
	require.NoError(t, js.Conn().Flush())
	require.NoError(t, k.Connect().Apply(t.Context()))
	narrow(t, k, bus.Fetch.Stream, 5)
	require.Contains(t, (<-updates).Subject, bus.Fetch.Stream, "the first update is the test's own")
}

func TestApplyMendsWhatDiffers(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	js := k.JetStream()
	stream, err := js.Stream(t.Context(), bus.Fetch.Stream)
	require.NoError(t, err)
	changed := stream.CachedInfo().Config
	changed.MaxBytes, changed.MaxMsgs = 1<<20, 7
	_, err = js.UpdateStream(t.Context(), changed)
	require.NoError(t, err)
	require.NoError(t, js.DeleteConsumer(t.Context(), bus.Fetch.Stream, bus.Fetch.Durable))

	require.NoError(t, k.Bus.Apply(t.Context()))
	stream, err = js.Stream(t.Context(), bus.Fetch.Stream)
	require.NoError(t, err)
	require.EqualValues(t, 256<<20, stream.CachedInfo().Config.MaxBytes)
	require.EqualValues(t, -1, stream.CachedInfo().Config.MaxMsgs)
	_, err = stream.Consumer(t.Context(), bus.Fetch.Durable)
	require.NoError(t, err)
}

// A single server cannot keep three replicas, whether its streams exist or not.
func TestMoreCopiesThanServersAreRefusedInWords(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	b := k.Connect(func(o *bus.Options) { o.Replicas = 3 })
	require.ErrorContains(t, b.Apply(t.Context()), "NATS_REPLICAS=1")
	js := k.JetStream()
	for _, s := range bus.Topology {
		require.NoError(t, js.DeleteStream(t.Context(), s.Name))
	}
	require.ErrorContains(t, b.Apply(t.Context()), "NATS_REPLICAS=1")
}

func TestEveryReaderOfFactsGetsThemAll(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	done := event.ListingCompleted{SourceID: "docs", RunID: "run-1", Mode: event.Full, Listed: 3, At: time.Now().UTC()}
	k.Publish(done, event.PageStored{SourceID: "docs", RunID: "run-1", PageID: "1", Version: 1, Outcome: event.Created})

	removals, ledger := newRecorder(), newRecorder()
	k.Consume(bus.Removals, removals.handle(nil))
	k.Consume(bus.Ledger, ledger.handle(nil))
	require.Equal(t, event.TypeListingCompleted, removals.next(t).Type)
	types := []event.Type{ledger.next(t).Type, ledger.next(t).Type}
	require.ElementsMatch(t, []event.Type{event.TypeListingCompleted, event.TypePageStored}, types)
	k.Empty(bus.Removals)
	require.Empty(t, removals.ch, "the detector hears of listings only")
}

func TestDiscardingASourceLeavesTheOthers(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	require.NoError(t, k.Bus.Apply(t.Context()))
	for _, source := range []string{"demo", "docs"} {
		k.Publish(
			event.SyncRequested{SourceID: source, RequestID: "r-" + source, Mode: event.Full},
			event.PagesListed{SourceID: source, RunID: "r-" + source, Pages: []page.Ref{{ID: "1", Version: 1}}},
		)
	}
	require.NoError(t, k.Bus.Discard(t.Context(), "demo"))
	require.NoError(t, k.Bus.Discard(t.Context(), "nowhere"))
	require.ErrorContains(t, k.Bus.Discard(t.Context(), "*"), "is not an id")
	for source, want := range map[string]bool{"demo": false, "docs": true} {
		queued, err := k.Bus.Queued(t.Context(), source)
		require.NoError(t, err)
		require.Equal(t, want, queued, source)
	}
}

func TestAdvisoriesAreKept(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	k.Consume(bus.Convert, func(context.Context, bus.Delivery) error {
		return bus.Permanent(failure.New(failure.ConvertTooDeep, "nested\ntoo deep"))
	})
	k.Publish(fetched(1))
	stream, err := k.JetStream().Stream(t.Context(), "SLUICE_ADVISORIES")
	require.NoError(t, err)
	var advisory struct {
		Stream string `json:"stream"`
		Reason string `json:"reason"`
	}
	require.Eventually(t, func() bool {
		msg, err := stream.GetMsg(t.Context(), 1)
		return err == nil && json.Unmarshal(msg.Data, &advisory) == nil
	}, bustest.Patience, 10*time.Millisecond)
	require.Equal(t, bus.Convert.Stream, advisory.Stream)
	require.Equal(t, "convert_too_deep: nested too deep", advisory.Reason)
}

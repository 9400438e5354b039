package bus_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/event"
)

// Two installations on one account have streams, subjects and buckets of their own.
func TestInstallationsWithPrefixesDoNotMix(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	other := k.Connect(func(o *bus.Options) { o.Prefix = "staging" })
	require.NoError(t, k.Bus.Own(t.Context(), "one"))
	require.NoError(t, other.Own(t.Context(), "two"))
	require.NoError(t, k.Bus.Apply(t.Context()))
	require.NoError(t, other.Apply(t.Context()))
	heard := make(chan string, 8)
	for name, b := range map[string]*bus.Bus{"one": k.Bus, "two": other} {
		bustest.Consume(t, b, bus.Sync, func(_ context.Context, d bus.Delivery) error {
			require.Equal(t, "docs", d.SourceID)
			heard <- name + " " + d.Subject
			return nil
		})
		stop, err := b.Listen(event.TypeProgress, "", func(d bus.Delivery) { heard <- name + " " + d.Subject })
		require.NoError(t, err)
		t.Cleanup(stop)
	}
	require.NoError(t, other.Publish(t.Context(), event.SyncRequested{SourceID: "docs", RequestID: "r", Mode: event.Full}))
	require.Equal(t, "two staging.sluice.v1.sync.requested.docs", <-heard)
	require.NoError(t, k.Bus.Publish(t.Context(), event.SyncRequested{SourceID: "docs", RequestID: "r", Mode: event.Full}))
	require.Equal(t, "one sluice.v1.sync.requested.docs", <-heard)
	p := event.Progress{SourceID: "docs", RunID: "r", State: event.StateCompleted, At: began}
	require.NoError(t, other.Publish(t.Context(), p))
	require.Equal(t, "two staging.sluice.v1.progress.docs.r", <-heard)
	for got, err := range other.FollowProgress(t.Context(), "docs", "r") {
		require.NoError(t, err)
		require.Equal(t, p, got)
	}
	_, there, err := k.Bus.LatestProgress(t.Context(), "docs", "r")
	require.NoError(t, err)
	require.False(t, there)
	_, parts, err := other.Inspect(t.Context())
	require.NoError(t, err)
	for _, part := range parts {
		require.Equal(t, bus.PartOK, part.State, part.Name)
		if strings.HasPrefix(part.Name, "stream ") {
			drops := slices.ContainsFunc([]string{"_FACTS", "_PROGRESS", "_ADVISORIES", "_SCHEDULE"}, func(end string) bool { return strings.HasSuffix(part.Name, end) })
			require.Equal(t, drops, part.Drops, part.Name)
		}
	}
	_, err = bus.Connect(t.Context(), bus.Options{URL: k.URL(), Prefix: "a.b"})
	require.ErrorContains(t, err, "no prefix")
}

// An installation that finds another one's streams under its own names does not start, until
// somebody says that the other one is gone. Streams from before there were marks are taken over.
func TestAForeignTopologyIsRefused(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	mine, theirs := k.Connect(), k.Connect()
	require.NoError(t, mine.Own(t.Context(), "one"), "streams without a mark")
	require.NoError(t, mine.Apply(t.Context()))
	require.NoError(t, k.Bus.Apply(t.Context()), "who has no database leaves the mark")
	require.NoError(t, mine.Own(t.Context(), "one"))
	require.ErrorIs(t, theirs.Own(t.Context(), "two"), bus.ErrForeign)
	require.NoError(t, theirs.Adopt(t.Context(), "two"))
	require.NoError(t, theirs.Own(t.Context(), "two"))
	require.NoError(t, theirs.Apply(t.Context()))
	require.ErrorIs(t, mine.Apply(t.Context()), bus.ErrForeign)
}

// unused is a prefix under which the broker has no streams yet; the kit has applied those without one.
func unused(o *bus.Options) { o.Prefix = "unused" }

// Two installations that start together on an empty account do not both take its streams.
func TestOnlyOneInstallationTakesAnEmptyAccount(t *testing.T) {
	t.Parallel()
	for range 10 {
		k := bustest.New(t)
		var group errgroup.Group
		errs := make([]error, 2)
		for i, id := range []string{"one", "two"} {
			b := k.Connect(unused)
			require.NoError(t, b.Own(t.Context(), id))
			group.Go(func() error {
				errs[i] = b.Apply(t.Context())
				return nil
			})
		}
		require.NoError(t, group.Wait())
		if errs[0] == nil {
			errs[0], errs[1] = errs[1], nil
		}
		require.ErrorIs(t, errs[0], bus.ErrForeign)
		require.NoError(t, errs[1])
	}
}

// Programs with a database and those without one start together on an empty broker. None of them fails,
// whichever creates a stream first.
func TestProgramsThatApplyTogether(t *testing.T) {
	t.Parallel()
	for range 10 {
		k := bustest.New(t)
		var group errgroup.Group
		for i := range 6 {
			b := k.Connect(unused)
			group.Go(func() error {
				if i%2 == 0 {
					if err := b.Own(t.Context(), "one"); err != nil {
						return err
					}
				}
				return b.Apply(t.Context())
			})
		}
		require.NoError(t, group.Wait())
	}
}

package progress_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/progress/progress"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// never is longer than a test: runs do not stall on their own.
const never = time.Hour

// open returns a database with the source docs.
func open(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), pgtest.MigratedURL(t))
	require.NoError(t, err)
	t.Cleanup(s.Close)
	require.NoError(t, s.AddSource(t.Context(), store.Source{ID: "docs", BaseURL: "https://acme.atlassian.net/wiki", SpaceKey: "DOCS"}))
	return s
}

// listed opens a run that lists that many pages.
func listed(t *testing.T, s *store.Store, runID string, pages int) store.Run {
	t.Helper()
	run, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: runID, Mode: event.Full, SourceID: "docs"})
	require.NoError(t, err)
	attempt, err := s.StartListing(t.Context(), run.ID, time.Now())
	require.NoError(t, err)
	batch := make([]store.Listed, pages)
	for i := range batch {
		batch[i] = store.Listed{ID: pageID(i), Version: 1, Title: fmt.Sprintf("Page %d", i), Status: "current"}
	}
	require.NoError(t, s.AddListed(t.Context(), run.ID, attempt, batch))
	require.NoError(t, s.TreeFromListing(t.Context(), run))
	require.NoError(t, s.BuildPaths(t.Context(), "docs"))
	_, err = s.CompleteListing(t.Context(), run, attempt)
	require.NoError(t, err)
	run, err = s.Run(t.Context(), run.ID)
	require.NoError(t, err)
	return run
}

func pageID(i int) string { return fmt.Sprint(1000 + i) }

// storePage stores the i-th page like the chunk-writer.
func storePage(t *testing.T, s *store.Store, k *bustest.Kit, run store.Run, i int) {
	t.Helper()
	outcome, err := s.WritePage(t.Context(), store.PageWrite{
		SourceID: "docs", RunID: run.ID, Attempt: 1, Path: "/" + pageID(i), Markdown: "words\n",
		Page: page.Facts{ID: pageID(i), Version: 1, Title: fmt.Sprintf("Page %d", i), SpaceKey: "DOCS", URL: "https://x/" + pageID(i), ModifiedAt: time.Unix(1, 0)},
	})
	require.NoError(t, err)
	k.Publish(event.PageStored{
		SourceID: "docs", RunID: run.ID, PageID: pageID(i), Version: 1, Outcome: outcome, Attempt: 1, At: time.Now().UTC(),
	})
}

// judge acts like the deletion-detector when no page left the space.
func judge(t *testing.T, s *store.Store, run store.Run) {
	t.Helper()
	candidates, _, err := s.FindRemovalCandidates(t.Context(), run)
	require.NoError(t, err)
	require.NoError(t, s.KeepPages(t.Context(), run, candidates, "still_there"))
	require.NoError(t, s.MarkRemovalsChecked(t.Context(), run.ID))
}

// replica runs the stage like one process, with its own connection.
func replica(t *testing.T, k *bustest.Kit, s *store.Store, stall time.Duration) {
	t.Helper()
	b := k.Connect()
	f := progress.New(s, b, stall, 0, zerolog.Nop())
	bustest.Consume(t, b, bus.Ledger, f.Handle)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Follow(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
}

func failed(run store.Run, i int) event.PageFailed {
	return event.PageFailed{
		SourceID: "docs", RunID: run.ID, PageID: pageID(i), Version: 1, Stage: "converter",
		Code: failure.ConvertTooDeep, Message: "nests too deep", Attempts: 1, At: time.Now().UTC(),
	}
}

func TestSuite(t *testing.T) {
	t.Parallel()
	s := open(t)
	var n atomic.Int64
	bustest.Suite(t, bustest.Stage{
		Consumer: bus.Ledger,
		Handler:  func(b *bus.Bus) bus.Handler { return progress.New(s, b, never, 0, zerolog.Nop()).Handle },
		Event: func(int) event.Event {
			at := time.Unix(n.Add(1), 0).UTC()
			return event.ListingCompleted{SourceID: "docs", RunID: "run-1", Mode: event.Full, At: at}
		},
	})
}

// broken is a ledger whose first write fails.
type broken struct {
	*store.Store
	calls atomic.Int64
}

func (b *broken) FailPage(ctx context.Context, f event.PageFailed) error {
	if b.calls.Add(1) == 1 {
		return errors.New("the database is away")
	}
	return b.Store.FailPage(ctx, f)
}

// Only this stage writes failures: an acknowledged failure that is not in the ledger would leave its run
// open forever.
func TestAFailureIsInTheLedgerBeforeItsAck(t *testing.T) {
	t.Parallel()
	s, k := open(t), bustest.New(t)
	run := listed(t, s, "run-1", 2)
	storePage(t, s, k, run, 1)
	ledger := &broken{Store: s}
	handle := progress.New(ledger, k.Bus, never, 0, zerolog.Nop()).Handle
	var mu sync.Mutex
	var atAck []int
	k.Consume(bus.Ledger, func(ctx context.Context, d bus.Delivery) error {
		if err := handle(ctx, d); err != nil {
			return err
		}
		pages, err := s.Reader().LedgerPages(ctx, viewer.All(), "run-1", event.Failed, store.First(10))
		if d.Type == event.TypePageFailed {
			mu.Lock()
			defer mu.Unlock()
			atAck = append(atAck, len(pages))
		}
		return err
	})
	// A stored page stays stored, however late a failure arrives.
	k.Publish(failed(run, 0), failed(run, 1))
	k.Empty(bus.Ledger)

	require.EqualValues(t, 3, ledger.calls.Load(), "the failure that could not be written came again")
	require.Len(t, atAck, 2)
	pages, err := s.Reader().LedgerPages(t.Context(), viewer.All(), "run-1", event.Failed, store.First(10))
	require.NoError(t, err)
	require.Equal(t, []store.LedgerPage{{
		PageID: pageID(0), Title: "Page 0", Version: 1, Outcome: event.Failed,
		Reason: string(failure.ConvertTooDeep), Message: "nests too deep", Stage: "converter", Attempts: 1,
	}}, pages)
}

// reading follows a run like a user, in the background.
type reading struct {
	mu  sync.Mutex
	got []event.Progress
}

func read(t *testing.T, k *bustest.Kit, runID string) *reading {
	t.Helper()
	r := &reading{}
	ended := make(chan error, 1)
	go func() {
		for p, err := range k.Bus.FollowProgress(t.Context(), "docs", runID) {
			if err != nil {
				ended <- err
				return
			}
			r.mu.Lock()
			r.got = append(r.got, p)
			r.mu.Unlock()
		}
		ended <- nil
	}()
	t.Cleanup(func() { require.NoError(t, <-ended) })
	return r
}

func (r *reading) all() []event.Progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// Whichever replicas make them, and in whatever order they arrive, a reader's snapshots never go back,
// and the end of a run is published once.
func TestSnapshotsGoForwardToTheEnd(t *testing.T) {
	t.Parallel()
	s, k := open(t), bustest.New(t)
	snapshots := bustest.Collect[event.Progress](k)
	reader := read(t, k, "run-1")
	replica(t, k, s, never)
	replica(t, k, s, never)
	const pages = 12
	run := listed(t, s, "run-1", pages)
	for i := range pages {
		if i%4 == 3 {
			k.Publish(failed(run, i))
		} else {
			storePage(t, s, k, run, i)
		}
		// The next page comes after this snapshot was seen.
		require.Eventually(t, func() bool {
			all := reader.all()
			return len(all) > 0 && all[len(all)-1].Counts.Pending == pages-1-i
		}, bustest.Patience, tick)
	}
	judge(t, s, run)
	k.Publish(event.ListingCompleted{SourceID: "docs", RunID: "run-1", Mode: event.Full, Listed: pages, At: time.Now().UTC()})
	require.Eventually(t, func() bool {
		all := reader.all()
		return all[len(all)-1].State.Final()
	}, bustest.Patience, tick)
	// Late and repeated facts about an ended run change nothing.
	k.Publish(failed(run, 0), event.ListingCompleted{SourceID: "docs", RunID: "run-1", Mode: event.Full, Listed: pages, At: time.Now().UTC()})
	k.Empty(bus.Ledger)
	other := listed(t, s, "run-2", 0)
	judge(t, s, other)
	ends(t, snapshots, "run-2")

	said := 0
	for _, p := range snapshots.All() {
		if p.RunID == "run-1" && p.State.Final() {
			said++
		}
	}
	require.Equal(t, 1, said, "by one of the two")
	last := event.Progress{Counts: event.Counts{Pending: pages}}
	for _, p := range reader.all() {
		require.True(t, p.After(last), "out of order")
		require.GreaterOrEqual(t, p.Percent, last.Percent, "progress goes back")
		require.LessOrEqual(t, p.Counts.Pending, last.Counts.Pending, "out of order")
		require.Equal(t, p.Counts.Listed, p.Counts.Pending+p.Counts.Created+p.Counts.Failed)
		require.False(t, last.State.Final(), "something follows the end: %+v", p)
		last = p
	}
	require.Equal(t, event.StateCompletedWithFailures, last.State)
	require.Equal(t, 100, last.Percent)
	require.Equal(t, event.Counts{Listed: pages, Created: 9, Failed: 3}, last.Counts)
	kept, there, err := k.Bus.LatestProgress(t.Context(), "docs", "run-1")
	require.NoError(t, err)
	require.True(t, there)
	require.Equal(t, last, kept)
}

const tick = 10 * time.Millisecond

// A run whose pages wait for a stage is not requested again: its pages are already fetched. Another run
// in which nothing moves is requested again, repeatedly.
func TestARunWhosePagesWaitIsNotAskedForAgain(t *testing.T) {
	t.Parallel()
	s, k := open(t), bustest.New(t)
	waits := listed(t, s, "waits", 1)
	require.NoError(t, s.AddSource(t.Context(), store.Source{ID: "other", BaseURL: "https://acme.atlassian.net/wiki", SpaceKey: "OTHER"}))
	_, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: "lost", Mode: event.Full, SourceID: "other"})
	require.NoError(t, err)
	k.Publish(event.PageConverted{SourceID: waits.SourceID, RunID: waits.ID, Attempt: waits.Attempt, Page: page.Facts{ID: "1000", Version: 1}})
	asked := bustest.Collect[event.SyncRequested](k)
	replica(t, k, s, 300*time.Millisecond)
	for _, req := range asked.Wait(3) {
		require.Equal(t, "lost", req.RequestID)
	}
	require.NoError(t, k.JetStream().DeleteStream(t.Context(), bus.Write.Stream))
	require.Eventually(t, func() bool {
		return slices.ContainsFunc(asked.All(), func(req event.SyncRequested) bool { return req.RequestID == "waits" })
	}, bustest.Patience, tick, "its pages are gone")
}

// A stalled run is requested again, by one replica at a time, until it moves; each time is a new request
// for the broker.
func TestAStalledRunIsAskedForAgain(t *testing.T) {
	t.Parallel()
	s, k := open(t), bustest.New(t)
	run := listed(t, s, "stalled", 1)
	waiting, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: "waiting", Mode: event.Full, SourceID: "docs"})
	require.NoError(t, err)
	require.Equal(t, event.StateRequested, waiting.State)
	var mu sync.Mutex
	var asked []event.SyncRequested
	k.Consume(bus.Sync, func(_ context.Context, d bus.Delivery) error {
		req, err := bus.Decode[event.SyncRequested](d)
		req.SourceID = d.SourceID
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, req)
		return err
	})
	replica(t, k, s, 100*time.Millisecond)
	replica(t, k, s, 100*time.Millisecond)
	require.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(asked) >= 3
	}, bustest.Patience, tick)

	storePage(t, s, k, run, 0)
	judge(t, s, run)
	require.Eventually(t, func() bool {
		now, err := s.Run(t.Context(), "stalled")
		return err == nil && now.State.Final()
	}, bustest.Patience, tick)
	now, err := s.Run(t.Context(), "stalled")
	require.NoError(t, err)
	// Its end starts the run that waited.
	require.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return asked[len(asked)-1].RequestID == "waiting"
	}, bustest.Patience, tick)
	k.Empty(bus.Sync)

	mu.Lock()
	defer mu.Unlock()
	first := 0
	for _, req := range asked {
		require.Equal(t, "docs", req.SourceID)
		require.Equal(t, event.Full, req.Mode)
		if req.RequestID == "stalled" {
			first++
		}
	}
	require.Equal(t, now.Attempt-run.Attempt, first, "every claim of the run is one request")
	require.Equal(t, "stalled", asked[0].RequestID, "a run that waits for its turn is not stalled")
}

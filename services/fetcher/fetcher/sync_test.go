package fetcher_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/service"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

func TestSuiteOfRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var n atomic.Int64
	bustest.Suite(t, bustest.Stage{
		Consumer: bus.Sync,
		Handler:  func(b *bus.Bus) bus.Handler { return service.Steered(w.lister(b).HandleSync) },
		Options:  []bus.ConsumeOption{bus.OnPermanent(w.lister(w.Bus).SyncFailed)},
		// Every request is for a source of its own, so that none waits for another.
		Event: func(int) event.Event {
			id := fmt.Sprintf("source-%d", n.Add(1))
			key := fmt.Sprintf("S%d", n.Load())
			require.NoError(t, w.site.AddSpace(key, id))
			w.addSource(id, key)
			return event.SyncRequested{SourceID: id, RequestID: "run-of-" + id, Mode: event.Full}
		},
		Publishes: event.TypeListingCompleted,
	})
}

func TestARequestInEveryStateOfItsRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.page("First", "<p>one</p>", "")
	tasks, listings := bustest.Collect[event.PagesListed](w.Kit), bustest.Collect[event.ListingCompleted](w.Kit)
	snapshots := bustest.Collect[event.Progress](w.Kit)
	w.startSync()

	// New: it lists, sends its tasks, and says so.
	w.ask("run-1", event.Incremental, 0)
	listings.Wait(1)
	w.Empty(bus.Sync)
	task := tasks.Wait(1)[0]
	require.Len(t, task.Pages, 2)
	require.Contains(t, ids(task.Pages), first.ID)
	require.Equal(t, event.Full, listings.All()[0].Mode, "the first run is full whatever was asked")
	require.Equal(t, event.StateListing, snapshots.All()[0].State, "the asker hears at once")
	last := snapshots.All()[len(snapshots.All())-1]
	require.Equal(t, event.StateFetching, last.State)
	require.Equal(t, 2, last.Counts.Pending)

	// Again while its pages are under way: the tasks that are left, without a new listing.
	run, err := w.store.Run(t.Context(), "run-1")
	require.NoError(t, err)
	w.write(run, task.Pages[0])
	w.page("Too late for this run", "<p>two</p>", "")
	w.site.ResetStats()
	w.ask("run-1", event.Incremental, 1)
	listings.Wait(2)
	w.Empty(bus.Sync)
	require.Equal(t, ids(task.Pages[1:]), ids(tasks.Wait(2)[1].Pages))
	require.Zero(t, w.site.Stats().Total)

	// Another one meanwhile: it waits for its turn and says so.
	w.ask("run-2", event.Full, 0)
	waiting := w.run("run-2", is(event.StateRequested))
	require.Zero(t, waiting.StartedAt)
	require.Eventually(t, func() bool {
		p, ok, err := w.Bus.LatestProgress(t.Context(), "docs", "run-2")
		return err == nil && ok && p.State == event.StateRequested
	}, bustest.Patience, tick)
	ended := w.finish("run-1")
	require.Equal(t, event.StateCompleted, ended.State)
	run = w.run("run-2", is(event.StateFetching))
	require.Equal(t, 3, run.Listed)
	listings.Wait(3)
	w.Empty(bus.Sync)
	require.Len(t, tasks.Wait(3)[2].Pages, 1, "two of three are stored as listed")

	// Again after its end: its last snapshot, and nothing else.
	before := len(snapshots.All())
	w.ask("run-1", event.Full, 2)
	again := snapshots.Wait(before + 1)[before]
	w.Empty(bus.Sync)
	require.Equal(t, "run-1", again.RunID)
	require.True(t, ended.FinishedAt.Equal(again.FinishedAt))
	require.True(t, again.After(ended))
	again.At, again.Seq, again.FinishedAt = ended.At, ended.Seq, ended.FinishedAt
	require.Equal(t, ended, again)
	listings.Wait(3)
	require.Len(t, listings.All(), 3)
	tasks.Wait(3)
	require.Len(t, tasks.All(), 3)
}

func TestRejectionsReachTheirAsker(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addSource("other", "OTHER")
	rejected, listings := bustest.Collect[event.SyncRejected](w.Kit), bustest.Collect[event.ListingCompleted](w.Kit)
	w.startSync()
	w.ask("taken", event.Full, 0)
	listings.Wait(1)

	for i, tc := range []struct {
		req  event.SyncRequested
		code failure.Code
		says string
	}{
		{event.SyncRequested{SourceID: "nowhere", RequestID: "r1", Mode: event.Full}, failure.UnknownSource, "sluice source add nowhere"},
		{event.SyncRequested{SourceID: "other", RequestID: "taken", Mode: event.Full}, failure.RequestIDTaken, "another source"},
		{event.SyncRequested{SourceID: "other", RequestID: "r2", Mode: "quick"}, failure.BadRequest, "neither incremental nor full"},
	} {
		w.Publish(tc.req)
		said := rejected.Wait(i + 1)[i]
		require.Equal(t, []string{tc.req.SourceID, tc.req.RequestID}, []string{said.SourceID, said.RequestID})
		require.Equal(t, tc.code, said.Code)
		require.Contains(t, said.Message, tc.says)
		p, ok, err := w.Bus.LatestProgress(t.Context(), tc.req.SourceID, tc.req.RequestID)
		require.NoError(t, err)
		require.True(t, ok, "whoever follows the run hears too")
		require.Equal(t, event.StateFailed, p.State)
		require.Equal(t, tc.code, p.Code)
	}
	w.Empty(bus.Sync)
	rejected.Wait(3)
	require.Len(t, rejected.All(), 3, "a rejected request does not come again")
	run, err := w.store.Run(t.Context(), "taken")
	require.NoError(t, err)
	require.Equal(t, "docs", run.SourceID)
	require.Equal(t, event.StateFetching, run.State, "whose id was taken goes on")

	// A bad repetition of a good run's request must not end what its asker follows.
	w.Publish(event.SyncRequested{SourceID: "docs", RequestID: "taken", Mode: "quick", Nudge: 1})
	rejected.Wait(4)
	p, ok, err := w.Bus.LatestProgress(t.Context(), "docs", "taken")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, event.StateFetching, p.State)
}

// A request that comes over NATS finds as many runs waiting as may: it is rejected, and leaves no run behind.
func TestARequestBeyondTheWaitingRunsIsRejected(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for n := range store.MaxWaiting {
		_, err := w.store.RequestRun(t.Context(), event.SyncRequested{SourceID: "docs", RequestID: fmt.Sprint("waits-", n), Mode: event.Full})
		require.NoError(t, err)
	}
	rejected, listings := bustest.Collect[event.SyncRejected](w.Kit), bustest.Collect[event.ListingCompleted](w.Kit)
	w.startSync()
	w.ask("more", event.Full, 0)
	said := rejected.Wait(1)[0]
	require.Equal(t, []any{"docs", "more", failure.TooManyRuns}, []any{said.SourceID, said.RequestID, said.Code})
	require.Contains(t, said.Message, "sluice cancel --all --source docs")
	p, ok, err := w.Bus.LatestProgress(t.Context(), "docs", "more")
	require.NoError(t, err)
	require.True(t, ok, "whoever follows the run hears too")
	require.Equal(t, []any{event.StateFailed, failure.TooManyRuns}, []any{p.State, p.Code})
	w.Empty(bus.Sync)
	_, err = w.store.Run(t.Context(), "more")
	require.ErrorIs(t, err, store.ErrNotFound)

	// The runs that wait do not notice.
	w.ask("waits-0", event.Full, 0)
	listings.Wait(1)
	require.Len(t, rejected.All(), 1)

	// Its asker tries again when there is room: waits-0 runs, so one place is free, and the request waits there.
	w.ask("more", event.Full, 1)
	w.run("more", is(event.StateRequested))
	require.Len(t, rejected.All(), 1)
}

func TestTasksHoldAHundredPagesAtMost(t *testing.T) {
	t.Parallel()
	site := sandbox.New(sandbox.Options{})
	site.AddGenerated(sandbox.GeneratedSpace, 1120, 3)
	w := newWorldOn(t, site, sandbox.GeneratedSpace)
	tasks, listings := bustest.Collect[event.PagesListed](w.Kit), bustest.Collect[event.ListingCompleted](w.Kit)
	w.startSync()
	w.ask("run-1", event.Full, 0)
	require.Equal(t, 1120, listings.Wait(1)[0].Listed)
	w.Empty(bus.Sync)

	sizes, seen := map[int]int{}, map[page.Ref]bool{}
	for _, task := range tasks.Wait(12) {
		sizes[len(task.Pages)]++
		for _, ref := range task.Pages {
			require.False(t, seen[ref], "page %s is in two tasks", ref.ID)
			seen[ref] = true
		}
	}
	require.Equal(t, map[int]int{100: 11, 20: 1}, sizes)
	for _, p := range site.Pages(sandbox.GeneratedSpace) {
		require.True(t, seen[page.Ref{ID: p.ID, Version: p.Version}], "page %s is in no task", p.ID)
	}
}

// A dead token and a hidden space look like an empty site. The run fails for what it is.
func TestARunThatCannotListFailsAndRemovesNothing(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		token string
		hide  bool
		mode  event.Mode
		code  failure.Code
	}{
		{"dead token", "revoked", false, event.Full, failure.Unauthorized},
		{"hidden space", sandbox.DefaultToken, true, event.Full, failure.SpaceNotFound},
		{"dead token, changes only", "revoked", false, event.Incremental, failure.Unauthorized},
		{"hidden space, changes only", sandbox.DefaultToken, true, event.Incremental, failure.SpaceNotFound},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			p := w.page("Page", "<p>words</p>", "")
			stop := w.startSync()
			w.ask("good", event.Full, 0)
			w.run("good", is(event.StateFetching))
			w.Empty(bus.Sync)
			w.finish("good")
			stop()

			w.token = tc.token
			require.NoError(t, w.site.HideSpace(space, tc.hide))
			listings, snapshots := bustest.Collect[event.ListingCompleted](w.Kit), bustest.Collect[event.Progress](w.Kit)
			w.startSync()
			w.ask("bad", tc.mode, 0)
			run := w.run("bad", event.State.Final)
			require.Equal(t, event.StateFailed, run.State)
			require.Equal(t, tc.code, run.Code)
			require.NotEmpty(t, run.Message)
			require.NotContains(t, run.Message, tc.token)
			w.Empty(bus.Sync)
			all := snapshots.Wait(2)
			require.Equal(t, tc.code, all[len(all)-1].Code, "whoever follows the run hears why")
			require.Equal(t, event.StateFailed, all[len(all)-1].State)
			require.Empty(t, listings.All(), "a failed listing is no empty one")
			stored, err := w.store.Reader().Page(t.Context(), viewer.All(), p.ID)
			require.NoError(t, err)
			require.False(t, stored.Deleted)
		})
	}
}

// Labels are read while the listing goes on, and may be there before their page is.
func TestLabelsAreReadDuringTheListing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.page("Labelled", "<p>words</p>", "")
	require.NoError(t, w.site.SetLabels(p.ID, "early"))
	searched := make(chan struct{})
	w.stand(func(rw http.ResponseWriter, r *http.Request, site http.Handler) {
		if strings.HasPrefix(r.URL.Path, "/wiki/api/v2/spaces/") {
			<-searched
		}
		site.ServeHTTP(rw, r)
		if r.URL.Path == "/wiki/rest/api/content/search" {
			close(searched)
		}
	})
	task := w.listed("run-1", event.Full)[0]
	require.Len(t, task.Pages, 2)
	labels, err := w.store.Labels(t.Context(), "run-1", ids(task.Pages))
	require.NoError(t, err)
	require.Equal(t, []string{"early"}, labels[p.ID])
}

// A listing that breaks ends at once, whatever of the labels is read.
func TestAListingThatBreaksDoesNotWaitForTheLabels(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.stand(func(rw http.ResponseWriter, r *http.Request, site http.Handler) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/wiki/api/v2/spaces/"):
			http.Error(rw, "gone", http.StatusGone)
		case r.URL.Path == "/wiki/rest/api/content/search":
			<-r.Context().Done() // an answer that never comes
		default:
			site.ServeHTTP(rw, r)
		}
	})
	w.startSync()
	w.ask("run-1", event.Full, 0)
	run := w.run("run-1", event.State.Final)
	require.Equal(t, event.StateFailed, run.State)
	w.Empty(bus.Sync)
}

// A broker that is away must not hold the run's row: who cancels the run needs it.
func TestAnAnnouncementHoldsNoRunWhileTheBrokerIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.store.OpenRun(t.Context(), event.SyncRequested{RequestID: "open", Mode: event.Full, SourceID: "docs"})
	require.NoError(t, err)
	w.Stop()
	handled := make(chan error, 1)
	go func() {
		handled <- w.lister(w.Bus).HandleSync(t.Context(), bus.Delivery{
			Type: event.TypeSyncRequested, SourceID: "docs", Attempt: 1, Data: []byte(`{"request_id": "waits"}`),
		})
	}()
	require.Eventually(t, func() bool {
		run, err := w.store.Run(t.Context(), "waits")
		return err == nil && run.SnapshotSeq > 0
	}, bustest.Patience, tick, "its snapshot waits for the broker")
	soon, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err = w.store.CancelRun(soon, "waits")
	require.NoError(t, err)
	require.Error(t, <-handled, "the request comes again, and with it the announcement")
	w.Start()
	w.startSync()
	w.ask("waits", event.Full, 1)
	for p, err := range w.Bus.FollowProgress(t.Context(), "docs", "waits") {
		require.NoError(t, err)
		require.True(t, !p.State.Final() || p.State == event.StateCancelled)
	}
}

// A run of some failed pages asks the site for no list, and what changed meanwhile is not passed over: the watermark stays.
func TestARunOfSomeFailedPagesListsNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bad, other := w.page("Bad", "<p>one</p>", ""), w.page("Bad too", "<p>two</p>", "")
	tasks, rejected := bustest.Collect[event.PagesListed](w.Kit), bustest.Collect[event.SyncRejected](w.Kit)
	w.startSync()
	w.ask("run-1", event.Full, 0)
	tasks.Wait(1)
	w.Empty(bus.Sync)
	for _, id := range []string{bad.ID, other.ID} {
		require.NoError(t, w.store.FailPage(t.Context(), event.PageFailed{SourceID: "docs", RunID: "run-1", PageID: id, Version: 1, Stage: "converter", Code: failure.ConvertTooDeep, Message: "too deep", Attempts: 1}))
	}
	require.Equal(t, event.StateCompletedWithFailures, w.finish("run-1").State)
	before, err := w.store.Source(t.Context(), "docs")
	require.NoError(t, err)
	changed := w.page("Changed since", "<p>three</p>", "")
	w.site.ResetStats()

	w.Publish(event.SyncRequested{SourceID: "docs", RequestID: "run-2", OnlyPages: []string{bad.ID, changed.ID}})
	require.Equal(t, []string{bad.ID}, ids(tasks.Wait(2)[1].Pages))
	w.Empty(bus.Sync)
	require.LessOrEqual(t, int(w.site.Stats().Total), 2, "which site and which space it is: %v", w.site.Stats().Calls)
	require.NotContains(t, w.site.Stats().Calls, "/wiki/rest/api/search")
	require.Equal(t, event.StateCompleted, w.finish("run-2").State)
	after, err := w.store.Source(t.Context(), "docs")
	require.NoError(t, err)
	require.Equal(t, before.LastSync, after.LastSync)
	failed, err := w.store.Reader().Failures(t.Context(), viewer.All(), "docs", "", "", store.First(10))
	require.NoError(t, err)
	require.Len(t, failed, 1)
	require.Equal(t, other.ID, failed[0].PageID)

	w.ask("run-3", event.Incremental, 0)
	require.ElementsMatch(t, []string{other.ID, changed.ID}, ids(tasks.Wait(3)[2].Pages))
	for i, req := range []event.SyncRequested{
		{OnlyPages: []string{"1"}, Mode: event.Full}, {OnlyPages: []string{"no id"}}, {OnlyPages: make([]string, event.MaxOnly+1)},
	} {
		req.SourceID, req.RequestID = "docs", fmt.Sprintf("wrong-%d", i)
		w.Publish(req)
		require.Contains(t, rejected.Wait(i + 1)[i].Message, "only_pages")
	}
}

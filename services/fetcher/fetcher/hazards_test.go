package fetcher_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/fetcher/lister"
	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/store"
)

const (
	bulkRoute = "/wiki/api/v2/pages"
	listRoute = "/pages" // behind a space's id
)

// stand puts a front in front of the site.
func (w *world) stand(f front) { w.front.Store(&f) }

// rewrite lets change modify the site's answer.
func rewrite(rw http.ResponseWriter, r *http.Request, site http.Handler, change func(answer map[string]any)) {
	rec := httptest.NewRecorder()
	site.ServeHTTP(rec, r)
	var answer map[string]any
	if json.Unmarshal(rec.Body.Bytes(), &answer) == nil {
		change(answer)
	}
	rw.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
	rw.WriteHeader(rec.Code)
	_ = json.NewEncoder(rw).Encode(answer)
}

func request(runID string) bus.Delivery {
	return bus.Delivery{
		Type: event.TypeSyncRequested, SourceID: "docs", Attempt: 1,
		Data: []byte(`{"request_id": "` + runID + `", "mode": "full"}`),
	}
}

// A client without message ids may send a request twice, or the ledger repeats it while the first lister
// is only slow: the second copy waits. If it took over, the first one would take over again on
// redelivery, and so on forever.
func TestASecondCopyOfARequestLeavesTheListerAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.page("Page", "<p>words</p>", "")
	listing, open := make(chan struct{}), make(chan struct{})
	var once sync.Once
	w.stand(func(rw http.ResponseWriter, r *http.Request, site http.Handler) {
		if strings.HasSuffix(r.URL.Path, listRoute) && strings.Contains(r.URL.Path, "/spaces/") {
			first := false
			once.Do(func() { first = true })
			if first {
				close(listing)
				<-open
			}
		}
		site.ServeHTTP(rw, r)
	})
	first := make(chan error, 1)
	go func() { first <- w.lister(w.Bus).HandleSync(t.Context(), request("run-1")) }()
	<-listing
	require.ErrorIs(t, w.lister(w.Bus).HandleSync(t.Context(), request("run-1")), store.ErrNotCurrent)
	close(open)
	require.NoError(t, <-first)
	require.NoError(t, w.lister(w.Bus).HandleSync(t.Context(), request("run-1")), "it finds the listing made")
	run, err := w.store.Run(t.Context(), "run-1")
	require.NoError(t, err)
	require.Equal(t, event.StateFetching, run.State)
	require.Equal(t, 2, run.Listed)
}

// A lister that gives up releases the listing immediately.
func TestAListingThatBrokeIsFree(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var broken atomic.Bool
	broken.Store(true)
	w.stand(func(rw http.ResponseWriter, r *http.Request, site http.Handler) {
		if broken.Load() && strings.Contains(r.URL.Path, "/spaces/") {
			rw.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(rw, "no JSON")
			return
		}
		site.ServeHTTP(rw, r)
	})
	err := w.lister(w.Bus).HandleSync(t.Context(), request("run-1"))
	require.Error(t, err)
	require.NotErrorIs(t, err, store.ErrNotCurrent)
	broken.Store(false)
	require.NoError(t, w.lister(w.Bus).HandleSync(t.Context(), request("run-1")))
}

// A long outage of servers ends no run that has finished its listing, and a failed request never ends
// another source's run.
func TestWhatARequestThatIsGivenUpEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addSource("other", "OTHER")
	f := w.lister(w.Bus)
	require.NoError(t, f.HandleSync(t.Context(), request("run-1")))
	away := failure.New(failure.Exhausted, "the database is away")
	state := func() event.State {
		run, err := w.store.Run(t.Context(), "run-1")
		require.NoError(t, err)
		return run.State
	}
	require.NoError(t, f.SyncFailed(t.Context(), request("run-1"), away))
	require.Equal(t, event.StateFetching, state())
	other := request("run-1")
	other.SourceID = "other"
	require.NoError(t, f.SyncFailed(t.Context(), other, failure.New(failure.Panic, "panic")))
	require.Equal(t, event.StateFetching, state())
	require.NoError(t, f.SyncFailed(t.Context(), request("run-1"), failure.New(failure.Panic, "panic")))
	require.Equal(t, event.StateFailed, state())

	_, err := w.store.OpenRun(t.Context(), event.SyncRequested{SourceID: "docs", RequestID: "run-2", Mode: event.Full})
	require.NoError(t, err)
	require.NoError(t, f.SyncFailed(t.Context(), request("run-2"), away))
	run, err := w.store.Run(t.Context(), "run-2")
	require.NoError(t, err)
	require.Equal(t, event.StateFailed, run.State, "a listing that cannot be made")
}

// Confluence returns some pages without the requested body. Such a page fails alone.
func TestAPageWithoutItsBodyFailsAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good, bad := w.page("Good", "<p>words</p>", ""), w.page("Bad", "<p>words</p>", "")
	w.listed("run-1", event.Full)
	w.stand(func(rw http.ResponseWriter, r *http.Request, site http.Handler) {
		if r.URL.Path != bulkRoute {
			site.ServeHTTP(rw, r)
			return
		}
		rewrite(rw, r, site, func(answer map[string]any) {
			for _, row := range answer["results"].([]any) {
				if p := row.(map[string]any); p["id"] == bad.ID {
					p["body"] = map[string]any{}
				}
			}
		})
	})
	fetched, failed := bustest.Collect[event.PageFetched](w.Kit), bustest.Collect[event.PageFailed](w.Kit)
	w.startFetch(1)
	require.Contains(t, byID(fetched.Wait(2)), good.ID)
	w.Empty(bus.Fetch)
	failed.Wait(1)
	require.Len(t, failed.All(), 1)
	got := failed.All()[0]
	require.Equal(t, []any{"docs", "run-1", bad.ID, 1, "fetcher", failure.Protocol, 1},
		[]any{got.SourceID, got.RunID, got.PageID, got.Version, got.Stage, got.Code, got.Attempts})
	fetched.Wait(2)
	require.Len(t, fetched.All(), 2, "its neighbours, once")
}

// A page's absence from a bulk answer does not prove that it is missing.
func TestAShortAnswerSkipsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	slipped, gone := w.page("Slipped", "<p>words</p>", ""), w.page("Gone", "<p>words</p>", "")
	w.listed("run-1", event.Full)
	require.NoError(t, w.site.PurgePage(gone.ID))
	w.stand(func(rw http.ResponseWriter, r *http.Request, site http.Handler) {
		if r.URL.Path != bulkRoute {
			site.ServeHTTP(rw, r)
			return
		}
		rewrite(rw, r, site, func(answer map[string]any) { answer["results"] = []any{} })
	})
	fetched := bustest.Collect[event.PageFetched](w.Kit)
	w.startFetch(1)
	require.Equal(t, "<p>words</p>", byID(fetched.Wait(2))[slipped.ID].Body)
	w.Empty(bus.Fetch)
	require.Equal(t, map[string]string{gone.ID: "missing"}, w.skipped("run-1"))
}

// A space that was deleted and recreated has another id under its old key; a fetcher that caches the old
// id would treat every page as moved.
func TestASpaceThatWasMadeAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.page("Page", "<p>words</p>", "")
	w.listed("run-1", event.Full)
	var asked atomic.Int64
	w.stand(func(rw http.ResponseWriter, r *http.Request, site http.Handler) {
		if r.URL.Path != "/wiki/api/v2/spaces" || asked.Add(1) > 1 {
			site.ServeHTTP(rw, r)
			return
		}
		rewrite(rw, r, site, func(answer map[string]any) {
			answer["results"].([]any)[0].(map[string]any)["id"] = "404404"
		})
	})
	fetched := bustest.Collect[event.PageFetched](w.Kit)
	w.startFetch(1)
	require.Contains(t, byID(fetched.Wait(2)), p.ID)
	w.Empty(bus.Fetch)
	require.Empty(t, w.skipped("run-1"))
}

func TestTasksOfARunThatWasGivenUpCostNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.page("Page", "<p>words</p>", "")
	w.listed("run-1", event.Full)
	require.NoError(t, w.store.FailRun(t.Context(), "run-1", failure.Unauthorized, "no longer"))
	w.site.ResetStats()
	w.startFetch(1)
	w.Empty(bus.Fetch)
	require.Zero(t, w.site.Stats().Total)
}

// A process that is stopped during a listing hands its request back; the next lister continues.
func TestAListerThatIsStoppedLeavesTheListing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	listing, held := make(chan struct{}, 8), make(chan struct{})
	w.stand(func(rw http.ResponseWriter, r *http.Request, site http.Handler) {
		if strings.Contains(r.URL.Path, "/spaces/") {
			listing <- struct{}{}
			select {
			case <-r.Context().Done():
			case <-held:
				site.ServeHTTP(rw, r)
			}
			return
		}
		site.ServeHTTP(rw, r)
	})
	stop := w.startSync()
	w.ask("run-1", event.Full, 0)
	<-listing
	stop()
	close(held)
	asked := time.Now()
	w.startSync()
	w.run("run-1", is(event.StateFetching))
	require.Less(t, time.Since(asked), store.ListingLease/2, "not only when the lease has ended")
}

// Confluence adds kinds of parents; an unknown kind must not fail the listings of every space that uses
// it.
func TestAParentOfAnUnknownKind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.page("Page", "<p>words</p>", "")
	w.stand(func(rw http.ResponseWriter, r *http.Request, site http.Handler) {
		if !strings.HasSuffix(r.URL.Path, listRoute) || r.URL.Path == bulkRoute {
			site.ServeHTTP(rw, r)
			return
		}
		rewrite(rw, r, site, func(answer map[string]any) {
			for _, row := range answer["results"].([]any) {
				if row := row.(map[string]any); row["id"] == p.ID {
					row["parentId"], row["parentType"] = "424242", "hologram"
				}
			}
		})
	})
	require.NotEmpty(t, w.listed("run-1", event.Full))
	place, err := w.store.Place(t.Context(), "docs", p.ID, space, w.baseURL)
	require.NoError(t, err)
	require.Equal(t, "/424242/"+p.ID, place.Path)
}

// broken is a ledger that fails when the lister notes something before the first page.
type broken struct{ *store.Store }

func (broken) Note(context.Context, string, string) error { return errors.New("the database is away") }

// A lister that fails after it has claimed the listing releases it: the next one need not wait for the
// lease to end.
func TestAListingThatBrokeBeforeItsFirstPageIsFree(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.listed("run-0", event.Full)
	w.finish("run-0")
	require.NoError(t, w.site.ArchiveSpace(space, true)) // it cannot be searched, which a note says
	ask := request("run-1")
	ask.Data = []byte(`{"request_id": "run-1"}`)
	err := lister.New(broken{w.store}, w.Bus, w.systems(), zerolog.Nop()).HandleSync(t.Context(), ask)
	require.ErrorContains(t, err, "the database is away")
	require.NoError(t, w.lister(w.Bus).HandleSync(t.Context(), ask))
}

// The next run, whatever its listing, looks up a folder again whose look-up failed.
func TestAFolderHealsWithTheNextRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	shelf := w.add(sandbox.Draft{Space: space, Kind: sandbox.KindFolder, Title: "Shelf"})
	p := w.page("Page", "<p>words</p>", shelf.ID)
	require.NoError(t, w.site.SetFaults(0, sandbox.Fault{Kind: sandbox.FaultServer, Route: "/wiki/api/v2/folders/{id}"}))
	w.listed("run-1", event.Full)
	title := func() string {
		place, err := w.store.Place(t.Context(), "docs", p.ID, space, w.baseURL)
		require.NoError(t, err)
		return place.Ancestors[len(place.Ancestors)-1].Title
	}
	require.Empty(t, title())
	w.finish("run-1")
	w.listed("run-2", event.Incremental)
	require.Empty(t, title(), "it is still down")
	w.finish("run-2")
	require.NoError(t, w.site.SetFaults(0))
	w.listed("run-3", event.Incremental)
	require.Equal(t, "Shelf", title())
}

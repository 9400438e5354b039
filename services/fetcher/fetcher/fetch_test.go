package fetcher_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/fetcher/fetcher"
	"github.com/sluicehq/sluice/services/fetcher/lister"
	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/service"
)

// listed handles one request and returns its tasks, which no fetcher has taken yet.
func (w *world) listed(runID string, mode event.Mode) []event.PagesListed {
	w.t.Helper()
	tasks, listings := bustest.Collect[event.PagesListed](w.Kit), bustest.Collect[event.ListingCompleted](w.Kit)
	stop := w.startSync()
	w.ask(runID, mode, 0)
	listings.Wait(1)
	w.Empty(bus.Sync)
	stop()
	return tasks.All()
}

func byID(events []event.PageFetched) map[string]event.PageFetched {
	out := map[string]event.PageFetched{}
	for _, e := range events {
		out[e.Page.ID] = e
	}
	return out
}

func TestSuiteOfTasks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.page("One", "<p>one</p>", "")
	w.page("Two", "<p>two</p>", "")
	pages := w.listed("run-1", event.Full)[0].Pages
	bustest.Suite(t, bustest.Stage{
		Consumer: bus.Fetch,
		Handler:  func(b *bus.Bus) bus.Handler { return service.Steered(w.fetcher(b).HandlePages) },
		Event: func(n int) event.Event {
			return event.PagesListed{SourceID: "docs", RunID: "run-1", Attempt: 9, Pages: pages[n : n+1]}
		},
		Publishes: event.TypePageFetched,
		Fails:     1,
	})
}

func TestAPageComesWithItsFacts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann := sandbox.User{AccountID: "712020:0a0b0c0d-0000-4000-8000-000000000001", DisplayName: "Ann Author"}
	w.site.AddUser(ann)
	target := w.page("Salt & pepper", "<p>words</p>", "")
	body := `<p><ac:link><ri:user ri:account-id="` + ann.AccountID + `"/></ac:link>` +
		`<ac:link><ri:page ri:content-title="Salt &amp; pepper"/></ac:link>` +
		`<ac:link><ri:page ri:content-title="Salt &amp; pepper" ri:space-key="ELSEWHERE"/></ac:link></p>`
	p := w.add(sandbox.Draft{Space: space, Title: "Facts", Body: body, AuthorID: ann.AccountID, ParentID: target.ID})
	w.listed("run-1", event.Full)
	fetched := bustest.Collect[event.PageFetched](w.Kit)
	w.startFetch(1)

	got := byID(fetched.Wait(3))[p.ID]
	require.Equal(t, body, got.Body)
	require.Equal(t, []any{"docs", "run-1"}, []any{got.SourceID, got.RunID})
	require.Positive(t, got.Attempt)
	require.True(t, strings.HasPrefix(got.Page.URL, w.baseURL+"/spaces/DOCS/pages/"+p.ID), got.Page.URL)
	require.True(t, p.CreatedAt.Equal(got.Page.CreatedAt))
	require.True(t, p.ModifiedAt.Equal(got.Page.ModifiedAt))
	require.Equal(t, page.Facts{
		ID: p.ID, Version: 1, Title: "Facts", SpaceKey: space, BaseURL: w.baseURL, URL: got.Page.URL, Status: "current",
		ParentID: target.ID, ParentType: "page", AuthorID: ann.AccountID,
		CreatedAt: got.Page.CreatedAt, ModifiedAt: got.Page.ModifiedAt,
		Users: map[string]string{ann.AccountID: "Ann Author"},
		Links: map[string]page.Link{"Salt & pepper": {
			PageID: target.ID, PageTitle: "Salt & pepper", PageURL: w.baseURL + "/spaces/DOCS/pages/" + target.ID,
		}},
	}, got.Page)
}

// A listing is old when its pages are fetched. A page that is no longer current in the space ends here;
// the deletion-detector proves whether it must be removed.
func TestWhatChangedSinceTheListingIsSkipped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.site.AddSpace("ELSEWHERE", "Elsewhere"))
	var p [6]sandbox.Page
	for i := range p {
		p[i] = w.page(numbered("Page", i), "<p>words</p>", "")
	}
	w.listed("run-1", event.Full)
	require.NoError(t, w.site.PurgePage(p[0].ID))
	require.NoError(t, w.site.ArchivePage(p[1].ID))
	require.NoError(t, w.site.MoveToSpace(p[2].ID, "ELSEWHERE"))
	require.NoError(t, w.site.TrashPage(p[3].ID))
	newer := "<p>newer words</p>"
	_, err := w.site.EditPage(p[4].ID, sandbox.Edit{Body: &newer})
	require.NoError(t, err)

	fetched, failed := bustest.Collect[event.PageFetched](w.Kit), bustest.Collect[event.PageFailed](w.Kit)
	w.startFetch(1)
	w.Empty(bus.Fetch)
	require.Equal(t, map[string]string{
		p[0].ID: "missing", p[1].ID: "archived", p[2].ID: "moved", p[3].ID: "trashed",
	}, w.skipped("run-1"))
	got := byID(fetched.Wait(3)) // with the homepage
	require.Len(t, got, 3)
	require.Equal(t, newer, got[p[4].ID].Body, "the version that there is now")
	require.Equal(t, 2, got[p[4].ID].Page.Version)
	require.Contains(t, got, p[5].ID)
	require.Empty(t, failed.All())
}

func TestPeopleAreLookedUpOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann := sandbox.User{AccountID: "712020:0a0b0c0d-0000-4000-8000-000000000001", DisplayName: "Ann Author"}
	w.site.AddUser(ann)
	const stranger = "712020:0a0b0c0d-0000-4000-8000-00000000dead"
	for i := range 119 {
		w.page(numbered("Page", i), `<p><ri:user ri:account-id="`+ann.AccountID+`"/><ri:user ri:account-id="`+stranger+`"/></p>`, "")
	}
	require.Len(t, w.listed("run-1", event.Full), 2)
	w.site.ResetStats()
	fetched := bustest.Collect[event.PageFetched](w.Kit)
	w.startFetch(1)
	for _, e := range fetched.Wait(120) {
		if e.Page.Title == "Docs" {
			continue
		}
		require.Equal(t, "Ann Author", e.Page.Users[ann.AccountID])
		require.NotContains(t, e.Page.Users, stranger)
	}
	w.Empty(bus.Fetch)
	calls := w.site.Stats().Calls
	require.EqualValues(t, 1, calls["/wiki/api/v2/users-bulk"], "unknown accounts are remembered too: %v", calls)
	require.EqualValues(t, 2, calls["/wiki/api/v2/pages"], "one call for each task: %v", calls)
	require.Zero(t, calls["/wiki/api/v2/spaces"], "the listing has written its id down: %v", calls)
}

// The tasks of a run start together and need the same look-ups.
func TestTasksSideBySideLookUpOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 119 {
		w.page(numbered("Page", i), "<p>words</p>", "")
	}
	require.Len(t, w.listed("run-1", event.Full), 2)
	w.site.ResetStats()
	var bodies sync.WaitGroup
	bodies.Add(2)
	w.stand(func(rw http.ResponseWriter, r *http.Request, site http.Handler) {
		switch r.URL.Path {
		case "/wiki/api/v2/pages":
			bodies.Done()
		case "/wiki/api/v2/spaces", "/wiki/api/v2/users-bulk":
			bodies.Wait() // no task is ahead of the other
		}
		site.ServeHTTP(rw, r)
	})
	fetched := bustest.Collect[event.PageFetched](w.Kit)
	w.startFetch(2)
	for _, e := range fetched.Wait(120) {
		require.NotEmpty(t, e.Page.Users[e.Page.AuthorID])
	}
	w.Empty(bus.Fetch)
	calls := w.site.Stats().Calls
	require.EqualValues(t, 1, calls["/wiki/api/v2/users-bulk"], "%v", calls)
	require.Zero(t, calls["/wiki/api/v2/spaces"], "the listing has written its id down: %v", calls)
}

// The lister already knows the space.
func TestAListerDoesNotLookItsSpaceUpAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.page("Page", "<p>words</p>", "")
	opened := w.systems() // one for both, as the stage has it
	fetched := bustest.Collect[event.PageFetched](w.Kit)
	w.Consume(bus.Sync, service.Steered(lister.New(w.store, w.Bus, opened, zerolog.Nop()).HandleSync))
	w.Consume(bus.Fetch, service.Steered(fetcher.New(w.store, w.Bus, opened, zerolog.Nop()).HandlePages))
	w.ask("run-1", event.Full, 0)
	fetched.Wait(2)
	w.Empty(bus.Fetch)
	require.EqualValues(t, 1, w.site.Stats().Calls["/wiki/api/v2/spaces"])
}

// Listings of pages omit folders; the tree contains them with their titles, and a page that an
// incremental run fetches gets its place in new folders too.
func TestFoldersStandInTheTree(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	outer := w.add(sandbox.Draft{Space: space, Kind: sandbox.KindFolder, Title: "Outer"})
	inner := w.add(sandbox.Draft{Kind: sandbox.KindFolder, Title: "Inner", ParentID: outer.ID})
	p := w.page("Page", "<p>words</p>", inner.ID)
	w.listed("run-1", event.Full)
	titles := func(id string) (path string, out []string) {
		place, err := w.store.Place(t.Context(), "docs", id, space, w.baseURL)
		require.NoError(t, err)
		for _, a := range place.Ancestors {
			out = append(out, a.Title)
		}
		return place.Path, out
	}
	path, ancestors := titles(p.ID)
	require.Equal(t, []string{"Docs", "Outer", "Inner"}, ancestors)
	require.True(t, strings.HasSuffix(path, "/"+outer.ID+"/"+inner.ID+"/"+p.ID), path)
	require.Equal(t, event.StateCompleted, w.finish("run-1").State)

	late := w.add(sandbox.Draft{Kind: sandbox.KindFolder, Title: "Late", ParentID: outer.ID})
	fresh := w.page("Fresh", "<p>words</p>", late.ID)
	w.purgeTasks()
	w.listed("run-2", event.Incremental)
	fetched := bustest.Collect[event.PageFetched](w.Kit)
	w.startFetch(1)
	require.Equal(t, fresh.ID, fetched.Wait(1)[0].Page.ID)
	_, ancestors = titles(fresh.ID)
	require.Equal(t, []string{"Docs", "Outer", "Late"}, ancestors)
}

// purgeTasks deletes the tasks of a run that was finished without them.
func (w *world) purgeTasks() {
	w.t.Helper()
	stop := w.Consume(bus.Fetch, func(context.Context, bus.Delivery) error { return nil })
	w.Empty(bus.Fetch)
	stop()
}

// A token that dies between listing and fetch fails the pages, once; it skips none.
func TestADeadTokenFailsItsPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.page("Page", "<p>words</p>", "")
	w.listed("run-1", event.Full)
	w.token = "revoked"
	fetched, failed := bustest.Collect[event.PageFetched](w.Kit), bustest.Collect[event.PageFailed](w.Kit)
	w.startFetch(1)
	for _, f := range failed.Wait(2) {
		require.Equal(t, failure.Unauthorized, f.Code)
		require.Equal(t, "fetcher", f.Stage)
		require.Equal(t, 1, f.Attempts)
		require.NotContains(t, f.Message, w.token)
	}
	w.Empty(bus.Fetch)
	require.Empty(t, fetched.All())
	require.Empty(t, w.skipped("run-1"))
}

// A wait that the site requests parks the task for that time and does not count as an attempt; the site
// gets no other calls meanwhile.
func TestALongWaitParksTheTask(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.page("Page", "<p>words</p>", "")
	w.listed("run-1", event.Full)

	const wait = time.Second
	var mu sync.Mutex
	var calls []time.Time
	limited := front(func(rw http.ResponseWriter, r *http.Request, site http.Handler) {
		mu.Lock()
		calls = append(calls, time.Now())
		first := len(calls) == 1
		mu.Unlock()
		if first {
			rw.Header().Set("Retry-After", "1")
			rw.WriteHeader(http.StatusTooManyRequests)
			return
		}
		site.ServeHTTP(rw, r)
	})
	w.front.Store(&limited)
	fetched, failed := bustest.Collect[event.PageFetched](w.Kit), bustest.Collect[event.PageFailed](w.Kit)
	handle := service.Steered(w.fetcher(w.Bus).HandlePages)
	var deliveries []bus.Delivery
	w.Consume(bus.Fetch, func(ctx context.Context, d bus.Delivery) error {
		mu.Lock()
		deliveries = append(deliveries, d)
		mu.Unlock()
		return handle(ctx, d)
	}, bus.Workers(1))
	fetched.Wait(2)
	w.Empty(bus.Fetch)

	mu.Lock()
	defer mu.Unlock()
	require.Len(t, deliveries, 2)
	require.Equal(t, 1, deliveries[1].Attempt, "waiting is not a failure")
	require.GreaterOrEqual(t, calls[1].Sub(calls[0]), wait-50*time.Millisecond)
	require.Empty(t, failed.All())
}

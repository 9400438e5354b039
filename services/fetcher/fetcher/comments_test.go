package fetcher_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// commented gives the source comments, and the page that many threads.
func (w *world) commented(on sandbox.Page, n int) (threads []string) {
	w.t.Helper()
	require.NoError(w.t, w.store.UpdateSource(w.t.Context(), "docs", store.SourceChange{Comments: store.AllComments}))
	for range n {
		id, err := w.site.AddComment(on.ID, sandbox.Comment{Body: "<p>words</p>"})
		require.NoError(w.t, err)
		threads = append(threads, id)
	}
	return threads
}

// Comments that the site answers only with errors delay no page, and the next run lists them. One error is none.
func TestCommentsThatAreBroken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commented(w.page("Page", "<p>words</p>", ""), 1)
	var broken, once atomic.Bool
	broken.Store(true)
	w.stand(func(rw http.ResponseWriter, r *http.Request, site http.Handler) {
		if strings.HasSuffix(r.URL.Path, "/footer-comments") && (broken.Load() || once.CompareAndSwap(false, true)) {
			http.Error(rw, "null pointer", http.StatusInternalServerError)
			return
		}
		site.ServeHTTP(rw, r)
	})
	w.startSync()
	w.ask("first", event.Full, 0)
	run := w.run("first", is(event.StateFetching))
	require.Empty(t, run.Kinds)
	require.Equal(t, 2, run.Listed)
	require.Contains(t, strings.Join(run.Notes, "\n"), "comments could not be listed")
	w.finish("first")

	broken.Store(false)
	w.ask("second", event.Incremental, 0)
	run = w.run("second", is(event.StateFetching))
	require.Equal(t, event.Full, run.Mode)
	require.Equal(t, []string{page.Comment}, run.Kinds)
	require.Equal(t, 3, run.Listed)
}

// What was read of a task before an error is not lost with it.
func TestThreadsOutliveTheErrorOfAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	threads := w.commented(w.page("Page", "<p>words</p>", ""), 9)
	w.listed("run-1", event.Full)
	w.stand(func(rw http.ResponseWriter, r *http.Request, site http.Handler) {
		if strings.HasSuffix(r.URL.Path, "/"+threads[8]) {
			http.Error(rw, `{"message":"no"}`, http.StatusUnauthorized)
			return
		}
		site.ServeHTTP(rw, r)
	})
	fetched := bustest.Collect[event.PageFetched](w.Kit)
	w.startFetch(1)
	got := byID(fetched.Wait(10))
	for _, id := range threads[:8] {
		require.Equal(t, page.Comment, got[id].Page.Kind)
	}
	require.NotContains(t, got, threads[8])
}

// A thread that is too long to be read fails as the listing ends: nobody reads its comments one by one to find out.
func TestAThreadThatIsTooLongIsNotRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.page("Page", "<p>words</p>", "")
	long := w.commented(p, 1)[0]
	for range confluence.LongestThread {
		_, err := w.site.AddComment(p.ID, sandbox.Comment{Body: "<p>me too</p>", ParentID: long})
		require.NoError(t, err)
	}
	tasks := w.listed("run-1", event.Full)
	require.NotContains(t, ids(tasks[0].Pages), long)
	failed, err := w.store.Reader().LedgerPages(t.Context(), viewer.All(), "run-1", event.Failed, store.First(10))
	require.NoError(t, err)
	require.Len(t, failed, 1)
	require.Equal(t, []string{long, string(failure.ConvertTooLarge)}, []string{failed[0].PageID, failed[0].Reason})
}

package fetcher_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
)

// A proxy may reject one call. The fetcher probes the credential before it gives up a task, and one
// rejection does not make it give up names.
func TestOneRefusalFailsNothing(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/wiki/api/v2/pages", "/wiki/api/v2/users-bulk"} {
		t.Run(path, func(t *testing.T) {
			w := newWorld(t)
			ann := sandbox.User{AccountID: "712020:0a0b0c0d-0000-4000-8000-000000000001", DisplayName: "Ann Author"}
			w.site.AddUser(ann)
			p := w.page("Page", `<p><ri:user ri:account-id="`+ann.AccountID+`"/></p>`, "")
			w.listed("run-1", event.Full)
			var asked atomic.Int64
			w.stand(func(rw http.ResponseWriter, r *http.Request, site http.Handler) {
				if r.URL.Path == path && asked.Add(1) == 1 {
					http.Error(rw, `{"message":"no"}`, http.StatusUnauthorized)
					return
				}
				site.ServeHTTP(rw, r)
			})
			fetched, failed := bustest.Collect[event.PageFetched](w.Kit), bustest.Collect[event.PageFailed](w.Kit)
			w.startFetch(1)
			got := byID(fetched.Wait(2))
			w.Empty(bus.Fetch)
			require.Empty(t, failed.All())
			require.Equal(t, "Ann Author", got[p.ID].Page.Users[ann.AccountID])
			require.Greater(t, asked.Load(), int64(1))
		})
	}
}

// A page that breaks the answer for all pages in its call finally fails alone.
func TestAPageThatBreaksTheAnswerForManyFailsAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 8 {
		w.page(numbered("Page", i), "<p>words</p>", "")
	}
	poison := w.page("Poison", "<p>words</p>", "")
	w.listed("run-1", event.Full)
	w.stand(func(rw http.ResponseWriter, r *http.Request, site http.Handler) {
		if strings.Contains(r.URL.Query().Get("id"), poison.ID) {
			http.Error(rw, "null pointer", http.StatusInternalServerError)
			return
		}
		site.ServeHTTP(rw, r)
	})
	fetched, failed := bustest.Collect[event.PageFetched](w.Kit), bustest.Collect[event.PageFailed](w.Kit)
	w.startFetch(1)
	require.NotContains(t, byID(fetched.Wait(9)), poison.ID)
	given := failed.Wait(1)
	w.Empty(bus.Fetch)
	failed.Wait(1)
	require.Len(t, failed.All(), 1)
	require.Equal(t, poison.ID, given[0].PageID)
	require.Equal(t, failure.Unavailable, given[0].Code)
}

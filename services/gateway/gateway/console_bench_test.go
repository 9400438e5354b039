package gateway

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/gateway/console"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/storetest"
)

// BenchmarkTheFirstByteOfEachView measures how long each view of the console takes to its first byte, with generated rows,
// while a sync stores pages: the median and the slowest of twenty.
func BenchmarkTheFirstByteOfEachView(b *testing.B) {
	for _, size := range []struct{ pages, runs int }{{4_000, 10}, {100_000, 1_000}} {
		b.Run(fmt.Sprintf("%d pages, %d runs", size.pages, size.runs), func(b *testing.B) {
			address := pgtest.MigratedURL(b)
			s, err := store.Open(b.Context(), address)
			require.NoError(b, err)
			b.Cleanup(s.Close)
			w := worldOn(b, s, bustest.New(b), func(o *setup) { o.Log = zerolog.Nop() })
			w.sources()
			w.fill()
			storetest.Grow(b, address, "docs", size.pages, size.runs)
			v := w.loggedIn("admin")
			var list []string
			for i := range 3_000 {
				list = append(list, strconv.Itoa(1_000_000+i))
			}
			run := w.run("docs", "under-way", listed(list...)...)
			var stop atomic.Bool
			stopped, written := make(chan struct{}), 0
			go func() {
				defer close(stopped)
				for ; !stop.Load() && written < len(list); written++ {
					w.write(run, list[written], "/"+list[written], "New "+list[written], "The harbour has more lights.")
				}
			}()
			var table strings.Builder
			for b.Loop() {
				for _, path := range []string{
					"", "/sources/docs", "/sources/docs/pages", "/sources/docs/pages?title=9999", "/sources/docs/pages/1500", "/sources/docs/failures", "/sources/docs/losses",
					"/sources/docs/settings", "/runs/under-way", "/runs/grown-" + strconv.Itoa(size.runs), "/runs/grown-" + strconv.Itoa(size.runs) + "/pages?outcome=created",
					"/removals", "/system", "/system/embeddings", "/system/keys", "/system/credentials", "/add",
				} {
					median, most := v.firstByte(b, path)
					fmt.Fprintf(&table, "%-45s %6d ms median, %6d ms at most\n", "/console"+path, median.Milliseconds(), most.Milliseconds())
				}
			}
			stop.Store(true)
			<-stopped
			b.Logf("first byte, while %d pages were stored\n%s", written, table.String())
		})
	}
}

func (v *visitor) firstByte(b *testing.B, path string) (median, most time.Duration) {
	b.Helper()
	var took []time.Duration
	for range 20 {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, v.w.url+console.Root+path, nil)
		require.NoError(b, err)
		began := time.Now()
		res, err := v.client.Do(req)
		require.NoError(b, err)
		_, err = res.Body.Read(make([]byte, 1))
		took = append(took, time.Since(began))
		require.NoError(b, err)
		_, err = io.Copy(io.Discard, res.Body)
		require.NoError(b, err)
		require.NoError(b, res.Body.Close())
		require.Equal(b, http.StatusOK, res.StatusCode, path)
	}
	slices.Sort(took)
	return took[len(took)/2], took[len(took)-1]
}

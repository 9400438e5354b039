package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/sluicehq/sluice/lab/bench/figure"
	"github.com/sluicehq/sluice/lab/bench/report"
	"github.com/sluicehq/sluice/lab/storebench"
	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/viewer"
)

// searches measures the search of the knowledge base after a sync, and then of one many times as large;
// each alone and during the first sync of another source.
func (b *bench) searches(ctx context.Context) (err error) {
	w, err := b.synced(ctx)
	defer b.leave(w, &err)
	if err != nil {
		return err
	}
	if err := b.searchesOf(ctx, w, b.pages); err != nil {
		return err
	}
	times := max(2, b.large/b.pages)
	b.say("making the knowledge base %d times as large", times)
	began := time.Now()
	if err := storebench.Grow(ctx, w.pg.URL(), source, times, runtime.GOMAXPROCS(0)); err != nil {
		return err
	}
	if err := w.store.Searcher().Build(ctx); err != nil { // the search does not know of the copies
		return err
	}
	b.say("that took %s", time.Since(began).Round(time.Second))
	return b.searchesOf(ctx, w, b.pages*times)
}

func (b *bench) searchesOf(ctx context.Context, w *world, pages int) error {
	src, err := w.store.Reader().Source(ctx, viewer.All(), source)
	if err != nil {
		return err
	}
	if src.Pages != pages {
		return fmt.Errorf("the knowledge base holds %d pages and not %d", src.Pages, pages)
	}
	for _, during := range []bool{false, true} {
		list := make([]report.Search, len(filters))
		for round := range b.roundsOf(pages) {
			rng := rand.New(rand.NewPCG(seed, uint64(round))) //nolint:gosec // the same questions for the same round
			search := b.searchAlone
			if during {
				search = b.searchDuringSync
			}
			taken, err := search(ctx, w, rng)
			if err != nil {
				return err
			}
			for i, f := range filters {
				list[i].Pages, list[i].Chunks, list[i].What, list[i].During = pages, src.Chunks, f.what, during
				list[i].Rounds = append(list[i].Rounds, figure.TailOf(taken[i]))
			}
		}
		for _, r := range list {
			b.say("%d pages, %s, during a sync %v: p95 %.1f ms", pages, r.What, during, figure.Over(r.Rounds, func(t figure.Tail) float64 { return t.P95 }).Median)
		}
		b.r.Search = append(b.r.Search, list...)
	}
	return nil
}

type namedFilter struct {
	what string
	search.Filter
}

// filters are the measured filters.
var filters = []namedFilter{
	{"no filter", search.Filter{}},
	{"a source", search.Filter{SourceID: source}},
	{"a space", search.Filter{SpaceKey: sandbox.GeneratedSpace}},
	{"a label", search.Filter{Label: "broker"}},
	{"modified since", search.Filter{ModifiedSince: time.Date(2023, 3, 3, 0, 0, 0, 0, time.UTC)}},
}

// searchAlone searches with each filter without other load.
func (b *bench) searchAlone(ctx context.Context, w *world, rng *rand.Rand) ([][]time.Duration, error) {
	taken := make([][]time.Duration, len(filters))
	for i, f := range filters {
		for range b.searchesEach {
			if err := w.searchOnce(ctx, rng, f.Filter, &taken[i]); err != nil {
				return nil, err
			}
		}
	}
	return taken, nil
}

// searchEvery is the interval of searches during a sync.
const searchEvery = 50 * time.Millisecond

// searchDuringSync searches with each filter in turn during a sync of another source. It then removes
// that source's rows.
func (b *bench) searchDuringSync(ctx context.Context, w *world, rng *rand.Rand) ([][]time.Duration, error) {
	w.others++
	other := fmt.Sprint("OTHER", w.others)
	in := map[string]any{"key": other, "pages": b.pages, "seed": seed}
	if err := w.site.Ask(ctx, http.MethodPost, "/_sandbox/spaces", in, nil); err != nil {
		return nil, err
	}
	src := store.Source{ID: strings.ToLower(other), BaseURL: w.site.URL + "/wiki", SpaceKey: other}
	if err := w.store.AddSource(ctx, src); err != nil {
		return nil, err
	}
	end := make(chan error, 1)
	go func() {
		_, _, err := w.sync(ctx, src.ID, event.Full)
		end <- err
	}()
	taken := make([][]time.Duration, len(filters))
	tick := time.NewTicker(searchEvery)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case err := <-end:
			if err != nil {
				return nil, err
			}
			if len(taken[len(filters)-1]) == 0 {
				return nil, fmt.Errorf("a sync of %d pages was over before every filter was searched with", b.pages)
			}
			if err := w.store.RemoveSource(ctx, src.ID); err != nil {
				return nil, err
			}
			return taken, storebench.Vacuum(ctx, w.pg.URL())
		case <-tick.C:
		}
		n := i % len(filters)
		if err := w.searchOnce(ctx, rng, filters[n].Filter, &taken[n]); err != nil {
			end := <-end
			return nil, fmt.Errorf("%w (the sync: %w)", err, end)
		}
	}
}

// searchOnce makes one search and records its duration. If it does not find what must be there, it
// returns an error.
func (w *world) searchOnce(ctx context.Context, rng *rand.Rand, f search.Filter, taken *[]time.Duration) error {
	query, sure := question(rng, w.layout.pages)
	began := time.Now()
	hits, err := w.store.Searcher().Search(ctx, viewer.All(), query, f)
	*taken = append(*taken, time.Since(began))
	if err != nil {
		return err
	}
	if sure && len(hits) == 0 && f.Label == "" && f.ModifiedSince.IsZero() {
		return fmt.Errorf("a search for %q finds nothing", query)
	}
	return nil
}

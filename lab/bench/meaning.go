package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/sluicehq/sluice/lab/bench/figure"
	"github.com/sluicehq/sluice/lab/bench/report"
	"github.com/sluicehq/sluice/lab/storebench"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/store/vectors"
	"github.com/sluicehq/sluice/shared/viewer"
)

// meanings measures search by meaning: what the embedder makes of its server, what an edit costs, and how long a search
// takes in knowledge bases of several sizes.
func (b *bench) meanings(ctx context.Context) (err error) {
	m, err := startModel()
	if err != nil {
		return err
	}
	defer m.close()
	w, err := b.newWorld(ctx, layout{pages: b.meant[0], vectors: true, env: map[string][]string{"embedder": m.env()}})
	defer w.close(&err)
	if err != nil {
		return err
	}
	if err := b.embeds(ctx, w, m); err != nil {
		return err
	}
	// From here on nothing is embedded: the vectors of large knowledge bases are made up.
	if err := errors.Join(w.stop("embedder"), w.dropSpaces(ctx)); err != nil {
		return err
	}
	space, err := w.store.Vectors().Open(ctx, vectors.IdentityOf("bench", madeUp, 0))
	if err != nil {
		return err
	}
	asker := &madeUpAsker{meanings: storebench.NewMeanings(madeUp, seed), rng: rand.New(rand.NewPCG(seed, 2))} //nolint:gosec // the same questions each time
	for _, pages := range b.meant {
		if err := b.meaningsOf(ctx, w, space, asker, pages); err != nil {
			return err
		}
	}
	return nil
}

// madeUp is the length of made up vectors: that of small sentence models.
const madeUp = 384

// madeUpAsker takes a vector for a question as chunks have them.
type madeUpAsker struct {
	meanings *storebench.Meanings
	rng      *rand.Rand
	again    []float32 // if set, the only vector
}

// Vector implements search.Asker.
func (a *madeUpAsker) Vector(context.Context, string, int, string) ([]float32, error) {
	if a.again != nil {
		return a.again, nil
	}
	return a.meanings.Any(a.rng), nil
}

// shares are of the chunks that a filter lets through.
var shares = []float64{1, 0.5, 0.1, 0.01}

func (b *bench) meaningsOf(ctx context.Context, w *world, space vectors.Space, asker *madeUpAsker, pages int) error {
	b.say("a knowledge base of %d pages with vectors", pages)
	began := time.Now()
	connections := runtime.GOMAXPROCS(0)
	if err := storebench.Grow(ctx, w.pg.URL(), source, pages/b.meant[0], connections); err != nil {
		return err
	}
	if err := w.store.Searcher().Build(ctx); err != nil {
		return err
	}
	grown := time.Now()
	if err := storebench.FillVectors(ctx, w.pg.URL(), space, asker.meanings, connections); err != nil {
		return err
	}
	b.say("that took %s, and the vectors %s", grown.Sub(began).Round(time.Second), time.Since(grown).Round(time.Second))
	src, err := w.store.Reader().Source(ctx, viewer.All(), source)
	if err != nil {
		return err
	}
	asking := w.store.Searcher().Without() // a copy
	asking.Ask(asker)
	for _, share := range shares {
		f := search.Filter{Limit: 10, PerPage: 10}
		if share < 1 {
			if f.ModifiedSince, err = storebench.SinceFor(ctx, w.pg.URL(), source, share); err != nil {
				return err
			}
		}
		r := report.Meaning{Chunks: src.Chunks, Share: share}
		rng := rand.New(rand.NewPCG(seed, 3)) //nolint:gosec // the same questions each time
		for _, one := range []struct {
			by *search.Searcher
			to *figure.Tail
		}{{asking.Without(search.Meaning), &r.Words}, {asking.Without(search.Wording), &r.Vectors}, {asking, &r.Both}} {
			if *one.to, err = b.asked(ctx, rng, one.by, f); err != nil {
				return err
			}
		}
		if r.Recall, err = b.recall(ctx, asker, asking.Without(search.Wording), f); err != nil {
			return err
		}
		b.say("%d chunks, a filter of %.0f %%: p95 by words %.1f, by vectors %.1f, by both %.1f ms; recall %.3f",
			r.Chunks, 100*share, r.Words.P95, r.Vectors.P95, r.Both.P95, r.Recall)
		b.r.Meaning = append(b.r.Meaning, r)
	}
	return nil
}

// asked measures searches; the first ones only fill caches.
func (b *bench) asked(ctx context.Context, rng *rand.Rand, s *search.Searcher, f search.Filter) (figure.Tail, error) {
	var taken []time.Duration
	for i := range b.searchesEach + b.searchesEach/4 {
		query, _ := question(rng, b.meant[0])
		began := time.Now()
		a, err := s.Explain(ctx, viewer.All(), query, f)
		if err != nil {
			return figure.Tail{}, err
		}
		if a.WordsOnly != "" {
			return figure.Tail{}, fmt.Errorf("a search by meaning went by words: %s", a.WordsOnly)
		}
		if i >= b.searchesEach/4 {
			taken = append(taken, time.Since(began))
		}
	}
	return figure.TailOf(taken), nil
}

// recall is the share of the hits that the same search finds when it compares all vectors.
func (b *bench) recall(ctx context.Context, asker *madeUpAsker, s *search.Searcher, f search.Filter) (float64, error) {
	defer func() { asker.again = nil }()
	exact := s.Without(search.Index)
	found, all := 0, 0
	for range max(10, b.searchesEach/4) {
		asker.again = asker.meanings.Any(asker.rng)
		hits, err := s.Search(ctx, viewer.All(), "anything", f)
		if err != nil {
			return 0, err
		}
		near, err := exact.Search(ctx, viewer.All(), "anything", f)
		if err != nil {
			return 0, err
		}
		there := map[int64]bool{}
		for _, h := range hits {
			there[h.ChunkID] = true
		}
		for _, h := range near {
			if all++; there[h.ChunkID] {
				found++
			}
		}
	}
	if all == 0 {
		return 0, errors.New("no chunk passes the filter")
	}
	return float64(found) / float64(all), nil
}

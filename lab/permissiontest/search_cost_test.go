package permissiontest

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/lab/bench/figure"
	"github.com/sluicehq/sluice/lab/storebench"
	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/store/storetest"
	"github.com/sluicehq/sluice/shared/store/vectors"
	"github.com/sluicehq/sluice/shared/viewer"
)

var (
	searched = flag.Int("searched", 40, "the pages, of five chunks each, that readers search; make permissions-search takes 20000")
	searches = flag.Int("searches", 2, "how often each reader searches; make permissions-search takes 200")
)

// guardSQL gives each page one of 20 restrictions: reader r20 passes all of them, r10 half, and r1 one of them.
const guardSQL = `
	INSERT INTO confluence_tree (source_id, node_id, kind, title) SELECT source_id, page_id, kind, title FROM confluence_pages ON CONFLICT DO NOTHING;
	UPDATE confluence_spaces SET permissions = 'enforce', access_read_at = now(), permissions_max_age = '1 year';
	INSERT INTO confluence_layers (source_id, object_kind, object_id, read_at) VALUES ('docs', 'space', '7', now());
	INSERT INTO confluence_layer_principals SELECT layer_id, 'everyone', '' FROM confluence_layers WHERE object_kind = 'space';
	INSERT INTO confluence_layers (source_id, object_kind, object_id, read_at) SELECT 'docs', 'content', 'none-' || n, now() FROM generate_series(0, 19) n;
	INSERT INTO confluence_layer_principals SELECT l.layer_id, 'user', 'r' || r FROM confluence_layers l, unnest(ARRAY[1, 10, 20]) r
	WHERE l.object_kind = 'content' AND split_part(l.object_id, '-', 2)::int < r;
	INSERT INTO confluence_layer_sets (source_id, layers) SELECT 'docs', ARRAY[layer_id] FROM confluence_layers WHERE object_kind = 'content';
	UPDATE confluence_tree t SET layer_set = s.set_id FROM confluence_layer_sets s JOIN confluence_layers l ON s.layers = ARRAY[l.layer_id]
	WHERE l.object_id = 'none-' || abs(hashtext(t.node_id)) % 20`

// wandering gives each question another meaning.
type wandering struct {
	meanings *storebench.Meanings
	rng      *rand.Rand
}

func (w wandering) Vector(context.Context, string, int, string) ([]float32, error) {
	return w.meanings.Any(w.rng), nil
}

// TestWhatAReadersSearchCosts searches by words and by meaning as readers who see 5 %, 50 % and all of the pages, and
// as an operator, for whom nothing is filtered: each gets a full answer. It logs how long that took.
func TestWhatAReadersSearchCosts(t *testing.T) {
	t.Parallel()
	ctx, url := t.Context(), pgtest.MigratedVectorURL(t)
	s, err := store.Open(ctx, url)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	storetest.AddSource(t, s, docs)
	rng := rand.New(rand.NewPCG(5, 20))
	text := func(n int) string {
		words := make([]string, n)
		for i := range words {
			words[i] = fmt.Sprintf("word%d", int(rng.ExpFloat64()*40))
		}
		return strings.Join(words, " ")
	}
	base := min(*searched, 500)
	for n := range base {
		storetest.Write(t, s, storetest.Page(docs, "", fmt.Sprint(n), 1, text(3), text(60), text(60), text(60), text(60), text(60)))
	}
	require.NoError(t, storebench.Grow(ctx, url, docs, *searched/base, runtime.GOMAXPROCS(0)))
	require.NoError(t, s.Searcher().Build(ctx))
	space, err := s.Vectors().Open(ctx, vectors.IdentityOf("made-up", 384, 0))
	require.NoError(t, err)
	meanings := storebench.NewMeanings(384, 1)
	require.NoError(t, storebench.FillVectors(ctx, url, space, meanings, runtime.GOMAXPROCS(0)))
	conn, err := pgx.Connect(ctx, url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	_, err = conn.Exec(ctx, guardSQL)
	require.NoError(t, err)
	require.NoError(t, storebench.Vacuum(ctx, url))
	s.Searcher().Ask(wandering{meanings, rng})

	readers := []string{"", "r20", "r10", "r1"}
	taken, sees := map[string][]time.Duration{}, map[string]int{"": *searched}
	for _, reader := range readers[1:] {
		pages, err := s.Reader().Pages(ctx, viewer.Everywhere().As(reader), docs, store.PageFilter{Part: store.Whole()})
		require.NoError(t, err)
		sees[reader] = len(pages)
	}
	for n := range *searches + 3 { // the first ones only fill caches
		query := text(1 + n%3)
		for _, reader := range readers { // side by side, so that a busy moment meets all of them
			v := viewer.All()
			if reader != "" {
				v = viewer.Everywhere().As(reader)
			}
			began := time.Now()
			hits, err := s.Searcher().Search(ctx, v, query, search.Filter{Limit: 10, PerPage: 10})
			if n >= 3 {
				taken[reader] = append(taken[reader], time.Since(began))
			}
			require.NoError(t, err)
			require.Len(t, hits, min(10, 5*sees[reader]), "%s: %s", reader, query)
		}
	}
	for i, share := range []string{"no filter", "100 % visible", "50 % visible", "5 % visible"} {
		tail := figure.TailOf(slices.Clone(taken[readers[i]]))
		t.Logf("%d chunks, %s: p50 %.1f ms, p95 %.1f ms", 5**searched, share, tail.P50, tail.P95)
	}
	for i, share := range []string{"100 % visible", "50 % visible", "5 % visible"} {
		t.Logf("the plan of a search with %s:\n%s", share, strings.Join(planOf(t, url, readers[i+1], text(2), wandering{meanings, rng}), "\n"))
	}
}

// statements keeps the last statement that selects hits, as it was sent, and what was set for it.
type statements struct{ setting, hits pgx.TraceQueryStartData }

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	switch {
	case strings.Contains(d.SQL, "set_config('hnsw."):
		s.setting = d
	case strings.Contains(d.SQL, "vectors AS MATERIALIZED") && !strings.HasPrefix(d.SQL, "EXPLAIN"):
		s.hits = d
	}
	return ctx
}

func (*statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// planOf returns the scans of a search as a reader, in the order of the plan: how, by which index, and how many rows. With
// the pages of make permissions-search, no table of chunks, their words, texts or vectors is scanned completely.
func planOf(t *testing.T, url, reader, query string, asker search.Asker) (scans []string) {
	t.Helper()
	ctx := t.Context()
	config, err := pgxpool.ParseConfig(url)
	require.NoError(t, err)
	var sent statements
	config.ConnConfig.Tracer = &sent
	pool, err := pgxpool.NewWithConfig(ctx, config)
	require.NoError(t, err)
	defer pool.Close()
	searcher := search.New(pool, "")
	searcher.Ask(asker)
	_, err = searcher.Search(ctx, viewer.Everywhere().As(reader), query, search.Filter{Limit: 10, PerPage: 10})
	require.NoError(t, err)
	var plan []map[string]any
	require.NoError(t, pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if sent.setting.SQL != "" {
			if _, err := tx.Exec(ctx, sent.setting.SQL, sent.setting.Args...); err != nil {
				return err
			}
		}
		return tx.QueryRow(ctx, "EXPLAIN (ANALYZE, FORMAT JSON) "+sent.hits.SQL, sent.hits.Args...).Scan(&plan)
	}))
	var walk func(n map[string]any)
	walk = func(n map[string]any) {
		of := n["Index Name"]
		if of == nil {
			of = n["Relation Name"]
		}
		if of != nil {
			rows, loops := n["Actual Rows"].(float64), n["Actual Loops"].(float64)
			scans = append(scans, fmt.Sprintf("%s, %s: %.0f rows in %.0f look-ups", n["Node Type"], of, rows*loops, loops))
			require.False(t, *searched >= 5000 && n["Node Type"] == "Seq Scan", "%s: %s", reader, scans[len(scans)-1])
		}
		children, _ := n["Plans"].([]any)
		for _, child := range children {
			walk(child.(map[string]any))
		}
	}
	walk(plan[0]["Plan"].(map[string]any))
	return scans
}

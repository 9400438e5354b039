package search_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/viewer"
)

// BenchmarkSearch searches chunks of about 1.5 KB, with queries that do not repeat, and reports
// percentiles. 40,000 chunks are those of 4,000 pages.
func BenchmarkSearch(b *testing.B) {
	for _, chunks := range []int{40_000, 100_000} {
		b.Run(fmt.Sprint("chunks=", chunks), func(b *testing.B) {
			url := pgtest.URL(b)
			s, err := store.Open(b.Context(), url)
			require.NoError(b, err)
			b.Cleanup(s.Close)
			_, err = s.Migrate(b.Context())
			require.NoError(b, err)
			k := newCorpus(1)
			k.load(b, url, chunks)
			require.NoError(b, s.Searcher().Build(b.Context()))
			conn, err := pgx.Connect(b.Context(), url)
			require.NoError(b, err)
			_, err = conn.Exec(b.Context(), `VACUUM ANALYZE confluence_chunk_words, confluence_words`)
			require.NoError(b, err)
			require.NoError(b, conn.Close(b.Context()))
			queries := map[string]func() string{
				"common":    func() string { return k.vocab[k.rng.IntN(20)] },
				"two words": func() string { return k.vocab[k.rng.IntN(300)] + " " + k.vocab[k.rng.IntN(300)] },
				"three":     func() string { return k.word() + " " + k.word() + " " + k.word() },
				"phrase":    k.phrase,
				"identifier": func() string {
					return fmt.Sprintf("%s_%s_v%d", k.word(), k.vocab[3000+k.rng.IntN(20_000)], 1+k.rng.IntN(9))
				},
				"typo":      func() string { return misspelled(k.rng, k.vocab[50+k.rng.IntN(5000)]) },
				"excluding": func() string { return k.vocab[k.rng.IntN(300)] + " -" + k.vocab[k.rng.IntN(300)] },
			}
			filters := map[string]search.Filter{
				"source": {SourceID: "small"}, "space": {SpaceKey: "SPACE7"}, "under": {Under: "12"}, "label": {Label: "label-7"},
				"jira": {JiraIssue: "OPS-7"}, "mentions": {Mentions: "712020:7"},
				"since": {ModifiedSince: time.Date(2025, 12, 20, 0, 0, 0, 0, time.UTC)}, "since long": {ModifiedSince: time.Unix(0, 0)},
			}
			mix := func() string { return queries[slices.Sorted(maps.Keys(queries))[k.rng.IntN(len(queries))]]() }
			for _, kind := range slices.Sorted(maps.Keys(queries)) {
				b.Run("query="+strings.ReplaceAll(kind, " ", "-"), func(b *testing.B) { percentiles(b, s, queries[kind], search.Filter{}) })
			}
			for _, kind := range slices.Sorted(maps.Keys(filters)) {
				b.Run("filter="+strings.ReplaceAll(kind, " ", "-"), func(b *testing.B) { percentiles(b, s, mix, filters[kind]) })
			}
			// The index knows which chunks have both words, but not where: each of these chunks must be
			// read.
			b.Run("phrase-nowhere", func(b *testing.B) {
				percentiles(b, s, func() string { return `"` + k.vocab[k.rng.IntN(100)] + " " + k.vocab[k.rng.IntN(100)] + `"` }, search.Filter{})
			})
			b.Run("mix", func(b *testing.B) {
				list := append(slices.Collect(maps.Values(filters)), make([]search.Filter, len(filters))...) // half without
				var times []time.Duration
				for b.Loop() {
					times = append(times, timed(b, s, mix(), list[k.rng.IntN(len(list))]))
				}
				report(b, times)
			})
		})
	}
}

// misspelled swaps two letters in the second half of a word.
func misspelled(rng *rand.Rand, word string) string {
	w := []byte(word)
	i := min(len(w)/2+1+rng.IntN(max(1, len(w)/2-1)), len(w)-2)
	w[i], w[i+1] = w[i+1], w[i]
	return string(w)
}

func timed(b *testing.B, s *store.Store, query string, f search.Filter) time.Duration {
	b.Helper()
	began := time.Now()
	_, err := s.Searcher().Search(b.Context(), viewer.All(), query, f)
	require.NoError(b, err)
	return time.Since(began)
}

func percentiles(b *testing.B, s *store.Store, query func() string, f search.Filter) {
	b.Helper()
	var times []time.Duration
	for b.Loop() {
		times = append(times, timed(b, s, query(), f))
	}
	report(b, times)
}

// report reports the 50th, 95th and 99th percentile of the searches' durations.
func report(b *testing.B, times []time.Duration) {
	b.Helper()
	slices.Sort(times)
	for _, p := range []int{50, 95, 99} {
		b.ReportMetric(float64(times[len(times)*p/100].Microseconds())/1000, fmt.Sprintf("p%d-ms", p))
	}
	b.ReportMetric(0, "ns/op")
}

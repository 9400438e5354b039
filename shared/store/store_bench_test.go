package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/store"
)

// bench is a store with an open run, and a table for plain COPY that has all the columns, indexes and constraints of
// Archon's table.
type bench struct {
	*store.Store
	pool    *pgxpool.Pool
	attempt int
	rand    *rand.Rand
	words   []string
	common  *rand.Zipf
	made    int // number of pages so far
}

func openBench(b *testing.B) *bench {
	b.Helper()
	url := pgtest.URL(b)
	s, err := store.Open(b.Context(), url)
	require.NoError(b, err)
	b.Cleanup(s.Close)
	_, err = s.Migrate(b.Context())
	require.NoError(b, err)
	pool, err := pgxpool.New(b.Context(), url)
	require.NoError(b, err)
	b.Cleanup(pool.Close)
	_, err = pool.Exec(b.Context(), `CREATE TABLE copied (LIKE archon_crawled_pages INCLUDING ALL,
		FOREIGN KEY (source_id) REFERENCES archon_sources (source_id) ON DELETE CASCADE)`)
	require.NoError(b, err)

	require.NoError(b, s.AddSource(b.Context(), store.Source{ID: "docs", BaseURL: site, SpaceKey: "DOCS"}))
	run, err := s.OpenRun(b.Context(), event.SyncRequested{RequestID: "r1", Mode: event.Full, SourceID: "docs"})
	require.NoError(b, err)
	attempt, err := s.StartListing(b.Context(), run.ID, time.Now())
	require.NoError(b, err)

	r := rand.New(rand.NewPCG(1, 2))
	words := make([]string, 20_000)
	for i := range words {
		var w strings.Builder
		for range 1 + r.IntN(4) {
			w.WriteByte("bcdfghklmnprstvw"[r.IntN(16)])
			w.WriteByte("aeiou"[r.IntN(5)])
			w.WriteString([]string{"", "n", "r", "st"}[r.IntN(4)])
		}
		words[i] = w.String()
	}
	return &bench{Store: s, pool: pool, attempt: attempt, rand: r, words: words, common: rand.NewZipf(r, 1.1, 8, 19_999)}
}

// text returns about 1.5 KB of words: a few common ones and many rare ones.
func (b *bench) text(heading string) string {
	var t strings.Builder
	t.WriteString(heading + "\n\n")
	for t.Len() < 1500 {
		t.WriteString(b.words[b.common.Uint64()] + []string{" ", " ", " ", ", ", ". ", "\n"}[b.rand.IntN(6)])
	}
	return strings.TrimSpace(t.String())
}

// page returns a new page with realistic metadata.
func (b *bench) page(chunks int) store.PageWrite {
	b.made++
	id := fmt.Sprint(100_000 + b.made)
	texts := make([]string, chunks)
	for i := range texts {
		texts[i] = b.text(fmt.Sprintf("## Section %d", i))
	}
	return b.edition(id, 1, texts)
}

func (b *bench) edition(id string, version int, texts []string) store.PageWrite {
	w := paged(version, "Operating page "+id, texts)
	w.RunID, w.Page.ID, w.Path = "r1", id, "/1/20/"+id
	w.Page.URL = site + "/spaces/DOCS/pages/" + id + "/Operating+page"
	for i := range w.Chunks {
		m := &w.Chunks[i].Metadata
		m.URL, m.PageID, m.KnowledgeType, m.SpaceKey, m.Tags = w.Page.URL, id, "technical", "DOCS", []string{"handbook", "operations"}
		m.SectionTitle, _, _ = strings.Cut(strings.TrimPrefix(texts[i], "## "), "\n")
		m.Description, m.HeadingPath = m.SectionTitle, []string{"Handbook", m.SectionTitle}
		m.Breadcrumb = []string{"Documentation", "Operations", "Handbook"}
		m.WordCount, m.CharCount = len(strings.Fields(texts[i])), len(texts[i])
		m.CitationURL = w.Page.URL + "#" + strings.ReplaceAll(m.SectionTitle, " ", "-")
	}
	return w
}

// pages returns new pages that the run lists.
func (b *bench) pages(tb testing.TB, n, chunks int) []store.PageWrite {
	tb.Helper()
	list, ids := make([]store.PageWrite, n), make([]store.Listed, n)
	for i := range list {
		list[i] = b.page(chunks)
		ids[i] = listed(list[i].Page.ID, 1, list[i].Page.Title)
	}
	require.NoError(tb, b.AddListed(tb.Context(), "r1", b.attempt, ids))
	return list
}

// copyRows copies the chunks of pages in the simplest way, in one transaction.
func (b *bench) copyRows(ctx context.Context, pages []store.PageWrite) error {
	var rows [][]any
	for _, w := range pages {
		for _, c := range w.Chunks {
			meta, err := json.Marshal(c.Metadata)
			if err != nil {
				return err
			}
			rows = append(rows, []any{w.Page.URL, c.Number, c.Content, meta, w.SourceID})
		}
	}
	_, err := b.pool.CopyFrom(ctx, pgx.Identifier{"copied"}, []string{"url", "chunk_number", "content", "metadata", "source_id"}, pgx.CopyFromRows(rows))
	return err
}

// BenchmarkWritePage alternates between writing new pages of 20 chunks and copying the same rows, into tables that
// grow equally. Both update all indexes of chunks; only the store also writes the page, its content and the ledger.
func BenchmarkWritePage(b *testing.B) {
	const pages, chunks = 24, 20 // pages per round
	for _, writers := range []int{1, 2} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			db := openBench(b)
			ways := []struct {
				name  string
				write func(ctx context.Context, mine []store.PageWrite) error
				took  time.Duration
			}{
				{name: "store", write: func(ctx context.Context, mine []store.PageWrite) error {
					for _, w := range mine {
						if outcome, err := db.WritePage(ctx, w); err != nil || outcome != event.Created {
							return fmt.Errorf("page %s is %q: %w", w.Page.ID, outcome, err)
						}
					}
					return nil
				}},
				{name: "copy-by-page", write: func(ctx context.Context, mine []store.PageWrite) error {
					for i := range mine {
						if err := db.copyRows(ctx, mine[i:i+1]); err != nil {
							return err
						}
					}
					return nil
				}},
				{name: "copy-at-once", write: db.copyRows},
			}
			turns := 0
			for b.Loop() {
				turns++
				for i := range ways {
					way := &ways[(i+turns)%len(ways)]
					list := db.pages(b, pages, chunks)
					began := time.Now()
					group, ctx := errgroup.WithContext(b.Context())
					for mine := range slices.Chunk(list, pages/writers) {
						group.Go(func() error { return way.write(ctx, mine) })
					}
					require.NoError(b, group.Wait())
					way.took += time.Since(began)
				}
			}
			rows := float64(turns * pages * chunks)
			for _, way := range ways {
				b.ReportMetric(rows/way.took.Seconds(), way.name+"-rows/s")
			}
			b.ReportMetric(ways[1].took.Seconds()/ways[0].took.Seconds(), "of-copy-by-page")
			b.ReportMetric(ways[2].took.Seconds()/ways[0].took.Seconds(), "of-copy-at-once")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkEdit rewrites a page of 40 chunks, among 200 pages of 20.
func BenchmarkEdit(b *testing.B) {
	const chunks = 40
	for _, c := range []struct {
		name string
		edit func(db *bench, texts []string, n int) []string
	}{
		{"unchanged", func(_ *bench, texts []string, _ int) []string { return texts }},
		{"one-word", func(db *bench, texts []string, n int) []string {
			i := n % len(texts)
			texts[i] = strings.Replace(texts[i], " ", " "+db.words[n%1000]+" ", 1)
			return texts
		}},
		{"put-in-at-the-top", func(db *bench, texts []string, n int) []string {
			return append([]string{db.text(fmt.Sprintf("## Put in %d", n))}, texts[:chunks-1]...)
		}},
		{"all", func(db *bench, texts []string, n int) []string {
			for i := range texts {
				texts[i] = db.text(fmt.Sprintf("## Section %d of %d", i, n))
			}
			return texts
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			db := openBench(b)
			for _, w := range db.pages(b, 200, 20) {
				_, err := db.WritePage(b.Context(), w)
				require.NoError(b, err)
			}
			first := db.pages(b, 1, chunks)[0]
			_, err := db.WritePage(b.Context(), first)
			require.NoError(b, err)
			var texts []string
			for _, chunk := range first.Chunks {
				texts = append(texts, chunk.Content)
			}
			version := 1
			write := func() {
				before := slices.Clone(texts)
				texts = c.edit(db, texts, version)
				if !slices.Equal(before, texts) {
					version++
				}
				w := db.edition(first.Page.ID, version, texts)
				b.StartTimer()
				_, err := db.WritePage(b.Context(), w)
				b.StopTimer()
				require.NoError(b, err)
			}
			var took []time.Duration
			for b.Loop() {
				b.StopTimer()
				began := b.Elapsed()
				write()
				took = append(took, b.Elapsed()-began)
				b.StartTimer()
			}
			b.StopTimer()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95-ms")

			conn, err := db.pool.Acquire(b.Context())
			require.NoError(b, err)
			defer conn.Release()
			_, err = conn.Exec(b.Context(), touchedSQL)
			require.NoError(b, err)
			n := touchedBy(b, conn.Conn(), write)
			b.ReportMetric(float64(n.Inserted), "inserted")
			b.ReportMetric(float64(n.Marked+n.Updated), "updated")
			b.ReportMetric(float64(n.Deleted), "deleted")
		})
	}
}

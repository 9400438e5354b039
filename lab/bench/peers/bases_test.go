package peers

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/lab/bench/versus"
	"github.com/sluicehq/sluice/lab/storebench"
	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// servingVectors serves vectors until the test ends.
func servingVectors(t *testing.T) (e embeddings) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	hear, say := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- ServeEmbeddings(ctx, say) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	lines := bufio.NewScanner(hear)
	require.True(t, lines.Scan(), "it says where it is")
	e.URL = lines.Text()
	return e
}

func (e embeddings) vectors(t *testing.T, texts ...string) {
	t.Helper()
	var answer struct {
		Data []struct{ Embedding []float32 }
	}
	require.NoError(t, e.Ask(t.Context(), http.MethodPost, "/v1/embeddings", map[string]any{"input": texts, "model": "bench"}, &answer))
	require.Len(t, answer.Data, len(texts))
	require.Len(t, answer.Data[0].Embedding, dimensions)
}

func TestTheServerForVectorsCountsAndHasItsLimits(t *testing.T) {
	e := servingVectors(t)
	began := time.Now()
	e.vectors(t, "one two", "three")
	require.GreaterOrEqual(t, time.Since(began), modelCall)
	got, err := e.asked(t.Context())
	require.NoError(t, err)
	require.Equal(t, asked{Calls: 1, Texts: 2, Words: 3}, got)
	require.ErrorContains(t, e.Ask(t.Context(), http.MethodPost, "/v1/embeddings", map[string]any{"input": make([]string, modelBatch+1)}, nil), "129 texts are more than 128")
	require.ErrorContains(t, e.Ask(t.Context(), http.MethodPost, "/v1/embeddings", map[string]any{"input": []int{1, 2}}, nil), "not a list of texts")
	require.NoError(t, e.forget(t.Context()))
	got, err = e.asked(t.Context())
	require.NoError(t, err)
	require.Zero(t, got)
}

// A base that reads everything again but removes nothing is found out.
func TestAPassCountsWhatItLeaves(t *testing.T) {
	ctx, s, e, url := t.Context(), serving(t, 50), servingVectors(t), pgtest.URL(t)
	all, err := s.pages(ctx, sandbox.GeneratedSpace)
	require.NoError(t, err)
	ed := &editor{site: s, pages: editable(all)}
	require.Len(t, ed.pages, mostEdits)
	require.NoError(t, ed.edit(ctx))
	c, err := pgx.Connect(ctx, url)
	require.NoError(t, err)
	defer c.Close(context.WithoutCancel(ctx))
	_, err = c.Exec(ctx, `CREATE TABLE rows_of_a_base (page text, body text, vector text)`)
	require.NoError(t, err)
	k := kept{url: url, sync: func(ctx context.Context, first bool) (versus.Run, error) {
		now, err := s.pages(ctx, sandbox.GeneratedSpace)
		require.NoError(t, err)
		require.NotEqual(t, "", now[0].Body)
		for i, p := range now {
			vector := any("there")
			if i == 0 {
				vector = nil
			}
			_, err := c.Exec(ctx, `INSERT INTO rows_of_a_base VALUES ($1, $2, $3)`, p.ID, p.Body, vector)
			require.NoError(t, err)
		}
		e.vectors(t, "a", "b")
		return versus.Run{Calls: map[bool]int64{true: 7, false: 8}[first]}, nil
	}}
	const rows = `SELECT page, body, vector IS NOT NULL FROM rows_of_a_base`
	first, err := k.pass(ctx, true, e, ed, rows)
	require.NoError(t, err)
	require.Equal(t, pass{Run: versus.Run{Pages: 49, Calls: 7}, asked: asked{1, 2, 2}, rows: storebench.Contents{Chunks: 50, Bare: 1, Pages: 49, Fresh: mostEdits}}, first)
	require.NoError(t, ed.edit(ctx))
	again, err := k.pass(ctx, false, e, ed, rows)
	require.NoError(t, err)
	require.Equal(t, pass{Run: versus.Run{Pages: 49, Calls: 8}, asked: asked{1, 2, 2}, rows: storebench.Contents{Chunks: 100, Bare: 2, Pages: 49, Stale: mostEdits, Fresh: mostEdits}}, again)
	require.NoError(t, ed.edit(ctx))
	ed.pages[0].Body = "<p>another</p>"
	require.ErrorContains(t, ed.edit(ctx), "its first sentence is another one")
}

func TestFewPagesAreEditedOnce(t *testing.T) {
	var pages []pageTruth
	for i := range 3 {
		pages = append(pages, pageTruth{ID: fmt.Sprint(i)})
	}
	require.Equal(t, pages, editable(pages))
}

func TestTheReportOfTheBasesIsWhole(t *testing.T) {
	for _, b := range bases {
		if !b.isOurs() {
			require.NotEmpty(t, pinned(b.file, b.of), b.name)
			_, err := drivers.ReadFile("drivers/" + b.driver)
			require.NoError(t, err, b.name)
		}
	}
	run := func(seconds int) versus.Run {
		return versus.Run{Pages: 1000, Wall: time.Duration(seconds) * time.Second, Calls: 20, CPU: time.Second, Memory: 64 << 20}
	}
	r := baseReport{machine: "a machine", pages: 1000, rounds: 3, edits: 40, bases: []filled{
		{
			base:  bases[0],
			first: []pass{{Run: run(9)}, {Run: run(4), asked: asked{80, 9_000, 1_000_000}, rows: storebench.Contents{Chunks: 9_000}}, {Run: run(2)}},
			again: []pass{{Run: run(1), asked: asked{30, 40, 6_000}, rows: storebench.Contents{Chunks: 9_000, Fresh: 40}}},
		},
		{base: bases[1], first: []pass{{Run: run(30)}}, again: []pass{{Run: versus.Run{Stopped: true, Wall: time.Minute}}}},
		{base: bases[2], first: []pass{{Run: versus.Run{Err: "KeyError: `x`"}}}, again: []pass{{Run: versus.Run{Err: "KeyError: `x`"}}}},
	}}
	var b bytes.Buffer
	require.NoError(t, r.write(&b))
	text := b.String()
	require.NotContains(t, text, "{{")
	require.NotContains(t, text, "  ,")
	require.Contains(t, text, "make bench-peers ONLY=vectors PAGES=1000 ROUNDS=3")
	require.Equal(t, "| Sluice | 1,000 | 9,000 | 0 | 4.00 | 250 | 1 | 64.0 | 20 | 80 | 9,000 | 1,000,000 |", row(t, text, "Sluice"))
	require.Contains(t, row(t, text, "LlamaIndex"), "| error | – |")
	require.Contains(t, text, "- LlamaIndex: `KeyError: 'x'`")
	_, later, found := bytes.Cut(b.Bytes(), []byte("## 40 edits later"))
	require.True(t, found)
	require.Equal(t, "| Sluice | 40 of 40 | 1.00 | 1 | 20 | 30 | 40 | 6,000 | 0 | 9,000 |", row(t, string(later), "Sluice"))
	require.Contains(t, row(t, string(later), "LangChain"), "| stopped after 60.00 | – |")
}

package report

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/lab/bench/figure"
	"github.com/sluicehq/sluice/lab/bench/versus"
)

func text(t *testing.T, r Results) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, Markdown(&b, r))
	return b.String()
}

// line is the first line of a text that begins with the cell.
func line(t *testing.T, text, cell string) string {
	t.Helper()
	for l := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimLeft(l, "| "), cell) {
			return strings.Join(strings.Fields(l), " ")
		}
	}
	t.Fatalf("no line begins with %q in\n%s", cell, text)
	return ""
}

func TestFigures(t *testing.T) {
	for want, got := range map[string]string{
		"1.2 GiB": size(1.2 * (1 << 30)), "64 MiB": size(64 << 20), "512 KiB": size(512 << 10), "95 %": percent(0.951), "1.60 ×": times(1.6),
		"–":                     spread(figure.Spread{}, whole),
		"2 (1–3)":               spread(figure.Of([]float64{1, 2, 3}), whole),
		"5":                     spread(figure.Of([]float64{5, 5.1}), whole),
		"1.50 s (1–2)":          spread(figure.Of([]float64{1, 2}), seconds),
		"1.0 GiB (1.0–1.1)":     spread(figure.Of([]float64{1 << 30, 1 << 30, 1.1 * (1 << 30)}), size),
		"1 MiB (512 KiB–2 MiB)": spread(figure.Of([]float64{1 << 19, 1 << 20, 1 << 21}), size),
		"20.0 ms":               millis(20.04),
	} {
		require.Equal(t, want, got)
	}
}

func round(took time.Duration, peak int64) Full {
	return Full{
		Took: took, Bytes: 60e6, Chunks: 48_000, Calls: 50,
		Processes: []Process{
			{Name: "stand-in", CPU: 100 * time.Second, Peak: 1 << 30}, {Name: "fetcher", CPU: 2 * time.Second, Peak: peak},
			{Name: "converter", CPU: 6 * time.Second, Peak: 100 << 20}, {Name: "postgres", CPU: 12 * time.Second, Peak: 300 << 20},
		},
		Limits: Limits{
			Fetch: time.Second, Convert: 4 * time.Second, Copy: 10 * time.Second,
			FetchCPU: 2 * time.Second, ConvertCPU: 8 * time.Second, CopyCPU: 20 * time.Second,
		},
	}
}

func TestFullSyncs(t *testing.T) {
	one := Group{Pages: 4_000, Rounds: []Full{round(40*time.Second, 1)}}
	r := Results{
		Full: []Group{
			{Pages: 1_000, Rounds: []Full{round(4*time.Second, 40<<20)}},
			{Pages: 4_000, Rounds: []Full{round(14*time.Second, 42<<20), round(16*time.Second, 44<<20), round(30*time.Second, 46<<20)}},
		},
		One: &one,
	}
	out := text(t, r)
	require.Equal(t, "| 4,000 | 16.0 (14.0–30.0) | 250 (133–286) | 3.75 (2–4.29) | 5 | 50 | 80.0 | 12.0 |", line(t, out, "4,000 |"), "the stand-in's CPU is not Sluice's")
	require.Contains(t, out, "4,000, one process")
	_, limits, _ := strings.Cut(out, "## Against the limit")
	require.Equal(t, "| 4,000 | 1 s | 4 s | 10.0 s | 16.0 s (14.0–30.0) | 1.60 × (1.40–3.00) | 1.07 × (0.93–2.00) |", line(t, limits, "4,000 |"))
	_, byCPU, _ := strings.Cut(out, "The same by processor time")
	require.Equal(t, "| 4,000 | 2 s | 8 s | 20.0 s | 120 s | 4.00 × |", line(t, byCPU, "4,000 |"))
	_, memory, _ := strings.Cut(out, "## Peak memory")
	require.Equal(t, "| stand-in | 1.0 GiB | 1.0 GiB | 1.0 GiB |", line(t, memory, "stand-in"))

	require.Contains(t, line(t, out, "full sync against the largest"), "| 1.60 × (1.40–3.00) | met |")
	require.Contains(t, line(t, out, "4,000 pages end to end"), "| 16.0 s (14.0–30.0) | met |")
	require.Contains(t, line(t, out, "peak memory"), "| 44 MiB, converter 100 MiB; at most 1.10 × from 1,000 to 4,000 pages | met |")
	require.Contains(t, line(t, out, "incremental, nothing"), "| – | not measured |")
}

func TestMemoryIsToBeSmallAndFlat(t *testing.T) {
	for _, tc := range []struct {
		small, large int64
		want         verdict
	}{
		{40 << 20, 44 << 20, met},
		{40 << 20, 51 << 20, missed}, // small enough, and not flat
		{63 << 20, 64 << 20, missed}, // flat, and not small enough
	} {
		r := Results{Full: []Group{{Pages: 1_000, Rounds: []Full{round(1, tc.small)}}, {Pages: 4_000, Rounds: []Full{round(1, tc.large)}}}}
		require.Equal(t, tc.want, r.memory().met, "%d → %d", tc.small, tc.large)
	}
}

func TestTheOtherAims(t *testing.T) {
	r := Results{
		Incremental: []Incremental{{What: "nothing", Rounds: []Step{{Took: 200 * time.Millisecond, Calls: 2}}}},
		Latency:     []Latency{{Found: figure.Tail{P50: 100, P95: 249}}},
		Rate:        []Rate{{PerSecond: 10, Answer: 200 * time.Millisecond, Calls: 99, Fetched: 10 * time.Second, Took: 20 * time.Second}},
		Search: []Search{
			{Pages: 4_000, During: true, What: "a", Rounds: []figure.Tail{{P95: 19}}}, {Pages: 4_000, During: false, What: "a", Rounds: []figure.Tail{{P95: 99}}},
			{Pages: 100_000, During: true, What: "a", Rounds: []figure.Tail{{P95: 99}}},
		},
	}
	require.Equal(t, met, r.nothing().met)
	require.Equal(t, met, r.found().met)
	require.Equal(t, met, r.searched().met)
	out := text(t, r)
	require.Contains(t, line(t, out, "under 10 requests a second, until all is fetched"), "| 100 % | met |")
	require.Contains(t, line(t, out, "under 10 requests a second, to the end"), "| 50 % | not met |")

	r.Incremental[0].Rounds[0].Calls = 3
	require.Equal(t, missed, r.nothing().met)
	r.Incremental[0].Rounds[0] = Step{Took: 300 * time.Millisecond, Calls: 2}
	require.Equal(t, missed, r.nothing().met)
	r.Latency[0].Found.P95 = 250
	require.Equal(t, missed, r.found().met)
	r.Search = append(r.Search, Search{Pages: 4_000, During: true, What: "b", Rounds: []figure.Tail{{P95: 21}}})
	require.Equal(t, missed, r.searched().met, "the slowest filter counts")
}

func TestTheAimAgainstThePeersIsReadFromTheirRun(t *testing.T) {
	require.Contains(t, line(t, text(t, Results{}), "against the fastest peer"), "| [beside the peers](benchmarks-peers.md) | not measured |")
	row := func(name string, ours bool, seconds int, calls int64) versus.Row {
		return versus.Row{Name: name, Ours: ours, Rounds: []versus.Run{{Pages: aimed, Wall: time.Duration(seconds) * time.Second, Calls: calls}}}
	}
	peers := &versus.Results{Tables: []versus.Table{
		{Pages: 1_000, Rows: []versus.Row{row("Sluice", true, 1, 1), row("theirs", false, 100, 100)}},
		{Pages: aimed, Rows: []versus.Row{row("Sluice", true, 10, 10), row("Sluice, to Markdown", true, 5, 10), row("theirs", false, 50, 100), row("slower", false, 51, 1)}},
	}}
	out := text(t, Results{Peers: peers})
	require.Contains(t, line(t, out, "against the fastest peer: Sluice  "), "| 5.00 × the pages a second, 0.10 × the calls a page ([theirs](benchmarks-peers.md), 4,000 pages) | not met |")
	require.Contains(t, line(t, out, "against the fastest peer: Sluice, to Markdown"), "| 10.00 × the pages a second, 0.10 × the calls a page ([theirs](benchmarks-peers.md), 4,000 pages) | met |")

	nobody := &versus.Results{Tables: []versus.Table{{Pages: aimed, Rows: []versus.Row{row("Sluice", true, 10, 10)}}}}
	require.Contains(t, line(t, text(t, Results{Peers: nobody}), "against the fastest peer"), "not measured")
}

func TestScalingIsAgainstOne(t *testing.T) {
	out := text(t, Results{Scaling: []Scaling{
		{Stage: "fetcher", Replicas: 1, Pages: 100, Rounds: []Scaled{{Took: 10 * time.Second}}},
		{Stage: "fetcher", Replicas: 4, Pages: 100, Rounds: []Scaled{{Took: 4 * time.Second}}},
		{Stage: "converter", Replicas: 2, Pages: 100, Rounds: []Scaled{{Took: 4 * time.Second}}},
	}})
	require.Contains(t, line(t, out, "fetcher   |        4"), "| 4 | 4 s | 25 | 2.50 × |")
	require.NotContains(t, line(t, out, "converter"), "×", "there is no single converter to compare with")
}

func TestVectorsAndTheirAims(t *testing.T) {
	r := Results{
		Embeds: []Embeds{{Pages: 250, Chunks: 4_000, Texts: 3_000, Batch: 32, Parallel: 4, Call: 150 * time.Millisecond, Synced: time.Second,
			Searchable: 5 * time.Second, Server: 4 * time.Second, Embedder: 5 * time.Second, Edits: 40, EditTexts: 40, EditTokens: 4_000}},
		Meaning: []Meaning{
			{Chunks: 4_000, Share: 1, Both: figure.Tail{P95: 99}, Recall: 1},
			{Chunks: 95_000, Share: 1, Both: figure.Tail{P50: 9, P95: 29}, Recall: 0.991},
			{Chunks: 95_000, Share: 0.1, Words: figure.Tail{P95: 12}, Vectors: figure.Tail{P95: 28}, Recall: 0.97},
		},
	}
	out := text(t, r)
	require.Contains(t, line(t, out, "the embedder against"), "| 80 % | not met |")
	require.Contains(t, line(t, out, "an edit of one word"), "| 1.00 | met |")
	require.Contains(t, line(t, out, "search by words and by meaning, about 100,000"), "| 29.0 ms | met |", "the smallest knowledge base does not count")
	require.Contains(t, line(t, out, "search by words and by meaning, about 1,000,000"), "not measured")
	require.Contains(t, line(t, out, "recall of the index"), "| 0.970 | not met |")
	require.Contains(t, out, "40 texts were embedded again, 100 tokens an edit")
	require.Contains(t, line(t, out, "the embedder  "), "| 5 s | 600 | 80 % |")
	require.Contains(t, line(t, out, "95,000 |   10 %"), "28.0 ms")
}

// Without measurements the report shows only the aims.
func TestAnEmptyReport(t *testing.T) {
	out := text(t, Results{})
	require.Equal(t, 1, strings.Count(out, "\n## "), "the aims only:\n%s", out)
	require.NotContains(t, out, "| met")
}

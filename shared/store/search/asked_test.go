package search_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/store/storetest"
	"github.com/sluicehq/sluice/shared/viewer"
)

var manual = []struct{ id, title, text string }{
	{"1", "Deleting pods", "Run `kubectl delete pod web-0 --force --grace-period=0` when a pod hangs."},
	{"2", "Orchestrator chart", "Set `orchestrator.sonataflowPlatform.jobServiceImage` and the annotation `kubectl.kubernetes.io/last-applied-configuration`."},
	{"3", "Errors of the gateway", "It logs `upstream connect error: connection refused (111)` when the port is closed. See PAY-1234."},
	{"4", "設置手順", "岸壁でゲートウェイを設置する技術者は潮汐表を確認し、アンテナを真北に向ける。"},
	{"5", "คู่มือ", "การติดตั้งเซิร์ฟเวอร์และการสำรองข้อมูล"},
	{"6", "Paths", "The file /etc/sluice/config.d/local.yaml is read last, https://docs.example.com/guide/start tells more."},
	{"7", "Winter or summer", "The dial has two positions, one for each season."},
}

func TestWhatPeopleMeanIsFound(t *testing.T) {
	t.Parallel()
	s, _ := storetest.Open(t)
	storetest.AddSource(t, s, "docs")
	for _, m := range manual {
		storetest.Write(t, s, storetest.Page("docs", "", m.id, 1, m.title, m.text))
	}
	for query, first := range map[string]string{
		"kubectl delete pod web-0 --force":                 "1", // a pasted command
		"kubectl delete -n prod --force":                   "1",
		"jobServiceImage":                                  "2", // the end of a dotted name
		"sonataflowPlatform":                               "2",
		"job service image":                                "2",
		"kubectl.kubernetes.io/last-applied-configuration": "2",
		"last-applied":                                     "2",
		`"connection refused"`:                             "3",
		`what does "upstream connect error" mean`:          "3",
		`"connection refused (112) by upstream"`:           "3", // an error message that differs in a word
		"PAY-1234":                                         "3",
		"潮汐表":                                              "4",
		"アンテナの向き":                                          "4",
		"設置":                                               "4",
		"สำรองข้อมูล":                                      "5",
		"local.yaml":                                       "6",
		"docs.example.com":                                 "6",
		"config.d/local.yaml":                              "6",
		"winter or summer position of the dial":            "7",
		"what is the dial for":                             "7", // no chunk has all the words
		"dail positons":                                    "7", // mistakes in the first half and in the second
		"iwnter":                                           "7",
		"orchestratro":                                     "2",
	} {
		ids := found(t, s, query, search.Filter{})
		require.NotEmpty(t, ids, query)
		require.Equal(t, first, ids[0], query)
	}
	for query, never := range map[string]string{
		"kubectl -orchestrator": "2", "kubectl -jobServiceImage": "2", `pod -"grace period"`: "1", `kubectl "last applied"`: "1", `"pod port"`: "3",
	} {
		require.NotContains(t, found(t, s, query, search.Filter{}), never, query)
	}
}

func TestAnAnswerTellsHowItCameAbout(t *testing.T) {
	t.Parallel()
	s, _ := stocked(t)
	a, err := s.Searcher().Explain(t.Context(), viewer.All(), "service messh", search.Filter{})
	require.NoError(t, err)
	require.Len(t, a.Legs, len(a.Hits))
	require.Equal(t, "15", a.Hits[0].PageID)
	require.Contains(t, fmt.Sprint(a.Terms), "mesh messh", "what was typed, and what is looked for")
	require.Equal(t, "words", a.Legs[0][len(a.Legs[0])-1].Leg)
	require.Positive(t, a.Legs[0][0].Score)
	a, err = s.Searcher().Explain(t.Context(), viewer.All(), `"each service which nobody runs"`, search.Filter{})
	require.NoError(t, err)
	require.True(t, a.Softened)
	require.Equal(t, "11", a.Hits[0].PageID)
	require.Empty(t, found(t, s, `"the mesh sleeps" -retries zzyzx "nothing"`, search.Filter{}))
	plain := s.Searcher().Without(search.Typos, search.Titles, search.Exact)
	hits, err := plain.Search(t.Context(), viewer.All(), "kuberntes", search.Filter{})
	require.NoError(t, err)
	require.Empty(t, hits)
}

// The same pages give the same answers, in whatever order and however often they were stored.
func TestAnswersDoNotDependOnTheLoad(t *testing.T) {
	t.Parallel()
	ask := func(seed uint64) (answers [][]string) {
		s, conn := storetest.Open(t)
		storetest.AddSource(t, s, "docs")
		rng := rand.New(rand.NewPCG(seed, 1))
		order := rng.Perm(60)
		for _, n := range order {
			storetest.Write(t, s, storetest.Page("docs", "", fmt.Sprint(n), 1, fmt.Sprint("Page ", n%7), "the pelican flies "+fmt.Sprint(n%5), "the heron waits"))
		}
		for _, n := range order[:10] {
			storetest.Write(t, s, storetest.Page("docs", "", fmt.Sprint(n), 2, "Other", "gone"))
			storetest.Write(t, s, storetest.Page("docs", "", fmt.Sprint(n), 3, fmt.Sprint("Page ", n%7), "the pelican flies "+fmt.Sprint(n%5), "the heron waits"))
		}
		for _, query := range []string{"pelican", "heron", "page 3", "pelican heron page", "flies 4"} {
			answers = append(answers, found(t, s, query, search.Filter{Limit: 30}))
		}
		require.Equal(t, counts(t, conn, `SELECT word, ndoc FROM ts_stat('SELECT words FROM confluence_chunk_words')`),
			counts(t, conn, `SELECT word, chunks FROM confluence_words`), "words are counted right")
		require.Equal(t, counts(t, conn, `SELECT source_id, count(*) FROM confluence_chunk_words GROUP BY 1`),
			counts(t, conn, `SELECT source_id, chunks FROM confluence_word_totals`))
		return answers
	}
	require.Equal(t, ask(1), ask(2))
}

func counts(t *testing.T, conn *pgx.Conn, sql string) map[string]int64 {
	t.Helper()
	rows, err := conn.Query(t.Context(), sql)
	require.NoError(t, err)
	all := map[string]int64{}
	var word string
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&word, &n}, func() error { all[word] = n; return nil })
	require.NoError(t, err)
	return all
}

// The search also finds and forgets chunks that another program writes and removes, such as an Archon.
func TestWhatOthersWriteIsFound(t *testing.T) {
	t.Parallel()
	s, conn := stocked(t)
	c, err := pgx.Connect(t.Context(), conn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close(t.Context()) })
	require.NotEmpty(t, found(t, s, "canteen", search.Filter{}))
	_, err = c.Exec(t.Context(), `INSERT INTO archon_sources (source_id) VALUES ('web');
		INSERT INTO archon_crawled_pages (url, chunk_number, content, source_id) VALUES ('https://example.com/a', 0, 'the canteen of the walrus', 'web')`)
	require.NoError(t, err)
	require.Len(t, found(t, s, "walrus", search.Filter{}), 1)
	require.Len(t, found(t, s, "canteen", search.Filter{SourceID: "web"}), 1)
	_, err = c.Exec(t.Context(), `DELETE FROM archon_sources WHERE source_id = 'web'`)
	require.NoError(t, err)
	require.Empty(t, found(t, s, "walrus", search.Filter{}))
	require.NotContains(t, slices.Collect(func(yield func(string) bool) {
		for w := range counts(t, c, `SELECT word, chunks FROM confluence_words`) {
			if !yield(w) {
				return
			}
		}
	}), "walrus")
}

// A crawl writes more chunks together than one search indexes: later searches continue.
func TestManyThatOthersWriteAreFoundInTheEnd(t *testing.T) {
	t.Parallel()
	s, conn := stocked(t)
	c, err := pgx.Connect(t.Context(), conn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close(t.Context()) })
	require.NotEmpty(t, found(t, s, "canteen", search.Filter{}))
	_, err = c.Exec(t.Context(), `INSERT INTO archon_sources (source_id) VALUES ('web');
		INSERT INTO archon_crawled_pages (url, chunk_number, content, source_id)
		SELECT 'https://example.com/' || n, 0, 'the walrus' || n || ' of many', 'web' FROM generate_series(1, 1300) n`)
	require.NoError(t, err)
	for range 4 {
		found(t, s, "canteen", search.Filter{})
	}
	for _, n := range []string{"1", "700", "1099", "1300"} {
		require.NotEmpty(t, found(t, s, "walrus"+n, search.Filter{}), n)
	}
}

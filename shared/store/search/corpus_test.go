package search_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/storetest"
)

// corpus generates pages whose words are as unevenly distributed as those of a language: the word of
// rank n occurs about 1/n as often as the first one.
type corpus struct {
	rng   *rand.Rand
	vocab []string
	odds  []float64 // cumulated
}

// glue is half of any English text, and full text search ignores it.
var glue = strings.Fields(`the of and to in a is that for it as was with be by on not this are or from but have an they which you we all can`)

func newCorpus(seed uint64) *corpus {
	const words = 30_000
	k := &corpus{rng: rand.New(rand.NewPCG(seed, 1)), vocab: make([]string, 0, words), odds: make([]float64, words)}
	starts := strings.Fields(`b bl br c ch cl cr d dr f fl fr g gl gr h j k kn l m n p pl pr ph qu r s sc sh sk sl sm sn sp st str sw t th tr tw v w wr y z`)
	middles := strings.Fields(`a e i o u ai ea ee ie oa oo ou`)
	ends := strings.Fields(`b ck ct d ft g l ld ll m mp n nd ng nk nt p pt r rd rk rm rn rt s sk ss st t x`)
	pick := func(from []string) string { return from[k.rng.IntN(len(from))] }
	seen := map[string]bool{}
	for len(k.vocab) < words {
		var w strings.Builder
		for range 1 + len(k.vocab)*2/words + k.rng.IntN(2) { // frequent words are short
			w.WriteString(pick(starts) + pick(middles))
		}
		w.WriteString(pick(ends))
		if !seen[w.String()] {
			seen[w.String()] = true
			k.vocab = append(k.vocab, w.String())
		}
	}
	var sum float64
	for i := range k.odds {
		sum += 1 / math.Pow(float64(i+10), 1.05)
		k.odds[i] = sum
	}
	return k
}

// draw returns the index of a word in the vocabulary, the first ones most often.
func (k *corpus) draw() int {
	i, _ := slices.BinarySearch(k.odds, k.rng.Float64()*k.odds[len(k.odds)-1])
	return min(i, len(k.vocab)-1)
}

func (k *corpus) word() string { return k.vocab[k.draw()] }

// after returns the word that follows another one more often than by chance.
func (k *corpus) after(i int) int { return (i*i + 17*i + 5) % 3000 }

// phrase returns two words that follow each other.
func (k *corpus) phrase() string {
	i := k.draw()
	return `"` + k.vocab[i] + " " + k.vocab[k.after(i)] + `"`
}

// heading returns one to four words, none of the most frequent ones.
func (k *corpus) heading() string {
	list := make([]string, 1+k.rng.IntN(4))
	for i := range list {
		list[i] = k.vocab[20+int(float64(len(k.vocab)-20)*math.Pow(k.rng.Float64(), 3))]
	}
	list[0] = strings.ToUpper(list[0][:1]) + list[0][1:]
	return strings.Join(list, " ")
}

// text returns Markdown of about n bytes under a heading, with an identifier now and then.
func (k *corpus) text(heading string, n int) string {
	var b strings.Builder
	b.WriteString("## " + heading + "\n\n")
	for b.Len() < n {
		switch dice := k.rng.IntN(100); {
		case dice < 45:
			b.WriteString(glue[k.rng.IntN(len(glue))])
		case dice < 46:
			fmt.Fprintf(&b, "`%s_%s_v%d`", k.word(), k.word(), 1+k.rng.IntN(9))
		default:
			i := k.draw()
			b.WriteString(k.vocab[i])
			if k.rng.IntN(6) == 0 {
				b.WriteString(" " + k.vocab[k.after(i)])
			}
		}
		b.WriteString([]string{" ", " ", " ", " ", " ", " ", " ", ", ", ". ", ".\n\n"}[k.rng.IntN(10)])
	}
	return b.String()
}

// corpusSources are the sources of a loaded corpus; the last one has one page in a hundred.
var corpusSources = []string{"big", "small"}

// load fills an empty, migrated database with pages of ten chunks of about 1.5 KB each. Page 1 is the
// ancestor of all pages, 10 of 10 to 19 and so on. The indexes on content are built afterwards.
func (k *corpus) load(tb testing.TB, url string, chunks int) {
	tb.Helper()
	ctx := tb.Context()
	conn, err := pgx.Connect(ctx, url)
	require.NoError(tb, err)
	defer func() { _ = conn.Close(context.Background()) }()
	exec := func(sql string) {
		_, err := conn.Exec(ctx, sql)
		require.NoError(tb, err, sql)
	}
	rows, err := conn.Query(ctx, `SELECT indexname::text, indexdef FROM pg_indexes
		WHERE tablename = 'archon_crawled_pages' AND indexdef ~ 'USING gin'`)
	require.NoError(tb, err)
	type index struct{ Name, Def string }
	indexes, err := pgx.CollectRows(rows, pgx.RowToStructByPos[index])
	require.NoError(tb, err)
	require.NotEmpty(tb, indexes)
	for _, x := range indexes {
		exec(`DROP INDEX ` + pgx.Identifier{x.Name}.Sanitize())
	}
	for _, s := range corpusSources {
		exec(fmt.Sprintf(`INSERT INTO archon_sources (source_id, metadata) VALUES ('%s', '{"source_type": "confluence"}')`, s))
	}
	k.copyRows(tb, conn, chunks)
	makers := make(chan string, len(indexes))
	for _, x := range indexes {
		makers <- x.Def
	}
	close(makers)
	var group errgroup.Group
	for range 2 {
		group.Go(func() error {
			c, err := pgx.Connect(ctx, url)
			if err != nil {
				return err
			}
			defer func() { _ = c.Close(context.Background()) }()
			for def := range makers {
				if _, err := c.Exec(ctx, `SET maintenance_work_mem = '256MB'; `+def); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(tb, group.Wait())
	exec(`VACUUM ANALYZE archon_crawled_pages, confluence_pages`)
}

const chunksPerPage = 10

func (k *corpus) copyRows(tb testing.TB, conn *pgx.Conn, chunks int) {
	tb.Helper()
	pages, texts := make([][]any, chunks/chunksPerPage), make([][]any, 0, chunks)
	for n := range pages {
		id, title, source := fmt.Sprint(n+1), k.heading(), corpusSources[0]
		if n%100 == 99 {
			source = corpusSources[1]
		}
		meta := page.Metadata{Labels: []string{fmt.Sprint("label-", n%200)}}
		meta.JiraIssueLinks = []page.JiraIssue{{IssueKey: fmt.Sprint("OPS-", n%500), IssueURL: "https://acme.atlassian.net/browse/OPS"}}
		meta.UserMentions = []page.User{{AccountID: fmt.Sprint("712020:", n%300), DisplayName: "Somebody"}}
		modified := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(-time.Duration(n) * time.Hour)
		path := "/1"
		for _, above := range []int{100, 10, 1} {
			if up := (n + 1) / above; up > 1 {
				path += fmt.Sprint("/", up)
			}
		}
		address := storetest.Site + "/spaces/DOCS/pages/" + id
		pages[n] = []any{id, source, fmt.Sprint("SPACE", n%50), title, 3, modified, path, meta}
		for i := range chunksPerPage {
			section := k.heading()
			texts = append(texts, []any{address, i, k.text(section, 800+k.rng.IntN(1400)), source, store.ChunkMetadata{
				URL: address, Title: title, SourceID: source, KnowledgeType: "technical", PageID: id, CrawlType: "confluence",
				WordCount: 230, CharCount: 1500, ChunkIndex: i, Tags: []string{"confluence"}, SectionTitle: section,
				HeadingPath: []string{title, section}, Breadcrumb: []string{"Home", k.heading()},
				ContentHash: strings.Repeat("ab", 16), CitationURL: address + "#" + strings.ReplaceAll(section, " ", "-"), SpaceKey: "DOCS",
			}})
		}
	}
	for table, batch := range map[string][][]any{
		"confluence_pages page_id source_id space_key title version last_modified path metadata": pages,
		"archon_crawled_pages url chunk_number content source_id metadata":                       texts,
	} {
		columns := strings.Fields(table)
		_, err := conn.CopyFrom(tb.Context(), pgx.Identifier{columns[0]}, columns[1:], pgx.CopyFromRows(batch))
		require.NoError(tb, err)
	}
}

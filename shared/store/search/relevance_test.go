package search_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/store/storetest"
	"github.com/sluicehq/sluice/shared/viewer"
)

// library is a small space: a page's title, then headings with their text.
var library = []struct{ id, title, heading, text string }{
	{"1", "Kubernetes", "Clusters", "We run three Kubernetes clusters. Each has its own node pools and its own budget."},
	{"2", "Deployment", "Rolling back", "A release that misbehaves is rolled back with one command. The service keeps answering."},
	{"3", "Signing keys", "Rotation", "Rotate the signing keys every ninety days. Old keys stay valid for a week."},
	{"4", "Onboarding", "First week", "On the first day you get a laptop, a badge and your keys. The service desk helps."},
	{"5", "Billing", "Invoices", "Invoices are made on the first of the month. A service of finance checks them. See PAY-1234 for the open questions."},
	{"6", "Users API", "Lookup", "Call `getUserById` with the id of the account. It answers 404 when there is none."},
	{"7", "Users API", "Listing", "Call `listUsers` with a cursor. The service pages by two hundred."},
	{"8", "Payments", "Retries", "A payment that fails is tried again three times. PAY-1235 is about the fourth time."},
	{"9", "Incident review", "Timeline", "The pager went off at noon. The service was down for ten minutes, and the on-call handover had just begun."},
	{"10", "On-call", "Handover", "The handover on call takes place on Mondays. Bring the list of open alerts."},
	{"11", "Service catalog", "What is listed", "Every team lists each service that it runs, with an owner and a link to the dashboards."},
	{"12", "Canteen", "Opening hours", "The canteen opens at noon. Soup is served every day, cake on Fridays."},
	{"13", "Backups", "Restore", "A restore is rehearsed every quarter. Backups are kept for ninety days in another region."},
	{"14", "Databases", "Access", "Ask for access with a ticket. A reader role is given at once, a writer role after review."},
	{"15", "Network", "Service mesh", "Traffic between pods is encrypted. The mesh retries idempotent calls."},
	{"16", "Holidays", "Carry-over", "Up to five days are carried over. Tell the service desk of human resources by December."},
}

func TestMain(m *testing.M) { pgtest.Main(m) }

func stocked(t *testing.T, options ...store.Option) (*store.Store, string) {
	t.Helper()
	url := pgtest.MigratedURL(t)
	s, err := store.Open(t.Context(), pgtest.MaybePooled(t, url), options...)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	if len(options) > 0 { // such as a language, which changes the tables
		_, err = s.Migrate(t.Context())
		require.NoError(t, err)
	}
	storetest.AddSource(t, s, "docs")
	for _, l := range library {
		w := storetest.Page("docs", "", l.id, 1, l.title, "## "+l.heading+"\n\n"+l.text)
		w.Chunks[0].Metadata.SectionTitle = l.heading
		w.Chunks[0].Metadata.Breadcrumb = []string{"Home"}
		storetest.Write(t, s, w)
	}
	return s, url
}

func found(t *testing.T, s *store.Store, query string, f search.Filter) []string {
	t.Helper()
	hits, err := s.Searcher().Search(t.Context(), viewer.All(), query, f)
	require.NoError(t, err, query)
	ids := []string{}
	for i, h := range hits {
		ids = append(ids, h.PageID)
		require.Positive(t, h.Score)
		require.True(t, i == 0 || h.Score <= hits[i-1].Score, "best first")
	}
	return ids
}

func TestTheBestPageComesFirst(t *testing.T) {
	t.Parallel()
	s, _ := stocked(t)
	for _, c := range []struct {
		query string
		first string
		never []string
	}{
		{"kubernetes", "1", nil},
		{"kuberntes", "1", nil},                // a letter is missing
		{"Kubernetse clustres", "1", nil},      // two words with two letters swapped
		{"getUserById", "6", nil},              // an identifier, and then what shares its parts
		{"getuserbyid", "6", []string{"7"}},    // in another case
		{"user by id", "6", nil},               // its parts
		{"getUserByName", "6", nil},            // begins like one
		{"PAY-1234", "5", nil},                 // an issue, not its neighbor
		{"service", "15", nil},                 // a common word: the page with this title comes first
		{"service mesh", "15", nil},            // a heading
		{"rotating the signing key", "3", nil}, // other forms of the words
		{"how often do we rotate signing keys", "3", nil},
		{`"open questions"`, "5", nil}, // a phrase
		{`"the pager went off"`, "9", nil},
		{"handover", "10", nil},
		{"keys -signing", "4", []string{"3"}},  // the excluded word is in title and text
		{"noon -canteen", "9", []string{"12"}}, // in the title alone
		{"service -catalog -mesh -\"service desk\"", "7", []string{"4", "11", "15", "16"}},
		{"canteen or mesh", "15", nil},
		{"billing invoices", "5", nil},
		{"databases ticket reader", "14", nil}, // one word in the title, two in the text
	} {
		t.Run(c.query, func(t *testing.T) {
			ids := found(t, s, c.query, search.Filter{})
			require.NotEmpty(t, ids)
			require.Equal(t, c.first, ids[0])
			for _, id := range c.never {
				require.NotContains(t, ids, id)
			}
		})
	}
	for _, query := range []string{"", " ", `"`, "-canteen", "--", "the of and", "zzyzx", "\x00", "\xff", "or"} {
		require.Empty(t, found(t, s, query, search.Filter{}), query)
	}
}

func TestAHitIsWhatACitationNeeds(t *testing.T) {
	t.Parallel()
	s, url := stocked(t)
	hits, err := s.Searcher().Search(t.Context(), viewer.All(), "signing keys", search.Filter{Limit: 1})
	require.NoError(t, err)
	require.Len(t, hits, 1)
	h := hits[0]
	require.Positive(t, h.ChunkID)
	require.Contains(t, h.Snippet, search.MarkStart+"signing"+search.MarkEnd)
	h.ChunkID, h.Snippet, h.Score = 0, "", 0
	h.LastModified = h.LastModified.UTC()
	require.Equal(t, search.Hit{
		SourceID: "docs", PageID: "3", Kind: "page", Title: "Signing keys", SpaceKey: "DOCS", Version: 1,
		LastModified: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Breadcrumb: []string{"Home"}, SectionTitle: "Rotation",
		HeadingPath: []string{"Signing keys"}, URL: storetest.Site + "/spaces/DOCS/pages/3",
	}, h)

	hits, err = s.Searcher().Search(t.Context(), viewer.All(), "kuberntes", search.Filter{})
	require.NoError(t, err)
	require.Contains(t, hits[0].Snippet, search.MarkStart+"Kubernetes"+search.MarkEnd, "what is spelled like it is marked")

	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	_, err = conn.Exec(t.Context(), `
		INSERT INTO archon_sources (source_id) VALUES ('web');
		INSERT INTO archon_crawled_pages (url, chunk_number, content, source_id, metadata) VALUES
			('https://example.com/a', 0, 'the walrus sleeps', 'web', '{"page_id": "5d7e4e0e-0000-4000-8000-000000000000", "title": "A", "heading_path": "odd", "breadcrumb": [null, {"a": 1}]}'),
			('https://example.com/b', 0, 'the walrus wakes', 'web', '{"page_id": null}'),
			('https://example.com/c', 0, 'the walrus swims', 'web', '[]'),
			('https://example.com/d', 0, 'the walrus is on its way out', 'web', '{"_pending_deletion": true}'),
			('https://example.com/e', 0, 'the walrus claims to be a page of another source', 'web', '{"page_id": "3", "confluence_page_id": "3"}')`)
	require.NoError(t, err)
	hits, err = s.Searcher().Search(t.Context(), viewer.All(), "walrus", search.Filter{})
	require.NoError(t, err)
	require.Len(t, hits, 4, "all except pages marked for deletion")
	for _, h := range hits {
		require.Empty(t, h.PageID)
		require.Zero(t, h.Version)
		require.True(t, h.LastModified.IsZero())
		require.True(t, strings.HasPrefix(h.URL, "https://example.com/"))
	}
	for _, f := range []search.Filter{{SpaceKey: "DOCS"}, {Under: "3"}, {ModifiedSince: time.Unix(0, 0)}} {
		require.Empty(t, found(t, s, "walrus", f), "chunks without a page pass no filter on pages")
	}

	_, err = conn.Exec(t.Context(), `UPDATE confluence_pages SET is_deleted = true WHERE page_id = '3'`)
	require.NoError(t, err)
	require.NotContains(t, found(t, s, "signing keys", search.Filter{}), "3", "a removed page that still has chunks")
	require.Empty(t, found(t, s, "signing keys", search.Filter{Under: "3"}))
}

func TestLimits(t *testing.T) {
	t.Parallel()
	s, _ := storetest.Open(t)
	storetest.AddSource(t, s, "docs")
	texts := make([]string, 120)
	for i := range texts {
		texts[i] = fmt.Sprint("pelican number ", i)
	}
	storetest.Write(t, s, storetest.Page("docs", "", "1", 1, "Birds", texts...))
	require.Len(t, found(t, s, "pelican", search.Filter{}), 3, "of one page")
	require.Len(t, found(t, s, "pelican", search.Filter{PerPage: 50}), 10)
	require.Len(t, found(t, s, "pelican", search.Filter{Limit: 3}), 3)
	require.Len(t, found(t, s, "pelican", search.Filter{Limit: 1000, PerPage: 1000}), search.MaxHits)
}

func TestSearchWithoutSimilarity(t *testing.T) {
	t.Parallel()
	_, conn := storetest.Open(t)
	_, err := conn.Exec(t.Context(), `DROP EXTENSION pg_trgm CASCADE`)
	require.NoError(t, err)
	plain, err := store.Open(t.Context(), pgtest.MaybePooled(t, conn.Config().ConnString()))
	require.NoError(t, err)
	t.Cleanup(plain.Close)
	storetest.AddSource(t, plain, "docs")
	storetest.Write(t, plain, storetest.Page("docs", "", "1", 1, "Clusters", "We run Kubernetes."))
	require.Equal(t, []string{"1"}, found(t, plain, "kubernetes", search.Filter{}))
	require.Equal(t, []string{"1"}, found(t, plain, "kuberntes", search.Filter{}), "one mistake")
	require.Empty(t, found(t, plain, "kubermtes", search.Filter{}), "two mistakes")
}

// An answer is about several pages where several answer, and a page that answers in two places comes before
// one that does in one.
func TestHitsAreOfSeveralPages(t *testing.T) {
	t.Parallel()
	s, _ := storetest.Open(t)
	storetest.AddSource(t, s, "docs")
	storetest.Write(t, s, storetest.Page("docs", "", "1", 1, "A", "kestrel and gate", "kestrel and gate again", "kestrel and gate once more"))
	storetest.Write(t, s, storetest.Page("docs", "", "2", 1, "B", "kestrel and gate", "nothing of it here"))
	storetest.Write(t, s, storetest.Page("docs", "", "3", 1, "C", "nothing of it there"))
	hits, err := s.Searcher().Search(t.Context(), viewer.All(), "kestrel gate", search.Filter{})
	require.NoError(t, err)
	var pages []string
	for _, h := range hits {
		pages = append(pages, h.PageID)
	}
	require.Equal(t, []string{"1", "2", "1", "1"}, pages)
	require.IsDecreasing(t, []float64{hits[0].Score, hits[1].Score, hits[2].Score, hits[3].Score})
}

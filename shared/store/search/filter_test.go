package search_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/store/storetest"
	"github.com/sluicehq/sluice/shared/viewer"
)

// meta is as nested as real metadata.
func meta(label, issue, account string) page.Metadata {
	return page.Metadata{
		Ancestors: []page.Ancestor{{ID: "1", Title: "Hüte & \"Mäntel\"", URL: storetest.Site + "/1"}},
		Children:  []string{}, CreatedBy: &page.User{AccountID: "712020:maker", DisplayName: "Zoë 🦉", ProfileURL: storetest.Site + "/people/maker"},
		Labels:         []string{label, "every"},
		JiraIssueLinks: []page.JiraIssue{{IssueKey: issue, IssueURL: "https://acme.atlassian.net/browse/" + issue}, {IssueKey: "ALL-1"}},
		UserMentions:   []page.User{{AccountID: account, DisplayName: "O'Neil\\", ProfileURL: storetest.Site + "/people/" + account}},
		InternalLinks:  []page.Link{{PageID: "2", PageTitle: "{\"not\": [\"json\"]}", PageURL: storetest.Site + "/2"}, {PageTitle: "unknown"}},
		ExternalLinks:  []page.External{{Title: "a'b", URL: "https://example.com/?q=%27"}},
		AssetLinks:     []page.Asset{{ID: "att1", Title: "a.png", Type: "image"}}, WordCount: 2, ContentLength: 14,
	}
}

// filtered fills two sources with pages with the same words.
func filtered(t *testing.T) (*store.Store, *pgx.Conn) {
	t.Helper()
	s, conn := storetest.Open(t)
	for _, source := range []string{"docs", "other"} {
		storetest.AddSource(t, s, source)
	}
	for i, p := range []struct{ source, id, space, path string }{
		{"docs", "1", "DOCS", "/1"}, {"docs", "2", "DOCS", "/1/2"}, {"docs", "23", "DOCS", "/1/23"},
		{"docs", "4", "OPS", "/1/2/4"}, {"docs", "5", "OPS", "/5"}, {"other", "6", "DOCS", "/6"},
	} {
		w := storetest.Page(p.source, "", p.id, 1, "Title "+p.id, "same words")
		w.Page.SpaceKey, w.Path = p.space, p.path
		w.Page.ModifiedAt = time.Date(2026, 1, 1+i, 0, 0, 0, 0, time.UTC)
		w.Metadata = meta("label-"+p.id, "OPS-"+p.id, "712020:"+p.id)
		storetest.Write(t, s, w)
	}
	return s, conn
}

func TestEachFilterNarrows(t *testing.T) {
	t.Parallel()
	s, _ := filtered(t)
	for name, c := range map[string]struct {
		filter search.Filter
		want   []string
	}{
		"none":                      {search.Filter{}, []string{"1", "2", "23", "4", "5", "6"}},
		"source":                    {search.Filter{SourceID: "other"}, []string{"6"}},
		"space":                     {search.Filter{SpaceKey: "OPS"}, []string{"4", "5"}},
		"space of a source":         {search.Filter{SpaceKey: "DOCS", SourceID: "other"}, []string{"6"}},
		"under":                     {search.Filter{Under: "2"}, []string{"2", "4"}},
		"under the top":             {search.Filter{Under: "1"}, []string{"1", "2", "23", "4"}},
		"under a leaf":              {search.Filter{Under: "4"}, []string{"4"}},
		"under nothing":             {search.Filter{Under: "99"}, []string{}},
		"label":                     {search.Filter{Label: "label-23"}, []string{"23"}},
		"label in another case":     {search.Filter{Label: "EVERY", SourceID: "other"}, []string{"6"}},
		"jira":                      {search.Filter{JiraIssue: "OPS-2"}, []string{"2"}},
		"jira in another case":      {search.Filter{JiraIssue: "ops-23"}, []string{"23"}},
		"mentions":                  {search.Filter{Mentions: "712020:5"}, []string{"5"}},
		"since":                     {search.Filter{ModifiedSince: time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)}, []string{"5", "6"}},
		"since, elsewhere on Earth": {search.Filter{ModifiedSince: time.Date(2026, 1, 6, 1, 0, 0, 0, time.FixedZone("", 3600))}, []string{"6"}},
		"all of them": {search.Filter{SourceID: "docs", SpaceKey: "OPS", Under: "1", Label: "every", JiraIssue: "ALL-1", Mentions: "712020:4",
			ModifiedSince: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}, []string{"4"}},
		"contrary": {search.Filter{SourceID: "other", Under: "1"}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, query := range []string{"same words", "words", `"same words"`, "sme wrods", "words -nothing", "title words"} {
				got := found(t, s, query, c.filter)
				if query == "sme wrods" { // too short to be alike: found or not, never out of bounds
					require.Subset(t, c.want, got, query)
					continue
				}
				require.ElementsMatch(t, c.want, got, query)
			}
		})
	}
}

// hostile are texts that would do harm if they were concatenated into a statement.
var hostile = []string{
	`'; DROP TABLE archon_sources; --`, `' OR '1'='1`, `\'; SELECT pg_sleep(60); --`, `") OR true --`, `$1`, `$$; DROP TABLE confluence_pages; $$`,
	`%`, `_`, `words' | 'other`, `words | !nothing`, `words:* & other:*`, `words <-> same`, `[{"issue_key": "OPS-6"}]`, `"}]' OR true --`, `*`, `/`, `/1`, `../6`,
	"\u2039words\u203a", "words\x00other", "\xff\xfe", `source_id:other`, `words OR source_id`, `words" OR "same`, `-"`, `\`, `''`, `E'\\'`, "🦉",
}

func TestASourceFilterHoldsWhateverIsAsked(t *testing.T) {
	t.Parallel()
	s, conn := filtered(t)
	for _, text := range hostile {
		for _, query := range []string{text, "words " + text, text + " words", `"` + text + `"`, "-" + text + " words"} {
			hits, err := s.Searcher().Search(t.Context(), viewer.All(), query, search.Filter{SourceID: "other"})
			require.NoError(t, err, query)
			for _, h := range hits {
				require.Equal(t, "other", h.SourceID, query)
			}
		}
		for name, f := range map[string]search.Filter{
			"source": {SourceID: text}, "space": {SpaceKey: text}, "under": {Under: text}, "label": {Label: text},
			"jira": {JiraIssue: text}, "mentions": {Mentions: text},
		} {
			hits, err := s.Searcher().Search(t.Context(), viewer.All(), "words", f)
			require.NoError(t, err, "%s %q", name, text)
			require.Empty(t, hits, "%s %q", name, text)
			f.SourceID = "other"
			hits, err = s.Searcher().Search(t.Context(), viewer.All(), "words", f)
			require.NoError(t, err, "%s %q", name, text)
			for _, h := range hits {
				require.Equal(t, "source", name)
				require.Equal(t, "other", h.SourceID)
			}
		}
	}
	require.Len(t, found(t, s, "words", search.Filter{}), 6, "nothing has changed")
	var tables int
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_tables WHERE tablename IN ('archon_sources', 'confluence_pages')`).Scan(&tables))
	require.Equal(t, 2, tables)
}

func TestStoredTextsAreNeverPartOfAStatement(t *testing.T) {
	t.Parallel()
	s, _ := storetest.Open(t)
	storetest.AddSource(t, s, "docs")
	for i, text := range hostile {
		text, err := json.Marshal(text) // as Confluence would send it, without text that is invalid in JSON
		require.NoError(t, err)
		var sent string
		require.NoError(t, json.Unmarshal(text, &sent))
		if sent = clean0(sent); sent == "" {
			continue
		}
		w := storetest.Page("docs", "", fmt.Sprint(i), 1, sent, "pelicans "+sent)
		w.Page.SpaceKey, w.Metadata = sent, meta(sent, sent, sent)
		w.Chunks[0].Metadata.SectionTitle, w.Chunks[0].Metadata.Breadcrumb = sent, []string{sent}
		storetest.Write(t, s, w)
		hits, err := s.Searcher().Search(t.Context(), viewer.All(), "pelicans", search.Filter{SpaceKey: sent, Mentions: sent})
		require.NoError(t, err, sent)
		require.Len(t, hits, 1, sent)
		require.Equal(t, []string{sent, sent, sent}, []string{hits[0].Title, hits[0].SpaceKey, hits[0].Breadcrumb[0]})
	}
}

func clean0(text string) string {
	kept := ""
	for _, r := range text {
		if r != 0 {
			kept += string(r)
		}
	}
	return kept
}

func TestNestedMetadataComesBackAsItWentIn(t *testing.T) {
	t.Parallel()
	_, conn := filtered(t)
	var raw []byte
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT metadata FROM confluence_pages WHERE page_id = '2'`).Scan(&raw))
	want, err := json.Marshal(meta("label-2", "OPS-2", "712020:2"))
	require.NoError(t, err)
	require.JSONEq(t, string(want), string(raw))
	var back page.Metadata
	require.NoError(t, json.Unmarshal(raw, &back))
	require.Equal(t, meta("label-2", "OPS-2", "712020:2"), back)
}

// Removed or hidden pages keep no chunks; a page that moves to another source leaves the first.
func TestAPageThatChangesSourcesIsFoundInOne(t *testing.T) {
	t.Parallel()
	s, _ := filtered(t)
	w := storetest.Page("other", "", "5", 2, "Title 5", "same words")
	w.Page.ModifiedAt = time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	storetest.Write(t, s, w)
	require.NotContains(t, found(t, s, "words", search.Filter{SourceID: "docs"}), "5")
	require.Contains(t, found(t, s, "words", search.Filter{SourceID: "other"}), "5")
}

func TestASearchWithinSources(t *testing.T) {
	t.Parallel()
	s, _ := storetest.Open(t)
	for i, id := range []string{"docs", "hr", "ops"} {
		storetest.AddSource(t, s, id)
		page := string(rune('1' + i))
		storetest.Write(t, s, storetest.Page(id, "", page, 1, "Keys", "rotate the signing keys"))
	}
	found := func(f search.Filter) []string {
		hits, err := s.Searcher().Search(t.Context(), viewer.All(), "signing keys", f)
		require.NoError(t, err)
		ids := []string{}
		for _, h := range hits {
			ids = append(ids, h.SourceID)
		}
		return ids
	}
	require.ElementsMatch(t, []string{"docs", "hr", "ops"}, found(search.Filter{}))
	require.ElementsMatch(t, []string{"docs", "ops"}, found(search.Filter{Sources: []string{"ops", "docs", "none"}}))
	require.Empty(t, found(search.Filter{SourceID: "hr", Sources: []string{"docs"}}))
	require.ElementsMatch(t, []string{"hr"}, found(search.Filter{SpaceKey: "DOCS", Sources: []string{"hr"}}))
	require.Empty(t, found(search.Filter{Sources: []string{"hr\x00"}}))
}

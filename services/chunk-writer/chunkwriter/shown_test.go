package chunkwriter_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/chunk-writer/chunk"
	"github.com/sluicehq/sluice/services/chunk-writer/chunkwriter"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/service"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/viewer"
)

// A chunk carries those of the page's links, issues and people that it shows, and no others.
func TestAChunkCarriesWhatItShows(t *testing.T) {
	s, k := open(t), bustest.New(t)
	listed(t, s, "run-1", nil, numbered(30, 30)...)
	stored := bustest.Collect[event.PageStored](k)
	k.Consume(bus.Write, service.Steered(chunkwriter.Handler(s, k.Bus, chunk.Options{MinTokens: 8})))

	ops, my := page.JiraIssue{IssueKey: "OPS-42", IssueURL: "https://acme.atlassian.net/browse/OPS-42"}, page.JiraIssue{IssueKey: "MY_P-1", IssueURL: "https://acme.atlassian.net/browse/MY_P-1"}
	ann, anna := page.User{AccountID: "712020:a", DisplayName: "Ann"}, page.User{AccountID: "712020:b", DisplayName: "Ann & Söhne"}
	unnamed := page.User{AccountID: "712020:c"}
	keys, far := page.Link{PageID: "31", PageTitle: "Keys", PageURL: site + "/spaces/DOCS/pages/31"}, page.Link{PageTitle: "Far", PageURL: site + "/display/DOCS/Far_(away)?a=1&b=2"}
	e := converted("30", 1, "words")
	e.Metadata.JiraIssueLinks, e.Metadata.UserMentions, e.Metadata.InternalLinks = []page.JiraIssue{ops, my}, []page.User{ann, anna, unnamed}, []page.Link{keys, far}
	e.Markdown = "# First\n\n[OPS-42](https://acme.atlassian.net/browse/OPS-42), OPS-421 and @Ann, @712020:c: [keys](" + keys.PageURL + "#new \"tip\") " + long +
		"\n\n## Second\n\nMY\\_P-1, @Ann &amp; Söhne, [away](" + strings.ReplaceAll(far.PageURL, "&", "&amp;") + ") " + long + "\n"
	k.Publish(e)
	require.Equal(t, 2, stored.Wait(1)[0].Chunks)
	chunks, err := s.Reader().Chunks(t.Context(), viewer.All(), "docs", "30", store.Whole())
	require.NoError(t, err)
	first, second := chunks[0].Metadata, chunks[1].Metadata
	require.Equal(t, []page.JiraIssue{ops}, first.JiraIssueLinks)
	require.Equal(t, []page.User{ann, unnamed}, first.UserMentions)
	require.Equal(t, []page.Link{keys}, first.InternalLinks)
	require.Equal(t, []page.JiraIssue{my}, second.JiraIssueLinks)
	require.Equal(t, []page.User{anna}, second.UserMentions)
	require.Equal(t, []page.Link{far}, second.InternalLinks)

	// They go with what showed them.
	e.Page.Version, e.Metadata.JiraIssueLinks, e.Metadata.UserMentions, e.Metadata.InternalLinks = 2, nil, nil, nil
	k.Publish(e)
	stored.Wait(2)
	chunks, err = s.Reader().Chunks(t.Context(), viewer.All(), "docs", "30", store.Whole())
	require.NoError(t, err)
	require.Nil(t, chunks[0].Metadata.JiraIssueLinks)
	require.Nil(t, chunks[1].Metadata.InternalLinks)
}

// A page that is empty, or of which nothing but its title can be shown, is found by that.
func TestAPageWithoutTextIsFoundByItsTitle(t *testing.T) {
	s, k := open(t), bustest.New(t)
	titles := map[string]string{"30": "Quokka release plan", "31": "<script>alert(1)</script> & *wombat*", "32": "# Numbat [x](javascript:y)"}
	listed(t, s, "run-1", nil, numbered(30, 32)...)
	stored := bustest.Collect[event.PageStored](k)
	k.Consume(bus.Write, service.Steered(chunkwriter.Handler(s, k.Bus, small)))
	for id, title := range titles {
		e := converted(id, 1, "")
		e.Page.Title, e.Markdown, e.Headings = title, "\n \n", nil
		k.Publish(e)
	}
	for _, e := range stored.Wait(3) {
		require.Equal(t, 1, e.Chunks)
		require.Equal(t, event.Created, e.Outcome)
	}
	for id, word := range map[string]string{"30": "quokka", "31": "wombat", "32": "numbat"} {
		hits, err := s.Searcher().Search(t.Context(), viewer.All(), word, search.Filter{})
		require.NoError(t, err)
		require.Len(t, hits, 1, word)
		require.Equal(t, id, hits[0].PageID)
		require.Equal(t, titles[id], hits[0].Title)
	}
	chunks, err := s.Reader().Chunks(t.Context(), viewer.All(), "docs", "31", store.Whole())
	require.NoError(t, err)
	require.Equal(t, `&lt;script&gt;alert(1)&lt;/script&gt; &amp; \*wombat\*`, chunks[0].Content)
	chunks, err = s.Reader().Chunks(t.Context(), viewer.All(), "docs", "32", store.Whole())
	require.NoError(t, err)
	require.Equal(t, `\# Numbat \[x\](javascript:y)`, chunks[0].Content)
	p, err := s.Reader().Page(t.Context(), viewer.All(), "30")
	require.NoError(t, err)
	require.Equal(t, "\n \n", p.Markdown, "the page itself stays empty")

}

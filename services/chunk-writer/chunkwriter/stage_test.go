package chunkwriter_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/chunk-writer/chunk"
	"github.com/sluicehq/sluice/services/chunk-writer/chunkwriter"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/service"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const site = "https://acme.atlassian.net/wiki"

// open returns a database with the source docs.
func open(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), pgtest.MigratedURL(t))
	require.NoError(t, err)
	t.Cleanup(s.Close)
	require.NoError(t, s.AddSource(t.Context(), store.Source{
		ID: "docs", BaseURL: site, SpaceKey: "DOCS", KnowledgeType: "business", Tags: []string{"wiki", "live"},
	}))
	return s
}

// listed opens a run of docs that lists the pages; folders are their parents.
func listed(t *testing.T, s *store.Store, runID string, folders []store.Node, pages ...store.Listed) {
	t.Helper()
	run, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: runID, Mode: event.Full, SourceID: "docs"})
	require.NoError(t, err)
	attempt, err := s.StartListing(t.Context(), run.ID, time.Now())
	require.NoError(t, err)
	require.NoError(t, s.AddListed(t.Context(), run.ID, attempt, pages))
	require.NoError(t, s.TreeFromListing(t.Context(), run))
	require.NoError(t, s.PutNodes(t.Context(), run, folders))
	require.NoError(t, s.BuildPaths(t.Context(), "docs"))
	_, err = s.CompleteListing(t.Context(), run, attempt)
	require.NoError(t, err)
}

// numbered are listed pages with these ids.
func numbered(from, to int) (pages []store.Listed) {
	for id := from; id <= to; id++ {
		pages = append(pages, store.Listed{ID: fmt.Sprint(id), Version: 1, Title: fmt.Sprint("Page ", id), Status: "current"})
	}
	return pages
}

// converted is a page in the given version, with two sections too large for one chunk.
func converted(id string, version int, text string) event.PageConverted {
	body := fmt.Sprintf("%s %s", text, long)
	return event.PageConverted{
		SourceID: "docs", RunID: "run-1", Attempt: 1,
		Page: page.Facts{
			ID: id, Version: version, Title: "Page " + id, SpaceKey: "DOCS", BaseURL: site,
			URL: site + "/spaces/DOCS/pages/" + id, Status: "current",
			CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), ModifiedAt: time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC),
		},
		Markdown: "# First\n\n" + body + "\n\n## Second\n\n" + body + "\n",
		Headings: []page.Heading{{Level: 1, Text: "First", Anchor: "first-anchor"}, {Level: 2, Text: "Second", Anchor: "second-anchor"}},
		Metadata: page.Metadata{
			Children: []string{}, Labels: []string{"howto"}, JiraIssueLinks: []page.JiraIssue{}, UserMentions: []page.User{},
			InternalLinks: []page.Link{}, ExternalLinks: []page.External{}, AssetLinks: []page.Asset{}, WordCount: 7,
		},
	}
}

const long = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen " +
	"eighteen nineteen twenty twenty-one twenty-two twenty-three twenty-four twenty-five twenty-six twenty-seven"

// small keeps a chunk to one section of converted.
var small = chunk.Options{MaxTokens: 96, MinTokens: 8}

func TestSuite(t *testing.T) {
	s := open(t)
	listed(t, s, "run-1", nil, numbered(100, 400)...)
	bustest.Suite(t, bustest.Stage{
		Consumer:  bus.Write,
		Handler:   func(b *bus.Bus) bus.Handler { return service.Steered(chunkwriter.Handler(s, b, small)) },
		Event:     func(n int) event.Event { return converted(fmt.Sprint(100+n), 1, "words") },
		Publishes: event.TypePageStored,
		Fails:     1,
	})
}

// Archon's readers use these keys, Sluice's own readers the others.
func TestChunksCarryEveryKeyThatReadersKnow(t *testing.T) {
	s, k := open(t), bustest.New(t)
	listed(t, s, "run-1",
		[]store.Node{{ID: "20", Kind: "folder", Title: "Guides", ParentID: "10", ParentKind: "page"}},
		store.Listed{ID: "10", Version: 1, Title: "Home", Status: "current"},
		store.Listed{ID: "30", Version: 4, Title: "Page 30", Status: "current", ParentID: "20", ParentKind: "folder"},
	)
	stored := bustest.Collect[event.PageStored](k)
	k.Consume(bus.Write, service.Steered(chunkwriter.Handler(s, k.Bus, small)))
	k.Publish(converted("30", 4, "words"))

	said := stored.Wait(1)[0]
	chunks, err := s.Reader().Chunks(t.Context(), viewer.All(), "docs", "30", store.Whole())
	require.NoError(t, err)
	require.Len(t, chunks, 2)
	require.Equal(t, event.PageStored{
		SourceID: "docs", RunID: "run-1", PageID: "30", Version: 4, Title: "Page 30",
		Outcome: event.Created, Chunks: 2, Attempt: 1, At: said.At,
	}, said)
	second := chunks[1].Metadata
	require.NotZero(t, second.WordCount)
	require.NotZero(t, second.CharCount)
	require.NotEmpty(t, second.ContentHash)
	require.NotEqual(t, chunks[0].Metadata.ContentHash, second.ContentHash)
	raw, err := json.Marshal(second)
	require.NoError(t, err)
	require.JSONEq(t, fmt.Sprintf(`{
		"url": "https://acme.atlassian.net/wiki/spaces/DOCS/pages/30",
		"title": "Page 30", "description": "Second", "source_id": "docs", "knowledge_type": "business",
		"page_id": "30", "crawl_type": "confluence", "word_count": %d, "char_count": %d, "chunk_index": 1,
		"tags": ["wiki", "live"],
		"section_title": "Second", "heading_path": ["First", "Second"], "breadcrumb": ["Home", "Guides"],
		"content_hash": %q, "citation_url": "https://acme.atlassian.net/wiki/spaces/DOCS/pages/30#second-anchor",
		"space_key": "DOCS", "confluence_page_id": "30", "source_type": "url", "headers": "# First; ## Second"
	}`, second.WordCount, second.CharCount, second.ContentHash), string(raw))

	p, err := s.Reader().Page(t.Context(), viewer.All(), "30")
	require.NoError(t, err)
	require.Equal(t, "/10/20/30", p.Path)
	require.Equal(t, []page.Ancestor{
		{ID: "10", Title: "Home", URL: site + "/spaces/DOCS/pages/10"},
		{ID: "20", Title: "Guides", URL: site + "/spaces/DOCS/folder/20"},
	}, p.Metadata.Ancestors)
	require.Equal(t, []string{"howto"}, p.Metadata.Labels)
	require.Equal(t, 7, p.Metadata.WordCount)
}

// The newest version is stored, in whatever order and however often pages arrive.
func TestLateAndRepeatedPagesChangeNothing(t *testing.T) {
	s, k := open(t), bustest.New(t)
	listed(t, s, "run-1", nil, numbered(30, 31)...)
	stored := bustest.Collect[event.PageStored](k)
	k.Consume(bus.Write, service.Steered(chunkwriter.Handler(s, k.Bus, small)), bus.Workers(1))
	k.Publish(converted("30", 2, "new"))
	stored.Wait(1)
	page, err := s.Reader().Page(t.Context(), viewer.All(), "30")
	require.NoError(t, err)
	chunks, err := s.Reader().Chunks(t.Context(), viewer.All(), "docs", "30", store.Whole())
	require.NoError(t, err)

	again := converted("30", 2, "new")
	again.Attempt = 2
	k.Publish(again, converted("30", 1, "old"))
	for _, e := range stored.Wait(3)[1:] {
		require.Equal(t, event.Created, e.Outcome, "how the page ended in its run")
	}
	now, err := s.Reader().Page(t.Context(), viewer.All(), "30")
	require.NoError(t, err)
	require.Equal(t, page, now)
	same, err := s.Reader().Chunks(t.Context(), viewer.All(), "docs", "30", store.Whole())
	require.NoError(t, err)
	require.Equal(t, chunks, same, "the rows are the same, ids included")
}

// removing is a store whose source is removed after the handler has read it.
type removing struct{ *store.Store }

func (r removing) Place(ctx context.Context, sourceID, pageID, spaceKey, baseURL string) (store.Place, error) {
	place, err := r.Store.Place(ctx, sourceID, pageID, spaceKey, baseURL)
	if err == nil {
		err = r.RemoveSource(ctx, sourceID)
	}
	return place, err
}

func TestAPageWhoseSourceIsGoneFailsAtOnce(t *testing.T) {
	k := bustest.New(t)
	failed := bustest.Collect[event.PageFailed](k)
	before, during := open(t), open(t)
	require.NoError(t, before.RemoveSource(t.Context(), "docs"))

	stop := k.Consume(bus.Write, service.Steered(chunkwriter.Handler(before, k.Bus, small)))
	k.Publish(converted("30", 1, "words"))
	failed.Wait(1)
	stop()
	k.Consume(bus.Write, service.Steered(chunkwriter.Handler(removing{during}, k.Bus, small)))
	k.Publish(converted("31", 1, "words"))
	for _, f := range failed.Wait(2) {
		require.Equal(t, failure.SourceGone, f.Code)
		require.Equal(t, "chunk-writer", f.Stage)
		require.Equal(t, 1, f.Attempts)
	}
	k.Empty(bus.Write)
	_, err := during.Reader().Page(t.Context(), viewer.All(), "31")
	require.ErrorIs(t, err, store.ErrNotFound)
}

// Page ids are unique on a site only: another site's page with the same id is another page.
func TestAPageIdOfAnotherSiteIsAnotherPage(t *testing.T) {
	s, k := open(t), bustest.New(t)
	stored := bustest.Collect[event.PageStored](k)
	listed(t, s, "run-1", nil, numbered(30, 31)...)
	require.NoError(t, s.AddSource(t.Context(), store.Source{ID: "others", BaseURL: "https://other.atlassian.net/wiki", SpaceKey: "DOCS"}))
	k.Consume(bus.Write, service.Steered(chunkwriter.Handler(s, k.Bus, small)))
	k.Publish(converted("30", 1, "ours"))
	stored.Wait(1)

	run, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: "run-2", Mode: event.Full, SourceID: "others"})
	require.NoError(t, err)
	attempt, err := s.StartListing(t.Context(), run.ID, time.Now())
	require.NoError(t, err)
	require.NoError(t, s.AddListed(t.Context(), run.ID, attempt, []store.Listed{{ID: "30", Version: 9}}))
	theirs := converted("30", 9, "theirs")
	theirs.SourceID, theirs.RunID = "others", "run-2"
	k.Publish(theirs)
	require.Equal(t, "others", stored.Wait(2)[1].SourceID)
	for source, version := range map[string]int{"docs": 1, "others": 9} {
		p, err := s.Reader().Page(t.Context(), viewer.OfSources(source), "30")
		require.NoError(t, err)
		require.Equal(t, version, p.Version)
		chunks, err := s.Reader().Chunks(t.Context(), viewer.All(), source, "30", store.Whole())
		require.NoError(t, err)
		require.NotEmpty(t, chunks)
	}
}

// Publishing alone must not be enough to write: the stage stores only what an open run lists, with
// an address on the source's site.
func TestOnlyWhatAnOpenRunListsIsBelieved(t *testing.T) {
	s, k := open(t), bustest.New(t)
	listed(t, s, "run-1", nil, numbered(30, 31)...)
	stored, failed := bustest.Collect[event.PageStored](k), bustest.Collect[event.PageFailed](k)
	k.Consume(bus.Write, service.Steered(chunkwriter.Handler(s, k.Bus, small)), bus.Workers(1))
	noRun, notListed, elsewhere := converted("30", 9, "forged"), converted("32", 9, "forged"), converted("31", 1, "words")
	noRun.RunID = ""
	elsewhere.Page.URL, elsewhere.Page.BaseURL = "javascript:alert(1)", "https://evil.example/wiki"
	k.Publish(noRun, notListed, elsewhere)
	f := failed.Wait(1)[0] // a page of no run fails none
	require.Equal(t, "32", f.PageID)
	require.Equal(t, failure.BadEvent, f.Code)
	require.Equal(t, 1, f.Attempts)
	require.Equal(t, "31", stored.Wait(1)[0].PageID)
	p, err := s.Reader().Page(t.Context(), viewer.All(), "31")
	require.NoError(t, err)
	require.Equal(t, site+"/pages/viewpage.action?pageId=31", p.URL)
	for _, id := range []string{"30", "32"} {
		_, err = s.Reader().Page(t.Context(), viewer.All(), id)
		require.ErrorIs(t, err, store.ErrNotFound)
	}

	// Another name of the same site.
	renamed := converted("30", 1, "words")
	renamed.Page.URL = "https://wiki.acme.example/wiki/spaces/DOCS/pages/30/Page?x=1"
	k.Publish(renamed)
	stored.Wait(2)
	p, err = s.Reader().Page(t.Context(), viewer.All(), "30")
	require.NoError(t, err)
	require.Equal(t, site+"/spaces/DOCS/pages/30/Page?x=1", p.URL)
}

// dying is a publisher that never returns: the test stops the process there.
type dying struct{ reached chan event.Event }

func (d dying) Publish(ctx context.Context, e event.Event) error {
	d.reached <- e
	<-ctx.Done()
	return ctx.Err()
}

// next returns the next value from ch.
func next[T any](t *testing.T, ch <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(bustest.Patience):
		require.Fail(t, "nothing comes")
	}
	return v
}

// The page is committed before it is announced. A stop between the two heals itself: the message is
// redelivered, finds its work done, and announces the original outcome.
func TestCommittedBeforePublished(t *testing.T) {
	s, k := open(t), bustest.New(t)
	listed(t, s, "run-1", nil, store.Listed{ID: "30", Version: 1, Title: "Page 30", Status: "current"})
	stored := bustest.Collect[event.PageStored](k)
	d := dying{reached: make(chan event.Event, 10)}
	stop := k.Consume(bus.Write, service.Steered(chunkwriter.Handler(s, d, small)))
	k.Publish(converted("30", 1, "words"))

	require.Equal(t, event.Created, next(t, d.reached).(event.PageStored).Outcome)
	chunks, err := s.Reader().Chunks(t.Context(), viewer.All(), "docs", "30", store.Whole())
	require.NoError(t, err)
	require.Len(t, chunks, 2, "committed when it is announced")
	ended, err := s.Reader().LedgerPages(t.Context(), viewer.All(), "run-1", event.Created, store.First(10))
	require.NoError(t, err)
	require.Len(t, ended, 1)
	stop()
	require.Empty(t, stored.All())

	k.Consume(bus.Write, service.Steered(chunkwriter.Handler(s, k.Bus, small)))
	require.Equal(t, event.Created, stored.Wait(1)[0].Outcome)
	k.Empty(bus.Write)
	stored.Wait(1)
	require.Len(t, stored.All(), 1)
	same, err := s.Reader().Chunks(t.Context(), viewer.All(), "docs", "30", store.Whole())
	require.NoError(t, err)
	require.Equal(t, chunks, same)
}

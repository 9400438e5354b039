package event_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
)

var at = time.Date(2026, 11, 23, 10, 30, 0, 0, time.UTC)

var facts = page.Facts{
	ID: "7001", Version: 4, Title: "Rotating keys", SpaceKey: "DOCS",
	BaseURL: "https://acme.atlassian.net/wiki", URL: "https://acme.atlassian.net/wiki/spaces/DOCS/pages/7001/Rotating+keys",
	Status: "current", ParentID: "6000", ParentType: "folder", AuthorID: "712020:ada",
	CreatedAt: at.Add(-48 * time.Hour), ModifiedAt: at.Add(-time.Hour), Labels: []string{"security"},
	Users: map[string]string{"712020:ada": "Ada Lovelace"},
	Links: map[string]page.Link{"Runbooks": {PageID: "6001", PageTitle: "Runbooks", PageURL: "https://acme.atlassian.net/wiki/spaces/DOCS/pages/6001"}},
}

// released is every event with its fixture, and one more fixture for each later addition, "type.field".
// A fixture is never edited: readers elsewhere were built against it.
func released() map[string]event.Event {
	return map[string]event.Event{
		"sync.requested":            &event.SyncRequested{RequestID: "nightly-7", Mode: event.Full, ApproveRemovals: true},
		"sync.requested.only_pages": &event.SyncRequested{RequestID: "again-7", Mode: event.Incremental, OnlyPages: []string{"7004", "7009"}},
		"sync.rejected":             &event.SyncRejected{SourceID: "docs", RequestID: "nightly-7", Code: failure.UnknownSource, Message: "no such source", At: at},
		"pages.listed":              &event.PagesListed{SourceID: "docs", RunID: "nightly-7", Attempt: 1, Pages: []page.Ref{{ID: "7001", Version: 4}, {ID: "7002", Version: 1}}},
		"page.fetched":              &event.PageFetched{SourceID: "docs", RunID: "nightly-7", Attempt: 1, Page: facts, Body: "<p>Rotate &amp; retire.</p>"},
		"page.fetched.markdown": &event.PageFetched{SourceID: "handbook", RunID: "nightly-7", Attempt: 1, Body: "# Keys\n\n[Next](next.md)\n", Page: page.Facts{
			ID: "9000000000000000001", Version: 2, Title: "Keys", BaseURL: "https://github.com/acme/handbook/blob/main/docs",
			URL: "https://github.com/acme/handbook/blob/main/docs/keys.md", Status: "current", ModifiedAt: at.Add(-time.Hour),
			Format: page.Markdown, Hash: "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
			Links: map[string]page.Link{"next.md": {PageID: "9000000000000000002", PageURL: "https://github.com/acme/handbook/blob/main/docs/next.md"}},
		}},
		"schedule.tick":     &event.ScheduleTick{},
		"schedule.due":      &event.SourceDue{SourceID: "docs", At: at},
		"listing.completed": &event.ListingCompleted{SourceID: "docs", RunID: "nightly-7", Mode: event.Full, Listed: 61, At: at},
		"page.converted": &event.PageConverted{SourceID: "docs", RunID: "nightly-7", Attempt: 1, Page: facts, Markdown: "Rotate & retire.\n",
			Metadata: page.Metadata{
				Ancestors: []page.Ancestor{{ID: "6000", Title: "Security", URL: "https://acme.atlassian.net/wiki/spaces/DOCS/folder/6000"}},
				Children:  []string{}, CreatedBy: &page.User{AccountID: "712020:ada", DisplayName: "Ada Lovelace", ProfileURL: "https://acme.atlassian.net/wiki/people/712020:ada"},
				Labels: []string{"security"}, JiraIssueLinks: []page.JiraIssue{{IssueKey: "SEC-7", IssueURL: "https://acme.atlassian.net/browse/SEC-7"}},
				UserMentions: []page.User{}, InternalLinks: []page.Link{}, ExternalLinks: []page.External{{Title: "NIST", URL: "https://nist.gov"}},
				AssetLinks: []page.Asset{}, WordCount: 2, ContentLength: 17,
			},
			Headings: []page.Heading{{Level: 2, Text: "Steps", Anchor: "Steps"}},
			Losses:   []page.Loss{{Element: "macro:toc", Fate: page.Dropped, Count: 1, Reason: "navigation"}}},
		"file.found": &event.FileFound{SourceID: "docs", RunID: "nightly-7", Attempt: 1, FoundAt: at, Page: page.Facts{
			ID: "att7005", Kind: page.Attachment, Version: 2, Title: "Übergabe.pdf", SpaceKey: "DOCS", BaseURL: "https://acme.atlassian.net/wiki",
			URL: "https://acme.atlassian.net/wiki/pages/viewpageattachments.action?pageId=7001", Status: "current", ParentID: "7001", ParentType: "page",
			ModifiedAt: at.Add(-time.Hour), File: &page.File{MediaType: "application/pdf", Size: 48211},
		}},
		"page.converted.lines": &event.PageConverted{SourceID: "docs", RunID: "nightly-7", Attempt: 1, Page: page.Facts{ID: "7001", Version: 4}, Markdown: "Rotate & retire.\n",
			Losses: []page.Loss{{Element: "macro:toc", Fate: page.Dropped, Count: 2, Reason: "navigation", Lines: []int{1, 7}}}},
		"page.stored":  &event.PageStored{SourceID: "docs", RunID: "nightly-7", PageID: "7001", Version: 4, Title: "Rotating keys", Outcome: event.Updated, Chunks: 3, Attempt: 1, At: at},
		"page.removed": &event.PageRemoved{SourceID: "docs", RunID: "nightly-7", PageID: "7003", Title: "Old", Reason: "trashed", At: at},
		"page.failed":  &event.PageFailed{SourceID: "docs", RunID: "nightly-7", PageID: "7004", Version: 2, Stage: "converter", Code: failure.ConvertTooDeep, Message: "nested too deep", Attempts: 1, At: at},
		"progress": &event.Progress{SourceID: "docs", RunID: "nightly-7", Mode: event.Full, State: event.StateFetching, Percent: 48,
			Counts: event.Counts{Listed: 61, Pending: 31, Created: 30}, StartedAt: at, At: at.Add(time.Second)},
		"progress.seq": &event.Progress{SourceID: "docs", RunID: "nightly-7", Mode: event.Full, State: event.StateFetching, Percent: 48,
			Counts: event.Counts{Listed: 61, Pending: 31, Created: 30}, StartedAt: at, At: at.Add(time.Second), Seq: at.Add(time.Second).UnixMicro()},
	}
}

func TestFixturesAreWhatIsWrittenAndRead(t *testing.T) {
	for name, e := range released() {
		t.Run(name, func(t *testing.T) { fixture(t, name, e) })
	}
}

// fixture compares an event with the fixture of its name. Tests of events in their own files call it
// too.
func fixture(t *testing.T, name string, e event.Event) {
	t.Helper()
	base := name
	for _, added := range []string{".markdown", ".seq", ".only_pages", ".lines"} { // what was added later has a fixture of its own
		base = strings.TrimSuffix(base, added)
	}
	require.Equal(t, event.Type(base), e.EventType())
	fixture, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	require.NoError(t, err)

	var written bytes.Buffer
	enc := json.NewEncoder(&written)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	require.NoError(t, enc.Encode(e))
	require.Equal(t, string(fixture), written.String(), "a new field needs a new fixture beside the old one; a changed one breaks readers")

	back := newOf(e)
	require.NoError(t, json.Unmarshal(fixture, back))
	require.Equal(t, e, back)
}

// Every fixture is compared with an event, here or in the event's own test.
func TestEveryFixtureIsTested(t *testing.T) {
	fixtures, err := filepath.Glob("testdata/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, fixtures)
	files, err := filepath.Glob("*_test.go")
	require.NoError(t, err)
	var tests strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		tests.Write(text)
	}
	for _, file := range fixtures {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		require.Contains(t, tests.String(), strconv.Quote(name), "no test holds %s against its event", file)
	}
}

// newOf returns a new zero event of e's type.
func newOf(e event.Event) event.Event {
	return reflect.New(reflect.TypeOf(e).Elem()).Interface().(event.Event)
}

func TestSubjects(t *testing.T) {
	require.Equal(t, "sluice.v1.page.fetched.docs", event.PageFetched{SourceID: "docs"}.Subject())
	require.Equal(t, "sluice.v1.progress.docs.r1", event.Progress{SourceID: "docs", RunID: "r1"}.Subject())
	require.Equal(t, "docs", event.SourceOf(event.TypeSyncRequested, "sluice.v1.sync.requested.docs"))
	require.Empty(t, event.SourceOf(event.TypeSyncRequested, "sluice.v1.sync.rejected.docs"))
	require.Empty(t, event.SourceOf(event.TypeProgress, "sluice.v1.progress.docs.r1"))
}

func TestValidID(t *testing.T) {
	for _, id := range []string{"a", "docs", "DOCS_1", "2026-11-23", strings.Repeat("x", 64)} {
		require.True(t, event.ValidID(id), id)
	}
	for _, id := range []string{"", "-a", "a.b", "a b", "a*", "a>", "ü", "a\n", strings.Repeat("x", 65)} {
		require.False(t, event.ValidID(id), "%q", id)
	}
}

func TestMsgIDsTellPublicationsApart(t *testing.T) {
	ask := event.SyncRequested{SourceID: "docs", RequestID: "r1"}
	nudge := ask
	nudge.Nudge = 3
	require.NotEqual(t, ask.MsgID(), nudge.MsgID())

	first := event.PagesListed{RunID: "r1", Attempt: 1, Pages: []page.Ref{{ID: "1"}, {ID: "2"}}}
	again := first
	again.Attempt = 2
	require.NotEqual(t, first.MsgID(), again.MsgID(), "a page that the ledger sends again must not be taken for a duplicate")

	v1 := event.PageFetched{RunID: "r1", Attempt: 1, Page: page.Facts{ID: "1", Version: 1}}
	v2 := v1
	v2.Page.Version = 2
	require.NotEqual(t, v1.MsgID(), v2.MsgID())
	other := v1
	other.Page.ModifiedAt = time.UnixMilli(1)
	require.NotEqual(t, v1.MsgID(), other.MsgID(), "a number comes again with other text")
}

func TestWhichSnapshotIsNewer(t *testing.T) {
	snap := func(seq int64, after time.Duration) event.Progress {
		return event.Progress{Seq: seq, At: at.Add(after)}
	}
	require.True(t, snap(2, 0).After(snap(1, 0)))
	require.True(t, snap(2, 0).After(snap(1, time.Hour)), "a clock that went back")
	require.False(t, snap(1, time.Hour).After(snap(2, 0)))
	require.False(t, snap(1, 0).After(snap(1, 0)))
	// For a program that does not number them, only the time counts.
	require.True(t, snap(0, time.Second).After(snap(7, 0)))
	require.True(t, snap(7, time.Second).After(snap(0, 0)))
	require.False(t, snap(7, 0).After(snap(0, time.Second)))
	require.True(t, snap(7, 0).After(event.Progress{}))
}

package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// wantPosts turns blog posts on or off for the source docs.
func wantPosts(t *testing.T, s *store.Store, on bool) {
	t.Helper()
	require.NoError(t, s.UpdateSource(t.Context(), "docs", store.SourceChange{BlogPosts: &on}))
}

func post(id string, version int, title string) store.Listed {
	p := listed(id, version, title)
	p.Kind = page.BlogPost
	return p
}

// storePosts writes the pending pages of a run as listed.
func storePosts(t *testing.T, s *store.Store, run store.Run) {
	t.Helper()
	refs, err := s.PendingPages(t.Context(), run.ID, "", 100)
	require.NoError(t, err)
	for _, ref := range refs {
		w := write("docs", run.ID, ref.ID, ref.Version, "Title "+ref.ID, "words of "+ref.ID)
		w.Page.Kind = ref.Kind
		store1(t, s, w)
	}
}

func TestBlogPostsAreASettingOfASource(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "docs")
	require.NoError(t, s.AddSource(t.Context(), store.Source{ID: "news", BaseURL: site, SpaceKey: "NEWS", BlogPosts: true}))
	wants := func(id string) bool {
		src, err := s.Source(t.Context(), id)
		require.NoError(t, err)
		return src.BlogPosts
	}
	require.False(t, wants("docs"))
	require.True(t, wants("news"))
	wantPosts(t, s, true)
	require.True(t, wants("docs"))
	require.NoError(t, s.UpdateSource(t.Context(), "docs", store.SourceChange{DisplayName: "Docs"}))
	require.True(t, wants("docs"), "another change does not affect it")
	wantPosts(t, s, false)
	require.False(t, wants("docs"))

	// Other tools write to the metadata too.
	_, err := conn.Exec(t.Context(), `UPDATE archon_sources SET metadata = metadata || '{"include_blog_posts": "perhaps"}'`)
	require.NoError(t, err)
	require.False(t, wants("news"))
}

// An incremental run finds only recent changes, so a full run is needed to find blog posts that existed before they
// were wanted.
func TestBlogPostsThatAreNewlyWantedTakeAFullRun(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	require.NoError(t, s.AddSource(t.Context(), store.Source{ID: "docs", BaseURL: site, SpaceKey: "DOCS", DeletionStrategy: store.OnDemand}))
	runs := 0
	sync := func(end bool) store.Run {
		t.Helper()
		runs++
		run, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: "r" + string(rune('a'+runs)), Mode: event.Incremental, SourceID: "docs"})
		require.NoError(t, err)
		attempt, err := s.StartListing(t.Context(), run.ID, time.Now())
		require.NoError(t, err)
		_, err = s.CompleteListing(t.Context(), run, attempt)
		require.NoError(t, err)
		if !end {
			_, err = s.CancelRun(t.Context(), run.ID)
			require.NoError(t, err)
			return run
		}
		require.True(t, finish(t, s, run).State.Final())
		return run
	}
	is := func(run store.Run, mode event.Mode, posts bool) {
		t.Helper()
		require.Equal(t, mode, run.Mode)
		require.Equal(t, posts, run.BlogPosts)
	}
	is(sync(true), event.Full, false)
	is(sync(true), event.Incremental, false)
	wantPosts(t, s, true)
	is(sync(false), event.Full, true) // cancelled: it proved nothing
	is(sync(true), event.Full, true)
	is(sync(true), event.Incremental, true)
	wantPosts(t, s, false)
	is(sync(true), event.Incremental, false)
	wantPosts(t, s, true)
	is(sync(true), event.Full, true) // the run without them has moved the watermark
	is(sync(true), event.Incremental, true)
}

// While a release is installed, processes of the one before still request runs, and write no kinds.
func TestTheKindsOfARunOfTheReleaseBefore(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "docs")
	for i, tc := range []struct {
		posts       bool
		kinds, want []string
	}{
		{false, []string{}, []string{}},
		{true, []string{}, []string{page.BlogPost}},
		{true, []string{page.BlogPost, page.Comment}, []string{page.BlogPost, page.Comment}},
		{false, []string{page.Comment}, []string{page.Comment}},
	} {
		id := fmt.Sprintf("r%d", i)
		_, err := conn.Exec(t.Context(), `INSERT INTO confluence_sync_runs (run_id, source_id, requested_mode, mode, state, blog_posts, kinds)
			VALUES ($1, 'docs', 'full', 'full', 'requested', $2, $3)`, id, tc.posts, tc.kinds)
		require.NoError(t, err)
		run, err := s.Run(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, tc.want, run.Kinds)
		require.Equal(t, tc.posts, run.BlogPosts)
	}
}

// What a source asks for is the same to the database and to the processes.
func TestTheKindsOfASource(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	for i, comments := range []store.Comments{store.NoComments, store.OpenComments, store.AllComments} {
		for _, posts := range []bool{false, true} {
			require.NoError(t, s.UpdateSource(t.Context(), "docs", store.SourceChange{BlogPosts: &posts, Comments: comments}))
			src, err := s.Source(t.Context(), "docs")
			require.NoError(t, err)
			run, err := s.RequestRun(t.Context(), event.SyncRequested{RequestID: fmt.Sprint(i, posts), Mode: event.Full, SourceID: "docs"})
			require.NoError(t, err)
			require.ElementsMatch(t, run.Kinds, src.Kinds())
			require.Len(t, run.Kinds, min(i, 1)+map[bool]int{true: 1}[posts])
		}
	}
}

func TestTheKindOfABlogPostIsKept(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "docs")
	wantPosts(t, s, true)
	run := fullRun(t, s, "docs", "r1", listed("1", 1, "Home"), post("2", 1, "Home"))
	refs, err := s.PendingPages(t.Context(), run.ID, "", 10)
	require.NoError(t, err)
	require.Equal(t, []page.Ref{{ID: "1", Version: 1}, {ID: "2", Version: 1, Kind: page.BlogPost}}, refs)
	storePosts(t, s, run)
	require.Equal(t, event.StateCompleted, finish(t, s, run).State)

	posts, err := s.KindsOf(t.Context(), "docs", []string{"1", "2", "3"})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"2": page.BlogPost}, posts)
	for id, kind := range map[string]string{"1": "page", "2": "blogpost"} {
		p, err := s.Reader().Page(t.Context(), viewer.All(), id)
		require.NoError(t, err)
		require.Equal(t, []string{kind, "/" + id}, []string{p.Kind, p.Path})
	}
	var node string
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT kind || ' ' || path FROM confluence_tree WHERE node_id = '2'`).Scan(&node))
	require.Equal(t, "blogpost /2", node)
	titles, err := s.PagesByTitle(t.Context(), "docs", []string{"Home"})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"Home": "1"}, titles, "links by title are to pages")

	run = fullRun(t, s, "docs", "r2", listed("1", 1, "Title 1"), post("2", 1, "Title 2"))
	refs, err = s.PendingPages(t.Context(), run.ID, "", 10)
	require.NoError(t, err)
	require.Empty(t, refs, "both are stored as listed")
}

// A run without blog posts ignores blog posts that failed or that include a changed page.
// A run lists the threads that were asked for when it began.
func TestCommentsThatChangeDuringARunAreListedByTheNext(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	want := func(c store.Comments) {
		require.NoError(t, s.UpdateSource(t.Context(), "docs", store.SourceChange{Comments: c}))
	}
	next := func(id string) event.Mode {
		run, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: id, Mode: event.Incremental, SourceID: "docs"})
		require.NoError(t, err)
		_, err = s.CancelRun(t.Context(), run.ID)
		require.NoError(t, err)
		return run.Mode
	}
	want(store.OpenComments)
	run := fullRun(t, s, "docs", "r1", listed("1", 1, "Home"))
	store1(t, s, write("docs", "r1", "1", 1, "Home", "alpha"))
	want(store.AllComments)
	require.Equal(t, event.StateCompleted, finish(t, s, run).State)
	require.Equal(t, event.Full, next("r2"), "the run left out resolved threads")

	run = fullRun(t, s, "docs", "r3", listed("1", 1, "Home"))
	want(store.AllComments) // as it is
	require.Equal(t, event.StateCompleted, finish(t, s, run).State)
	require.Equal(t, event.Incremental, next("r4"))
}

// A thread that is too long costs a thousand calls each time that it is read.
func TestATooLongThreadIsNotReadInEveryRun(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	require.NoError(t, s.UpdateSource(t.Context(), "docs", store.SourceChange{Comments: store.AllComments, Attachments: store.AttachmentsOn}))
	codes := map[string]failure.Code{"2": failure.ConvertTooLarge, "3": failure.Protocol}
	listing := []store.Listed{listed("1", 1, "Home"),
		{ID: "2", Kind: page.Comment, Status: "current", ParentID: "1", ParentKind: "page", Hash: " 2:1: "},
		{ID: "3", Kind: page.Comment, Status: "current", ParentID: "1", ParentKind: "page", Hash: " 3:1: "}}
	for i, code := range []failure.Code{ // nor is a file that its reader gave up
		failure.FileTooLarge, failure.FileTooManyParts, failure.FileTooDeep, failure.FileEncrypted, failure.FileDamaged, failure.FileTooSlow, failure.FileNoText, failure.FileCrashed,
	} {
		id := fmt.Sprintf("att%d", i)
		codes[id] = code
		listing = append(listing, store.Listed{ID: id, Kind: page.Attachment, Status: "current", ParentID: "1", ParentKind: "page"})
	}
	run := fullRun(t, s, "docs", "r1", listing...)
	store1(t, s, write("docs", "r1", "1", 1, "Home", "alpha"))
	for id, code := range codes {
		require.NoError(t, s.FailPage(t.Context(), event.PageFailed{SourceID: "docs", RunID: "r1", PageID: id, Stage: "fetcher", Code: code}))
	}
	require.Equal(t, event.StateCompletedWithFailures, finish(t, s, run).State)

	next := func(id string, found ...store.Listed) (ids []string) {
		run, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: id, Mode: event.Incremental, SourceID: "docs"})
		require.NoError(t, err)
		attempt, err := s.StartListing(t.Context(), run.ID, time.Now())
		require.NoError(t, err)
		require.NoError(t, s.AddListed(t.Context(), run.ID, attempt, found))
		require.NoError(t, s.AddFailed(t.Context(), run, attempt))
		_, err = s.CompleteListing(t.Context(), run, attempt)
		require.NoError(t, err)
		refs, err := s.PendingPages(t.Context(), run.ID, "", 10)
		require.NoError(t, err)
		for _, ref := range refs {
			ids = append(ids, ref.ID)
		}
		_, err = s.CancelRun(t.Context(), run.ID)
		require.NoError(t, err)
		return ids
	}
	require.Equal(t, []string{"3"}, next("r2"))
	require.Equal(t, []string{"2", "3"}, next("r3", store.Listed{ID: "2", Kind: page.Comment, HashPart: " 22:1:"}), "it has a new comment")
}

func TestARunWithoutBlogPostsListsNone(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	wantPosts(t, s, true)
	run := fullRun(t, s, "docs", "r1", listed("1", 1, "Shown"), listed("2", 1, "Shows"), post("3", 1, "Shows too"), post("4", 1, "Fails"))
	for _, id := range []string{"1", "2", "3"} {
		w := write("docs", "r1", id, 1, map[string]string{"1": "Shown", "2": "Shows", "3": "Shows too"}[id], "words of "+id)
		if id != "1" {
			w.Includes = []page.Link{{PageID: "1", PageTitle: "Shown"}}
		}
		if id == "3" {
			w.Page.Kind = page.BlogPost
		}
		store1(t, s, w)
	}
	require.NoError(t, s.FailPage(t.Context(), event.PageFailed{SourceID: "docs", RunID: "r1", PageID: "4", Stage: "converter", Code: "internal"}))
	require.Equal(t, event.StateCompletedWithFailures, finish(t, s, run).State)

	again := func(id string) []page.Ref {
		t.Helper()
		run, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: id, Mode: event.Incremental, SourceID: "docs"})
		require.NoError(t, err)
		attempt, err := s.StartListing(t.Context(), run.ID, time.Now())
		require.NoError(t, err)
		require.NoError(t, s.AddListed(t.Context(), run.ID, attempt, []store.Listed{{ID: "1", Version: 2, Title: "Shown"}}))
		require.NoError(t, s.AddFailed(t.Context(), run, attempt))
		_, err = s.CompleteListing(t.Context(), run, attempt)
		require.NoError(t, err)
		refs, err := s.PendingPages(t.Context(), run.ID, "", 10)
		require.NoError(t, err)
		_, err = s.CancelRun(t.Context(), run.ID)
		require.NoError(t, err)
		return refs
	}
	pages := []page.Ref{{ID: "1", Version: 2}, {ID: "2", Version: 1}}
	require.Equal(t, append(pages, page.Ref{ID: "3", Version: 1, Kind: page.BlogPost}, page.Ref{ID: "4", Version: 1, Kind: page.BlogPost}), again("with"))
	wantPosts(t, s, false)
	require.Equal(t, pages, again("without"))
}

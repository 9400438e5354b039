package store_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/viewer"
)

// tree stores the space docs with the pages 1 Home, 2 Setup, 5 Old (removed) and 3 Keys, whose parent failed, and the
// space hr of the same site with page 7.
func tree(t *testing.T) *store.Store {
	t.Helper()
	s, conn := open(t)
	addSource(t, s, "docs")
	addSource(t, s, "hr")
	below := func(id, title, parent, kind string) store.Listed {
		return store.Listed{ID: id, Version: 1, Title: title, Status: "current", ParentID: parent, ParentKind: kind}
	}
	run, hr := fullRun(t, s, "docs", "r1", below("1", "Home", "", ""), below("2", "Setup", "8", "folder"), below("5", "Old", "1", "page"),
		below("4", "Secret", "1", "page"), below("3", "Keys", "4", "page"), below("6", "Alone", "99", "page")), fullRun(t, s, "hr", "h1", below("7", "Salaries", "", ""))
	require.NoError(t, s.PutNodes(t.Context(), run, []store.Node{{ID: "8", Kind: "folder", Title: "Guides", ParentID: "1", ParentKind: "page"}}))
	require.NoError(t, s.BuildPaths(t.Context(), "docs"))
	put := func(source, runID, id, path, title string, links ...page.Link) {
		w := write(source, runID, id, 1, title, "text of "+title)
		w.Path, w.Page.URL = path, site+"/pages/"+id
		w.Metadata = page.Metadata{InternalLinks: links, JiraIssueLinks: []page.JiraIssue{{IssueKey: "OPS-1"}}, ContentLength: 10}
		for i := range w.Chunks {
			w.Chunks[i].Metadata.URL, w.Chunks[i].Metadata.InternalLinks = w.Page.URL, links
		}
		if id == "2" {
			w.Includes = []page.Link{{PageID: "3"}}
		}
		store1(t, s, w)
	}
	put("docs", "r1", "1", "/1", "Home", page.Link{PageID: "2"}, page.Link{PageID: "7"}, page.Link{PageID: "5"}, page.Link{PageID: "404"})
	put("docs", "r1", "2", "/1/8/2", "Setup")
	put("docs", "r1", "5", "/1/5", "Old", page.Link{PageID: "1"})
	put("docs", "r1", "3", "/1/4/3", "Keys", page.Link{PageID: "1"})
	put("docs", "r1", "6", "/99/6", "Alone")
	put("hr", "h1", "7", "/7", "Salaries", page.Link{PageID: "1"})
	failPage(t, s, "r1", "4")
	finish(t, s, run)
	finish(t, s, hr)
	_, err := conn.Exec(t.Context(), `UPDATE confluence_pages SET is_deleted = true WHERE page_id = '5'`)
	require.NoError(t, err)
	return s
}

func TestRelatedPagesAreThoseThatTheViewerSees(t *testing.T) {
	t.Parallel()
	s := tree(t)
	about := func(v viewer.Viewer, id string) (list []string) {
		p, err := s.Reader().LivePage(t.Context(), v, id)
		require.NoError(t, err)
		related, err := s.Reader().Related(t.Context(), v, p.Key())
		require.NoError(t, err)
		for _, r := range related {
			list = append(list, string(r.Relation)+" "+r.ID)
		}
		return list
	}
	require.Equal(t, []string{"links_to 7", "links_to 2", "linked_from 3", "linked_from 7", "same_issue 6", "same_issue 3", "same_issue 7", "same_issue 2"}, about(viewer.All(), "1"))
	require.Equal(t, []string{"links_to 2", "linked_from 3", "same_issue 6", "same_issue 3", "same_issue 2"}, about(viewer.OfSources("docs"), "1"))
	require.Equal(t, []string{"parent 1", "included_by 2", "links_to 1", "same_issue 6", "same_issue 1", "same_issue 2"}, about(viewer.OfSources("docs"), "3"))
	require.Equal(t, []string{"parent 1", "includes 3", "linked_from 1", "same_issue 6", "same_issue 1", "same_issue 3"}, about(viewer.OfSources("docs"), "2"))
}

func TestATreeIsOfLivePagesAndWhatHoldsThem(t *testing.T) {
	t.Parallel()
	s := tree(t)
	list := func(under string, levels int, after string, limit int) (ids []string) {
		nodes, err := s.Reader().Tree(t.Context(), viewer.OfSources("docs"), "docs", under, levels, after, limit)
		require.NoError(t, err)
		for _, n := range nodes {
			ids = append(ids, n.ID)
		}
		return ids
	}
	require.Equal(t, []string{"6", "1"}, list("", 1, "", 10), "a page with an unknown parent is at the top")
	require.Equal(t, []string{"8", "3"}, list("1", 1, "", 10), "a failed parent is no level")
	require.Equal(t, []string{"6", "1", "8", "3"}, list("", 2, "", 10))
	require.Equal(t, []string{"6", "1", "8", "2", "3"}, list("", 5, "", 10), "neither the removed page nor the failed one")
	require.Equal(t, []string{"8", "2", "3"}, list("", 5, "1", 10))
	require.Equal(t, []string{"8", "2"}, list("1", 2, "", 2))
	require.Equal(t, []string{"3"}, list("1", 2, "2", 2))
	require.Equal(t, []string{"2"}, list("8", 1, "", 10))
	require.Empty(t, list("404", 1, "", 10))
	run, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: "r2", Mode: event.Full, SourceID: "docs"})
	require.NoError(t, err)
	require.NoError(t, s.FailNodes(t.Context(), run, []store.Node{{ID: "99", Kind: "folder"}}))
	require.NoError(t, s.BuildPaths(t.Context(), "docs"))
	require.Equal(t, []string{"6", "1"}, list("", 1, "", 10), "nor is a folder that could not be looked up")
	nodes, err := s.Reader().Tree(t.Context(), viewer.All(), "docs", "", 1, "6", 10)
	require.NoError(t, err)
	nodes[0].LastModified = time.Time{}
	require.Equal(t, []store.TreeNode{{ID: "1", Kind: "page", Title: "Home", Level: 1, URL: site + "/pages/1", Bytes: 10, Below: 2}}, nodes)
}

// A thread is below its page in the tree, but no page.
func TestThreadsAreNoChildPages(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	fullRun(t, s, "docs", "r1", listed("1", 1, "Home"),
		store.Listed{ID: "2", Version: 1, Title: "Setup", ParentID: "1", ParentKind: "page"},
		store.Listed{ID: "9", Version: 1, Title: "Re: Home", Kind: page.Comment, ParentID: "1", ParentKind: "page"})
	store1(t, s, write("docs", "r1", "1", 1, "Home", "alpha"))
	for id, kind := range map[string]string{"2": "", "9": page.Comment} {
		w := write("docs", "r1", id, 1, "Below", "beta")
		w.Page.Kind, w.Path = kind, "/1/"+id
		store1(t, s, w)
	}
	related, err := s.Reader().Related(t.Context(), viewer.All(), store.PageKey{SourceID: "docs", ID: "1"})
	require.NoError(t, err)
	require.Len(t, related, 1)
	require.Equal(t, []any{store.Child, "2"}, []any{related[0].Relation, related[0].ID})
	related, err = s.Reader().Related(t.Context(), viewer.All(), store.PageKey{SourceID: "docs", ID: "9"})
	require.NoError(t, err)
	require.Len(t, related, 1)
	require.Equal(t, []any{store.Parent, "1"}, []any{related[0].Relation, related[0].ID})
}

func TestFreshnessTellsWhatIsNotSearchableYet(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	told := func() store.Freshness {
		list, err := s.Reader().Freshness(t.Context(), viewer.All())
		require.NoError(t, err)
		require.Len(t, list, 1)
		return list[0]
	}
	require.Equal(t, store.Freshness{SourceID: "docs"}, told())
	run := fullRun(t, s, "docs", "r1", listedAt("1", 1, 3), listedAt("2", 1, 2), listedAt("3", 1, 4))
	require.Equal(t, store.Freshness{SourceID: "docs", Running: "r1", Waiting: 3, OldestWait: day(2)}, told())
	store1(t, s, writeAt("r1", "1", 1, 3, "alpha"))
	store1(t, s, writeAt("r1", "2", 1, 2, "beta"))
	require.Equal(t, store.Freshness{SourceID: "docs", Running: "r1", Waiting: 1, OldestWait: day(4)}, told())
	failPage(t, s, "r1", "3")
	finish(t, s, run)
	f := told()
	require.WithinDuration(t, time.Now(), f.Complete, time.Minute)
	f.Complete = time.Time{}
	require.Equal(t, store.Freshness{SourceID: "docs", Failed: 1, OldestWait: day(4)}, f)
}

// What is not stored itself can be searched below as well.
func TestASearchLooksBelowWhatHoldsPages(t *testing.T) {
	t.Parallel()
	s := tree(t)
	found := func(v viewer.Viewer, under string) (ids []string) {
		hits, err := s.Searcher().Search(t.Context(), v, "text", search.Filter{Under: under})
		require.NoError(t, err)
		for _, h := range hits {
			ids = append(ids, h.PageID)
		}
		slices.Sort(ids)
		return ids
	}
	for under, want := range map[string][]string{"1": {"1", "2", "3"}, "8": {"2"}, "4": {"3"}, "2": {"2"}, "5": nil, "404": nil} {
		require.Equal(t, want, found(viewer.All(), under), under)
		require.Equal(t, want, found(viewer.OfSources("docs"), under), under)
		require.Empty(t, found(viewer.OfSources("hr"), under), under)
		holds, err := s.Reader().Holds(t.Context(), viewer.OfSources("docs"), under)
		require.NoError(t, err)
		require.Equal(t, under == "1" || under == "8" || under == "4", holds, under)
	}
}

package search_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/access"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/store/storetest"
	"github.com/sluicehq/sluice/shared/viewer"
)

// TestSearchFindsWhatItsReaderMaySee: hidden pages take no place of visible ones, and nothing of an answer tells of
// them.
func TestSearchFindsWhatItsReaderMaySee(t *testing.T) {
	t.Parallel()
	s, _ := storetest.Open(t)
	ctx := t.Context()
	storetest.AddSource(t, s, "docs")
	storetest.AddSource(t, s, "free")
	storetest.Write(t, s, storetest.Page("free", "", "900", 1, "Open", "alpha of the open source"))
	var nodes []store.Node
	var covered []string
	var layers []access.Layer
	for n := range 40 {
		id, text := fmt.Sprint(n), "alpha"
		if n%8 != 0 {
			text = "alpha alpha zugzwang" // ranks higher, and has a word of its own
			layers = append(layers, access.Layer{Object: access.Object{Kind: access.ObjectContent, ID: id}, Principals: []access.Principal{{Kind: access.KindUser, ID: "ann"}}})
		}
		storetest.Write(t, s, storetest.Page("docs", "", id, 1, "Page "+id, text))
		nodes, covered = append(nodes, store.Node{ID: id, Kind: "page", Title: "Page " + id}), append(covered, id)
	}
	run, err := s.OpenRun(ctx, event.SyncRequested{RequestID: "r1", Mode: event.Full, SourceID: "docs"})
	require.NoError(t, err)
	require.NoError(t, s.PutNodes(ctx, run, nodes))
	for _, f := range []search.Filter{{}, {SourceID: "docs"}, {Label: "x"}, {Under: "8"}} {
		require.Equal(t, s.Searcher().Statements(ctx, viewer.All(), "alpha", f), s.Searcher().Statements(ctx, viewer.Everywhere(), "alpha", f),
			"without guarded sources a search for a reader costs what an operator's does: %+v", f)
	}
	require.NoError(t, s.SetPermissions(ctx, "docs", store.Enforce, 0))
	count := func(v viewer.Viewer, query string, f search.Filter) int {
		t.Helper()
		f.Limit = search.MaxHits
		hits, err := s.Searcher().Search(ctx, v, query, f)
		require.NoError(t, err)
		return len(hits)
	}
	ann, bob := viewer.Everywhere().As("ann"), viewer.Everywhere().As("bob")
	require.Equal(t, 41, count(viewer.All(), "alpha", search.Filter{}))
	require.Equal(t, 1, count(ann, "alpha", search.Filter{}), "the permissions of docs are unknown")

	_, now, err := s.AccessNodes(ctx, "docs")
	require.NoError(t, err)
	_, err = s.SaveAccess(ctx, store.AccessRead{
		SourceID: "docs", Started: now, Layers: layers, Covered: covered, Complete: true,
		Source: []access.Layer{{Object: access.Object{Kind: access.ObjectSpace, ID: "7"}, Principals: []access.Principal{{Kind: access.KindEveryone}}}},
	})
	require.NoError(t, err)
	for who, want := range map[*viewer.Viewer]int{&ann: 40, &bob: 5} {
		require.Equal(t, want+1, count(*who, "alpha", search.Filter{}))
		require.Equal(t, want, count(*who, "alpha", search.Filter{SourceID: "docs"}))
		require.Equal(t, want, count(*who, "alpha", search.Filter{SpaceKey: "DOCS", SourceID: "docs"}))
	}
	require.Equal(t, 1, count(bob, "alpha", search.Filter{Under: "8"}))
	require.Zero(t, count(bob, "alpha", search.Filter{Under: "9"}))
	require.Equal(t, 35, count(ann, "zugzwang", search.Filter{}))
	require.Zero(t, count(bob, "zugzwang", search.Filter{}))

	hits, err := s.Searcher().Search(ctx, bob, "alpha", search.Filter{SourceID: "docs", Limit: 5})
	require.NoError(t, err)
	require.Len(t, hits, 5, "a full answer, although 35 pages rank higher")
	words := func(v viewer.Viewer) (list []string) {
		a, err := s.Searcher().Explain(ctx, v, "zugzwamg", search.Filter{})
		require.NoError(t, err)
		for _, term := range a.Terms {
			if term.For != "" {
				list = append(list, term.Word)
			}
		}
		return list
	}
	require.Equal(t, 35, count(ann, "zugzwamg", search.Filter{}), "a typo is forgiven")
	require.Zero(t, count(bob, "zugzwamg", search.Filter{}), "not by a word of a hidden page")
	require.NotEmpty(t, words(viewer.All()))
	require.Empty(t, words(ann), "how many pages hold a word tells of hidden ones")
	require.Empty(t, words(bob))
}

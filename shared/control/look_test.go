package control_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/store/storetest"
)

func TestWhereNothingIsFoundItSaysWhy(t *testing.T) {
	w := newWorld(t)
	find := func(query string, f search.Filter) error { return second(w.Search(t.Context(), everyone, query, f)) }
	var noSource *control.UnknownSourceError
	require.ErrorAs(t, find("x", search.Filter{SourceID: "nowhere"}), &noSource)
	var noPage *control.UnknownPageError
	require.ErrorAs(t, find("x", search.Filter{Under: "99"}), &noPage)
	require.NoError(t, find("x", search.Filter{SourceID: "docs"}))

	run := w.listed("docs", "r1", "2")
	require.NoError(t, w.store.PutNodes(t.Context(), run, []store.Node{{ID: "2", Kind: "page", Title: "In a folder", ParentID: "99", ParentKind: "folder"}}))
	require.NoError(t, w.store.PutNodes(t.Context(), run, []store.Node{{ID: "99", Kind: "folder", Title: "Guides"}}))
	require.NoError(t, w.store.BuildPaths(t.Context(), "docs"))
	page := storetest.Page("docs", "r1", "2", 1, "In a folder", "words")
	page.Path = "/99/2"
	storetest.Write(t, w.store, page)
	require.NoError(t, find("nothing", search.Filter{Under: "99"}), "a folder is there, but the words are not")
	hits, err := w.Search(t.Context(), everyone, "words", search.Filter{Under: "99"})
	require.NoError(t, err)
	require.Len(t, hits, 1)
	require.ErrorIs(t, find(" ", search.Filter{}), control.ErrNoQuery)
	require.ErrorIs(t, find("a\xff", search.Filter{}), control.ErrNoQuery)
}

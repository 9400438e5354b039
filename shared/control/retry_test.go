package control_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// A page id is one site's: failed pages of two sites with one id are two pages, and who wants one of them
// tried again says which. In two sources of one site it is one page, which has moved between them.
func TestFailedPagesOfSeveralSitesAreToldApart(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.store.AddSource(t.Context(), store.Source{ID: "theirs", BaseURL: "https://theirs.atlassian.net/wiki", SpaceKey: "DOCS"}))
	w.failed("docs", "f1", "7")
	w.failed("hr", "f2", "7")
	retried := func(v viewer.Viewer, r control.RetryRequest) []string {
		t.Helper()
		list, err := w.Retry(t.Context(), v, r)
		require.NoError(t, err)
		ids := []string{}
		for _, one := range list {
			ids = append(ids, one.Run.SourceID)
			_, err := w.Cancel(t.Context(), everyone, one.Run.ID)
			require.NoError(t, err)
		}
		return ids
	}
	require.Equal(t, []string{"docs", "hr"}, retried(everyone, control.RetryRequest{About: "7"}))
	w.failed("theirs", "f3", "7")
	var several *store.AmbiguousPageError
	require.ErrorAs(t, second(w.Retry(t.Context(), everyone, control.RetryRequest{About: "7"})), &several)
	require.Equal(t, []string{"docs", "hr", "theirs"}, several.Sources)
	require.Equal(t, []string{"theirs"}, retried(everyone, control.RetryRequest{About: "7", SourceID: "theirs"}))
	require.Equal(t, []string{"theirs"}, retried(viewer.OfSources("theirs"), control.RetryRequest{About: "7"}), "a viewer who sees one")
	require.Equal(t, []string{"theirs"}, retried(everyone, control.RetryRequest{About: "f3"}), "a run is of one source")
	require.Equal(t, []string{"docs", "hr", "theirs"}, retried(everyone, control.RetryRequest{}))
}

// Some failed pages are retried without the others. A page that has not failed is named, and then nothing is retried.
func TestSomeFailedPagesAreRetried(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.failed("docs", "f1", "1", "2", "3", "4")
	retry := func(r control.RetryRequest) control.Retried {
		t.Helper()
		list, err := w.Retry(ctx, everyone, r)
		require.NoError(t, err)
		require.Len(t, list, 1)
		return list[0]
	}
	some := retry(control.RetryRequest{SourceID: "docs", Pages: []string{"3", "1", "3"}, Key: "k"})
	require.Equal(t, []any{2, []string{"1", "3"}, event.Incremental}, []any{some.Failed, some.Run.OnlyPages, some.Run.Mode})
	require.Equal(t, some.Run.ID, retry(control.RetryRequest{SourceID: "docs", Pages: []string{"1", "3"}, Key: "k"}).Run.ID)
	var reused *control.KeyReusedError
	require.ErrorAs(t, second(w.Retry(ctx, everyone, control.RetryRequest{SourceID: "docs", Pages: []string{"1"}, Key: "k"})), &reused)
	require.ErrorAs(t, second(w.Retry(ctx, everyone, control.RetryRequest{SourceID: "docs", Key: "k"})), &reused)

	joined := retry(control.RetryRequest{SourceID: "docs", Pages: []string{"1"}})
	require.True(t, joined.Joined, "the run that waits lists it already")
	require.Equal(t, some.Run.ID, joined.Run.ID)
	other := retry(control.RetryRequest{SourceID: "docs", Pages: []string{"2", "3"}})
	require.False(t, other.Joined, "2 is not in it")
	sync, err := w.Sync(ctx, everyone, control.SyncRequest{SourceID: "docs"})
	require.NoError(t, err)
	require.False(t, sync.Joined, "a retry of some pages is no sync")
	require.NotEqual(t, sync.Run.ID, retry(control.RetryRequest{SourceID: "docs", Pages: []string{"4"}}).Run.ID, "a sync leaves out files that failed for good")
	require.Equal(t, 4, retry(control.RetryRequest{SourceID: "docs"}).Failed)
	require.Equal(t, []string{"4"}, retry(control.RetryRequest{About: "4", Key: "one"}).Run.OnlyPages, "a page is retried alone")

	var not *control.NotFailedError
	require.ErrorAs(t, second(w.Retry(ctx, everyone, control.RetryRequest{SourceID: "docs", Pages: []string{"1", "9", "8"}})), &not)
	require.Equal(t, []string{"8", "9"}, not.Pages)
	require.ErrorAs(t, second(w.Retry(ctx, everyone, control.RetryRequest{SourceID: "hr", Pages: []string{"1"}})), &not, "of another source")
	var invalid *control.InvalidError
	require.ErrorAs(t, second(w.Retry(ctx, everyone, control.RetryRequest{Pages: []string{"1"}})), &invalid)
	require.ErrorAs(t, second(w.Retry(ctx, everyone, control.RetryRequest{SourceID: "docs", Pages: make([]string, event.MaxOnly+1)})), &invalid)
}

package control_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/control"
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

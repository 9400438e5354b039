package gateway

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/storetest"
)

// Page ids are unique only within a site: a request for an id that several sites have gets a list of the sources.
func TestAPageIDOfTwoSites(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	require.NoError(t, w.store.AddSource(t.Context(), store.Source{ID: "theirs", BaseURL: "https://umbrella.atlassian.net/wiki", SpaceKey: "DOCS"}))
	run := w.run("theirs", "theirs-1", listed("11")...)
	p := storetest.Page("theirs", run.ID, "11", 1, "Umbrella", "falcon signing")
	p.Page.URL = "https://umbrella.atlassian.net/wiki/spaces/DOCS/pages/11"
	storetest.Write(t, w.store, p)
	w.end(run)
	for _, path := range []string{"/api/pages/11", "/api/pages/11/chunks"} {
		a := w.wants(http.StatusConflict, "read", "GET", path, "")
		require.Equal(t, "page_ambiguous", a.code())
		require.Contains(t, string(a.body), "docs, theirs")
		w.wants(http.StatusOK, "read", "GET", path+"?source=docs", "")
		require.Contains(t, string(w.wants(http.StatusOK, "read", "GET", path+"?source=theirs", "").body), "falcon")
		w.wants(http.StatusNotFound, "read", "GET", path+"?source=hr", "")
		require.NotContains(t, string(w.wants(http.StatusOK, "docs", "GET", path, "").body), "falcon", "a key for one of them sees only that one")
		w.wants(http.StatusNotFound, "docs", "GET", path+"?source=theirs", "")
	}
	search := func(key, more string) answer {
		return w.ask(key, "POST", "/api/knowledge/search", `{"query":"signing","under":"11"`+more+`}`)
	}
	require.Equal(t, "page_ambiguous", search("read", "").code())
	require.Contains(t, string(search("read", `,"source_id":"theirs"`).body), "falcon")
	require.NotContains(t, string(search("docs", "").body), "falcon")
}

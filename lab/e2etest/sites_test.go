package e2etest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/secret"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/store/vault"
	"github.com/sluicehq/sluice/shared/viewer"
)

// hosts returns the sites' hosts in the form of a setting.
func hosts(served ...*sandbox.Served) string {
	var list []string
	for _, s := range served {
		list = append(list, strings.TrimPrefix(s.URL, "http://"))
	}
	return strings.Join(list, ",")
}

// serve serves a site at a new address.
func serve(t *testing.T, site *sandbox.Site) *sandbox.Served {
	t.Helper()
	served, err := sandbox.Serve("127.0.0.1:0", site)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, served.Close()) })
	return served
}

// give stores a source's own token for the address.
func (w *world) give(sourceID, address string) {
	w.t.Helper()
	ring, err := credential.Keys(w.t.Context(), config.Master{MasterKey: secret.New(w.keys)}, w.store)
	require.NoError(w.t, err)
	_, err = w.store.Vault().SetSecret(w.t.Context(), ring, sourceID, vault.Credential{
		Site: address + "/wiki", Email: sandbox.DefaultEmail, Token: secret.New(sandbox.DefaultToken),
	})
	require.NoError(w.t, err)
}

// syncOf runs a sync of any source until it ends.
func (w *world) syncOf(sourceID string, mode event.Mode) event.Progress {
	w.t.Helper()
	w.runs++
	id := sourceID + "-" + string(rune('a'+w.runs))
	require.NoError(w.t, w.bus.Publish(w.t.Context(), event.SyncRequested{RequestID: id, Mode: mode, SourceID: sourceID}))
	var last event.Progress
	for p, err := range w.bus.FollowProgress(w.t.Context(), sourceID, id) {
		require.NoError(w.t, err)
		last = p
	}
	return last
}

// hits returns the sources and pages that a search finds.
func (w *world) hits(query string, f search.Filter) []string {
	w.t.Helper()
	list, err := w.store.Searcher().Search(w.t.Context(), viewer.All(), query, f)
	require.NoError(w.t, err)
	found := []string{}
	for _, h := range list {
		found = append(found, h.SourceID+" "+h.Title)
	}
	return found
}

// sites is a world of two sites with the same ids.
type sites struct {
	*world
	other        *sandbox.Site
	otherServed  *sandbox.Served
	renamed      *sandbox.Served // another address of the first site
	ours, theirs []sandbox.Page
}

func newSites(t *testing.T) *sites {
	t.Helper()
	make := func(cloud, word string) (*sandbox.Site, []sandbox.Page) {
		site := sandbox.New(sandbox.Options{CloudID: cloud})
		require.NoError(t, site.AddSpace("TEAM", "Home"))
		var pages []sandbox.Page
		for _, title := range []string{"One", "Two"} {
			p, err := site.CreatePage(sandbox.Draft{Space: "TEAM", Title: title, Body: `<p>The ` + word + ` of ` + title +
				`, see <ac:link><ri:page ri:space-key="TEAM" ri:content-title="One" /></ac:link>.</p>`})
			require.NoError(t, err)
			pages = append(pages, p)
		}
		return site, pages
	}
	site, ours := make("c1", "heron")
	other, theirs := make("c2", "kestrel")
	require.Equal(t, ours[1].ID, theirs[1].ID)
	s := &sites{world: newWorld(t, "TEAM", site), other: other, otherServed: serve(t, other), renamed: serve(t, site), ours: ours, theirs: theirs}
	s.keys = canaryKey
	s.hosts = hosts(s.served, s.otherServed, s.renamed)
	s.give(source, s.served.URL)
	require.NoError(t, s.store.AddSource(t.Context(), store.Source{ID: "theirs", BaseURL: s.otherServed.URL + "/wiki", SpaceKey: "TEAM"}))
	s.give("theirs", s.otherServed.URL)
	s.startAll()
	for _, id := range []string{source, "theirs"} {
		require.Equal(t, event.StateCompleted, s.syncOf(id, event.Full).State)
	}
	return s
}

// Sites, spaces and their names, tested in one world, one after the other.
func TestSitesAndTheirNames(t *testing.T) {
	t.Parallel()
	s := newSites(t)

	// Two sites with the same page ids: their pages are stored, change and are removed independently.
	require.ElementsMatch(t, []string{"docs Two", "theirs Two"}, s.hits(`"of Two"`, search.Filter{PerPage: 1}))
	require.ElementsMatch(t, []string{"docs One", "docs Two"}, s.hits("heron", search.Filter{PerPage: 1}))
	body := "<p>The buzzard.</p>"
	_, err := s.other.EditPage(s.theirs[1].ID, sandbox.Edit{Body: &body})
	require.NoError(t, err)
	require.Equal(t, 1, s.syncOf("theirs", event.Full).Counts.Updated)
	require.Equal(t, []string{"theirs Two"}, s.hits("buzzard", search.Filter{}))
	require.NotEmpty(t, s.hits("heron", search.Filter{SourceID: source}))
	require.NoError(t, s.other.TrashPage(s.theirs[1].ID))
	require.Equal(t, 1, s.syncOf("theirs", event.Full).Counts.Removed)
	require.Empty(t, s.hits("buzzard", search.Filter{}))
	require.Equal(t, 1, s.count(`SELECT count(*) FROM archon_crawled_pages WHERE metadata->>'confluence_page_id' = $1`, s.ours[1].ID))

	// The site is renamed: the run tells what to do, and after that nothing is fetched again.
	_, err = s.db.Exec(t.Context(), `UPDATE archon_crawled_pages SET embedding_model = 'kept'`)
	require.NoError(t, err)
	chunks := s.count(`SELECT sum(id)::int FROM archon_crawled_pages WHERE source_id = 'docs'`)
	require.NoError(t, s.site.MoveTo(s.renamed.URL))
	last := s.syncOf(source, event.Full)
	require.Equal(t, failure.SiteMoved, last.Code)
	require.Contains(t, last.Message, "sluice source set docs --base-url "+s.renamed.URL+"/wiki")
	require.NoError(t, s.store.Relocate(t.Context(), source, s.renamed.URL+"/wiki"))
	s.give(source, s.renamed.URL)
	s.site.ResetStats()
	last = s.syncOf(source, event.Full)
	require.Equal(t, event.StateCompleted, last.State, last.Message)
	require.Equal(t, event.Counts{Listed: 3, Unchanged: 3}, last.Counts)
	require.Zero(t, s.site.Stats().Bodies)
	s.nowhere(s.served.URL, source)
	require.Equal(t, chunks, s.count(`SELECT sum(id)::int FROM archon_crawled_pages WHERE source_id = 'docs' AND embedding_model = 'kept'`))
	hit := func(query string) search.Hit {
		list, err := s.store.Searcher().Search(t.Context(), viewer.All(), query, search.Filter{SourceID: source})
		require.NoError(t, err)
		require.NotEmpty(t, list)
		return list[0]
	}
	require.True(t, strings.HasPrefix(hit("heron").URL, s.renamed.URL+"/wiki/spaces/TEAM/"))

	// At an address where another site responds, nothing is trusted.
	require.NoError(t, s.store.RemoveSource(t.Context(), "theirs"))
	require.NoError(t, s.store.Relocate(t.Context(), source, s.otherServed.URL+"/wiki"))
	s.give(source, s.otherServed.URL)
	last = s.syncOf(source, event.Full)
	require.Equal(t, failure.OtherSite, last.Code, last.Message)
	require.Equal(t, 3, s.count(`SELECT count(*) FROM confluence_pages WHERE NOT is_deleted`))
	require.NoError(t, s.store.Relocate(t.Context(), source, s.renamed.URL+"/wiki"))
	s.give(source, s.renamed.URL)

	// The space gets another key, and the old key no longer works.
	for _, rekey := range []sandbox.Rekey{{Key: "CREW", Forget: true}, {Key: "HANDS", Alias: true}} {
		before, err := s.store.Source(t.Context(), source)
		require.NoError(t, err)
		require.NoError(t, s.site.RekeySpace(before.SpaceKey, rekey))
		s.site.ResetStats()
		last = s.syncOf(source, event.Full)
		require.Equal(t, event.Counts{Listed: 3, Unchanged: 3}, last.Counts, last.Message)
		require.Zero(t, s.site.Stats().Bodies)
	}
	src, err := s.store.Source(t.Context(), source)
	require.NoError(t, err)
	require.Equal(t, "CREW", src.SpaceKey)
	s.nowhere("/spaces/TEAM/", source)
	for _, key := range []string{"TEAM", "CREW", "crew", "HANDS"} {
		require.NotEmpty(t, s.hits("heron", search.Filter{SpaceKey: key}), key)
	}
	// Links with a former key of the space are links within the space.
	require.NoError(t, s.site.AddSpace("OTHER", "Elsewhere"))
	_, err = s.site.EditPage(s.ours[1].ID, sandbox.Edit{})
	require.NoError(t, err)
	require.Equal(t, 1, s.syncOf(source, event.Incremental).Counts.Updated)
	require.Equal(t, s.ours[0].ID, s.text(`SELECT metadata->'internal_links'->0->>'page_id' FROM confluence_pages WHERE page_id = $1`, s.ours[1].ID))

	// A second source for the same space is refused, immediately or in its first run.
	for _, key := range []string{"crew", "hands"} {
		require.ErrorIs(t, s.store.AddSource(t.Context(), store.Source{ID: "again", BaseURL: src.BaseURL, SpaceKey: key}), store.ErrSpaceTaken, key)
	}
	require.NoError(t, s.store.AddSource(t.Context(), store.Source{ID: "again", BaseURL: s.served.URL + "/wiki", SpaceKey: "CREW"}))
	require.NoError(t, s.site.MoveTo(""))
	s.give("again", s.served.URL)
	last = s.syncOf("again", event.Full)
	require.Equal(t, failure.SpaceTaken, last.Code)
	require.Contains(t, last.Message, "source again is the same space as source docs")
}

// nowhere requires that nothing stored of the source contains the text.
func (s *sites) nowhere(text, sourceID string) {
	s.t.Helper()
	for _, table := range []string{"confluence_pages", "confluence_page_content", "archon_crawled_pages", "archon_sources"} {
		of := `source_id = '` + sourceID + `'`
		if table == "confluence_page_content" {
			of = `site_id = (SELECT site_id FROM confluence_spaces WHERE ` + of + `)`
		}
		require.Zero(s.t, s.count(`SELECT count(*) FROM `+table+` t WHERE `+of+` AND strpos(t::text, $1) > 0`, text), table)
	}
}

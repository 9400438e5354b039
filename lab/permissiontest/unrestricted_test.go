package permissiontest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/chunk-writer/chunk"
	"github.com/sluicehq/sluice/services/chunk-writer/chunkwriter"
	"github.com/sluicehq/sluice/services/deletion-detector/deletiondetector"
	"github.com/sluicehq/sluice/services/fetcher/fetcher"
	"github.com/sluicehq/sluice/services/fetcher/lister"
	"github.com/sluicehq/sluice/services/fetcher/sweep"
	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// whole does a run with its removals, to its end. The brake holds every removal that needs an approval.
func (w *world) whole(req event.SyncRequested) store.Run {
	w.t.Helper()
	ctx := w.t.Context()
	w.events = nil
	l, f := lister.New(w.store, w, w.systems, zerolog.Nop()), fetcher.New(w.store, w, w.systems, zerolog.Nop())
	write := chunkwriter.Handler(w.store, w, chunk.Options{})
	d := deletiondetector.New(w.store, w, w.systems, config.Brake{Pages: 0, Percent: 0}, zerolog.Nop())
	require.NoError(w.t, l.HandleSync(ctx, w.delivery(req)))
	for len(w.events) > 0 {
		e := w.events[0]
		w.events = w.events[1:]
		switch e := e.(type) {
		case event.PagesListed:
			require.NoError(w.t, f.HandlePages(ctx, w.delivery(e)))
		case event.ListingCompleted:
			if w.beforeRemovals != nil {
				w.beforeRemovals(e.RunID)
			}
			require.NoError(w.t, d.Handle(ctx, w.delivery(e)))
		case event.PageFetched:
			require.NoError(w.t, write(ctx, w.delivery(event.PageConverted{
				SourceID: docs, RunID: e.RunID, Attempt: e.Attempt, Page: e.Page, Markdown: e.Page.Title + "\n\nalpha " + e.Page.ID,
			})))
		}
	}
	_, _, err := w.store.Advance(ctx, req.RequestID)
	require.NoError(w.t, err)
	run, err := w.store.Run(ctx, req.RequestID)
	require.NoError(w.t, err)
	require.Equal(w.t, event.StateCompleted, run.State, "%s %s", run.Code, run.Message)
	return run
}

func (w *world) full() store.Run {
	w.t.Helper()
	return w.whole(event.SyncRequested{RequestID: fmt.Sprintf("run-%d", sites.Add(1)), SourceID: docs, Mode: event.Full})
}

// settles sweeps, and does the run that the sweep requests, if any.
func (w *world) settles() bool {
	w.t.Helper()
	w.events = nil
	w.sweep()
	for _, e := range w.events {
		if req, ok := e.(event.SyncRequested); ok {
			req.SourceID = docs
			require.Regexp(w.t, `^\d{8}-\d{6}-[a-z0-9]{6}$`, req.RequestID, "readers see the id, and must not learn that a restriction changed")
			w.whole(req)
			return true
		}
	}
	return false
}

// holds reports what the database keeps of the pages: their stored text, wherever it may be.
func (w *world) holds(word string) int {
	w.t.Helper()
	var n int
	require.NoError(w.t, w.conn.QueryRow(w.t.Context(), `SELECT (SELECT count(*) FROM archon_crawled_pages c WHERE c.content LIKE '%' || $1 || '%')
		+ (SELECT count(*) FROM confluence_page_content c WHERE c.markdown LIKE '%' || $1 || '%')`, word).Scan(&n))
	return n
}

func (w *world) reasons(runID string) map[string]string {
	w.t.Helper()
	rows, _ := w.conn.Query(w.t.Context(), `SELECT page_id, outcome || ': ' || coalesce(reason, '') FROM confluence_sync_pages WHERE run_id = $1`, runID)
	out := map[string]string{}
	var id, why string
	_, err := pgx.ForEachRow(rows, []any{&id, &why}, func() error {
		out[id] = why
		return nil
	})
	require.NoError(w.t, err)
	return out
}

func TestRestrictedPagesAreNotStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.person("ann")
	require.NoError(t, w.store.SetPermissions(t.Context(), docs, store.UnrestrictedOnly, 0))
	page := func(title, parent string) string { return w.create(sandbox.Draft{Title: title, ParentID: parent}) }
	restrict := func(id string) { require.NoError(t, w.site.Restrict(id, []string{"ann", api}, nil)) }
	free := page("Free", "")
	top := page("Top", "")
	below := page("Below", top)
	folder := w.create(sandbox.Draft{Kind: sandbox.KindFolder, Title: "Folder"})
	filed := page("Filed", folder)
	restrict(top)
	restrict(folder)
	stored := func(want ...string) {
		t.Helper()
		got := w.stored()
		for _, id := range []string{free, top, below, filed} {
			require.Equal(t, slices.Contains(want, id), slices.Contains(got, id), id)
			require.Equal(t, slices.Contains(want, id), w.holds("alpha "+id) > 0, "what is kept of %s", id)
		}
	}
	w.site.ResetStats()
	run := w.full()
	stored(free)
	left := w.reasons(run.ID)
	for _, id := range []string{top, below, filed} {
		require.Equal(t, "skipped: restricted", left[id])
	}
	require.EqualValues(t, 1, w.site.Stats().Bodies-int64(len(w.stored())-1), "restricted pages are not even fetched")
	require.False(t, w.settles(), "nothing has changed")

	// What is restricted goes, without anybody's approval; what is no longer is fetched.
	restrict(free)
	require.NoError(t, w.site.Unrestrict(folder))
	require.True(t, w.settles())
	stored(filed)
	removed, err := w.store.Reader().RemovedPages(t.Context(), viewer.All(), docs, "", store.Whole())
	require.NoError(t, err)
	require.Len(t, removed, 1)
	require.Equal(t, store.ReasonRestricted, removed[0].Reason)
	require.False(t, w.settles())
	require.NoError(t, w.site.Unrestrict(top))
	require.NoError(t, w.site.Unrestrict(free))
	require.True(t, w.settles())
	stored(free, top, below, filed)
	require.False(t, w.settles())

	// An incremental run leaves out what has become restricted since.
	restrict(top)
	body := "<p>edited</p>"
	for _, id := range []string{top, filed} {
		_, err := w.site.EditPage(id, sandbox.Edit{Body: &body})
		require.NoError(t, err)
	}
	run = w.whole(event.SyncRequested{RequestID: "edited", SourceID: docs, Mode: event.Incremental})
	require.Equal(t, event.Incremental, run.Mode)
	left = w.reasons(run.ID)
	require.Equal(t, "skipped: restricted", left[top])
	require.Equal(t, "updated: ", left[filed])
	require.Empty(t, w.admitted("ann")[top], "until it is removed, nobody sees it")
	require.True(t, w.settles())
	stored(free, filed)

	// With enforce, what was left out is fetched.
	require.NoError(t, w.store.SetPermissions(t.Context(), docs, store.Enforce, 0))
	require.True(t, w.settles())
	stored(free, top, below, filed)
	require.False(t, w.settles())

	// And back, with a restriction on top of everything: nothing is left, and the brake does not hold it.
	require.NoError(t, w.store.SetPermissions(t.Context(), docs, store.UnrestrictedOnly, 0))
	for _, p := range w.site.Pages(space) {
		if p.ParentID == "" {
			restrict(p.ID)
		}
	}
	require.True(t, w.settles())
	require.Empty(t, w.stored())
}

// What is not known is neither stored nor removed.
func TestUnknownRestrictionsRemoveNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.create(sandbox.Draft{Title: "Old"})
	w.full()
	require.NoError(t, w.store.SetPermissions(t.Context(), docs, store.UnrestrictedOnly, 0))
	w.sweep()
	require.True(t, w.admitted("")[old])
	added := w.create(sandbox.Draft{Title: "New"})
	require.NoError(t, w.site.SetFaults(1, sandbox.Fault{Kind: sandbox.FaultForbidden, Route: "/wiki/rest/api/content/{id}/restriction/byOperation/{op}"},
		sandbox.Fault{Kind: sandbox.FaultForbidden, Route: "/wiki/rest/api/content/search", Query: "expand"}))
	run := w.full()
	require.NotEmpty(t, run.Notes)
	require.Equal(t, "skipped: restricted", w.reasons(run.ID)[added])
	require.Contains(t, w.stored(), old)
	require.NoError(t, w.site.SetFaults(1))
	w.client()
	require.True(t, w.settles())
	require.Contains(t, w.stored(), added)
	require.Contains(t, w.stored(), old)
}

// Layers outlive failed readings, and the time in which a source is open. What they say may be long out of date.
func TestOldRestrictionsRemoveNothing(t *testing.T) {
	t.Parallel()
	t.Run("read as unknown", func(t *testing.T) { oldRestrictionsRemoveNothing(t, 0) })
	t.Run("not read to the end", func(t *testing.T) { oldRestrictionsRemoveNothing(t, 8) })
}

// oldRestrictionsRemoveNothing has so many pages beside the restricted one; after eight refusals, a reading gives up.
func oldRestrictionsRemoveNothing(t *testing.T, beside int) {
	t.Parallel()
	w := newWorld(t)
	for i := range beside {
		w.create(sandbox.Draft{Title: fmt.Sprintf("Page %d", i)})
	}
	folder := w.create(sandbox.Draft{Kind: sandbox.KindFolder, Title: "Folder"})
	filed := w.create(sandbox.Draft{Title: "Filed", ParentID: folder})
	require.NoError(t, w.site.Restrict(folder, []string{api}, nil))
	w.full()
	set := func(p store.Permissions) {
		t.Helper()
		require.NoError(t, w.store.SetPermissions(t.Context(), docs, p, 0))
	}
	unsettled := func() bool {
		t.Helper()
		is, err := w.store.Unsettled(t.Context(), docs)
		require.NoError(t, err)
		return is
	}
	set(store.OpenToAll)
	require.NoError(t, w.site.Unrestrict(folder))
	set(store.UnrestrictedOnly)
	require.NoError(t, w.site.SetFaults(1, sandbox.Fault{Kind: sandbox.FaultForbidden, Route: "/wiki/rest/api/content/{id}/restriction/byOperation/{op}"},
		sandbox.Fault{Kind: sandbox.FaultForbidden, Route: "/wiki/rest/api/content/search", Query: "expand"}))
	later := func(by string) {
		t.Helper()
		_, err := w.conn.Exec(t.Context(), `UPDATE confluence_layers SET read_at = read_at - $1::interval`, by)
		require.NoError(t, err)
	}
	later("90 days")
	require.False(t, unsettled(), "what is too old is not known")
	later("-90 days")
	require.True(t, unsettled(), "it is known, so that a run looks")
	run := w.full()
	require.NotEmpty(t, run.Notes)
	require.Contains(t, w.stored(), filed, "the run itself has not read the restriction")
	require.Empty(t, w.admitted("")[filed], "but nobody sees the page")

	require.Equal(t, beside > 0, unsettled(), "a complete reading that has not confirmed it requests no run after the other")
	require.NoError(t, w.site.SetFaults(1))
	w.client()
	w.sweep()
	require.True(t, w.admitted("")[filed])
}

// What was true when the listing ended may not be when pages are removed: the detector was down, or somebody has corrected a mistake.
func TestTheSettingIsAskedAgainBeforeARemoval(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	id := w.create(sandbox.Draft{Title: "Plans"})
	w.full()
	listed := func(runID string) (store.Run, []store.Removal) {
		run, err := w.store.Run(ctx, runID)
		require.NoError(t, err)
		list, err := w.store.RestrictedPages(ctx, run)
		require.NoError(t, err)
		return run, list
	}
	for name, change := range map[string]func(){
		"the setting": func() { require.NoError(t, w.store.SetPermissions(ctx, docs, store.Enforce, 0)) },
		"the restriction": func() {
			require.NoError(t, w.site.Unrestrict(id))
			src, err := w.store.Source(ctx, docs)
			require.NoError(t, err)
			system, err := w.systems.Open(ctx, src)
			require.NoError(t, err)
			require.NoError(t, sweep.Reader{Ledger: w.store, System: system, Source: docs, Log: zerolog.Nop()}.All(ctx, true))
		},
	} {
		require.NoError(t, w.site.Restrict(id, []string{api}, nil))
		require.NoError(t, w.store.SetPermissions(ctx, docs, store.UnrestrictedOnly, 0))
		w.beforeRemovals = func(runID string) {
			run, before := listed(runID)
			require.Len(t, before, 1)
			change()
			_, after := listed(runID)
			require.Empty(t, after, name)
			require.NoError(t, w.store.RemovePages(ctx, run, before), "somebody who has asked before")
		}
		run := w.full()
		require.Equal(t, "skipped: still_there", w.reasons(run.ID)[id], name)
		require.Contains(t, w.stored(), id, name)
		require.Positive(t, w.holds("alpha "+id), name)
		w.beforeRemovals = nil
		require.True(t, w.settles(), "the next run is a full one")
		require.Contains(t, w.stored(), id, name)
		require.False(t, w.settles(), name)
	}
}

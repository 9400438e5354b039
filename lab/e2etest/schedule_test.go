package e2etest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/schedule"
	"github.com/sluicehq/sluice/shared/store"
)

// scheduledSources are three spaces of a site, one source each.
var scheduledSources = map[string]string{source: "DOCS", "hr": "HR", "ops": "OPS"}

// lookedAt makes all sources due and waits until the broker's clock has had them looked at, and their runs have ended.
func (w *world) lookedAt() {
	w.t.Helper()
	began := w.text(`UPDATE confluence_schedules SET next_at = now() WHERE source_id = 'docs' RETURNING clock_timestamp()::text`)
	_, err := w.db.Exec(w.t.Context(), `UPDATE confluence_schedules SET next_at = now()`)
	require.NoError(w.t, err)
	w.looked(began)
}

func (w *world) looked(since string) {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		return w.count(`SELECT count(*) FROM confluence_schedules WHERE looked_at > $1::text::timestamptz`, since) == len(scheduledSources) &&
			w.count(`SELECT count(*) FROM confluence_sync_runs WHERE finished_at IS NULL`) == 0
	}, time.Minute, 50*time.Millisecond)
}

func TestSourcesAreFreshByThemselves(t *testing.T) {
	t.Parallel()
	site := sandbox.New(sandbox.Options{})
	pages := map[string]string{}
	for id, key := range scheduledSources {
		require.NoError(t, site.AddSpace(key, key))
		p, err := site.CreatePage(sandbox.Draft{Space: key, Title: "Page of " + key, Body: "<p>before</p>"})
		require.NoError(t, err)
		pages[id] = p.ID
	}
	served, err := sandbox.Serve("127.0.0.1:0", site)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, served.Close()) })
	w := newWorldOver(t, "DOCS", site, served, ground{tick: time.Second})
	set := schedule.Default()
	require.NoError(t, w.store.UpdateSource(t.Context(), source, store.SourceChange{Schedule: &set}))
	for _, id := range []string{"hr", "ops"} {
		require.NoError(t, w.store.AddSource(t.Context(), store.Source{ID: id, BaseURL: served.URL + "/wiki", SpaceKey: scheduledSources[id], Schedule: &store.Scheduled{Schedule: set}}))
	}
	runs := func(id string) int {
		return w.count(`SELECT count(*) FROM confluence_sync_runs WHERE source_id = $1 AND reason = 'schedule' AND state = 'completed'`, id)
	}
	has := func(id, text string) bool {
		return w.count(`SELECT count(*) FROM archon_crawled_pages WHERE source_id = $1 AND content LIKE '%' || $2 || '%'`, id, text) > 0
	}
	stop := w.startAll()
	w.lookedAt()
	for id := range scheduledSources {
		require.Equal(t, 1, runs(id), "the first run of %s", id)
		require.True(t, has(id, "before"))
	}

	// Nothing has changed.
	site.ResetStats()
	w.lookedAt()
	require.LessOrEqual(t, site.Stats().Total, int64(2), "%v", site.Stats().Calls)
	for id := range scheduledSources {
		require.Equal(t, 1, runs(id))
		require.Equal(t, "unchanged", w.text(`SELECT look_result FROM confluence_schedules WHERE source_id = $1`, id))
	}

	// One page is edited: its source alone is synced, and once.
	_, err = site.EditPage(pages["hr"], sandbox.Edit{Body: new("<p>edited</p>")})
	require.NoError(t, err)
	w.lookedAt()
	require.True(t, has("hr", "edited"))
	site.ResetStats()
	w.lookedAt()
	require.LessOrEqual(t, site.Stats().Total, int64(2), "%v", site.Stats().Calls)
	require.Equal(t, []int{1, 2, 1}, []int{runs(source), runs("hr"), runs("ops")})

	// The processes stop while an edit is made and sources become due.
	stop()
	_, err = site.EditPage(pages["ops"], sandbox.Edit{Body: new("<p>while nobody was there</p>")})
	require.NoError(t, err)
	began := w.text(`SELECT clock_timestamp()::text`)
	_, err = w.db.Exec(t.Context(), `UPDATE confluence_schedules SET next_at = now()`)
	require.NoError(t, err)
	w.startAll()
	w.looked(began)
	require.True(t, has("ops", "while nobody was there"))
	require.Equal(t, []int{1, 2, 2}, []int{runs(source), runs("hr"), runs("ops")})
}

package e2etest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/converter/markdown"
	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// spoiler is a proxy in front of a site that returns one page without its body, as Confluence does for some pages,
// until it is fixed.
type spoiler struct {
	site  http.Handler
	page  atomic.Value // its id
	cured atomic.Bool
}

// ServeHTTP responds in place of the site.
func (s *spoiler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, _ := s.page.Load().(string)
	if s.cured.Load() || id == "" || r.URL.Query().Get("body-format") == "" {
		s.site.ServeHTTP(w, r)
		return
	}
	rec := httptest.NewRecorder()
	s.site.ServeHTTP(rec, r)
	var answer map[string]any
	if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	rows, _ := answer["results"].([]any)
	for _, row := range append(rows, answer) {
		if p, ok := row.(map[string]any); ok && p["id"] == id {
			p["body"] = map[string]any{}
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(rec.Code)
	_ = json.NewEncoder(w).Encode(answer)
}

// newSpoiled returns a world whose site is behind a spoiler.
func newSpoiled(t *testing.T, space string, site *sandbox.Site) (*world, *spoiler) {
	t.Helper()
	s := &spoiler{site: site.Handler()}
	front := httptest.NewServer(s)
	t.Cleanup(front.Close)
	return newWorldOn(t, space, site, &sandbox.Served{URL: front.URL}), s
}

// poisoned requires that the run ends with exactly these failures, and that the store lists them.
func (w *world) poisoned(mode event.Mode, want map[string]failure.Code, counts event.Counts) {
	w.t.Helper()
	last := w.sync(mode)
	require.Equal(w.t, event.StateCompletedWithFailures, last.State, last.Message)
	got := last.Counts
	require.Equal(w.t, got.Listed, got.Created+got.Updated+got.Unchanged+got.Removed+got.Skipped+got.Failed, "the ledger balances")
	got.Listed, got.Unchanged, got.Skipped = 0, 0, 0
	counts.Failed = len(want)
	require.Equal(w.t, counts, got)
	failures, err := w.store.Reader().Failures(w.t.Context(), viewer.All(), source, "", "", store.First(100))
	require.NoError(w.t, err)
	codes := map[string]failure.Code{}
	for _, f := range failures {
		codes[f.PageID] = failure.Code(f.Code)
		require.Equal(w.t, last.RunID, f.RunID, "retried, and failed again")
		require.Equal(w.t, 1, f.Attempts, "the error is permanent, so it is not tried five times: %+v", f)
		require.NotEmpty(w.t, f.Message)
		require.NotEmpty(w.t, f.Stage)
		require.NotEmpty(w.t, f.Title)
	}
	require.Equal(w.t, want, codes)
}

// Pages that always break one stage or another fail alone, stay visible as failed, are retried by every run, and
// succeed once their problem is fixed.
func TestPoison(t *testing.T) {
	t.Parallel()
	const space, healthy = "MIXED", 130 // more than one task
	site := sandbox.New(sandbox.Options{})
	require.NoError(t, site.AddSpace(space, "Mixed"))
	add := func(title, body string) string {
		p, err := site.CreatePage(sandbox.Draft{Space: space, Title: title, Body: body})
		require.NoError(t, err)
		return p.ID
	}
	tooDeep := strings.Repeat("<div>", markdown.MaxDepth+1) + "x" + strings.Repeat("</div>", markdown.MaxDepth+1)
	words := "<p>Plain words again.</p>"
	for i := range healthy / 2 {
		add(fmt.Sprintf("Healthy %d", i), fmt.Sprintf("<p>Words of page %d.</p>", i))
	}
	deep := add("Too deep", tooDeep)
	// Each line of a code block is indented by all the lists around it.
	large := add("Too large", strings.Repeat("<ul><li>x", 30)+`<ac:structured-macro ac:name="code"><ac:plain-text-body><![CDATA[`+
		strings.Repeat("y\n", 20_000)+`]]></ac:plain-text-body></ac:structured-macro>`+strings.Repeat("</li></ul>", 30))
	bodiless := add("Without a body", words)
	taken := add("Taken", words)
	turned := add("Turns bad", "<p>Good words of old.</p>")
	for i := range healthy / 2 {
		add(fmt.Sprintf("Healthy too %d", i), fmt.Sprintf("<p>Words of page %d.</p>", i))
	}
	w, front := newSpoiled(t, space, site)
	front.page.Store(bodiless)
	address := w.served.URL + "/wiki/spaces/" + space + "/pages/" + taken + "/Taken"
	_, err := w.db.Exec(t.Context(), `INSERT INTO archon_sources (source_id, summary) VALUES ('web', 'a crawl of the same site')`)
	require.NoError(t, err)
	_, err = w.db.Exec(t.Context(), `INSERT INTO archon_crawled_pages (url, chunk_number, content, source_id) VALUES ($1, 0, 'crawled', 'web')`, address)
	require.NoError(t, err)
	w.startAll()

	bad := map[string]failure.Code{
		deep: failure.ConvertTooDeep, large: failure.ConvertTooLarge, bodiless: failure.Protocol, taken: failure.AddressTaken,
	}
	w.poisoned(event.Full, bad, event.Counts{Created: healthy + 2}) // plus the homepage and the page that breaks later
	require.Equal(t, healthy+2, w.count(`SELECT count(*) FROM confluence_pages`))
	require.Equal(t, "crawled", w.text(`SELECT content FROM archon_crawled_pages WHERE url = $1`, address), "pages crawled by others are not touched")

	_, err = site.EditPage(turned, sandbox.Edit{Body: &tooDeep})
	require.NoError(t, err)
	bad[turned] = failure.ConvertTooDeep
	w.poisoned(event.Incremental, bad, event.Counts{})
	w.poisoned(event.Incremental, bad, event.Counts{})
	w.poisoned(event.Full, bad, event.Counts{})
	require.Equal(t, 1, w.count(`SELECT count(*) FROM archon_crawled_pages WHERE metadata->>'page_id' = $1 AND content LIKE '%Good words of old%'`, turned),
		"the stored version is found until a newer one is stored")

	for _, id := range []string{deep, large, turned} {
		_, err := site.EditPage(id, sandbox.Edit{Body: &words})
		require.NoError(t, err)
	}
	front.cured.Store(true)
	_, err = w.db.Exec(t.Context(), `DELETE FROM archon_crawled_pages WHERE source_id = 'web'`)
	require.NoError(t, err)
	last := w.sync(event.Incremental)
	require.Equal(t, event.StateCompleted, last.State, last.Message)
	require.Equal(t, []int{4, 1, 0}, []int{last.Counts.Created, last.Counts.Updated, last.Counts.Failed})
	failures, err := w.store.Reader().Failures(t.Context(), viewer.All(), source, "", "", store.First(100))
	require.NoError(t, err)
	require.Empty(t, failures)
	for id := range bad {
		require.Equal(t, 1, w.count(`SELECT count(*) FROM archon_crawled_pages WHERE metadata->>'page_id' = $1 AND content LIKE '%Plain words again%'`, id))
	}
	last = w.sync(event.Incremental)
	require.Equal(t, event.StateCompleted, last.State)
	require.Zero(t, last.Counts.Created+last.Counts.Updated+last.Counts.Failed, "nothing is retried any more")
}

package e2etest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/converter/markdown"
	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/services/stages"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/viewer"
)

func builtin() *sandbox.Site {
	site := sandbox.New(sandbox.Options{})
	site.AddBuiltin()
	return site
}

func generated(pages int) *sandbox.Site {
	site := sandbox.New(sandbox.Options{})
	site.AddGenerated(sandbox.GeneratedSpace, pages, 7)
	return site
}

func TestTheBuiltInSpaceBecomesSearchable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.BuiltinSpace, builtin())
	w.startAll()
	last := w.sync(event.Incremental)
	require.Equal(t, event.StateCompleted, last.State, last.Message)
	require.Equal(t, event.Full, last.Mode, "the first run is always full")
	require.GreaterOrEqual(t, last.Counts.Created, 60)
	require.Zero(t, last.Counts.Failed)
	require.Equal(t, last.Counts.Created, w.count(`SELECT count(*) FROM confluence_pages WHERE is_deleted = false`))

	hits, err := w.store.Searcher().Search(t.Context(), viewer.All(), "rotate the signing keys", search.Filter{SourceID: source})
	require.NoError(t, err)
	require.NotEmpty(t, hits)
	require.Contains(t, hits[0].URL, w.served.URL+"/wiki/spaces/DEMO/pages/"+hits[0].PageID)
	require.Zero(t, w.count(`SELECT count(*) FROM archon_crawled_pages WHERE metadata->>'citation_url' NOT LIKE $1`, w.served.URL+"/wiki/%"))
	require.NotZero(t, w.count(`SELECT count(*) FROM archon_crawled_pages WHERE metadata->>'citation_url' LIKE '%#%'`))
	require.Zero(t, w.count(`SELECT count(*) FROM confluence_pages WHERE path NOT LIKE '%/' || page_id`))
	require.NotZero(t, w.count(`SELECT count(*) FROM confluence_tree WHERE kind = 'folder' AND title <> ''`))
}

func TestNothingChangedThenOneEdit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.BuiltinSpace, builtin())
	w.startAll()
	first := w.sync(event.Full)
	require.Equal(t, event.StateCompleted, first.State)
	before := w.rows()

	for _, mode := range []event.Mode{event.Full, event.Incremental} {
		w.site.ResetStats()
		last := w.sync(mode)
		require.Equal(t, event.StateCompleted, last.State)
		require.Equal(t, last.Counts.Listed, last.Counts.Unchanged+last.Counts.Skipped, "%s: %+v", mode, last.Counts)
		require.Zero(t, w.site.Stats().Bodies, "%s run without a change fetches no body", mode)
		requireSame(t, before, w.rows(), "a run without a change")
	}

	edited := leaf(t, w, 3)
	body := "<p>The harbour lights are green.</p>"
	_, err := w.site.EditPage(edited.ID, sandbox.Edit{Body: &body})
	require.NoError(t, err)
	w.site.ResetStats()
	last := w.sync(event.Incremental)
	require.Equal(t, 1, last.Counts.Updated, "%+v", last.Counts)
	require.EqualValues(t, 1, w.site.Stats().Bodies)
	hits, err := w.store.Searcher().Search(t.Context(), viewer.All(), "harbour lights green", search.Filter{})
	require.NoError(t, err)
	require.Equal(t, edited.ID, hits[0].PageID)
}

// leaf returns the n-th current page of the space that is visible and has no children.
func leaf(t *testing.T, w *world, n int) sandbox.Page {
	t.Helper()
	parents := map[string]bool{}
	all := w.site.Pages(w.space)
	for _, p := range all {
		parents[p.ParentID] = true
	}
	for _, p := range all {
		if p.Kind == sandbox.KindPage && p.Status == "current" && !p.Hidden && !parents[p.ID] && p.ParentID != "" {
			if n--; n < 0 {
				return p
			}
		}
	}
	require.Fail(t, "the space has too few pages")
	return sandbox.Page{}
}

func TestAFullRunFindsWhatCameWentAndMoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.BuiltinSpace, builtin())
	w.startAll()
	require.Equal(t, event.StateCompleted, w.sync(event.Full).State)

	moved, archived, trashed, target := leaf(t, w, 0), leaf(t, w, 1), leaf(t, w, 2), leaf(t, w, 4)
	require.NoError(t, w.site.MovePage(moved.ID, target.ID))
	require.NoError(t, w.site.ArchivePage(archived.ID))
	require.NoError(t, w.site.TrashPage(trashed.ID))
	created, err := w.site.CreatePage(sandbox.Draft{Space: w.space, Title: "Brand new", Body: "<p>Fresh words.</p>"})
	require.NoError(t, err)

	last := w.sync(event.Full)
	require.Equal(t, event.StateCompleted, last.State, last.Message)
	require.Equal(t, 1, last.Counts.Created)
	require.Equal(t, 1, last.Counts.Updated, "the moved page")
	require.Equal(t, 2, last.Counts.Removed)
	stored, err := w.store.Reader().Page(t.Context(), viewer.All(), moved.ID)
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(stored.Path, "/"+target.ID+"/"+moved.ID), stored.Path)
	stored, err = w.store.Reader().Page(t.Context(), viewer.All(), created.ID)
	require.NoError(t, err)
	require.False(t, stored.Deleted)
	reasons := map[string]string{}
	removals, err := w.store.Removals(t.Context(), last.RunID)
	require.NoError(t, err)
	for _, r := range removals {
		reasons[r.PageID] = r.Reason
		require.Zero(t, w.count(`SELECT count(*) FROM archon_crawled_pages WHERE metadata->>'page_id' = $1`, r.PageID))
	}
	require.Equal(t, map[string]string{archived.ID: "archived", trashed.ID: "trashed"}, reasons)

	require.NoError(t, w.site.RestorePage(trashed.ID))
	last = w.sync(event.Full)
	require.Equal(t, 1, last.Counts.Created, "a page that is restored: %+v", last.Counts)
	require.NotZero(t, w.count(`SELECT count(*) FROM archon_crawled_pages WHERE metadata->>'page_id' = $1`, trashed.ID))
}

func TestARunThatWouldRemoveTooMuchIsHeld(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.GeneratedSpace, generated(60))
	w.startAll()
	require.Equal(t, event.StateCompleted, w.sync(event.Full).State)
	before := w.rows()
	for range 20 {
		require.NoError(t, w.site.TrashPage(leaf(t, w, 0).ID))
	}
	last := w.sync(event.Full)
	require.Equal(t, event.StateHeld, last.State)
	require.Contains(t, last.Message, "sluice removals approve "+last.RunID)
	requireSame(t, before, w.rows(), "nothing is removed")
	held, err := w.store.Reader().HeldRemovals(t.Context(), viewer.All(), last.RunID)
	require.NoError(t, err)
	require.Len(t, held, 20)

	// Only the pages that were seen are approved: if more would be removed, the run is held again.
	for range 15 {
		require.NoError(t, w.site.TrashPage(leaf(t, w, 0).ID))
	}
	require.NoError(t, w.bus.Publish(t.Context(), event.SyncRequested{RequestID: "seen-only", Mode: event.Full, ApprovesRun: last.RunID, SourceID: source}))
	require.Equal(t, event.StateHeld, w.follow("seen-only").State)
	requireSame(t, before, w.rows(), "nothing is removed")

	require.NoError(t, w.bus.Publish(t.Context(), event.SyncRequested{RequestID: "approved", Mode: event.Full, ApprovesRun: "seen-only", SourceID: source}))
	last = w.follow("approved")
	require.Equal(t, event.StateCompleted, last.State, last.Message)
	require.Equal(t, 35, last.Counts.Removed)
}

func TestScaleOutStoresWhatOneProcessStores(t *testing.T) {
	t.Parallel()
	const pages = 600 // six tasks
	one := newWorld(t, sandbox.GeneratedSpace, generated(pages))
	stop := one.startAll()
	require.Equal(t, event.StateCompleted, one.sync(event.Full).State)
	stop()

	many := newWorldOn(t, one.space, one.site, one.served)
	for _, name := range append(stages.Names(), "converter", "chunk-writer") {
		many.start(name)
	}
	last := many.sync(event.Full)
	require.Equal(t, event.StateCompleted, last.State, last.Message)
	require.Equal(t, last.Counts.Listed, last.Counts.Created)
	require.GreaterOrEqual(t, last.Counts.Listed, pages)
	require.Equal(t, last.Counts.Listed, many.count(`SELECT count(*) FROM confluence_pages`))
	requireSame(t, one.rows(), many.rows(), "many processes compared with one")
}

func TestAPageOfFiveMegabytesArrivesWhole(t *testing.T) {
	t.Parallel()
	site := sandbox.New(sandbox.Options{})
	require.NoError(t, site.AddSpace("BIG", "Big"))
	var body strings.Builder
	for i := 0; body.Len() < 5<<20; i++ {
		fmt.Fprintf(&body, "<h2>Part %d</h2><p>Words of part %d, unlike those of its neighbours: %x.</p>", i, i, i*2654435761)
	}
	body.WriteString("<p>The very last words.</p>")
	big, err := site.CreatePage(sandbox.Draft{Space: "BIG", Title: "Five megabytes", Body: body.String()})
	require.NoError(t, err)
	w := newWorld(t, "BIG", site)
	w.startAll()
	last := w.sync(event.Full)
	require.Equal(t, event.StateCompleted, last.State, last.Message)
	stored, err := w.store.Reader().Page(t.Context(), viewer.All(), big.ID)
	require.NoError(t, err)
	want, err := markdown.Convert(body.String(), page0(w, big))
	require.NoError(t, err)
	require.Equal(t, len(want.Markdown), len(stored.Markdown))
	require.True(t, want.Markdown == stored.Markdown, "the pipeline and the converter produce the same bytes")
	hits, err := w.store.Searcher().Search(t.Context(), viewer.All(), "\"very last words\"", search.Filter{})
	require.NoError(t, err)
	require.NotEmpty(t, hits)
}

// page0 returns what a converter without a site knows of a page.
func page0(w *world, p sandbox.Page) page.Facts {
	return page.Facts{ID: p.ID, Title: p.Title, SpaceKey: p.Space, BaseURL: w.served.URL + "/wiki"}
}

func TestAPageWithABrokenMacroIsStoredWithItsLoss(t *testing.T) {
	t.Parallel()
	site := sandbox.New(sandbox.Options{})
	require.NoError(t, site.AddSpace("ODD", "Odd"))
	body := `<p>Before.</p><ac:structured-macro ac:name="from-the-future"><ac:parameter ac:name="x">1</ac:parameter></ac:structured-macro><p>After <b>all.</p>`
	odd, err := site.CreatePage(sandbox.Draft{Space: "ODD", Title: "Odd page", Body: body})
	require.NoError(t, err)
	includes, err := site.CreatePage(sandbox.Draft{Space: "ODD", Title: "Including page",
		Body: `<ac:structured-macro ac:name="include"><ac:parameter ac:name=""><ac:link><ri:page ri:content-title="Odd page"/></ac:link></ac:parameter></ac:structured-macro>`})
	require.NoError(t, err)
	w := newWorld(t, "ODD", site)
	w.startAll()
	last := w.sync(event.Full)
	require.Equal(t, event.StateCompleted, last.State, last.Message)
	stored, err := w.store.Reader().Page(t.Context(), viewer.All(), odd.ID)
	require.NoError(t, err)
	require.Contains(t, stored.Markdown, "Before.")
	require.Contains(t, stored.Markdown, "all.")
	require.NotZero(t, w.count(`SELECT count(*) FROM confluence_page_content, jsonb_to_recordset(losses) AS l(element text, fate text)
		WHERE page_id = $1 AND l.element LIKE '%from-the-future%' AND l.fate = 'dropped'`, odd.ID))
	require.Equal(t, 1, w.count(`SELECT count(*) FROM confluence_page_content WHERE page_id = $1 AND includes->0->>'page_id' = $2`, includes.ID, odd.ID))
}

func TestAScopedTokenIsUsedAtTheGateway(t *testing.T) {
	t.Parallel()
	site := sandbox.New(sandbox.Options{Scoped: true})
	site.AddBuiltin()
	w := newWorld(t, sandbox.BuiltinSpace, site)
	w.gateway = w.served.URL
	w.startAll()
	last := w.sync(event.Full)
	require.Equal(t, event.StateCompleted, last.State, last.Message)
	require.Zero(t, w.count(`SELECT count(*) FROM confluence_page_content WHERE url NOT LIKE $1`, w.served.URL+"/wiki/spaces/%"), "pages keep the site's address")
}

func TestStoppedInMidRunItGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.GeneratedSpace, generated(400))
	names := stages.Names()
	var running []*program
	for _, name := range names {
		running = append(running, w.start(name))
	}
	id := w.ask(event.Full)
	require.Eventually(t, func() bool {
		n := w.count(`SELECT count(*) FROM confluence_pages`)
		return n > 20
	}, time.Minute, 5*time.Millisecond)
	for _, p := range running {
		p.terminate(t)
	}
	require.Less(t, w.count(`SELECT count(*) FROM confluence_pages`), 400, "the run ended before it could be stopped")
	for _, name := range names {
		w.start(name)
	}
	last := w.follow(id)
	require.Equal(t, event.StateCompleted, last.State, last.Message)
	require.Equal(t, last.Counts.Listed, last.Counts.Created)
	require.Equal(t, last.Counts.Listed, w.count(`SELECT count(*) FROM confluence_pages`))
}

// stranger speaks NATS's text protocol over a plain TCP connection: a client that shares no code with ours.
type stranger struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func (w *world) stranger() *stranger {
	w.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.ground.natsURL, "nats://"))
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = conn.Close() })
	require.NoError(w.t, conn.SetDeadline(time.Now().Add(2*time.Minute)))
	s := &stranger{t: w.t, conn: conn, in: bufio.NewReader(conn)}
	s.send(`CONNECT {"verbose":false,"headers":true,"lang":"telnet","version":"0","protocol":1}` + "\r\n")
	return s
}

func (s *stranger) send(text string) {
	_, err := s.conn.Write([]byte(text))
	require.NoError(s.t, err)
}

func (s *stranger) publish(subject, payload string) {
	s.send(fmt.Sprintf("PUB %s %d\r\n%s\r\n", subject, len(payload), payload))
}

// next decodes the JSON of the next message, with or without headers.
func (s *stranger) next(into any) {
	s.t.Helper()
	for {
		line, err := s.in.ReadString('\n')
		require.NoError(s.t, err)
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if words[0] == "PING" {
			s.send("PONG\r\n")
		}
		if words[0] != "MSG" && words[0] != "HMSG" {
			continue
		}
		var total, header int
		_, err = fmt.Sscan(words[len(words)-1], &total)
		require.NoError(s.t, err)
		if words[0] == "HMSG" {
			_, err = fmt.Sscan(words[len(words)-2], &header)
			require.NoError(s.t, err)
		}
		data := make([]byte, total+2)
		for n := 0; n < len(data); {
			k, err := s.in.Read(data[n:])
			require.NoError(s.t, err)
			n += k
		}
		require.NoError(s.t, json.Unmarshal(data[header:total], into), "%s", data)
		return
	}
}

func TestAnyClientStartsARunAndFollowsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.BuiltinSpace, builtin())
	w.startAll()
	s := w.stranger()
	s.send("SUB sluice.v1.progress.docs.by-hand 1\r\n")
	s.publish("sluice.v1.sync.requested.docs", `{"request_id": "by-hand", "mode": "full"}`)
	for {
		var p struct {
			State  string `json:"state"`
			Counts struct {
				Listed  int `json:"listed"`
				Created int `json:"created"`
			} `json:"counts"`
		}
		s.next(&p)
		if p.State == "completed" {
			require.GreaterOrEqual(t, p.Counts.Created, 60)
			return
		}
		require.Contains(t, []string{"requested", "listing", "fetching", "finishing"}, p.State)
	}
}

func TestBadRequestsAreRejectedAndNothingElseSuffers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.BuiltinSpace, builtin())
	w.startAll()
	s := w.stranger()
	s.send("SUB sluice.v1.sync.rejected.* 1\r\n")
	for _, bad := range []struct{ source, payload, code, says string }{
		{"docs", `{"request_id": `, "bad_request", "not JSON"},
		{"docs", ``, "bad_request", "not JSON"},
		{"docs", `{"mode": "full"}`, "bad_request", "request_id"},
		{"docs", `{"request_id": "a b", "mode": "full"}`, "bad_request", "request_id"},
		{"docs", `{"request_id": "r1", "mode": "everything"}`, "bad_request", "everything"},
		{"docs", `["request_id"]`, "bad_request", "not JSON"},
		{"nowhere", `{"request_id": "r1", "mode": "full"}`, "unknown_source", "source add"},
	} {
		s.publish("sluice.v1.sync.requested."+bad.source, bad.payload)
		var got event.SyncRejected
		s.next(&got)
		require.Equal(t, bad.source, got.SourceID)
		require.Equal(t, bad.code, string(got.Code), got.Message)
		require.Contains(t, got.Message, bad.says)
	}
	require.Equal(t, event.StateCompleted, w.sync(event.Full).State, "good requests still pass")
}

package torture

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/bus"
)

// rowsSQL returns what two databases of the same site have in common: everything except ids, times and data of
// removed pages. The version of a thread is how often this database has seen it change.
const rowsSQL = `
	SELECT concat_ws(' | ', 'page', page_id, kind, source_id, space_key, title, CASE WHEN kind <> 'comment' THEN version END, last_modified, path, metadata)
		FROM confluence_pages WHERE NOT is_deleted UNION ALL
	SELECT concat_ws(' | ', 'content', page_id, url, markdown, losses, headings, includes, pipeline_version)
		FROM confluence_page_content JOIN confluence_pages USING (page_id, site_id) WHERE NOT is_deleted UNION ALL
	SELECT concat_ws(' | ', 'chunk', metadata->>'page_id', chunk_number, url, content, metadata, source_id)
		FROM archon_crawled_pages UNION ALL
	SELECT concat_ws(' | ', 'node', node_id, kind, title, parent_id, parent_kind, path) FROM confluence_tree
	ORDER BY 1`

// Each of these counts must be zero.
var zeros = map[string]string{
	"chunks without a page": `SELECT count(*) FROM archon_crawled_pages c WHERE NOT EXISTS (
		SELECT FROM confluence_pages p WHERE p.page_id = c.metadata->>'page_id' AND NOT p.is_deleted)`,
	"pages without Markdown": `SELECT count(*) FROM confluence_pages p WHERE NOT is_deleted AND NOT EXISTS (
		SELECT FROM confluence_page_content c WHERE c.page_id = p.page_id)`,
	"Markdown without a page": `SELECT count(*) FROM confluence_page_content c WHERE NOT EXISTS (
		SELECT FROM confluence_pages p WHERE p.page_id = c.page_id)`,
	"chunks half replaced": `SELECT count(*) FROM archon_crawled_pages WHERE metadata ? '_pending_deletion' OR chunk_number < 0`,
	"chunks stored twice": `SELECT count(*) FROM (SELECT metadata->>'page_id', metadata->>'chunk_index'
		FROM archon_crawled_pages GROUP BY 1, 2 HAVING count(*) > 1) twice`,
	"pages whose chunks have gaps": `SELECT count(*) FROM (SELECT metadata->>'page_id' FROM archon_crawled_pages
		GROUP BY 1 HAVING max(chunk_number) - min(chunk_number) + 1 <> count(*)) gaps`,
	"runs that are open": `SELECT count(*) FROM confluence_sync_runs WHERE finished_at IS NULL`,
	"completed runs whose ledger does not balance": `SELECT count(*) FROM confluence_sync_runs r
		WHERE state IN ('completed', 'completed_with_failures', 'held')
		AND (SELECT count(*) FILTER (WHERE outcome IS NOT NULL) FROM confluence_sync_pages p WHERE p.run_id = r.run_id)
			<> listed + coalesce(removal_candidates, 0)`,
	"removals without a reason": `SELECT count(*) FROM confluence_sync_pages WHERE outcome = 'removed' AND coalesce(reason, '') = ''`,
	"failures without a code":   `SELECT count(*) FROM confluence_sync_pages WHERE outcome = 'failed' AND coalesce(reason, '') = ''`,
}

// settle waits until no stage has work left: a late copy of a message must not change the data during the comparison.
func (w *world) settle(ctx context.Context) {
	js, err := jetstream.New(w.nc)
	require.NoError(w.t, err)
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	left := ""
	for pause(ctx, 300*time.Millisecond) {
		left = ""
		for _, s := range bus.Topology {
			stream, err := js.Stream(ctx, s.Name)
			if err != nil {
				left += fmt.Sprintf(" %s: %v", s.Name, err)
				continue
			}
			if n := stream.CachedInfo().State.Msgs; s.Work && n > 0 {
				left += fmt.Sprintf(" %s: %d messages", s.Name, n)
			}
			for _, c := range s.Consumers {
				if c.Durable == "embedder" && w.model == nil {
					continue // without a model it reads nothing, and its nudges expire with the stream's limits
				}
				info, err := stream.Consumer(ctx, c.Durable)
				if err != nil {
					left += fmt.Sprintf(" %s: %v", c.Durable, err)
				} else if i := info.CachedInfo(); i.NumPending > 0 || i.NumAckPending > 0 {
					left += fmt.Sprintf(" %s: %d pending, %d not acknowledged", c.Durable, i.NumPending, i.NumAckPending)
				}
			}
		}
		if left == "" {
			return
		}
	}
	w.wrong("messages are left:%s", left)
}

// compare compares the database with the site, checks it for consistency, and compares it with a database that an
// undisturbed run fills from the same site.
func (w *world) compare(ctx context.Context) {
	for what, sql := range zeros {
		var n int
		err := w.query(ctx, sql, nil, func(r pgx.Rows) error { return r.Scan(&n) })
		require.NoError(w.t, err, what)
		if n > 0 {
			w.wrong("%d %s", n, what)
		}
	}
	w.compareWithSite(ctx)
	calmURL, err := w.pg.create(ctx, "calm")
	require.NoError(w.t, err)
	w.calmRun(ctx, calmURL)
	got, want := w.rows(ctx, w.pg.url), w.rows(ctx, calmURL)
	missing, extra := difference(want, got)
	if len(missing)+len(extra) > 0 {
		w.wrong("%d rows of the undisturbed database are missing, %d are there that it does not have, of %d:%s%s",
			len(missing), len(extra), len(want), sample("missing", missing), sample("too many", extra))
		dump(w.dir, "calm.txt", want)
		dump(w.dir, "tortured.txt", got)
		dump(w.dir, "missing.txt", missing)
		dump(w.dir, "extra.txt", extra)
	}
}

// compareWithSite checks that each page, thread and file of the site is stored, and that whatever is stored is on the site.
func (w *world) compareWithSite(ctx context.Context) {
	stored := map[string]int{}
	err := w.query(ctx, `SELECT page_id, CASE WHEN kind = 'comment' THEN 0 ELSE version END FROM confluence_pages WHERE NOT is_deleted`, nil, func(r pgx.Rows) error {
		var id string
		var version int
		err := r.Scan(&id, &version)
		stored[id] = version
		return err
	})
	require.NoError(w.t, err)
	wanted := w.parts()
	for _, p := range w.site.Pages(sandbox.GeneratedSpace) {
		if p.Kind == sandbox.KindPage && p.Status == "current" {
			wanted[p.ID] = p.Version
		}
	}
	for id, has := range wanted {
		if version, ok := stored[id]; !ok {
			w.wrong("lost: page %s, version %d", id, has)
		} else if version != has {
			w.wrong("page %s is stored with version %d, and the site has version %d", id, version, has)
		}
		delete(stored, id)
	}
	for id := range stored {
		w.wrong("page %s is stored and not on the site", id)
	}
}

func (w *world) rows(ctx context.Context, url string) []string {
	conn, err := pgx.Connect(ctx, url)
	require.NoError(w.t, err)
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, rowsSQL)
	require.NoError(w.t, err)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(w.t, err)
	require.NotEmpty(w.t, list)
	return list
}

// difference returns the rows of want that are missing in got, and the rows of got that are not in want; rows may
// occur several times.
func difference(want, got []string) (missing, extra []string) {
	n := map[string]int{}
	for _, row := range got {
		n[row]++
	}
	for _, row := range want {
		if n[row]--; n[row] < 0 {
			missing = append(missing, row)
		}
	}
	for _, row := range got {
		if n[row] > 0 {
			n[row]--
			extra = append(extra, row)
		}
	}
	return missing, extra
}

// sample returns the first rows; all of them are in the folder.
func sample(what string, rows []string) string {
	var b strings.Builder
	for i, row := range rows {
		if i == 3 {
			break
		}
		if len(row) > 500 {
			row = row[:500] + "…"
		}
		fmt.Fprintf(&b, "\n\t%s: %s", what, row)
	}
	return b.String()
}

func dump(dir, name string, rows []string) {
	_ = os.WriteFile(filepath.Join(dir, name), []byte(strings.Join(rows, "\n")+"\n"), 0o644)
}

package torture

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// lookSQL returns removed pages, pages without chunks, sums that must not decrease, and the number of half-replaced
// chunks. Comments and files are pages here. Versions are summed by their times, because numbers decrease when people
// delete old versions; those of threads are not, because the time of one decreases when its last comment is deleted.
const lookSQL = `
	SELECT coalesce(array_agg(page_id) FILTER (WHERE is_deleted), '{}'),
		coalesce(array_agg(page_id) FILTER (WHERE NOT is_deleted AND NOT chunks), '{}'),
		count(*)::int, coalesce(sum((extract(epoch FROM last_modified) * 1000)::bigint) FILTER (WHERE kind <> 'comment'), 0)::bigint,
		(SELECT count(*) FROM archon_crawled_pages WHERE metadata ? '_pending_deletion' OR chunk_number < 0)::int
	FROM (SELECT page_id, kind, is_deleted, last_modified, EXISTS (
			SELECT FROM archon_crawled_pages c WHERE c.metadata ? 'page_id' AND c.metadata->>'page_id' = p.page_id) AS chunks
		FROM confluence_pages p) looked`

type look struct {
	deleted, silent []string
	pages, halfDone int
	times           int64 // of all pages' versions together, in milliseconds
}

// watch checks ten times per second whether a page that is still on the site has disappeared, or a sum has decreased.
func (w *world) watch(ctx context.Context) {
	var conn *pgx.Conn
	defer func() {
		if conn != nil {
			_ = conn.Close(context.WithoutCancel(ctx))
		}
	}()
	var last look
	for pause(ctx, 100*time.Millisecond) {
		var err error
		if conn == nil {
			if conn, err = pgx.Connect(ctx, w.pg.url); err != nil {
				conn = nil
				continue // the server is being killed
			}
		}
		var l look
		err = conn.QueryRow(ctx, lookSQL).Scan(&l.deleted, &l.silent, &l.pages, &l.times, &l.halfDone)
		if err != nil {
			_ = conn.Close(context.WithoutCancel(ctx))
			conn = nil
			continue
		}
		w.result.samples++
		w.judge(l, last)
		last = l
	}
}

func (w *world) judge(l, last look) {
	for _, id := range l.deleted {
		if !w.gone(id) {
			w.wrong("%s: page %s is removed and has been on the site all the time", time.Now().UTC().Format(time.TimeOnly), id)
			w.excuse(id) // reported once
		}
	}
	for _, id := range l.silent {
		w.wrong("%s: page %s is stored and has no chunks", time.Now().UTC().Format(time.TimeOnly), id)
	}
	if l.pages < last.pages || l.times < last.times {
		w.wrong("stored pages went from %d to %d, the sum of the times of their versions from %d to %d", last.pages, l.pages, last.times, l.times)
	}
	if l.halfDone > 0 {
		w.wrong("%d chunks show that they are being replaced", l.halfDone)
	}
}

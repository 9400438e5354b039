package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store/internal/pg"
)

// PageWrite is a converted page with its chunks, stored in one transaction.
type PageWrite struct {
	SourceID string
	RunID    string
	Attempt  int
	Page     page.Facts
	Path     string
	Trail    string // from the page's Place; "" is not compared
	Metadata page.Metadata
	Markdown string
	Headings []page.Heading
	Losses   []page.Loss
	Includes []page.Link // pages that this page transcludes
	Chunks   []Chunk

	FetchedAt   time.Time // when the body was read; zero if unknown
	ConvertedAt time.Time
	BodyBytes   int
}

func (w PageWrite) document() document {
	return document{sourceID: w.SourceID, id: w.Page.ID, title: w.Page.Title, url: w.Page.URL, markdown: w.Markdown, headings: w.Headings}
}

// ErrMoved is returned by WritePage if the page's place in the tree has changed since the caller read it.
var ErrMoved = errors.New("the page has moved in the meantime")

// WritePage replaces a page and its chunks and sets its outcome in its run's ledger, in one transaction: a reader
// sees all old or all new. It returns the outcome. A page that has already ended in this run, or is stored in a newer
// version, is not changed.
//
// A page is written only while its run is open: the body that an ended run fetched may be outdated, and the next run
// lists the page again. RunID may be empty for a page without a run.
//
// The error carries failure.BadEvent if the run does not list the page, and failure.SourceGone if the source, or the
// run's source, was removed in the meantime. Pages of different sites with the same id are different pages.
func (s *Store) WritePage(ctx context.Context, w PageWrite) (event.Outcome, error) {
	var outcome event.Outcome
	err := pg.RetryDeadlock("write page "+w.Page.ID, func() error {
		return s.pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
			err := writePage(ctx, conn, w, &outcome)
			if err != nil {
				// The pool closes a connection whose transaction cannot be rolled back.
				_, _ = conn.Exec(ctx, "ROLLBACK")
			}
			return err
		})
	})
	if err == nil && (outcome == event.Created || outcome == event.Updated) {
		s.searcher.Wrote(ctx, len(w.Chunks))
	}
	return outcome, err
}

// writePage runs one transaction in two round trips: the first one begins it and reads, the second one writes and
// commits. After an error the transaction may still be open, or may be committed.
func writePage(ctx context.Context, conn *pgxpool.Conn, w PageWrite, outcome *event.Outcome) error {
	old, err := lockPage(ctx, conn, w)
	if err != nil {
		return err
	}
	b := &pgx.Batch{}
	var changes bool
	if *outcome, changes = old.decide(); changes {
		if err := queuePage(b, w, old); err != nil {
			return err
		}
	}
	queueOutcome(b, w, outcome)
	b.Queue("COMMIT")
	return addressTaken(conn.SendBatch(ctx, b).Close(), w.Page.URL)
}

// stored is what the database contains of a page before it is written.
type stored struct {
	site                 *int // of the source
	there, deleted, same bool
	open                 bool          // the run has not ended
	newer                bool          // the stored version is newer, or the stored body of the same version was read later: by another source, or for a page without versions
	ended                event.Outcome // in this run's ledger
	chunks               []oldChunk
	lost                 bool   // the page should have chunks, but something other than the store has deleted them
	archon               bool   // see hasArchonPages
	source               string // that the page had
}

// decide returns the outcome of the page, and whether the page must be written for it.
func (o stored) decide() (outcome event.Outcome, changes bool) {
	switch {
	case !o.open, o.ended == event.Removed, o.deleted && o.ended != "" && o.ended != event.Failed:
		// A late copy must not restore a page that was removed in the meantime.
		return cmp.Or(o.ended, event.Unchanged), false
	case !o.there, o.deleted:
		return event.Created, true
	case o.same && !o.lost, o.newer:
		return event.Unchanged, false
	default:
		return event.Updated, true
	}
}

// lockPages serializes the writers and removers of a page, even if the page is not stored yet. Everyone takes the
// locks in this order, the source's lock first, including RemoveSource, so no deadlock can occur.
func lockPages(ctx context.Context, tx pgx.Tx, sourceID string, ids ...string) error {
	b := &pgx.Batch{}
	queueLocks(b, sourceID, ids...)
	return tx.SendBatch(ctx, b).Close()
}

func queueLocks(b *pgx.Batch, sourceID string, ids ...string) {
	b.Queue(`SELECT FROM archon_sources WHERE source_id = $1 FOR KEY SHARE`, sourceID)
	b.Queue(`SELECT pg_advisory_xact_lock(hashtextextended('confluence:' || id, 0))
		FROM (SELECT id FROM unnest($1::text[]) AS id ORDER BY id) ordered`, ids)
}

// lockPage begins a transaction, serializes the writers of one page, even if the page is not stored yet, and reads
// what decide needs. It takes one round trip. Each statement sees what was committed before it started, so the later
// ones see what the locks waited for.
func lockPage(ctx context.Context, conn *pgxpool.Conn, w PageWrite) (stored, error) {
	var o stored
	var mine, listed, moved bool
	var state event.State
	b := &pgx.Batch{}
	b.Queue("BEGIN")
	queueLocks(b, w.SourceID, w.Page.ID)
	// The page's place stays as it is compared below until the page is stored: who may see it is decided by its place.
	b.Queue(`SELECT FROM confluence_tree WHERE source_id = $1 AND node_id = $2 FOR SHARE`, w.SourceID, w.Page.ID)
	b.Queue(`
		SELECT me.source_id IS NOT NULL, p.page_id IS NOT NULL, coalesce(p.is_deleted, false),
			l.page_id IS NOT NULL, coalesce(l.outcome, ''), coalesce(r.state, ''), at.site_id,
			coalesce(p.source_id = $2 AND p.version = $4 AND p.title = $5 AND p.path = $6 AND p.metadata = $7::jsonb
				AND p.last_modified = coalesce($14, p.last_modified) AND c.url = $8 AND c.markdown = $9 AND c.pipeline_version = $10, false),
			coalesce(CASE
				WHEN $13 = '' AND p.last_modified <> $14 THEN p.last_modified > $14 AND `+timeCounts+`
				WHEN p.version <> $4 THEN p.version > $4
				ELSE (p.source_id <> $2 OR $13 <> '') AND c.fetched_at > $11 END, false),
			$12 <> '' AND (t.path, t.trail) IS DISTINCT FROM ($6, $12), `+hasArchonPages+`, coalesce(p.source_id, $2)
		FROM (SELECT 1) one
		LEFT JOIN archon_sources me ON me.source_id = $2
		LEFT JOIN confluence_spaces at ON at.source_id = me.source_id
		LEFT JOIN confluence_pages p ON p.page_id = $1 AND p.site_id = at.site_id
		LEFT JOIN confluence_page_content c ON c.page_id = p.page_id AND c.site_id = p.site_id
		LEFT JOIN confluence_tree t ON t.source_id = $2 AND t.node_id = $1
		LEFT JOIN confluence_sync_runs r ON r.run_id = $3 AND r.source_id = $2
		LEFT JOIN confluence_sync_pages l ON l.run_id = r.run_id AND l.page_id = $1`,
		w.Page.ID, w.SourceID, w.RunID, w.Page.Version, w.Page.Title, w.Path, w.Metadata, w.Page.URL, w.Markdown, pipelineVersion(w.Page),
		orNull(w.FetchedAt), w.Trail, w.Page.Hash, orNull(w.Page.ModifiedAt)).
		QueryRow(func(row pgx.Row) error {
			return row.Scan(&mine, &o.there, &o.deleted, &listed, &o.ended, &state, &o.site, &o.same, &o.newer, &moved, &o.archon, &o.source)
		})
	// The page may have moved from another source of the same site. Its chunks there are deleted.
	b.Queue(storedChunksSQL(pg.ChunkOfPages("c", "= $1")+` AND c.source_id IN `+sameSite), w.Page.ID, w.SourceID).
		Query(func(rows pgx.Rows) (err error) {
			o.chunks, err = collectStored(rows)
			return err
		})
	err := conn.SendBatch(ctx, b).Close()
	switch {
	case err != nil:
		return o, err
	case !mine:
		return o, failure.New(failure.SourceGone, "source %s is no longer registered", w.SourceID)
	case o.site == nil: // fail closed: page ids are unique per site only
		return o, fmt.Errorf("source %s has no known site; it was not added by Sluice", w.SourceID)
	case w.RunID != "" && state == "":
		// A new source may have the same id: it is a different source.
		return o, failure.New(failure.SourceGone, "run %s no longer exists: its source was removed", w.RunID)
	case w.RunID != "" && !listed:
		return o, failure.New(failure.BadEvent, "run %s does not list page %s", w.RunID, w.Page.ID)
	}
	o.open = w.RunID == "" || !state.Final()
	o.lost = len(o.chunks) == 0 && len(w.Chunks) > 0
	if moved {
		return o, ErrMoved
	}
	return o, nil
}

// queuePage queues the statements that replace the stored page.
func queuePage(b *pgx.Batch, w PageWrite, old stored) error {
	b.Queue(`
		INSERT INTO confluence_pages (page_id, source_id, space_key, title, version, last_modified, path, metadata, kind, site_id)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (page_id, site_id) DO UPDATE SET source_id = excluded.source_id, space_key = excluded.space_key,
			title = excluded.title, version = excluded.version, last_modified = excluded.last_modified,
			path = excluded.path, metadata = excluded.metadata, kind = excluded.kind, is_deleted = false, updated_at = now()`,
		w.Page.ID, w.SourceID, w.Page.SpaceKey, w.Page.Title, w.Page.Version, modified(w.Page), w.Path, w.Metadata, cmp.Or(w.Page.Kind, "page"), old.site)
	b.Queue(`
		INSERT INTO confluence_page_content (page_id, url, markdown, losses, headings, includes, pipeline_version, fetched_at, body_hash, site_id, last_edit)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, nullif($9, ''), $10, $11)
		ON CONFLICT (page_id, site_id) DO UPDATE SET url = excluded.url, markdown = excluded.markdown, losses = excluded.losses,
			headings = excluded.headings, includes = excluded.includes, pipeline_version = excluded.pipeline_version,
			fetched_at = excluded.fetched_at, body_hash = excluded.body_hash, last_edit = excluded.last_edit, updated_at = now()`,
		w.Page.ID, w.Page.URL, w.Markdown, orEmpty(w.Losses), orEmpty(w.Headings), orEmpty(w.Includes), pipelineVersion(w.Page), orNull(w.FetchedAt), w.Page.Hash, old.site, editOf(w.Page.Version, old.chunks, w.Chunks))
	if old.deleted {
		b.Queue(`UPDATE confluence_removals SET restored_at = now()
			WHERE page_id = $1 AND restored_at IS NULL AND source_id IN `+sameSite, w.Page.ID, w.SourceID)
	}
	chunks := setArchonPages(b, old.archon, w.document(), w.Chunks, old.chunks, old.source)
	return queueChunks(b, w.SourceID, w.Page.URL, old.chunks, chunks, old.archon)
}

// timeCounts is the SQL condition that the time of the stored page p is usable. A time in the future, from one wrong
// answer or event, would block every newer version until then. The margin allows for clocks that differ.
const timeCounts = `p.last_modified <= now() + interval '1 minute'`

// modified returns when the page's version was made. If Confluence gives no time, it is now; if it gives only
// impossible times, it is long ago, so the next listed version is newer.
func modified(f page.Facts) time.Time {
	now := time.Now()
	unsaid := now
	for _, t := range []time.Time{f.ModifiedAt, f.CreatedAt} {
		switch {
		case t.IsZero():
		case t.Before(now.Add(24 * time.Hour)):
			return t
		default:
			unsaid = time.Unix(0, 0)
		}
	}
	return unsaid
}

// queueOutcome sets the outcome of the page in the ledger. It changes *outcome to the recorded one, and leaves it
// unchanged if the run does not list the page. A page that had failed counts as stored if its run is still open; the
// outcomes of an ended run stay.
func queueOutcome(b *pgx.Batch, w PageWrite, outcome *event.Outcome) {
	b.Queue(`
		WITH done AS (
			UPDATE confluence_sync_pages SET outcome = $3, title = $4, version = $5, version_at = coalesce($10, version_at),
				reason = NULL, message = NULL, attempts = $6, ended_at = now(),
				fetched_at = $7, converted_at = $8, bytes = $9
			WHERE run_id = $1 AND page_id = $2 AND (outcome IS NULL OR outcome = 'failed' AND EXISTS (
				SELECT FROM confluence_sync_runs r WHERE r.run_id = $1 AND r.state IN ('listing', 'fetching', 'finishing')))
			RETURNING outcome
		)
		SELECT outcome FROM done UNION ALL
		SELECT outcome FROM confluence_sync_pages
		WHERE run_id = $1 AND page_id = $2 AND outcome IS NOT NULL AND NOT EXISTS (SELECT FROM done)`,
		w.RunID, w.Page.ID, *outcome, w.Page.Title, w.Page.Version, w.Attempt,
		orNull(w.FetchedAt), orNull(w.ConvertedAt), w.BodyBytes, orNull(w.Page.ModifiedAt)).
		QueryRow(func(row pgx.Row) error {
			if err := row.Scan(outcome); !errors.Is(err, pgx.ErrNoRows) {
				return err
			}
			return nil
		})
}

// orNull turns the zero time into NULL.
func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// orEmpty turns a nil slice into an empty one, which is stored as [] rather than null.
func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/page"
)

// Pipeline is the generation of converter and chunker. A page that an older generation
// wrote is listed as changed, so raising it rewrites every page on its next run.
const Pipeline = 1

// Listed is one page as a listing gives it. Title, status and parent are empty where the
// listing does not know them (the search index).
type Listed struct {
	ID         string
	Version    int
	Title      string
	Status     string
	ParentID   string
	ParentKind string
}

// ListingLease is how long a lister that gives no sign is waited for before another one may
// begin. It is shorter than the broker's wait for a worker that has died, so that its
// request finds the listing free.
const ListingLease = 45 * time.Second

// StartListing begins or restarts a run's listing and forgets what an earlier attempt
// listed. startedAt is Confluence's clock and becomes the watermark. It returns the
// attempt, which every later step of this listing must show.
//
// ErrNotCurrent when another replica lists the run and has given a sign of life within
// ListingLease: copies of one request would else take the listing from each other for ever.
func (s *Store) StartListing(ctx context.Context, runID string, startedAt time.Time) (int, error) {
	var attempt int
	err := s.inTx(ctx, "start listing of run "+runID, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			UPDATE confluence_sync_runs SET listing_started_at = $2, attempt = attempt + 1, sent_at = now(),
				listing_until = now() + $3::interval
			WHERE run_id = $1 AND state = 'listing' AND coalesce(listing_until, now()) <= now()
			RETURNING attempt`, runID, startedAt, ListingLease).Scan(&attempt)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrNotCurrent
		}
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM confluence_sync_pages WHERE run_id = $1`, runID)
		return err
	})
	return attempt, err
}

// KeepListing is the lister's sign of life. ErrNotCurrent when the run is no longer its own.
func (s *Store) KeepListing(ctx context.Context, runID string, attempt int) error {
	if err := holdListing(ctx, s.pool, runID, attempt); err != nil {
		return fmt.Errorf("keep the listing of run %s: %w", runID, err)
	}
	return nil
}

// LeaveListing lets another replica list at once, for a lister that gives up before the end.
func (s *Store) LeaveListing(ctx context.Context, runID string, attempt int) error {
	_, err := s.pool.Exec(ctx, `UPDATE confluence_sync_runs SET listing_until = NULL
		WHERE run_id = $1 AND attempt = $2 AND state = 'listing'`, runID, attempt)
	if err != nil {
		return fmt.Errorf("leave the listing of run %s: %w", runID, err)
	}
	return nil
}

type execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// holdListing renews the lister's lease, or says that another replica has the run now.
func holdListing(ctx context.Context, q execer, runID string, attempt int) error {
	tag, err := q.Exec(ctx, `UPDATE confluence_sync_runs SET sent_at = now(), listing_until = now() + $3::interval
		WHERE run_id = $1 AND attempt = $2 AND state = 'listing'`, runID, attempt, ListingLease)
	if err == nil && tag.RowsAffected() == 0 {
		return ErrNotCurrent
	}
	return err
}

// AddListed writes a batch of the listing into the ledger. A page that is listed twice,
// because it moved between batches, counts once, with its newest version. ErrNotCurrent
// when another replica lists the run now.
func (s *Store) AddListed(ctx context.Context, runID string, attempt int, batch []Listed) error {
	n := len(batch)
	ids, versions, titles := make([]string, n), make([]int, n), make([]string, n)
	status, parents, kinds := make([]string, n), make([]string, n), make([]string, n)
	for i, l := range batch {
		ids[i], versions[i], titles[i], status[i], parents[i], kinds[i] = l.ID, l.Version, l.Title, l.Status, l.ParentID, l.ParentKind
	}
	return s.inTx(ctx, "list pages of run "+runID, func(tx pgx.Tx) error {
		if err := holdListing(ctx, tx, runID, attempt); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO confluence_sync_pages (run_id, page_id, version, title, status, parent_id, parent_kind)
			SELECT DISTINCT ON (id) $1, id, version, title, coalesce(nullif(status, ''), 'current'), nullif(parent, ''), nullif(kind, '')
			FROM unnest($2::text[], $3::int[], $4::text[], $5::text[], $6::text[], $7::text[])
				AS l(id, version, title, status, parent, kind)
			ORDER BY id, version DESC
			ON CONFLICT (run_id, page_id) DO UPDATE SET
				version = excluded.version, title = excluded.title, status = excluded.status,
				parent_id = excluded.parent_id, parent_kind = excluded.parent_kind
			WHERE excluded.version > confluence_sync_pages.version`,
			runID, ids, versions, titles, status, parents, kinds)
		return err
	})
}

// AddFailed lists the source's pages whose last outcome was failed, or that Confluence did
// not give when they were fetched, so that an incremental run tries them again although the
// search index does not name them. A later full run that came to its end has settled them:
// what it does not list is not there.
func (s *Store) AddFailed(ctx context.Context, run Run, attempt int) error {
	return s.inTx(ctx, "list failed pages again", func(tx pgx.Tx) error {
		if err := holdListing(ctx, tx, run.ID, attempt); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO confluence_sync_pages (run_id, page_id, version, title)
			SELECT DISTINCT ON (f.page_id) $1, f.page_id, f.version, f.title
			FROM confluence_sync_pages f JOIN confluence_sync_runs r USING (run_id)
			WHERE r.source_id = $2 AND (f.outcome = 'failed' OR f.outcome = 'skipped' AND f.reason = 'missing')
			AND NOT EXISTS (
				SELECT FROM confluence_sync_pages l JOIN confluence_sync_runs lr USING (run_id)
				WHERE lr.source_id = $2 AND l.page_id = f.page_id AND l.ended_at > f.ended_at)
			AND NOT EXISTS (
				SELECT FROM confluence_sync_runs settled
				WHERE settled.source_id = $2 AND settled.mode = 'full' AND settled.started_at > f.ended_at
				AND settled.state IN ('completed', 'completed_with_failures', 'held'))
			ORDER BY f.page_id, f.ended_at DESC
			ON CONFLICT (run_id, page_id) DO NOTHING`, run.ID, run.SourceID)
		return err
	})
}

// CompleteListing ends the listing: pages that are stored as listed end as unchanged, and
// archived pages that are not stored as skipped. It returns the number of pages listed.
// The listing must be known to be complete, and for a full run its tree built.
func (s *Store) CompleteListing(ctx context.Context, run Run, attempt int) (int, error) {
	var listed int
	err := s.inTx(ctx, "complete listing of run "+run.ID, func(tx pgx.Tx) error {
		if err := holdListing(ctx, tx, run.ID, attempt); err != nil {
			return err
		}
		// The search index knows no parents, so only a full listing compares paths: a move
		// changes no version and shows there alone.
		_, err := tx.Exec(ctx, `
			UPDATE confluence_sync_pages l SET outcome = 'unchanged', ended_at = now()
			FROM confluence_pages p JOIN confluence_page_content c USING (page_id)
			WHERE l.run_id = $1 AND p.page_id = l.page_id AND p.source_id = $2
			AND l.status = 'current' AND p.is_deleted = false AND c.pipeline_version = $3
			AND (p.version > l.version OR p.version = l.version AND (p.title = l.title OR l.title = ''))
			AND ($4 = 'incremental' OR p.path = (
				SELECT t.path FROM confluence_tree t WHERE t.source_id = $2 AND t.node_id = l.page_id))`,
			run.ID, run.SourceID, Pipeline, run.Mode)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			UPDATE confluence_sync_pages l SET outcome = 'skipped', reason = l.status, ended_at = now()
			WHERE l.run_id = $1 AND l.status <> 'current' AND l.outcome IS NULL AND NOT EXISTS (
				SELECT FROM confluence_pages p
				WHERE p.page_id = l.page_id AND p.source_id = $2 AND p.is_deleted = false)`, run.ID, run.SourceID)
		if err != nil {
			return err
		}
		return tx.QueryRow(ctx, `
			UPDATE confluence_sync_runs SET state = 'fetching', listing_completed_at = now(), listing_until = NULL,
				listed = (SELECT count(*) FROM confluence_sync_pages WHERE run_id = $1)
			WHERE run_id = $1 RETURNING listed`, run.ID).Scan(&listed)
	})
	return listed, err
}

// Pending returns up to limit pages of the run that wait for their body, in order of their
// ids, those after the given id.
func (s *Store) Pending(ctx context.Context, runID, after string, limit int) ([]page.Ref, error) {
	rows, _ := s.pool.Query(ctx, `
		SELECT page_id, version FROM confluence_sync_pages
		WHERE run_id = $1 AND outcome IS NULL AND status = 'current' AND page_id > $2
		ORDER BY page_id LIMIT $3`, runID, after, limit)
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (page.Ref, error) {
		var r page.Ref
		return r, row.Scan(&r.ID, &r.Version)
	})
	if err != nil {
		return nil, fmt.Errorf("read pending pages of run %s: %w", runID, err)
	}
	return list, nil
}

// Unfinished returns which of the pages have no outcome in the run yet: a task that is
// delivered again need not fetch the others.
func (s *Store) Unfinished(ctx context.Context, runID string, ids []string) ([]string, error) {
	rows, _ := s.pool.Query(ctx, `
		SELECT page_id FROM confluence_sync_pages
		WHERE run_id = $1 AND page_id = ANY ($2) AND outcome IS NULL ORDER BY page_id`, runID, ids)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read unfinished pages of run %s: %w", runID, err)
	}
	return list, nil
}

// SkipPage ends a page of a run that is not to be stored; reason is a status such as
// archived, or missing when Confluence no longer gives it.
func (s *Store) SkipPage(ctx context.Context, runID, pageID, reason string) error {
	_, err := s.pool.Exec(ctx, `
		UPDATE confluence_sync_pages SET outcome = 'skipped', reason = $3, ended_at = now()
		WHERE run_id = $1 AND page_id = $2 AND outcome IS NULL`, runID, pageID, reason)
	if err != nil {
		return fmt.Errorf("skip page %s: %w", pageID, err)
	}
	return nil
}

// FailPage ends a page of a run that a stage has given up. A page that has an outcome
// keeps it.
func (s *Store) FailPage(ctx context.Context, f event.PageFailed) error {
	_, err := s.pool.Exec(ctx, `
		UPDATE confluence_sync_pages SET outcome = 'failed', reason = $3, message = $4, stage = $5,
			attempts = $6, ended_at = now()
		WHERE run_id = $1 AND page_id = $2 AND outcome IS NULL`,
		f.RunID, f.PageID, f.Code, clean(f.Message), f.Stage, f.Attempts)
	if err != nil {
		return fmt.Errorf("fail page %s: %w", f.PageID, err)
	}
	return nil
}

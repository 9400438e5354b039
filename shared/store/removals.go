package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
)

// Removal is a page that leaves the knowledge base, and why.
type Removal struct {
	PageID string
	Title  string
	Reason string // trashed, archived, moved, unreadable
}

// Candidates finds the stored pages of the run's source that its complete listing lacks or
// gives as archived, adds them to the ledger to be judged, and counts them once as such.
// live is the number of pages that the source has now. Calling it again gives what is left
// to judge.
func (s *Store) Candidates(ctx context.Context, run Run) (pages []string, live int, err error) {
	err = s.inTx(ctx, "find removal candidates of run "+run.ID, func(tx pgx.Tx) error {
		var counted bool
		err := tx.QueryRow(ctx, `SELECT removal_candidates IS NOT NULL FROM confluence_sync_runs
			WHERE run_id = $1 FOR NO KEY UPDATE`, run.ID).Scan(&counted)
		if err != nil {
			return err
		}
		if !counted {
			_, err = tx.Exec(ctx, `
				WITH missing AS (
					INSERT INTO confluence_sync_pages (run_id, page_id, version, title, status)
					SELECT $1, p.page_id, p.version, p.title, 'candidate' FROM confluence_pages p
					WHERE p.source_id = $2 AND p.is_deleted = false
					ON CONFLICT (run_id, page_id) DO NOTHING RETURNING 1
				)
				UPDATE confluence_sync_runs SET removal_candidates = (SELECT count(*) FROM missing) WHERE run_id = $1`,
				run.ID, run.SourceID)
			if err != nil {
				return err
			}
		}
		err = tx.QueryRow(ctx, `SELECT count(*) FROM confluence_pages WHERE source_id = $1 AND is_deleted = false`,
			run.SourceID).Scan(&live)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT page_id FROM confluence_sync_pages
			WHERE run_id = $1 AND outcome IS NULL AND status <> 'current' ORDER BY page_id`, run.ID)
		if err != nil {
			return err
		}
		pages, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	return pages, live, err
}

// removeAtOnce bounds the pages that one transaction removes, since it holds a lock for each.
const removeAtOnce = 250

// RemovePages takes pages out of the knowledge base: a page is marked as deleted, its chunks
// go, and it ends in the run's ledger with its reason, all in one transaction. The Markdown
// stays, for the day the page comes back. A page that has ended in the run, or whose run has
// ended, is left alone: what was found out about it is of the past.
func (s *Store) RemovePages(ctx context.Context, run Run, removals []Removal) error {
	for batch := range slices.Chunk(removals, removeAtOnce) {
		if err := s.removePages(ctx, run, batch); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) removePages(ctx context.Context, run Run, removals []Removal) error {
	ids, reasons := make([]string, len(removals)), make([]string, len(removals))
	for i, r := range removals {
		ids[i], reasons[i] = r.PageID, r.Reason
	}
	return s.inTx(ctx, "remove pages of "+run.SourceID, func(tx pgx.Tx) error {
		if err := lockPages(ctx, tx, run.SourceID, ids...); err != nil {
			return err
		}
		err := tx.QueryRow(ctx, `
			WITH ended AS (
				UPDATE confluence_sync_pages l SET outcome = 'removed', reason = r.reason, ended_at = now()
				FROM unnest($2::text[], $3::text[]) AS r(id, reason), confluence_sync_runs run
				WHERE l.run_id = $1 AND l.page_id = r.id AND l.outcome IS NULL
				AND run.run_id = $1 AND run.state IN ('fetching', 'finishing')
				RETURNING l.page_id
			)
			SELECT coalesce(array_agg(page_id), '{}') FROM ended`, run.ID, ids, reasons).Scan(&ids)
		if err != nil || len(ids) == 0 {
			return err
		}
		b := &pgx.Batch{}
		b.Queue(`UPDATE confluence_pages SET is_deleted = true, updated_at = now()
			WHERE source_id = $1 AND page_id = ANY ($2) AND is_deleted = false`, run.SourceID, ids)
		b.Queue(`DELETE FROM archon_crawled_pages WHERE source_id = $1 AND metadata ? 'page_id'
			AND metadata->>'page_id' = ANY ($2) AND metadata->>'crawl_type' = 'confluence'`, run.SourceID, ids)
		b.Queue(`DELETE FROM confluence_tree WHERE source_id = $1 AND node_id = ANY ($2)`, run.SourceID, ids)
		return tx.SendBatch(ctx, b).Close()
	})
}

const keepSQL = `
	UPDATE confluence_sync_pages SET outcome = 'skipped', reason = $3, ended_at = now()
	WHERE run_id = $1 AND page_id = ANY ($2) AND outcome IS NULL`

// KeepPages ends candidates that are not to be removed as skipped, with the reason.
func (s *Store) KeepPages(ctx context.Context, run Run, ids []string, reason string) error {
	_, err := s.pool.Exec(ctx, keepSQL, run.ID, ids, reason)
	if err != nil {
		return fmt.Errorf("keep pages of run %s: %w", run.ID, err)
	}
	return nil
}

// Judged says that every removal candidate of the run has been dealt with.
func (s *Store) Judged(ctx context.Context, runID string) error {
	_, err := s.pool.Exec(ctx, `UPDATE confluence_sync_runs SET removals_checked_at = now()
		WHERE run_id = $1 AND removals_checked_at IS NULL`, runID)
	if err != nil {
		return fmt.Errorf("close removals of run %s: %w", runID, err)
	}
	return nil
}

// Hold says that the run would remove too much: the candidates stay and end as skipped, and
// the run ends as held, with the message, once its pages are stored. All of it happens at
// once: a run with half of it would end as if nothing had been wrong.
func (s *Store) Hold(ctx context.Context, runID string, candidates []string, message string) error {
	return s.inTx(ctx, "hold run "+runID, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE confluence_sync_runs SET removals_checked_at = now(), code = $2, message = $3
			WHERE run_id = $1 AND removals_checked_at IS NULL`, runID, failure.TooManyRemovals, clean(message))
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		_, err = tx.Exec(ctx, keepSQL, runID, candidates, "held")
		return err
	})
}

// Removals lists the pages that a run removed, with their reasons, by id.
func (s *Store) Removals(ctx context.Context, runID string) ([]Removal, error) {
	rows, _ := s.pool.Query(ctx, `SELECT page_id, title, coalesce(reason, '') FROM confluence_sync_pages
		WHERE run_id = $1 AND outcome = $2 ORDER BY page_id`, runID, event.Removed)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Removal])
	if err != nil {
		return nil, fmt.Errorf("read removals of run %s: %w", runID, err)
	}
	return list, nil
}

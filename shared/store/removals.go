package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store/internal/pg"
	"github.com/sluicehq/sluice/shared/viewer"
)

// Removal is a page to remove from the knowledge base, and the reason.
type Removal struct {
	PageID string `json:"page_id"`
	Title  string `json:"title"`
	Reason string `json:"reason"`
}

// The reasons for a removal. Unreadable means only that the page can no longer be read, or not by this account.
// Excluded means that the page still exists, but its source no longer includes its kind.
const (
	ReasonTrashed    = "trashed"
	ReasonArchived   = "archived"
	ReasonMoved      = "moved"
	ReasonUnreadable = "unreadable"
	ReasonExcluded   = "excluded"
	ReasonDeleted    = "deleted" // proven: for example a file that is no longer in its folder
)

// FindRemovalCandidates finds the stored pages of the run's source that its complete listing lacks or lists as
// archived, and adds them to the ledger once. live is the number of live pages that the source has now. Later calls
// return the candidates that are not checked yet; an ended run has none.
func (s *Store) FindRemovalCandidates(ctx context.Context, run Run) (pages []string, live int, err error) {
	err = s.inTx(ctx, "find removal candidates of run "+run.ID, func(tx pgx.Tx) error {
		var counted bool
		var state event.State
		err := tx.QueryRow(ctx, `SELECT removal_candidates IS NOT NULL, state FROM confluence_sync_runs
			WHERE run_id = $1 FOR NO KEY UPDATE`, run.ID).Scan(&counted, &state)
		if err != nil || state.Final() {
			return err
		}
		if !counted {
			_, err = tx.Exec(ctx, `
				WITH missing AS (
					INSERT INTO confluence_sync_pages (run_id, page_id, version, title, kind, status)
					SELECT $1, p.page_id, p.version, p.title, p.kind, 'candidate' FROM confluence_pages p
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

// BlogPosts returns which of a source's stored pages are blog posts.
func (s *Store) BlogPosts(ctx context.Context, sourceID string, ids []string) (map[string]bool, error) {
	rows, _ := s.pool.Query(ctx, `SELECT page_id FROM confluence_pages
		WHERE source_id = $1 AND page_id = ANY ($2) AND kind = $3`, sourceID, ids, page.BlogPost)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("tell blog posts from pages: %w", err)
	}
	posts := make(map[string]bool, len(list))
	for _, id := range list {
		posts[id] = true
	}
	return posts, nil
}

// removeAtOnce limits the pages in one transaction, since it holds a lock for each.
const removeAtOnce = 250

// RemovePages removes pages from the knowledge base in one transaction per batch: it marks them as deleted, deletes
// their chunks, and ends them in the run's ledger with the reason. The Markdown is kept in case the page comes back.
// A page that has already ended in the run, or whose run has ended, is not changed: the finding about it is out of
// date.
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
		var archon bool
		err := tx.QueryRow(ctx, `
			WITH ended AS (
				UPDATE confluence_sync_pages l SET outcome = 'removed', reason = r.reason, ended_at = now()
				FROM unnest($2::text[], $3::text[]) AS r(id, reason), confluence_sync_runs run
				WHERE l.run_id = $1 AND l.page_id = r.id AND l.outcome IS NULL
				AND run.run_id = $1 AND run.state IN ('fetching', 'finishing')
				RETURNING l.page_id
			)
			SELECT coalesce(array_agg(page_id), '{}'), `+hasArchonPages+` FROM ended`, run.ID, ids, reasons).Scan(&ids, &archon)
		if err != nil || len(ids) == 0 {
			return err
		}
		b := &pgx.Batch{}
		b.Queue(`INSERT INTO confluence_removals (page_id, run_id, source_id, title, reason)
			SELECT l.page_id, l.run_id, $2, coalesce(p.title, l.title), l.reason
			FROM confluence_sync_pages l LEFT JOIN confluence_pages p ON p.page_id = l.page_id AND p.site_id = `+siteOfRun+`
			WHERE l.run_id = $1 AND l.page_id = ANY ($3) ORDER BY l.page_id ON CONFLICT DO NOTHING`, run.ID, run.SourceID, ids)
		b.Queue(`UPDATE confluence_pages SET is_deleted = true, updated_at = now()
			WHERE source_id = $1 AND page_id = ANY ($2) AND is_deleted = false`, run.SourceID, ids)
		b.Queue(`DELETE FROM archon_crawled_pages c WHERE c.source_id = $1 AND `+pg.ChunkOfPages("c", "= ANY ($2)"), run.SourceID, ids)
		if archon {
			queueDeleteWholePages(b, run.SourceID, ids)
		}
		// An archived page keeps its place because the pages below it stay below it. Every writer takes the lock of
		// the tree before its rows.
		b.Queue(lockTreeSQL, run.SourceID)
		b.Queue(`DELETE FROM confluence_tree t USING confluence_sync_pages l
			WHERE t.source_id = $1 AND t.node_id = ANY ($2) AND l.run_id = $3 AND l.page_id = t.node_id AND l.reason <> $4`,
			run.SourceID, ids, run.ID, ReasonArchived)
		b.Queue(pruneContainersSQL, run.SourceID)
		return tx.SendBatch(ctx, b).Close()
	})
}

const keepSQL = `
	UPDATE confluence_sync_pages SET outcome = 'skipped', reason = $3, ended_at = now()
	WHERE run_id = $1 AND page_id = ANY ($2) AND outcome IS NULL`

// KeepPages ends candidates that are not removed as skipped, with the reason.
func (s *Store) KeepPages(ctx context.Context, run Run, ids []string, reason string) error {
	_, err := s.pool.Exec(ctx, keepSQL, run.ID, ids, reason)
	if err != nil {
		return fmt.Errorf("keep pages of run %s: %w", run.ID, err)
	}
	return nil
}

// MarkRemovalsChecked records that every removal candidate of the run was checked.
func (s *Store) MarkRemovalsChecked(ctx context.Context, runID string) error {
	_, err := s.pool.Exec(ctx, `UPDATE confluence_sync_runs SET removals_checked_at = now()
		WHERE run_id = $1 AND removals_checked_at IS NULL`, runID)
	if err != nil {
		return fmt.Errorf("mark the removals of run %s as checked: %w", runID, err)
	}
	return nil
}

// HoldRun stops the removals of a run that would remove too much. Its candidates stay and end as skipped; those that
// would be removed keep their reason in the ledger. The run ends as held, with the message, once its pages are
// stored. This is one transaction: half of it would let the run end as if nothing had been wrong.
func (s *Store) HoldRun(ctx context.Context, runID string, gone []Removal, kept []string, message string) error {
	return s.inTx(ctx, "hold run "+runID, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE confluence_sync_runs SET removals_checked_at = now(), code = $2, message = $3
			WHERE run_id = $1 AND removals_checked_at IS NULL`, runID, failure.TooManyRemovals, pg.CleanText(message))
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		ids, reasons := make([]string, len(gone)), make([]string, len(gone))
		for i, r := range gone {
			ids[i], reasons[i] = r.PageID, r.Reason
		}
		_, err = tx.Exec(ctx, `UPDATE confluence_sync_pages l SET outcome = 'skipped', reason = 'held', message = r.reason, ended_at = now()
			FROM unnest($2::text[], $3::text[]) AS r(id, reason)
			WHERE l.run_id = $1 AND l.page_id = r.id AND l.outcome IS NULL`, runID, ids, reasons)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, keepSQL, runID, kept, "still_there")
		return err
	})
}

// HeldRemovals lists what a held run would have removed, ordered by page id.
func (s *Store) HeldRemovals(ctx context.Context, runID string) ([]Removal, error) {
	return heldRemovals(ctx, s.pool, viewer.All(), runID)
}

// HeldRemovals lists what a held run would have removed, ordered by page id.
func (r *Reader) HeldRemovals(ctx context.Context, v viewer.Viewer, runID string) ([]Removal, error) {
	return heldRemovals(ctx, r.pool, v, runID)
}

func heldRemovals(ctx context.Context, q pg.Querier, v viewer.Viewer, runID string) ([]Removal, error) {
	seen, err := pg.See(ctx, q, v, visibleSources(v))
	if err != nil {
		return nil, err
	}
	rows, _ := q.Query(ctx, `SELECT l.page_id, l.title, coalesce(l.message, '')
		FROM confluence_sync_pages l JOIN confluence_sync_runs r USING (run_id)
		WHERE l.run_id = $1 AND l.outcome = 'skipped' AND l.reason = 'held' AND ($2::text[] IS NULL OR r.source_id = ANY ($2))
		AND `+pg.Shows("r.source_id", "l.page_id", "$3", "$4")+` ORDER BY l.page_id`, runID, seen.Sources, seen.Free, seen.Sets)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Removal])
	if err != nil {
		return nil, fmt.Errorf("list the held removals of run %s: %w", runID, err)
	}
	return list, nil
}

// HeldRuns lists the held runs without a decision that no later full run of their source has settled, the newest
// first. If sourceID is not empty, it lists only that source's runs.
func (r *Reader) HeldRuns(ctx context.Context, v viewer.Viewer, sourceID string) ([]Run, error) {
	rows, _ := r.pool.Query(ctx, `SELECT `+runColumns+` FROM confluence_sync_runs r
		WHERE r.state = 'held' AND r.decision IS NULL AND ($1 = '' OR r.source_id = $1)
		AND ($2::text[] IS NULL OR r.source_id = ANY ($2)) AND NOT EXISTS (
			SELECT FROM confluence_sync_runs later WHERE later.source_id = r.source_id AND later.mode = 'full'
			AND later.state IN ('completed', 'completed_with_failures', 'held') AND later.finished_at > r.finished_at)
		ORDER BY r.finished_at DESC, r.run_id`, sourceID, visibleSources(v))
	list, err := pgx.CollectRows(rows, scanRun)
	if err != nil {
		return nil, fmt.Errorf("list held runs: %w", err)
	}
	return list, countListed(ctx, r.pool, v, list)
}

// ErrNotHeld is returned for a run whose removals do not, or no longer, wait for a decision.
var ErrNotHeld = errors.New("the run has no removals that wait for a decision")

// Decide records a person's decision on the removals of a held run. Approving removes nothing by itself: the caller
// requests a run with SyncRequested.ApprovesRun, which checks each page again. Rejecting counts as a check, so the
// weekly one does not ask again the next day. It returns ErrNotFound for an unknown run, and ErrNotHeld for one that
// is not held or has another decision.
func (s *Store) Decide(ctx context.Context, runID string, d Decision) (Run, error) {
	var run Run
	err := s.inTx(ctx, "decide on run "+runID, func(tx pgx.Tx) error {
		var err error
		if run, err = readRun(ctx, tx, runID); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `UPDATE confluence_sync_runs SET decision = $2, decided_at = now()
			WHERE run_id = $1 AND state = 'held' AND (decision IS NULL OR decision = $2)`, runID, d)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return ErrNotHeld
		}
		run.Decision = d
		if d != Rejected {
			return nil
		}
		_, err = tx.Exec(ctx, `UPDATE archon_sources SET metadata = metadata || jsonb_build_object('last_deletion_check', now())
			WHERE source_id = $1`, run.SourceID)
		return err
	})
	return run, err
}

// UnreadablePages lists the source's pages that an earlier run removed because they could not be read, that still
// have their Markdown, and that the run does not list.
func (s *Store) UnreadablePages(ctx context.Context, run Run) ([]string, error) {
	rows, _ := s.pool.Query(ctx, `SELECT r.page_id FROM confluence_removals r
		JOIN confluence_pages p ON p.page_id = r.page_id AND p.source_id = r.source_id AND p.is_deleted
		WHERE r.source_id = $2 AND r.run_id <> $1 AND r.reason = $3 AND r.restored_at IS NULL AND r.purged_at IS NULL
		AND NOT EXISTS (SELECT FROM confluence_sync_pages l WHERE l.run_id = $1 AND l.page_id = r.page_id)
		ORDER BY r.page_id`, run.ID, run.SourceID, ReasonUnreadable)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list unreadable pages of %s: %w", run.SourceID, err)
	}
	return list, nil
}

// PurgePages deletes what is kept of removed pages: Markdown, losses and metadata.
func (s *Store) PurgePages(ctx context.Context, run Run, ids []string) error {
	for batch := range slices.Chunk(ids, removeAtOnce) {
		err := s.inTx(ctx, "purge pages of "+run.SourceID, func(tx pgx.Tx) error {
			if err := lockPages(ctx, tx, run.SourceID, batch...); err != nil {
				return err
			}
			return purge(ctx, tx, `p.source_id = $1 AND p.page_id = ANY ($2)`, run.SourceID, batch)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// purge deletes what is kept of the removed pages that meet the condition.
func purge(ctx context.Context, tx pgx.Tx, where string, args ...any) error {
	_, err := tx.Exec(ctx, `
		WITH empty AS (
			UPDATE confluence_pages p SET metadata = '{}', updated_at = now() WHERE p.is_deleted AND `+where+` RETURNING p.page_id, p.site_id
		), gone AS (
			DELETE FROM confluence_page_content c USING empty WHERE c.page_id = empty.page_id AND c.site_id = empty.site_id
		)
		UPDATE confluence_removals r SET purged_at = now() FROM empty JOIN confluence_spaces s USING (site_id)
		WHERE r.page_id = empty.page_id AND r.source_id = s.source_id AND r.restored_at IS NULL AND r.purged_at IS NULL`, args...)
	return err
}

// Removals lists the pages that a run removed, with the reasons, ordered by page id.
func (s *Store) Removals(ctx context.Context, runID string) ([]Removal, error) {
	rows, _ := s.pool.Query(ctx, `SELECT page_id, title, coalesce(reason, '') FROM confluence_sync_pages
		WHERE run_id = $1 AND outcome = $2 ORDER BY page_id`, runID, event.Removed)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Removal])
	if err != nil {
		return nil, fmt.Errorf("read removals of run %s: %w", runID, err)
	}
	return list, nil
}

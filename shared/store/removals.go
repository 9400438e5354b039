package store

import (
	"context"
	"errors"
	"fmt"
	"math"
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

// Live are the numbers of the live documents of a source: of pages, blog posts among them, and of parts of pages, such as
// threads of comments.
type Live struct{ Pages, Parts int }

// FindRemovalCandidates finds the stored pages of the run's source that its complete listing lacks or lists as
// archived, and adds them to the ledger once. live is what the source has now. Later calls
// return the candidates that are not checked yet; an ended run has none.
func (s *Store) FindRemovalCandidates(ctx context.Context, run Run) (pages []string, live Live, err error) {
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
		err = tx.QueryRow(ctx, `SELECT count(*) FILTER (WHERE kind NOT IN `+partKinds+`), count(*) FILTER (WHERE kind IN `+partKinds+`)
			FROM confluence_pages WHERE source_id = $1 AND is_deleted = false`, run.SourceID).Scan(&live.Pages, &live.Parts)
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

// removeAtOnce limits the pages in one transaction, since it holds a lock for each.
const removeAtOnce = 250

// RemovePages removes pages from the knowledge base, with their parts, in one transaction per batch: it marks them as
// deleted, deletes their chunks, and ends them in the run's ledger with the reason. The Markdown is kept in case the page
// comes back, unless it is restricted. Parts leave first: if this is broken off, no part is seen without its page.
// A page that has already ended in the run, or whose run has ended, is not changed: the finding about it is out of
// date.
func (s *Store) RemovePages(ctx context.Context, run Run, removals []Removal) error {
	all, err := s.withParts(ctx, run, removals)
	if err != nil {
		return err
	}
	for batch := range slices.Chunk(all, removeAtOnce) {
		if err := s.removePages(ctx, run, batch); err != nil {
			return err
		}
	}
	return nil
}

// leaving is a removal. If it is a part of a page that is removed, too, above is the id of that page.
type leaving struct {
	Removal
	above string
}

func (s *Store) removePages(ctx context.Context, run Run, removals []leaving) error {
	ids, reasons, above := make([]string, len(removals)), make([]string, len(removals)), make([]string, len(removals))
	for i, r := range removals {
		ids[i], reasons[i], above[i] = r.PageID, r.Reason, r.above
	}
	return s.inTx(ctx, "remove pages of "+run.SourceID, func(tx pgx.Tx) error {
		if err := lockPages(ctx, tx, run.SourceID, ids...); err != nil {
			return err
		}
		var archon bool
		err := tx.QueryRow(ctx, `
			WITH ended AS (
				UPDATE confluence_sync_pages l SET outcome = 'removed', reason = r.reason, ended_at = now()
				FROM unnest($2::text[], $3::text[], $5::text[]) AS r(id, reason, above), confluence_sync_runs run
				WHERE l.run_id = $1 AND l.page_id = r.id AND (l.outcome IS NULL OR l.outcome <> 'removed' AND l.kind IN `+partKinds+` AND (`+leavesSQL+`))
				AND run.run_id = $1 AND run.state IN ('fetching', 'finishing') AND (r.reason <> $4 OR `+stillRestrictedSQL+`)
				RETURNING l.page_id
			)
			SELECT coalesce(array_agg(page_id), '{}'), `+hasArchonPages+` FROM ended`, run.ID, ids, reasons, ReasonRestricted, above).Scan(&ids, &archon)
		if err != nil || len(ids) == 0 {
			return err
		}
		b := &pgx.Batch{}
		b.Queue(`INSERT INTO confluence_removals (page_id, run_id, source_id, title, reason, layer_set)
			SELECT l.page_id, l.run_id, $2, coalesce(p.title, l.title), l.reason, t.layer_set
			FROM confluence_sync_pages l LEFT JOIN confluence_pages p ON p.page_id = l.page_id AND p.site_id = `+siteOfRun+`
			LEFT JOIN confluence_tree t ON t.source_id = $2 AND t.node_id = l.page_id
			WHERE l.run_id = $1 AND l.page_id = ANY ($3) ORDER BY l.page_id ON CONFLICT DO NOTHING`, run.ID, run.SourceID, ids)
		b.Queue(`UPDATE confluence_pages SET is_deleted = true, updated_at = now()
			WHERE source_id = $1 AND page_id = ANY ($2) AND is_deleted = false`, run.SourceID, ids)
		b.Queue(`DELETE FROM archon_crawled_pages c WHERE c.source_id = $1 AND `+pg.ChunkOfPages("c", "= ANY ($2)"), run.SourceID, ids)
		if archon {
			queueDeleteWholePages(b, run.SourceID, ids)
		}
		// An archived page keeps its place because the pages below it stay below it, and so does a restricted one. Nothing is
		// below a part of a page, and no listing has those of an archived page.
		// Every writer takes the lock of the tree before its rows.
		b.Queue(lockTreeSQL, run.SourceID)
		b.Queue(`DELETE FROM confluence_tree t USING confluence_sync_pages l
			WHERE t.source_id = $1 AND t.node_id = ANY ($2) AND l.run_id = $3 AND l.page_id = t.node_id
			AND NOT (l.reason = $4 AND t.kind NOT IN `+partKinds+` OR l.reason = $5)`,
			run.SourceID, ids, run.ID, ReasonArchived, ReasonRestricted)
		b.Queue(pruneContainersSQL, run.SourceID)
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
		return purge(ctx, tx, `p.source_id = $1 AND p.page_id = ANY ($2) AND EXISTS (
			SELECT FROM confluence_sync_pages l WHERE l.run_id = $3 AND l.page_id = p.page_id AND l.reason = $4)`, run.SourceID, ids, run.ID, ReasonRestricted)
	})
}

// leavesSQL is the SQL condition that the part l of a page leaves with it: that the page is the one above the removal r,
// and that it has not ended in the run.
const leavesSQL = `SELECT count(*) > 0 FROM confluence_tree t JOIN confluence_sync_pages above ON above.run_id = l.run_id AND above.page_id = t.parent_id
	WHERE t.source_id = run.source_id AND t.node_id = l.page_id AND above.page_id = r.above AND above.outcome IS NULL`

// withParts puts before the removals the live parts of the pages, which leave with them and for their reasons, even if the
// run has listed the parts before it found that the page is gone.
func (s *Store) withParts(ctx context.Context, run Run, removals []Removal) ([]leaving, error) {
	ids, reasons, there := make([]string, len(removals)), make([]string, len(removals)), make(map[string]int, len(removals))
	all := make([]leaving, len(removals))
	for i, r := range removals {
		ids[i], reasons[i], there[r.PageID], all[i].Removal = r.PageID, r.Reason, i, r
	}
	rows, _ := s.pool.Query(ctx, `SELECT p.page_id, p.title, r.reason, r.id FROM unnest($2::text[], $3::text[]) AS r (id, reason)
		JOIN confluence_tree t ON t.source_id = $1 AND t.parent_id = r.id AND t.kind IN `+partKinds+`
		JOIN confluence_pages p ON p.source_id = $1 AND p.page_id = t.node_id AND NOT p.is_deleted ORDER BY p.page_id`, run.SourceID, ids, reasons)
	var part leaving
	var parts []leaving
	_, err := pgx.ForEachRow(rows, []any{&part.PageID, &part.Title, &part.Reason, &part.above}, func() error {
		if i, ok := there[part.PageID]; ok {
			all[i].above = part.above
		} else {
			parts = append(parts, part)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for comments of removed pages: %w", err)
	}
	return append(parts, all...), nil
}

// ResolvedThreads are the removal candidates that the run's listing has, as resolved threads, which the source leaves out
// if it has only open ones.
func (s *Store) ResolvedThreads(ctx context.Context, run Run) ([]string, error) {
	rows, _ := s.pool.Query(ctx, `SELECT page_id FROM confluence_sync_pages
		WHERE run_id = $1 AND outcome IS NULL AND kind = $2 AND status = $3 ORDER BY page_id`, run.ID, page.Comment, page.Resolved)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list the resolved threads of run %s: %w", run.ID, err)
	}
	return list, nil
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

// HeldPages are the pages that a held run would have removed.
type HeldPages struct {
	Pages []Removal // a part of those that the viewer may see, ordered by id
	Seen  int       // how many the viewer may see
	All   int       // how many there are; for who does not oversee the run, as many as the viewer may see
}

// HeldPages returns the pages of the held runs that wait for a decision, by run: of one source if sourceID is not empty,
// and only of one run if runID is not empty, which may be decided on.
func (r *Reader) HeldPages(ctx context.Context, v viewer.Viewer, sourceID, runID string, p Part) (map[string]HeldPages, error) {
	args, err := p.args(1, sourceID, runID, visibleSources(v), v.Oversees())
	if err != nil {
		return nil, err
	}
	seen, err := r.see(ctx, v)
	if err != nil {
		return nil, err
	}
	rows, _ := r.pool.Query(ctx, `
		SELECT r.run_id, n.seen, CASE WHEN $4::bool THEN n.every ELSE n.seen END, coalesce(x.page_id, ''), coalesce(x.title, ''), coalesce(x.message, '')
		FROM confluence_sync_runs r CROSS JOIN LATERAL (
			SELECT count(*) AS every, count(*) FILTER (WHERE `+pg.Shows("r.source_id", "l.page_id", "$7", "$8")+`) AS seen
			FROM confluence_sync_pages l WHERE l.run_id = r.run_id AND l.outcome = 'skipped' AND l.reason = 'held') n
		LEFT JOIN LATERAL (
			SELECT l.page_id, l.title, l.message FROM confluence_sync_pages l
			WHERE l.run_id = r.run_id AND l.outcome = 'skipped' AND l.reason = 'held' AND l.page_id > coalesce($5, '')
			AND `+pg.Shows("r.source_id", "l.page_id", "$7", "$8")+` ORDER BY l.page_id LIMIT $6) x ON true
		WHERE ($1 = '' OR r.source_id = $1) AND ($3::text[] IS NULL OR r.source_id = ANY ($3))
		AND CASE WHEN $2 = '' THEN `+heldSQL+` ELSE r.run_id = $2 AND r.state = 'held' END
		ORDER BY r.run_id, x.page_id`, append(args, seen.Free, seen.Sets)...)
	held := map[string]HeldPages{}
	var run string
	var of HeldPages
	var page Removal
	_, err = pgx.ForEachRow(rows, []any{&run, &of.Seen, &of.All, &page.PageID, &page.Title, &page.Reason}, func() error {
		of.Pages = held[run].Pages
		if page.PageID != "" {
			of.Pages = append(of.Pages, page)
		}
		held[run] = of
		return nil
	})
	if err != nil {
		return nil, p.listError(err, "list held removals")
	}
	return held, nil
}

// heldSQL is the SQL condition that the removals of the run r wait for a decision.
const heldSQL = `r.state = 'held' AND r.decision IS NULL AND NOT EXISTS (
	SELECT FROM confluence_sync_runs later WHERE later.source_id = r.source_id AND later.mode = 'full'
	AND later.state IN ('completed', 'completed_with_failures', 'held') AND later.finished_at > r.finished_at)`

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
	list, err := toldRuns(ctx, r.pool, v, `($1 = '' OR r.source_id = $1) AND `+heldSQL, "finished_at DESC, run_id", math.MaxInt32, sourceID)
	if err != nil {
		return nil, fmt.Errorf("list held runs: %w", err)
	}
	// For those who may not see all pages of a run, it holds nothing.
	return slices.DeleteFunc(list, func(run Run) bool { return run.State != event.StateHeld }), nil
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

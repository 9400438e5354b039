package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/store/internal/pg"
	"github.com/sluicehq/sluice/shared/viewer"
)

// Advance moves a run to the state that its ledger proves, and calls publish with the
// snapshot before it commits. Snapshots of one run leave in order, whichever replica makes
// them: the run's row is locked meanwhile. When the run completes, its source's watermark
// moves in the same transaction.
func (s *Store) Advance(ctx context.Context, runID string, publish func(event.Progress) error) (event.Progress, error) {
	var snap event.Progress
	err := s.inTx(ctx, "advance run "+runID, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT `+runColumns+` FROM confluence_sync_runs WHERE run_id = $1 FOR NO KEY UPDATE`, runID)
		if err != nil {
			return err
		}
		run, err := pgx.CollectExactlyOneRow(rows, scanRun)
		if err != nil {
			return pg.NotFound(err, "read run "+runID)
		}
		counts, waiting, err := count(ctx, tx, runID)
		if err != nil {
			return err
		}
		if next := nextState(run, counts, waiting); next != run.State {
			if err := enter(ctx, tx, &run, next, counts); err != nil {
				return err
			}
		}
		// Not now(), which is when the transaction began to wait for the lock.
		if err := tx.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&snap.At); err != nil {
			return err
		}
		snap = event.Progress{
			SourceID: run.SourceID, RunID: run.ID, Mode: run.Mode, State: run.State,
			Percent: percent(run, waiting), Counts: counts, Code: run.Code, Message: run.Message,
			StartedAt: run.StartedAt, FinishedAt: run.FinishedAt, At: snap.At.UTC(),
		}
		return publish(snap)
	})
	return snap, err
}

// count returns the run's pages by outcome, and how many of the pending ones wait for a
// body rather than for the judgement of the deletion-detector.
func count(ctx context.Context, q pg.Querier, runID string) (event.Counts, int, error) {
	var c event.Counts
	var waiting int
	err := q.QueryRow(ctx, `
		SELECT count(*),
			count(*) FILTER (WHERE outcome IS NULL),
			count(*) FILTER (WHERE outcome IS NULL AND status = 'current'),
			count(*) FILTER (WHERE outcome = 'created'),
			count(*) FILTER (WHERE outcome = 'updated'),
			count(*) FILTER (WHERE outcome = 'unchanged'),
			count(*) FILTER (WHERE outcome = 'removed'),
			count(*) FILTER (WHERE outcome = 'skipped'),
			count(*) FILTER (WHERE outcome = 'failed')
		FROM confluence_sync_pages WHERE run_id = $1`, runID).
		Scan(&c.Listed, &c.Pending, &waiting, &c.Created, &c.Updated, &c.Unchanged, &c.Removed, &c.Skipped, &c.Failed)
	if err != nil {
		return c, 0, fmt.Errorf("count pages: %w", err)
	}
	return c, waiting, nil
}

func nextState(run Run, c event.Counts, waiting int) event.State {
	if run.State != event.StateFetching && run.State != event.StateFinishing {
		return run.State
	}
	judged := run.Mode != event.Full || !run.RemovalsChecked.IsZero()
	switch {
	case waiting > 0:
		return event.StateFetching
	case !judged || c.Pending > 0:
		return event.StateFinishing
	case run.Code == failure.TooManyRemovals:
		return event.StateHeld
	case c.Failed > 0:
		return event.StateCompletedWithFailures
	default:
		return event.StateCompleted
	}
}

// enter writes the run's new state; a final one first proves that the ledger balances. A run
// whose ledger does not has failed: left open, it would keep its source from ever syncing.
func enter(ctx context.Context, tx pgx.Tx, run *Run, next event.State, c event.Counts) error {
	run.State = next
	if !next.Final() {
		_, err := tx.Exec(ctx, `UPDATE confluence_sync_runs SET state = $2 WHERE run_id = $1`, run.ID, next)
		return err
	}
	// Two counts made at two times: what the listing and the detector said they listed,
	// and what the rows say became of it.
	var proven int
	err := tx.QueryRow(ctx, `SELECT listed + coalesce(removal_candidates, 0) FROM confluence_sync_runs
		WHERE run_id = $1`, run.ID).Scan(&proven)
	if err != nil {
		return err
	}
	if sum := c.Created + c.Updated + c.Unchanged + c.Removed + c.Skipped + c.Failed; proven != c.Listed || sum != c.Listed {
		run.State, run.Code = event.StateFailed, failure.Internal
		run.Message = fmt.Sprintf("the ledger does not balance: %d listed, %d in the ledger, %d ended", proven, c.Listed, sum)
	}
	err = tx.QueryRow(ctx, `
		UPDATE confluence_sync_runs SET state = $2, code = nullif($3, ''), message = nullif($4, ''), finished_at = clock_timestamp()
		WHERE run_id = $1 RETURNING finished_at`, run.ID, run.State, run.Code, run.Message).Scan(&run.FinishedAt)
	run.FinishedAt = run.FinishedAt.UTC()
	if err != nil || run.State == event.StateHeld || run.State == event.StateFailed {
		return err
	}
	_, err = tx.Exec(ctx, `
		UPDATE archon_sources SET updated_at = now(), metadata = metadata || jsonb_strip_nulls(jsonb_build_object(
			'last_sync_timestamp', $2::timestamptz,
			'last_deletion_check', CASE WHEN $3 = 'full' THEN $4::timestamptz END,
			'blog_posts_listed', CASE WHEN $9 AND $3 = 'full' THEN true WHEN NOT $9 AND metadata ? 'blog_posts_listed' THEN false END,
			'total_pages', (SELECT count(*) FROM confluence_pages p WHERE p.source_id = $1 AND p.is_deleted = false),
			'sync_metrics', coalesce(metadata->'sync_metrics', '{}') || jsonb_build_object(
				'pages_created', $5::int, 'pages_updated', $6::int, 'pages_deleted', $7::int,
				'last_sync_duration_seconds', extract(epoch FROM $4::timestamptz - $8::timestamptz))))
		WHERE source_id = $1`,
		run.SourceID, run.ListingStarted, run.Mode, run.FinishedAt, c.Created, c.Updated, c.Removed, run.StartedAt, run.BlogPosts)
	return err
}

// percent grows with the listed pages that no longer wait for a body. Removal candidates,
// which the ledger gets later, do not count: they would make it go back. The last point is
// kept for the end of the run.
func percent(run Run, waiting int) int {
	switch {
	case run.State == event.StateCompleted, run.State == event.StateCompletedWithFailures, run.State == event.StateHeld:
		return 100
	case run.ListingDone.IsZero():
		return 0
	case run.Listed == 0:
		return 99
	default:
		return 99 * (run.Listed - waiting) / run.Listed
	}
}

// Counts returns a run's pages by outcome, or ErrNotFound.
func (r *Reader) Counts(ctx context.Context, v viewer.Viewer, runID string) (event.Counts, error) {
	if _, err := readSeen(ctx, r.pool, v, runID); err != nil {
		return event.Counts{}, err
	}
	c, _, err := count(ctx, r.pool, runID)
	return c, err
}

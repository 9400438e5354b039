package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/run"
	"github.com/sluicehq/sluice/shared/store/internal/pg"
	"github.com/sluicehq/sluice/shared/viewer"
)

// Advance moves a run to the state that its ledger proves, and returns a snapshot of it. When the run completes, its
// source's watermark moves in the same transaction. The transaction locks the run's row, so the sequence numbers of a
// run's snapshots follow their order in time, whichever replica makes them.
//
// The caller publishes the snapshot after the transaction: an unavailable broker must not keep the row locked,
// because cancelling the run needs it. first is true for the first snapshot of an ended run, so only one of several
// replicas reports the end.
func (s *Store) Advance(ctx context.Context, runID string) (snap event.Progress, first bool, err error) {
	err = s.inTx(ctx, "advance run "+runID, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT `+runColumns+` FROM confluence_sync_runs WHERE run_id = $1 FOR NO KEY UPDATE`, runID)
		if err != nil {
			return err
		}
		r, err := pgx.CollectExactlyOneRow(rows, scanRun)
		if err != nil {
			return pg.NotFound(err, "read run "+runID)
		}
		counts, waiting, err := count(ctx, tx, runID)
		if err != nil {
			return err
		}
		if next := standing(r, counts, waiting).Next(); next != r.State {
			if err := setState(ctx, tx, &r, next, counts); err != nil {
				return err
			}
		}
		// Not now(): that is the time at which the transaction began to wait for the lock.
		var at time.Time
		if err := tx.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&at); err != nil {
			return err
		}
		first = r.State.Final() && r.SnapshotSeq <= r.FinishedAt.UnixMicro()
		r.SnapshotSeq = run.NextSeq(r.SnapshotSeq, at)
		snap = snapshot(r, counts, waiting, at)
		_, err = tx.Exec(ctx, `UPDATE confluence_sync_runs SET snapshot_seq = $2 WHERE run_id = $1`, runID, r.SnapshotSeq)
		return err
	})
	return snap, first, err
}

// standing returns the state of a run according to its ledger.
func standing(r Run, counts event.Counts, waiting int) run.Standing {
	return run.Standing{
		State: r.State, Mode: r.Mode, ListingDone: !r.ListingDone.IsZero(), Listed: r.Listed,
		RemovalsChecked: !r.RemovalsChecked.IsZero(), TooManyRemovals: r.Code == failure.TooManyRemovals,
		Counts: counts, AwaitBody: waiting,
	}
}

// snapshot returns the progress of a run.
func snapshot(r Run, counts event.Counts, waiting int, at time.Time) event.Progress {
	return event.Progress{
		SourceID: r.SourceID, RunID: r.ID, Mode: r.Mode, State: r.State, Percent: standing(r, counts, waiting).Percent(),
		Counts: counts, Code: r.Code, Message: r.Message, StartedAt: r.StartedAt, FinishedAt: r.FinishedAt,
		At: at.UTC(), Seq: r.SnapshotSeq,
	}
}

// count returns the run's pages by outcome, and how many of the pending ones wait for a body rather than for the
// deletion-detector.
func count(ctx context.Context, q pg.Querier, runID string) (event.Counts, int, error) {
	var c event.Counts
	var waiting int
	err := q.QueryRow(ctx, `SELECT `+countColumns+` FROM confluence_sync_pages WHERE run_id = $1`, runID).
		Scan(&c.Listed, &c.Pending, &waiting, &c.Created, &c.Updated, &c.Unchanged, &c.Removed, &c.Skipped, &c.Failed)
	if err != nil {
		return c, 0, fmt.Errorf("count pages: %w", err)
	}
	return c, waiting, nil
}

// setState stores the run's new state. Before a final state, it verifies that the ledger balances. If not, the run
// has failed: left open, it would block its source for ever.
func setState(ctx context.Context, tx pgx.Tx, r *Run, next event.State, c event.Counts) error {
	r.State = next
	if !next.Final() {
		_, err := tx.Exec(ctx, `UPDATE confluence_sync_runs SET state = $2 WHERE run_id = $1`, r.ID, next)
		return err
	}
	// Two independent counts: what the listing and the detector reported, and the rows of the ledger.
	var proven int
	err := tx.QueryRow(ctx, `SELECT listed + coalesce(removal_candidates, 0) FROM confluence_sync_runs
		WHERE run_id = $1`, r.ID).Scan(&proven)
	if err != nil {
		return err
	}
	if !run.Balances(proven, c) {
		r.State, r.Code = event.StateFailed, failure.Internal
		r.Message = fmt.Sprintf("the ledger does not balance: %d listed, %d in the ledger, %d ended", proven, c.Listed, c.Listed-c.Pending)
	}
	err = tx.QueryRow(ctx, `
		UPDATE confluence_sync_runs SET state = $2, code = nullif($3, ''), message = nullif($4, ''), finished_at = clock_timestamp()
		WHERE run_id = $1 RETURNING finished_at`, r.ID, r.State, r.Code, r.Message).Scan(&r.FinishedAt)
	r.FinishedAt = r.FinishedAt.UTC()
	if err == nil && (r.State == event.StateCompleted || r.State == event.StateCompletedWithFailures || r.State == event.StateHeld) {
		err = keepMeasured(ctx, tx, r.ID)
	}
	if err == nil {
		err = describe(ctx, tx, r.SourceID, r.Mode == event.Full || c.Created+c.Updated+c.Removed > 0)
	}
	if err != nil || r.State == event.StateHeld || r.State == event.StateFailed {
		return err
	}
	_, err = tx.Exec(ctx, `
		UPDATE archon_sources SET updated_at = now(), metadata = metadata || jsonb_strip_nulls(jsonb_build_object(
			'last_sync_timestamp', $2::timestamptz,
			'last_deletion_check', CASE WHEN $3 = 'full' AND NOT ($10 = 'schedule' AND coalesce(metadata->>'deletion_strategy' = 'on_demand', false)) THEN $4::timestamptz END,
			`+kindsListed+`,
			'total_pages', (SELECT count(*) FROM confluence_pages p WHERE p.source_id = $1 AND p.is_deleted = false AND NOT p.kind IN `+partKinds+`),
			'sync_metrics', coalesce(metadata->'sync_metrics', '{}') || jsonb_build_object(
				'pages_created', $5::int, 'pages_updated', $6::int, 'pages_deleted', $7::int,
				'last_sync_duration_seconds', extract(epoch FROM $4::timestamptz - $8::timestamptz))))
		WHERE source_id = $1`,
		r.SourceID, r.ListingStarted, r.Mode, r.FinishedAt, c.Created, c.Updated, c.Removed, r.StartedAt, r.Kinds, r.Reason)
	return err
}

// Counts returns the number of a run's pages by outcome, or ErrNotFound.
func (r *Reader) Counts(ctx context.Context, v viewer.Viewer, runID string) (event.Counts, error) {
	t, err := readTold(ctx, r.pool, v, true, runID)
	return t.counts, err
}

package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store/internal/pg"
	"github.com/sluicehq/sluice/shared/viewer"
)

// Run is one sync of one source, as stored in the ledger.
type Run struct {
	ID              string       `json:"run_id"`
	SourceID        string       `json:"source_id"`
	RequestedMode   event.Mode   `json:"requested_mode"`
	Mode            event.Mode   `json:"mode"` // the mode in which it lists
	State           event.State  `json:"state"`
	BlogPosts       bool         `json:"blog_posts"` // whether Kinds has blog posts
	Kinds           []string     `json:"kinds"`      // of page.Kinds, which are listed too, according to the source's setting at the time of the request
	ApproveRemovals bool         `json:"approve_removals"`
	ApprovesRun     string       `json:"approves_run,omitempty"` // the held run whose removals this one may carry out
	OnlyPages       []string     `json:"only_pages,omitempty"`   // the failed pages that were asked for, nil for all that changed: an incremental run lists these and no others
	Attempt         int          `json:"attempt"`                // grows each time the run is listed or its work is sent again
	RequestedAt     time.Time    `json:"requested_at"`
	StartedAt       time.Time    `json:"started_at,omitzero"`
	ListingStarted  time.Time    `json:"listing_started_at,omitzero"` // by Confluence's clock
	ListingDone     time.Time    `json:"listing_completed_at,omitzero"`
	RemovalsChecked time.Time    `json:"removals_checked_at,omitzero"`
	FinishedAt      time.Time    `json:"finished_at,omitzero"`
	Listed          int          `json:"listed"`
	Code            failure.Code `json:"code,omitempty"`
	Message         string       `json:"message,omitempty"`
	Notes           []string     `json:"notes,omitempty"` // what the run could not do, and why, in sentences
	Decision        Decision     `json:"decision,omitempty"`
	APICalls        int          `json:"api_calls"` // to Confluence, including repetitions
	APIBytes        int64        `json:"api_bytes"` // size of the answers after decompression
	SnapshotSeq     int64        `json:"-"`         // of the newest snapshot
	Reason          Reason       `json:"reason" enum:"asked,schedule"`
}

// Decision is a person's decision on the removals of a held run.
type Decision string

// The decisions.
const (
	Approved Decision = "approved"
	Rejected Decision = "rejected"
)

const runColumns = `run_id, source_id, requested_mode, mode, state, approve_removals, attempt, requested_at,
	started_at, listing_started_at, listing_completed_at, removals_checked_at, finished_at,
	coalesce(listed, 0), coalesce(code, ''), coalesce(message, ''), coalesce(approves_run, ''), coalesce(decision, ''),
	api_calls, api_bytes, blog_posts, kinds, snapshot_seq, notes, only_pages, reason`

// Again returns the request that makes a claimed run continue from its ledger.
func (r Run) Again() event.SyncRequested {
	return event.SyncRequested{
		SourceID: r.SourceID, RequestID: r.ID, Mode: r.RequestedMode, ApproveRemovals: r.ApproveRemovals, Nudge: r.Attempt,
	}
}

func scanRun(row pgx.CollectableRow) (Run, error) { return scanRunAnd(row) }

// scanRunAnd scans a run and what follows it.
func scanRunAnd(row pgx.CollectableRow, more ...any) (Run, error) {
	var r Run
	var started, listing, done, checked, finished *time.Time
	err := row.Scan(append([]any{&r.ID, &r.SourceID, &r.RequestedMode, &r.Mode, &r.State, &r.ApproveRemovals, &r.Attempt,
		&r.RequestedAt, &started, &listing, &done, &checked, &finished, &r.Listed, &r.Code, &r.Message, &r.ApprovesRun, &r.Decision, &r.APICalls, &r.APIBytes, &r.BlogPosts, &r.Kinds, &r.SnapshotSeq, &r.Notes, &r.OnlyPages, &r.Reason}, more...)...)
	r.RequestedAt = r.RequestedAt.UTC()
	// A process of the release before writes only blog_posts: it may still run while the next release is started.
	if r.BlogPosts && !slices.Contains(r.Kinds, page.BlogPost) {
		r.Kinds = append(r.Kinds, page.BlogPost)
	}
	for _, t := range []struct {
		from *time.Time
		to   *time.Time
	}{{started, &r.StartedAt}, {listing, &r.ListingStarted}, {done, &r.ListingDone}, {checked, &r.RemovalsChecked}, {finished, &r.FinishedAt}} {
		if t.from != nil {
			*t.to = t.from.UTC()
		}
	}
	return r, err
}

// ErrRequestIDTaken is returned by OpenRun when another source used the request id.
var ErrRequestIDTaken = errors.New("the request id is taken by another source")

// ReconcileEvery is the interval of full comparisons for a source of the weekly strategy.
const ReconcileEvery = 7 * 24 * time.Hour

// OpenRun creates or finds the run of a request. It opens the run unless another run of the source is open or was
// requested earlier: then the state remains requested, and the caller tries again later. The same request id always
// means the same run, however often the request arrives.
//
// The first run of a source is always full, since there is no watermark yet. A later one is full in four cases: if
// the source's deletion strategy requires a check for removals now, which only a full listing can prove; if the
// search was found to omit pages; if blog posts are wanted but no full listing has contained them, since an
// incremental listing has only recent changes; and if the source is unsettled. A request for some failed pages lists these
// and proves nothing about the others: only the first of these cases makes it a full run of the whole source.
//
// It returns ErrNotFound if the source does not exist, and ErrRequestIDTaken if the request id belongs to another
// source's run.
func (s *Store) OpenRun(ctx context.Context, req event.SyncRequested) (Run, error) {
	var run Run
	err := s.inTx(ctx, "open run "+req.RequestID, func(tx pgx.Tx) error {
		err := recordRequest(ctx, tx, req)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			UPDATE confluence_sync_runs r SET state = 'listing', started_at = now(), sent_at = now()
			WHERE r.run_id = $1 AND r.source_id = $2 AND r.state = 'requested' AND NOT EXISTS (
				SELECT FROM confluence_sync_runs o
				WHERE o.source_id = r.source_id AND (o.state IN ('listing', 'fetching', 'finishing')
					OR o.state = 'requested' AND (o.requested_at, o.run_id) < (r.requested_at, r.run_id)))`,
			req.RequestID, req.SourceID)
		if err != nil {
			return err
		}
		run, err = readRun(ctx, tx, req.RequestID)
		return err
	})
	if err != nil {
		return run, err
	}
	if run.SourceID != req.SourceID {
		return run, fmt.Errorf("open run %s: %w", req.RequestID, ErrRequestIDTaken)
	}
	return run, nil
}

// recordRequest stores the request of a person or a program as a run, unless it is stored already.
func recordRequest(ctx context.Context, tx pgx.Tx, req event.SyncRequested) error {
	return recordRunFor(ctx, tx, req, ByRequest, nil)
}

// recordRunFor is recordRequest for a reason. By schedule, the schedule alone says when a run is full, and not the source's
// strategy; marks are for what it is requested.
func recordRunFor(ctx context.Context, tx pgx.Tx, req event.SyncRequested, why Reason, marks []string) error {
	if len(req.OnlyPages) == 0 { // an empty list, of a NATS client, asks for nothing special
		req.OnlyPages = nil
	}
	// The lock serializes requests of one source but allows chunks to be written: their foreign key needs a weaker
	// lock.
	var first, reconcile bool
	var kinds, able []string
	err := tx.QueryRow(ctx, `
		SELECT NOT metadata ? 'last_sync_timestamp', CASE WHEN $4 THEN false ELSE CASE coalesce(metadata->>'deletion_strategy', $2)
			WHEN 'every_sync' THEN true
			WHEN 'on_demand' THEN false
			ELSE coalesce((metadata->>'last_deletion_check')::timestamptz, '-infinity') < now() - $3::interval END END
			OR coalesce((metadata->>'search_misses')::int, 0) > 0
			OR `+unlistedKinds+` OR `+unsettledSQL+`, `+wantedKinds+`, `+ableKinds+`
		FROM archon_sources
		WHERE source_id = $1 AND `+ourSource+` FOR NO KEY UPDATE`,
		req.SourceID, WeeklyReconciliation, ReconcileEvery, why == BySchedule).Scan(&first, &reconcile, &kinds, &able)
	if err != nil {
		return pg.NotFound(err, "source "+req.SourceID)
	}
	mode := req.Mode
	if first || reconcile && req.OnlyPages == nil {
		mode = event.Full
	}
	if req.Mode != event.Full {
		kinds = able
	}
	// The time is taken behind the lock: now() is that of the transaction's start, and a request that waited for the
	// lock would seem older than the one that runs already.
	tag, err := tx.Exec(ctx, `
		INSERT INTO confluence_sync_runs (run_id, source_id, requested_mode, mode, state, approve_removals, approves_run, blog_posts, kinds, only_pages, reason, marks, requested_at)
		SELECT $1, $2, $3, $4, 'requested', $5, nullif($6, ''), $9 = ANY ($7::text[]), $7::text[], $10::text[], $11, $12::text[], clock_timestamp()
		WHERE (SELECT count(*) FROM confluence_sync_runs WHERE source_id = $2 AND state = 'requested') < $8
		ON CONFLICT (run_id) DO NOTHING`,
		req.RequestID, req.SourceID, req.Mode, mode, req.ApproveRemovals, req.ApprovesRun, kinds, MaxWaiting, page.BlogPost, req.OnlyPages, why, marks)
	if err != nil || tag.RowsAffected() > 0 {
		return err
	}
	var exists bool
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM confluence_sync_runs WHERE run_id = $1)`, req.RequestID).Scan(&exists)
	if err == nil && !exists {
		err = ErrTooManyRuns
	}
	return err
}

// MaxWaiting is how many runs of a source may wait for their turn.
const MaxWaiting = 20

// ErrTooManyRuns says that MaxWaiting runs of the source wait already, so that no other is requested.
var ErrTooManyRuns = errors.New("too many runs of the source wait for their turn")

// JoinRun returns a run of the source that waits for its turn and will do all that req asks for. If there is none, it
// is RequestRun. Pages that are asked for join no run that lists what changed: it leaves out files that failed for good.
func (s *Store) JoinRun(ctx context.Context, req event.SyncRequested) (run Run, joined bool, err error) {
	err = s.inTx(ctx, "request run "+req.RequestID, func(tx pgx.Tx) error {
		// Of two requests at the same time, the second finds the first.
		_, err := tx.Exec(ctx, `SELECT FROM archon_sources WHERE source_id = $1 FOR NO KEY UPDATE`, req.SourceID)
		if err != nil {
			return err
		}
		rows, _ := tx.Query(ctx, `SELECT `+runColumns+` FROM confluence_sync_runs
			WHERE source_id = $1 AND state = 'requested' AND approves_run IS NULL AND approve_removals = $3 AND (mode = 'full' OR mode = $2)
			AND kinds = (SELECT CASE WHEN requested_mode = 'full' THEN `+wantedKinds+` ELSE `+ableKinds+` END FROM archon_sources WHERE source_id = $1)
			AND (mode = 'full' OR only_pages IS NULL AND $4::text[] IS NULL OR only_pages @> $4::text[])
			ORDER BY requested_at, run_id LIMIT 1`, req.SourceID, req.Mode, req.ApproveRemovals, req.OnlyPages)
		run, err = pgx.CollectExactlyOneRow(rows, scanRun)
		if joined = err == nil; joined || !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if err = recordRequest(ctx, tx, req); err == nil {
			run, err = readRun(ctx, tx, req.RequestID)
		}
		return err
	})
	return run, joined, err
}

// RequestRun creates or finds the run of a request without opening it: the stage that receives the request does that.
// A request that is stored before it is published survives the loss of the broker: the progress service sends it
// again from the ledger. It returns the same errors as OpenRun.
func (s *Store) RequestRun(ctx context.Context, req event.SyncRequested) (Run, error) {
	var run Run
	err := s.inTx(ctx, "request run "+req.RequestID, func(tx pgx.Tx) (err error) {
		if err = recordRequest(ctx, tx, req); err != nil {
			return err
		}
		run, err = readRun(ctx, tx, req.RequestID)
		return err
	})
	if err == nil && run.SourceID != req.SourceID {
		err = fmt.Errorf("request run %s: %w", req.RequestID, ErrRequestIDTaken)
	}
	return run, err
}

func readRun(ctx context.Context, q pg.Querier, id string) (Run, error) {
	rows, err := q.Query(ctx, `SELECT `+runColumns+` FROM confluence_sync_runs WHERE run_id = $1`, id)
	if err != nil {
		return Run{}, fmt.Errorf("read run %s: %w", id, err)
	}
	run, err := pgx.CollectExactlyOneRow(rows, scanRun)
	if err != nil {
		return run, pg.NotFound(err, "read run "+id)
	}
	return run, nil
}

// Run returns a run by its id, or ErrNotFound.
func (s *Store) Run(ctx context.Context, id string) (Run, error) { return readRun(ctx, s.pool, id) }

// Run returns a run by its id, or ErrNotFound.
func (r *Reader) Run(ctx context.Context, v viewer.Viewer, id string) (Run, error) {
	return readVisibleRun(ctx, r.pool, v, id)
}

// readVisibleRun returns a run as the viewer may know it if the viewer may see its source, or else ErrNotFound.
func readVisibleRun(ctx context.Context, q pg.Querier, v viewer.Viewer, id string) (Run, error) {
	t, err := readTold(ctx, q, v, false, id)
	return t.Run, err
}

// readTold is readVisibleRun, with the counts of its pages if counted is set.
func readTold(ctx context.Context, q pg.Querier, v viewer.Viewer, counted bool, id string) (toldRun, error) {
	list, err := told(ctx, q, v, counted, "r.run_id = $1", "run_id", 1, id)
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return toldRun{}, fmt.Errorf("read run %s: %w", id, err)
	}
	return list[0], nil
}

// Runs lists runs, the newest first, only of one source if sourceID is not empty.
func (r *Reader) Runs(ctx context.Context, v viewer.Viewer, sourceID string, p Part) ([]Run, error) {
	args, err := p.positions(2, sourceID)
	if err != nil {
		return nil, err
	}
	list, err := toldRuns(ctx, r.pool, v, `($1 = '' OR r.source_id = $1)
		AND ($2::text IS NULL OR (r.requested_at, r.run_id) < ($2::text::timestamptz, $3::text))`, "requested_at DESC, run_id DESC", p.Limit, args...)
	if err != nil {
		return nil, p.listError(err, "list runs")
	}
	return list, nil
}

// EndedRuns returns the ids of the runs that ended within the given time before now.
func (s *Store) EndedRuns(ctx context.Context, within time.Duration) ([]string, error) {
	rows, _ := s.pool.Query(ctx, `SELECT run_id FROM confluence_sync_runs WHERE finished_at > now() - $1::interval
		ORDER BY finished_at`, within)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list runs that ended: %w", err)
	}
	return list, nil
}

// OpenRuns lists the runs that have not ended.
func (s *Store) OpenRuns(ctx context.Context) ([]Run, error) {
	return s.Reader().OpenRuns(ctx, viewer.All(), Whole())
}

// OpenRuns lists the runs that have not ended, the oldest first.
func (r *Reader) OpenRuns(ctx context.Context, v viewer.Viewer, p Part) ([]Run, error) {
	list, err := openRuns(ctx, r.pool, v, false, p)
	runs := make([]Run, len(list))
	for i, t := range list {
		runs[i] = t.Run
	}
	return runs, err
}

// OpenOperations lists the runs that have not ended with how far they are, the oldest first.
func (r *Reader) OpenOperations(ctx context.Context, v viewer.Viewer, p Part) ([]Operation, error) {
	list, err := openRuns(ctx, r.pool, v, true, p)
	ops := make([]Operation, len(list))
	for i, t := range list {
		ops[i] = t.operation()
	}
	return ops, err
}

func openRuns(ctx context.Context, q pg.Querier, v viewer.Viewer, counted bool, p Part) ([]toldRun, error) {
	args, err := p.positions(2)
	if err != nil {
		return nil, err
	}
	list, err := told(ctx, q, v, counted, `r.state IN ('requested', 'listing', 'fetching', 'finishing')
		AND ($1::text IS NULL OR (r.requested_at, r.run_id) > ($1::text::timestamptz, $2::text))`, "requested_at, run_id", p.Limit, args...)
	if err != nil {
		return nil, p.listError(err, "list open runs")
	}
	return list, nil
}

// FailRun ends an open run as failed. A run that has already ended stays unchanged.
func (s *Store) FailRun(ctx context.Context, id string, code failure.Code, message string) error {
	_, err := s.pool.Exec(ctx, `
		UPDATE confluence_sync_runs SET state = 'failed', code = $2, message = $3, finished_at = clock_timestamp()
		WHERE run_id = $1 AND state IN ('requested', 'listing', 'fetching', 'finishing')`, id, code, pg.CleanText(message))
	if err != nil {
		return fmt.Errorf("fail run %s: %w", id, err)
	}
	return nil
}

// ErrEnded is returned for a run that has already ended.
var ErrEnded = errors.New("the run has ended")

// CancelRun ends an open run. What it has stored stays. Its pending pages end as skipped, and the next run lists them
// again, since the watermark has not moved. It returns ErrNotFound, or ErrEnded for a run that has already ended.
func (s *Store) CancelRun(ctx context.Context, id string) (Run, error) {
	var run Run
	err := s.inTx(ctx, "cancel run "+id, func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, `UPDATE confluence_sync_runs SET state = 'cancelled', finished_at = clock_timestamp(),
			listing_until = NULL, message = 'cancelled by request'
			WHERE run_id = $1 AND state IN ('requested', 'listing', 'fetching', 'finishing') RETURNING `+runColumns, id)
		var err error
		run, err = pgx.CollectExactlyOneRow(rows, scanRun)
		if errors.Is(err, pgx.ErrNoRows) {
			if run, err = readRun(ctx, tx, id); err == nil {
				err = ErrEnded
			}
		}
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE confluence_sync_pages SET outcome = 'skipped', reason = 'cancelled', ended_at = now()
			WHERE run_id = $1 AND outcome IS NULL`, id)
		return err
	})
	return run, err
}

// maxNotes limits the notes of a run: a problem with one folder may affect a thousand.
const maxNotes = 20

// Note adds a note for the story of a run: a sentence about what the run could not do, and why. It adds each text
// only once.
func (s *Store) Note(ctx context.Context, runID, note string) error {
	_, err := s.pool.Exec(ctx, `UPDATE confluence_sync_runs SET notes = notes || $2::text
		WHERE run_id = $1 AND NOT notes @> ARRAY[$2::text] AND cardinality(notes) < $3`, runID, pg.CleanText(note), maxNotes)
	if err != nil {
		return fmt.Errorf("add a note to run %s: %w", runID, err)
	}
	return nil
}

// ListInFull changes a run that is being listed into a full one.
func (s *Store) ListInFull(ctx context.Context, runID string, attempt int) error {
	tag, err := s.pool.Exec(ctx, `UPDATE confluence_sync_runs SET mode = 'full'
		WHERE run_id = $1 AND attempt = $2 AND state = 'listing'`, runID, attempt)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrNotCurrent
	}
	if err != nil {
		return fmt.Errorf("list run %s in full: %w", runID, err)
	}
	return nil
}

// CompareSearch counts the listed pages that the search for labels omitted, and stores the number for the source:
// while it is not 0, the source's runs are full. Pages that are not stored yet do not count, since the search index
// lags behind. The labels must have been read completely.
func (s *Store) CompareSearch(ctx context.Context, run Run) (missed int, err error) {
	err = s.pool.QueryRow(ctx, `
		WITH missed AS (
			SELECT count(*)::int AS n FROM confluence_sync_pages l JOIN confluence_pages p USING (page_id)
			WHERE l.run_id = $1 AND l.status = 'current' AND l.labels IS NULL AND l.outcome IS DISTINCT FROM 'failed'
			AND p.source_id = $2 AND p.is_deleted = false AND NOT l.kind IN `+partKinds+`
		)
		UPDATE archon_sources SET metadata = CASE WHEN n > 0
			THEN metadata || jsonb_build_object('search_misses', n) ELSE metadata - 'search_misses' END
		FROM missed WHERE source_id = $2 RETURNING n`, run.ID, run.SourceID).Scan(&missed)
	if err != nil {
		return 0, fmt.Errorf("compare the search with the listing of run %s: %w", run.ID, err)
	}
	return missed, nil
}

// AddUsage adds API calls and bytes to a run.
func (s *Store) AddUsage(ctx context.Context, runID string, calls int, bytes int64) error {
	if calls == 0 {
		return nil
	}
	_, err := s.pool.Exec(ctx, `UPDATE confluence_sync_runs SET api_calls = api_calls + $2, api_bytes = api_bytes + $3
		WHERE run_id = $1`, runID, calls, bytes)
	if err != nil {
		return fmt.Errorf("add to the usage of run %s: %w", runID, err)
	}
	return nil
}

// StalledSources returns the sources of the runs that ClaimStalled would claim.
func (s *Store) StalledSources(ctx context.Context, idle time.Duration) ([]string, error) {
	rows, _ := s.pool.Query(ctx, `SELECT DISTINCT r.source_id FROM confluence_sync_runs r WHERE `+stalledSQL, idle, []string{})
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("look for stalled runs: %w", err)
	}
	return list, nil
}

// ClaimStalled returns the open runs without progress for a while, and renews their lease so that no other replica
// claims them too. A run is claimed after idle, then after twice that time, and so on up to 16 times, so that a long
// pause requested by Confluence does not create many copies of its tasks. A listing whose lease is valid is not
// claimed.
//
// The bodies of the sources in queued wait in a stage's queue, so fetching them again would only create copies. Their
// runs are not claimed before 16 times idle, because a handler that hangs also keeps its message in the queue.
func (s *Store) ClaimStalled(ctx context.Context, idle time.Duration, queued ...string) ([]Run, error) {
	rows, _ := s.pool.Query(ctx, `
		UPDATE confluence_sync_runs SET sent_at = now(), attempt = attempt + 1
		WHERE run_id IN (SELECT r.run_id FROM confluence_sync_runs r WHERE `+stalledSQL+` FOR NO KEY UPDATE SKIP LOCKED)
		RETURNING `+runColumns, idle, append([]string{}, queued...))
	list, err := pgx.CollectRows(rows, scanRun)
	if err != nil {
		return nil, fmt.Errorf("claim stalled runs: %w", err)
	}
	return list, nil
}

// itsTurnSQL is the SQL condition that the open run r does not wait for another run, and is not being listed now.
const itsTurnSQL = `
	(r.state IN ('listing', 'fetching', 'finishing')
		OR r.state = 'requested' AND NOT EXISTS (
			SELECT FROM confluence_sync_runs o WHERE o.source_id = r.source_id
			AND o.state IN ('listing', 'fetching', 'finishing')))
	AND coalesce(r.listing_until, now()) <= now()`

// stalledSQL is the SQL condition that the open run r had no progress for $1 or longer; $2 are the sources with
// queued messages.
const stalledSQL = itsTurnSQL + `
	AND greatest(r.sent_at, r.requested_at, r.listing_completed_at,
		(SELECT max(p.ended_at) FROM confluence_sync_pages p WHERE p.run_id = r.run_id))
		< now() - $1::interval * CASE WHEN r.state = 'fetching' AND r.source_id = ANY ($2) THEN 16
			ELSE least(16, power(2, greatest(least(r.attempt, 10) - 2, 0))) END`

package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/schedule"
)

// Reason says why a run was requested.
type Reason string

// The reasons of runs.
const (
	ByRequest  Reason = "asked"
	BySchedule Reason = "schedule"
)

// LookResult is what came of looking at a source that was due.
type LookResult string

// The results of looking at a source.
const (
	LookUnchanged LookResult = "unchanged" // nothing has changed
	LookRequested LookResult = "requested" // a run was requested
	LookBusy      LookResult = "busy"      // a run was requested or under way already
	LookWaits     LookResult = "waits"     // its last runs failed, so nothing is done for a while
	LookFailed    LookResult = "failed"    // the source or its site could not be asked
)

// Scheduled is the schedule of a source, and what came of it last.
type Scheduled struct {
	schedule.Schedule
	Next     time.Time    `json:"next,omitzero" doc:"when the source is next looked at"`
	FullNext time.Time    `json:"next_full,omitzero" doc:"when all its pages are next compared, at the earliest"`
	LookedAt time.Time    `json:"looked_at,omitzero" doc:"when it was last looked at"`
	Result   LookResult   `json:"result,omitempty" enum:"unchanged,requested,busy,waits,failed" doc:"what came of that"`
	Problem  failure.Code `json:"problem,omitempty" doc:"why that failed, as a code"`

	fullAfter, seen, changed, mended time.Time
	failures                         int
}

const scheduleColumns = `, h.is_on, coalesce(h.every, ''), coalesce(h.cron, ''), coalesce(h.time_zone, ''), coalesce(h.quiet_hours, ''), coalesce(h.full_every, ''),
	h.next_at, h.full_after, h.looked_at, h.seen_until, h.changed_at, h.mended_at, coalesce(h.look_result, ''), coalesce(h.look_problem, ''), coalesce(h.look_failures, 0)`

// scheduleRow is what scheduleColumns are scanned into.
type scheduleRow struct {
	on *bool // nil without a schedule
	Scheduled
	times [6]*time.Time
}

func (r *scheduleRow) targets() []any {
	return []any{
		&r.on, &r.Every, &r.Cron, &r.TimeZone, &r.Quiet, &r.FullEvery,
		&r.times[0], &r.times[1], &r.times[2], &r.times[3], &r.times[4], &r.times[5], &r.Result, &r.Problem, &r.failures,
	}
}

// schedule returns what was scanned for the source.
func (r *scheduleRow) schedule(src Source) *Scheduled {
	if r.on == nil {
		return nil
	}
	s := r.Scheduled
	s.On = *r.on
	for i, to := range []*time.Time{&s.Next, &s.fullAfter, &s.LookedAt, &s.seen, &s.changed, &s.mended} {
		if r.times[i] != nil {
			*to = r.times[i].UTC()
		}
	}
	if !s.On {
		s.Next = time.Time{}
	}
	if every := s.FullInterval(); s.On && every > 0 && src.DeletionStrategy != OnDemand && !src.LastCheck.IsZero() {
		if s.FullNext = src.LastCheck.Add(every); s.FullNext.Before(s.fullAfter) {
			s.FullNext = s.fullAfter
		}
	}
	return &s
}

// setSchedule stores the schedule of a source. It is due as the schedule says from now on, and what failed before does
// not count any more.
func setSchedule(ctx context.Context, tx pgx.Tx, sourceID string, s schedule.Schedule) error {
	var now time.Time
	var key string
	if err := tx.QueryRow(ctx, `SELECT clock_timestamp(), `+siteKey+` FROM archon_sources s WHERE s.source_id = $1`, sourceID).Scan(&now, &key); err != nil {
		return err
	}
	next, err := s.Next(now, key, -1)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO confluence_schedules AS h (source_id, is_on, every, cron, time_zone, quiet_hours, full_every, next_at, mended_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now())
		ON CONFLICT (source_id) DO UPDATE SET is_on = excluded.is_on, every = excluded.every, cron = excluded.cron, time_zone = excluded.time_zone,
			quiet_hours = excluded.quiet_hours, full_every = excluded.full_every, next_at = excluded.next_at, mended_at = now(),
			full_after = CASE WHEN h.full_every = excluded.full_every THEN h.full_after ELSE now() END, look_failures = 0, look_token = '', look_until = NULL`,
		sourceID, s.On, s.Every, s.Cron, s.TimeZone, s.Quiet, s.FullEvery, orNull(next))
	return err
}

// wakeSQL makes schedules due at once and forgets what failed before. Whoever looks at the source meanwhile may still do so
// with what was mended, so that does not count.
const wakeSQL = `UPDATE confluence_schedules h SET next_at = now(), mended_at = now(), look_failures = 0, look_token = '', look_until = NULL
	FROM archon_sources s WHERE h.source_id = s.source_id AND h.is_on AND `

// siteKey is the SQL expression for what the source s is looked at together with: its site, else itself.
const siteKey = `coalesce(` + siteOf + `, s.source_id)`

// dueNow is the SQL condition that the source s with its schedule h is due, and that nobody looks at it. A site that has
// asked for a pause is left alone.
const dueNow = `h.is_on AND h.next_at <= now() AND coalesce(h.look_until < now(), true)
	AND NOT EXISTS (SELECT FROM confluence_pauses p WHERE p.site = ` + siteOf + ` AND ` + inForce + `)`

// DueSources returns a source of each site that has sources which have been due for at least so long, and each other source
// that has.
func (s *Store) DueSources(ctx context.Context, since time.Duration) ([]string, error) {
	rows, _ := s.pool.Query(ctx, `SELECT min(s.source_id) FROM confluence_schedules h JOIN archon_sources s USING (source_id)
		WHERE `+dueNow+` AND h.next_at <= now() - $1::interval GROUP BY `+siteKey+` ORDER BY min(h.next_at)`, since)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("look for sources that are due: %w", err)
	}
	return list, nil
}

// LookLease is how long sources that are due belong to whoever has claimed them.
const LookLease = 2 * time.Minute

// DueSource is a source that was claimed because it is due.
type DueSource struct {
	Source
	Key      string // of what it is looked at together with
	Facts    schedule.Facts
	Changed  time.Time // when something last changed; zero if that is not known
	Failures int       // how often in a row it could not be looked at
}

// Look are the sources that somebody looks at.
type Look struct {
	Token   string
	Sources []DueSource
}

// ClaimDue claims all sources of a source's site that are due, for LookLease. If it is no longer due, there are none.
func (s *Store) ClaimDue(ctx context.Context, sourceID string) (Look, error) {
	l := Look{Token: rand.Text()}
	err := s.inTx(ctx, "claim what is due with source "+sourceID, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE confluence_schedules SET look_token = $2, look_until = now() + $3::interval WHERE source_id IN (
			SELECT h.source_id FROM confluence_schedules h JOIN archon_sources s USING (source_id)
			WHERE `+dueNow+` AND `+siteKey+` = (SELECT `+siteKey+` FROM archon_sources s WHERE s.source_id = $1)
			FOR NO KEY UPDATE OF h SKIP LOCKED)`, sourceID, l.Token, LookLease)
		if err != nil {
			return err
		}
		rows, _ := tx.Query(ctx, `SELECT `+sourceColumns+`, 0, 0, `+siteKey+`, clock_timestamp(), EXISTS (
				SELECT FROM confluence_sync_runs r WHERE r.source_id = s.source_id AND r.state IN ('requested', 'listing', 'fetching', 'finishing'))
			`+sourceFrom+` WHERE h.look_token = $1 ORDER BY s.source_id`, l.Token)
		l.Sources, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (d DueSource, err error) {
			d.Source, err = scanSourceAnd(row, &d.Key, &d.Facts.Now, &d.Facts.Busy)
			return d, err
		})
		for i := range l.Sources {
			if err == nil {
				err = l.Sources[i].complete(ctx, tx)
			}
		}
		return err
	})
	return l, err
}

// lastRuns is how many runs of a source are looked at for failures.
const lastRuns = 20

// complete adds the facts. Runs that list only some pages say nothing about the source, and a person has cancelled others.
func (d *DueSource) complete(ctx context.Context, tx pgx.Tx) error {
	h, f := d.Schedule, &d.Facts
	f.Now = f.Now.UTC()
	f.OnDemand, f.Synced, f.Compared = d.DeletionStrategy == OnDemand, d.LastSync, d.LastCheck
	f.Seen, f.FullAfter, d.Changed, d.Failures = h.seen, h.fullAfter, h.changed, h.failures
	rows, err := tx.Query(ctx, `SELECT state, mode = 'full' AND reason = 'schedule', mode = 'full', finished_at FROM confluence_sync_runs
		WHERE source_id = $1 AND only_pages IS NULL AND state IN ('completed', 'completed_with_failures', 'held', 'failed')
		ORDER BY requested_at DESC, run_id DESC LIMIT $2`, d.ID, lastRuns)
	if err != nil {
		return err
	}
	var state event.State
	var byUs, full, well, wellFull, seenFull bool
	var at time.Time
	_, err = pgx.ForEachRow(rows, []any{&state, &byUs, &full, &at}, func() error {
		failed := state == event.StateFailed
		if failed && !well && at.After(h.mended) {
			if f.Failures++; f.Failures == 1 {
				f.FailedAt = at.UTC()
			}
		}
		if byUs && !seenFull {
			seenFull, f.FullFailed = true, failed && !wellFull
		}
		well, wellFull = well || !failed, wellFull || full && !failed
		return nil
	})
	return err
}

// Looked is what came of looking at a source.
type Looked struct {
	SourceID  string
	Result    LookResult
	Problem   failure.Code
	Next      time.Time
	Seen      time.Time            // up to when nothing has changed, by the site's clock; zero if that is not known
	Request   *event.SyncRequested // the run to request, or nil
	Marks     []string             // for what it is requested
	Changed   bool                 // something has changed
	FullAfter time.Time            // no full run before; zero to leave it
}

// EndLook stores what came of looking at claimed sources, and the runs to request, which it returns for the caller to
// publish. A source that was claimed by another process, changed or woken meanwhile stays as it is. Claimed sources that
// are not in the list are due again at once.
func (s *Store) EndLook(ctx context.Context, token string, list []Looked) ([]event.SyncRequested, error) {
	var requests []event.SyncRequested
	err := s.inTx(ctx, "end looking at sources", func(tx pgx.Tx) error {
		requests = nil
		for _, l := range list {
			asked, err := l.request(ctx, tx, token)
			if err != nil {
				return err
			}
			if asked {
				requests = append(requests, *l.Request)
			}
			_, err = tx.Exec(ctx, `UPDATE confluence_schedules SET look_token = '', look_until = NULL, looked_at = clock_timestamp(),
					look_result = $3, look_problem = $4, next_at = $5, look_failures = CASE WHEN $3 = 'failed' THEN look_failures + 1 ELSE 0 END,
					seen_until = coalesce($6, seen_until), changed_at = CASE WHEN $7 THEN clock_timestamp() ELSE changed_at END, full_after = coalesce($8, full_after)
				WHERE source_id = $1 AND look_token = $2`, l.SourceID, token, l.Result, l.Problem, l.Next, orNull(l.Seen), l.Changed, orNull(l.FullAfter))
			if err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `UPDATE confluence_schedules SET look_token = '', look_until = NULL WHERE look_token = $1`, token)
		return err
	})
	return requests, err
}

// request stores the run of a source that is still claimed, unless a person has requested one meanwhile.
func (l *Looked) request(ctx context.Context, tx pgx.Tx, token string) (bool, error) {
	if l.Request == nil {
		return false, nil
	}
	var busy bool
	// The locks are taken in the order in which a change of the source takes them.
	err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM confluence_sync_runs r WHERE r.source_id = s.source_id AND r.state IN ('requested', 'listing', 'fetching', 'finishing'))
		FROM archon_sources s WHERE s.source_id = $1 AND EXISTS (SELECT FROM confluence_schedules h WHERE h.source_id = s.source_id AND h.look_token = $2)
		FOR NO KEY UPDATE`, l.SourceID, token).Scan(&busy)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if busy {
		l.Result, l.FullAfter, l.Seen = LookBusy, time.Time{}, time.Time{}
		return false, nil
	}
	return true, recordRunFor(ctx, tx, *l.Request, BySchedule, l.Marks)
}

// Hit is what a site's search shows of content that may have changed.
type Hit struct {
	SourceID string
	PageID   string
	Version  int
}

// Mark is how a run names the hit for which it was requested.
func (h Hit) Mark() string { return fmt.Sprintf("%s@%d", h.PageID, h.Version) }

// UnknownHits returns those of the hits whose version is not stored, and for which no run was requested that has listed
// them since.
func (s *Store) UnknownHits(ctx context.Context, hits []Hit) ([]Hit, error) {
	var sources, pages, marks []string
	var versions []int32
	for _, h := range hits {
		sources, pages, marks, versions = append(sources, h.SourceID), append(pages, h.PageID), append(marks, h.Mark()), append(versions, int32(h.Version)) //nolint:gosec // the client bounds it
	}
	rows, _ := s.pool.Query(ctx, `
		WITH known AS (
			SELECT r.source_id, m.mark FROM confluence_sync_runs r CROSS JOIN LATERAL unnest(r.marks) AS m (mark)
			WHERE r.marks IS NOT NULL AND r.source_id = ANY ($1) AND r.requested_at > now() - interval '1 day'
			AND r.state IN ('completed', 'completed_with_failures', 'held')
		)
		SELECT h.place FROM unnest($1::text[], $2::text[], $3::int[], $4::text[]) WITH ORDINALITY AS h (source_id, page_id, version, mark, place)
		WHERE NOT EXISTS (SELECT FROM confluence_pages p WHERE p.source_id = h.source_id AND p.page_id = h.page_id AND p.version = h.version AND NOT p.is_deleted)
		AND NOT EXISTS (SELECT FROM known k WHERE k.source_id = h.source_id AND k.mark = h.mark)
		ORDER BY h.place`, sources, pages, versions, marks)
	places, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		return nil, fmt.Errorf("compare what a site shows with what is stored: %w", err)
	}
	unknown := make([]Hit, len(places))
	for i, place := range places {
		unknown[i] = hits[place-1]
	}
	return unknown, nil
}

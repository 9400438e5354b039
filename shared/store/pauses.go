package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// WaitedInPlace is the longest pause that a call waits in place. Nobody ends such a pause: who waits already looks for no
// lift. Longer pauses park the work.
const WaitedInPlace = 30 * time.Second

// Pause is a pause that a site asked for: all sources of the site wait.
type Pause struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until"` // by the database's clock, as Since
	Why   string    `json:"why"`   // the call that was answered with it
}

// Liftable reports whether LiftPause ends the pause.
func (p Pause) Liftable() bool { return p.Until.Sub(p.Since) > WaitedInPlace }

const (
	// inForce is the SQL condition that the pause p applies now.
	inForce = `(p.until > clock_timestamp() AND coalesce(p.lifted_at < p.since, true))`
	// siteOf is the SQL expression for the site of the source s, as in confluence_pauses.
	siteOf = `lower(s.metadata->>'confluence_base_url')`
)

// ErrNotPaused says that the site of a source has not asked for a pause, that the pause is over, or
// that it is one that calls wait for in place.
var ErrNotPaused = errors.New("the site is not paused")

// RecordPause records that a site asks for a pause of the given length from now on. It never shortens a pause.
func (s *Store) RecordPause(ctx context.Context, site string, wait time.Duration, why string) error {
	// A value is computed after the row is locked, so a pause that comes after a lift begins after it.
	_, err := s.pool.Exec(ctx, `
		INSERT INTO confluence_pauses AS p (site, until, why) VALUES (lower($1), clock_timestamp() + $2::interval, $3)
		ON CONFLICT (site) DO UPDATE SET why = excluded.why,
			since = CASE WHEN `+inForce+` THEN p.since ELSE clock_timestamp() END,
			until = CASE WHEN `+inForce+` THEN greatest(p.until, excluded.until) ELSE excluded.until END`, site, wait, why)
	if err != nil {
		return fmt.Errorf("record a pause of %s: %w", site, err)
	}
	return nil
}

// PauseLifted returns when somebody last lifted a pause of a site, by the database's clock; zero for never.
func (s *Store) PauseLifted(ctx context.Context, site string) (time.Time, error) {
	var at *time.Time
	err := s.pool.QueryRow(ctx, `SELECT lifted_at FROM confluence_pauses WHERE site = lower($1)`, site).Scan(&at)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return time.Time{}, fmt.Errorf("look for a lifted pause of %s: %w", site, err)
	}
	if at == nil {
		return time.Time{}, nil
	}
	return at.UTC(), nil
}

// LiftPause ends the pause of a source's site, and claims the site's open runs as ClaimStalled does: their messages
// wait for the end of the pause, so the caller must request the runs again. A listing that is under way is not
// claimed. The error is ErrNotPaused if there is no pause, or one that is not liftable.
func (s *Store) LiftPause(ctx context.Context, sourceID string) (Pause, []Run, error) {
	var lifted Pause
	var runs []Run
	err := s.inTx(ctx, "lift the pause of source "+sourceID, func(tx pgx.Tx) error {
		var site string
		err := tx.QueryRow(ctx, `UPDATE confluence_pauses p SET lifted_at = clock_timestamp() FROM archon_sources s
			WHERE s.source_id = $1 AND p.site = `+siteOf+` AND `+inForce+` AND p.until - p.since > $2::interval RETURNING p.site, p.since, p.until, p.why`,
			sourceID, WaitedInPlace).Scan(&site, &lifted.Since, &lifted.Until, &lifted.Why)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrNotPaused
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, wakeSQL+siteOf+` = $1`, site); err != nil {
			return err
		}
		rows, _ := tx.Query(ctx, `
			UPDATE confluence_sync_runs SET sent_at = now(), attempt = attempt + 1
			WHERE run_id IN (SELECT r.run_id FROM confluence_sync_runs r JOIN archon_sources s USING (source_id)
				WHERE `+siteOf+` = $1 AND `+itsTurnSQL+` ORDER BY r.run_id FOR NO KEY UPDATE OF r)
			RETURNING `+runColumns, site)
		runs, err = pgx.CollectRows(rows, scanRun)
		return err
	})
	lifted.Since, lifted.Until = lifted.Since.UTC(), lifted.Until.UTC()
	return lifted, runs, err
}

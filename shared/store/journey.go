package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store/internal/pg"
	"github.com/sluicehq/sluice/shared/viewer"
)

// Passage is one run's way with a page through the stages. A time is zero if the page did not get there, or if the
// ledger does not know.
type Passage struct {
	RunID       string        `json:"run_id"`
	Version     int           `json:"version"`
	Outcome     event.Outcome `json:"outcome"` // "" while the page is pending
	Reason      string        `json:"reason,omitempty"`
	Message     string        `json:"message,omitempty"`
	Stage       string        `json:"stage,omitempty"` // where it failed
	Attempts    int           `json:"attempts"`
	Bytes       int           `json:"bytes"` // of the body
	ListedAt    time.Time     `json:"listed_at,omitzero"`
	FetchedAt   time.Time     `json:"fetched_at,omitzero"`
	ConvertedAt time.Time     `json:"converted_at,omitzero"`
	EndedAt     time.Time     `json:"ended_at,omitzero"`
}

// journeyRuns is the number of a source's newest runs that Journey looks through.
const journeyRuns = 200

// Journey lists how the newest runs of a source went on with a page, the newest first, at most limit of them. A run that
// did not list the page is not among them. The page need not be stored: one that always failed has a journey too.
func (r *Reader) Journey(ctx context.Context, v viewer.Viewer, sourceID, pageID string, limit int) ([]Passage, error) {
	if !v.Sees(sourceID) {
		return nil, nil
	}
	seen, err := r.see(ctx, v)
	if err != nil {
		return nil, err
	}
	rows, _ := r.pool.Query(ctx, `
		SELECT l.run_id, l.version, coalesce(l.outcome, ''), coalesce(l.reason, ''), coalesce(l.message, ''), coalesce(l.stage, ''), l.attempts,
			coalesce(l.bytes, 0), r.listing_completed_at, l.fetched_at, l.converted_at, l.ended_at
		FROM (SELECT run_id, requested_at, listing_completed_at FROM confluence_sync_runs WHERE source_id = $1
			ORDER BY requested_at DESC, run_id DESC LIMIT $3) r
		JOIN confluence_sync_pages l ON l.run_id = r.run_id AND l.page_id = $2
		WHERE `+pg.Shows("$1::text", "l.page_id", "$5", "$6")+`
		ORDER BY r.requested_at DESC, r.run_id DESC LIMIT $4`, sourceID, pageID, journeyRuns, limit, seen.Free, seen.Sets)
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p Passage, err error) {
		var listed, fetched, converted, ended *time.Time
		err = row.Scan(&p.RunID, &p.Version, &p.Outcome, &p.Reason, &p.Message, &p.Stage, &p.Attempts, &p.Bytes, &listed, &fetched, &converted, &ended)
		p.ListedAt, p.FetchedAt, p.ConvertedAt, p.EndedAt = orZero(listed), orZero(fetched), orZero(converted), orZero(ended)
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the journey of page %s: %w", pageID, err)
	}
	return list, nil
}

// orZero is a time of the database in UTC, or the zero time for none.
func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store/internal/pg"
	"github.com/sluicehq/sluice/shared/viewer"
)

// Story describes what a run did and how long each part took.
type Story struct {
	Run
	Counts event.Counts `json:"counts"`
	Measured
}

// Measured is what is read of all pages of a run. It is kept with a run that has ended, since reading it takes a second
// at 100,000 pages.
type Measured struct {
	ByKind   []KindCounts `json:"counts_by_kind"` // of a run with more than plain pages; empty for others
	Bytes    int64        `json:"bytes"`          // size of the fetched bodies
	Listing  float64      `json:"listing_seconds"`
	Fetching float64      `json:"fetching_seconds"` // from the end of the listing to the last page
	Stages   []StageTime  `json:"stages"`
	Slowest  []SlowPage   `json:"slowest_pages"`
}

// KindCounts are the counts of a run for one kind of content.
type KindCounts struct {
	Kind string `json:"kind"` // page or one of page.Kinds
	event.Counts
}

// StageTime is how long pages of a run took from one stage to the next, including waiting.
type StageTime struct {
	Stage string  `json:"stage"` // fetch: from listed to fetched; convert: to Markdown; write: to stored
	Pages int     `json:"pages"`
	P50   float64 `json:"p50_seconds"`
	P95   float64 `json:"p95_seconds"`
}

// SlowPage is a page that took long between its fetch and its end.
type SlowPage struct {
	PageID  string  `json:"page_id"`
	Title   string  `json:"title"`
	Bytes   int     `json:"bytes"`
	Seconds float64 `json:"seconds"`
}

const slowPages = 5

// Story returns the story of a run, or ErrNotFound.
func (r *Reader) Story(ctx context.Context, v viewer.Viewer, runID string) (Story, error) {
	var st Story
	err := r.Together(ctx, v, func(ctx context.Context) (err error) {
		st, err = r.story(ctx, v, runID)
		return err
	})
	if err != nil {
		return Story{}, fmt.Errorf("read the story of run %s: %w", runID, err)
	}
	return st, nil
}

func (r *Reader) story(ctx context.Context, v viewer.Viewer, runID string) (Story, error) {
	seen, err := r.see(ctx, v)
	if err != nil {
		return Story{}, err
	}
	var st Story
	var t toldRun
	var kept *Measured
	reads := append(st.Measured.reads(r.pool, seen, runID), func(ctx context.Context) (err error) {
		t, err = readTold(ctx, r.pool, v, true, runID)
		return err
	}, func(ctx context.Context) (err error) {
		kept, err = readKept(ctx, r.pool, seen, runID)
		return err
	})
	err = r.pool.Together(ctx, reads...)
	st.Run, st.Counts = t.Run, t.counts
	if kept != nil {
		st.Measured = *kept
	}
	return st, err
}

// isKept is the SQL condition that what is measured of the run $1 is kept, and that the viewer with the parameters $2 and
// $3, of Seen.Free and Seen.Sets, may see all of its pages. The server looks once, and then reads no page of the run.
const isKept = `(SELECT k.report IS NOT NULL AND ($3::int[] IS NULL OR k.source_id = ANY ($2::text[]))
	FROM confluence_sync_runs k WHERE k.run_id = $1)`

// readKept returns what is kept of a run, or nil. The titles are those of its pages now.
func readKept(ctx context.Context, q pg.Querier, seen pg.Seen, runID string) (*Measured, error) {
	var report []byte
	var titles map[string]string
	err := q.QueryRow(ctx, `SELECT r.report, coalesce((SELECT jsonb_object_agg(l.page_id, l.title) FROM confluence_sync_pages l
			WHERE l.run_id = $1 AND l.page_id IN (SELECT s->>'page_id' FROM jsonb_array_elements(r.report->'slowest_pages') s)), '{}')
		FROM confluence_sync_runs r WHERE r.run_id = $1 AND `+isKept, runID, seen.Free, seen.Sets).Scan(&report, &titles)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var m Measured
	if err := json.Unmarshal(report, &m); err != nil {
		return nil, fmt.Errorf("read the report of run %s: %w", runID, err)
	}
	for i := range m.Slowest {
		m.Slowest[i].Title = titles[m.Slowest[i].PageID]
	}
	return &m, nil
}

// keepMeasured keeps what is measured of a run whose pages have all ended.
func keepMeasured(ctx context.Context, tx pgx.Tx, runID string) error {
	var m Measured
	for _, read := range m.reads(tx, pg.Seen{}, runID) {
		if err := read(ctx); err != nil {
			return fmt.Errorf("measure run %s: %w", runID, err)
		}
	}
	for i := range m.Slowest {
		m.Slowest[i].Title = "" // the ledger has it, as long as anybody may know it
	}
	report, err := json.Marshal(m)
	if err == nil {
		_, err = tx.Exec(ctx, `UPDATE confluence_sync_runs SET report = $2::jsonb WHERE run_id = $1`, runID, string(report))
	}
	return err
}

// reads are the reads that fill m with what a viewer may see of a run's pages, unless it is kept.
func (m *Measured) reads(q pg.Querier, seen pg.Seen, runID string) []func(context.Context) error {
	return []func(context.Context) error{func(ctx context.Context) error {
		err := q.QueryRow(ctx, `
			SELECT coalesce(extract(epoch FROM r.listing_completed_at - r.started_at), 0)::float8,
				coalesce(extract(epoch FROM l.last - r.listing_completed_at), 0)::float8, l.bytes
			FROM confluence_sync_runs r CROSS JOIN LATERAL (SELECT max(ended_at) AS last, coalesce(sum(bytes), 0)::bigint AS bytes
				FROM confluence_sync_pages p WHERE run_id = $1 AND `+pg.Shows("r.source_id", "p.page_id", "$2", "$3")+`) l
			WHERE r.run_id = $1 AND NOT `+isKept, runID, seen.Free, seen.Sets).Scan(&m.Listing, &m.Fetching, &m.Bytes)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil // the run is unknown, which another read says, or its report is kept
		}
		return err
	}, func(ctx context.Context) (err error) {
		m.ByKind, err = kindCounts(ctx, q, seen, runID)
		return err
	}, func(ctx context.Context) (err error) {
		m.Stages, err = stageTimes(ctx, q, seen, runID)
		return err
	}, func(ctx context.Context) (err error) {
		rows, _ := q.Query(ctx, `SELECT page_id, title, coalesce(bytes, 0), greatest(0, extract(epoch FROM ended_at - fetched_at))::float8
			FROM confluence_sync_pages l JOIN confluence_sync_runs r USING (run_id)
			WHERE l.run_id = $1 AND fetched_at IS NOT NULL AND `+pg.Shows("r.source_id", "l.page_id", "$2", "$3")+` AND NOT `+isKept+`
			ORDER BY ended_at - fetched_at DESC, page_id LIMIT $4`, runID, seen.Free, seen.Sets, slowPages)
		m.Slowest, err = pgx.CollectRows(rows, pgx.RowToStructByPos[SlowPage])
		return err
	}}
}

// kindCounts returns the counts of a run by kind, pages first.
func kindCounts(ctx context.Context, q pg.Querier, seen pg.Seen, runID string) ([]KindCounts, error) {
	rows, _ := q.Query(ctx, `SELECT kind, `+countColumns+` FROM confluence_sync_pages l JOIN confluence_sync_runs r USING (run_id)
		WHERE l.run_id = $1 AND `+pg.Shows("r.source_id", "l.page_id", "$2", "$3")+` AND NOT `+isKept+`
		GROUP BY kind ORDER BY kind <> 'page', kind`, runID, seen.Free, seen.Sets)
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (k KindCounts, err error) {
		c, waiting := &k.Counts, 0
		return k, row.Scan(&k.Kind, &c.Listed, &c.Pending, &waiting, &c.Created, &c.Updated, &c.Unchanged, &c.Removed, &c.Skipped, &c.Failed)
	})
	if len(list) == 1 && list[0].Kind == "page" {
		list = nil
	}
	return list, err
}

func stageTimes(ctx context.Context, q pg.Querier, seen pg.Seen, runID string) ([]StageTime, error) {
	rows, _ := q.Query(ctx, `
		SELECT s.stage, count(s.took)::int,
			coalesce(greatest(0, percentile_cont(0.5) WITHIN GROUP (ORDER BY s.took)), 0)::float8,
			coalesce(greatest(0, percentile_cont(0.95) WITHIN GROUP (ORDER BY s.took)), 0)::float8
		FROM confluence_sync_pages l JOIN confluence_sync_runs r USING (run_id)
		CROSS JOIN LATERAL (VALUES
			(1, 'fetch', extract(epoch FROM l.fetched_at - r.listing_completed_at)::float8),
			(2, 'convert', extract(epoch FROM l.converted_at - l.fetched_at)::float8),
			(3, 'write', extract(epoch FROM l.ended_at - l.converted_at)::float8)) AS s(place, stage, took)
		WHERE l.run_id = $1 AND l.fetched_at IS NOT NULL AND `+pg.Shows("r.source_id", "l.page_id", "$2", "$3")+` AND NOT `+isKept+`
		GROUP BY s.place, s.stage ORDER BY s.place`, runID, seen.Free, seen.Sets)
	return pgx.CollectRows(rows, pgx.RowToStructByPos[StageTime])
}

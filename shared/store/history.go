package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store/internal/pg"
	"github.com/sluicehq/sluice/shared/store/vault"
	"github.com/sluicehq/sluice/shared/viewer"
)

// pruneAtOnce limits the runs in one transaction: each has a ledger as large as its space.
const pruneAtOnce = 20

// sweepAfter is how long a token may be stored without its source.
const sweepAfter = time.Hour

// SweepTokens deletes the tokens of sources that were deleted without Sluice, and returns their source ids.
func (s *Store) SweepTokens(ctx context.Context) ([]string, error) {
	return s.Vault().Sweep(ctx, sweepAfter)
}

// Tokens describes the stored tokens, ordered by name. It opens none.
func (s *Store) Tokens(ctx context.Context) ([]vault.Secret, error) { return s.Vault().Secrets(ctx) }

// Prune deletes ended runs with their ledgers, and what is kept of removed pages, once they are older than keep. It
// deletes a run only if a later run of its source has completed: that one describes the stored pages, and has listed
// again what had failed. It returns the number of deleted runs.
func (s *Store) Prune(ctx context.Context, keep time.Duration) (int, error) {
	total := 0
	for {
		tag, err := s.pool.Exec(ctx, `DELETE FROM confluence_sync_runs WHERE run_id IN (
			SELECT r.run_id FROM confluence_sync_runs r WHERE r.finished_at < now() - $1::interval AND EXISTS (
				SELECT FROM confluence_sync_runs later WHERE later.source_id = r.source_id
				AND later.state IN ('completed', 'completed_with_failures') AND `+wholeSQL("later")+` AND later.started_at > r.finished_at)
			ORDER BY r.finished_at LIMIT $2)`, keep, pruneAtOnce)
		if err != nil {
			return total, fmt.Errorf("prune runs: %w", err)
		}
		total += int(tag.RowsAffected())
		if tag.RowsAffected() < pruneAtOnce {
			break
		}
	}
	rows, _ := s.pool.Query(ctx, `SELECT DISTINCT r.source_id, r.page_id FROM confluence_removals r
		JOIN confluence_pages p ON p.page_id = r.page_id AND p.source_id = r.source_id AND p.is_deleted
		WHERE r.removed_at < now() - $1::interval AND r.restored_at IS NULL AND r.purged_at IS NULL`, keep)
	bySource := map[string][]string{}
	var source, id string
	_, err := pgx.ForEachRow(rows, []any{&source, &id}, func() error {
		bySource[source] = append(bySource[source], id)
		return nil
	})
	if err != nil {
		return total, fmt.Errorf("look for removed pages to purge: %w", err)
	}
	for source, ids := range bySource {
		if err := s.PurgePages(ctx, Run{SourceID: source}, ids); err != nil {
			return total, err
		}
	}
	return total, nil
}

// Story describes what a run did and how long each part took.
type Story struct {
	Run
	Counts   event.Counts `json:"counts"`
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
	err = r.pool.Together(ctx, func(ctx context.Context) (err error) {
		t, err = readTold(ctx, r.pool, v, true, runID)
		return err
	}, func(ctx context.Context) error {
		err := r.pool.QueryRow(ctx, `
			SELECT coalesce(extract(epoch FROM r.listing_completed_at - r.started_at), 0)::float8,
				coalesce(extract(epoch FROM l.last - r.listing_completed_at), 0)::float8, l.bytes
			FROM confluence_sync_runs r CROSS JOIN LATERAL (SELECT max(ended_at) AS last, coalesce(sum(bytes), 0)::bigint AS bytes
				FROM confluence_sync_pages p WHERE run_id = $1 AND `+pg.Shows("r.source_id", "p.page_id", "$2", "$3")+`) l
			WHERE r.run_id = $1`, runID, seen.Free, seen.Sets).Scan(&st.Listing, &st.Fetching, &st.Bytes)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil // the run is unknown; see above
		}
		return err
	}, func(ctx context.Context) (err error) {
		st.ByKind, err = kindCounts(ctx, r.pool, seen, runID)
		return err
	}, func(ctx context.Context) (err error) {
		st.Stages, err = stageTimes(ctx, r.pool, seen, runID)
		return err
	}, func(ctx context.Context) (err error) {
		rows, _ := r.pool.Query(ctx, `SELECT page_id, title, coalesce(bytes, 0), greatest(0, extract(epoch FROM ended_at - fetched_at))::float8
			FROM confluence_sync_pages l JOIN confluence_sync_runs r USING (run_id)
			WHERE l.run_id = $1 AND fetched_at IS NOT NULL AND `+pg.Shows("r.source_id", "l.page_id", "$3", "$4")+`
			ORDER BY ended_at - fetched_at DESC, page_id LIMIT $2`, runID, slowPages, seen.Free, seen.Sets)
		st.Slowest, err = pgx.CollectRows(rows, pgx.RowToStructByPos[SlowPage])
		return err
	})
	st.Run, st.Counts = t.Run, t.counts
	return st, err
}

// kindCounts returns the counts of a run by kind, pages first.
func kindCounts(ctx context.Context, q pg.Querier, seen pg.Seen, runID string) ([]KindCounts, error) {
	rows, _ := q.Query(ctx, `SELECT kind, `+countColumns+` FROM confluence_sync_pages l JOIN confluence_sync_runs r USING (run_id)
		WHERE l.run_id = $1 AND `+pg.Shows("r.source_id", "l.page_id", "$2", "$3")+`
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
			(1, 'fetch', extract(epoch FROM l.fetched_at - r.listing_completed_at)),
			(2, 'convert', extract(epoch FROM l.converted_at - l.fetched_at)),
			(3, 'write', extract(epoch FROM l.ended_at - l.converted_at))) AS s(place, stage, took)
		WHERE l.run_id = $1 AND l.fetched_at IS NOT NULL AND `+pg.Shows("r.source_id", "l.page_id", "$2", "$3")+`
		GROUP BY s.place, s.stage ORDER BY s.place`, runID, seen.Free, seen.Sets)
	return pgx.CollectRows(rows, pgx.RowToStructByPos[StageTime])
}

// Failure is a page that failed, and that no later run has processed successfully.
type Failure struct {
	PageID   string    `json:"page_id"`
	SourceID string    `json:"source_id"`
	RunID    string    `json:"run_id"`
	Title    string    `json:"title"`
	Version  int       `json:"version"`
	Stage    string    `json:"stage"`
	Code     string    `json:"code"`
	Message  string    `json:"message"`
	Attempts int       `json:"attempts"`
	FailedAt time.Time `json:"failed_at"`
	Site     int64     `json:"-"` // the source's site: on another one, the page id is another page's
}

// Failures lists the pages that are failed now, the newest first. Each of sourceID, runID and pageID filters the list
// if it is not empty.
func (r *Reader) Failures(ctx context.Context, v viewer.Viewer, sourceID, runID, pageID string, p Part) ([]Failure, error) {
	args, err := r.partAs(ctx, v, p, 3, sourceID, runID, pageID, visibleSources(v))
	if err != nil {
		return nil, err
	}
	rows, _ := r.pool.Query(ctx, `
		SELECT DISTINCT ON (f.ended_at, f.page_id, r.source_id) f.page_id, r.source_id, f.run_id, coalesce(nullif(f.title, ''), p.title, ''), f.version,
			coalesce(f.stage, ''), coalesce(f.reason, ''), coalesce(f.message, ''), f.attempts, f.ended_at,
			coalesce(n.site_id, 0)
		FROM confluence_sync_pages f JOIN confluence_sync_runs r USING (run_id) LEFT JOIN confluence_spaces n USING (source_id) LEFT JOIN confluence_pages p ON p.page_id = f.page_id AND p.source_id = r.source_id
		WHERE f.outcome = 'failed' AND ($1 = '' OR r.source_id = $1) AND ($2 = '' OR f.run_id = $2) AND ($3 = '' OR f.page_id = $3)
		AND ($4::text[] IS NULL OR r.source_id = ANY ($4)) AND NOT `+settledSQL+`
		AND ($5::text IS NULL OR f.ended_at < $5::text::timestamptz
			OR f.ended_at = $5::text::timestamptz AND (f.page_id, r.source_id) > ($6::text, $7::text))
		AND `+pg.Shows("r.source_id", "f.page_id", "$9", "$10")+`
		ORDER BY f.ended_at DESC, f.page_id, r.source_id LIMIT $8`, args...)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Failure])
	if err != nil {
		return nil, p.listError(err, "list failed pages")
	}
	for i := range list {
		list[i].FailedAt = list[i].FailedAt.UTC()
	}
	return list, nil
}

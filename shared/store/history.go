package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

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

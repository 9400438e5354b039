package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/store/internal/pg"
	"github.com/sluicehq/sluice/shared/viewer"
)

// RemovedPage is one removal in the history of a source.
type RemovedPage struct {
	PageID     string    `json:"page_id"`
	SourceID   string    `json:"source_id"`
	RunID      string    `json:"run_id"`
	Title      string    `json:"title"`
	Reason     string    `json:"reason"`
	RemovedAt  time.Time `json:"removed_at"`
	RestoredAt time.Time `json:"restored_at,omitzero"` // when the page came back
	PurgedAt   time.Time `json:"purged_at,omitzero"`   // when its kept Markdown was deleted too
}

// RemovedPages lists removals, the newest first. Each of sourceID and runID filters the list if it is not empty.
func (r *Reader) RemovedPages(ctx context.Context, v viewer.Viewer, sourceID, runID string, p Part) ([]RemovedPage, error) {
	args, err := r.partAs(ctx, v, p, 3, sourceID, runID, visibleSources(v))
	if err != nil {
		return nil, err
	}
	rows, _ := r.pool.Query(ctx, `
		SELECT page_id, source_id, run_id, title, reason, removed_at, restored_at, purged_at FROM confluence_removals gone
		WHERE ($1 = '' OR source_id = $1) AND ($2 = '' OR run_id = $2)
		AND ($3::text[] IS NULL OR source_id = ANY ($3))
		AND ($4::text IS NULL OR removed_at < $4::text::timestamptz
			OR removed_at = $4::text::timestamptz AND (page_id, run_id) > ($5::text, $6::text))
		AND (`+pg.Shows("gone.source_id", "gone.page_id", "$8", "$9")+` OR gone.layer_set = ANY ($9::int[])
			AND NOT EXISTS (SELECT FROM confluence_tree t WHERE t.source_id = gone.source_id AND t.node_id = gone.page_id))
		ORDER BY removed_at DESC, page_id, run_id LIMIT $7`, args...)
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r RemovedPage, err error) {
		var restored, purged *time.Time
		err = row.Scan(&r.PageID, &r.SourceID, &r.RunID, &r.Title, &r.Reason, &r.RemovedAt, &restored, &purged)
		r.RemovedAt = r.RemovedAt.UTC()
		if restored != nil {
			r.RestoredAt = restored.UTC()
		}
		if purged != nil {
			r.PurgedAt = purged.UTC()
		}
		return r, err
	})
	if err != nil {
		return nil, p.listError(err, "list removals")
	}
	return list, nil
}

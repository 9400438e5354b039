package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// LeaveExcluded ends parts of pages that the system has just said are none that are asked for, such as threads that were
// resolved. Stored ones are removed, for the reason ReasonExcluded; nobody need approve what a setting asks for. The
// others end as skipped for the given reason. Parts that have an outcome keep it.
func (s *Store) LeaveExcluded(ctx context.Context, run Run, ids []string, reason string) error {
	rows, _ := s.pool.Query(ctx, `SELECT page_id, title, $3 FROM confluence_pages
		WHERE source_id = $1 AND page_id = ANY ($2) AND NOT is_deleted AND kind IN `+partKinds+` ORDER BY page_id`, run.SourceID, ids, ReasonExcluded)
	stored, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Removal])
	if err != nil {
		return fmt.Errorf("look for comments and attachments that source %s leaves out: %w", run.SourceID, err)
	}
	if err := s.RemovePages(ctx, run, stored); err != nil {
		return err
	}
	for _, id := range ids {
		if slices.ContainsFunc(stored, func(r Removal) bool { return r.PageID == id }) {
			continue
		}
		if err := s.SkipPage(ctx, run.ID, id, reason); err != nil {
			return err
		}
	}
	return nil
}

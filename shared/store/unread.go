package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store/internal/pg"
)

// Unread is why the text of an attachment is not stored.
type Unread struct {
	Skipped bool   // its kind is not read; otherwise it could not be read
	Reason  string // of the skip, or the failure code
	Message string // for people
	Times   int    // how often it ended so; set by the store
}

// Unread returns why this version of an attachment was not read before, by a reader (page.File) within the same bounds, in words of the
// caller. The error is ErrNotFound if nothing is known.
func (s *Store) Unread(ctx context.Context, sourceID string, of page.Facts, reader, bounds string) (Unread, error) {
	rows, _ := s.pool.Query(ctx, `SELECT skipped, reason, message, times FROM confluence_unread_files
		WHERE source_id = $1 AND page_id = $2 AND version = $3 AND version_at IS NOT DISTINCT FROM $4 AND reader = $5 AND bounds = $6`,
		sourceID, of.ID, of.Version, orNull(of.ModifiedAt), reader, bounds)
	u, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Unread])
	if err != nil {
		return u, pg.NotFound(err, "look why attachment "+of.ID+" was not read")
	}
	return u, nil
}

// KeepUnread keeps why an attachment was not read, for Unread. Of each attachment the last is kept. If it ends as before, it counts.
func (s *Store) KeepUnread(ctx context.Context, sourceID string, of page.Facts, reader, bounds string, u Unread) error {
	_, err := s.pool.Exec(ctx, `
		INSERT INTO confluence_unread_files AS old (source_id, page_id, version, version_at, reader, bounds, skipped, reason, message)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (source_id, page_id) DO UPDATE SET version = excluded.version, version_at = excluded.version_at, reader = excluded.reader,
			bounds = excluded.bounds, skipped = excluded.skipped, reason = excluded.reason, message = excluded.message,
			times = CASE WHEN (old.version, old.version_at, old.reader, old.bounds, old.reason) IS NOT DISTINCT FROM
				(excluded.version, excluded.version_at, excluded.reader, excluded.bounds, excluded.reason) THEN old.times + 1 ELSE 1 END`,
		sourceID, of.ID, of.Version, orNull(of.ModifiedAt), reader, bounds, u.Skipped, u.Reason, pg.CleanText(u.Message))
	if err != nil {
		return fmt.Errorf("keep why attachment %s was not read: %w", of.ID, err)
	}
	return nil
}

// FilesBefore returns how many attachments of the same page, of those that the source's tree has, are older than an attachment.
func (s *Store) FilesBefore(ctx context.Context, sourceID string, of page.Facts) (int, error) {
	var n int
	err := s.pool.QueryRow(ctx, `SELECT count(*) FROM confluence_tree
		WHERE source_id = $1 AND parent_id = $2 AND kind = 'attachment' AND (length(node_id), node_id) < (length($3), $3)`,
		sourceID, of.ParentID, of.ID).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count the attachments before %s: %w", of.ID, err)
	}
	return n, nil
}

// WantFiles makes the next full run of each source look again at the stored attachments that these settings leave out: those of other
// types, if types are given, and of each page those after the first perPage. It forgets why attachments were not read under other
// bounds than these.
func (s *Store) WantFiles(ctx context.Context, types []string, perPage int, bounds string) error {
	return s.inTx(ctx, "look which attachments are wanted", func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM confluence_unread_files WHERE bounds <> $1`, bounds); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			WITH beyond AS (
				SELECT source_id, node_id FROM (
					SELECT source_id, node_id, row_number() OVER (PARTITION BY source_id, parent_id ORDER BY length(node_id), node_id) AS n
					FROM confluence_tree WHERE kind = 'attachment') counted
				WHERE n > $2
			)
			UPDATE confluence_page_content c SET pipeline_version = $3 FROM confluence_pages p
			WHERE p.page_id = c.page_id AND p.site_id = c.site_id AND p.kind = 'attachment' AND NOT p.is_deleted AND c.pipeline_version <> $3
			AND (cardinality($1::text[]) > 0 AND NOT coalesce(p.metadata->'file'->>'format', '') = ANY ($1::text[])
				OR EXISTS (SELECT FROM beyond b WHERE b.source_id = p.source_id AND b.node_id = p.page_id))`,
			orEmpty(types), perPage, unwanted)
		return err
	})
}

// unwanted is the pipeline version of an attachment that the settings leave out: no run takes it for stored.
const unwanted = -1

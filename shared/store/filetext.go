package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store/internal/pg"
)

// FileText is what is stored of an attachment's text.
type FileText struct {
	File     page.File
	Markdown string
	Losses   []page.Loss
}

// FileText returns the text of an attachment that a reader (page.File) has made, also of one that was removed since: of the same
// version of the attachment, or, if the facts have the hash of its bytes, of the same bytes, whatever they are on. Such a text must
// say nothing but what is in the bytes: who reads it may not see the other file. The error is ErrNotFound if there is none.
func (s *Store) FileText(ctx context.Context, sourceID string, of page.Facts, reader string) (FileText, error) {
	sum := ""
	if of.File != nil {
		sum = of.File.SHA256
	}
	rows, _ := s.pool.Query(ctx, `
		SELECT p.metadata->'file', c.markdown, c.losses FROM confluence_pages p JOIN confluence_page_content c USING (page_id, site_id)
		WHERE p.kind = 'attachment' AND p.metadata->'file'->>'reader' = $5
		AND ($6 = '' AND p.page_id = $2 AND p.site_id = (SELECT site_id FROM confluence_spaces WHERE source_id = $1) AND p.version = $3 AND p.last_modified = $4
			OR $6 <> '' AND p.metadata->'file'->>'sha256' = $6)
		ORDER BY p.page_id LIMIT 1`, sourceID, of.ID, of.Version, orNull(of.ModifiedAt), reader, sum)
	text, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (t FileText, err error) {
		return t, row.Scan(&t.File, &t.Markdown, &t.Losses)
	})
	if err != nil {
		return text, pg.NotFound(err, "look for the text of attachment "+of.ID)
	}
	return text, nil
}

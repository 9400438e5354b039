package store

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store/internal/pg"
	"github.com/sluicehq/sluice/shared/store/search"
)

// replacement replaces the prefix From of stored addresses with To.
type replacement struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// replacements returns the replacements from was's addresses to now's. If an Atlassian site has a new name, the
// addresses of all its products change, Jira included.
func replacements(was, now Source) []replacement {
	list := []replacement{}
	if was.BaseURL != now.BaseURL {
		from, to := was.BaseURL, now.BaseURL
		if atlassian(from) && atlassian(to) {
			from, to = strings.TrimSuffix(from, "/wiki"), strings.TrimSuffix(to, "/wiki")
		}
		list = append(list, replacement{from + "/", to + "/"})
	}
	if was.SpaceKey != now.SpaceKey {
		list = append(list, replacement{now.BaseURL + "/spaces/" + was.SpaceKey + "/", now.BaseURL + "/spaces/" + now.SpaceKey + "/"})
	}
	return list
}

func atlassian(address string) bool {
	u, err := url.Parse(address)
	return err == nil && strings.HasSuffix(u.Hostname(), ".atlassian.net")
}

// readdressAtOnce limits the pages in one transaction, whose texts are in memory.
const readdressAtOnce = 50

// Readdress updates the addresses of the source's pages after its site or space was renamed: in the Markdown, in what
// is stored of the page, and in its chunks, which keep their rows, and so their ids and embeddings. It fetches
// nothing. Call it only when no page of an earlier run can be written any more. If it is interrupted, it continues at
// the next call. It returns the number of pages.
func (s *Store) Readdress(ctx context.Context, sourceID string) (int, error) {
	var to []replacement
	err := s.pool.QueryRow(ctx, `SELECT readdress FROM confluence_spaces WHERE source_id = $1`, sourceID).Scan(&to)
	if err != nil || len(to) == 0 {
		if err != nil {
			err = pg.NotFound(err, "read the addresses of "+sourceID)
		}
		return 0, err
	}
	src, err := s.Source(ctx, sourceID)
	if err != nil {
		return 0, err
	}
	r := readdressing{Source: src, to: to}
	n, after := 0, ""
	for {
		rows, _ := s.pool.Query(ctx, `SELECT page_id FROM confluence_pages WHERE source_id = $1 AND page_id > $2 ORDER BY page_id LIMIT $3`,
			sourceID, after, readdressAtOnce)
		ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return n, fmt.Errorf("look for pages of %s: %w", sourceID, err)
		}
		if len(ids) == 0 {
			break
		}
		after = ids[len(ids)-1]
		if err := s.inTx(ctx, "update the addresses of pages of "+sourceID+" their addresses", func(tx pgx.Tx) error { return r.pages(ctx, tx, ids) }); err != nil {
			return n, err
		}
		n += len(ids)
	}
	if err := r.archonPages(ctx, s); err != nil {
		return n, err
	}
	// Keep changes that were added in the meantime: the next run applies them.
	_, err = s.pool.Exec(ctx, `UPDATE confluence_spaces SET readdress = coalesce((SELECT jsonb_agg(x ORDER BY i)
		FROM jsonb_array_elements(readdress) WITH ORDINALITY AS e(x, i) WHERE i > $2), '[]') WHERE source_id = $1`, sourceID, len(to))
	if err != nil {
		return n, fmt.Errorf("record that the addresses of %s are updated: %w", sourceID, err)
	}
	return n, nil
}

// readdressing is the state of one call of Readdress.
type readdressing struct {
	Source
	to []replacement
}

// text replaces the addresses in a text. In JSON they are not escaped.
func (r readdressing) text(text string) string {
	for _, one := range r.to {
		text = strings.ReplaceAll(text, one.From, one.To)
	}
	return text
}

func (r readdressing) pages(ctx context.Context, tx pgx.Tx, ids []string) error {
	if err := lockPages(ctx, tx, r.ID, ids...); err != nil {
		return err
	}
	b := &pgx.Batch{}
	rows, _ := tx.Query(ctx, `SELECT p.page_id, p.site_id, p.metadata::text, coalesce(c.url, ''), coalesce(c.markdown, ''), coalesce(c.includes, '[]')::text
		FROM confluence_pages p LEFT JOIN confluence_page_content c USING (page_id, site_id)
		WHERE p.source_id = $1 AND p.page_id = ANY ($2)`, r.ID, ids)
	var id, meta, url, markdown, includes string
	var site siteID
	_, err := pgx.ForEachRow(rows, []any{&id, &site, &meta, &url, &markdown, &includes}, func() error {
		b.Queue(`UPDATE confluence_pages SET metadata = $3::jsonb, space_key = CASE WHEN $4 <> '' THEN $4 ELSE space_key END, updated_at = now()
			WHERE page_id = $1 AND site_id = $2`, id, site, r.text(meta), r.SpaceKey)
		b.Queue(`UPDATE confluence_page_content SET url = $3, markdown = $4, includes = $5::jsonb WHERE page_id = $1 AND site_id = $2`,
			id, site, r.text(url), r.text(markdown), r.text(includes))
		return nil
	})
	if err != nil {
		return err
	}
	if err := r.chunks(ctx, tx, b, ids); err != nil {
		return err
	}
	return addressTaken(tx.SendBatch(ctx, b).Close(), r.BaseURL)
}

// archonPages updates the addresses of Archon's whole pages. Their ids stay, since they derive from the page.
func (r readdressing) archonPages(ctx context.Context, s *Store) error {
	return s.inTx(ctx, "update the addresses of Archon's pages of "+r.ID+" their addresses", func(tx pgx.Tx) error {
		var has bool
		if err := tx.QueryRow(ctx, `SELECT `+hasArchonPages).Scan(&has); err != nil || !has {
			return err
		}
		b := &pgx.Batch{}
		for _, one := range r.to {
			b.Queue(`UPDATE archon_page_metadata SET url = replace(url, $2, $3), full_content = replace(full_content, $2, $3), updated_at = now()
				WHERE source_id = $1 AND metadata ? '`+archonKey+`' AND (strpos(url, $2) > 0 OR strpos(full_content, $2) > 0)`, r.ID, one.From, one.To)
		}
		return addressTaken(tx.SendBatch(ctx, b).Close(), r.BaseURL)
	})
}

// chunks queues the updates of the chunks' addresses. A chunk is identified by its text, which may contain addresses,
// so its hash changes too.
func (r readdressing) chunks(ctx context.Context, tx pgx.Tx, b *pgx.Batch, ids []string) error {
	rows, _ := tx.Query(ctx, `SELECT c.id, c.url, c.chunk_number, c.content, c.metadata FROM archon_crawled_pages c
		WHERE c.source_id = $1 AND `+pg.ChunkOfPages("c", "= ANY ($2)")+` ORDER BY c.url, c.chunk_number`, r.ID, ids)
	byURL := map[string][]search.Text{}
	var id int64
	var url, content string
	var number int
	var raw []byte
	_, err := pgx.ForEachRow(rows, []any{&id, &url, &number, &content, &raw}, func() error {
		raw, url, content = []byte(r.text(string(raw))), r.text(url), r.text(content)
		var known ChunkMetadata
		if !json.Valid(raw) || json.Unmarshal(raw, &known) != nil {
			return nil //nolint:nilerr // another tool has changed it: the page's next write replaces it
		}
		set := map[string]any{"content_hash": page.ChunkHash(known.HeadingPath, content)}
		if r.SpaceKey != "" {
			set["space_key"] = r.SpaceKey
		}
		b.Queue(`UPDATE archon_crawled_pages SET url = $2, content = $3, metadata = $4::jsonb || $5::jsonb WHERE id = $1`, id, url, content, string(raw), set)
		byURL[url] = append(byURL[url], search.Text{Number: number, Title: known.Title, Section: known.SectionTitle, Content: content})
		return nil
	})
	if err != nil {
		return err
	}
	for url, texts := range byURL {
		search.Queue(b, url, texts)
	}
	return nil
}

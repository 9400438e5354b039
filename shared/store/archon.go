package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
)

// archonMetadata returns what Archon's pages and tools read from a source's metadata. Archon treats a source of the
// type url as a web page, and one of any other type as an uploaded document.
//
// Archon's Refresh crawls original_url without a login. For a wiki it would find the login page and store that as the
// source. The address is therefore one that no crawler can fetch, so that a refresh ends with an error. The real
// address is in source_url.
func archonMetadata(src Source) map[string]any {
	return map[string]any{
		"source_type": "url", "knowledge_type": src.KnowledgeType, "tags": src.Tags,
		"update_frequency": updateFrequency, "original_url": noCrawlPrefix + src.address(),
	}
}

const (
	updateFrequency = 7 // days, Archon's default; nothing uses it
	noCrawlPrefix   = "sluice+"
)

// address returns the URL of the source for people.
func (s Source) address() string {
	if s.System == Confluence {
		return s.BaseURL + "/spaces/" + s.SpaceKey
	}
	return s.BaseURL
}

// bySluice ends each summary that Sluice has written. A summary without it was written by somebody else, and is kept.
const bySluice = "Synced by Sluice."

// summary describes the source for people and for assistants that choose where to search: its number of pages, and
// the titles of some.
func (s Source) summary(pages int, titles []string) string {
	what := "The folder " + s.Location
	if s.System == Confluence {
		what = "The Confluence space " + s.SpaceKey
		if u, err := url.Parse(s.BaseURL); err == nil && u.Host != "" {
			what += " of " + u.Host
		}
	}
	if s.DisplayName != "" && s.DisplayName != s.SpaceKey && s.DisplayName != s.ID {
		what = s.DisplayName + ": " + strings.ToLower(what[:1]) + what[1:]
	}
	switch {
	case pages == 1:
		what += ", one page"
	case pages > 1:
		what += fmt.Sprintf(", %d pages", pages)
	}
	if len(titles) > 0 {
		what += ", among them " + strings.Join(titles, ", ")
	}
	return what + ". " + bySluice
}

// namedInSummary is the number of titles in a summary, and longestNamed the maximum length of each, in code points.
const namedInSummary, longestNamed = 5, 60

// describe writes what Archon's pages and tools show of a source: its word count and its summary. If changed is
// false, it does so only for a source that has no word count yet.
func describe(ctx context.Context, tx pgx.Tx, sourceID string, changed bool) error {
	rows, _ := tx.Query(ctx, `SELECT `+sourceColumns+`, (SELECT count(*) FROM confluence_pages p WHERE p.source_id = $1 AND p.is_deleted = false AND NOT p.kind IN `+partKinds+`)::int, 0
		`+sourceFrom+` WHERE s.source_id = $1 AND `+ourSource+` AND ($2 OR coalesce(s.total_word_count, 0) = 0)`, sourceID, changed)
	src, err := pgx.CollectExactlyOneRow(rows, scanSource)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	rows, _ = tx.Query(ctx, `SELECT CASE WHEN length(title) > $3 THEN left(title, $3) || '…' ELSE title END FROM confluence_pages
		WHERE source_id = $1 AND is_deleted = false AND kind = 'page'
		ORDER BY length(path) - length(replace(path, '/', '')), title, page_id LIMIT $2`, sourceID, namedInSummary, longestNamed)
	titles, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		UPDATE archon_sources SET
			total_word_count = (SELECT least(coalesce(sum(CASE WHEN jsonb_typeof(p.metadata->'word_count') = 'number' THEN (p.metadata->'word_count')::numeric END), 0), 2147483647)
				FROM confluence_pages p WHERE p.source_id = $1 AND p.is_deleted = false AND NOT p.kind IN `+partKinds+`),
			summary = CASE WHEN `+ours("summary")+` THEN $2 ELSE summary END,
			metadata = metadata || jsonb_build_object('description', CASE WHEN `+ours("metadata->>'description'")+` THEN $2 ELSE metadata->>'description' END)
		WHERE source_id = $1`, sourceID, src.summary(src.Pages, titles))
	return err
}

// ours returns the SQL condition that a summary is empty or was written by Sluice.
func ours(summary string) string {
	return "(coalesce(" + summary + ", '') = '' OR " + summary + " LIKE '%" + bySluice + "')"
}

// hasArchonPages is the SQL condition that Archon stores whole pages and its chunks refer to them, as it does since
// its migration 011.
const hasArchonPages = `(to_regclass('archon_page_metadata') IS NOT NULL AND EXISTS (SELECT FROM pg_attribute
	WHERE attrelid = to_regclass('archon_crawled_pages') AND attname = 'page_id' AND NOT attisdropped))`

// setArchonPages sets the page id that Archon reads from the chunks of a document, and queues the matching rows of
// archon_page_metadata. Without that table, the id is the page's own. was is the source that the document had: its
// chunks there may be gone.
func setArchonPages(b *pgx.Batch, has bool, d document, chunks []Chunk, old []oldChunk, was string) []Chunk {
	chunks = slices.Clone(chunks)
	if !has {
		for i := range chunks {
			chunks[i].Metadata.ArchonPage = chunks[i].Metadata.PageID
		}
		return chunks
	}
	sources := []string{d.sourceID, was} // the page may have moved from another source
	for _, c := range old {
		if !slices.Contains(sources, c.sourceID) {
			sources = append(sources, c.sourceID)
		}
	}
	list := assignWholePages(d, chunks)
	queueWholePages(b, d, list, chunks, sources, "")
	return chunks
}

// queueWholePages queues the statements that replace the document's rows with the list. It deletes the other rows
// first, because the new rows may need their URLs.
func queueWholePages(b *pgx.Batch, d document, list []wholePage, chunks []Chunk, sources []string, where string) {
	n := len(list)
	ids, urls, contents, titles := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	words, chars, counts := make([]int, n), make([]int, n), make([]int, n)
	for i, p := range list {
		ids[i], urls[i], contents[i], titles[i] = p.id, p.url, p.content, p.section
		words[i], chars[i], counts[i] = len(strings.Fields(p.content)), utf8.RuneCountInString(p.content), p.chunks
	}
	meta := map[string]any{"page_type": "documentation", "title": d.title, archonKey: d.id}
	if len(chunks) > 0 {
		m := chunks[0].Metadata
		meta["knowledge_type"], meta["crawl_type"], meta["tags"] = m.KnowledgeType, m.CrawlType, orEmpty(m.Tags)
	}
	b.Queue(`DELETE FROM archon_page_metadata WHERE source_id = ANY ($1) AND metadata @> jsonb_build_object('`+archonKey+`', $2::text) AND id <> ALL ($3::uuid[])`,
		sources, d.id, ids)
	b.Queue(`
		INSERT INTO archon_page_metadata AS m (id, source_id, url, full_content, section_title, section_order, word_count, char_count, chunk_count, metadata)
		SELECT n.id, $1, n.url, n.content, nullif(n.title, ''), n.place - 1, n.words, n.chars, n.chunks, $9
		FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::int[], $7::int[], $8::int[])
			WITH ORDINALITY AS n (id, url, content, title, words, chars, chunks, place)
		`+where+`
		ON CONFLICT (id) DO UPDATE SET url = excluded.url, full_content = excluded.full_content, section_title = excluded.section_title,
			section_order = excluded.section_order, word_count = excluded.word_count, char_count = excluded.char_count,
			chunk_count = excluded.chunk_count, metadata = excluded.metadata, updated_at = now()`,
		d.sourceID, ids, urls, contents, titles, words, chars, counts, meta)
}

// archonKey is the metadata key in archon_page_metadata with the id of the document. The store finds a document's
// rows by it.
const archonKey = "sluice_document"

// queueDeleteWholePages queues the deletion of the pages' rows.
func queueDeleteWholePages(b *pgx.Batch, sourceID string, pages []string) {
	b.Queue(`DELETE FROM archon_page_metadata m USING unnest($2::text[]) AS p (id)
		WHERE m.source_id = $1 AND m.metadata @> jsonb_build_object('`+archonKey+`', p.id)`, sourceID, pages)
}

package search

import (
	"fmt"
	"strings"

	"github.com/sluicehq/sluice/shared/store/internal/pg"
)

// How chunks of the same page count for each other, measured: docs/search.md.
const (
	evidence = 0.1 // a page's second best chunk adds this part of its score to all chunks of the page
	aside    = 0.8 // a comment counts this part of what the same text would count on a page
	further  = 0.8 // a page's second chunk counts this part of what it would count as the first, its third this part of that
)

// signs stand for < and > while a snippet is made, which would leave out what looks like a tag.
const signs = `chr(1) || chr(2)`

// leg is one way to rank chunks. Its SQL returns chunk_id, place and score, highest first, for up to as
// many chunks as there are candidates, in an order that is the same after every load of the same pages.
// It may read "term", "candidate" and the earlier legs.
type leg struct {
	name   string
	weight float64
	part   string // how much of the weight a chunk gets, by its score: SQL, from 0 to 1
	sql    string
}

// statement combines the legs: a chunk's score is the sum of its parts of their weights. Scores and not ranks
// are summed, because a best match that is far ahead of the second says more than one that is not.
func statement(with []string, legs []leg, f Filter, p *params) string {
	var all []string
	for _, l := range legs {
		with = append(with, fmt.Sprintf(`
%s AS MATERIALIZED (
	SELECT chunk_id, place, score, row_number() OVER (ORDER BY score DESC, place, chunk_id) AS rank, %s AS part FROM (%s) ranked)`, l.name, l.part, l.sql))
		all = append(all, fmt.Sprintf("SELECT chunk_id, place, '%[1]s' AS leg, rank, score AS own, '%[2]v'::float8 * part AS score FROM %[1]s", l.name, l.weight))
	}
	join := "LEFT JOIN" // chunks without a page are found too
	if f.ofPages() {
		join = "JOIN"
	}
	// The chunk itself, a long row, is read for the hits alone. There it is checked once more that the viewer may see its page,
	// which every leg has checked.
	return "WITH" + strings.Join(with, ",") + `
SELECT best.chunk_id, c.source_id, coalesce(best.page_id, ''), coalesce(best.kind, 'document'), coalesce(best.title, c.metadata->>'title', ''),
	coalesce(best.space_key, ''), coalesce(best.version, 0), coalesce(best.last_modified, '0001-01-01 00:00:00Z'), ` + texts("breadcrumb") + `,
	coalesce(c.metadata->>'section_title', ''), ` + texts("heading_path") + `, coalesce(c.metadata->>'citation_url', c.url),
	c.content, coalesce(CASE WHEN best.kind IS NULL THEN c.metadata->'file'->>'format' WHEN best.kind = 'attachment' THEN
		(SELECT a.metadata->'file'->>'format' FROM confluence_pages a WHERE a.page_id = best.page_id AND a.source_id = c.source_id) END, ''),
	best.score, best.legs, best.ranks, best.owns
FROM (
	SELECT chunk_id, place, of, page_id, kind, title, space_key, version, last_modified, legs, ranks, owns,
		round(((score + ` + fmt.Sprint(evidence) + ` * second) * ` + fmt.Sprint(further) + ` ^ least(of_page - 1, ` + fmt.Sprint(defaultPerPage) + `))::numeric, 9)::float8 AS score
	FROM (SELECT *, coalesce(sum(score) FILTER (WHERE of_page = 2) OVER (PARTITION BY together), 0) AS second FROM (SELECT *,
		row_number() OVER (PARTITION BY together ORDER BY score DESC, place, chunk_id) AS of_page FROM (
		SELECT fused.chunk_id, fused.place, fused.legs, fused.ranks, fused.owns, ` + together + ` AS together,
			fused.score * CASE WHEN p.kind IN ` + pg.PartKinds + ` THEN ` + fmt.Sprint(aside) + `::float8 ELSE 1 END AS score,
			w.page_id AS of, p.page_id, p.kind, p.title, p.space_key, p.version, p.last_modified
		FROM (
			SELECT chunk_id, place, round(sum(score)::numeric, 9)::float8 AS score, array_agg(leg ORDER BY leg) AS legs, array_agg(rank::int ORDER BY leg) AS ranks,
				array_agg(own ORDER BY leg) AS owns
			FROM (` + strings.Join(all, " UNION ALL ") + `) legs GROUP BY chunk_id, place
		) fused
		JOIN confluence_chunk_words w ON w.chunk_id = fused.chunk_id
		` + join + ` confluence_pages p ON p.page_id = w.page_id AND p.source_id = w.source_id
		WHERE p.is_deleted IS NOT TRUE AND (p.page_id IS NOT NULL
			OR (SELECT NOT c.metadata ? '_pending_deletion' FROM archon_crawled_pages c WHERE c.id = fused.chunk_id))
	) ranked) ranked) ranked WHERE of_page <= ` + p.add(f.perPage()) + ` ORDER BY score DESC, place, chunk_id
) best CROSS JOIN LATERAL (SELECT * FROM archon_crawled_pages c WHERE c.id = best.chunk_id AND ` + pg.ChunkPage("c") + ` IS NOT DISTINCT FROM best.of
	AND NOT c.metadata ? '_pending_deletion'` + f.shows("c.source_id", pg.ChunkPage("c"), p) + ` OFFSET 0) c
ORDER BY best.score DESC, best.place, best.chunk_id LIMIT ` + p.add(f.limit())
}

// together is the SQL expression for what counts as one page: a page with its comments, or what has an address.
var together = `coalesce(w.source_id || CASE WHEN p.kind IN ` + pg.PartKinds + ` THEN left(p.path, -length(p.page_id) - 1) ELSE p.path END,
			(SELECT c.url FROM archon_crawled_pages c WHERE c.id = fused.chunk_id))`

// texts reads a list from a chunk's metadata, whatever other programs have written there.
func texts(key string) string {
	list := "c.metadata->'" + key + "'"
	return "ARRAY(SELECT coalesce(e, '') FROM jsonb_array_elements_text(CASE jsonb_typeof(" + list + ") WHEN 'array' THEN " + list + " ELSE '[]' END) e)"
}

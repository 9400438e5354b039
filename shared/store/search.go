package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Filter narrows a search. Zero values do not narrow.
type Filter struct {
	SourceID string
	Limit    int // default 10
}

// Hit is a chunk that a search found. Page facts are empty for chunks that are not ours.
type Hit struct {
	ChunkID      int64    `json:"chunk_id"`
	SourceID     string   `json:"source_id"`
	PageID       string   `json:"page_id"`
	Title        string   `json:"title"`
	SpaceKey     string   `json:"space_key"`
	SectionTitle string   `json:"section_title"`
	HeadingPath  []string `json:"heading_path"`
	URL          string   `json:"url"` // lands on the heading
	Snippet      string   `json:"snippet"`
	Score        float64  `json:"score"`
}

// MarkStart and MarkEnd enclose the words of a snippet that matched.
const (
	MarkStart = "\u2039"
	MarkEnd   = "\u203a"
)

// Search finds chunks by full text, and by similarity for identifiers and typos, and ranks
// them by reciprocal rank fusion. The query is in web search syntax: words, "phrases", -not.
func (s *Store) Search(ctx context.Context, query string, f Filter) ([]Hit, error) {
	query = strings.TrimSpace(query)
	if query == "" {
		return nil, nil
	}
	if f.Limit <= 0 {
		f.Limit = 10
	}
	rows, _ := s.pool.Query(ctx, searchSQL(s.trgm), query, f.SourceID, f.Limit, MarkStart, MarkEnd)
	hits, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Hit])
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	return hits, nil
}

// searchSQL is one statement. Each leg ranks its own best hundred, words in titles first; 60 is the constant of
// reciprocal rank fusion. Without the similarity extension the second leg is empty.
func searchSQL(trgm bool) string {
	similar := `SELECT NULL::bigint AS id, NULL::bigint AS place WHERE false`
	if trgm {
		similar = `
			SELECT id, row_number() OVER (ORDER BY closeness DESC, id) AS place FROM (
				SELECT id, word_similarity($1, content) AS closeness FROM archon_crawled_pages
				WHERE $1 <% content AND ($2 = '' OR source_id = $2)
				ORDER BY closeness DESC, id LIMIT 100) best`
	}
	return `
		WITH asked AS (SELECT websearch_to_tsquery('english', $1) AS q),
		words AS (
			SELECT id, row_number() OVER (ORDER BY rank DESC, id) AS place FROM (
				SELECT c.id, ts_rank_cd(c.content_search_vector || setweight(to_tsvector('english',
					concat_ws(' ', c.metadata->>'title', c.metadata->>'section_title')), 'A'), asked.q, 1) AS rank
				FROM archon_crawled_pages c, asked
				WHERE c.content_search_vector @@ asked.q AND ($2 = '' OR c.source_id = $2)
				ORDER BY rank DESC, c.id LIMIT 100) best),
		alike AS (` + similar + `),
		fused AS (
			SELECT id, sum(1.0 / (60 + place))::float8 AS score
			FROM (SELECT * FROM words UNION ALL SELECT * FROM alike) legs
			GROUP BY id ORDER BY score DESC, id LIMIT $3)
		SELECT c.id, c.source_id, coalesce(p.page_id, ''), coalesce(p.title, c.metadata->>'title', ''),
			coalesce(p.space_key, ''), coalesce(c.metadata->>'section_title', ''),
			coalesce((SELECT array_agg(h) FROM jsonb_array_elements_text(c.metadata->'heading_path') h), '{}'),
			coalesce(c.metadata->>'citation_url', c.url),
			ts_headline('english', c.content, asked.q, 'MaxWords=35, MinWords=15, MaxFragments=2, FragmentDelimiter=" … ", StartSel=' || $4 || ', StopSel=' || $5),
			fused.score
		FROM fused JOIN archon_crawled_pages c USING (id) CROSS JOIN asked
		LEFT JOIN confluence_pages p ON p.page_id = c.metadata->>'page_id' AND p.source_id = c.source_id
		WHERE coalesce(p.is_deleted, false) = false
		ORDER BY fused.score DESC, c.id`
}

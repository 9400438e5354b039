package vectors

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/store/internal/pg"
	"github.com/sluicehq/sluice/shared/viewer"
)

// Count is how many chunks have a vector: Chunks = Embedded + Pending + the sum of Failed.
type Count struct {
	Chunks   int                  `json:"chunks"`
	Embedded int                  `json:"embedded"`
	Pending  int                  `json:"pending"`
	Failed   map[failure.Code]int `json:"failed,omitempty"`
	Tokens   int64                `json:"tokens"` // of the embedded chunks' texts, in the model's own
}

// AllFailed is the number of chunks that failed for good.
func (c Count) AllFailed() int {
	n := 0
	for _, of := range c.Failed {
		n += of
	}
	return n
}

func (c *Count) add(o Count) {
	c.Chunks += o.Chunks
	c.Embedded += o.Embedded
	c.Pending += o.Pending
	c.Tokens += o.Tokens
	for code, n := range o.Failed {
		if c.Failed == nil {
			c.Failed = map[failure.Code]int{}
		}
		c.Failed[code] += n
	}
}

// Ledger counts the chunks of a space by source, of the pages that the viewer sees.
func (v *Vectors) Ledger(ctx context.Context, who viewer.Viewer, s Space) (map[string]Count, error) {
	var sources []string
	if !who.SeesAll() {
		sources = who.Sources()
	}
	seen, err := pg.See(ctx, v.pool, who, sources)
	if err != nil {
		return nil, err
	}
	args, shows := []any{s.ID, sources}, ""
	if !seen.All() {
		args, shows = append(args, seen.Free, seen.Sets), " AND "+pg.Shows("c.source_id", pg.ChunkPage("c"), "$3", "$4")
	}
	rows, _ := v.pool.Query(ctx, `
		SELECT c.source_id, coalesce(x.state, 'pending'), coalesce(CASE x.state WHEN 'failed' THEN x.code END, ''), count(*), coalesce(sum(x.tokens), 0)
		FROM archon_crawled_pages c LEFT JOIN confluence_chunk_texts t ON t.chunk_id = c.id AND t.space_id = $1
			LEFT JOIN confluence_texts x ON x.space_id = t.space_id AND x.key = t.key
		WHERE ($2::text[] IS NULL OR c.source_id = ANY ($2))`+shows+` GROUP BY 1, 2, 3`, args...)
	list := map[string]Count{}
	var source, state, code string
	var n int
	var tokens int64
	_, err = pgx.ForEachRow(rows, []any{&source, &state, &code, &n, &tokens}, func() error {
		one := Count{Chunks: n, Tokens: tokens}
		switch state {
		case "embedded":
			one.Embedded = n
		case "failed":
			one.Failed = map[failure.Code]int{failure.Code(code): n}
		default:
			one.Pending = n
		}
		c := list[source]
		c.add(one)
		list[source] = c
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("count vectors: %w", err)
	}
	return list, nil
}

// Total is the sum of a ledger.
func Total(ledger map[string]Count) Count {
	var total Count
	for _, c := range ledger {
		total.add(c)
	}
	return total
}

// Trouble is the code of the newest failed try among the pending texts, and how many they are; "" if there
// is none.
func (v *Vectors) Trouble(ctx context.Context, s Space) (code failure.Code, texts int, err error) {
	err = v.pool.QueryRow(ctx, `SELECT coalesce((array_agg(code ORDER BY due_at DESC))[1], ''), count(*)
		FROM confluence_texts WHERE space_id = $1 AND state = 'pending' AND code IS NOT NULL`, s.ID).Scan(&code, &texts)
	if err != nil {
		return "", 0, fmt.Errorf("look for failed embeddings: %w", err)
	}
	return code, texts, nil
}

// Size is how much text there is to embed for a space that is not there yet.
type Size struct {
	Chunks     int
	Texts      int // different ones, about
	Characters int64
}

// Size measures the texts of all chunks.
func (v *Vectors) Size(ctx context.Context) (Size, error) {
	var s Size
	err := v.pool.QueryRow(ctx, `SELECT count(*), count(DISTINCT md5(coalesce(metadata->>'title', '') || chr(10) || coalesce(metadata->>'heading_path', '') || chr(10) || content)),
		coalesce(sum(length(content) + length(coalesce(metadata->>'title', '')) + length(coalesce(metadata->>'heading_path', ''))), 0)
		FROM archon_crawled_pages`).Scan(&s.Chunks, &s.Texts, &s.Characters)
	if err != nil {
		return s, fmt.Errorf("measure the texts: %w", err)
	}
	return s, nil
}

// Sample returns the texts of some chunks.
func (v *Vectors) Sample(ctx context.Context, most int) ([]string, error) {
	rows, _ := v.pool.Query(ctx, `SELECT `+chunkText+` FROM archon_crawled_pages c JOIN confluence_chunk_words w ON w.chunk_id = c.id ORDER BY w.place LIMIT $1`, most)
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		var title, content string
		var headings []string
		err := row.Scan(&title, &headings, &content)
		return Text(title, headings, content), err
	})
	if err != nil {
		return nil, fmt.Errorf("read some texts: %w", err)
	}
	return list, nil
}

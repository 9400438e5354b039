package vectors

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/store/internal/pg"
)

// notedAtOnce is the number of chunks that one transaction notes: whole calls of 32, 64, 128 or 256 texts, so that an embedder
// that waits for the next ones makes no small call of the rest.
const notedAtOnce = 512

// chunkText are the columns of a chunk c of which Text is made.
const chunkText = `coalesce(c.metadata->>'title', ''),
	ARRAY(SELECT coalesce(e, '') FROM jsonb_array_elements_text(CASE jsonb_typeof(c.metadata->'heading_path') WHEN 'array' THEN c.metadata->'heading_path' ELSE '[]' END) e),
	c.content`

// unnoted is the condition for a chunk c whose text has no row in space $1 yet.
const unnoted = `NOT EXISTS (SELECT FROM confluence_chunk_texts t WHERE t.chunk_id = c.id AND t.space_id = $1)`

// NotePage writes down the texts of a page's chunks that are not in the ledger of the space yet. Those
// without a vector are then pending.
func (v *Vectors) NotePage(ctx context.Context, s Space, sourceID, pageID string) error {
	_, err := v.note(ctx, s, `c.source_id = $2 AND `+pg.ChunkOfPages("c", "= $3")+` AND `+unnoted, sourceID, pageID)
	return err
}

// NoteNext does the same for the next chunks of all after the given one, whoever wrote them, and returns
// the last of them, 0 after all.
func (v *Vectors) NoteNext(ctx context.Context, s Space, after int64) (last int64, err error) {
	return v.note(ctx, s, `c.id > $2 AND `+unnoted+` ORDER BY c.id LIMIT `+strconv.Itoa(notedAtOnce), after)
}

func (v *Vectors) note(ctx context.Context, s Space, where string, args ...any) (last int64, err error) {
	rows, _ := v.pool.Query(ctx, `SELECT c.id, c.xmin::text, `+chunkText+` FROM archon_crawled_pages c WHERE `+where, append([]any{s.ID}, args...)...)
	var ids []int64
	var versions, keys []string
	var id int64
	var version, title, content string
	var headings []string
	_, err = pgx.ForEachRow(rows, []any{&id, &version, &title, &headings, &content}, func() error {
		ids, versions, keys = append(ids, id), append(versions, version), append(keys, s.key(Text(title, headings, content)))
		last = max(last, id)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("look for chunks without a vector: %w", err)
	}
	if len(ids) == 0 {
		return 0, nil
	}
	// Only of chunks that are still as they were read: who changes one afterwards deletes its row.
	err = pg.InTx(ctx, v.pool, "note texts", func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			WITH here AS MATERIALIZED (
				SELECT n.id, n.key FROM archon_crawled_pages c JOIN unnest($2::bigint[], $3::text[], $4::uuid[]) n (id, version, key) ON n.id = c.id
				WHERE c.xmin::text = n.version ORDER BY c.id FOR SHARE OF c),
			text AS (
				INSERT INTO confluence_texts (space_id, key) SELECT DISTINCT $1::int, key FROM here ORDER BY 2
				ON CONFLICT (space_id, key) DO UPDATE SET seen_at = now())
			INSERT INTO confluence_chunk_texts (chunk_id, space_id, key) SELECT id, $1, key FROM here ON CONFLICT DO NOTHING`, s.ID, ids, versions, keys)
		return err
	})
	return last, gone(err)
}

// gone is pg.ErrNotFound for an error that says that the space was dropped.
func gone(err error) error {
	if state := pg.State(err); state == foreignKeyViolation || state == undefinedTable {
		return fmt.Errorf("%w: the space was dropped", pg.ErrNotFound)
	}
	return err
}

const (
	foreignKeyViolation = "23503"
	undefinedTable      = "42P01"
)

// Pending is a text to embed.
type Pending struct {
	Key   string // in the ledger
	Text  string
	Tries int // that failed
}

// Claim returns texts to embed, up to most. Nobody else gets them until the lease ends; then whoever had
// them has died.
func (v *Vectors) Claim(ctx context.Context, s Space, most int, lease time.Duration) ([]Pending, error) {
	rows, _ := v.pool.Query(ctx, `
		WITH due AS (
			SELECT key FROM confluence_texts WHERE space_id = $1 AND state = 'pending' AND due_at <= now() ORDER BY due_at, key LIMIT $2 FOR UPDATE SKIP LOCKED),
		claimed AS (
			UPDATE confluence_texts t SET due_at = now() + $3 FROM due WHERE t.space_id = $1 AND t.key = due.key RETURNING t.key, t.tries)
		SELECT claimed.key::text, claimed.tries, c.* FROM claimed CROSS JOIN LATERAL (
			SELECT `+chunkText+` FROM confluence_chunk_texts t JOIN archon_crawled_pages c ON c.id = t.chunk_id
			WHERE t.space_id = $1 AND t.key = claimed.key LIMIT 1) c`, s.ID, most, lease)
	var list []Pending
	var p Pending
	var title, content string
	var headings []string
	_, err := pgx.ForEachRow(rows, []any{&p.Key, &p.Tries, &title, &headings, &content}, func() error {
		p.Text = Text(title, headings, content)
		list = append(list, p)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for texts to embed: %w", gone(err))
	}
	return list, nil
}

// Vector is what became of a text.
type Vector struct {
	Key    string
	Vector []float32
	Tokens int
}

// Check returns an error unless a vector fits into the space: of its length, finite, and of length 1 as
// far as that can be computed. Its code is embedding_protocol.
func (s Space) Check(vector []float32) error {
	if len(vector) != s.Dimensions {
		return failure.New(failure.EmbeddingProtocol, "the vector has %d dimensions, those of the space have %d", len(vector), s.Dimensions)
	}
	var sum float64
	for _, x := range vector {
		sum += float64(x) * float64(x)
	}
	if math.IsNaN(sum) || math.Abs(sum-1) > 0.05 { // infinity too
		return failure.New(failure.EmbeddingProtocol, "the vector has the length %v, not 1", math.Sqrt(sum))
	}
	return nil
}

// Put stores vectors. A text that nobody has any more is left out.
func (v *Vectors) Put(ctx context.Context, s Space, vectors []Vector) error {
	if len(vectors) == 0 {
		return nil
	}
	has, err := v.Support(ctx)
	if err != nil {
		return err
	}
	keys, texts, tokens := make([]string, len(vectors)), make([]string, len(vectors)), make([]int, len(vectors))
	for i, vec := range vectors {
		if err := s.Check(vec.Vector); err != nil {
			return err
		}
		keys[i], texts[i], tokens[i] = vec.Key, Literal(vec.Vector), vec.Tokens
	}
	err = pg.InTx(ctx, v.pool, "store vectors", func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			WITH n AS MATERIALIZED (SELECT * FROM unnest($2::uuid[], $3::text[], $4::int[]) n (key, vector, tokens)),
			mine AS MATERIALIZED (SELECT key FROM confluence_texts WHERE space_id = $1 AND key = ANY ($2) AND state <> 'embedded' ORDER BY key FOR UPDATE),
			done AS (
				UPDATE confluence_texts t SET state = 'embedded', code = NULL, tokens = n.tokens FROM n JOIN mine USING (key)
				WHERE t.space_id = $1 AND t.key = n.key RETURNING t.key)
			INSERT INTO `+s.table()+` (key, embedding) SELECT key, n.vector::`+has.Schema+`.halfvec FROM n JOIN done USING (key)
			ON CONFLICT (key) DO NOTHING`, s.ID, keys, texts, tokens)
		return err
	})
	return gone(err)
}

// Literal is a vector as text. Five digits are more than a halfvec keeps.
func Literal(vector []float32) string {
	b := make([]byte, 0, 9*len(vector)+2)
	b = append(b, '[')
	for i, x := range vector {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendFloat(b, float64(x), 'g', 5, 32)
	}
	return string(append(b, ']'))
}

// Failure is a try that failed.
type Failure struct {
	Key   string
	Code  failure.Code
	After time.Duration // the next try is not before
	Final bool          // there is no next try
	// Outage says that the text was not at fault: it is not counted as a try.
	Outage bool
}

// Fail writes failed tries down.
func (v *Vectors) Fail(ctx context.Context, s Space, failures []Failure) error {
	if len(failures) == 0 {
		return nil
	}
	keys, codes, afters := make([]string, len(failures)), make([]string, len(failures)), make([]float64, len(failures))
	finals, outages := make([]bool, len(failures)), make([]bool, len(failures))
	for i, f := range failures {
		keys[i], codes[i], afters[i], finals[i], outages[i] = f.Key, string(f.Code), f.After.Seconds(), f.Final, f.Outage
	}
	return gone(pg.InTx(ctx, v.pool, "note failed embeddings", func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			WITH n AS MATERIALIZED (SELECT * FROM unnest($2::uuid[], $3::text[], $4::float8[], $5::bool[], $6::bool[]) n (key, code, after, final, outage)),
			mine AS MATERIALIZED (SELECT key FROM confluence_texts WHERE space_id = $1 AND key = ANY ($2) AND state = 'pending' ORDER BY key FOR UPDATE)
			UPDATE confluence_texts t SET code = n.code, tries = tries + CASE WHEN n.outage THEN 0 ELSE 1 END, due_at = now() + make_interval(secs => n.after),
				state = CASE WHEN n.final THEN 'failed' ELSE 'pending' END
			FROM n JOIN mine USING (key) WHERE t.space_id = $1 AND t.key = n.key`, s.ID, keys, codes, afters, finals, outages)
		return err
	}))
}

// Extend gives claimed texts a new lease, counted from now: 0 gives them back.
func (v *Vectors) Extend(ctx context.Context, s Space, keys []string, lease time.Duration) error {
	_, err := v.pool.Exec(ctx, `UPDATE confluence_texts SET due_at = now() + $3 WHERE space_id = $1 AND key = ANY ($2::uuid[]) AND state = 'pending'`, s.ID, keys, lease)
	if err != nil {
		return fmt.Errorf("keep texts to embed: %w", gone(err))
	}
	return nil
}

// Retry has texts that failed for good tried again, and returns how many.
func (v *Vectors) Retry(ctx context.Context, s Space) (int, error) {
	tag, err := v.pool.Exec(ctx, `UPDATE confluence_texts SET state = 'pending', tries = 0, due_at = now() WHERE space_id = $1 AND state = 'failed'`, s.ID)
	if err != nil {
		return 0, fmt.Errorf("try failed texts again: %w", err)
	}
	return int(tag.RowsAffected()), nil
}

// keptFor is how long a text without a chunk keeps its vector: a page may come back.
const keptFor = time.Hour

// Sweep deletes the vectors of texts that no chunk has had for an hour.
func (v *Vectors) Sweep(ctx context.Context, s Space) (int, error) {
	total := 0
	for {
		var n int
		err := pg.InTx(ctx, v.pool, "sweep vectors", func(tx pgx.Tx) error {
			return tx.QueryRow(ctx, `
				WITH old AS MATERIALIZED (
					SELECT key FROM confluence_texts x WHERE space_id = $1 AND seen_at < now() - $2::interval
						AND NOT EXISTS (SELECT FROM confluence_chunk_texts t WHERE t.space_id = $1 AND t.key = x.key) LIMIT $3),
				texts AS (
					DELETE FROM confluence_texts x USING old WHERE x.space_id = $1 AND x.key = old.key AND x.seen_at < now() - $2::interval RETURNING x.key),
				vectors AS (DELETE FROM `+s.table()+` v USING texts WHERE v.key = texts.key)
				SELECT count(*) FROM texts`, s.ID, keptFor, notedAtOnce).Scan(&n)
		})
		total += n
		if err = gone(err); err != nil || n < notedAtOnce {
			if errors.Is(err, pg.ErrNotFound) {
				err = nil
			}
			return total, err
		}
	}
}

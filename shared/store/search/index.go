package search

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sluicehq/sluice/shared/store/internal/pg"
)

// Text is the searched text of a chunk, which is identified by its address and number.
type Text struct {
	Number  int
	Title   string // of the page
	Section string // the heading
	Content string
}

// Queue adds the statements that make the chunks of one address searchable again to a batch. The chunks exist
// in the database already.
func Queue(b *pgx.Batch, url string, texts []Text) {
	if len(texts) == 0 {
		return
	}
	numbers := numbersOf(texts)
	args := append([]any{url, numbers}, columnsOf(texts)...)
	b.Queue(indexSQL("JOIN archon_crawled_pages c ON c.url = $1 AND c.chunk_number = n.key"), args...)
	// What was embedded of them was another text: they are looked at again.
	b.Queue(`DELETE FROM confluence_chunk_texts t USING archon_crawled_pages c WHERE t.chunk_id = c.id AND c.url = $1 AND c.chunk_number = ANY ($2)`, url, numbers)
}

// Rows are new chunks of one address, as columns: one value for each chunk.
type Rows struct {
	URL, SourceID string
	Metadata      []string // JSON objects
	ArchonPages   bool     // the table has the column page_id, which gets the metadata's page_id
}

// Insert adds the statement to a batch that inserts new chunks and makes them searchable. It is one statement for
// both: the words come from the row that has just been made, which is neither looked up nor read again.
func Insert(b *pgx.Batch, rows Rows, texts []Text) {
	if len(texts) == 0 {
		return
	}
	contents := make([]string, len(texts))
	for i, t := range texts {
		contents[i] = t.Content
	}
	args := append([]any{rows.URL, numbersOf(texts)}, columnsOf(texts)...)
	b.Queue(insertSQL[rows.ArchonPages], append(args, contents, rows.Metadata, rows.SourceID)...)
}

// insertSQL is the statement of Insert, without and with Archon's column page_id.
var insertSQL = map[bool]string{false: insertWith("", ""), true: insertWith(", page_id", ", (n.metadata->>'page_id')::uuid")}

func insertWith(column, value string) string {
	return `
		WITH n AS MATERIALIZED (
			SELECT key, parts, whole, titles, title_whole, length, tagged, content, metadata::jsonb AS metadata
			FROM unnest($2::int[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int[], $8::bool[], $9::text[], $10::text[])
				AS n (key, parts, whole, titles, title_whole, length, tagged, content, metadata)
		), made AS (
			INSERT INTO archon_crawled_pages AS c (url, chunk_number, content, metadata, source_id` + column + `)
			SELECT $1::text, n.key, n.content, n.metadata, $11::text` + value + ` FROM n
			RETURNING c.id, c.chunk_number, c AS chunk
		)
		INSERT INTO confluence_chunk_words (chunk_id, source_id, page_id, place, length, titles, words)
		SELECT made.id, $11::text, ` + pg.ChunkPage("n") + `, hashtextextended(n.content, hashtextextended($1::text, 0)), n.length, length(t.titles),
			` + wordsSQL("n.content", "(SELECT content_search_vector FROM (SELECT (made.chunk).*) one)") + `
		FROM ` + languageSQL + `, n JOIN made ON made.chunk_number = n.key, ` + titlesSQL
}

func numbersOf(texts []Text) []int {
	numbers := make([]int, len(texts))
	for i, t := range texts {
		numbers[i] = t.Number
	}
	return numbers
}

// columnsOf are the parameters of indexSQL from the third one on. Lists of lists must have equal lengths
// in the database, so the words travel as one text, separated by spaces.
func columnsOf(texts []Text) []any {
	parts, whole, titles, titleWhole := make([]string, len(texts)), make([]string, len(texts)), make([]string, len(texts)), make([]string, len(texts))
	lengths, tags := make([]int, len(texts)), make([]bool, len(texts))
	for i, t := range texts {
		w := WordsOf(t.Content)
		heading := untagged(t.Title + "\n" + t.Section)
		h := WordsOf(heading)
		parts[i], whole[i], lengths[i] = join(w.Parts), join(w.Whole), w.Count
		tags[i] = tagged(t.Content)
		titles[i], titleWhole[i] = heading+"\n"+join(h.Parts), join(h.Whole)
	}
	return []any{parts, whole, titles, titleWhole, lengths, tags}
}

// indexSQL writes the words of chunks c.
func indexSQL(join string) string {
	return `
		INSERT INTO confluence_chunk_words (chunk_id, source_id, page_id, place, length, titles, words)
		SELECT c.id, c.source_id, ` + pg.ChunkPage("c") + `, hashtextextended(c.content, hashtextextended(c.url, 0)), n.length, length(t.titles),
			` + wordsSQL("c.content", "(SELECT content_search_vector FROM archon_crawled_pages WHERE id = c.id)") + `
		FROM ` + languageSQL + `,
			unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int[], $8::bool[]) AS n (key, parts, whole, titles, title_whole, length, tagged)
			` + join + `, ` + titlesSQL + `
		ON CONFLICT (chunk_id) DO UPDATE SET source_id = excluded.source_id, page_id = excluded.page_id,
			place = excluded.place, length = excluded.length, titles = excluded.titles, words = excluded.words`
}

// languageSQL is the language l of the stored words. titlesSQL are the words t of a chunk's title and heading, which
// are parsed once.
const (
	languageSQL = `(SELECT l.language, NULL::tsvector AS content_search_vector FROM confluence_search l) l`
	titlesSQL   = `LATERAL (SELECT to_tsvector(l.language::regconfig, n.titles) AS titles OFFSET 0) t`
)

// wordsSQL are the words of a chunk with that content. In English the chunk already has its text's vector, except in
// the tables of old Archons: there the name means the empty column of languageSQL. Where the parser may have taken
// words for a tag, that vector lacks them.
func wordsSQL(content, vector string) string {
	return `CASE WHEN n.tagged THEN to_tsvector(l.language::regconfig, ` + untaggedSQL(content) + `) ELSE
				coalesce(CASE l.language WHEN '` + string(archonLanguage) + `' THEN ` + vector + ` END,
					to_tsvector(l.language::regconfig, ` + content + `)) END
				|| (to_tsvector(l.language::regconfig, n.parts)
				|| array_to_tsvector(array_remove(string_to_array(n.whole, ' '), ''))
				|| array_to_tsvector(ARRAY(SELECT '^' || lexeme FROM unnest(t.titles
					|| array_to_tsvector(array_remove(string_to_array(n.title_whole, ' '), ''))))))`
}

// untaggedSQL is the function untagged, in the database.
func untaggedSQL(content string) string { return `translate(` + content + `, '<>', '  ')` }

// Limits of one round.
const (
	indexedAtOnce = 500
	countedAtOnce = 10_000
	// longestIndexed is the part of a chunk's text that is searched for parts of words, in bytes.
	longestIndexed = 1 << 20
)

// Index makes chunks searchable that another program wrote, such as an Archon, and all chunks after a
// change of the language. It handles at most that many chunks, unless most is 0.
func (s *Searcher) Index(ctx context.Context, most int) error {
	for done := 0; most == 0 || done < most; {
		n, err := s.indexSome(ctx)
		done += n
		if err != nil || n < indexedAtOnce {
			return err
		}
	}
	return nil
}

func (s *Searcher) indexSome(ctx context.Context) (int, error) {
	rows, _ := s.pool.Query(ctx, `
		SELECT c.id, coalesce(c.metadata->>'title', ''), coalesce(c.metadata->>'section_title', ''), left(c.content, $2)
		FROM archon_crawled_pages c
		WHERE c.id > $1 AND NOT EXISTS (SELECT FROM confluence_chunk_words w WHERE w.chunk_id = c.id)
		ORDER BY c.id LIMIT $3`, s.looked.Load(), longestIndexed, indexedAtOnce)
	var ids []int64
	var texts []Text
	var id int64
	var t Text
	_, err := pgx.ForEachRow(rows, []any{&id, &t.Title, &t.Section, &t.Content}, func() error {
		ids, texts = append(ids, id), append(texts, t)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("look for chunks that are not searchable yet: %w", err)
	}
	if len(ids) == 0 {
		return 0, nil
	}
	args := append([]any{nil, ids}, columnsOf(texts)...)
	if _, err := s.pool.Exec(ctx, indexSQL("JOIN archon_crawled_pages c ON $1::text IS NULL AND c.id = n.key"), args...); err != nil {
		return 0, fmt.Errorf("make chunks searchable: %w", err)
	}
	return len(ids), nil
}

// Count counts the chunks that contain each word, for the chunks added and removed since the last count.
// It returns immediately if another process is counting.
func (s *Searcher) Count(ctx context.Context) error {
	for {
		n, err := countSome(ctx, s.pool)
		if err != nil {
			return fmt.Errorf("count words: %w", err)
		}
		if n < countedAtOnce {
			return nil
		}
	}
}

// Wrote counts words occasionally: writers of chunks report the number of chunks. If a count fails, the
// next one includes it.
func (s *Searcher) Wrote(ctx context.Context, chunks int) {
	if chunks == 0 {
		return
	}
	now := time.Now().Unix()
	if s.wrote.Add(int64(chunks)) < countedByWriter && now-s.counted.Load() < int64(writtenWithin.Seconds()) {
		return
	}
	s.wrote.Store(0)
	s.counted.Store(now)
	_ = s.Count(ctx)
}

func countSome(ctx context.Context, pool *pgxpool.Pool) (n int, err error) {
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		var mine bool
		err := tx.QueryRow(ctx, `SELECT pg_try_advisory_xact_lock(hashtextextended('confluence words', 0))`).Scan(&mine)
		if err != nil || !mine {
			return err
		}
		var ids, came []int64
		err = tx.QueryRow(ctx, `
			SELECT coalesce(array_agg(id), '{}'), coalesce(array_agg(chunk_id) FILTER (WHERE chunk_id IS NOT NULL), '{}')
			FROM (SELECT id, chunk_id FROM confluence_words_uncounted ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED) u`, countedAtOnce).Scan(&ids, &came)
		if err != nil || len(ids) == 0 {
			return err
		}
		n = len(ids)
		// The counting function takes a statement as text, which contains only numbers.
		b := &pgx.Batch{}
		b.Queue(`
			INSERT INTO confluence_words AS w (word, chunks)
			SELECT word, sum(chunks) FROM (
				SELECT word, ndoc AS chunks FROM ts_stat('SELECT words FROM confluence_chunk_words WHERE chunk_id = ANY (' || quote_literal($1::bigint[]::text) || ')')
				UNION ALL
				SELECT word, -ndoc FROM ts_stat('SELECT words FROM confluence_words_uncounted WHERE words IS NOT NULL AND id = ANY (' || quote_literal($2::bigint[]::text) || ')')
			) changes GROUP BY word
			ON CONFLICT (word) DO UPDATE SET chunks = w.chunks + excluded.chunks`, came, ids)
		b.Queue(`
			DELETE FROM confluence_words w USING ts_stat('SELECT words FROM confluence_words_uncounted WHERE words IS NOT NULL AND id = ANY (' || quote_literal($1::bigint[]::text) || ')') s
			WHERE w.word = s.word AND w.chunks <= 0`, ids)
		b.Queue(`
			INSERT INTO confluence_word_totals AS t (source_id, chunks, length)
			SELECT source_id, sum(n), sum(n * length) FROM (
				SELECT source_id, length::bigint, 1 AS n FROM confluence_chunk_words WHERE chunk_id = ANY ($1)
				UNION ALL
				SELECT source_id, length, -1 FROM confluence_words_uncounted WHERE words IS NOT NULL AND id = ANY ($2)
			) changes GROUP BY source_id
			ON CONFLICT (source_id) DO UPDATE SET chunks = t.chunks + excluded.chunks, length = t.length + excluded.length`, came, ids)
		b.Queue(`DELETE FROM confluence_word_totals WHERE chunks <= 0`)
		b.Queue(`DELETE FROM confluence_words_uncounted WHERE id = ANY ($1)`, ids)
		return tx.SendBatch(ctx, b).Close()
	})
	return n, err
}

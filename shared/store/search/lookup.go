package search

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/viewer"
)

// term is a word to look for.
type term struct {
	Term
	chunks int64 // as Chunks
	rest   bool  // the rarest of the words that are not looked up
}

// title reports whether the word is searched in titles and headings.
func (t term) title() bool { return strings.HasPrefix(t.Word, titleMark) }

// plain is the word without the mark of titles.
func (t term) plain() string { return strings.TrimPrefix(t.Word, titleMark) }

func newTerm(word string, chunks int64) term {
	return term{Term: Term{Word: word, Chunks: chunks}, chunks: chunks}
}

const titleMark = "^"

// known is the database's data about a query's words and the searched chunks.
type known struct {
	language  string
	chunks    float64 // in the whole database
	length    float64 // total length, in words
	seen      float64 // chunks of the searched sources
	uncounted int     // chunks added or removed since the last count of words
	unindexed bool
	last      int64 // chunk

	terms    []term
	reads    []reading
	expected float64 // expected chunks of all readings
	whole    phrase  // all words of the query
	must     []phrase
	not      []phrase

	visible  int      // content that a guarded viewer may see, up to one more than manyPages
	pages    []string // pages that pass the filter, unless they are many
	many     bool     // more than manyPages
	share    float64  // of all pages, about, if they are many
	pagesOf  []string // source/page of each, if another site has a page with one of the ids
	ofPages  int      // chunks of those pages, up to one more than fewChunks
	allPages float64

	documents int // chunks of no page, up to one more than fewChunks, if the filter is for them
}

// phrase is a sequence of words, in stored form.
type phrase struct {
	query string   // a tsquery; "" for words that the language ignores
	words []string // for titles
}

// lookUp reads this data from the database in one round trip.
func (s *Searcher) lookUp(ctx context.Context, v viewer.Viewer, a asked, f Filter) (known, error) {
	var k known
	w := WordsOf(a.text)
	b := &pgx.Batch{}
	b.Queue(`
		SELECT language, coalesce((SELECT sum(chunks) FROM confluence_word_totals), 0)::float8,
			coalesce((SELECT sum(length) FROM confluence_word_totals), 0)::float8,
			coalesce((SELECT sum(chunks) FROM confluence_word_totals WHERE $1::text[] IS NULL OR source_id = ANY ($1)), 0)::float8,
			(SELECT count(*) FROM (SELECT FROM confluence_words_uncounted LIMIT $2) u)::int,
			EXISTS (SELECT FROM archon_crawled_pages c WHERE c.id > $3 AND NOT EXISTS (SELECT FROM confluence_chunk_words w WHERE w.chunk_id = c.id)),
			coalesce((SELECT max(id) FROM archon_crawled_pages), 0)
		FROM confluence_search`, f.sources(v), countedBySearch+1, s.looked.Load()).
		QueryRow(func(row pgx.Row) error {
			return row.Scan(&k.language, &k.chunks, &k.length, &k.seen, &k.uncounted, &k.unindexed, &k.last)
		})
	b.Queue(`
		SELECT a.lexeme, coalesce(t.chunks, 0), coalesce(h.chunks, 0)
		FROM (SELECT lexeme FROM confluence_search l, unnest(to_tsvector(l.language::regconfig, $1)
			|| to_tsvector(l.language::regconfig, $2) || array_to_tsvector(array_remove($3::text[], '')))) a
		LEFT JOIN confluence_words t ON t.word = a.lexeme
		LEFT JOIN confluence_words h ON h.word = '^' || a.lexeme
		ORDER BY 2, 1 LIMIT $4`, untagged(a.text), join(w.Parts), orEmpty(w.Whole), mostWords).
		Query(func(rows pgx.Rows) error {
			var lexeme string
			var text, title int64
			_, err := pgx.ForEachRow(rows, []any{&lexeme, &text, &title}, func() error {
				k.terms = append(k.terms, newTerm(lexeme, text), newTerm(titleMark+lexeme, title))
				return nil
			})
			return err
		})
	if f.guarded() {
		b.Queue(visibleSQL, f.seen.Sets, f.seen.Free).QueryRow(func(row pgx.Row) error { return row.Scan(&k.visible, &k.allPages) })
	}
	if f.documents() {
		b.Queue(`SELECT count(*)::int FROM (SELECT FROM confluence_chunk_words WHERE page_id IS NULL LIMIT $1) d`, fewChunks+1).
			QueryRow(func(row pgx.Row) error { return row.Scan(&k.documents) })
	}
	var whole []phrase
	queuePhrases(b, []string{a.text}, &whole)
	queuePhrases(b, a.must, &k.must)
	queuePhrases(b, a.not, &k.not)
	if err := s.pool.SendBatch(ctx, b).Close(); err != nil {
		return k, fmt.Errorf("look up words: %w", err)
	}
	if len(whole) > 0 {
		k.whole = whole[0]
	}
	if f.ofPages() || f.guarded() {
		return k, s.passing(ctx, v, f, &k)
	}
	return k, nil
}

// mostWords is the number of a query's words that are searched, the rarest.
const mostWords = 48

func queuePhrases(b *pgx.Batch, texts []string, to *[]phrase) {
	for _, text := range texts {
		w := WordsOf(text)
		b.Queue(`
			SELECT CASE WHEN numnode(q) > 0 THEN q::text ELSE '' END, tsvector_to_array(to_tsvector(l.language::regconfig, $1))
			FROM confluence_search l, LATERAL (SELECT phraseto_tsquery(l.language::regconfig, $1) AS q) p`, untagged(text)).
			QueryRow(func(row pgx.Row) error {
				var p phrase
				if err := row.Scan(&p.query, &p.words); err != nil {
					return err
				}
				if dense(text) { // pairs of adjacent characters represent the phrase
					p.query, p.words = all(w.Whole), w.Whole
				}
				if p.query != "" {
					*to = append(*to, p)
				}
				return nil
			})
	}
}

// all is a tsquery that requires all words.
func all(words []string) string {
	list := make([]string, len(words))
	for i, w := range words {
		list[i] = lexeme(w)
	}
	return strings.Join(list, " & ")
}

// lexeme is a word as a tsquery.
func lexeme(word string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(word) + "'"
}

// anywhere is the tsquery for a phrase in the text, or for all its words in the titles.
func (p phrase) anywhere() string {
	titles := make([]string, len(p.words))
	for i, w := range p.words {
		titles[i] = titleMark + w
	}
	if len(titles) == 0 {
		return "(" + p.query + ")"
	}
	return "((" + p.query + ") | (" + all(titles) + "))"
}

// marked is the tsquery for the words that a snippet marks.
func (k *known) marked() string {
	var list []string
	for _, t := range k.terms {
		if !t.title() {
			list = append(list, lexeme(t.Word))
		}
	}
	return strings.Join(list, " | ")
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func join(list []string) string { return strings.Join(list, " ") }

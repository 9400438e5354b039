// Package search finds chunks by their words, in one SQL statement that is put together for
// each query out of constant texts and parameters.
package search

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sluicehq/sluice/shared/viewer"
)

// Searcher searches the chunks of a knowledge base. It is safe for concurrent use.
type Searcher struct {
	pool     *pgxpool.Pool
	language language
	trgm     atomic.Bool // the similarity extension is there
	common   commonWords
}

// New returns a searcher in a language: the name of one of the database's text search
// configurations, English for "".
func New(pool *pgxpool.Pool, languageName string) *Searcher {
	return &Searcher{pool: pool, language: language(cmp.Or(languageName, string(archonLanguage)))}
}

// Prepare finds out what the database has to search with. The error says which languages it
// knows where that of the searcher is none of them.
func (s *Searcher) Prepare(ctx context.Context) error {
	var trgm bool
	err := s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm')`).Scan(&trgm)
	if err != nil {
		return fmt.Errorf("look for pg_trgm: %w", err)
	}
	s.trgm.Store(trgm)
	return s.language.check(ctx, s.pool)
}

// MaxHits is the most hits that one search returns.
const MaxHits = 100

// Filter narrows a search below what its viewer sees; zero values do not narrow. Every filter
// but SourceID and Sources speaks of Confluence pages, so that only their chunks pass it.
type Filter struct {
	SourceID      string
	Sources       []string // no chunk of any other source; none: every source that the viewer sees
	SpaceKey      string
	Under         string // a page's id: that page and what lies below it
	Label         string
	JiraIssue     string // an issue's key, such as OPS-42, that the page shows or links to
	Mentions      string // an account id
	ModifiedSince time.Time
	Limit         int // default 10, at most MaxHits
}

// ofPages reports whether the filter asks for something that only Confluence pages have.
func (f Filter) ofPages() bool {
	return f.SpaceKey+f.Under+f.Label+f.JiraIssue+f.Mentions != "" || !f.ModifiedSince.IsZero()
}

// possible reports whether there can be a chunk that passes: no stored text holds what is not
// one.
func (f Filter) possible() bool {
	for _, text := range append([]string{f.SourceID, f.SpaceKey, f.Under, f.Label, f.JiraIssue, f.Mentions}, f.Sources...) {
		if !utf8.ValidString(text) || strings.Contains(text, "\x00") {
			return false
		}
	}
	return true
}

// Hit is a chunk that a search found. Page facts are empty for chunks that are not ours.
type Hit struct {
	ChunkID      int64     `json:"chunk_id"`
	SourceID     string    `json:"source_id"`
	PageID       string    `json:"page_id"`
	Title        string    `json:"title"`
	SpaceKey     string    `json:"space_key"`
	Version      int       `json:"version,omitzero"`
	LastModified time.Time `json:"last_modified,omitzero"`
	Breadcrumb   []string  `json:"breadcrumb"` // titles of the pages above, from the top of the space
	SectionTitle string    `json:"section_title"`
	HeadingPath  []string  `json:"heading_path"`
	URL          string    `json:"url"` // lands on the heading
	Snippet      string    `json:"snippet"`
	Score        float64   `json:"score"` // comparable within one answer only
}

// MarkStart and MarkEnd enclose the words of a snippet that matched.
const (
	MarkStart = "\u2039"
	MarkEnd   = "\u203a"
)

// Search finds chunks by the words of their text, of their page's title and of their heading,
// and by similar words where there are too few of those. The query is in web search syntax:
// words, "phrases", or, -not; a query that only excludes finds nothing. Hits are ranked by
// reciprocal rank fusion, best first.
//
// A chunk of a source that the viewer does not see, or that the filter leaves out, is never
// found, whatever the query holds.
func (s *Searcher) Search(ctx context.Context, v viewer.Viewer, query string, f Filter) ([]Hit, error) {
	known, err := s.common.of(ctx, s.pool)
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	sql, args := s.searchSQL(v, query, f, known)
	if sql == "" {
		return nil, nil
	}
	mode := pgx.QueryExecModeCacheStatement
	if f.SourceID != "" || f.ofPages() {
		// Planned anew each time: what is right for a source of ten pages is wrong for one of
		// ten thousand.
		mode = pgx.QueryExecModeExec
	}
	rows, _ := s.pool.Query(ctx, sql, append([]any{mode}, args...)...)
	hits, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Hit])
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	return hits, nil
}

// asked is a query, taken apart.
type asked struct {
	text   string   // as it was given
	not    string   // the parts that exclude
	words  []string // the words that do not, in lower case
	parts  int      // how many parts they stand in: an identifier of several words is one
	phrase bool     // some of them stand between quotes
}

// parse takes a query in web search syntax apart as the database does.
func parse(query string) asked {
	// A zero byte fits no text of the database.
	a := asked{text: strings.TrimSpace(strings.ToValidUTF8(strings.ReplaceAll(query, "\x00", " "), " "))}
	for rest := a.text; rest != ""; rest = strings.TrimSpace(rest) {
		var part string
		part, rest = cutPart(rest)
		if strings.HasPrefix(part, "-") {
			a.not += " " + part
			continue
		}
		a.parts++
		a.phrase = a.phrase || strings.HasPrefix(part, `"`)
		for _, w := range wordsOf(part) {
			if w != "or" {
				a.words = append(a.words, w)
			}
		}
	}
	a.not = strings.TrimSpace(a.not)
	return a
}

// cutPart cuts the first part off a query: a word or a phrase, with the sign before it.
func cutPart(query string) (part, rest string) {
	sign := len(query) - len(strings.TrimLeft(query, "-"))
	if strings.HasPrefix(query[sign:], `"`) {
		if end := strings.IndexByte(query[sign+1:], '"'); end >= 0 {
			end += sign + 2
			return query[:end], query[end:]
		}
	}
	if end := strings.IndexAny(query, " \t\r\n\v\f"); end >= 0 {
		return query[:end], query[end:]
	}
	return query, ""
}

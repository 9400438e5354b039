// Package search finds chunks by their words and by their meaning, with one SQL statement that is built for each query from
// constant texts and parameters.
package search

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sluicehq/sluice/shared/store/internal/pg"
	"github.com/sluicehq/sluice/shared/viewer"
)

// Searcher searches the chunks of a knowledge base. It is safe for concurrent use.
type Searcher struct {
	pool     *pgxpool.Pool
	language language
	trgm     atomic.Bool  // the similarity extension is installed
	looked   atomic.Int64 // chunks up to this one are searchable, or their writer is making them searchable
	wrote    atomic.Int64 // chunks that this process has written since
	counted  atomic.Int64 // when this process last counted words, in seconds since 1970
	without  []string     // legs that do not run
	asker    Asker        // nil: searches go by words alone
	reranker Reranker     // nil: hits stay in the order of their scores
	few      float64      // vectors that are compared without the index
	vectors  float64      // the share of the vectors in the ranking, from 0 to 1
}

// New returns a searcher for a language: the name of one of the database's text search configurations,
// English for "".
func New(pool *pgxpool.Pool, languageName string) *Searcher {
	return &Searcher{pool: pool, language: language(cmp.Or(languageName, string(archonLanguage))), few: fewVectors, vectors: vectorsShare}
}

// Prepare finds out what the database supports. If it does not have the searcher's language, the error
// lists its languages.
func (s *Searcher) Prepare(ctx context.Context) error {
	var trgm bool
	err := s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm')`).Scan(&trgm)
	if err != nil {
		return fmt.Errorf("look for pg_trgm: %w", err)
	}
	s.trgm.Store(trgm)
	return s.language.check(ctx, s.pool)
}

// MaxHits is the maximum number of hits per search.
const MaxHits = 100

// Filter narrows a search within what its viewer sees; zero values do not narrow. Every filter except
// SourceID, Sources and the kind Document concerns Confluence pages, so that only their chunks pass it.
type Filter struct {
	SourceID      string
	Sources       []string // only chunks of these sources; empty: every source that the viewer sees
	SpaceKey      string
	Under         string // id of a page or of what pages lie in, such as a folder: it and its descendants
	Label         string
	JiraIssue     string // an issue's key, such as OPS-42, that the page shows or links to
	Mentions      string // an account id
	Kind          string // page, blogpost, comment, attachment; Document
	FileType      string // of attachments, or of documents if Kind says so: pdf, docx, …
	Resolution    string // open or resolved: only threads of comments beside a text, in that state
	ModifiedSince time.Time
	Limit         int // default 10, at most MaxHits
	PerPage       int // maximum hits of one page with its comments; default 3

	root root    // what Under names
	seen pg.Seen // what the viewer may see
}

// ofPages reports whether the filter uses a property that only Confluence pages have.
func (f Filter) ofPages() bool {
	return f.SpaceKey+f.Under+f.Label+f.JiraIssue+f.Mentions+f.Resolution != "" || !f.ModifiedSince.IsZero() || !f.documents() && f.Kind+f.FileType != ""
}

// Document is the Kind of what is no page: documents that were added, and what other programs have stored.
const Document = "document"

// documents reports whether the filter is for what is no page.
func (f Filter) documents() bool { return f.Kind == Document }

// possible reports whether any chunk can pass: no stored text contains invalid text, and a document has no property of a page.
func (f Filter) possible() bool {
	if f.documents() && f.ofPages() {
		return false
	}
	for _, text := range append([]string{f.SourceID, f.SpaceKey, f.Under, f.Label, f.JiraIssue, f.Mentions, f.Kind, f.FileType, f.Resolution}, f.Sources...) {
		if !utf8.ValidString(text) || strings.Contains(text, "\x00") {
			return false
		}
	}
	return true
}

// Hit is a chunk that a search found. Page facts are empty for chunks of other programs.
type Hit struct {
	ChunkID      int64     `json:"chunk_id"`
	SourceID     string    `json:"source_id"`
	PageID       string    `json:"page_id"`
	Kind         string    `json:"kind"`                // page, blogpost, comment or attachment; document for what is no page
	FileType     string    `json:"file_type,omitempty"` // of what is or was a file: pdf, docx, …
	Place        string    `json:"place,omitempty"`     // where in such a file: page 3, slide 4, Prices!A1:D20, rows 2-61
	Title        string    `json:"title"`
	SpaceKey     string    `json:"space_key"`
	Version      int       `json:"version,omitzero"`
	LastModified time.Time `json:"last_modified,omitzero"`
	Breadcrumb   []string  `json:"breadcrumb"` // titles of the ancestors, from the top of the space
	SectionTitle string    `json:"section_title"`
	HeadingPath  []string  `json:"heading_path"`
	URL          string    `json:"url"`     // links to the heading
	Snippet      string    `json:"snippet"` // plain text around the words that matched, not Markdown
	Score        float64   `json:"score"`   // comparable within one answer only
}

// MarkStart and MarkEnd enclose the words of a snippet that matched.
const (
	MarkStart = "\u2039"
	MarkEnd   = "\u203a"
)

const (
	defaultHits    = 10
	defaultPerPage = 3
)

func (f Filter) limit() int {
	if f.Limit <= 0 {
		return defaultHits
	}
	return min(f.Limit, MaxHits)
}

func (f Filter) perPage() int {
	if f.PerPage <= 0 {
		return defaultPerPage
	}
	return f.PerPage
}

// Search finds the chunks that answer best, by the words of their text, their page's title and their
// heading, and with an Asker by their meaning. Any word of the query may match, and rare words count more; words between "quotes" are
// required, and a -word is excluded. Hits are sorted by relevance, in the same order for the same pages
// however they were stored.
//
// A chunk of a source that the viewer does not see, or that the filter excludes, is never found,
// whatever the query contains.
func (s *Searcher) Search(ctx context.Context, v viewer.Viewer, query string, f Filter) ([]Hit, error) {
	a, err := s.Explain(ctx, v, query, f)
	return a.Hits, err
}

// Explain is Search with an explanation of its hits. It returns a *store.AmbiguousPageError if pages of
// several sites have the id of Filter.Under, and Filter.SourceID does not decide.
func (s *Searcher) Explain(ctx context.Context, v viewer.Viewer, query string, f Filter) (Answer, error) {
	asked := parse(query)
	if asked.text == "" || !f.possible() {
		return Answer{}, nil
	}
	var err error
	if f.seen, err = pg.See(ctx, s.pool, v, f.sources(v)); err != nil {
		return Answer{}, err
	}
	if err := s.findRoot(ctx, v, &f); err != nil {
		return Answer{}, err
	}
	limit := f.limit()
	if s.reranker != nil {
		f.Limit = max(limit, reranked)
	}
	meaning := sync.OnceValue(s.mean(ctx, asked.text))
	a, err := s.answer(ctx, v, asked, f, meaning)
	if err == nil && len(a.Hits) == 0 && asked.soften() {
		// No chunk contains the quoted text literally, for example an error message with a name in it.
		a, err = s.answer(ctx, v, asked, f, meaning)
		a.Softened = true
	}
	a.WordsOnly = meaning().why
	if err == nil && s.reranker != nil {
		err = s.rerank(ctx, asked.text, &a, limit)
	}
	if err != nil {
		return Answer{}, fmt.Errorf("search: %w", err)
	}
	return a, nil
}

func (s *Searcher) answer(ctx context.Context, v viewer.Viewer, a asked, f Filter, meaning func() meant) (Answer, error) {
	k, err := s.lookUp(ctx, v, a, f)
	if err != nil {
		return Answer{}, err
	}
	if s.behind(k) {
		s.catchUp(ctx, k)
		if k, err = s.lookUp(ctx, v, a, f); err != nil {
			return Answer{}, err
		}
	}
	if !k.unindexed { // the next search indexes the rest
		s.looked.Store(max(s.looked.Load(), k.last-lateIDs))
	}
	if s.runs(Typos) {
		if err := s.forgive(ctx, &k, f); err != nil {
			return Answer{}, err
		}
	}
	m := meaning()
	sql, args, searched := s.statement(&k, m, v, f)
	if sql == "" {
		return Answer{}, nil
	}
	var answer Answer
	// How many chunks hold a word, and which similar words there are, tells of every source and every page.
	if v.SeesAll() && !f.guarded() {
		for _, t := range k.terms {
			answer.Terms = append(answer.Terms, t.Term)
		}
	}
	if answer.Hits, answer.Legs, err = s.find(ctx, searched, sql, args); err != nil {
		return answer, err
	}
	return answer, s.excerpts(ctx, &k, answer.Hits)
}

// statement is the SQL of the search, "" for an empty query, and how many neighbours the index on vectors is to look at, 0
// if it is not read.
func (s *Searcher) statement(k *known, m meant, v viewer.Viewer, f Filter) (sql string, args []any, searched int) {
	k.terms = slices.DeleteFunc(k.terms, func(t term) bool { return t.title() && !s.runs(Titles) || !s.runs(Wording) })
	if len(k.terms) == 0 && m.vector == "" {
		return "", nil, 0
	}
	var p params
	sc := k.scope(v, f, &p)
	sc.excludes(k, &p)
	depth := max(pool, defaultPerPage*f.limit())
	var with []string
	var legs []leg
	share := s.share(k, m)
	if len(k.terms) > 0 {
		k.weigh()
		k.choose(min(mostEntries/max(sc.share, 0.01), mostFiltered))
		with = candidates(k, sc, depth, &p)
		legs = append(legs, wordsLeg(k, 1-share, depth))
		if k.whole.query != "" && s.runs(Exact) {
			legs = append(legs, exactLeg(k, &p))
		}
	}
	if m.vector != "" {
		sc.requires(k, &p)
		if !s.comparesAll(k, sc) {
			searched, depth = sc.neighbours(depth)
		}
		legs = append(legs, vectorsLeg(m, share, searched == 0, sc, depth, &p))
	}
	return statement(with, legs, f, &p), p.args, searched
}

const (
	lateIDs         = 200    // ids may be committed out of order by this many
	smallBase       = 10_000 // chunks
	countedBySearch = 2000   // chunks; more are left to the writers, unless no one writes
	countedWithin   = 2 * time.Second
	caughtUpWithin  = 3 * time.Second

	// Writers count rarely: one word costs the same in one chunk and in thousands.
	countedByWriter = 20_000 // chunks
	writtenWithin   = 10 * time.Second
	leftFor         = 3 * writtenWithin
)

// behind reports whether work is necessary before the search. In a small knowledge base each chunk
// counts; in a large one words may be counted some seconds later.
func (s *Searcher) behind(k known) bool {
	since := time.Duration(time.Now().Unix()-s.counted.Load()) * time.Second
	switch {
	case k.unindexed:
		return true
	case k.uncounted == 0:
		return false
	case k.chunks < smallBase:
		return true
	case k.uncounted > countedBySearch:
		return since >= leftFor
	default:
		return since >= countedWithin
	}
}

// catchUp does that work with a time limit: a search does not wait for other processes, and answers with
// the present data.
func (s *Searcher) catchUp(ctx context.Context, k known) {
	ctx, cancel := context.WithTimeout(ctx, caughtUpWithin)
	defer cancel()
	s.counted.Store(time.Now().Unix())
	if k.unindexed && s.Index(ctx, indexedAtOnce) != nil {
		return
	}
	_ = s.Count(ctx)
}

package search

import (
	"slices"

	"github.com/jackc/pgx/v5"
)

// Answer is the result of a search, with its explanation.
type Answer struct {
	Hits []Hit `json:"hits"`
	// Terms are counted over all sources, so they are only for a viewer that sees all.
	Terms    []Term    `json:"terms"`
	Legs     [][]Place `json:"legs"`     // of each hit, by the name of the leg
	Softened bool      `json:"softened"` // the quoted text was not found, so its words were searched separately
	// WordsOnly says why the search went by words alone although it is to go by meaning as well.
	WordsOnly string `json:"words_only,omitempty"`
	// NotReranked says why the best hits were not ordered again although a reranker is set.
	NotReranked string `json:"not_reranked,omitempty"`
}

// Term is a word that was looked up, in its stored form: reduced to its stem, with "^" before it for
// titles and headings.
type Term struct {
	Word   string  `json:"word"`
	For    string  `json:"for,omitempty"` // the typed word that it replaces, which no chunk contains
	Chunks int64   `json:"chunks"`        // that hold it
	Worth  float64 `json:"worth"`         // weight by its rarity
	Read   bool    `json:"read"`          // looked up in the index; else too common, and only checked in chunks that other words found
}

// Place is the rank of a hit in one leg.
type Place struct {
	Leg   string  `json:"leg"`
	Rank  int     `json:"rank"` // from 1
	Score float64 `json:"score"`
}

// The parts of a search that Without leaves out.
const (
	Titles  = "titles"
	Typos   = "typos"
	Exact   = "exact"
	Wording = "words" // everything but the vectors
	Meaning = "meaning"
	Index   = "index" // on vectors: all of them are compared
)

// Without returns a searcher without some parts, to measure their effect.
func (s *Searcher) Without(parts ...string) *Searcher {
	other := s.copied()
	other.without = slices.Concat(s.without, parts)
	return other
}

// Weighing returns a searcher in which meaning has another share of the ranking, from 0 to 1, and words the rest, to
// measure its effect.
func (s *Searcher) Weighing(vectors float64) *Searcher {
	other := s.copied()
	other.vectors = vectors
	return other
}

func (s *Searcher) copied() *Searcher {
	other := New(s.pool, string(s.language))
	other.trgm.Store(s.trgm.Load())
	other.looked.Store(s.looked.Load())
	other.without, other.asker, other.few, other.vectors = s.without, s.asker, s.few, s.vectors
	other.reranker = s.reranker
	return other
}

func (s *Searcher) runs(part string) bool { return !slices.Contains(s.without, part) }

// placed are the types of files whose text has a heading for each page, slide or range of cells, above all others.
var placed = []string{"pdf", "pptx", "xlsx", "csv", "drawio"}

// collect reads hits and their ranks in the legs.
func collect(rows pgx.Rows) ([]Hit, [][]Place, error) {
	var hits []Hit
	var places [][]Place
	var h Hit
	var legs []string
	var ranks []int
	var scores []float64
	_, err := pgx.ForEachRow(rows, []any{
		&h.ChunkID, &h.SourceID, &h.PageID, &h.Kind, &h.Title, &h.SpaceKey, &h.Version, &h.LastModified, &h.Breadcrumb, &h.SectionTitle,
		&h.HeadingPath, &h.URL, &h.Snippet, &h.FileType, &h.Score, &legs, &ranks, &scores,
	}, func() error {
		var of []Place
		for i, leg := range legs {
			of = append(of, Place{leg, ranks[i], scores[i]})
		}
		h.Place = ""
		if slices.Contains(placed, h.FileType) && len(h.HeadingPath) > 0 {
			h.Place = h.HeadingPath[0]
		}
		hits, places = append(hits, h), append(places, of)
		return nil
	})
	return hits, places, err
}

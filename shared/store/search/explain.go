package search

import (
	"slices"

	"github.com/jackc/pgx/v5"
)

// Answer is what a search found, and how.
type Answer struct {
	Hits     []Hit     `json:"hits"`
	Terms    []Term    `json:"terms"`
	Legs     [][]Place `json:"legs"`     // of each hit, by the name of the leg
	Softened bool      `json:"softened"` // what stood between quotes was nowhere, and its words were looked for one by one
}

// Term is a word that was looked for, as it is stored: brought to its stem, and with "^" before
// it for titles and headings.
type Term struct {
	Word   string  `json:"word"`
	For    string  `json:"for,omitempty"` // what was typed in its place, and stands nowhere
	Chunks int64   `json:"chunks"`        // that hold it
	Worth  float64 `json:"worth"`         // by how rare it is
	Read   bool    `json:"read"`          // looked for in the index; else too common, and only counted in what others have found
}

// Place is where a leg put a hit.
type Place struct {
	Leg   string  `json:"leg"`
	Rank  int     `json:"rank"` // from 1
	Score float64 `json:"score"`
}

// The parts of a search that Without leaves out.
const (
	Titles = "titles"
	Typos  = "typos"
	Exact  = "exact"
)

// Without returns a searcher that does without some parts, to see what they do.
func (s *Searcher) Without(parts ...string) *Searcher {
	other := New(s.pool, string(s.language))
	other.trgm.Store(s.trgm.Load())
	other.looked.Store(s.looked.Load())
	other.without = parts
	return other
}

func (s *Searcher) runs(part string) bool { return !slices.Contains(s.without, part) }

// collect reads hits and where the legs put them.
func collect(rows pgx.Rows) ([]Hit, [][]Place, error) {
	var hits []Hit
	var places [][]Place
	var h Hit
	var legs []string
	var ranks []int
	var scores []float64
	_, err := pgx.ForEachRow(rows, []any{
		&h.ChunkID, &h.SourceID, &h.PageID, &h.Title, &h.SpaceKey, &h.Version, &h.LastModified, &h.Breadcrumb, &h.SectionTitle,
		&h.HeadingPath, &h.URL, &h.Snippet, &h.Score, &legs, &ranks, &scores,
	}, func() error {
		var of []Place
		for i, leg := range legs {
			of = append(of, Place{leg, ranks[i], scores[i]})
		}
		hits, places = append(hits, h), append(places, of)
		return nil
	})
	return hits, places, err
}

package store

import "time"

// Edit is what the write of a page's version changed in its chunks. A chunk is the same as before if its heading path and its
// text are: it keeps its id and its vector, also under another number.
type Edit struct {
	At         time.Time   `json:"at"`
	Version    int         `json:"version"`
	Inserted   int         `json:"inserted"`
	Renumbered int         `json:"renumbered"` // the same chunk under another number
	Kept       int         `json:"kept"`       // the same chunk under the same number
	Removed    int         `json:"removed"`
	Chunks     []ChunkEdit `json:"chunks" nullable:"false"` // those that were not kept, at most MostChunkEdits; none if the page had no chunks before
}

// ChunkEdit is what happened to one chunk.
type ChunkEdit struct {
	Change  ChunkChange `json:"change"`
	Number  int         `json:"chunk_number"`  // its number now; of a removed one, before
	Was     *int        `json:"was,omitempty"` // its number before, of a renumbered one
	Section string      `json:"section_title"`
	URL     string      `json:"citation_url"`
}

// ChunkChange is a kind of ChunkEdit.
type ChunkChange string

// The kinds of changes.
const (
	ChunkInserted   ChunkChange = "inserted"
	ChunkRenumbered ChunkChange = "renumbered"
	ChunkRemoved    ChunkChange = "removed"
)

// MostChunkEdits is the largest number of Edit.Chunks.
const MostChunkEdits = 50

// editOf compares a page's chunks before and after a write, as planChunks does.
func editOf(version int, old []oldChunk, wanted []Chunk) Edit {
	e := Edit{At: time.Now().UTC(), Version: version, Chunks: []ChunkEdit{}}
	same := make(map[string][]int, len(old)) // by hash, the numbers that are not taken yet
	for _, c := range old {
		same[c.meta.ContentHash] = append(same[c.meta.ContentHash], c.number)
	}
	add := func(c ChunkEdit) {
		if len(old) > 0 && len(e.Chunks) < MostChunkEdits {
			e.Chunks = append(e.Chunks, c)
		}
	}
	for _, c := range wanted {
		m := c.Metadata
		numbers := same[m.ContentHash]
		switch {
		case len(numbers) == 0:
			e.Inserted++
			add(ChunkEdit{ChunkInserted, c.Number, nil, m.SectionTitle, m.CitationURL})
			continue
		case numbers[0] == c.Number:
			e.Kept++
		default:
			e.Renumbered++
			add(ChunkEdit{ChunkRenumbered, c.Number, &numbers[0], m.SectionTitle, m.CitationURL})
		}
		same[m.ContentHash] = numbers[1:]
	}
	for _, c := range old {
		m := c.meta
		if left := same[m.ContentHash]; len(left) > 0 && left[0] == c.number {
			e.Removed++
			add(ChunkEdit{ChunkRemoved, c.number, nil, m.SectionTitle, m.CitationURL})
			same[m.ContentHash] = left[1:]
		}
	}
	return e
}

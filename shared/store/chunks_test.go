package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// chunksOf returns chunks whose content is their name; equal names are equal chunks.
func chunksOf(names ...string) []Chunk {
	list := make([]Chunk, len(names))
	for i, n := range names {
		list[i] = Chunk{Number: i, Content: n, Metadata: ChunkMetadata{ContentHash: n, ChunkIndex: i}}
	}
	return list
}

func oldOf(url string, names ...string) []oldChunk {
	list := make([]oldChunk, len(names))
	for i, c := range chunksOf(names...) {
		list[i] = oldChunk{id: int64(100 + i), address: address{url, i}, sourceID: "docs", meta: c.Metadata}
	}
	return list
}

// agrees checks that what is kept of an edit is what the plan does.
func agrees(t *testing.T, old []oldChunk, wanted []Chunk, p chunkPlan) {
	t.Helper()
	e := editOf(2, old, wanted)
	number := map[int64]int{}
	for _, o := range old {
		number[o.id] = o.number
	}
	renumbered := map[int]int{}
	for _, m := range p.moves {
		if m.meta != nil && number[m.id] != m.number {
			renumbered[m.number] = number[m.id]
		}
	}
	require.Equal(t, []int{len(p.fresh), len(renumbered), len(wanted) - len(p.fresh) - len(renumbered), len(p.gone)}, []int{e.Inserted, e.Renumbered, e.Kept, e.Removed})
	if len(old) == 0 {
		require.Empty(t, e.Chunks, "all are new")
		return
	}
	require.Len(t, e.Chunks, min(MostChunkEdits, e.Inserted+e.Renumbered+e.Removed))
	for _, c := range e.Chunks {
		switch c.Change {
		case ChunkRenumbered:
			require.Equal(t, renumbered[c.Number], *c.Was)
		case ChunkRemoved:
			require.True(t, slices.ContainsFunc(p.gone, func(id int64) bool { return number[id] == c.Number }))
		default:
			require.True(t, slices.ContainsFunc(p.fresh, func(f Chunk) bool { return f.Number == c.Number }))
		}
	}
}

// apply executes a plan like the database, which never stores two chunks with the same address.
func apply(t *testing.T, url string, old []oldChunk, p chunkPlan) []string {
	t.Helper()
	at, name := map[address]int64{}, map[int64]string{}
	put := func(a address, id int64) {
		require.NotContains(t, at, a, "two chunks would share an address")
		at[a] = id
	}
	where := map[int64]address{}
	for _, o := range old {
		where[o.id], name[o.id] = o.address, o.meta.ContentHash
		put(o.address, o.id)
	}
	move := func(id int64, to address) {
		delete(at, where[id])
		put(to, id)
		where[id] = to
	}
	for _, id := range p.gone {
		move(id, address{where[id].url, -1 - where[id].number})
	}
	for _, m := range p.moves {
		move(m.id, m.address)
	}
	for i, c := range p.fresh {
		name[int64(-1-i)] = c.Content
		put(address{url, c.Number}, int64(-1-i))
	}
	for _, id := range p.gone {
		delete(at, where[id])
	}
	result := make([]string, len(at))
	for a, id := range at {
		require.Equal(t, url, a.url)
		require.Less(t, a.number, len(at))
		result[a.number] = name[id]
	}
	return result
}

func TestAChunkThatIsThereKeepsItsRow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                 string
		old, wanted          []string
		gone, moves, inserts int
	}{
		{"nothing changed", []string{"a", "b", "c"}, []string{"a", "b", "c"}, 0, 0, 0},
		{"one edited", []string{"a", "b", "c"}, []string{"a", "x", "c"}, 1, 0, 1},
		{"one inserted at the top", []string{"a", "b", "c"}, []string{"x", "a", "b", "c"}, 0, 3, 1},
		{"one deleted", []string{"a", "b", "c"}, []string{"b", "c"}, 1, 2, 0},
		{"two swapped: one of them moves out of the way", []string{"a", "b", "c"}, []string{"c", "b", "a"}, 0, 3, 0},
		{"the same text twice", []string{"a", "a", "b"}, []string{"a", "b", "a"}, 0, 3, 0},
		{"all gone", []string{"a", "b"}, nil, 2, 0, 0},
		{"all new", nil, []string{"a", "b"}, 0, 0, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			old := oldOf("u", c.old...)
			p := planChunks("docs", "u", old, chunksOf(c.wanted...))
			require.Len(t, p.gone, c.gone)
			require.Len(t, p.moves, c.moves)
			require.Len(t, p.fresh, c.inserts)
			require.Equal(t, orEmpty(c.wanted), apply(t, "u", old, p))
			agrees(t, old, chunksOf(c.wanted...), p)
		})
	}
}

// Whatever is stored and whatever is wanted, no two chunks ever have the same address, and only new chunks are
// inserted.
func TestAnyChangeOfChunks(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		some := func() []string {
			list := make([]string, r.IntN(12))
			for i := range list {
				list[i] = fmt.Sprint(r.IntN(8))
			}
			return list
		}
		before, after, url := some(), some(), "u"
		if r.IntN(4) == 0 {
			after = slices.Clone(before)
			r.Shuffle(len(after), func(i, j int) { after[i], after[j] = after[j], after[i] })
		}
		if r.IntN(3) == 0 {
			url = "renamed"
		}
		old := oldOf("u", before...)
		p := planChunks("docs", url, old, chunksOf(after...))
		require.Equal(t, after, apply(t, url, old, p), "seed %d: %v becomes %v", seed, before, after)
		agrees(t, old, chunksOf(after...), p)
		fresh := slices.Clone(after)
		for _, b := range before {
			if i := slices.Index(fresh, b); i >= 0 {
				fresh = slices.Delete(fresh, i, i+1)
			}
		}
		require.Len(t, p.fresh, len(fresh), "seed %d: %v becomes %v", seed, before, after)
	}
}

// Every statement of a page's write costs a first full sync once for each page: new chunks and their words are one,
// and chunks that stay as they are none.
func TestNewChunksAreOneStatement(t *testing.T) {
	t.Parallel()
	var wanted []Chunk
	var stored []oldChunk
	for i := range 3 {
		c := Chunk{Number: i, Content: fmt.Sprint("text ", i), Metadata: ChunkMetadata{ContentHash: fmt.Sprint("hash ", i)}}
		wanted, stored = append(wanted, c), append(stored, oldChunk{id: int64(i + 1), address: address{"u", i}, sourceID: "docs", meta: c.Metadata})
	}
	for _, c := range []struct {
		old  []oldChunk
		want int
	}{{nil, 1}, {stored[:1], 1}, {stored, 0}} {
		b := &pgx.Batch{}
		require.NoError(t, queueChunks(b, "docs", "u", c.old, wanted, false))
		require.Equal(t, c.want, b.Len(), "%d of 3 chunks are stored", len(c.old))
	}
}

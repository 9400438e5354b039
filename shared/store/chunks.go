package store

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store/internal/pg"
	"github.com/sluicehq/sluice/shared/store/search"
)

// Chunk is one row of archon_crawled_pages. Its URL is the page's; the heading's URL is in the metadata.
type Chunk struct {
	Number   int
	Content  string
	Metadata ChunkMetadata
}

// ChunkMetadata is the content of a chunk's metadata column: first the keys of Archon's own chunks, then Sluice's
// keys.
type ChunkMetadata struct {
	URL           string   `json:"url"`
	Title         string   `json:"title"`
	Description   string   `json:"description"`
	SourceID      string   `json:"source_id"`
	KnowledgeType string   `json:"knowledge_type"`
	ArchonPage    string   `json:"page_id,omitempty"` // the id of Archon's row for the page, or PageID if Archon has no such rows; set by the store
	CrawlType     string   `json:"crawl_type"`        // confluence, page or document
	WordCount     int      `json:"word_count"`
	CharCount     int      `json:"char_count"`
	SourceType    string   `json:"source_type"` // "url" means a web page to Archon, "file" an upload
	Headers       string   `json:"headers"`     // the headings above the chunk, for example "# Setup; ## Keys"
	ChunkIndex    int      `json:"chunk_index"`
	Tags          []string `json:"tags"`

	PageID       string   `json:"confluence_page_id,omitempty"` // the page's id in its system; "" for a document that is not a page
	SectionTitle string   `json:"section_title"`
	HeadingPath  []string `json:"heading_path"`
	Breadcrumb   []string `json:"breadcrumb"`
	ContentHash  string   `json:"content_hash"` // of heading path and content: identifies a chunk within its document
	CitationURL  string   `json:"citation_url"`
	SpaceKey     string   `json:"space_key,omitempty"`

	// File is of a document that was a file: in its first chunk all that is known of it, in the others its format.
	File *page.File `json:"file,omitempty"`

	// The page's facts that appear in this chunk; missing if there are none.
	JiraIssueLinks []page.JiraIssue `json:"jira_issue_links,omitempty"`
	UserMentions   []page.User      `json:"user_mentions,omitempty"`
	InternalLinks  []page.Link      `json:"internal_links,omitempty"`
}

// pendingDeletion is the metadata key of a chunk that is being replaced. It exists only within one transaction, so no
// reader ever sees it.
const pendingDeletion = "_pending_deletion"

// address identifies a chunk; no two chunks have the same one.
type address struct {
	url    string
	number int
}

// oldChunk is a stored chunk without its content, which its hash identifies.
type oldChunk struct {
	id int64
	address
	sourceID string
	meta     ChunkMetadata
}

// storedChunksSQL reads the chunks c that meet a condition, in document order, so of two chunks with the same text
// the first one comes first.
func storedChunksSQL(where string) string {
	return `SELECT c.id, c.url, c.chunk_number, c.source_id, c.metadata FROM archon_crawled_pages c
		WHERE ` + where + ` ORDER BY c.chunk_number, c.id`
}

func collectStored(rows pgx.Rows) ([]oldChunk, error) {
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (c oldChunk, err error) {
		var meta []byte
		if err = row.Scan(&c.id, &c.url, &c.number, &c.sourceID, &meta); err != nil {
			return c, err
		}
		if json.Unmarshal(meta, &c.meta) != nil {
			c.meta = ChunkMetadata{} // another tool has changed it: it is replaced
		}
		return c, nil
	})
}

// move is a kept chunk's new address and metadata.
type move struct {
	id int64
	address
	meta *ChunkMetadata // nil: the chunk is only moved out of the way for now
}

// chunkPlan contains the changes that turn the stored chunks into the wanted ones.
type chunkPlan struct {
	gone  []int64
	moves []move // in an order in which no two chunks ever have the same address
	fresh []Chunk
	words []search.Text // of the kept chunks that the search must index again
}

// text returns the searchable text of a chunk.
func (c Chunk) text() search.Text {
	return search.Text{Number: c.Number, Title: c.Metadata.Title, Section: c.Metadata.SectionTitle, Content: c.Content}
}

// planChunks matches chunks by their identity: the hash of heading path and content, and the count of earlier
// occurrences. A chunk that is stored already keeps its row, and so its id and its embedding, wherever in the
// document it is now.
//
// The comparison is done here because the database would compare each chunk with every other one: its planner does
// not know how many new chunks there are.
func planChunks(sourceID, url string, old []oldChunk, wanted []Chunk) chunkPlan {
	var p chunkPlan
	kept := make(map[string][]oldChunk, len(old))
	for _, c := range old {
		kept[c.meta.ContentHash] = append(kept[c.meta.ContentHash], c)
	}
	taken := make(map[address]int64, len(old)) // by kept chunks
	from := make(map[int64]address)
	for _, c := range wanted {
		same := kept[c.Metadata.ContentHash]
		if len(same) == 0 {
			p.fresh = append(p.fresh, c)
			continue
		}
		o := same[0]
		kept[c.Metadata.ContentHash] = same[1:]
		taken[o.address] = o.id
		to := address{url, c.Number}
		if o.address != to || o.sourceID != sourceID || !reflect.DeepEqual(o.meta, c.Metadata) {
			from[o.id] = o.address
			p.moves = append(p.moves, move{o.id, to, &c.Metadata})
			if o.url != url || o.sourceID != sourceID || o.meta.Title != c.Metadata.Title || o.meta.SectionTitle != c.Metadata.SectionTitle ||
				o.meta.PageID != c.Metadata.PageID {
				p.words = append(p.words, c.text())
			}
		}
	}
	for _, c := range old {
		if taken[c.address] != c.id {
			p.gone = append(p.gone, c.id)
		}
	}
	p.moves = orderMoves(p.moves, from, taken)
	return p
}

// orderMoves sorts moves so that each one finds its address free: the chunk that is there moves first. If chunks have
// swapped addresses in a circle, one of them gets a temporary negative number until its address is free.
func orderMoves(moves []move, from map[int64]address, taken map[address]int64) []move {
	byID := make(map[int64]move, len(moves))
	for _, m := range moves {
		byID[m.id] = m
	}
	ordered := make([]move, 0, len(moves))
	var settle func(m move, first int64)
	settle = func(m move, first int64) {
		delete(byID, m.id)
		if there, ok := taken[m.address]; ok && there != m.id {
			if next, waits := byID[there]; waits {
				settle(next, first)
			} else if there == first {
				aside := address{from[there].url, -1 - from[there].number}
				ordered = append(ordered, move{id: there, address: aside})
				taken[aside] = there
			}
		}
		if taken[from[m.id]] == m.id {
			delete(taken, from[m.id])
		}
		taken[m.address] = m.id
		ordered = append(ordered, m)
	}
	for _, m := range moves {
		if _, waits := byID[m.id]; waits {
			settle(m, m.id)
		}
	}
	return ordered
}

// queueChunks queues the statements that turn the old chunks of one document into the wanted ones. First, chunks to
// delete are marked and get a negative number, so they are out of the way of new ones.
//
// Each moved chunk has a statement of its own, sent with the others in one round trip: uniqueness is checked row by
// row, and one statement for all would process the rows in an unspecified order.
func queueChunks(b *pgx.Batch, sourceID, url string, old []oldChunk, wanted []Chunk, archon bool) error {
	for _, c := range wanted {
		if c.Metadata.ContentHash == "" {
			return fmt.Errorf("chunk %d of %s has no content hash, which identifies it", c.Number, url)
		}
	}
	p := planChunks(sourceID, url, old, wanted)
	if len(p.gone) > 0 {
		b.Queue(`UPDATE archon_crawled_pages SET chunk_number = -1 - chunk_number,
			metadata = jsonb_set(metadata, ARRAY[$2], 'true') WHERE id = ANY ($1)`, p.gone, pendingDeletion)
	}
	for _, m := range p.moves {
		meta := []byte("{}")
		if m.meta != nil {
			var err error
			if meta, err = json.Marshal(m.meta); err != nil {
				return fmt.Errorf("encode chunk metadata: %w", err)
			}
		}
		b.Queue(`UPDATE archon_crawled_pages SET url = $2, chunk_number = $3, source_id = $4, metadata = (metadata - ARRAY['jira_issue_links', 'user_mentions', 'internal_links']) || $5::jsonb`+
			column(archon, `, page_id = ($5::jsonb->>'page_id')::uuid`)+` WHERE id = $1`, m.id, m.url, m.number, sourceID, meta)
	}
	if len(p.fresh) > 0 {
		rows := search.Rows{URL: url, SourceID: sourceID, Metadata: make([]string, len(p.fresh)), ArchonPages: archon}
		texts := make([]search.Text, len(p.fresh))
		for i, c := range p.fresh {
			meta, err := json.Marshal(c.Metadata)
			if err != nil {
				return fmt.Errorf("encode chunk metadata: %w", err)
			}
			rows.Metadata[i], texts[i] = string(meta), c.text()
		}
		search.Insert(b, rows, texts)
	}
	search.Queue(b, url, p.words)
	if len(p.gone) > 0 {
		b.Queue(`DELETE FROM archon_crawled_pages WHERE id = ANY ($1) AND metadata ? $2`, p.gone, pendingDeletion)
	}
	return nil
}

// column is a piece of SQL about Archon's column page_id, where there is one.
func column(archon bool, sql string) string {
	if archon {
		return sql
	}
	return ""
}

// addressTaken says which chunks stood in the way of ours; the database's own words name only
// an index. The error stays in the chain.
func addressTaken(err error, url string) error {
	if pg.State(err) != pg.UniqueViolation {
		return err
	}
	return failure.New(failure.AddressTaken, "chunks of something else stand under the address %s: %w", url, err)
}

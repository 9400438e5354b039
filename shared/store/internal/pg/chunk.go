package pg

// chunkPage is the metadata key of a chunk that contains the id of its page in the page's own system.
// metadata.page_id is not that id on a database with an Archon, which uses it for the id of its own row: see
// docs/adr/0018-what-a-page-is-called.md. Chunks of other tools do not have this key.
const chunkPage = "confluence_page_id"

// ChunkPage returns the SQL expression for the page id of a chunk, a row of archon_crawled_pages. It is NULL for
// chunks that do not belong to a page of Sluice. row is the table's alias in the statement. Page ids are unique per
// site only: a statement that compares them must also compare the source.
//
// Every statement about chunks of pages uses ChunkPage or ChunkOfPages.
func ChunkPage(row string) string { return row + `.metadata->>'` + chunkPage + `'` }

// ChunkOfPages returns the SQL condition for a chunk, a row of archon_crawled_pages, of a Sluice page whose id meets
// a comparison such as "= $1" or "= ANY ($1)". Its form lets Postgres use the index on chunks by page.
func ChunkOfPages(row, compare string) string {
	return row + `.metadata ? '` + chunkPage + `' AND ` + ChunkPage(row) + ` ` + compare
}

package pg

// chunkPage is the metadata key of a chunk that holds the id of its page, as the page's own system
// calls it. metadata.page_id is not that id where an Archon is: Archon takes it for the id of a row of
// its own, see docs/adr/0018-what-a-page-is-called.md. No chunk of another tool has this key.
const chunkPage = "confluence_page_id"

// ChunkPage is the SQL expression for the id of the page whose chunk a row of archon_crawled_pages
// is, NULL for what is no page of Sluice's. row is the name that the statement gives the row. A page
// id is one of its site's only: who compares it names the source as well.
//
// Every statement about chunks of pages goes through here and through ChunkOfPages.
func ChunkPage(row string) string { return row + `.metadata->>'` + chunkPage + `'` }

// ChunkOfPages is the SQL condition under which a row of archon_crawled_pages is a chunk of a page
// of Sluice's whose id meets a comparison, such as "= $1" or "= ANY ($1)". It is written so that the
// index on chunks by page is used.
func ChunkOfPages(row, compare string) string {
	return row + `.metadata ? '` + chunkPage + `' AND ` + ChunkPage(row) + ` ` + compare
}

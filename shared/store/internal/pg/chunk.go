package pg

// ChunkPage is the SQL expression for the id of the page whose chunk a row of archon_crawled_pages
// is, NULL where its metadata names none. row is the name that the statement gives the row. A page
// id is one of its site's only: who compares it names the source as well.
//
// Every statement about chunks of pages goes through here and through ChunkOfPages.
func ChunkPage(row string) string { return row + `.metadata->>'page_id'` }

// ChunkOfPages is the SQL condition under which a row of archon_crawled_pages is a chunk of a page
// of Sluice's whose id meets a comparison, such as "= $1" or "= ANY ($1)". It is written so that the
// index on chunks by page is used.
func ChunkOfPages(row, compare string) string {
	return row + `.metadata ? 'page_id' AND ` + ChunkPage(row) + ` ` + compare + ` AND ` + OurChunk(row)
}

// OurChunk is the SQL condition under which a row of archon_crawled_pages is a chunk of a page of
// Sluice's. Chunks of other tools name pages too.
func OurChunk(row string) string { return row + `.metadata->>'crawl_type' IN ('confluence', 'page')` }

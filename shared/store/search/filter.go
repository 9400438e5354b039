package search

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/store/internal/pg"
	"github.com/sluicehq/sluice/shared/viewer"
)

const (
	manyPages = 3000 // above this, pages are not listed
	// readPages is the number of pages up to which all that pass are read once for a search by words; above
	// this, the page of each chunk is looked up.
	readPages = 20_000
	fewChunks = 3000 // up to this number, chunks are checked one by one, without the index on words
	// surelyMore is the number of chunks that pages have on average from which on they are not counted.
	surelyMore = 4500
)

// sources are the ids of the sources that may be searched, nil for all.
func (f Filter) sources(v viewer.Viewer) []string {
	if v.SeesAll() && f.SourceID == "" && len(f.Sources) == 0 {
		return nil
	}
	if f.SourceID != "" {
		v = v.Only(f.SourceID)
	}
	if len(f.Sources) == 0 {
		return v.Sources()
	}
	seen := []string{}
	for _, id := range f.Sources {
		if v.Sees(id) {
			seen = append(seen, id)
		}
	}
	return seen
}

// guarded reports whether there may be pages in the searched sources that the viewer may not see.
func (f Filter) guarded() bool { return !f.seen.All() }

// shows is the condition that the viewer may see the page node of source, "" if it sees every page.
func (f Filter) shows(source, node string, p *params) string {
	if !f.guarded() {
		return ""
	}
	return " AND " + pg.ShowsEach(source, node, p.add(f.seen.Free), p.add(f.seen.Sets))
}

// root is the node of a tree below which the search looks. Site 0 means there is none.
type root struct {
	site int
	path string
}

// findRoot looks up, in the searched sources, the node below which the search looks: a page or, of what is not stored
// but holds pages, a folder or a page that failed. It returns a *pg.AmbiguousPageError if several sites have one with
// the id.
func (s *Searcher) findRoot(ctx context.Context, v viewer.Viewer, f *Filter) error {
	if f.Under == "" {
		return nil
	}
	rows, _ := s.pool.Query(ctx, `
		SELECT site_id, path, source_id, is_deleted FROM confluence_pages
		WHERE page_id = $1 AND ($2::text[] IS NULL OR source_id = ANY ($2)) AND `+pg.Shows("source_id", "page_id", "$3", "$4")+`
		UNION ALL
		SELECT n.site_id, t.path, t.source_id, false FROM confluence_spaces n JOIN confluence_tree t ON t.source_id = n.source_id AND t.node_id = $1
		WHERE t.path IS NOT NULL AND ($2::text[] IS NULL OR t.source_id = ANY ($2)) AND `+pg.Shows("t.source_id", "t.node_id", "$3", "$4")+`
			AND NOT EXISTS (SELECT FROM confluence_pages p WHERE p.page_id = $1 AND p.site_id = n.site_id)
		ORDER BY is_deleted, source_id`, f.Under, f.sources(v), f.seen.Free, f.seen.Sets)
	type page struct {
		root
		source  string
		deleted bool
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p page, err error) {
		return p, row.Scan(&p.site, &p.path, &p.source, &p.deleted)
	})
	switch {
	case err != nil:
		return fmt.Errorf("look for page %s: %w", f.Under, err)
	case len(list) > 1 && list[0].deleted == list[1].deleted:
		ambiguous := &pg.AmbiguousPageError{ID: f.Under}
		for _, p := range list {
			ambiguous.Sources = append(ambiguous.Sources, p.source)
		}
		return ambiguous
	case len(list) > 0:
		f.root = list[0].root
	}
	return nil
}

// params collects the parameters of a statement.
type params struct{ args []any }

// add adds a parameter and returns its name in the statement.
func (p *params) add(value any) string {
	p.args = append(p.args, value)
	return "$" + strconv.Itoa(len(p.args))
}

// pagesWhere is the condition that a page p passes the filter and that the viewer may see it.
func (f Filter) pagesWhere(v viewer.Viewer, p *params) string {
	return f.narrows(v, p) + f.shows("p.source_id", "p.page_id", p)
}

// narrows is a filter's condition on a page p.
func (f Filter) narrows(v viewer.Viewer, p *params) string {
	of := []string{"NOT p.is_deleted"}
	if sources := f.sources(v); sources != nil {
		of = append(of, "p.source_id = ANY ("+p.add(sources)+"::text[])")
	}
	if f.SpaceKey != "" {
		// Any present or former key of the space matches, in any letter case.
		key := p.add(f.SpaceKey)
		named := ` FROM confluence_spaces n JOIN archon_sources s USING (source_id) WHERE lower(` + key + `) = ANY (n.keys || n.old_keys)`
		of = append(of, `p.space_key = ANY (ARRAY(SELECT s.metadata->>'confluence_space_key'`+named+`) || `+key+`::text)`,
			`(p.space_key = `+key+` OR p.source_id = ANY (ARRAY(SELECT source_id`+named+`)))`)
	}
	if f.Under != "" {
		// A range, because the index sorts by bytes; "0" follows "/". A subquery, because the planner
		// would apply another language's statistics to the byte order.
		root := "(SELECT " + p.add(f.root.path) + "::text)"
		of = append(of, "p.site_id = "+p.add(f.root.site), "p.path ~>=~ "+root, "p.path ~<~ ("+root+" || '0')", "starts_with(p.path || '/', "+root+" || '/')")
	}
	if f.Label != "" {
		of = append(of, "p.metadata->'labels' ? "+p.add(strings.ToLower(f.Label)))
	}
	if f.JiraIssue != "" {
		of = append(of, "p.metadata->'jira_issue_links' @> jsonb_build_array(jsonb_build_object('issue_key', "+p.add(strings.ToUpper(f.JiraIssue))+"::text))")
	}
	if f.Mentions != "" {
		of = append(of, "p.metadata->'user_mentions' @> jsonb_build_array(jsonb_build_object('account_id', "+p.add(f.Mentions)+"::text))")
	}
	if f.Kind != "" {
		of = append(of, "p.kind = "+p.add(f.Kind))
	}
	if f.FileType != "" {
		of = append(of, "p.kind = 'attachment' AND p.metadata->'file'->>'format' = "+p.add(strings.ToLower(f.FileType)))
	}
	if f.Resolution != "" {
		of = append(of, "p.metadata->>'resolution' = "+p.add(f.Resolution))
	}
	if !f.ModifiedSince.IsZero() {
		of = append(of, "p.last_modified >= "+p.add(f.ModifiedSince))
	}
	return strings.Join(of, " AND ")
}

// visibleSQL counts the content that the viewer may see in sources in which it does not see all, up to one more than manyPages.
// The index on sets of layers has all that is read. Beside it stands how many pages there are, about.
var visibleSQL = fmt.Sprintf(`SELECT (SELECT count(*) FROM (SELECT FROM confluence_tree t
	WHERE t.kind IN %s AND t.layer_set = ANY ($1::int[]) AND NOT t.source_id = ANY ($2::text[]) LIMIT %d + 1) seen)::int, %s`, pg.LayeredKinds, manyPages, allPages)

// allPages is the number of pages, as the planner knows it.
const allPages = `coalesce((SELECT reltuples FROM pg_class WHERE oid = 'confluence_pages'::regclass), 0)::float8`

// pagesSQL selects the pages that pass the filter, unless they are many, with the number of their chunks. If
// another site has a page with one of the ids, it also returns each page's source.
func pagesSQL(v viewer.Viewer, f Filter, k *known) (string, []any) {
	var p params
	return fmt.Sprintf(`
		WITH passing AS MATERIALIZED (%[1]s LIMIT %[2]d + 1), many AS MATERIALIZED (SELECT count(*) AS pages, count(*) > %[2]d AS yes FROM passing),
			every AS MATERIALIZED (SELECT %[6]s AS pages)
		SELECT many.yes,
			coalesce((SELECT array_agg(page_id) FROM passing WHERE NOT many.yes), '{}'),
			coalesce((SELECT array_agg(source_id || '/' || page_id) FROM passing WHERE NOT many.yes AND (SELECT count(*) FROM confluence_sites) > 1
				AND EXISTS (SELECT FROM passing mine JOIN confluence_pages o USING (page_id) WHERE o.site_id <> mine.site_id)), '{}'),
			CASE WHEN many.yes OR every.pages > 0 AND many.pages * %[4]s::float8 / every.pages > %[5]d THEN %[3]d
				ELSE (SELECT count(*) FROM (SELECT FROM passing JOIN confluence_chunk_words w USING (page_id) LIMIT %[3]d) c) END::int,
			every.pages FROM many, every`, passingSQL(v, f, k, &p), manyPages, fewChunks+1, p.add(k.chunks), surelyMore, allPages), p.args
}

// passingSQL selects the pages that pass the filter: through the index on sets of layers, where that shows that the viewer
// sees few pages.
func passingSQL(v viewer.Viewer, f Filter, k *known, p *params) string {
	const columns = "SELECT p.page_id, p.site_id, p.source_id FROM "
	if f.ofPages() && (!f.guarded() || len(f.seen.Free) > 0 || k.visible > manyPages) {
		return columns + "confluence_pages p WHERE " + f.pagesWhere(v, p)
	}
	tree := fmt.Sprintf("confluence_tree t WHERE t.kind IN %s AND t.layer_set = ANY (%s::int[]) AND NOT t.source_id = ANY (%s::text[])",
		pg.ContentKinds, p.add(f.seen.Sets), p.add(f.seen.Free))
	if sources := f.sources(v); sources != nil {
		tree += " AND t.source_id = ANY (" + p.add(sources) + "::text[])"
	}
	if !f.ofPages() {
		return "SELECT t.node_id AS page_id, n.site_id, t.source_id FROM (SELECT * FROM " + tree + ") t JOIN confluence_spaces n USING (source_id)"
	}
	return columns + "(SELECT * FROM " + tree + ` OFFSET 0) t CROSS JOIN LATERAL (
		SELECT * FROM confluence_pages p WHERE p.page_id = t.node_id AND p.source_id = t.source_id AND ` + f.narrows(v, p) + ` OFFSET 0) p`
}

// passing finds the pages that pass the filter. The statement is planned each time: a plan for a source
// of ten pages is wrong for one of ten thousand.
func (s *Searcher) passing(ctx context.Context, v viewer.Viewer, f Filter, k *known) error {
	var err error
	if !f.ofPages() && k.visible > manyPages {
		k.many, k.ofPages = true, fewChunks+1
	} else {
		sql, args := pagesSQL(v, f, k)
		err = s.pool.QueryRow(ctx, sql, append([]any{pgx.QueryExecModeExec}, args...)...).Scan(&k.many, &k.pages, &k.pagesOf, &k.ofPages, &k.allPages)
	}
	if err == nil && k.many {
		k.share, err = s.estimate(ctx, v, f, k.allPages)
	}
	if err != nil {
		return fmt.Errorf("look for pages: %w", err)
	}
	return nil
}

// estimate is the share of the pages that pass, more than manyPages, as the planner estimates it from its statistics:
// counting them would take longer than the search. The answer holds what passes all the same.
func (s *Searcher) estimate(ctx context.Context, v viewer.Viewer, f Filter, allPages float64) (float64, error) {
	var p params
	from := "confluence_tree t WHERE t.kind IN " + pg.ContentKinds + " AND t.layer_set = ANY (" + p.add(f.seen.Sets) + "::int[])"
	if f.ofPages() {
		p = params{}
		from = "confluence_pages p WHERE " + f.pagesWhere(v, &p)
	}
	var plans []struct {
		Plan struct {
			Rows float64 `json:"Plan Rows"`
		}
	}
	err := s.pool.QueryRow(ctx, "EXPLAIN (FORMAT JSON) SELECT FROM "+from, append([]any{pgx.QueryExecModeExec}, p.args...)...).Scan(&plans)
	if err != nil || len(plans) == 0 {
		return 1, err
	}
	return min(max(plans[0].Plan.Rows, manyPages)/max(allPages, manyPages), 1), nil
}

// scope is the set of chunks w that a leg may find. Its conditions are each preceded by AND.
type scope struct {
	where   string // what does not concern pages
	sources string // of it, what concerns sources
	// The condition on pages, in the form that is cheapest for
	byWord   string // the chunks that the index on words finds
	late     string // instead of byWord: the chunks w that any index on words has found, the best first, until there are enough
	byVector string // the hundreds of chunks that the index on vectors finds
	each     string // a comparison of all chunks of the pages
	all      string // the same, where only their ids are read
	ofListed bool   // the pages are listed, and only their chunks pass

	few    bool    // few enough to check one by one
	share  float64 // of all chunks, about
	passes float64 // the share of chunks that the index on vectors finds, if it is less
}

// narrow reports whether anything limits the scope.
func (s scope) narrow() bool { return s.where+s.each != "" }

func (k *known) scope(v viewer.Viewer, f Filter, p *params) scope {
	s := scope{share: 1, passes: 1}
	if sources := f.sources(v); sources != nil {
		s.sources = " AND w.source_id = ANY (" + p.add(sources) + "::text[])"
		s.where = s.sources
		s.few = k.seen <= fewChunks
		s.share = k.seen / max(k.chunks, 1)
	}
	if f.documents() {
		s.documents(k, f, p)
	}
	switch {
	case f.ofPages():
		s.few = s.few || k.ofPages <= fewChunks
		if !k.many {
			s.listed(k, "", p)
			s.share = min(s.share, k.pagesShare())
		} else {
			where := f.pagesWhere(v, p)
			s.byWord = " AND EXISTS (SELECT FROM confluence_pages p WHERE " + where + " AND p.page_id = w.page_id AND p.source_id = w.source_id OFFSET 0)"
			s.byVector, s.each, s.all, s.late = s.byWord, s.byWord, s.byWord, s.byWord
			if !f.guarded() && 0 < k.allPages && k.allPages <= readPages { // below 0, it is not known
				s.byWord, s.late = " AND "+hashed("(coalesce(w.page_id, ''), w.source_id)", "SELECT p.page_id, p.source_id FROM confluence_pages p WHERE "+where), ""
			}
			s.share = min(s.share, k.share)
		}
	case f.guarded():
		s.guard(k, f, p)
	}
	return s
}

// documents limits the scope to the chunks of no page.
func (s *scope) documents(k *known, f Filter, p *params) {
	s.where += " AND w.page_id IS NULL"
	if f.FileType != "" {
		s.where += " AND (SELECT c.metadata->'file'->>'format' FROM archon_crawled_pages c WHERE c.id = w.chunk_id) = " + p.add(strings.ToLower(f.FileType))
	}
	if k.documents <= fewChunks {
		s.few, s.share = true, min(s.share, float64(k.documents)/max(k.chunks, 1))
	}
}

// pagesShare is the share of the listed pages in all.
func (k *known) pagesShare() float64 {
	return float64(len(k.pages)) / max(k.allPages, float64(len(k.pages)), 1)
}

// listed limits the scope to the chunks of the listed pages, and to those of a condition that ends with OR.
func (s *scope) listed(k *known, or string, p *params) {
	list := p.add(k.pages)
	of := ""
	if len(k.pagesOf) > 0 {
		of = " AND w.source_id || '/' || w.page_id = ANY (" + p.add(k.pagesOf) + "::text[])"
	}
	s.ofListed = or == ""
	s.byWord = " AND (" + or + "w.page_id = ANY (" + list + "::text[])" + of + ")"
	// The planner compares each page of such a list with the most common ones, and then may leave out the
	// index on vectors. It knows no more of a subquery than the number of its rows.
	s.byVector = " AND (" + or + hashed("coalesce(w.page_id, '')", "SELECT unnest("+list+"::text[])") + of + ")"
	s.each = " AND (" + or + "w.page_id IN (SELECT id FROM unnest(" + list + "::text[]) listed (id))" + of + ")"
	s.all = s.each
	if s.ofListed {
		// The index is read once, in its own order. Behind a subquery the planner does not look at each page of the list.
		s.all = " AND w.page_id = ANY ((SELECT " + list + "::text[])::text[])" + of
	}
}

// guard limits the scope to the chunks that the viewer may see.
func (s *scope) guard(k *known, f Filter, p *params) {
	if k.many {
		s.byWord = f.shows("w.source_id", "w.page_id", p)
		s.byVector, s.each, s.all, s.late = s.byWord, s.byWord, s.byWord, s.byWord
		s.passes = k.share
		return
	}
	free := ""
	if len(f.seen.Free) > 0 {
		free = "w.source_id = ANY (" + p.add(f.seen.Free) + "::text[]) OR "
	}
	s.listed(k, free, p)
	if free == "" {
		s.few = s.few || k.ofPages <= fewChunks
		s.share = min(s.share, k.pagesShare())
	}
}

// hashed is a condition that a value, which is never null, is among others. The planner makes a join of a bare
// IN; this remains a look-up in a hash table, and so does not change the order in which chunks are read.
func hashed(value, among string) string { return "(" + value + " IN (" + among + ")) IS TRUE" }

// excludes leaves out the chunks with excluded phrases.
func (s *scope) excludes(k *known, p *params) {
	for _, not := range k.not {
		s.where += " AND NOT w.words @@ " + p.add(not.anywhere()) + "::tsquery"
	}
}

// requires leaves out the chunks without the required phrases.
func (s *scope) requires(k *known, p *params) {
	for _, must := range k.must {
		s.where += " AND w.words @@ " + p.add(must.anywhere()) + "::tsquery"
	}
}

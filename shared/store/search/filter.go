package search

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/viewer"
)

const (
	manyPages = 3000 // more are not listed: the page of each chunk is looked up
	fewChunks = 3000 // so few are looked at one by one, without the index on words
)

// sources are the ids of those that may be searched, nil for all.
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

// params makes the parameters of a statement.
type params struct{ args []any }

// add adds a parameter and returns its name in the statement.
func (p *params) add(value any) string {
	p.args = append(p.args, value)
	return "$" + strconv.Itoa(len(p.args))
}

// pagesWhere is the condition on a page p that a filter sets, and what it reads it from.
func (f Filter) pagesWhere(v viewer.Viewer, p *params) string {
	of := []string{"NOT p.is_deleted"}
	if sources := f.sources(v); sources != nil {
		of = append(of, "p.source_id = ANY ("+p.add(sources)+"::text[])")
	}
	if f.SpaceKey != "" {
		of = append(of, "p.space_key = "+p.add(f.SpaceKey))
	}
	if f.Under != "" {
		// As a range, since the index is one by bytes; "0" follows "/".
		root := "(SELECT path FROM confluence_pages WHERE page_id = " + p.add(f.Under) + ")"
		of = append(of, "p.path ~>=~ "+root, "p.path ~<~ ("+root+" || '0')", "starts_with(p.path || '/', "+root+" || '/')")
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
	if !f.ModifiedSince.IsZero() {
		of = append(of, "p.last_modified >= "+p.add(f.ModifiedSince))
	}
	return strings.Join(of, " AND ")
}

// pagesSQL asks for the pages that pass the filter, and how many chunks they have.
func pagesSQL(v viewer.Viewer, f Filter) (string, []any) {
	var p params
	where := f.pagesWhere(v, &p)
	return fmt.Sprintf(`
		WITH passing AS MATERIALIZED (SELECT p.page_id FROM confluence_pages p WHERE %s LIMIT %d)
		SELECT coalesce((SELECT array_agg(page_id) FROM passing), '{}'),
			(SELECT count(*) FROM (SELECT FROM passing JOIN confluence_chunk_words w USING (page_id) LIMIT %d) c)::int,
			coalesce((SELECT reltuples FROM pg_class WHERE oid = 'confluence_pages'::regclass), 0)::float8`, where, manyPages+1, fewChunks+1), p.args
}

// passing finds the pages that pass the filter. It is planned anew each time: what is right for a source
// of ten pages is wrong for one of ten thousand.
func (s *Searcher) passing(ctx context.Context, v viewer.Viewer, f Filter, k *known) error {
	sql, args := pagesSQL(v, f)
	err := s.pool.QueryRow(ctx, sql, append([]any{pgx.QueryExecModeExec}, args...)...).Scan(&k.pages, &k.ofPages, &k.allPages)
	if err != nil {
		return fmt.Errorf("look for pages: %w", err)
	}
	return nil
}

// scope says which chunks w a leg may find.
type scope struct {
	where string  // conditions, each with AND before it
	few   bool    // so few that they are looked at one by one
	share float64 // of all chunks, about
}

func (k *known) scope(v viewer.Viewer, f Filter, p *params) scope {
	s := scope{share: 1}
	if sources := f.sources(v); sources != nil {
		s.where += " AND w.source_id = ANY (" + p.add(sources) + "::text[])"
		s.few = k.seen <= fewChunks
		s.share = k.seen / max(k.chunks, 1)
	}
	if f.ofPages() {
		s.few = s.few || k.ofPages <= fewChunks
		if len(k.pages) <= manyPages {
			s.where += " AND w.page_id = ANY (" + p.add(k.pages) + "::text[])"
			s.share = min(s.share, float64(len(k.pages))/max(k.allPages, float64(len(k.pages)), 1))
		} else {
			s.where += " AND EXISTS (SELECT FROM confluence_pages p WHERE " + f.pagesWhere(v, p) + " AND p.page_id = w.page_id OFFSET 0)"
			s.share = min(s.share, manyPages/max(k.allPages, manyPages))
		}
	}
	return s
}

// required adds what must be there and what must not.
func (s *scope) required(k *known, p *params) {
	for _, must := range k.must {
		s.where += " AND w.words @@ " + p.add(must.anywhere()) + "::tsquery"
	}
	for _, not := range k.not {
		s.where += " AND NOT w.words @@ " + p.add(not.anywhere()) + "::tsquery"
	}
}

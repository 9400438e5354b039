package search

import (
	"context"

	"github.com/sluicehq/sluice/shared/store/internal/pg"
	"github.com/sluicehq/sluice/shared/viewer"
)

// Statement is SQL with its parameters.
type Statement struct {
	SQL  string
	Args []any
}

// Statements returns a search's statements for tests: which pages pass the filter, if the filter
// concerns pages, and for the hits.
func (s *Searcher) Statements(ctx context.Context, v viewer.Viewer, query string, f Filter) []Statement {
	a := parse(query)
	var k known
	var err error
	if f.seen, err = pg.See(ctx, s.pool, v, f.sources(v)); err == nil {
		k, err = s.lookUp(ctx, v, a, f)
	}
	if err == nil {
		err = s.forgive(ctx, &k, f)
	}
	if err != nil {
		panic(err)
	}
	var list []Statement
	if f.ofPages() || f.guarded() {
		sql, args := pagesSQL(v, f)
		list = append(list, Statement{sql, args})
	}
	sql, args, _ := s.statement(&k, s.mean(ctx, a.text)(), v, f)
	return append(list, Statement{sql, args})
}

// ByIndexOnly has every search by meaning read the index.
func (s *Searcher) ByIndexOnly() { s.few = -1 }

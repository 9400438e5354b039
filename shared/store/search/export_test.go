package search

import (
	"context"
	"strings"

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
	if f.guarded() {
		list = append(list, Statement{visibleSQL, []any{f.seen.Sets, f.seen.Free}})
	}
	if f.ofPages() || f.guarded() && k.visible <= manyPages {
		sql, args := pagesSQL(v, f, &k)
		list = append(list, Statement{sql, args})
	}
	sql, args, _ := s.statement(&k, s.mean(ctx, a.text)(), v, f)
	return append(list, Statement{sql, args})
}

// ByIndexOnly has every search by meaning read the index.
func (s *Searcher) ByIndexOnly() { s.few = -1 }

// Neighbours are scope.neighbours through a filter that lets a share of the chunks pass.
func Neighbours(share float64, depth int) (searched, taken int) {
	return scope{share: share, passes: 1}.neighbours(depth)
}

// Plain is plain.
var Plain = plain

// WordsOfEach takes every token of a text apart.
func WordsOfEach(text string) Words {
	var w Words
	for token := range strings.FieldsFuncSeq(text, separates) {
		w.add(token)
	}
	return w
}

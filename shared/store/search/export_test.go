package search

import (
	"context"

	"github.com/sluicehq/sluice/shared/viewer"
)

// SQL gives tests the statement that Search runs, with its parameters.
func (s *Searcher) SQL(ctx context.Context, v viewer.Viewer, query string, f Filter) (sql string, args []any, err error) {
	known, err := s.common.of(ctx, s.pool)
	if err != nil {
		return "", nil, err
	}
	sql, args = s.searchSQL(v, query, f, known)
	return sql, args, nil
}

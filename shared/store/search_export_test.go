package store

import "context"

// SearchSQL gives tests the statement that Search runs, with its parameters.
func (s *Store) SearchSQL(ctx context.Context, query string, f Filter) (sql string, args []any, err error) {
	known, err := s.common.of(ctx, s.pool)
	if err != nil {
		return "", nil, err
	}
	sql, args = s.searchSQL(query, f, known)
	return sql, args, nil
}

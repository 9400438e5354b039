package store

// SearchSQL gives tests the statement that Search runs, with its parameters.
func (s *Store) SearchSQL(query string, f Filter) (sql string, args []any) {
	return s.searchSQL(query, f)
}

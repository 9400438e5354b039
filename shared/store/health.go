package store

import (
	"context"
	"fmt"

	"github.com/sluicehq/sluice/shared/store/internal/pg"
)

// Health is how large the database is, and whether its indexes can be used.
type Health struct {
	Version  string `json:"version"`   // of Postgres
	Vector   string `json:"vector"`    // the version of pgvector; "" without it
	Schema   int    `json:"schema"`    // the number of the newest migration that is applied
	Bytes    int64  `json:"bytes"`     // of the whole database
	Sessions int    `json:"sessions"`  // connections to the database, of every program
	MostOpen int    `json:"most_open"` // that the server allows
	// Tables are the largest of Sluice's tables, the largest first.
	Tables []TableHealth `json:"tables"`
	// Broken are indexes that searches and writes cannot use, such as one whose build was interrupted.
	Broken []string `json:"broken_indexes"`
}

// TableHealth is how large a table is.
type TableHealth struct {
	Name    string `json:"name"`
	Rows    int64  `json:"rows"` // an estimate of Postgres
	Dead    int64  `json:"dead"` // rows that were replaced or deleted, until the next vacuum; an estimate
	Bytes   int64  `json:"bytes"`
	Indexes int64  `json:"index_bytes"`
}

// tablesShown limits the tables of Health.
const tablesShown = 8

// Health describes the database, with one query.
func (s *Store) Health(ctx context.Context) (Health, error) {
	var h Health
	var names []string
	var rows, dead, bytes, indexes []int64
	err := pg.Pool{Pool: s.pool}.QueryRow(ctx, `
		WITH ours AS (
			SELECT c.oid, c.relname::text AS name, greatest(c.reltuples, 0)::bigint AS live, coalesce(t.n_dead_tup, 0) AS dead,
			       pg_table_size(c.oid) AS bytes, pg_indexes_size(c.oid) AS indexes
			  FROM pg_class c LEFT JOIN pg_stat_user_tables t ON t.relid = c.oid
			 WHERE c.relkind = 'r' AND c.relname ~ '^(confluence|archon)_' AND pg_table_is_visible(c.oid)),
		shown AS (SELECT * FROM ours ORDER BY bytes + indexes DESC, name LIMIT $1)
		SELECT split_part(current_setting('server_version'), ' ', 1), coalesce((SELECT extversion FROM pg_extension WHERE extname = 'vector'), ''),
		       coalesce((SELECT max(version_id) FROM sluice_migrations WHERE is_applied), 0),
		       pg_database_size(current_database()),
		       (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()), current_setting('max_connections')::int,
		       coalesce((SELECT array_agg(x.relname::text ORDER BY x.relname) FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
		                  WHERE i.indrelid IN (SELECT oid FROM ours) AND NOT (i.indisvalid AND i.indisready)), '{}'),
		       array_agg(name ORDER BY bytes + indexes DESC, name), array_agg(live ORDER BY bytes + indexes DESC, name),
		       array_agg(dead ORDER BY bytes + indexes DESC, name), array_agg(bytes ORDER BY bytes + indexes DESC, name),
		       array_agg(indexes ORDER BY bytes + indexes DESC, name)
		  FROM shown`, tablesShown).Scan(&h.Version, &h.Vector, &h.Schema, &h.Bytes, &h.Sessions, &h.MostOpen, &h.Broken, &names, &rows, &dead, &bytes, &indexes)
	if err != nil {
		return h, fmt.Errorf("read the database's health: %w", err)
	}
	for i, name := range names {
		h.Tables = append(h.Tables, TableHealth{Name: name, Rows: rows[i], Dead: dead[i], Bytes: bytes[i], Indexes: indexes[i]})
	}
	return h, nil
}

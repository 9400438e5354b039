package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/stdlib"

	"github.com/sluicehq/sluice/migrations"
)

// Server is the database as it presents itself.
type Server struct {
	Version string // of Postgres
	User    string
	// Hidden are tables of ours whose row-level security applies to the user, who therefore
	// sees and writes only what a policy lets through.
	Hidden []string
	// Exposed says what Supabase's public roles may do with tables and rows of ours; see
	// migrations.Exposed.
	Exposed []string
	// Pooled says that a pooler stands between, and Mode how statements are sent: cache_statement, or
	// through a pooler cache_describe, unless DATABASE_URL names another default_query_exec_mode.
	Pooled bool
	Mode   string
}

// Server asks the database what it is.
func (s *Store) Server(ctx context.Context) (Server, error) {
	var d Server
	err := s.pool.QueryRow(ctx, `
		SELECT current_setting('server_version'), current_user::text,
		       COALESCE((SELECT array_agg(c.relname::text ORDER BY c.relname) FROM pg_class c
		                  WHERE c.relkind = 'r' AND c.relname ~ '^(confluence|archon)_' AND pg_table_is_visible(c.oid)
		                    AND row_security_active(c.oid)), '{}')`).Scan(&d.Version, &d.User, &d.Hidden)
	if err != nil {
		return d, fmt.Errorf("ask the database what it is: %w", err)
	}
	pooled, mode := s.way.get()
	d.Pooled, d.Mode = pooled, strings.ReplaceAll(mode.String(), " ", "_")
	db := stdlib.OpenDBFromPool(s.pool)
	defer func() { _ = db.Close() }()
	d.Exposed, err = migrations.Exposed(ctx, db)
	return d, err
}

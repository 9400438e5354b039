package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/stdlib"

	"github.com/sluicehq/sluice/migrations"
)

// Server describes the database server.
type Server struct {
	Version string // of Postgres
	User    string
	// Hidden lists Sluice's tables whose row-level security applies to the user: the user sees and writes only what a
	// policy allows.
	Hidden []string
	// Exposed lists what Supabase's public roles may do with Sluice's tables and rows; see migrations.Exposed.
	Exposed []string
	// Pooled reports whether the connection goes through a pooler. Mode is how statements are sent: cache_statement,
	// or cache_describe through a pooler, unless DATABASE_URL sets another default_query_exec_mode.
	Pooled bool
	Mode   string
}

// Server reads the description of the server.
func (s *Store) Server(ctx context.Context) (Server, error) {
	var d Server
	err := s.pool.QueryRow(ctx, `
		SELECT current_setting('server_version'), current_user::text,
		       COALESCE((SELECT array_agg(c.relname::text ORDER BY c.relname) FROM pg_class c
		                  WHERE c.relkind = 'r' AND c.relname ~ '^(confluence|archon)_' AND pg_table_is_visible(c.oid)
		                    AND row_security_active(c.oid)), '{}')`).Scan(&d.Version, &d.User, &d.Hidden)
	if err != nil {
		return d, fmt.Errorf("read the server's description: %w", err)
	}
	pooled, mode := s.pooler.get()
	d.Pooled, d.Mode = pooled, strings.ReplaceAll(mode.String(), " ", "_")
	db := stdlib.OpenDBFromPool(s.pool)
	defer func() { _ = db.Close() }()
	d.Exposed, err = migrations.Exposed(ctx, db)
	return d, err
}

package migrations

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// guard keeps Supabase's public roles away from what is ours; see migration 027. It runs at every Up:
// later migrations add tables, and the roles or Archon itself may come later.
func guard(ctx context.Context, db *sql.DB) error {
	_, err := locked(ctx, db, func(ctx context.Context, tx *sql.Tx) (string, error) {
		_, err := tx.ExecContext(ctx, `SELECT confluence_guard()`)
		if notAllowed(err) {
			return "", errors.New("this user may not: run \"sluice migrate up\" once as the owner of Archon's tables")
		}
		return "the row level security", err
	})
	if err != nil {
		return fmt.Errorf("keep the public roles of the database away from Sluice's rows: %w", err)
	}
	return nil
}

// Exposed names, in words, what Supabase's public roles, anon and authenticated, may do with Sluice's
// tables and with its rows in Archon's tables. It is empty where nobody has such roles.
func Exposed(ctx context.Context, db *sql.DB) ([]string, error) {
	rows, err := db.QueryContext(ctx, `
		WITH strangers AS (SELECT oid, rolname::text AS name FROM pg_roles WHERE rolname IN ('anon', 'authenticated')),
		tables AS (
			SELECT c.oid, c.relname::text AS name, c.relrowsecurity AS guarded, c.relname ~ '^archon_' AS archons,
				EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND NOT p.polpermissive AND p.polname ~ '^confluence_') AS narrowed
			FROM pg_class c WHERE c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass('confluence_pages'))
				AND c.relkind IN ('r', 'p', 'v', 'm') AND (c.relname ~ '^(confluence_|sluice_migrations$)' OR c.relname IN
					('archon_sources', 'archon_settings', 'archon_migrations', 'archon_crawled_pages', 'archon_page_metadata')))
		SELECT s.name || ' may ' || lower(r.does) || ' ' || t.name || CASE WHEN t.archons AND NOT t.guarded THEN ', which has no row level security' ELSE '' END
		FROM strangers s, tables t, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) WITH ORDINALITY AS r (does, place)
		WHERE has_table_privilege(s.oid, t.oid, r.does) AND has_schema_privilege(s.oid, (SELECT relnamespace FROM pg_class WHERE oid = t.oid), 'USAGE')
			AND (NOT t.archons OR r.does <> 'TRUNCATE' AND NOT (t.guarded AND t.narrowed))
		ORDER BY t.name, s.name, r.place`)
	if err != nil {
		return nil, fmt.Errorf("look at the rights of the public roles: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var list []string
	for rows.Next() {
		var what string
		if err := rows.Scan(&what); err != nil {
			return nil, fmt.Errorf("look at the rights of the public roles: %w", err)
		}
		list = append(list, what)
	}
	return list, rows.Err()
}

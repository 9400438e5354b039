package pgtest

import (
	"context"
	_ "embed" // the query
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

//go:embed schema.sql
var schemaQuery string

// Object is one object in a database's schema.
type Object struct {
	Name string // such as "table public.confluence_pages" or "index public.idx_x on public.x"
	SQL  string // the statement that creates it
}

// Schema lists everything in the database at address except rows: extensions, types, functions with
// their bodies, tables with columns, constraints, indexes, triggers, policies, row level security,
// owners' grants and comments. It omits objects of the system and of extensions. The order is constant:
// an object comes after the objects that it needs.
func Schema(ctx context.Context, address string) (list []Object, err error) {
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("connecting to read the schema: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	rows, err := conn.Query(ctx, schemaQuery)
	if err != nil {
		return nil, fmt.Errorf("reading the schema: %w", err)
	}
	list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Object])
	if err != nil {
		return nil, fmt.Errorf("reading the schema: %w", err)
	}
	return list, nil
}

package storebench

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Contents is what a knowledge base has, whoever made it.
type Contents struct {
	Chunks int
	Bare   int // chunks without a vector
	Pages  int // that have a chunk with a vector
	Stale  int // chunks with a word that was replaced
	Fresh  int // pages with the word in its place
}

// CountContents looks at a knowledge base. The query has a row for each chunk: its page, its text, and whether it has a vector.
func CountContents(ctx context.Context, databaseURL, query, replaced, by string) (r Contents, err error) {
	err = with(ctx, databaseURL, func(c *pgx.Conn) error {
		return c.QueryRow(ctx, `
			SELECT count(*), count(*) FILTER (WHERE NOT embedded), count(DISTINCT page) FILTER (WHERE embedded),
				count(*) FILTER (WHERE strpos(text, $1) > 0), count(DISTINCT page) FILTER (WHERE strpos(text, $2) > 0)
			FROM (`+query+`) r (page, text, embedded)`, replaced, by).Scan(&r.Chunks, &r.Bare, &r.Pages, &r.Stale, &r.Fresh)
	})
	if err != nil {
		return r, fmt.Errorf("count the rows of a knowledge base: %w", err)
	}
	return r, nil
}

// AddVector makes pgvector's types in a database.
func AddVector(ctx context.Context, databaseURL string) error {
	err := with(ctx, databaseURL, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, `CREATE EXTENSION IF NOT EXISTS vector`)
		return err
	})
	if err != nil {
		return fmt.Errorf("make the types of pgvector: %w", err)
	}
	return nil
}

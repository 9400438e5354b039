// Package storebench contains SQL that only the benchmark needs: the same rows by plain COPY, the rows that a run
// changed, and a knowledge base of a multiple size.
package storebench

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// first are the tables to which the others refer; chunks is the largest table.
var (
	first  = []string{"archon_sources", "confluence_sites", "confluence_spaces", "confluence_sync_runs", "confluence_pages"}
	others = []string{"confluence_page_content", "confluence_tree", "confluence_sync_pages"}
)

const chunks = "archon_crawled_pages"

// Create creates another database on the server of databaseURL, and returns its address.
func Create(ctx context.Context, databaseURL, name string) (string, error) {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return "", fmt.Errorf("create database %s: the server's address is not a URL", name) // do not show the address: it contains the password
	}
	err = with(ctx, databaseURL, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
		return err
	})
	if err != nil {
		return "", fmt.Errorf("create database %s: %w", name, err)
	}
	u.Path = "/" + name
	return u.String(), nil
}

// Copied is a knowledge base in files for COPY.
type Copied struct {
	dir    string
	early  []part // copied in sequence
	late   []part // copied concurrently, in any order
	Chunks int64
	Bytes  int64
}

type part struct{ file, into string }

// CopyOut writes every row that a sync has stored into files below dir. The chunks go into the given number of files
// of about the same size.
func CopyOut(ctx context.Context, databaseURL, dir string, parts int) (Copied, error) {
	k := Copied{dir: dir}
	err := with(ctx, databaseURL, func(c *pgx.Conn) error {
		for _, table := range first {
			if _, err := k.out(ctx, c, &k.early, table, table, ""); err != nil {
				return err
			}
		}
		for i := range parts {
			n, err := k.out(ctx, c, &k.late, fmt.Sprint(chunks, "-", i), chunks, fmt.Sprintf(`WHERE id IN (
				SELECT id FROM (SELECT id, ntile(%d) OVER (ORDER BY id) AS part FROM %s) split WHERE part = %d)`, parts, chunks, i+1))
			if err != nil {
				return err
			}
			k.Chunks += n
		}
		for _, table := range others {
			if _, err := k.out(ctx, c, &k.late, table, table, ""); err != nil {
				return err
			}
		}
		return nil
	})
	return k, err
}

func (k *Copied) out(ctx context.Context, c *pgx.Conn, list *[]part, name, table, where string) (int64, error) {
	columns, err := columnsOf(ctx, c, table)
	if err != nil {
		return 0, err
	}
	f, err := os.Create(filepath.Join(k.dir, name+".copy")) //nolint:gosec // its own temporary folder
	if err != nil {
		return 0, fmt.Errorf("copy %s out: %w", table, err)
	}
	defer f.Close()
	tag, err := c.PgConn().CopyTo(ctx, f, fmt.Sprintf("COPY (SELECT %s FROM %s %s) TO STDOUT (FORMAT binary)", columns, table, where))
	if err != nil {
		return 0, fmt.Errorf("copy %s out: %w", table, err)
	}
	size, err := f.Seek(0, 1)
	if err != nil {
		return 0, fmt.Errorf("copy %s out: %w", table, err)
	}
	k.Bytes += size
	*list = append(*list, part{f.Name(), fmt.Sprintf("COPY %s (%s) FROM STDIN (FORMAT binary)", table, columns)})
	return tag.RowsAffected(), nil
}

// columnsOf lists the columns that COPY writes: all except generated ones.
func columnsOf(ctx context.Context, c *pgx.Conn, table string) (string, error) {
	rows, err := c.Query(ctx, `SELECT quote_ident(attname) FROM pg_attribute
		WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum`, table)
	if err != nil {
		return "", fmt.Errorf("columns of %s: %w", table, err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return "", fmt.Errorf("columns of %s: %w", table, err)
	}
	return strings.Join(names, ", "), nil
}

// CopyIn copies the rows into an empty, migrated database over the given number of connections, and returns the
// duration, without the time to connect.
func CopyIn(ctx context.Context, databaseURL string, k Copied, connections int) (time.Duration, error) {
	free := make(chan *pgx.Conn, connections)
	defer func() {
		for range len(free) {
			_ = (<-free).Close(context.WithoutCancel(ctx))
		}
	}()
	for range connections {
		c, err := pgx.Connect(ctx, databaseURL)
		if err != nil {
			return 0, fmt.Errorf("connect to copy: %w", err)
		}
		free <- c
	}
	in := func(ctx context.Context, p part) error {
		c := <-free
		defer func() { free <- c }()
		f, err := os.Open(p.file)
		if err != nil {
			return fmt.Errorf("copy in: %w", err)
		}
		defer f.Close()
		if _, err := c.PgConn().CopyFrom(ctx, f, p.into); err != nil {
			return fmt.Errorf("copy in %s: %w", filepath.Base(p.file), err)
		}
		return nil
	}
	began := time.Now()
	for _, p := range k.early {
		if err := in(ctx, p); err != nil {
			return 0, err
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, p := range k.late {
		group.Go(func() error { return in(ctx, p) })
	}
	err := group.Wait()
	return time.Since(began), err
}

// Checkpoint makes the server write its changed buffers to disk.
func Checkpoint(ctx context.Context, databaseURL string) error {
	err := with(ctx, databaseURL, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, "CHECKPOINT")
		return err
	})
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

// with runs fn on a new connection.
func with(ctx context.Context, databaseURL string, fn func(*pgx.Conn) error) error {
	c, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
	return fn(c)
}

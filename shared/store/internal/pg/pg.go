// Package pg is what the packages of the store share: transactions, and what the server's
// errors mean.
package pg

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// ErrNotFound says that there is no such row.
var ErrNotFound = errors.New("not found")

// The server's codes that matter here.
const (
	DeadlockDetected = "40P01"
	UniqueViolation  = "23505"
)

// Beginner begins transactions: a pool or a connection.
type Beginner interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

// Querier reads rows: a pool, a connection or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// InTx runs fn in one transaction, committed when fn returns nil. Should the database choose
// it to end a deadlock, fn runs again from its beginning.
func InTx(ctx context.Context, db Beginner, what string, fn func(pgx.Tx) error) error {
	return Again(what, func() error { return pgx.BeginFunc(ctx, db, fn) })
}

// Again runs a transaction again that the server has chosen to end so that others can go on.
func Again(what string, transaction func() error) error {
	const tries = 3
	for try := 1; ; try++ {
		err := transaction()
		if err == nil {
			return nil
		}
		if try == tries || State(err) != DeadlockDetected {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
}

// State returns the code that the server gave err, "" when it did not come from there.
func State(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// NotFound wraps err with what was being done, as ErrNotFound where no row was there.
func NotFound(err error, what string) error {
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	return fmt.Errorf("%s: %w", what, err)
}

// maxText bounds what is stored of a text, in bytes.
const maxText = 4000

// Clean makes any text, such as an error's, fit for a column and for an event.
func Clean(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "")
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	return text
}

// AmbiguousPageError says that pages of several sites have one id. Which is meant is for whoever
// asks to say, by the source.
type AmbiguousPageError struct {
	ID      string
	Sources []string // of the pages, in order
}

func (e *AmbiguousPageError) Error() string {
	return fmt.Sprintf("several sites have a page %s: it is in the sources %s", e.ID, strings.Join(e.Sources, ", "))
}

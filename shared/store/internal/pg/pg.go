// Package pg contains Postgres code that the store's packages share: transactions, and the meaning of the server's
// errors.
package pg

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// ErrNotFound is returned if there is no such row.
var ErrNotFound = errors.New("not found")

// Postgres error codes that the store handles.
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

// InTx runs fn in one transaction and commits it if fn returns nil. If Postgres aborts the transaction to resolve a
// deadlock, fn runs again from the start.
func InTx(ctx context.Context, db Beginner, what string, fn func(pgx.Tx) error) error {
	return RetryDeadlock(what, func() error { return pgx.BeginFunc(ctx, db, fn) })
}

// RetryDeadlock runs a transaction, and runs it again if Postgres aborts it to resolve a deadlock.
func RetryDeadlock(what string, transaction func() error) error {
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

// State returns the Postgres error code of err, or "" if err does not come from the server.
func State(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// NotFound wraps err with the action what, and replaces pgx.ErrNoRows with ErrNotFound.
func NotFound(err error, what string) error {
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	return fmt.Errorf("%s: %w", what, err)
}

// maxText limits the length of a stored text, in bytes.
const maxText = 4000

// CleanText makes any text, for example of an error, valid for a column and for an event.
func CleanText(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "")
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	return text
}

// AmbiguousPageError says that pages of several sites have the same id. The caller must name the source.
type AmbiguousPageError struct {
	ID      string
	Sources []string // the sources with such a page, sorted
}

func (e *AmbiguousPageError) Error() string {
	return fmt.Sprintf("several sites have a page %s; it is in the sources %s", e.ID, strings.Join(e.Sources, ", "))
}

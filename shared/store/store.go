// Package store is the system of record: Postgres, spoken to in SQL. It is the only package
// that imports pgx. Pages, chunks, runs and their ledger live here; the message bus only
// carries nudges about them.
//
// What people get to see is read through Reader and Searcher, which take the viewer on whose
// behalf they read. What a stage needs on the way of a page (a run, a source by its id, the
// ledger, removal candidates) is a method of Store: it is no read for people, and takes none.
//
// Every write is guarded so that it may be seen twice, late or out of order: an older
// version never overwrites a newer one, and a page's outcome in a run is set once.
package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/sluicehq/sluice/migrations"
	"github.com/sluicehq/sluice/shared/store/internal/pg"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/store/vault"
)

// Errors that callers tell apart.
var (
	ErrNotFound   = pg.ErrNotFound
	ErrNotCurrent = errors.New("another replica has taken this run over")
)

// Store is a pool of connections to the knowledge base. It is safe for concurrent use.
type Store struct {
	pool     *pgxpool.Pool
	searcher *search.Searcher
	patience patience
	way      *way
}

// Searcher searches the chunks.
func (s *Store) Searcher() *search.Searcher { return s.searcher }

// Vault keeps the credentials and the API keys.
func (s *Store) Vault() *vault.Vault { return vault.New(s.pool) }

// Option changes what Open opens.
type Option func(*opening)

type opening struct {
	language string
	patience patience
}

// SearchLanguage sets the text search configuration that words are brought to their stem by,
// "english" unless it is set. Open fails when the database has none of that name. Migrate
// makes the indexes that another language than English needs, so all programs on a database
// are to be told the same.
func SearchLanguage(name string) Option { return func(o *opening) { o.language = name } }

// Open connects to the database at url (a postgres:// address) and waits, until ctx ends or as
// Waiting says, for it to accept connections, so that services may start in any order. It fails at
// once when waiting does not help: a wrong password, user or database, refused TLS; and after a
// while when the host's name does not resolve. The error says what is wrong and what to do; it
// names user, database and host, never the password. Open does not migrate; see Migrate and Ready.
func Open(ctx context.Context, url string, options ...Option) (*Store, error) {
	cfg, err := poolConfig(url)
	if err != nil {
		return nil, err
	}
	way := throughPoolers(cfg, url)
	pool, err := newPool(ctx, cfg)
	if err != nil {
		return nil, err
	}
	var o opening
	for _, option := range options {
		option(&o)
	}
	s := &Store{pool: pool, searcher: search.New(pool, o.language), patience: o.patience, way: way}
	if err := s.wait(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return s, nil
}

// Close ends every connection.
func (s *Store) Close() { s.pool.Close() }

// Ping reports whether the database answers, in bounded time, a connection of those that the work
// is done on.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	if err := s.pool.Ping(ctx); err != nil {
		return fmt.Errorf("ping database: %w", err)
	}
	return nil
}

func (s *Store) wait(ctx context.Context) error {
	err := s.patience.until(ctx, "Postgres", 2*time.Second, func(ctx context.Context) error {
		return explain(s.pool.Config(), s.Ping(ctx))
	})
	if err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	return s.searcher.Prepare(ctx)
}

// Migrate applies the migrations that are missing and returns their names, and after them, in words,
// what it did because an extension or an Archon has come.
func (s *Store) Migrate(ctx context.Context) ([]string, error) {
	db := stdlib.OpenDBFromPool(s.pool)
	defer func() { _ = db.Close() }()
	applied, err := migrations.Up(ctx, db)
	if err != nil {
		return applied, err
	}
	if err := s.searcher.Build(ctx); err != nil {
		return applied, err
	}
	pages, err := s.moveIn(ctx)
	if pages > 0 {
		applied = append(applied, fmt.Sprintf("archon: its assistants find the %d pages that were here before it", pages))
	}
	if err != nil {
		return applied, err
	}
	return applied, s.wait(ctx)
}

// MigrateDown takes every migration of ours back and with it all that was synced. Archon's
// tables stay.
func (s *Store) MigrateDown(ctx context.Context) error {
	db := stdlib.OpenDBFromPool(s.pool)
	defer func() { _ = db.Close() }()
	return migrations.Down(ctx, db)
}

// Migrations lists every migration and where it stands.
func (s *Store) Migrations(ctx context.Context) ([]migrations.Status, error) {
	db := stdlib.OpenDBFromPool(s.pool)
	defer func() { _ = db.Close() }()
	return migrations.List(ctx, db)
}

// VerifyMigrations returns nil when every migration is applied, recorded and unchanged;
// otherwise the error wraps migrations.ErrChanged and names what is not.
func (s *Store) VerifyMigrations(ctx context.Context) error {
	db := stdlib.OpenDBFromPool(s.pool)
	defer func() { _ = db.Close() }()
	return migrations.Verify(ctx, db)
}

// errNotMigrated is why Ready waits, when all that is missing are migrations.
var errNotMigrated = errors.New("the database is not migrated; run: sluice migrate up")

// Ready waits, until ctx ends or as Waiting says, for every migration that this program knows to be
// applied: a service may start before the migration has run.
func (s *Store) Ready(ctx context.Context) error {
	err := s.patience.until(ctx, "the migrations of the database", time.Second, func(ctx context.Context) error {
		list, err := s.Migrations(ctx)
		missing := func(m migrations.Status) bool { return !m.Applied }
		if err == nil && slices.ContainsFunc(list, missing) {
			err = errNotMigrated
		}
		return explain(s.pool.Config(), err)
	})
	if err != nil {
		return fmt.Errorf("wait for migrations: %w", err)
	}
	return s.wait(ctx)
}

// inTx runs fn in one transaction, as pg.InTx does.
func (s *Store) inTx(ctx context.Context, what string, fn func(pgx.Tx) error) error {
	return pg.InTx(ctx, s.pool, what, fn)
}

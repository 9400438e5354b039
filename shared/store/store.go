// Package store is the system of record: it contains all SQL and is the only package that imports pgx. It stores
// pages, chunks, runs and their ledger. The messages on the bus only announce work.
//
// Everything that is read for a user goes through Reader and Searcher, which require the viewer on whose behalf they
// read. Everything that a stage needs while it processes a page (a run, a source by its id, the ledger, removal
// candidates) is a method of Store. These methods do not read for a user and take no viewer.
//
// Every write tolerates messages that arrive twice, late or out of order: an older version never overwrites a newer
// one, and the outcome of a page in a run is set once.
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
	"github.com/sluicehq/sluice/shared/store/vectors"
)

// Errors that callers distinguish.
var (
	ErrNotFound   = pg.ErrNotFound
	ErrNotCurrent = errors.New("another replica has taken this run over")
)

// Store is a pool of connections to the knowledge base. It is safe for concurrent use.
type Store struct {
	pool     *pgxpool.Pool
	searcher *search.Searcher
	waiter   waiter
	pooler   *poolerState
}

// Searcher returns the search of the chunks.
func (s *Store) Searcher() *search.Searcher { return s.searcher }

// Vectors returns the store of the chunks' vectors.
func (s *Store) Vectors() *vectors.Vectors { return vectors.New(s.pool) }

// Vault returns the store of the credentials and the API keys.
func (s *Store) Vault() *vault.Vault { return vault.New(s.pool) }

// Option configures Open.
type Option func(*opening)

type opening struct {
	language string
	waiter   waiter
}

// SearchLanguage sets the text search configuration that reduces words to their stems. The default is "english". Open
// fails if the database has no configuration of that name. Migrate creates the indexes that a language other than
// English needs, so all programs on a database must use the same language.
func SearchLanguage(name string) Option { return func(o *opening) { o.language = name } }

// Open connects to the database at url (a postgres:// address). It waits until the database accepts connections, so
// services can start in any order. The wait ends with ctx or with the limit of the option Waiting. Open fails at once
// if waiting does not help: a wrong password, user or database, or refused TLS. If the host's name does not resolve,
// it fails after a short wait. The error says what is wrong and what to do; it names user, database and host, but
// never the password. Open does not migrate; see Migrate and Ready.
func Open(ctx context.Context, url string, options ...Option) (*Store, error) {
	cfg, err := poolConfig(url)
	if err != nil {
		return nil, err
	}
	pooler := detectPooler(cfg, url)
	pool, err := newPool(ctx, cfg)
	if err != nil {
		return nil, err
	}
	var o opening
	for _, option := range options {
		option(&o)
	}
	s := &Store{pool: pool, searcher: search.New(pool, o.language), waiter: o.waiter, pooler: pooler}
	if err := s.wait(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return s, nil
}

// Close closes every connection.
func (s *Store) Close() { s.pool.Close() }

// Ping reports within a bounded time whether the database answers on a connection of the pool.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	if err := s.pool.Ping(ctx); err != nil {
		return fmt.Errorf("ping database: %w", err)
	}
	return nil
}

func (s *Store) wait(ctx context.Context) error {
	err := s.waiter.until(ctx, "Postgres", 2*time.Second, func(ctx context.Context) error {
		return explain(s.pool.Config(), s.Ping(ctx))
	})
	if err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	return s.searcher.Prepare(ctx)
}

// Migrate applies the missing migrations and returns their names. The list ends with a sentence about each conversion
// that Migrate ran because an extension or an Archon was installed since the last call.
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
	pages, err := s.convertForArchon(ctx)
	if pages > 0 {
		applied = append(applied, fmt.Sprintf("archon: converted %d pages that were written before it was installed", pages))
	}
	if err != nil {
		return applied, err
	}
	return applied, s.wait(ctx)
}

// MigrateDown reverts every migration of Sluice and deletes everything that was synced. It keeps Archon's tables.
func (s *Store) MigrateDown(ctx context.Context) error {
	db := stdlib.OpenDBFromPool(s.pool)
	defer func() { _ = db.Close() }()
	return migrations.Down(ctx, db)
}

// Migrations lists every migration and its status.
func (s *Store) Migrations(ctx context.Context) ([]migrations.Status, error) {
	db := stdlib.OpenDBFromPool(s.pool)
	defer func() { _ = db.Close() }()
	return migrations.List(ctx, db)
}

// VerifyMigrations returns nil if every migration is applied, recorded and unchanged. Otherwise the error wraps
// migrations.ErrChanged and names the migrations that are not.
func (s *Store) VerifyMigrations(ctx context.Context) error {
	db := stdlib.OpenDBFromPool(s.pool)
	defer func() { _ = db.Close() }()
	return migrations.Verify(ctx, db)
}

// errNotMigrated is the reason why Ready waits if only migrations are missing.
var errNotMigrated = errors.New("the database is not migrated; run: sluice migrate up")

// Migrated returns an error that says what to run if the database lacks migrations.
func (s *Store) Migrated(ctx context.Context) error {
	list, err := s.Migrations(ctx)
	if err != nil {
		return explain(s.pool.Config(), err)
	}
	missing := 0
	for _, m := range list {
		if !m.Applied {
			missing++
		}
	}
	switch missing {
	case 0:
		return nil
	case len(list):
		return fmt.Errorf("the database %q has no tables of Sluice: check DATABASE_URL, or make them with: sluice migrate up", s.pool.Config().ConnConfig.Database)
	}
	return fmt.Errorf("the database %q is of an older release, %d migrations are missing: stop the services and run: sluice migrate up",
		s.pool.Config().ConnConfig.Database, missing)
}

// Ready waits until every migration that this program knows is applied, because a service may start before the
// migration has run. The wait ends with ctx or with the limit of the option Waiting.
func (s *Store) Ready(ctx context.Context) error {
	err := s.waiter.until(ctx, "the migrations of the database", time.Second, func(ctx context.Context) error {
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

// inTx runs fn in one transaction; see pg.InTx.
func (s *Store) inTx(ctx context.Context, what string, fn func(pgx.Tx) error) error {
	return pg.InTx(ctx, s.pool, what, fn)
}

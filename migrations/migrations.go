// Package migrations holds the SQL that makes Sluice's tables, and applies it. Archon's own
// tables are made where they are missing and never altered where they are.
//
// Each applied file is recorded in Archon's archon_migrations as well, under version 0.1.0
// with the MD5 of the file, so that both tools tell the same story.
package migrations

import (
	"context"
	"crypto/md5" //nolint:gosec // Archon's checksum column holds MD5; it guards against mistakes, not attackers
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"github.com/pressly/goose/v3/lock"
)

// Version is the release under which the files are recorded in archon_migrations.
const Version = "0.1.0"

// versionTable is goose's own bookkeeping, under a name that no other goose user has.
const versionTable = "sluice_migrations"

// Migrations begin with a digit; schema.sql, which is for readers, does not.
//
//go:embed [0-9]*.sql
var files embed.FS

// Status is one migration and where it stands.
type Status struct {
	Name      string    `json:"name"`                // the file without .sql
	Checksum  string    `json:"checksum"`            // MD5 of the file, hex; of its script (Export) if that was applied
	Applied   bool      `json:"applied"`             // in this database
	AppliedAt time.Time `json:"applied_at,omitzero"` // zero when not applied
	Recorded  string    `json:"recorded"`            // the checksum in archon_migrations, "" when there is no row
}

// Changed reports whether the file is no longer the one that was applied.
func (s Status) Changed() bool { return s.Applied && s.Recorded != "" && s.Recorded != s.Checksum }

// ErrChanged is returned by Verify when an applied file is not the one that was applied, or
// is not recorded.
var ErrChanged = errors.New("applied migrations differ from the files")

// Up applies what is missing, one file a transaction, and returns the names of what it
// applied, and after them, in words, what it added because an extension has come. Any number
// of processes may call it at once: a lock lets one go first.
func Up(ctx context.Context, db *sql.DB) ([]string, error) {
	p, err := provider(db)
	if err != nil {
		return nil, err
	}
	var results []*goose.MigrationResult
	err = alone(ctx, db, func() (err error) {
		results, err = p.Up(ctx)
		return err
	})
	if notAllowed(err) {
		return nil, fmt.Errorf("apply migrations: %w; this user needs the right to create tables, and the extensions that the server has "+
			"(as a superuser: CREATE EXTENSION pg_trgm; CREATE EXTENSION vector)", err)
	}
	if lockedOut(err) {
		return nil, fmt.Errorf("apply migrations: %w; another program is using the table: stop the services, or wait for what runs long, "+
			"and run sluice migrate up again, which goes on where this one stopped", err)
	}
	if err != nil {
		return nil, fmt.Errorf("apply migrations: %w", err)
	}
	var applied []string
	for _, r := range results {
		applied = append(applied, name(r.Source.Path))
	}
	// Recording comes last and covers every applied file, so that a crash between the two
	// is healed by the next call.
	if err := record(ctx, db, p); err != nil {
		return applied, err
	}
	// Before anything may fail for want of an extension: until then strangers may read new tables.
	if err := guard(ctx, db); err != nil {
		return applied, err
	}
	added, err := extend(ctx, db)
	return append(applied, added...), err
}

// Down takes every migration of ours back, and what is written about them. Archon's tables
// stay, also those that were made here: they may hold Archon's data by now.
func Down(ctx context.Context, db *sql.DB) error {
	if err := DownTo(ctx, db, 0); err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, `DROP TABLE IF EXISTS `+versionTable); err != nil {
		return fmt.Errorf("drop %s: %w", versionTable, err)
	}
	return nil
}

// DownTo takes back the migrations whose number is higher than version, and what is written about
// them: the database is then as an older release made it.
func DownTo(ctx context.Context, db *sql.DB, version int64) error {
	p, err := provider(db)
	if err != nil {
		return err
	}
	err = alone(ctx, db, func() error {
		_, err := p.DownTo(ctx, version)
		return err
	})
	if err != nil {
		return fmt.Errorf("take migrations back: %w", err)
	}
	for _, s := range p.ListSources() {
		if s.Version <= version {
			continue
		}
		_, err := db.ExecContext(ctx, `DELETE FROM archon_migrations WHERE version = $1 AND migration_name = $2`,
			Version, name(s.Path))
		if err != nil {
			return fmt.Errorf("unrecord %s: %w", name(s.Path), err)
		}
	}
	return nil
}

// List returns every migration in order with where it stands in db. It writes nothing.
func List(ctx context.Context, db *sql.DB) ([]Status, error) {
	p, err := provider(db)
	if err != nil {
		return nil, err
	}
	recorded, err := recorded(ctx, db)
	if err != nil {
		return nil, err
	}
	states, err := standing(ctx, db, p)
	if err != nil {
		return nil, err
	}
	scripts, err := exported()
	if err != nil {
		return nil, err
	}
	var list []Status
	for _, st := range states {
		sum, err := checksum(st.Source.Path)
		if err != nil {
			return nil, err
		}
		n := name(st.Source.Path)
		if recorded[n] == scripts[n] {
			sum = scripts[n]
		}
		list = append(list, Status{
			Name: n, Checksum: sum, Recorded: recorded[n],
			Applied: st.State == goose.StateApplied, AppliedAt: st.AppliedAt,
		})
	}
	return list, nil
}

// standing is goose's own Status, which however makes its table where that is missing.
func standing(ctx context.Context, db *sql.DB, p *goose.Provider) ([]*goose.MigrationStatus, error) {
	var there bool
	if err := db.QueryRowContext(ctx, `SELECT to_regclass($1) IS NOT NULL`, versionTable).Scan(&there); err != nil {
		return nil, fmt.Errorf("look for %s: %w", versionTable, err)
	}
	if !there {
		var states []*goose.MigrationStatus
		for _, s := range p.ListSources() {
			states = append(states, &goose.MigrationStatus{Source: s, State: goose.StatePending})
		}
		return states, nil
	}
	states, err := p.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("read migration status: %w", err)
	}
	return states, nil
}

// Verify returns nil when every file is applied, recorded and unchanged. Otherwise the
// error wraps ErrChanged and names each file that is not.
func Verify(ctx context.Context, db *sql.DB) error {
	list, err := List(ctx, db)
	if err != nil {
		return err
	}
	var wrong []string
	for _, s := range list {
		switch {
		case !s.Applied:
			wrong = append(wrong, s.Name+" is not applied (run: sluice migrate up)")
		case s.Recorded == "":
			wrong = append(wrong, s.Name+" is not recorded in archon_migrations (run: sluice migrate up)")
		case s.Changed():
			wrong = append(wrong, fmt.Sprintf("%s was applied with checksum %s and is now %s "+
				"(go back to the release that made this database; a change belongs in a migration of its own)", s.Name, s.Recorded, s.Checksum))
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%w: %s", ErrChanged, strings.Join(wrong, "; "))
	}
	return nil
}

// alone runs fn while no other process migrates: older releases take the same lock. It is held by a
// transaction and not by a session, since a pooler may give the next statement to another one.
func alone(ctx context.Context, db *sql.DB, fn func() error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err == nil {
		defer func() { _ = tx.Rollback() }()
		_, err = tx.ExecContext(ctx, `SELECT set_config('lock_timeout', '300s', true), set_config('idle_in_transaction_session_timeout', '0', true)`)
	}
	if err == nil {
		_, err = tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock($1)`, lock.DefaultLockID)
	}
	if err != nil {
		return fmt.Errorf("wait for another process that migrates: %w", err)
	}
	return fn()
}

func provider(db *sql.DB) (*goose.Provider, error) {
	store, err := database.NewStore(database.DialectPostgres, versionTable)
	if err != nil {
		return nil, fmt.Errorf("prepare migration store: %w", err)
	}
	p, err := goose.NewProvider("", db, files,
		goose.WithStore(store), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return p, nil
}

func record(ctx context.Context, db *sql.DB, p *goose.Provider) error {
	states, err := p.Status(ctx)
	if err != nil {
		return fmt.Errorf("read migration status: %w", err)
	}
	scripts, err := exported()
	if err != nil {
		return err
	}
	for _, st := range states {
		if st.State != goose.StateApplied {
			continue
		}
		sum, err := checksum(st.Source.Path)
		if err != nil {
			return err
		}
		// A row that is there keeps its checksum: it says what was applied, not what is. Only a script leaves it out.
		_, err = db.ExecContext(ctx, `
			INSERT INTO archon_migrations AS m (version, migration_name, checksum)
			VALUES ($1, $2, $3) ON CONFLICT (version, migration_name) DO UPDATE SET checksum = $4 WHERE m.checksum IS NULL`,
			Version, name(st.Source.Path), sum, scripts[name(st.Source.Path)])
		if err != nil {
			return fmt.Errorf("record %s: %w", name(st.Source.Path), err)
		}
	}
	return nil
}

func recorded(ctx context.Context, db *sql.DB) (map[string]string, error) {
	sums := map[string]string{}
	var there bool
	if err := db.QueryRowContext(ctx, `SELECT to_regclass('archon_migrations') IS NOT NULL`).Scan(&there); err != nil {
		return nil, fmt.Errorf("look for archon_migrations: %w", err)
	}
	if !there {
		return sums, nil
	}
	rows, err := db.QueryContext(ctx,
		`SELECT migration_name, coalesce(checksum, '') FROM archon_migrations WHERE version = $1`, Version)
	if err != nil {
		return nil, fmt.Errorf("read archon_migrations: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var n, sum string
		if err := rows.Scan(&n, &sum); err != nil {
			return nil, fmt.Errorf("read archon_migrations: %w", err)
		}
		sums[n] = sum
	}
	return sums, rows.Err()
}

func checksum(file string) (string, error) {
	b, err := files.ReadFile(path.Base(file))
	if err != nil {
		return "", fmt.Errorf("read migration: %w", err)
	}
	sum := md5.Sum(b) //nolint:gosec // see the import
	return hex.EncodeToString(sum[:]), nil
}

func name(file string) string { return strings.TrimSuffix(path.Base(file), ".sql") }

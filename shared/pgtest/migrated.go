package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/sluicehq/sluice/migrations"
)

// MigratedURL is URL for a database with every migration: a copy of a database that the first test
// creates. Copying takes a quarter of the time of migrating.
func MigratedURL(tb testing.TB) string {
	tb.Helper()
	return newDatabase(tb, &tests.plain, "PostgreSQL", openPlain, (*server).migrated)
}

// prepared is a template database on a server, created for the first copy.
type prepared struct {
	make sync.Once
	name string // "" before it exists
	err  error
}

// migrated returns the name of the server's migrated database.
func (s *server) migrated() (string, error) {
	p := &s.ready
	p.make.Do(func() {
		name := namePrefix + "migrated_" + strings.ToLower(rand.Text())
		if p.err = s.exec("CREATE DATABASE " + name + " TEMPLATE template0" + s.suffix); p.err != nil {
			return
		}
		p.name = name
		// A database with open connections cannot be copied.
		p.err = errors.Join(s.migrate(name), s.exec("ALTER DATABASE "+name+" ALLOW_CONNECTIONS false"))
	})
	return p.name, p.err
}

func (s *server) migrate(name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), adminTimeout)
	defer cancel()
	u := *s.url
	u.Path = "/" + name
	cfg, err := pgx.ParseConfig(u.String())
	if err != nil {
		return fmt.Errorf("reading the address of the tests' server: %w", err)
	}
	db := stdlib.OpenDB(*cfg)
	_, err = migrations.Up(ctx, db)
	return errors.Join(err, db.Close())
}

// dropMigrated drops the template from a server that keeps running.
func (s *server) dropMigrated() error {
	if s.ready.name == "" || s.pg != nil {
		return nil
	}
	return s.exec("DROP DATABASE " + s.ready.name + " WITH (FORCE)")
}

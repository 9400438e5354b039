package cli_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/localpg"
)

// withDatabase gives the person an empty database, and returns a function that runs SQL in it without Sluice.
func (p *person) withDatabase() (does func(sql string)) {
	p.t.Helper()
	server, err := localpg.Start(p.t.Context(), localpg.Options{DataDir: filepath.Join(p.data, "own"), NoSync: true})
	require.NoError(p.t, err)
	p.t.Cleanup(func() { require.NoError(p.t, server.Stop(context.Background())) })
	p.env["DATABASE_URL"] = server.URL()
	return func(sql string) {
		p.t.Helper()
		conn, err := pgx.Connect(p.t.Context(), server.URL())
		require.NoError(p.t, err)
		_, err = conn.Exec(p.t.Context(), sql)
		require.NoError(p.t, err)
		require.NoError(p.t, conn.Close(p.t.Context()))
	}
}

func TestMigrating(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	does := p.withDatabase()

	require.Regexp(t, `010_add_confluence_pages +missing`, p.sees("migrate", "status"))
	for _, command := range [][]string{{"status"}, {"search", "x"}, {"source", "add", "docs", "--space", "DOCS", "--base-url", "https://acme.atlassian.net"}} {
		code, _, said := p.types(command...)
		require.Equal(t, 1, code, command)
		require.Contains(t, said, "has no tables of Sluice: check DATABASE_URL, or make them with: sluice migrate up", command)
	}
	require.NotRegexp(t, ` applied`, p.sees("migrate", "status"), "only up and migrate change a database")
	code, _, said := p.types("migrate", "verify")
	require.Equal(t, 1, code)
	require.Contains(t, said, "010_add_confluence_pages is not applied (run: sluice migrate up)")

	require.Contains(t, p.sees("migrate", "up"), "applied 010_add_confluence_pages\n")
	require.Contains(t, p.sees("migrate", "up"), "Nothing to apply.\n")
	require.Regexp(t, `010_add_confluence_pages +applied +[0-9a-f]{32}`, p.sees("migrate", "status"))
	require.Contains(t, p.sees("migrate", "verify"), "unchanged")

	does(`UPDATE archon_migrations SET checksum = md5('another') WHERE migration_name = '010_add_confluence_pages'`)
	code, _, said = p.types("migrate", "verify")
	require.Equal(t, 1, code)
	require.Regexp(t, `010_add_confluence_pages was applied with checksum [0-9a-f]{32} and is now [0-9a-f]{32}`, said)
	require.Contains(t, said, "go back to the release that made this database")
	require.Regexp(t, `010_add_confluence_pages +changed since it was applied`, p.sees("migrate", "status"))
	p.sees("migrate", "up")
	code, _, _ = p.types("migrate", "verify")
	require.Equal(t, 1, code, "applying does not hide the change")
}

func TestMigratingSaysWhatExtensionsBring(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	does := p.withDatabase()
	p.sees("migrate", "up")
	require.Regexp(t, `pg_trgm +used`, p.sees("migrate", "status"))

	does(`DROP EXTENSION pg_trgm CASCADE`)
	require.Regexp(t, `pg_trgm +missing +run: sluice migrate up`, p.sees("migrate", "status"))
	out := p.sees("migrate", "up")
	require.Contains(t, out, "applied pg_trgm: search finds words that are nearly right\n")
	require.NotContains(t, out, "Without pg_trgm")

	does(`CREATE TABLE archon_code_examples (); DROP EXTENSION pg_trgm CASCADE`)
	out = p.sees("migrate", "up")
	require.Contains(t, out, "Nothing to apply.\n")
	require.Contains(t, out, "Without pg_trgm: the chunks' table is Archon's")
	require.Regexp(t, `pg_trgm +missing +the chunks' table is Archon's`, p.sees("migrate", "status"))

	var status struct {
		Migrations []struct{ Name string }
		Extensions []struct {
			Name string
			Used bool
		}
	}
	require.NoError(t, json.Unmarshal([]byte(p.sees("migrate", "status", "-o", "json")), &status))
	require.NotEmpty(t, status.Migrations)
	require.Len(t, status.Extensions, 2)
	require.Equal(t, "pg_trgm", status.Extensions[1].Name)
	require.False(t, status.Extensions[1].Used)
}

func TestExportingMigrations(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	folder := filepath.Join(t.TempDir(), "migration", "0.1.0")
	require.Regexp(t, `^\d+ scripts written to .*sluice migrate up\n$`, p.sees("migrate", "export", folder))
	p.sees("migrate", "export", folder)
	script := filepath.Join(folder, "010_add_confluence_pages.sql")
	text, err := os.ReadFile(script)
	require.NoError(t, err)
	require.NotContains(t, string(text), "goose ")
	require.NotContains(t, string(text), "DROP TABLE")

	require.NoError(t, os.WriteFile(script, []byte("-- theirs"), 0o600))
	code, _, said := p.types("migrate", "export", folder)
	require.Equal(t, 1, code)
	require.Contains(t, said, "010_add_confluence_pages.sql is there already, with other contents")
}

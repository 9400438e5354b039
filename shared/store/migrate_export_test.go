package store_test

import (
	"crypto/md5" //nolint:gosec // Archon's checksums
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/migrations"
	"github.com/sluicehq/sluice/shared/pgtest"
)

// runScript runs a script as psql -f does: it goes on after an error. Where there is no psql, the whole script is
// one simple query, which ends at an error. It returns what psql or the server said.
func runScript(t *testing.T, address string, f migrations.File) string {
	t.Helper()
	if psql, err := exec.LookPath("psql"); err == nil {
		file := filepath.Join(t.TempDir(), f.Name)
		require.NoError(t, os.WriteFile(file, []byte(f.SQL), 0o600))
		out, err := exec.CommandContext(t.Context(), psql, "-X", "-q", "-f", file, address).CombinedOutput()
		require.NoError(t, err, string(out))
		return string(out)
	}
	conn, err := pgconn.Connect(t.Context(), address)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	if _, err := conn.Exec(t.Context(), f.SQL).ReadAll(); err != nil {
		return "ERROR: " + err.Error()
	}
	return ""
}

// Archon's users apply migrations with psql -f or in an SQL editor.
func TestScriptsOfTheMigrationsDoWhatMigratingDoes(t *testing.T) {
	t.Parallel()
	want, err := pgtest.Schema(t.Context(), pgtest.MigratedURL(t))
	require.NoError(t, err)
	list, err := migrations.Export()
	require.NoError(t, err)
	address := pgtest.URL(t)
	s := opened(t, address)

	require.Contains(t, runScript(t, address, list[1]), "run the scripts in the order of their numbers", "the first is missing")
	require.Empty(t, schema(t, address), "nothing was changed")
	half := len(list) / 2
	for _, f := range list[:half] {
		require.NotContains(t, runScript(t, address, f), "ERROR", f.Name)
	}
	there := schema(t, address)
	require.Contains(t, runScript(t, address, list[0]), "is applied already; nothing was changed")
	require.Equal(t, there, schema(t, address), "a script that is run twice changes nothing")

	applied, err := s.Migrate(t.Context())
	require.NoError(t, err)
	require.Equal(t, strings.TrimSuffix(list[half].Name, ".sql"), applied[0], "migrating goes on where the scripts ended")
	require.NoError(t, s.MigrateDown(t.Context()))
	for _, f := range list {
		require.NotContains(t, runScript(t, address, f), "ERROR", f.Name)
	}
	applied, err = s.Migrate(t.Context())
	require.NoError(t, err)
	for _, name := range applied {
		require.NotRegexp(t, `^\d`, name, "migrating takes the scripts for applied, and adds only what no file does")
	}
	require.NoError(t, s.VerifyMigrations(t.Context()))
	got, err := pgtest.Schema(t.Context(), address)
	require.NoError(t, err)
	require.Equal(t, want, got)

	sums := map[string]string{}
	states, err := s.Migrations(t.Context())
	require.NoError(t, err)
	for _, st := range states {
		sums[st.Name+".sql"] = st.Recorded
	}
	for _, f := range list {
		sum := md5.Sum([]byte(f.SQL)) //nolint:gosec // see the import
		require.Equal(t, hex.EncodeToString(sum[:]), sums[f.Name], "the checksum that Archon computes of the file")
	}
}

// A script that changes would differ from the checksum that databases have recorded.
func TestScriptsStayAsTheyAre(t *testing.T) {
	t.Parallel()
	list, err := migrations.Export()
	require.NoError(t, err)
	sum := md5.Sum([]byte(list[1].SQL)) //nolint:gosec // see the import
	require.Equal(t, "010_add_confluence_pages.sql", list[1].Name)
	require.Equal(t, "39084645693b0cb6aeb09bc380a75319", hex.EncodeToString(sum[:]))
}

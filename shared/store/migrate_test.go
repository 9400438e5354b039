package store_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/migrations"
	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/store"
)

func TestMigrationsAreRecordedAndVerified(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	require.NoError(t, s.VerifyMigrations(t.Context()))
	var version, checksum string
	err := conn.QueryRow(t.Context(), `SELECT version, checksum FROM archon_migrations WHERE migration_name = '010_add_confluence_pages'`).Scan(&version, &checksum)
	require.NoError(t, err)
	require.Equal(t, "0.1.0", version)
	require.Regexp(t, "^[0-9a-f]{32}$", checksum)

	_, err = conn.Exec(t.Context(), `UPDATE archon_migrations SET checksum = 'tampered' WHERE migration_name = '010_add_confluence_pages'`)
	require.NoError(t, err)
	err = s.VerifyMigrations(t.Context())
	require.ErrorIs(t, err, migrations.ErrChanged)
	require.ErrorContains(t, err, "010_add_confluence_pages was applied with checksum tampered")
	require.ErrorContains(t, err, "go back to the release that made this database")

	_, err = conn.Exec(t.Context(), `DELETE FROM archon_migrations`)
	require.NoError(t, err)
	require.ErrorIs(t, s.VerifyMigrations(t.Context()), migrations.ErrChanged)
	applied, err := s.Migrate(t.Context())
	require.NoError(t, err)
	require.Empty(t, applied)
	require.NoError(t, s.VerifyMigrations(t.Context()), "a crash between applying and recording heals")
}

func TestManyMigrateAtOnce(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	var group errgroup.Group
	for range 4 {
		group.Go(func() error {
			s, err := store.Open(t.Context(), url)
			if err != nil {
				return err
			}
			defer s.Close()
			_, err = s.Migrate(t.Context())
			return err
		})
	}
	require.NoError(t, group.Wait())
}

// After a stand-alone migrate down, the Archon tables that Sluice created stay: they may contain Archon's data by
// now.
func TestDownLeavesNothingOfOursBehind(t *testing.T) {
	t.Parallel()
	address := pgtest.URL(t)
	s := opened(t, address)
	_, err := s.Migrate(t.Context())
	require.NoError(t, err)
	up := schema(t, address)
	require.NoError(t, s.MigrateDown(t.Context()))
	require.Equal(t, theirs(up), schema(t, address))
	var recorded int
	require.NoError(t, connect(t, address).QueryRow(t.Context(), `SELECT count(*) FROM archon_migrations`).Scan(&recorded))
	require.Zero(t, recorded)
	_, err = s.Migrate(t.Context())
	require.NoError(t, err, "up again")
	require.Equal(t, up, schema(t, address))
	require.NoError(t, s.VerifyMigrations(t.Context()))
}

func TestLookingChangesNothing(t *testing.T) {
	t.Parallel()
	address := pgtest.URL(t)
	s := opened(t, address)
	list, err := s.Migrations(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, list)
	for _, m := range list {
		require.False(t, m.Applied, m.Name)
	}
	require.ErrorIs(t, s.VerifyMigrations(t.Context()), migrations.ErrChanged)
	require.Len(t, extensions(t, s), 2)
	require.Empty(t, schema(t, address))
}

func TestABadAddressIsNamedWithoutItsPassword(t *testing.T) {
	t.Parallel()
	_, err := store.Open(t.Context(), "postgres://user:hunter2@host:notaport/db")
	require.Error(t, err)
	require.False(t, strings.Contains(err.Error(), "hunter2"), err.Error())
}

package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/migrations"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/service"
	"github.com/sluicehq/sluice/shared/store"
)

func (a *app) migrate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Create or check the tables in Postgres",
	}
	cmd.AddCommand(
		a.migrateStep("up", "Apply the missing migrations", a.migrateUp),
		a.migrateStep("status", "List the migrations and their state", a.migrateStatus),
		a.migrateStep("verify", "Fail unless every migration is applied, recorded and unchanged", a.migrateVerify),
		a.migrateExport(),
	)
	return cmd
}

func (a *app) migrateExport() *cobra.Command {
	return &cobra.Command{
		Use:   "export FOLDER",
		Short: "Write the migrations as scripts for psql -f",
		Long: `Write each migration into a folder, as a script for psql -f or an SQL editor, for example next to
Archon's own in migration/0.1.0. Run all of them in the order of their numbers, each once, and
then sluice migrate up, which takes them for applied. Do not run Sluice's own files in migrations/
that way: psql would run the part that drops the tables, too.`,
		Example: "  sluice migrate export migration/0.1.0\n  for f in migration/0.1.0/*.sql; do psql -v ON_ERROR_STOP=1 -f $f \"$DATABASE_URL\"; done\n  sluice migrate up",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, argv []string) error {
			list, err := migrations.Export()
			if err != nil {
				return err
			}
			if err := os.MkdirAll(argv[0], 0o755); err != nil { //nolint:gosec // nothing in it is secret
				return fmt.Errorf("make the folder: %w", err)
			}
			names := []string{}
			for _, f := range list {
				if err := writeNew(filepath.Join(argv[0], f.Name), f.SQL); err != nil {
					return err
				}
				names = append(names, f.Name)
			}
			if a.json() {
				return a.printJSON(names)
			}
			a.printf("%s written to %s. Run them in the order of their numbers, then: sluice migrate up\n", plural(len(names), "script", "scripts"), argv[0])
			return nil
		},
	}
}

// writeNew writes a file, unless it is there with other contents.
func writeNew(path, text string) error {
	there, err := os.ReadFile(path) //nolint:gosec // the user's own folder
	if err == nil && string(there) == text {
		return nil
	}
	if err == nil {
		return fmt.Errorf("%s is there already, with other contents: choose another folder", path)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil { //nolint:gosec // nothing in it is secret
		return fmt.Errorf("write the script: %w", err)
	}
	return nil
}

// migrateStep returns a command for the database as it is: unlike other commands, it does not migrate first.
func (a *app) migrateStep(use, short string, step func(*cobra.Command, *store.Store) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withDatabase(cmd.Context(), func(env config.Environment) error {
				process, err := config.Of[config.Process](env)
				if err != nil {
					return err
				}
				h := service.NewHost(service.HostOptions{
					Name: "sluice", Env: env, Log: a.logger(process), Patience: patience, Database: service.Leave,
				})
				defer h.Close()
				s, err := h.Store(cmd.Context())
				if err != nil {
					return err
				}
				return step(cmd, s)
			})
		},
	}
}

func (a *app) migrateUp(cmd *cobra.Command, s *store.Store) error {
	applied, err := s.Migrate(cmd.Context())
	if err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(orEmpty(applied))
	}
	for _, name := range applied {
		a.printf("applied %s\n", name)
	}
	if len(applied) == 0 {
		a.printf("Nothing to apply.\n")
	}
	return a.missingExtensions(cmd, s)
}

// missingExtensions prints what to do about extensions that are not used.
func (a *app) missingExtensions(cmd *cobra.Command, s *store.Store) error {
	list, err := s.Extensions(cmd.Context())
	if err != nil {
		return err
	}
	for _, e := range list {
		if !e.Used {
			a.printf("Without %s: %s\n", e.Name, a.named(e.Advice))
		}
	}
	return nil
}

func (a *app) migrateStatus(cmd *cobra.Command, s *store.Store) error {
	list, err := s.Migrations(cmd.Context())
	if err != nil {
		return err
	}
	extensions, err := s.Extensions(cmd.Context())
	if err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(map[string]any{"migrations": list, "extensions": extensions})
	}
	rows := [][]string{{"MIGRATION", "STATE", "CHECKSUM"}}
	for _, m := range list {
		state := "missing"
		switch {
		case m.Changed():
			state = "changed since it was applied"
		case m.Applied:
			state = "applied"
		}
		rows = append(rows, []string{m.Name, state, m.Checksum})
	}
	a.table(rows)
	a.printf("\n")
	rows = [][]string{{"EXTENSION", "STATE", ""}}
	for _, e := range extensions {
		state := "missing"
		switch {
		case e.Used:
			state = "used"
		case e.Version != "":
			state = "not used"
		}
		rows = append(rows, []string{e.Name, state, a.named(e.Advice)})
	}
	a.table(rows)
	return nil
}

func (a *app) migrateVerify(cmd *cobra.Command, s *store.Store) error {
	err := s.VerifyMigrations(cmd.Context())
	if errors.Is(err, migrations.ErrChanged) {
		return fmt.Errorf("verify: %w", err)
	}
	if err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(map[string]bool{"verified": true})
	}
	a.printf("Every migration is applied, recorded and unchanged.\n")
	return nil
}

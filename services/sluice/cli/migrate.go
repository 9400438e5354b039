package cli

import (
	"errors"
	"fmt"

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
	)
	return cmd
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

package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/service"
)

func (a *app) nats() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "nats",
		Short: "Manage NATS credentials and streams",
	}
	cmd.AddCommand(a.natsInit(), a.natsAccess(), a.natsAdopt())
	return cmd
}

func (a *app) natsInit() *cobra.Command {
	owner := bus.Anyone
	cmd := &cobra.Command{
		Use:   "init DIR",
		Short: "Create a key for every service that has none",
		Long: `Create an nkey for every service that has none in DIR: set NATS_NKEY_FILE of each service to
DIR/<service>/nkey. DIR/nats is for the NATS server: nats-access.conf, which its configuration includes,
contains the permissions of each service, and keys.conf the public keys. Existing keys are kept. This
command needs no server. In compose, the service nats-keys runs it at every start.`,
		Example: "  sluice nats init keys",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			if owner < 0 && cmd.Flags().Changed("owner") {
				return usageError{fmt.Errorf("--owner must be the number of a user, not %d", owner)}
			}
			cfg, err := a.settings()
			if err != nil {
				return err
			}
			made, err := bus.WriteKeys(argv[0], bus.Prefix(cfg.NatsPrefix), owner)
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(map[string]any{"folder": argv[0], "made": orEmpty(made)})
			}
			if len(made) == 0 {
				a.printf("Every service already has a key in %s.\n", argv[0])
				return nil
			}
			a.printf("New keys are in %s, for %s. Keep the nkey files secret: each is a service's credential.\n", argv[0], strings.Join(made, ", "))
			return nil
		},
	}
	cmd.Flags().IntVar(&owner, "owner", owner, "user id that the services run as, if it is not yours; needs root")
	return cmd
}

func (a *app) natsAccess() *cobra.Command {
	return &cobra.Command{
		Use:   "access",
		Short: "Print the permissions of each service as NATS configuration",
		Args:  args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			cfg, err := a.settings()
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(map[string]string{"configuration": bus.AccessConfig(bus.Prefix(cfg.NatsPrefix))})
			}
			a.verbatim(bus.AccessConfig(bus.Prefix(cfg.NatsPrefix)))
			return nil
		},
	}
}

func (a *app) natsAdopt() *cobra.Command {
	return &cobra.Command{
		Use:   "adopt",
		Short: "Take over the streams of an installation that is gone",
		Long: `Take over the streams on the NATS account, which belong to an installation with another database.
Do so only if that installation is gone for good: two installations would take each other's messages. To run
two on one account, set NATS_PREFIX for one of them.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withHost(cmd.Context(), func(h *service.Host) error {
				if err := h.Adopt(cmd.Context()); err != nil {
					return err
				}
				if a.json() {
					return a.printJSON(map[string]bool{"adopted": true})
				}
				a.printf("The streams now belong to this installation.\n")
				return nil
			})
		},
	}
}

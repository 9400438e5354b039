package cli

import (
	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/service"
)

func (a *app) nats() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "nats",
		Short: "Give every service a NATS credential of its own",
		Args:  args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.natsInit(), a.natsAccess(), a.natsAdopt())
	return cmd
}

func (a *app) natsInit() *cobra.Command {
	return &cobra.Command{
		Use:   "init DIR",
		Short: "Make a key for every service",
		Long: `Make a new nkey for every service: DIR/<service>.nk is what the service is given by
NATS_NKEY_FILE, and DIR/keys.conf holds the public keys for the NATS server, beside the
configuration that sluice nats access prints (deploy/nats-access.conf). It needs no server.`,
		Example: "  sluice nats init keys\n  docker compose -f docker-compose.yml -f deploy/compose.nats-access.yml up",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, argv []string) error {
			if err := bus.WriteKeys(argv[0]); err != nil {
				return err
			}
			a.printf("Keys for %d services are in %s. Keep the .nk files secret: each is a service's way in.\n", len(bus.Roles), argv[0])
			return nil
		},
	}
}

func (a *app) natsAccess() *cobra.Command {
	return &cobra.Command{
		Use:   "access",
		Short: "Print what each service may do, as NATS configuration",
		Args:  args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			cfg, err := a.settings()
			if err != nil {
				return err
			}
			a.printf("%s", bus.AccessConfig(bus.Prefix(cfg.NatsPrefix)))
			return nil
		},
	}
}

func (a *app) natsAdopt() *cobra.Command {
	return &cobra.Command{
		Use:   "adopt",
		Short: "Take over the streams of an installation that is gone",
		Long: `Take over the streams on the NATS account, which belong to an installation with another database.
Only do so where that one is gone for good: two installations would take each other's messages. To run two on
one account, set NATS_PREFIX for one of them.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withHost(cmd.Context(), func(h *service.Host) error {
				if err := h.Adopt(cmd.Context()); err != nil {
					return err
				}
				a.printf("The streams are those of this installation now.\n")
				return nil
			})
		},
	}
}

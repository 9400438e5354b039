package cli

import (
	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/shared/bus"
)

func (a *app) nats() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "nats",
		Short: "Give every service a NATS credential of its own",
		Args:  args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.natsInit(), a.natsAccess())
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
			a.printf("%s", bus.AccessConfig())
			return nil
		},
	}
}

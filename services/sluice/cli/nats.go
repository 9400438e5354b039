package cli

import (
	"strings"

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
	owner := bus.Anyone
	cmd := &cobra.Command{
		Use:   "init DIR",
		Short: "Make a key for every service that has none",
		Long: `Make an nkey for every service that has none in DIR: DIR/<service>/nkey is what the service is given by
NATS_NKEY_FILE. DIR/nats is for the NATS server: nats-access.conf, which its configuration includes, says
what each service may do, and keys.conf holds the public keys. Keys that are there stay as they are. It
needs no server. In compose, the service nats-keys runs it at every start.`,
		Example: "  sluice nats init keys",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, argv []string) error {
			cfg, err := a.settings()
			if err != nil {
				return err
			}
			made, err := bus.WriteKeys(argv[0], bus.Prefix(cfg.NatsPrefix), owner)
			if err != nil {
				return err
			}
			if len(made) == 0 {
				a.printf("Every service has its key in %s already.\n", argv[0])
				return nil
			}
			a.printf("New keys are in %s, for %s. Keep the files named nkey secret: each is a service's way in.\n", argv[0], strings.Join(made, ", "))
			return nil
		},
	}
	cmd.Flags().IntVar(&owner, "owner", owner, "user id that the services run as, if it is not yours; needs root")
	return cmd
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

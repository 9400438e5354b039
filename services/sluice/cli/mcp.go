package cli

import (
	"cmp"
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/shared/assistant"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/secret"
	"github.com/sluicehq/sluice/shared/viewer"
)

// mcpOptions say what an assistant reads.
type mcpOptions struct {
	url, key string
	sources  []string
	account  string
}

func (a *app) mcp() *cobra.Command {
	var o mcpOptions
	var reads func() (viewer.Viewer, error)
	cmd := &cobra.Command{
		Use:   "mcp",
		Short: "Let an assistant search and read, over stdio (Model Context Protocol)",
		Long: `Answer an assistant over stdin and stdout, which its client starts; sluice mcp config prints
what to paste there. It reads the database of DATABASE_URL, or of sluice's own data folder, or
with --url (SLUICE_API) and --key (SLUICE_KEY) an HTTP API, so that this machine needs no database.
Give the key as SLUICE_KEY or SLUICE_KEY_FILE: others on the machine see the arguments of programs.
The log goes to stderr.`,
		Example: `  sluice mcp
  sluice mcp --source docs
  SLUICE_KEY_FILE=~/.sluice-key sluice mcp --url https://sluice.acme.com`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			reader, err := reads()
			if err != nil {
				return err
			}
			o.account = reader.Account()
			cfg, err := a.settings()
			if err != nil {
				return err
			}
			gateway := assistant.Gateway{URL: cmp.Or(o.url, cfg.APIURL), Key: cfg.APIKey}
			if o.key != "" {
				gateway.Key = secret.New(o.key)
			}
			if gateway.URL != "" {
				return a.bridge(cmd.Context(), gateway, o, cfg)
			}
			if o.key != "" {
				return usageError{errors.New("--key is for an HTTP API: give its address with --url")}
			}
			door := &database{app: a, cfg: cfg, life: cmd.Context()}
			defer door.close()
			_, back, err := door.lend(cmd.Context()) // a client is told at once what is wrong
			if err != nil {
				return err
			}
			back()
			server := assistant.New(assistant.Options{Lend: door.lend, Log: a.logger(cfg.Process), Version: version()})
			caller := assistant.Caller{Viewer: reader, Name: cmp.Or(o.account, "operator")}
			if len(o.sources) > 0 && reader.Operator() {
				caller.Viewer = viewer.OfSources(o.sources...).AsOperator()
			} else if len(o.sources) > 0 {
				caller.Viewer = viewer.OfSources(o.sources...).As(o.account)
			}
			return server.Serve(cmd.Context(), a.in, a.raw, caller)
		},
	}
	cmd.Flags().StringVar(&o.url, "url", "", "`address` of an HTTP API to read instead of a database (default $SLUICE_API)")
	cmd.Flags().StringVar(&o.key, "key", "", "API `key` for --url (default $SLUICE_KEY)")
	cmd.Flags().StringSliceVar(&o.sources, "source", nil, "read only this `source`; may be repeated")
	reads = readsAs(cmd)
	cmd.AddCommand(a.mcpConfig())
	return cmd
}

func (a *app) bridge(ctx context.Context, g assistant.Gateway, o mcpOptions, cfg config.Sluice) error {
	switch {
	case g.Key.IsZero():
		return usageError{errors.New("an HTTP API needs a key: set SLUICE_KEY or SLUICE_KEY_FILE; make one with: sluice key create --name NAME --role read")}
	case o.account != "":
		return usageError{errors.New("--as is for a database; an HTTP API reads for the account of its key: sluice key create --as")}
	case len(o.sources) > 0:
		return usageError{errors.New("--source is for a database; a key of its own limits an HTTP API: sluice key create --source")}
	}
	if _, err := g.Endpoint(); err != nil {
		return usageError{err}
	}
	return assistant.Bridge(ctx, a.in, a.raw, g, version(), a.logger(cfg.Process))
}

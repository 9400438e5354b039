package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/services/gateway/gateway"
	"github.com/sluicehq/sluice/services/sluice/local"
	"github.com/sluicehq/sluice/services/stages"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/service"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// apiStage is the stage that runs only where it has an address.
const apiStage = "gateway"

// engine is everything that one process runs: servers, connections and stages.
type engine struct {
	servers *local.Servers
	host    *service.Host
	store   *store.Store
	bus     *bus.Bus
	stages  []service.Stage
	grace   time.Duration
	api     string // where the HTTP API is served; "" for nowhere
	keyFile string // with the key of this machine's own commands
}

// startEngine starts the servers that are not named, migrates, and connects. The stages do
// not run yet; see run.
func (a *app) startEngine(ctx context.Context, env config.Environment, health *service.Health) (_ *engine, err error) {
	cfg, err := config.Of[config.Sluice](env)
	if err != nil {
		return nil, err
	}
	e := &engine{grace: cfg.ShutdownGrace, api: cfg.API.Addr, stages: stagesOf(cfg.API)}
	defer func() {
		if err != nil {
			e.close()
		}
	}()
	if cfg.API.Addr != "" {
		e.keyFile = cmp.Or(cfg.API.KeyFile, filepath.Join(cfg.DataDir, "api-key"))
		env = env.With(map[string]string{"GATEWAY_KEY_FILE": e.keyFile})
	}
	if e.servers, err = local.Start(ctx, a.localOptions(cfg)); err != nil {
		return nil, err
	}
	if err = addrIsFree(cfg.API.Addr); err != nil {
		return nil, err
	}
	e.host = service.NewHost(service.HostOptions{
		Name: "sluice", Env: at(env, e.servers), Log: a.logger(cfg.Process), Health: health, Database: service.Make, Broker: service.Make,
	})
	if e.store, err = e.host.Store(ctx); err != nil {
		return nil, err
	}
	if e.bus, err = e.host.Bus(ctx); err != nil {
		return nil, err
	}
	// What is wrong with a token is said before anybody is told that all is up.
	_, err = e.host.Credentials(ctx)
	return e, err
}

// stagesOf are the stages that one process runs: all of them, the HTTP API where it has an
// address.
func stagesOf(api config.API) []service.Stage {
	return slices.DeleteFunc(stages.All(), func(s service.Stage) bool { return s.Name == apiStage && api.Addr == "" })
}

// addrIsFree says so before anything else is told when the address of the HTTP API is another
// program's.
func addrIsFree(addr string) error {
	if addr == "" {
		return nil
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("serve the HTTP API: %w", gateway.AddrError(addr, err))
	}
	return l.Close()
}

// run runs the stages until asked to stop.
func (e *engine) run(asked context.Context) error {
	ctx, cancel := context.WithCancelCause(asked)
	defer cancel(nil)
	go func() {
		select {
		case <-e.servers.Done():
			cancel(errors.New("the Postgres that sluice started has stopped; its log lies beside the data folder"))
		case <-ctx.Done():
		}
	}()
	err := service.Run(ctx, e.host, e.grace, e.stages...)
	if cause := context.Cause(ctx); err == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	if err != nil && asked.Err() == nil {
		err = brokeDown{err}
	}
	return err
}

func (e *engine) close() {
	if e.host != nil {
		e.host.Close()
	}
	if e.servers != nil {
		e.servers.Stop()
	}
}

func (a *app) up() *cobra.Command {
	return &cobra.Command{
		Use:   "up",
		Short: "Run every stage in this process, with the servers that they need",
		Long: `Run every stage in this process until Ctrl-C. NATS and Postgres are those that NATS_URL
and DATABASE_URL name; where one is not set, sluice starts its own under --data. The HTTP API
is served on GATEWAY_ADDR; set to nothing, there is none.`,
		Example: `  export CONFLUENCE_BASE_URL=https://acme.atlassian.net/wiki
  export CONFLUENCE_EMAIL=reader@acme.com CONFLUENCE_API_TOKEN=...
  sluice up`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			env, err := a.environment()
			if err != nil {
				return err
			}
			cfg, err := a.settings()
			if err != nil {
				return err
			}
			health := service.NewHealth()
			stopHealth, err := health.Serve(cfg.HealthAddr, a.logger(cfg.Process))
			if err != nil {
				return err
			}
			defer stopHealth()
			e, err := a.startEngine(cmd.Context(), env, health)
			if err != nil {
				return err
			}
			defer e.close()
			if err := a.welcome(cmd.Context(), e, cfg); err != nil {
				return err
			}
			return e.run(cmd.Context())
		},
	}
}

func (a *app) welcome(ctx context.Context, e *engine, cfg config.Sluice) error {
	sources, err := e.store.Reader().Sources(ctx, viewer.All())
	if err != nil {
		return err
	}
	a.printf("Sluice is up.\n  NATS       %s\n  Postgres   %s\n", hidePassword(e.servers.NatsURL), hidePassword(e.servers.DatabaseURL))
	if cfg.API.Addr != "" {
		a.printf("  HTTP API   http://%s/api/openapi.json, with the key in %s\n", cfg.API.Addr, e.keyFile)
	}
	secrets, err := e.store.Vault().Secrets(ctx)
	if err != nil {
		return err
	}
	switch {
	case cfg.BaseURL == "" && len(secrets) > 0:
		a.printf("  Confluence with %s; see sluice secret list\n", plural(len(secrets), "stored token", "stored tokens"))
	case cfg.BaseURL == "":
		a.printf("  Confluence none; set CONFLUENCE_BASE_URL, CONFLUENCE_EMAIL and CONFLUENCE_API_TOKEN and start again to sync.\n")
	default:
		a.printf("  Confluence %s\n", cfg.BaseURL)
	}
	if len(sources) == 0 {
		a.printf("No source yet. In another terminal:\n  sluice source add docs --space DOCS\n  sluice sync docs --wait\n")
	} else {
		for _, s := range sources {
			a.printf("  source     %s, %s, %d pages, %d chunks\n", s.ID, cmp.Or(s.Location, "space "+s.SpaceKey), s.Pages, s.Chunks)
		}
		a.printf("Sync one from another terminal: sluice sync %s --wait\n", sources[0].ID)
	}
	a.printf("Ctrl-C stops it.\n")
	return nil
}

// hidePassword returns an address without its password.
func hidePassword(address string) string {
	u, err := parseURL(address)
	if err != nil {
		return "(set)"
	}
	return u.Redacted()
}

// sourceWithoutSite is the error for a command that needs a site that no setting names.
func sourceWithoutSite() error {
	return usageError{fmt.Errorf("which site? give --base-url, or set CONFLUENCE_BASE_URL; for example https://acme.atlassian.net/wiki")}
}

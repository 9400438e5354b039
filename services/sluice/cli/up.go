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
	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/service"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// apiStage is the stage that runs only if it has an address.
const apiStage = "gateway"

// engine is everything that one process runs: servers, connections and stages.
type engine struct {
	servers *local.Servers
	host    *service.Host
	store   *store.Store
	bus     *bus.Bus
	stages  []service.Stage
	grace   time.Duration
	api     string // address of the HTTP API; "" for none
	keyFile string // contains the API key of this machine
}

// startEngine starts the servers that are not configured, migrates, and connects. It does not start the stages; see
// run. adapt, which may be nil, changes the stages' environment once the servers run.
func (a *app) startEngine(ctx context.Context, env config.Environment, health *service.Health, adapt func(*engine, config.Environment) config.Environment) (_ *engine, err error) {
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
	if adapt != nil {
		env = adapt(e, env)
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
	// Report a problem with a token before reporting that everything is up.
	_, err = e.host.Credentials(ctx)
	return e, err
}

// stagesOf returns the stages that one process runs: all of them, but the HTTP API only if it has an address.
func stagesOf(api config.API) []service.Stage {
	return slices.DeleteFunc(stages.All(), func(s service.Stage) bool { return s.Name == apiStage && api.Addr == "" })
}

// addrIsFree returns an error if another program listens on the address of the HTTP API. It is called early, before
// anything is reported as running.
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

// run runs the stages until asked ends.
func (e *engine) run(asked context.Context) error {
	ctx, cancel := context.WithCancelCause(asked)
	defer cancel(nil)
	go func() {
		select {
		case <-e.servers.Done():
			cancel(errors.New("the Postgres that sluice started has stopped; its log is beside the data folder"))
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
		Short: "Run every stage in one process, and the servers that they need",
		Long: `Run every stage in one process until Ctrl-C. It uses the NATS and Postgres of NATS_URL and
DATABASE_URL; if one is not set, sluice starts its own under --data. The HTTP API is served on
GATEWAY_ADDR; if that is set to nothing, there is no HTTP API.`,
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
			e, err := a.startEngine(cmd.Context(), env, health, nil)
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
	sources, err := e.store.Reader().Sources(ctx, viewer.All(), store.Whole())
	if err != nil {
		return err
	}
	a.printf("Sluice is up.\n  NATS       %s\n  Postgres   %s\n", hidePassword(e.servers.NatsURL), hidePassword(e.servers.DatabaseURL))
	if cfg.API.Addr != "" {
		a.printf("  console    http://%s/console, with the key in %s\n", cfg.API.Addr, e.keyFile)
		a.printf("  HTTP API   http://%s/api/openapi.json, with the same key\n", cfg.API.Addr)
	}
	if err := a.welcomeModel(e); err != nil {
		return err
	}
	secrets, err := e.store.Vault().Secrets(ctx)
	if err != nil {
		return err
	}
	switch {
	case cfg.BaseURL == "" && len(secrets) > 0:
		a.printf("  Confluence with %s; see sluice secret list\n", plural(len(secrets), "stored token", "stored tokens"))
	case cfg.BaseURL == "":
		a.printf("  Confluence not configured; to sync, set CONFLUENCE_BASE_URL, CONFLUENCE_EMAIL and CONFLUENCE_API_TOKEN and restart.\n")
	default:
		a.printf("  Confluence %s\n", cfg.BaseURL)
	}
	a.welcomeSources(ctx, e.store, sources)
	a.printf("Press Ctrl-C to stop.\n")
	return nil
}

// welcomeSources lists the sources, and says how to sync one, or how to add one.
func (a *app) welcomeSources(ctx context.Context, in control.Installed, sources []store.Source) {
	first := ""
	for _, s := range sources {
		a.printf("  source     %s, %s, %d pages, %d chunks\n", s.ID, cmp.Or(s.Location, "space "+s.SpaceKey), s.Pages, s.Chunks)
		if demo, runs := control.OfDemo(ctx, in, s); demo && !runs {
			a.printf("             %s; to remove it: sluice source remove %s\n", control.LeftByDemo, s.ID)
		} else if first == "" {
			first = s.ID
		}
	}
	switch {
	case first != "":
		a.printf("Sync one from another terminal: sluice sync %s --wait\n", first)
	case len(sources) > 0:
		a.printf("No source of your own yet. In another terminal:\n  sluice source add docs --space DOCS\n  sluice sync docs --wait\n")
	default:
		a.printf("No source yet. In another terminal:\n  sluice source add docs --space DOCS\n  sluice sync docs --wait\n")
	}
}

// welcomeModel says whether chunks are found by meaning, if a model is set.
func (a *app) welcomeModel(e *engine) error {
	model, err := service.Config[config.Embeddings](e.host)
	if err != nil || !model.Configured() {
		return err
	}
	if why := e.servers.NoVector; why != nil {
		a.printf("  Search     by words alone, although a model is set: %s\n", why)
		return nil
	}
	a.printf("  Search     by words and by meaning, with %s; see sluice embeddings status\n", cmp.Or(model.EmbeddingsModel, model.EmbeddingsPath))
	return nil
}

// hidePassword returns an address with its password masked.
func hidePassword(address string) string {
	u, err := parseURL(address)
	if err != nil {
		return "(set)"
	}
	return u.Redacted()
}

// errNoSite is the error of a command that needs a site if none is set.
func errNoSite() error {
	return usageError{fmt.Errorf("which site? give --base-url, or set CONFLUENCE_BASE_URL; for example https://acme.atlassian.net/wiki")}
}

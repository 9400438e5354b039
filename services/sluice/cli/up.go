package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/services/chunk-writer/chunkwriter"
	"github.com/sluicehq/sluice/services/converter/converter"
	"github.com/sluicehq/sluice/services/deletion-detector/deletiondetector"
	"github.com/sluicehq/sluice/services/fetcher/fetcher"
	"github.com/sluicehq/sluice/services/gateway/gateway"
	"github.com/sluicehq/sluice/services/progress/progress"
	"github.com/sluicehq/sluice/services/sluice/local"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/service"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// stages are all of them, as one process runs them; the HTTP API is one where it has an
// address.
func stages(api config.API) []service.Stage {
	all := []service.Stage{
		fetcher.Stage(), converter.Stage(), chunkwriter.Stage(), deletiondetector.Stage(), progress.Stage(),
	}
	if api.Addr != "" {
		all = append(all, gateway.Stage())
	}
	return all
}

// engine is everything that one process runs: servers, connections and stages.
type engine struct {
	servers *local.Servers
	store   *store.Store
	bus     *bus.Bus
	deps    service.Deps
	grace   time.Duration
}

// startEngine starts the servers that are not named, migrates, and connects. The stages do
// not run yet; see run.
func (a *app) startEngine(ctx context.Context, cfg config.Sluice, log zerolog.Logger) (_ *engine, err error) {
	e := &engine{grace: cfg.ShutdownGrace}
	defer func() {
		if err != nil {
			e.close()
		}
	}()
	if e.servers, err = local.Start(ctx, a.localOptions(cfg)); err != nil {
		return nil, err
	}
	if err = addrIsFree(cfg.API.Addr); err != nil {
		return nil, err
	}
	if e.store, err = openStore(ctx, e.servers.DatabaseURL, cfg.Search); err != nil {
		return nil, err
	}
	if e.bus, err = bus.Connect(ctx, a.busOptions(cfg, e.servers.NatsURL, log)); err != nil {
		return nil, err
	}
	if err = e.bus.Apply(ctx); err != nil {
		return nil, err
	}
	e.deps = service.Deps{Bus: e.bus, Store: e.store, Chunks: cfg.Chunks, Brake: cfg.Brake, History: cfg.History, API: cfg.API, Workers: cfg.Workers, Log: log}
	ring, err := service.Keys(ctx, cfg.Master, e.store)
	if err != nil {
		return nil, err
	}
	e.deps.Trust = service.Trust{Hosts: cfg.Confluence.Hosts(), AllowHTTP: cfg.AllowHTTP, Ring: ring}
	e.deps.Confluence, err = service.NewSite(cfg.Confluence, log, service.Sharing(e.bus), service.Stored(e.store.Vault(), ring))
	return e, err
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
	err := service.Run(ctx, e.deps, e.grace, stages(e.deps.API)...)
	if cause := context.Cause(ctx); err == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	if err != nil && asked.Err() == nil {
		err = brokeDown{err}
	}
	return err
}

func (e *engine) close() {
	if e.bus != nil {
		e.bus.Close()
	}
	if e.store != nil {
		e.store.Close()
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
			cfg, err := a.settings()
			if err != nil {
				return err
			}
			log := a.logger(cfg.Process)
			health := service.NewHealth()
			stopHealth, err := health.Serve(cfg.HealthAddr, log)
			if err != nil {
				return err
			}
			defer stopHealth()
			e, err := a.startEngine(cmd.Context(), cfg, log)
			if err != nil {
				return err
			}
			defer e.close()
			health.Check("nats", func(context.Context) error { return e.bus.Healthy() })
			health.Check("postgres", e.store.Ping)
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
		a.printf("  HTTP API   http://%s/api/openapi.json\n", cfg.API.Addr)
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
			a.printf("  source     %s, space %s, %d pages, %d chunks\n", s.ID, s.SpaceKey, s.Pages, s.Chunks)
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

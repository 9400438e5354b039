package cli

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/services/sluice/local"
	"github.com/sluicehq/sluice/services/stages"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/service"
	"github.com/sluicehq/sluice/shared/store"
)

// environment reads what the program was given, once, and judges it: the settings of every stage
// are the program's own. The data folder is in it.
func (a *app) environment() (config.Environment, error) {
	if a.env != nil {
		return *a.env, nil
	}
	env := config.Read(stages.Command(), a.lookup)
	cfg, err := config.Of[config.Sluice](env)
	types := []config.Type{config.TypeOf[config.Sluice]()}
	for _, s := range stages.All() {
		if s.Name != apiStage || err != nil || cfg.API.Addr != "" {
			types = append(types, s.Settings)
		}
	}
	if err := env.Check(types...); err != nil {
		return env, err
	}
	dir := a.dataDir
	if dir == "" {
		dir = cfg.DataDir
	}
	if dir == "" {
		if dir, err = local.DefaultDataDir(); err != nil {
			return env, err
		}
	}
	env = env.With(map[string]string{"SLUICE_DATA_DIR": dir})
	a.env = &env
	return env, nil
}

// settings are those of the program itself.
func (a *app) settings() (config.Sluice, error) {
	env, err := a.environment()
	if err != nil {
		return config.Sluice{}, err
	}
	return config.Of[config.Sluice](env)
}

// at returns the environment with the addresses of servers that are not named in it.
func at(env config.Environment, servers *local.Servers) config.Environment {
	values := map[string]string{}
	if servers.NatsURL != "" {
		values["NATS_URL"] = servers.NatsURL
	}
	if servers.DatabaseURL != "" {
		values["DATABASE_URL"] = servers.DatabaseURL
	}
	return env.With(values)
}

// patience is how long a command waits for a database that does not answer. It logs meanwhile what
// it waits for.
const patience = 30 * time.Second

// host is what a command stands on. A person's command should not fail for a step that it can
// take itself, so it migrates; the broker it leaves as it is.
func (a *app) host(env config.Environment, log zerolog.Logger) *service.Host {
	return service.NewHost(service.HostOptions{
		Name: "sluice", Env: env, Log: log, Patience: patience, Database: service.Make, Broker: service.Leave,
	})
}

func (a *app) localOptions(cfg config.Sluice) local.Options {
	return local.Options{
		DataDir: cfg.DataDir, NatsURL: cfg.NatsURL.Reveal(), DatabaseURL: cfg.DatabaseURL.Reveal(),
		PGBinDir: cfg.PGBinDir, Log: a.logger(cfg.Process), Notice: a.notice,
	}
}

// withDatabase runs fn where the database is: the one that the environment names, that of a
// running sluice, or that of the data folder, which is started for as long as fn takes.
func (a *app) withDatabase(ctx context.Context, fn func(config.Environment) error) error {
	env, err := a.environment()
	if err != nil {
		return err
	}
	cfg, err := a.settings()
	if err != nil {
		return err
	}
	o := a.localOptions(cfg)
	if o.DatabaseURL == "" {
		switch there, err := local.Running(cfg.DataDir); {
		case err == nil:
			o.DatabaseURL = there.DatabaseURL
		case !errors.Is(err, local.ErrNotRunning):
			return err
		}
	}
	servers, err := local.StartDatabase(ctx, o)
	if err != nil {
		return err
	}
	defer servers.Stop()
	return fn(at(env, servers))
}

// withHost runs fn on the servers that the environment names or that a running sluice serves.
// Nothing but the database of the data folder is started for it.
func (a *app) withHost(ctx context.Context, fn func(*service.Host) error) error {
	cfg, err := a.settings()
	if err != nil {
		return err
	}
	return a.withDatabase(ctx, func(env config.Environment) error {
		if there, err := local.Running(cfg.DataDir); err == nil && cfg.NatsURL.IsZero() {
			env = env.With(map[string]string{"NATS_URL": there.NatsURL})
		}
		h := a.host(env, a.logger(cfg.Process))
		defer h.Close()
		return fn(h)
	})
}

// withStore runs fn on the knowledge base, migrated.
func (a *app) withStore(ctx context.Context, fn func(*store.Store) error) error {
	return a.withHost(ctx, func(h *service.Host) error {
		s, err := h.Store(ctx)
		if err != nil {
			return err
		}
		return fn(s)
	})
}

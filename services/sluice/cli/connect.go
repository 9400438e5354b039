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

// environment reads and checks the program's environment once: its own settings and those of every stage. The result
// contains the data folder.
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
		dir = local.DefaultDataDir()
	}
	env = env.With(map[string]string{"SLUICE_DATA_DIR": dir})
	a.env = &env
	return env, nil
}

// settings returns the settings of the program itself.
func (a *app) settings() (config.Sluice, error) {
	env, err := a.environment()
	if err != nil {
		return config.Sluice{}, err
	}
	return config.Of[config.Sluice](env)
}

// at returns the environment with the servers' addresses added.
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

// patience is how long a command waits for a database that does not respond. Meanwhile it logs what it is waiting
// for.
const patience = 30 * time.Second

// host returns the host that a command uses. It migrates sluice's own database, since a command should not fail for a
// step that it can take itself. One that DATABASE_URL names may be somebody else's, and only sluice up and sluice
// migrate change its tables. It does not create streams on the broker.
func (a *app) host(env config.Environment, log zerolog.Logger) *service.Host {
	care := service.Make
	if cfg, err := a.settings(); err == nil && !cfg.DatabaseURL.IsZero() {
		care = service.Refuse
	}
	return service.NewHost(service.HostOptions{
		Name: "sluice", Env: env, Log: log, Patience: patience, Database: care, Broker: service.Leave,
	})
}

func (a *app) localOptions(cfg config.Sluice) local.Options {
	return local.Options{
		DataDir: cfg.DataDir, NatsURL: cfg.NatsURL.Reveal(), DatabaseURL: cfg.DatabaseURL.Reveal(),
		PGBinDir: cfg.PGBinDir, Log: a.logger(cfg.Process), Notice: a.notice,
	}
}

// withDatabase runs fn with a database: the one in the environment, that of a running sluice, or that of the data
// folder, which is started while fn runs.
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
		switch there, err := local.Database(cfg.DataDir); {
		case err == nil:
			o.DatabaseURL = there
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

// withHost runs fn with the servers from the environment or of a running sluice. It starts nothing except the
// database of the data folder.
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

// withStore runs fn with the database, which is migrated.
func (a *app) withStore(ctx context.Context, fn func(*store.Store) error) error {
	return a.withHost(ctx, func(h *service.Host) error {
		s, err := h.Store(ctx)
		if err != nil {
			return err
		}
		return fn(s)
	})
}

package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/services/sluice/local"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/service"
	"github.com/sluicehq/sluice/shared/store"
)

// settings reads the environment and the data folder.
func (a *app) settings() (config.Sluice, error) {
	cfg, err := config.Load[config.Sluice](a.lookup)
	if err != nil {
		return cfg, err
	}
	if a.dataDir != "" {
		cfg.DataDir = a.dataDir
	}
	if cfg.DataDir == "" {
		cfg.DataDir, err = local.DefaultDataDir()
	}
	return cfg, err
}

func (a *app) localOptions(cfg config.Sluice) local.Options {
	return local.Options{
		DataDir: cfg.DataDir, NatsURL: cfg.NatsURL.Reveal(), DatabaseURL: cfg.DatabaseURL.Reveal(),
		PGBinDir: cfg.PGBinDir, Log: a.logger(cfg.Process), Notice: a.notice,
	}
}

// withStore runs fn on the knowledge base: the one that the environment names, that of a
// running sluice, or that of the data folder, which is started for as long as fn takes.
func (a *app) withStore(ctx context.Context, fn func(*store.Store) error) error {
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
	s, err := openStore(ctx, servers.DatabaseURL, cfg.Search)
	if err != nil {
		return err
	}
	defer s.Close()
	return fn(s)
}

// openStore opens the database and migrates it: a person's command should not fail for a
// step that it can take itself.
func openStore(ctx context.Context, url string, search config.Search) (*store.Store, error) {
	s, err := store.Open(ctx, url, store.SearchLanguage(search.SearchLanguage))
	if err != nil {
		return nil, err
	}
	if _, err := s.Migrate(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// busOptions are those of the settings, at an address that may be of a server of our own.
func (a *app) busOptions(cfg config.Sluice, url string, log zerolog.Logger) bus.Options {
	o := service.BusOptions("sluice", cfg.Nats, log)
	o.URL = url
	return o
}

// withBus runs fn on the bus that the environment names or that a running sluice serves.
func (a *app) withBus(ctx context.Context, fn func(*bus.Bus) error) error {
	cfg, err := a.settings()
	if err != nil {
		return err
	}
	url := cfg.NatsURL.Reveal()
	if url == "" {
		there, err := local.Running(cfg.DataDir)
		if errors.Is(err, local.ErrNotRunning) {
			return fmt.Errorf("%w: start it in another terminal with: sluice up, or set NATS_URL and DATABASE_URL", err)
		}
		if err != nil {
			return err
		}
		url = there.NatsURL
	}
	b, err := bus.Connect(ctx, a.busOptions(cfg, url, a.logger(cfg.Process)))
	if err != nil {
		return err
	}
	defer b.Close()
	return fn(b)
}

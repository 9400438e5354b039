// Package gateway is the HTTP API. It reads the record and publishes requests; what a sync
// does, the stages do.
//
// A request passes, in this order: its id and log line, the form of its path, the bounds on
// size and time, the guard (who asks, and may they), the ETag, and the route's own handler.
package gateway

import (
	"context"

	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/service"
)

// Stage is the HTTP API as a part of a process.
func Stage() service.Stage {
	return service.Stage{Name: "gateway", Load: load, Run: run}
}

func load(lookup func(string) (string, bool)) (service.Settings, error) {
	cfg, err := config.Load[config.Gateway](lookup)
	if err != nil {
		return service.Settings{}, err
	}
	return service.Settings{
		Service: config.Service{Process: cfg.Process}, Nats: cfg.Nats, Postgres: &cfg.Postgres,
		Sites: &cfg.Sites, Master: cfg.Master, API: &cfg.API,
	}, nil
}

func run(ctx context.Context, d service.Deps) error {
	g, err := New(Options{
		Control: control.New(d.Store, d.Bus, control.NewVault(d.Trust, d.Store)),
		Record:  d.Store, Keys: d.Store.Vault(), Bus: d.Bus, API: d.API, Log: d.Log,
	})
	if err != nil {
		return err
	}
	return g.Serve(ctx)
}

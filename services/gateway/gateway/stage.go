// Package gateway is the HTTP API. It reads the database and publishes requests; the stages run the syncs.
//
// A request passes these steps in order: its id and log line, the form of its path, the limits on size and time, the
// guard (authentication and authorization), the ETag, and the route's own handler.
package gateway

import (
	"context"

	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/service"
)

// Stage returns the HTTP API as a stage.
func Stage() service.Stage {
	return service.Stage{Name: "gateway", Settings: config.TypeOf[config.Gateway](), Open: open}
}

func open(ctx context.Context, h *service.Host) (service.Runner, error) {
	cfg, s, b, err := service.Open[config.Gateway](ctx, h)
	if err != nil {
		return nil, err
	}
	trust, err := h.Trust(ctx)
	if err != nil {
		return nil, err
	}
	site, err := h.Credentials(ctx)
	if err != nil {
		return nil, err
	}
	c := control.New(s, b, control.NewVault(trust, s))
	c.Servers = control.Servers{Store: s, Bus: b, Site: site, Embeds: cfg.Configured()}
	g, err := New(Options{
		Control: c, Record: s, Keys: s.Vault(), Sessions: s.Vault(), Bus: b, API: cfg.API, Log: h.Log,
	})
	if err != nil {
		return nil, err
	}
	return service.RunnerFunc(g.Serve), nil
}

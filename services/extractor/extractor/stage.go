// Package extractor is the stage that turns attachments into Markdown. It downloads a file to a place without a name, has it read
// by a process of its own, whose memory and time are limited, and publishes the text as the converter publishes a page's.
//
// Package extract reads the formats. Delivery is at least once: a file that has been read is announced again from
// what is stored.
package extractor

import (
	"cmp"
	"context"
	"time"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/service"
)

// wantAgain is how soon the database is told again which files are wanted.
const wantAgain = 2 * time.Second

// name is the stage's.
const name = "extractor"

// Stage describes the extractor as a stage of a process.
func Stage() service.Stage {
	return service.Stage{Name: name, Settings: config.TypeOf[config.Extractor](), Open: open, Child: child}
}

func open(ctx context.Context, h *service.Host) (service.Runner, error) {
	cfg, s, b, err := service.Open[config.Extractor](ctx, h)
	if err != nil {
		return nil, err
	}
	systems, err := h.Systems(ctx)
	if err != nil {
		return nil, err
	}
	processes, err := openProcesses(cfg.Files, cmp.Or(cfg.Workers, bus.Extract.Workers), h.Log)
	if err != nil {
		return nil, err
	}
	w := wantedBy(cfg.Files)
	x := newExtractor(s, b, systems, processes, cfg.MaxBytes, w, h.Log)
	run := service.Consume(b, bus.Extract, x.Handle, bus.Workers(cfg.Workers), service.BySite(s))
	return service.RunnerFunc(func(ctx context.Context) error {
		defer processes.close()
		for s.WantFiles(ctx, w.types, w.perPage, w.bounds) != nil {
			select {
			case <-time.After(wantAgain): // the database is away, as every handler will find
			case <-ctx.Done():
				return nil
			}
		}
		return run.Run(ctx)
	}), nil
}

// Package converter is the stage that turns a page's storage format into Markdown. Package markdown
// does the work; this package connects it to the bus. It has no database.
package converter

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/services/converter/markdown"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/service"
)

// publisher is the part of the bus that the converter uses.
type publisher interface {
	Publish(ctx context.Context, e event.Event) error
}

var _ publisher = (*bus.Bus)(nil)

// Handler returns the handler of fetched pages. A page that cannot be converted fails immediately:
// its failure codes are final, because the same bytes would fail again.
func Handler(b publisher) bus.Handler {
	return func(ctx context.Context, d bus.Delivery) error {
		in, err := bus.Decode[event.PageFetched](d)
		if err != nil {
			return err
		}
		convert := markdown.Convert
		if in.Page.Format == page.Markdown {
			convert = markdown.Adopt
		}
		out, err := convert(in.Body, in.Page)
		if err != nil {
			return err
		}
		return b.Publish(ctx, event.PageConverted{
			SourceID: in.SourceID, RunID: in.RunID, Attempt: in.Attempt, Page: in.Page,
			FetchedAt: in.FetchedAt, ConvertedAt: time.Now().UTC(), BodyBytes: len(in.Body),
			Markdown: out.Markdown, Metadata: out.Metadata, Headings: out.Headings, Losses: out.Losses, Includes: out.Includes,
		})
	}
}

// Stage describes the converter as a stage of a process.
func Stage() service.Stage {
	return service.Stage{Name: "converter", Settings: config.TypeOf[config.Converter](), Open: open, GCPercent: 400}
}

func open(ctx context.Context, h *service.Host) (service.Runner, error) {
	cfg, err := service.Config[config.Converter](h)
	if err != nil {
		return nil, err
	}
	b, err := h.Bus(ctx)
	if err != nil {
		return nil, err
	}
	return service.Consume(b, bus.Convert, Handler(b), bus.Workers(cfg.Workers)), nil
}

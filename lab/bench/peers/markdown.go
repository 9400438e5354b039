package peers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/lab/bench/backlog"
	"github.com/sluicehq/sluice/lab/bench/warm"
	"github.com/sluicehq/sluice/services/converter/converter"
	"github.com/sluicehq/sluice/services/fetcher/fetcher"
	"github.com/sluicehq/sluice/services/sluice/local"
	"github.com/sluicehq/sluice/services/stages"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/service"
	"github.com/sluicehq/sluice/shared/store"
)

// ToMarkdown is the driver of the part of Sluice that does the same work as the peers. Fetcher and
// converter run in this process, with an embedded NATS and a Postgres, which the fetcher needs for the
// ledger. No consumer takes the Markdown out of its stream: the work is done when every page's Markdown
// waits there, committed. It is written to the folder OUT only after the time is taken.
func ToMarkdown(ctx context.Context, lookup func(string) (string, bool), in io.Reader, out io.Writer) (err error) {
	text, _ := lookup("PAGES")
	pages, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("how many pages: %w", err)
	}
	h, err := startHalf(context.WithoutCancel(ctx), lookup)
	defer h.stop()
	if err != nil {
		return err
	}
	err = takeTurns(in, out, func() error {
		if err := h.bus.Publish(ctx, event.SyncRequested{SourceID: source, RequestID: source, Mode: event.Full}); err != nil {
			return err
		}
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		go func() {
			select {
			case <-h.ended:
				cancel(errors.Join(errors.New("the stages have ended by themselves"), h.failed))
			case <-ctx.Done():
			}
		}()
		return backlog.Await(ctx, h.bus, bus.Write, pages)
	})
	if err != nil {
		return err
	}
	h.halt()
	dir, _ := lookup("OUT")
	return handOver(context.WithoutCancel(ctx), h.bus, dir)
}

// half is Sluice up to its Markdown.
type half struct {
	dir     string
	servers *local.Servers
	host    *service.Host
	bus     *bus.Bus
	halt    func()        // ends the stages and waits for them
	ended   chan struct{} // closed when the stages have
	failed  error         // why; read after ended
}

// startHalf starts it on an empty folder, with the source. The caller must stop it even if the error is
// not nil.
func startHalf(ctx context.Context, lookup func(string) (string, bool)) (*half, error) {
	h := &half{halt: func() {}, ended: make(chan struct{})}
	env := config.Read(stages.Command(), lookup)
	cfg, err := config.Of[config.Sluice](env)
	if err != nil {
		return h, err
	}
	if h.dir, err = dataFolder(); err != nil {
		return h, err
	}
	log := zerolog.Nop()
	if h.servers, err = local.Start(ctx, local.Options{DataDir: h.dir, PGBinDir: cfg.PGBinDir, Log: log}); err != nil {
		return h, err
	}
	h.host = service.NewHost(service.HostOptions{
		Name: "sluice", Log: log, Database: service.Make,
		Env: env.With(map[string]string{"NATS_URL": h.servers.NatsURL, "DATABASE_URL": h.servers.DatabaseURL}),
	})
	st, err := h.host.Store(ctx)
	if err != nil {
		return h, err
	}
	space, _ := lookup("SPACE")
	if err := st.AddSource(ctx, store.Source{ID: source, BaseURL: cfg.Confluence.BaseURL, SpaceKey: space}); err != nil {
		return h, err
	}
	if h.bus, err = h.host.Bus(ctx); err != nil {
		return h, err
	}
	ctx, cancel := context.WithCancel(ctx)
	h.halt = func() { cancel(); <-h.ended }
	go func() {
		defer close(h.ended)
		h.failed = service.Run(ctx, h.host, cfg.ShutdownGrace, fetcher.Stage(), converter.Stage())
	}()
	return h, warm.Up(ctx)
}

func (h *half) stop() {
	h.halt()
	if h.host != nil {
		h.host.Close()
	}
	if h.servers != nil {
		h.servers.Stop()
	}
	_ = os.RemoveAll(h.dir)
}

// handOver takes the waiting messages out of their stream and writes them to the folder.
func handOver(ctx context.Context, b *bus.Bus, dir string) error {
	_, parts, err := b.Inspect(ctx)
	if err != nil {
		return err
	}
	var left uint64
	for _, p := range parts {
		if p.Name == "consumer "+bus.Write.Durable {
			left = p.Waiting
		}
	}
	if left == 0 {
		return nil
	}
	ctx, done := context.WithCancel(ctx)
	defer done()
	var wrong error
	err = b.Consume(ctx, bus.Write, func(_ context.Context, d bus.Delivery) error {
		page, err := bus.Decode[event.PageConverted](d)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, page.Page.ID+".md"), []byte(page.Markdown), 0o600)
		}
		if left--; left == 0 || err != nil {
			wrong = err
			done()
		}
		return err
	}, bus.Workers(1))
	return errors.Join(err, wrong)
}

// Package embedder is the stage that gives every chunk a vector, by which search finds it by meaning.
//
// Events are nudges: what is to be embedded is in the database's ledger, where replicas claim texts from
// each other. A text is embedded once, however many chunks have it.
package embedder

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/embedding"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/service"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/vectors"
)

// Settings configure services/embedder.
type Settings struct {
	_ struct{} `title:"The embedder"`
	config.Service
	config.Nats
	config.Postgres
	config.Embeddings
}

// ledger is the part of the store that the embedder uses.
type ledger interface {
	Open(ctx context.Context, i vectors.Identity) (vectors.Space, error)
	NotePage(ctx context.Context, s vectors.Space, sourceID, pageID string) error
	NoteNext(ctx context.Context, s vectors.Space, after int64) (last int64, err error)
	Claim(ctx context.Context, s vectors.Space, most int, lease time.Duration) ([]vectors.Pending, error)
	Extend(ctx context.Context, s vectors.Space, keys []string, lease time.Duration) error
	Put(ctx context.Context, s vectors.Space, list []vectors.Vector) error
	Fail(ctx context.Context, s vectors.Space, list []vectors.Failure) error
	Promote(ctx context.Context, s vectors.Space) (bool, error)
	Sweep(ctx context.Context, s vectors.Space) (int, error)
	CopyToArchon(ctx context.Context, s vectors.Space) (int, error)
}

var _ ledger = (*vectors.Vectors)(nil)

// Handle notes the chunks of a stored page. Before the space is open there is nothing to do: whoever
// opens it notes all chunks.
func (e *Embedder) Handle(ctx context.Context, d bus.Delivery) error {
	in, err := bus.Decode[event.PageStored](d)
	if err != nil {
		return err
	}
	s, ok := e.current()
	if !ok {
		return nil
	}
	if err := e.ledger.NotePage(ctx, s, in.SourceID, in.PageID); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	e.fresh.Store(true)
	e.wake()
	return nil
}

// GiveUp replaces the bus's page.failed: the page is stored, and the next look at all chunks finds it.
func GiveUp(context.Context, bus.Delivery, error) error { return nil }

// Stage describes the embedder as a stage of a process.
func Stage() service.Stage {
	return service.Stage{Name: "embedder", Settings: config.TypeOf[Settings](), Open: open}
}

func open(ctx context.Context, h *service.Host) (service.Runner, error) {
	cfg, err := service.Config[Settings](h)
	if err != nil {
		return nil, err
	}
	model, err := embedding.Open(cfg.Embeddings, embedding.WithLogger(h.Log))
	if err != nil {
		return nil, err
	}
	if model == nil { // and nothing is opened for it
		h.Log.Debug().Msg("no model is set (EMBEDDINGS_URL or EMBEDDINGS_PATH): search goes by words")
		return service.RunnerFunc(func(ctx context.Context) error { <-ctx.Done(); return nil }), nil
	}
	_, s, b, err := service.Open[Settings](ctx, h)
	if err != nil {
		return nil, errors.Join(err, model.Close())
	}
	return runner(s.Vectors(), b, model, h.Log), nil
}

// runner is the stage with its connections.
func runner(l ledger, b *bus.Bus, model embedding.Model, log zerolog.Logger) service.Runner {
	e := New(l, model, log)
	all := service.All(
		service.Consume(b, bus.Embed, e.Handle, bus.OnPermanent(GiveUp)),
		service.RunnerFunc(e.Run),
	)
	return service.RunnerFunc(func(ctx context.Context) error { return errors.Join(all.Run(ctx), model.Close()) })
}

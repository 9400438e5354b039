// Package asking makes the vectors of questions, while a person waits: within a deadline, from a cache
// where the same was asked before, and without waiting again and again for a server that does not answer.
package asking

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/embedding"
	"github.com/sluicehq/sluice/shared/failure"
)

const (
	within = 2 * time.Second  // of which nobody minds having waited
	rest   = 10 * time.Second // a server that has failed is not asked
	kept   = 2000             // questions
)

// Asker makes vectors of questions, as a search.Asker. It is safe for concurrent use.
type Asker struct {
	cfg   config.Embeddings
	open  func(config.Embeddings) (embedding.Model, error)
	log   zerolog.Logger
	cache *lru.Cache[asked, []float32]

	mu     sync.Mutex
	models map[space]embedding.Model
	not    time.Time // before this time nobody is asked
	why    error
}

type space struct {
	model      string
	dimensions int
}

type asked struct {
	space
	question string
}

// New returns an asker with the settings' model, or nil if they name none. Close closes what it opens.
func New(cfg config.Embeddings, log zerolog.Logger) *Asker {
	if !cfg.Configured() {
		return nil
	}
	return With(cfg, log, func(c config.Embeddings) (embedding.Model, error) {
		return embedding.Open(c, embedding.WithLogger(log), embedding.WithTimeout(within), embedding.WithRetryDelays())
	})
}

// With is New with another way to open a model.
func With(cfg config.Embeddings, log zerolog.Logger, open func(config.Embeddings) (embedding.Model, error)) *Asker {
	cache, err := lru.New[asked, []float32](kept)
	if err != nil {
		panic(err) // only of a size that is not above 0
	}
	return &Asker{cfg: cfg, open: open, log: log, cache: cache, models: map[space]embedding.Model{}}
}

// Close closes the models.
func (a *Asker) Close() error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var errs []error
	for _, m := range a.models {
		errs = append(errs, m.Close())
	}
	a.models = map[space]embedding.Model{}
	return errors.Join(errs...)
}

// Vector returns the vector of a question in the space of a model. The error says why there is none, in
// words that anybody may read: the log has the rest.
func (a *Asker) Vector(ctx context.Context, model string, dimensions int, question string) ([]float32, error) {
	key := asked{space{model, dimensions}, question}
	if v, ok := a.cache.Get(key); ok {
		return v, nil
	}
	if err := a.resting(); err != nil {
		return nil, err
	}
	v, err := a.vector(ctx, key)
	if err == nil {
		a.cache.Add(key, v)
		return v, nil
	}
	why := reason(err)
	if ctx.Err() == nil { // otherwise whoever asked has gone
		a.log.Warn().Err(err).Str("model", model).Msg("search goes by words alone")
		a.mu.Lock()
		a.not, a.why = time.Now().Add(rest), why
		a.mu.Unlock()
	}
	return nil, why
}

func (a *Asker) resting() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if time.Now().Before(a.not) {
		return a.why
	}
	return nil
}

func (a *Asker) vector(ctx context.Context, key asked) ([]float32, error) {
	m, err := a.model(key.space)
	if err != nil {
		return nil, err
	}
	// From here on: loading a model of this process takes a second, and every sluice search loads it.
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	list, err := m.Embed(ctx, embedding.Query, []string{key.question})
	switch {
	case err != nil:
		return nil, err
	case len(list) != 1:
		return nil, failure.New(failure.EmbeddingProtocol, "%d vectors came for one question", len(list))
	case list[0].Err != nil:
		return nil, list[0].Err
	case len(list[0].Vector) != key.dimensions:
		return nil, failure.New(failure.EmbeddingProtocol, "the vector has %d dimensions, those of the space have %d", len(list[0].Vector), key.dimensions)
	}
	return list[0].Vector, nil
}

// otherModel says that the vectors are of a model that the settings do not have.
type otherModel struct{ model string }

func (e *otherModel) Error() string {
	return fmt.Sprintf("the vectors are of the model %s, which the settings do not name", e.model)
}

// model opens the model of a space. While another one fills, the searched space's model is asked for
// under its own name: a server often has both.
func (a *Asker) model(of space) (embedding.Model, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if m := a.models[of]; m != nil {
		return m, nil
	}
	cfg := a.cfg
	if cfg.EmbeddingsURL != "" {
		if cfg.EmbeddingsModel != of.model {
			cfg.EmbeddingsModel, cfg.EmbeddingsDimensions = of.model, 0
		} else if cfg.EmbeddingsDimensions != 0 {
			cfg.EmbeddingsDimensions = of.dimensions
		}
	}
	m, err := a.open(cfg)
	if err != nil {
		return nil, err
	}
	if m == nil || m.Name() != of.model {
		if m != nil {
			err = m.Close()
		}
		return nil, errors.Join(&otherModel{of.model}, err)
	}
	a.models[of] = m
	return m, nil
}

// reason is an error in words that anybody may read.
func reason(err error) error {
	var other *otherModel
	if errors.As(err, &other) {
		return other
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("the question was not embedded in time")
	}
	switch failure.CodeOf(err) {
	case failure.EmbeddingUnavailable:
		return errors.New("the embedding server does not answer")
	case failure.EmbeddingUnauthorized:
		return errors.New("the embedding server rejects the key")
	case failure.EmbeddingNoModel:
		return errors.New("the embedding model is not available")
	case failure.EmbeddingTooLong, failure.EmbeddingRefused:
		return errors.New("the embedding server refuses the question")
	default:
		return errors.New("the embedding server's answer cannot be used")
	}
}

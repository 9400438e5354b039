package asking_test

import (
	"context"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/embedding"
	"github.com/sluicehq/sluice/shared/embedding/asking"
	"github.com/sluicehq/sluice/shared/embedding/embeddingtest"
	"github.com/sluicehq/sluice/shared/failure"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server has models by name, as a server does.
func server(models ...*embeddingtest.Model) func(config.Embeddings) (embedding.Model, error) {
	return func(c config.Embeddings) (embedding.Model, error) {
		for _, m := range models {
			if m.Name() == c.EmbeddingsModel {
				return m, nil
			}
		}
		return nil, failure.New(failure.EmbeddingNoModel, "no %s at http://10.0.0.1", c.EmbeddingsModel)
	}
}

var cfg = config.Embeddings{EmbeddingsURL: "http://127.0.0.1:1/v1", EmbeddingsModel: "words"}

func TestAQuestionIsEmbeddedOnce(t *testing.T) {
	words, old := &embeddingtest.Model{}, &embeddingtest.Model{ModelName: "old", Dims: 8}
	a := asking.With(cfg, zerolog.Nop(), server(words, old))
	t.Cleanup(func() { require.NoError(t, a.Close()) })
	for range 3 {
		v, err := a.Vector(t.Context(), "words", 64, "how do I deploy")
		require.NoError(t, err)
		require.Len(t, v, 64)
	}
	require.Equal(t, 1, words.Calls())
	// The searched space may be of the model that was set before.
	v, err := a.Vector(t.Context(), "old", 8, "how do I deploy")
	require.NoError(t, err)
	require.Len(t, v, 8)
}

func TestAServerThatFailsIsLeftInPeace(t *testing.T) {
	m := &embeddingtest.Model{Fail: func([]string) error {
		return failure.New(failure.EmbeddingUnavailable, "dial http://10.0.0.1: refused")
	}}
	a := asking.With(cfg, zerolog.Nop(), server(m))
	for _, question := range []string{"one", "two", "three"} {
		_, err := a.Vector(t.Context(), "words", 64, question)
		require.EqualError(t, err, "the embedding server does not answer", "and no address is told")
	}
	require.Equal(t, 1, m.Calls())

	// Who goes away himself says nothing about the server.
	m = &embeddingtest.Model{}
	a = asking.With(cfg, zerolog.Nop(), server(m))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := a.Vector(gone, "words", 64, "one")
	require.Error(t, err)
	_, err = a.Vector(t.Context(), "words", 64, "one")
	require.NoError(t, err)
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	m := &embeddingtest.Model{}
	for name, c := range map[string]struct {
		cfg   config.Embeddings
		model string
		dims  int
		says  string
	}{
		"the server has no such model": {cfg, "other", 64, "the embedding model is not available"},
		"another length":               {cfg, "words", 63, "the embedding server's answer cannot be used"},
		"another local model":          {config.Embeddings{EmbeddingsPath: "/models/words", EmbeddingsModel: "words"}, "other", 64, "the vectors are of the model other, which the settings do not name"},
	} {
		_, err := asking.With(c.cfg, zerolog.Nop(), server(m)).Vector(t.Context(), c.model, c.dims, "one")
		require.EqualError(t, err, c.says, name)
	}
	require.Nil(t, asking.New(config.Embeddings{}, zerolog.Nop()))
	var none *asking.Asker
	require.NoError(t, none.Close())
}

// The deadline is for the question, not for loading the model.
func TestLoadingTakesItsTime(t *testing.T) {
	m := &deadlines{Model: &embeddingtest.Model{}}
	a := asking.With(config.Embeddings{EmbeddingsPath: "x"}, zerolog.Nop(), func(config.Embeddings) (embedding.Model, error) {
		m.opened = time.Now()
		return m, nil
	})
	_, err := a.Vector(t.Context(), "words", 64, "hello")
	require.NoError(t, err)
	require.GreaterOrEqual(t, m.deadline.Sub(m.opened), 2*time.Second)
	require.NoError(t, a.Close())
}

type deadlines struct {
	*embeddingtest.Model
	opened, deadline time.Time
}

func (d *deadlines) Embed(ctx context.Context, kind embedding.Kind, texts []string) ([]embedding.Result, error) {
	d.deadline, _ = ctx.Deadline()
	return d.Model.Embed(ctx, kind, texts)
}

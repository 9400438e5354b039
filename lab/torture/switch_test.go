package torture

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/embedding/embeddingtest"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/store/vectors"
	"github.com/sluicehq/sluice/shared/viewer"
)

const (
	firstModel  = "torture"
	secondModel = "torture-second"

	searchEvery = 300 * time.Millisecond
	question    = "the reading of a gauge at noon"

	// silentDatabase is why a search goes by words while Postgres is killed.
	silentDatabase = "the database does not say what is embedded"
)

// changeModel changes the model in the middle of a phase, as an operator does: a second space, and then the new settings for
// one embedder after the other, each killed in its work. Meanwhile the strikes go on.
func (w *world) changeModel(ctx context.Context) {
	rng := w.plan.random(5)
	for wait := between(rng, time.Second, 4*time.Second); pause(ctx, wait); wait = 200 * time.Millisecond {
		if w.openSecond(ctx) == nil { // unless Postgres is being killed
			break
		}
	}
	for i, name := range replicas {
		if name == "embedder" {
			w.stages[i].give(w.second.env())
			w.deal(ctx, strike{blow: killStage, victim: i})
			pause(ctx, between(rng, time.Second, 5*time.Second))
		}
	}
}

// openSecond begins the second model's space.
func (w *world) openSecond(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	pool, err := pgxpool.New(ctx, w.pg.url)
	if err != nil {
		return err
	}
	defer pool.Close()
	_, err = vectors.New(pool).Switch(ctx, vectors.IdentityOf(secondModel, w.second.Dims, 0))
	return err
}

// give gives the process other settings from its next life on.
func (p *process) give(env []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.env = slices.Clone(p.env)
	for _, setting := range env {
		name, _, _ := strings.Cut(setting, "=")
		p.env = slices.DeleteFunc(p.env, func(old string) bool { return strings.HasPrefix(old, name+"=") })
		p.env = append(p.env, setting)
	}
}

// anyModel makes the vectors of questions in every space, whatever its server does.
type anyModel struct{ last atomic.Pointer[string] } // the model that was asked last

func (m *anyModel) Vector(_ context.Context, model string, dimensions int, question string) ([]float32, error) {
	m.last.Store(&model)
	vector, _ := embeddingtest.Vector(question, dimensions)
	return vector, nil
}

// asked searches by meaning, again and again, until the function that it returns is called: from the first answer on, there
// is always one, of the first model's vectors and later of the second's.
func (w *world) asked(ctx context.Context) (stop func()) {
	if w.model == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	pool, err := pgxpool.New(ctx, w.pg.url)
	require.NoError(w.t, err)
	answers, of := map[string]int{}, &anyModel{}
	searcher := search.New(pool, "").Without(search.Wording) // so that every hit is one of the vectors
	searcher.Ask(of)
	var asking sync.WaitGroup
	asking.Go(func() {
		for pause(ctx, searchEvery) {
			a, err := searcher.Explain(ctx, viewer.All(), question, search.Filter{})
			w.judgeAnswer(a, err, len(answers) > 0)
			if len(a.Hits) > 0 {
				answers[*of.last.Load()]++
			}
		}
	})
	return func() {
		pause(ctx, 5*searchEvery) // once more after the last change
		cancel()
		asking.Wait()
		pool.Close()
		w.t.Logf("answers by meaning, by model: %v", answers)
		for _, model := range []string{firstModel, secondModel} {
			if answers[model] == 0 {
				w.wrong("no search was answered by the vectors of %s", model)
			}
		}
	}
}

// judgeAnswer reports an answer without vectors after there has been one with them. While Postgres is killed there is none.
func (w *world) judgeAnswer(a search.Answer, err error, before bool) {
	var refused *pgconn.PgError
	switch {
	case errors.As(err, &refused) && !strings.HasPrefix(refused.Code, "57P"):
		w.wrong("%s: a search fails: %v", time.Now().UTC().Format(time.TimeOnly), err)
	case err == nil && before && len(a.Hits) == 0 && a.WordsOnly != silentDatabase:
		w.wrong("%s: a search by meaning finds nothing any more: %s", time.Now().UTC().Format(time.TimeOnly), a.WordsOnly)
	}
}

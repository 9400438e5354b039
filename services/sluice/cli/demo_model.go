package cli

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"strconv"
	"time"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/services/sluice/local"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/embedding"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/store/vectors"
)

const (
	modelWithin = time.Minute      // for the download of the demo's model
	showWithin  = 20 * time.Second // that the demo waits for vectors, with everything else shown
)

// meaning is by what the demo searches.
type meaning struct {
	name string // of the model; "" if the demo searches by words
	path string // of the model that the demo has chosen itself
	why  string // it searches by words
}

// withModel adds the settings of a model, unless there are some or there is to be none. The demo goes on without one.
func (d *demo) withModel(ctx context.Context, servers *local.Servers, env config.Environment, words bool) config.Environment {
	cfg, err := config.Of[config.Embeddings](env)
	if err != nil {
		return env // which the stages report
	}
	switch {
	case words:
		d.meaning.why = "--words says so"
		return env.With(map[string]string{"EMBEDDINGS_URL": "", "EMBEDDINGS_PATH": "", "EMBEDDINGS_MODEL": "", "EMBEDDINGS_API_KEY": ""})
	case servers.NoVector != nil:
		d.meaning.why = servers.NoVector.Error()
		return env
	case cfg.Configured():
		d.meaning.name = cmp.Or(cfg.EmbeddingsModel, cfg.EmbeddingsPath)
		return env
	case !servers.OwnDatabase():
		d.meaning.why = "no model is set, and the database is not the demo's own"
		return env
	}
	ctx, cancel := context.WithTimeoutCause(ctx, modelWithin, errors.New("it takes more than a minute"))
	defer cancel()
	path, err := embedding.FetchMiniLM(ctx, d.notice)
	if err != nil {
		d.meaning.why = err.Error()
		return env
	}
	d.meaning.name, d.meaning.path = "all-MiniLM-L6-v2", path
	return env.With(map[string]string{
		"EMBEDDINGS_PATH": path, "EMBEDDINGS_MODEL": d.meaning.name,
		"EMBEDDINGS_PARALLEL": strconv.Itoa(max(1, runtime.NumCPU()/2)), // the rest is for the sync
	})
}

// findByMeaning searches with words that the best page does not have. It waits for the vectors, but not for long.
func (d *demo) findByMeaning(ctx context.Context) error {
	if d.meaning.name == "" {
		d.step("Search is by words alone here")
		d.printf("  %s\n  With a model it is by meaning, too: docs/embeddings.md\n", d.meaning.why)
		return nil
	}
	query := "a safety device has to be shut first"
	if d.content.spaceKey() == sandbox.BuiltinSpace {
		query = "who gets phoned if nobody picks up at night"
	}
	d.step("Search by meaning: %s", query)
	d.printf("  Each chunk gets a vector of %s, one after the other …\n", d.meaning.name)
	count, err := d.embedded(ctx)
	if err != nil {
		return err
	}
	d.printf("  %d of %s have one", count.Embedded, plural(count.Chunks, "chunk", "chunks"))
	if count.Pending > 0 {
		d.printf("; the others get theirs while Sluice runs")
	}
	d.printf(".\n\n")
	answer, err := d.session.Explain(ctx, operator, query, search.Filter{SourceID: control.DemoSource, Limit: 3})
	if err != nil {
		return err
	}
	if answer.WordsOnly != "" {
		d.printf("  By words alone: %s.\n\n", answer.WordsOnly)
	}
	return d.showHits(query, answer.Hits)
}

// embedded counts the demo's chunks that have a vector, when all have or it has waited long enough.
func (d *demo) embedded(ctx context.Context) (count vectors.Count, err error) {
	deadline := time.Now().Add(showWithin)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		e, err := d.session.Embeddings(ctx, operator)
		if err != nil {
			return count, err
		}
		for _, space := range e.Spaces {
			if space.State == vectors.Active {
				count = space.Sources[control.DemoSource]
			}
		}
		if count.Chunks > 0 && count.Pending == 0 || time.Now().After(deadline) {
			return count, nil
		}
		select {
		case <-ctx.Done():
			return count, ctx.Err()
		case <-tick.C:
		}
	}
}

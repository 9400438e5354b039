package embedding

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"weak"

	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/embedding/internal/bert"
	"github.com/sluicehq/sluice/shared/failure"
)

// local is a model in this process.
type local struct {
	name    string
	model   *bert.Model
	before  prefixes
	batch   int
	threads int
	places  chan *bert.Scratch // one per thread that embeds passages
}

func openLocal(c config.Embeddings) (*local, error) {
	m, err := load(c.EmbeddingsPath)
	if err != nil {
		return nil, failure.New(failure.EmbeddingNoModel, "load the model of EMBEDDINGS_PATH=%s: %w", c.EmbeddingsPath, err)
	}
	if d := c.EmbeddingsDimensions; d != 0 && d != m.Dimensions() {
		return nil, failure.New(failure.EmbeddingNoModel, "the model of EMBEDDINGS_PATH=%s has %d dimensions, and EMBEDDINGS_DIMENSIONS is %d; leave it out", c.EmbeddingsPath, m.Dimensions(), d)
	}
	name := c.EmbeddingsModel
	if name == "" {
		name = localName(c.EmbeddingsPath)
	}
	l := &local{
		name: name + "@" + m.Sum[:8], model: m, before: localPrefixes(m, name),
		batch: c.EmbeddingsBatch, threads: min(c.EmbeddingsParallel, runtime.GOMAXPROCS(0)),
	}
	if most := m.Window() / 2; len(m.Tokens(l.before.passage)) > most || len(m.Tokens(l.before.query)) > most {
		return nil, failure.New(failure.EmbeddingNoModel, "the model of EMBEDDINGS_PATH=%s wants a prefix that leaves no room for a text", c.EmbeddingsPath)
	}
	l.places = make(chan *bert.Scratch, l.threads)
	for range l.threads {
		l.places <- &bert.Scratch{}
	}
	return l, nil
}

// loaded are the models in use, so that the stages of one process share their memory.
var loaded struct {
	sync.Mutex
	models map[string]weak.Pointer[bert.Model]
}

func load(path string) (*bert.Model, error) {
	dir, closeDir, err := openDir(path)
	if err != nil {
		return nil, err
	}
	defer closeDir()
	info, err := fs.Stat(dir, "model.safetensors")
	if err != nil {
		return nil, err
	}
	key := fmt.Sprint(path, info.Size(), info.ModTime())
	loaded.Lock()
	defer loaded.Unlock()
	if m := loaded.models[key].Value(); m != nil {
		return m, nil
	}
	m, err := bert.Load(dir)
	if err != nil {
		return nil, err
	}
	loaded.models = map[string]weak.Pointer[bert.Model]{key: weak.Make(m)} // a process has one, or one after the other
	return m, nil
}

// openDir opens a folder, or the folder with modules.json in a zip file.
func openDir(path string) (fs.FS, func(), error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	if info.IsDir() {
		return os.DirFS(path), func() {}, nil
	}
	z, err := zip.OpenReader(path)
	if err != nil {
		return nil, nil, fmt.Errorf("neither a folder nor a zip file: %w", err)
	}
	for _, f := range z.File {
		dir, found := strings.CutSuffix(f.Name, "modules.json")
		if !found || dir != "" && !strings.HasSuffix(dir, "/") {
			continue
		}
		if dir = strings.TrimSuffix(dir, "/"); dir == "" {
			return z, func() { _ = z.Close() }, nil
		}
		sub, err := fs.Sub(z, dir)
		if err == nil {
			return sub, func() { _ = z.Close() }, nil
		}
	}
	return nil, nil, errors.Join(errors.New("the zip file has no modules.json"), z.Close())
}

// localName is the name of the folder or of the file without its ending.
func localName(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	base := filepath.Base(path)
	return strings.TrimSuffix(base, ".zip")
}

// localPrefixes are those that the model's files state; else those that are known for its name.
func localPrefixes(m *bert.Model, name string) prefixes {
	passage, stated := m.Prompts["passage"]
	if !stated {
		passage, stated = m.Prompts["document"]
	}
	query, too := m.Prompts["query"]
	if stated || too {
		return prefixes{passage, query}
	}
	return prefixesOf(name)
}

func (l *local) Name() string                  { return l.name }
func (l *local) Prepare(context.Context) error { return nil }
func (l *local) Dimensions() int               { return l.model.Dimensions() }
func (l *local) PrefixVersion() int            { return l.before.version() }
func (l *local) MaxTokens() int                { return l.model.Window() - len(l.model.Tokens(l.before.passage)) }
func (l *local) Limits() Limits                { return Limits{Batch: l.batch, Parallel: l.threads} }
func (l *local) Close() error                  { return nil }

// Embed implements Model. Questions do not wait for passages: they are short, and somebody waits for them.
func (l *local) Embed(ctx context.Context, kind Kind, texts []string) ([]Result, error) {
	results := make([]Result, len(texts))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(l.threads)
	for i, text := range texts {
		g.Go(func() (err error) {
			scratch := &bert.Scratch{}
			if kind == Passage {
				select {
				case scratch = <-l.places:
					defer func() { l.places <- scratch }()
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			results[i], err = l.embed(ctx, scratch, kind, text)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("embed: %w", err)
	}
	return results, nil
}

// embed embeds a text in as many parts of equal length as the model needs to read all of it.
func (l *local) embed(ctx context.Context, s *bert.Scratch, kind Kind, text string) (Result, error) {
	prefix, ids := l.model.Tokens(l.before.before(kind)), l.model.Tokens(text)
	room := l.model.Window() - len(prefix)
	count := max(1, (len(ids)+room-1)/room)
	parts, weights := make([]Result, count), make([]int, count)
	for i := range count {
		part := ids[i*len(ids)/count : (i+1)*len(ids)/count]
		v, err := l.model.Run(ctx, s, append(prefix[:len(prefix):len(prefix)], part...))
		if err != nil {
			return Result{}, err
		}
		parts[i] = Result{Vector: v, Tokens: len(prefix) + len(part), Err: unit(v)}
		weights[i] = len(part)
	}
	return join(parts, weights), nil
}

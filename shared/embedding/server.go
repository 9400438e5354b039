package embedding

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/failure"
)

// server is a model behind OpenAI's API for embeddings.
type server struct {
	opt      options
	cfg      config.Embeddings
	address  string // of the call, with Azure's version
	azure    bool
	refuses  bool // it is known to refuse long texts instead of cutting them off
	before   prefixes
	http     *http.Client
	policies policies

	dims  atomic.Int64 // 0 while not known
	batch atomic.Int64 // texts per call: what is configured, or less if the server takes less

	known  atomic.Pointer[reach]
	asking chan struct{} // holds one while the server is asked about itself
}

func openServer(c config.Embeddings, o options) (*server, error) {
	s := &server{opt: o, cfg: c, before: prefixesOf(c.EmbeddingsModel), asking: make(chan struct{}, 1)}
	if err := s.parseAddress(); err != nil {
		return nil, err
	}
	s.batch.Store(int64(c.EmbeddingsBatch))
	s.dims.Store(int64(c.EmbeddingsDimensions))
	s.known.Store(&reach{refuses: s.refuses, limit: c.EmbeddingsMaxTokens})
	s.policies = newPolicies(s)
	return s, nil
}

func (s *server) Name() string       { return s.cfg.EmbeddingsModel }
func (s *server) Dimensions() int    { return int(s.dims.Load()) }
func (s *server) PrefixVersion() int { return s.before.version() }
func (s *server) Limits() Limits {
	return Limits{Batch: int(s.batch.Load()), Parallel: s.cfg.EmbeddingsParallel}
}

func (s *server) MaxTokens() int { return s.known.Load().limit }

func (s *server) Close() error {
	s.http.CloseIdleConnections()
	return nil
}

// Prepare implements Model.
func (s *server) Prepare(ctx context.Context) error {
	_, err := s.prepare(ctx, smallestProbe)
	return err
}

// prepare makes sure that it is known what becomes of texts of up to so many units.
func (s *server) prepare(ctx context.Context, units int) (reach, error) {
	if r := *s.known.Load(); r.answered && (r.limit > 0 || r.covers(units)) {
		return r, nil
	}
	select {
	case s.asking <- struct{}{}:
		defer func() { <-s.asking }()
	case <-ctx.Done():
		return reach{}, fmt.Errorf("embed: %w", context.Cause(ctx))
	}
	r := *s.known.Load()
	defer func() { s.known.Store(&r) }()
	if !r.answered {
		// A plain text. A refusal is about the settings then, not about the text.
		results, err := s.call(ctx, []string{plainText})
		if err == nil {
			err = results[0].Err
		}
		if err != nil {
			return r, s.settings(err)
		}
		r.answered = true
	}
	return r, s.explore(ctx, &r, units)
}

// knownFor is what is known about texts of up to so many units. A person waits for a question's vector, so
// nothing is tried out for it: until more is known, what a server has counted as more tokens than every model
// reads goes in parts.
func (s *server) knownFor(ctx context.Context, kind Kind, units int) (reach, error) {
	if kind != Query {
		return s.prepare(ctx, units)
	}
	r := *s.known.Load()
	if r.limit == 0 && !r.covers(units) {
		r.limit = everyModel
	}
	return r, nil
}

// settings is the error for a refused plain text.
func (s *server) settings(err error) error {
	var no *refusedError
	if errors.As(err, &no) {
		return failure.New(failure.EmbeddingProtocol, "the embedding server refuses every text; check EMBEDDINGS_MODEL and EMBEDDINGS_DIMENSIONS: %w", err)
	}
	return err
}

const plainText = "A plain text."

// maxUnits limits one call. OpenAI takes 300,000 tokens.
const maxUnits = 250_000

// Embed implements Model.
func (s *server) Embed(ctx context.Context, kind Kind, texts []string) ([]Result, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	longest := 0
	whole := make([]string, len(texts))
	for i, text := range texts {
		whole[i] = s.before.before(kind) + text
		longest = max(longest, units(whole[i]))
	}
	known, err := s.knownFor(ctx, kind, longest)
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(texts))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(s.cfg.EmbeddingsParallel)
	// send embeds the texts at these places in one call.
	send := func(places []int) {
		if len(places) == 0 {
			return
		}
		g.Go(func() error {
			list := make([]string, len(places))
			for i, place := range places {
				list[i] = whole[place]
			}
			found, err := s.embedBatch(ctx, list)
			for i := range found {
				results[places[i]] = found[i]
			}
			return err
		})
	}
	var places []int
	sum := 0
	for i, text := range whole {
		n := units(text)
		if !known.covers(n) {
			g.Go(func() (err error) {
				results[i], err = s.embedLong(ctx, known, kind, texts[i])
				return err
			})
			continue
		}
		if len(places) >= int(s.batch.Load()) || sum+n > maxUnits {
			send(places)
			places, sum = nil, 0
		}
		places, sum = append(places, i), sum+n
	}
	send(places)
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return results, nil
}

// embedBatch embeds texts that the server reads as a whole, as far as it is known. Where one of them
// makes the call fail, the halves are tried, so that the others have vectors.
func (s *server) embedBatch(ctx context.Context, texts []string) ([]Result, error) {
	results, err := s.call(ctx, texts)
	if err == nil || !alone(err) {
		return results, err
	}
	if len(texts) == 1 {
		var no *refusedError
		if !errors.As(err, &no) || !no.tooLong {
			if _, err := s.call(ctx, []string{plainText}); err != nil {
				return nil, s.settings(err) // it is not about this text
			}
		}
		return []Result{s.halves(ctx, texts[0], err)}, nil
	}
	half := len(texts) / 2
	first, err := s.embedBatch(ctx, texts[:half])
	if err != nil {
		return nil, err
	}
	second, err := s.embedBatch(ctx, texts[half:])
	if err != nil {
		return nil, err
	}
	results = slices.Concat(first, second)
	failed := slices.ContainsFunc(results, func(r Result) bool { return r.Err != nil })
	// If each half is fine, the call was too large.
	if most := s.batch.Load(); !failed && int64(half) < most && s.batch.CompareAndSwap(most, int64(max(half, 1))) {
		s.opt.log.Info().Int("texts", max(half, 1)).Msg("the embedding server takes fewer texts per call than EMBEDDINGS_BATCH")
	}
	return results, nil
}

// halves is the result of a text that the server refused: that of its halves if it is too long, else the
// error.
func (s *server) halves(ctx context.Context, text string, refusal error) Result {
	var no *refusedError
	if !errors.As(refusal, &no) || !no.tooLong {
		return Result{Err: refusal}
	}
	left, right, ok := split(text)
	if !ok {
		return Result{Err: refusal}
	}
	parts := make([]Result, 2)
	for i, part := range []string{left, right} {
		found, err := s.embedBatch(ctx, []string{part})
		if err != nil {
			return Result{Err: err}
		}
		parts[i] = found[0]
	}
	return join(parts, []int{len(left), len(right)})
}

// embedLong embeds a text that the server could cut off without saying so: as a whole if the server
// counts few enough tokens, else in halves. Each part gets the prefix.
func (s *server) embedLong(ctx context.Context, known reach, kind Kind, text string) (Result, error) {
	whole := s.before.before(kind) + text
	sure := known.covers(units(whole))
	if sure || known.may(len(whole)) {
		results, err := s.call(ctx, []string{whole})
		if err != nil && alone(err) {
			results, err = s.embedBatch(ctx, []string{whole})
		}
		if err != nil || sure || results[0].Err != nil || results[0].counted && results[0].Tokens <= known.limit {
			return first(results), err
		}
	}
	left, right, ok := split(text)
	if !ok {
		return Result{Err: failure.New(failure.EmbeddingTooLong, "the embedding server would cut off a text of %d bytes, which cannot be split further", len(text))}, nil
	}
	parts := make([]Result, 2)
	for i, part := range []string{left, right} {
		var err error
		if parts[i], err = s.embedLong(ctx, known, kind, part); err != nil {
			return Result{}, err
		}
	}
	return join(parts, []int{len(left), len(right)}), nil
}

func first(results []Result) Result {
	if len(results) == 0 {
		return Result{}
	}
	return results[0]
}

// learn checks the length of vectors against what is known, or learns it from the first answer.
func (s *server) learn(length int) error {
	known := s.dims.Load()
	if known == 0 && s.dims.CompareAndSwap(0, int64(length)) {
		return nil
	}
	if known = s.dims.Load(); int64(length) == known {
		return nil
	}
	if asked := s.cfg.EmbeddingsDimensions; asked != 0 {
		return failure.New(failure.EmbeddingProtocol, "the embedding server gives vectors of length %d although EMBEDDINGS_DIMENSIONS asks for %d: the model cannot, or the server ignores it", length, asked)
	}
	return fmt.Errorf("%w: it gave vectors of length %d, and now of length %d", errOther, known, length)
}

var errOther = failure.New(failure.EmbeddingProtocol, "the embedding server has another model under the same name")

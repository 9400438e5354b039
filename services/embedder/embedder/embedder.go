package embedder

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/shared/embedding"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/vectors"
)

const (
	lease      = time.Minute     // a process that says nothing for so long has died
	idleFor    = time.Second     // between looks for texts of other processes
	noteEvery  = 5 * time.Minute // all chunks are looked at: those of other programs, those of lost events
	tidyEvery  = 10 * time.Second
	sweepEvery = time.Hour
	lookEvery  = 10 * time.Second // whether there is a space to fill
	mostTries  = 5                // of a text that fails alone
	firstRest  = time.Second      // after the server fails
	longestOff = time.Minute
	endWithin  = 5 * time.Second // for statements that are under way when the process is to end
)

// Embedder fills the space of a model. Its methods are safe for concurrent use.
type Embedder struct {
	ledger ledger
	model  embedding.Model
	log    zerolog.Logger

	space   atomic.Pointer[vectors.Space]
	woken   chan struct{}
	fresh   atomic.Bool // vectors may have come since they were copied to an Archon
	said    string      // the last reason why nothing is embedded; used by Run only
	mu      sync.Mutex
	rest    time.Time     // the server is not called before
	resting time.Duration // how long the last rest was
}

// New returns an embedder. It closes nothing.
func New(l ledger, model embedding.Model, log zerolog.Logger) *Embedder {
	return &Embedder{ledger: l, model: model, log: log, woken: make(chan struct{}, 1)}
}

func (e *Embedder) current() (vectors.Space, bool) {
	if s := e.space.Load(); s != nil {
		return *s, true
	}
	return vectors.Space{}, false
}

// wake has texts looked for at once.
func (e *Embedder) wake() {
	select {
	case e.woken <- struct{}{}:
	default:
	}
}

// errMoved says that the space was dropped, or is no longer one to fill.
var errMoved = errors.New("the space is not to be filled any more")

// Run fills the space until ctx ends. What stands in its way it logs once, and tries again.
func (e *Embedder) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		s, err := e.open(ctx)
		if err == nil && s.State == vectors.Retired {
			err = errors.New("the space of " + s.Identity.String() + " is retired: search uses another one")
		}
		if err != nil {
			e.say(ctx, err)
			e.pause(ctx, lookEvery)
			continue
		}
		e.said = ""
		e.log.Info().Str("model", s.Model).Int("dimensions", s.Dimensions).Int("space", s.ID).Msg("embedding chunks")
		e.space.Store(&s)
		err = e.serve(ctx, s)
		e.space.Store(nil)
		if err != nil && !errors.Is(err, errMoved) && !errors.Is(err, store.ErrNotFound) {
			e.say(ctx, err)
			e.pause(ctx, firstRest)
		}
	}
	return nil
}

func (e *Embedder) open(ctx context.Context) (vectors.Space, error) {
	if err := e.model.Prepare(ctx); err != nil {
		return vectors.Space{}, err
	}
	return e.ledger.Open(ctx, vectors.IdentityOf(e.model.Name(), e.model.Dimensions(), e.model.PrefixVersion()))
}

// say logs why nothing is embedded, once for each reason.
func (e *Embedder) say(ctx context.Context, err error) {
	if ctx.Err() == nil && err.Error() != e.said {
		e.said = err.Error()
		e.log.Warn().Err(err).Msg("chunks are not embedded")
	}
}

func (*Embedder) pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// serve fills one space until ctx ends or the space is not to be filled any more.
func (e *Embedder) serve(ctx context.Context, s vectors.Space) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return e.noteAll(ctx, s) })
	group.Go(func() error { return e.fill(ctx, s) })
	group.Go(func() error { return e.tidy(ctx, s) })
	err := group.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// noteAll looks at all chunks, again and again.
func (e *Embedder) noteAll(ctx context.Context, s vectors.Space) error {
	for ctx.Err() == nil {
		for after := int64(0); ; {
			last, err := e.ledger.NoteNext(ctx, s, after)
			if err != nil {
				return err
			}
			if last == 0 {
				break
			}
			after = last
			e.wake()
			e.fresh.Store(true)
		}
		e.pause(ctx, noteEvery)
	}
	return ctx.Err()
}

// tidy sees to the space: it takes over once it is complete, loses what nobody has any more, and may have
// been dropped or retired by somebody.
func (e *Embedder) tidy(ctx context.Context, s vectors.Space) error {
	swept := time.Now()
	for {
		e.pause(ctx, tidyEvery)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		now, err := e.ledger.Open(ctx, s.Identity)
		if errors.Is(err, vectors.ErrPinned) || err == nil && (now.ID != s.ID || now.State == vectors.Retired) {
			return errMoved
		}
		if err != nil {
			return err
		}
		if e.fresh.Swap(false) {
			if _, err := e.ledger.CopyToArchon(ctx, now); err != nil {
				return err
			}
		}
		if now.State == vectors.Filling {
			if err := e.promote(ctx, now); err != nil {
				return err
			}
		}
		if time.Since(swept) > sweepEvery {
			swept = time.Now()
			if _, err := e.ledger.Sweep(ctx, s); err != nil {
				return err
			}
		}
	}
}

func (e *Embedder) promote(ctx context.Context, s vectors.Space) error {
	done, err := e.ledger.Promote(ctx, s)
	if done && err == nil {
		e.log.Info().Str("model", s.Model).Int("space", s.ID).Msg("the space is complete: search uses it now")
	}
	return err
}

// fill claims texts and embeds them, as many calls at a time as the server is to have. While these are under way, the
// texts of the next ones are claimed and the vectors of the last ones stored, so that the server is never waited for.
func (e *Embedder) fill(ctx context.Context, s vectors.Space) error {
	limits := e.model.Limits()
	group, ctx := errgroup.WithContext(ctx)
	calls := make(chan struct{}, max(limits.Parallel, 1))
	held := make(chan struct{}, 2*cap(calls)) // batches, which bounds memory
	for ctx.Err() == nil {
		if wait := e.untilRested(); wait > 0 {
			e.pause(ctx, wait)
			continue
		}
		select {
		case <-ctx.Done():
			continue
		case held <- struct{}{}:
		}
		list, err := e.claim(ctx, s, max(limits.Batch, 1))
		if err != nil || len(list) == 0 {
			<-held
			if err != nil {
				group.Go(func() error { return err })
				break
			}
			e.idle(ctx)
			continue
		}
		group.Go(func() error {
			defer func() { <-held }()
			return e.embed(ctx, s, list, calls)
		})
	}
	return errors.Join(group.Wait(), ctx.Err())
}

// claim claims texts, to the end: a claim that is cut off may be committed all the same, and its texts would wait for the end of
// a lease of which nobody knows.
func (e *Embedder) claim(ctx context.Context, s vectors.Space, most int) ([]vectors.Pending, error) {
	ctx, end := toTheEnd(ctx)
	defer end()
	return e.ledger.Claim(ctx, s, most, lease)
}

// toTheEnd returns a context that ends only some time after ctx.
func toTheEnd(ctx context.Context) (later context.Context, end func()) {
	later, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(endWithin, cancel) })
	return later, func() { stop(); cancel() }
}

// idle waits for a nudge, or for texts of other processes.
func (e *Embedder) idle(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-e.woken:
	case <-time.After(idleFor):
	}
}

// embed makes the vectors of claimed texts, in one of the calls, and writes down what became of each.
func (e *Embedder) embed(ctx context.Context, s vectors.Space, list []vectors.Pending, calls chan struct{}) error {
	keys, texts := make([]string, len(list)), make([]string, len(list))
	for i, p := range list {
		keys[i], texts[i] = p.Key, p.Text
	}
	release := e.keep(ctx, s, keys)
	defer release()
	results, called, err := e.call(ctx, texts, calls)
	// What became of the texts is written down even if the process is to end: their vectors are paid for.
	late, end := toTheEnd(ctx)
	defer end()
	switch {
	case !called || err != nil && ctx.Err() != nil:
		// Given back, so that the next process, or this one later, need not wait for the lease to end.
		release()
		return e.ledger.Extend(late, s, keys, 0)
	case err != nil:
		return e.ledger.Fail(late, s, e.outage(keys, err))
	}
	e.rested()
	done, failed := judge(s, list, results)
	defer e.fresh.Store(true)
	return errors.Join(e.ledger.Put(late, s, done), e.ledger.Fail(late, s, failed))
}

// keep keeps the lease of claimed texts until the function that it returns is called, once or more often.
func (e *Embedder) keep(ctx context.Context, s vectors.Space, keys []string) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var beat sync.WaitGroup
	beat.Go(func() {
		tick := time.NewTicker(lease / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				// If it cannot be kept, somebody else may embed the texts as well: no harm but the cost.
				late, end := toTheEnd(ctx)
				_ = e.ledger.Extend(late, s, keys, lease)
				end()
			}
		}
	})
	return func() { cancel(); beat.Wait() }
}

// call waits for its turn and calls the model. It does not if the model is to be left in peace by then.
func (e *Embedder) call(ctx context.Context, texts []string, calls chan struct{}) (results []embedding.Result, called bool, err error) {
	select {
	case <-ctx.Done():
		return nil, false, ctx.Err()
	case calls <- struct{}{}:
	}
	defer func() { <-calls }()
	if e.untilRested() > 0 {
		return nil, false, nil
	}
	results, err = e.model.Embed(ctx, embedding.Passage, texts)
	if err == nil && len(results) != len(texts) {
		err = failure.New(failure.EmbeddingProtocol, "%d vectors came for %d texts", len(results), len(texts))
	}
	return results, true, err
}

// judge parts the results into vectors and failures.
func judge(s vectors.Space, list []vectors.Pending, results []embedding.Result) (done []vectors.Vector, failed []vectors.Failure) {
	for i, r := range results {
		err := r.Err
		if err == nil {
			err = s.Check(r.Vector)
		}
		if err == nil {
			done = append(done, vectors.Vector{Key: list[i].Key, Vector: r.Vector, Tokens: r.Tokens})
			continue
		}
		code := failure.CodeOf(err)
		f := vectors.Failure{Key: list[i].Key, Code: code, After: 5 * time.Second << min(list[i].Tries, 6)}
		if at, ok := failure.RetryAt(err); ok {
			f.After, f.Outage = max(time.Until(at), firstRest), true
		} else {
			f.Final = code.Final() && !failure.Doubtful(err) || list[i].Tries+1 >= mostTries
		}
		failed = append(failed, f)
	}
	return done, failed
}

// outage has the server left in peace for a while, longer each time unless it says how long. It is about
// the server, so no text has failed.
func (e *Embedder) outage(keys []string, err error) []vectors.Failure {
	e.mu.Lock()
	first := e.resting == 0
	e.resting = min(max(2*e.resting, firstRest), longestOff)
	wait := e.resting
	if at, ok := failure.RetryAt(err); ok {
		wait = max(time.Until(at), firstRest)
	}
	e.rest = time.Now().Add(wait)
	e.mu.Unlock()
	if first {
		e.log.Warn().Err(err).Msg("the embedding server fails: chunks wait")
	}
	list := make([]vectors.Failure, len(keys))
	for i, key := range keys {
		list[i] = vectors.Failure{Key: key, Code: failure.CodeOf(err), Outage: true}
	}
	return list
}

func (e *Embedder) untilRested() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	return time.Until(e.rest)
}

func (e *Embedder) rested() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.resting > 0 {
		e.log.Info().Msg("the embedding server answers again")
	}
	e.resting = 0
}

package embedder_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/embedder/embedder"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/embedding"
	"github.com/sluicehq/sluice/shared/embedding/embeddingtest"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/service"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/store/storetest"
	"github.com/sluicehq/sluice/shared/store/vectors"
	"github.com/sluicehq/sluice/shared/viewer"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// world is a knowledge base with pages.
type world struct {
	*testing.T
	store *store.Store
	exec  func(sql string)
	is    func(condition string) bool
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s, conn := storetest.OpenVectors(t)
	storetest.AddSource(t, s, "docs")
	exec := func(sql string) {
		_, err := conn.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	is := func(condition string) (met bool) {
		require.NoError(t, conn.QueryRow(t.Context(), `SELECT `+condition).Scan(&met))
		return met
	}
	return &world{t, s, exec, is}
}

func (w *world) write(id string, version int, texts ...string) {
	w.Helper()
	storetest.Write(w.T, w.store, storetest.Page("docs", "", id, version, "Page "+id, texts...))
}

func stored(id string, n int) event.PageStored {
	return event.PageStored{SourceID: "docs", RunID: fmt.Sprint("run-", n), PageID: id, Version: n, Title: "Page " + id, Outcome: event.Updated, Attempt: 1, At: time.Now().UTC()}
}

// runs runs an embedder, and returns what stops it.
func (w *world) runs(e *embedder.Embedder) (stop func()) {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(w, <-ended)
	})
	w.Cleanup(stop)
	return stop
}

func (w *world) embedder(m embedding.Model) *embedder.Embedder {
	return embedder.New(w.store.Vectors(), m, zerolog.Nop())
}

// counts is the ledger of the space that is searched.
func (w *world) counts() vectors.Count {
	w.Helper()
	s, ok, err := w.store.Vectors().Active(w.Context())
	require.NoError(w, err)
	if !ok {
		return vectors.Count{}
	}
	return w.of(s)
}

func (w *world) of(s vectors.Space) vectors.Count {
	w.Helper()
	ledger, err := w.store.Vectors().Ledger(w.Context(), viewer.All(), s)
	require.NoError(w, err)
	total := vectors.Total(ledger)
	require.Equal(w, total.Chunks, total.Embedded+total.Pending+total.AllFailed(), "the ledger balances")
	return total
}

func (w *world) until(what string, done func() bool) {
	w.Helper()
	require.Eventually(w, done, 30*time.Second, 20*time.Millisecond, what)
}

func (w *world) embedded(n int) {
	w.Helper()
	w.until(fmt.Sprint(n, " chunks are embedded"), func() bool { return w.counts().Embedded == n })
}

func TestSuite(t *testing.T) {
	w := newWorld(t)
	e := w.embedder(&embeddingtest.Model{})
	w.runs(e)
	bustest.Suite(t, bustest.Stage{
		Consumer: bus.Embed,
		Handler:  func(*bus.Bus) bus.Handler { return service.Steered(e.Handle) },
		Options:  []bus.ConsumeOption{bus.OnPermanent(embedder.GiveUp)},
		Event:    func(n int) event.Event { return stored("7001", n) },
	})
}

// handle hands an event to an embedder.
func (w *world) handle(e *embedder.Embedder, id string, n int) {
	w.Helper()
	kit := bustest.New(w.T)
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(w.Context())
	go func() {
		_ = kit.Bus.Consume(ctx, bus.Embed, func(ctx context.Context, d bus.Delivery) error {
			err := e.Handle(ctx, d)
			done <- err
			return err
		})
	}()
	kit.Publish(stored(id, n))
	require.NoError(w, <-done)
	cancel()
}

func TestATextIsEmbeddedOnce(t *testing.T) {
	w, m := newWorld(t), &embeddingtest.Model{}
	w.write("1", 1, "alpha", "beta", "gamma")
	e := w.embedder(m)
	w.runs(e)
	w.embedded(3)
	require.ElementsMatch(t, []string{"Page 1\n\nalpha", "Page 1\n\nbeta", "Page 1\n\ngamma"}, m.Texts())

	// The same message twice, then an edit of one word.
	w.handle(e, "1", 1)
	w.write("1", 2, "alpha", "beta", "gamma changed")
	require.Equal(t, 2, w.counts().Embedded)
	require.Equal(t, 1, w.counts().Pending)
	w.handle(e, "1", 2)
	w.embedded(3)
	require.Equal(t, "Page 1\n\ngamma changed", m.Texts()[3])
	require.Len(t, m.Texts(), 4)

	// The same text in another place, and a page that comes back.
	twice := storetest.Page("docs", "", "2", 1, "Page 1", "alpha", "delta")
	storetest.Write(t, w.store, twice)
	w.handle(e, "2", 1)
	w.embedded(5)
	require.Equal(t, "Page 1\n\ndelta", m.Texts()[4])
	require.Len(t, m.Texts(), 5)

	// Another title is another text for every chunk of the page.
	renamed := storetest.Page("docs", "", "2", 2, "Page 1", "alpha", "delta")
	for i := range renamed.Chunks {
		renamed.Chunks[i].Metadata.Title, renamed.Chunks[i].Metadata.HeadingPath = "Renamed", []string{"Renamed"}
	}
	storetest.Write(t, w.store, renamed)
	w.handle(e, "2", 2)
	w.embedded(5)
	require.ElementsMatch(t, []string{"Renamed\n\nalpha", "Renamed\n\ndelta"}, m.Texts()[5:])
}

// slowStore is a ledger whose vectors are stored only after the model was called again.
type slowStore struct {
	*vectors.Vectors
	again chan struct{}
}

func (l slowStore) Put(ctx context.Context, s vectors.Space, list []vectors.Vector) error {
	select {
	case <-l.again:
	case <-ctx.Done():
		return ctx.Err()
	}
	return l.Vectors.Put(ctx, s, list)
}

// What the server gives is all that an embedder needs: it is called while vectors are stored and texts claimed.
func TestTheServerDoesNotWaitForTheDatabase(t *testing.T) {
	w, again, calls := newWorld(t), make(chan struct{}), atomic.Int32{}
	w.write("1", 1, "alpha", "beta")
	m := &embeddingtest.Model{Bounds: embedding.Limits{Batch: 1, Parallel: 1}, Fail: func([]string) error {
		if calls.Add(1) == 2 {
			close(again)
		}
		return nil
	}}
	w.runs(embedder.New(slowStore{w.store.Vectors(), again}, m, zerolog.Nop()))
	w.embedded(2)
	require.Len(t, m.Texts(), 2)
}

func TestWhatFailsIsCountedAndTriedAgain(t *testing.T) {
	w := newWorld(t)
	w.write("1", 1, "good", "long", "refused once", "not a number")
	var refused atomic.Int64
	m := &faulty{Model: embeddingtest.Model{FailText: func(text string) error {
		switch {
		case strings.HasSuffix(text, "long"):
			return failure.New(failure.EmbeddingTooLong, "too long")
		case strings.HasSuffix(text, "once") && refused.Add(1) == 1:
			return failure.Later(failure.New(failure.EmbeddingUnavailable, "half a batch"), time.Millisecond)
		}
		return nil
	}}}
	m.spoil = func(text string, v []float32) []float32 {
		if strings.HasSuffix(text, "number") {
			v[0] = float32(math.NaN())
		}
		return v
	}
	stop := w.runs(w.embedder(m))
	w.until("one failed, one comes", func() bool { c := w.counts(); return c.Failed[failure.EmbeddingTooLong] == 1 && c.Embedded == 2 })
	code, texts, err := w.store.Vectors().Trouble(t.Context(), w.active())
	require.NoError(t, err)
	require.Equal(t, []any{failure.EmbeddingProtocol, 1}, []any{code, texts})
	stop()

	// After five tries it is given up; when somebody asks, it is tried again.
	m.spoil = nil
	w.exec(`UPDATE confluence_texts SET tries = 4, due_at = now() WHERE state = 'pending'`)
	m.spoil = func(_ string, v []float32) []float32 { return make([]float32, len(v)) } // zeros
	stop = w.runs(w.embedder(m))
	w.until("it is given up", func() bool { return w.counts().Failed[failure.EmbeddingProtocol] == 1 })
	stop()
	m.spoil = nil
	n, err := w.store.Vectors().Retry(t.Context(), w.active())
	require.NoError(t, err)
	require.Equal(t, 2, n)
	w.runs(w.embedder(m))
	w.embedded(3)
	require.True(t, w.is(`NOT EXISTS (SELECT FROM `+vectors.Table(w.active().ID)+` WHERE abs(l2_norm(embedding) - 1) > 0.01)`), "no zeros, no half ones")
}

func (w *world) active() vectors.Space {
	w.Helper()
	s, ok, err := w.store.Vectors().Active(w.Context())
	require.NoError(w, err)
	require.True(w, ok)
	return s
}

// faulty spoils vectors.
type faulty struct {
	embeddingtest.Model
	spoil func(text string, v []float32) []float32
}

func (m *faulty) Embed(ctx context.Context, kind embedding.Kind, texts []string) ([]embedding.Result, error) {
	list, err := m.Model.Embed(ctx, kind, texts)
	for i := range list {
		if m.spoil != nil && list[i].Err == nil {
			list[i].Vector = m.spoil(texts[i], list[i].Vector)
		}
	}
	return list, err
}

func TestAnOutageCostsTimeAndNoText(t *testing.T) {
	w := newWorld(t)
	var texts []string
	for i := range 40 {
		texts = append(texts, fmt.Sprint("text ", i))
	}
	w.write("1", 1, texts...)
	var away atomic.Bool
	away.Store(true)
	m := &embeddingtest.Model{Fail: func([]string) error {
		if away.Load() {
			return failure.Later(failure.New(failure.EmbeddingUnavailable, "429"), time.Second)
		}
		return nil
	}}
	w.runs(w.embedder(m))
	w.until("the ledger says why", func() bool {
		s, ok, err := w.store.Vectors().Active(t.Context())
		if err != nil || !ok {
			return false
		}
		code, _, err := w.store.Vectors().Trouble(t.Context(), s)
		return err == nil && code == failure.EmbeddingUnavailable
	})
	require.Equal(t, 40, w.counts().Pending)
	calls := m.Calls()
	require.LessOrEqual(t, calls, 4, "the server is left in peace")
	away.Store(false)
	w.embedded(40)
}

func TestAnotherModelFillsBesideAndTakesOver(t *testing.T) {
	w := newWorld(t)
	w.write("1", 1, "alpha", "beta")
	stop := w.runs(w.embedder(&embeddingtest.Model{}))
	w.embedded(2)
	old := w.active()

	// Another model in the settings changes nothing by itself.
	other := &embeddingtest.Model{ModelName: "other", Dims: 32}
	_, err := w.store.Vectors().Open(t.Context(), vectors.IdentityOf("other", 32, 0))
	require.ErrorIs(t, err, vectors.ErrPinned)
	require.ErrorContains(t, err, "sluice embeddings switch")

	// It is meant to: the old one goes on for as long as the new one is not complete.
	hold := make(chan struct{})
	other.Fail = func([]string) error { <-hold; return nil }
	space, err := w.store.Vectors().Switch(t.Context(), vectors.IdentityOf("other", 32, 0))
	require.NoError(t, err)
	require.Equal(t, vectors.Filling, space.State)
	stopOther := w.runs(w.embedder(other))
	w.until("it works", func() bool { return other.Calls() > 0 })
	w.write("2", 1, "gamma") // in mid-run
	now, err := w.store.Vectors().Promote(t.Context(), space)
	require.NoError(t, err)
	require.False(t, now)
	require.Equal(t, old.ID, w.active().ID)
	stop() // the embedder of the old model
	close(hold)
	w.until("it is complete", func() bool {
		if w.of(space).Embedded < 2 {
			return false
		}
		for after := int64(-1); after != 0; {
			after, err = w.store.Vectors().NoteNext(t.Context(), space, max(after, 0))
			require.NoError(t, err)
		}
		now, err := w.store.Vectors().Promote(t.Context(), space)
		return err == nil && now
	})
	require.Equal(t, "other", w.active().Model)
	require.Equal(t, 3, w.counts().Embedded)
	stopOther()

	// The old one can come back, and what nobody needs goes.
	require.ErrorIs(t, w.store.Vectors().Drop(t.Context(), space.ID, false), vectors.ErrActive)
	require.NoError(t, w.store.Vectors().Drop(t.Context(), old.ID, false))
	require.ErrorIs(t, w.store.Vectors().Drop(t.Context(), old.ID, false), store.ErrNotFound)
	require.NoError(t, w.store.Vectors().Drop(t.Context(), space.ID, true))
	require.Equal(t, vectors.Count{}, w.counts())
}

// Without a model the stage opens nothing.
func TestWithoutAModelTheStageIdles(t *testing.T) {
	env := config.Read(embedder.Stage().Program(), func(string) (string, bool) { return "", false })
	host := service.NewHost(service.HostOptions{Name: "embedder", Log: zerolog.Nop(), Env: env})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx, host, time.Minute, embedder.Stage()) }()
	cancel()
	require.NoError(t, <-ended)
	require.False(t, errors.Is(ctx.Err(), nil))
}

// The stage as a process runs it, with a server that is busy at first and then has no numbers for one
// text; what it embeds, a search by meaning in another process finds.
func TestFromAServerToAnAnswer(t *testing.T) {
	address := pgtest.MigratedVectorURL(t)
	s, err := store.Open(t.Context(), address)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	storetest.AddSource(t, s, "docs")
	storetest.Write(t, s, storetest.Page("docs", "", "1", 1, "Storage", "persist state", "spoiled", "wholly else"))
	server, kit := embeddingtest.NewServer(t), bustest.New(t)
	var busy, spoiled atomic.Int64
	server.Fault = func(_ int, texts []string, w http.ResponseWriter, _ *http.Request) bool {
		if strings.HasPrefix(texts[0], "Storage") && busy.Add(1) == 1 {
			w.Header().Set("Retry-After", "0")
			embeddingtest.Refuse(w, http.StatusTooManyRequests, "busy")
			return true
		}
		if len(texts) > 1 && spoiled.Add(1) == 1 { // half a batch
			answer := embeddingtest.Answer{Data: []embeddingtest.Item{{Index: 0, Embedding: make([]float32, 64)}}}
			_ = json.NewEncoder(w).Encode(answer)
			return true
		}
		return false
	}
	given := map[string]string{"DATABASE_URL": address, "NATS_URL": kit.URL(), "EMBEDDINGS_URL": server.URL, "EMBEDDINGS_MODEL": "words"}
	host := func() *service.Host {
		h := service.NewHost(service.HostOptions{
			Name: "embedder", Log: zerolog.Nop(),
			Env: config.Read(embedder.Stage().Program(), func(name string) (string, bool) { v, ok := given[name]; return v, ok }),
		})
		t.Cleanup(h.Close)
		return h
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx, host(), time.Minute, embedder.Stage()) }()
	w := &world{T: t, store: s}
	w.embedded(3)
	storetest.Write(t, s, storetest.Page("docs", "", "2", 1, "Later", "and more"))
	kit.Publish(stored("2", 1))
	w.embedded(4)
	cancel()
	require.NoError(t, <-ended)

	other, err := host().Store(t.Context())
	require.NoError(t, err)
	answer, err := other.Searcher().Explain(t.Context(), viewer.All(), "storage persist state", search.Filter{})
	require.NoError(t, err)
	require.Empty(t, answer.WordsOnly)
	require.Contains(t, fmt.Sprint(answer.Legs[0]), "vectors 1")
}

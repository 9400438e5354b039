package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/lab/bench/report"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/embedding"
	"github.com/sluicehq/sluice/shared/embedding/embeddingtest"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store/vectors"
	"github.com/sluicehq/sluice/shared/viewer"
)

const (
	modelTakes    = 150 * time.Millisecond // for a call, however many texts it has
	modelBatch    = 32
	modelParallel = 4
)

// model is a server that makes vectors, and takes as long for each call as one with a graphics card.
type model struct {
	url string
	srv *http.Server

	mu          sync.Mutex
	texts       []string
	tokens      int
	first, last time.Time // a call came, an answer left
}

func startModel() (*model, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("find a port for the model: %w", err)
	}
	m := &model{url: "http://" + l.Addr().String() + "/v1"}
	m.srv = &http.Server{Handler: m, ReadHeaderTimeout: time.Minute}
	go func() { _ = m.srv.Serve(l) }() // until it is closed
	return m, nil
}

func (m *model) close() { _ = m.srv.Close() }

func (m *model) env() []string {
	return []string{"EMBEDDINGS_URL=" + m.url, "EMBEDDINGS_MODEL=bench", fmt.Sprint("EMBEDDINGS_BATCH=", modelBatch), fmt.Sprint("EMBEDDINGS_PARALLEL=", modelParallel),
		"EMBEDDINGS_MAX_TOKENS=8192"}
}

func (m *model) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	came := time.Now()
	var call struct{ Input []string }
	if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
		embeddingtest.Refuse(w, http.StatusBadRequest, "not JSON")
		return
	}
	answer := embeddingtest.NewAnswer(call.Input, madeUp)
	select {
	case <-time.After(time.Until(came.Add(modelTakes))):
	case <-r.Context().Done():
		return
	}
	embeddingtest.Reply(w, answer)
	if len(call.Input) > 0 && embeddingtest.IsProbe(call.Input[0]) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.first.IsZero() {
		m.first = came
	}
	m.texts, m.tokens, m.last = append(m.texts, call.Input...), m.tokens+answer.Usage.TotalTokens, time.Now()
}

// forget returns what was embedded since the last call.
func (m *model) forget() (texts []string, tokens int, took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	texts, tokens, took = m.texts, m.tokens, m.last.Sub(m.first)
	m.texts, m.tokens, m.first = nil, 0, time.Time{}
	return texts, tokens, took
}

// embeds measures a first sync until each chunk has its vector, the embedder's rate, and what a one-word edit costs.
func (b *bench) embeds(ctx context.Context, w *world, m *model) error {
	r := report.Embeds{Pages: w.layout.pages, Batch: modelBatch, Parallel: modelParallel, Call: modelTakes}
	began := time.Now()
	full, err := w.firstSync(ctx)
	if err != nil {
		return err
	}
	r.Chunks, r.Synced = full.Chunks, full.Took
	if err := w.embedded(ctx); err != nil {
		return err
	}
	r.Searchable = time.Since(began)
	texts, _, _ := m.forget()
	r.Texts = len(texts)

	// The same again, with everything waiting.
	if err := w.stop("embedder"); err != nil {
		return err
	}
	if err := w.dropSpaces(ctx); err != nil {
		return err
	}
	if err := w.startStage(ctx, "embedder"); err != nil {
		return err
	}
	if err := w.embedded(ctx); err != nil {
		return err
	}
	_, _, r.Embedder = m.forget()
	if r.Server, err = m.alone(ctx, texts); err != nil {
		return err
	}

	if err := w.changeWords(ctx, 0); err != nil {
		return err
	}
	end, _, err := w.sync(ctx, source, event.Incremental)
	if err != nil {
		return err
	}
	if err := w.embedded(ctx); err != nil {
		return err
	}
	texts, r.EditTokens, _ = m.forget()
	r.Edits, r.EditTexts = end.Counts.Updated, len(texts)
	b.say("%d texts: searchable after %s, of these %s for the sync; embedder %s, server alone %s; %d edits: %d texts, %d tokens", r.Texts,
		r.Searchable.Round(time.Millisecond), r.Synced.Round(time.Millisecond), r.Embedder.Round(time.Millisecond), r.Server.Round(time.Millisecond), r.Edits, r.EditTexts, r.EditTokens)
	b.r.Embeds = append(b.r.Embeds, r)
	return nil
}

// alone has the server embed the texts, with nothing else to do.
func (m *model) alone(ctx context.Context, texts []string) (time.Duration, error) {
	client, err := embedding.Open(config.Embeddings{EmbeddingsURL: m.url, EmbeddingsModel: "bench", EmbeddingsBatch: modelBatch, EmbeddingsParallel: modelParallel, EmbeddingsMaxTokens: 8192})
	if err != nil {
		return 0, err
	}
	defer client.Close()
	if err := client.Prepare(ctx); err != nil {
		return 0, err
	}
	m.forget()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(modelParallel)
	for len(texts) > 0 {
		some := texts[:min(modelBatch, len(texts))]
		texts = texts[len(some):]
		group.Go(func() error {
			_, err := client.Embed(ctx, embedding.Passage, some)
			return err
		})
	}
	err = group.Wait()
	_, _, took := m.forget()
	return took, err
}

// embedded waits until each chunk has its vector.
func (w *world) embedded(ctx context.Context) error {
	ctx, cancel := w.whileAllRun(ctx)
	defer cancel()
	for {
		space, there, err := w.store.Vectors().Active(ctx)
		if err != nil {
			return err
		}
		if there {
			ledger, err := w.store.Vectors().Ledger(ctx, viewer.All(), space)
			if err != nil {
				return err
			}
			all := vectors.Total(ledger)
			if all.AllFailed() > 0 {
				return fmt.Errorf("%d chunks failed to be embedded", all.AllFailed())
			}
			if all.Chunks > 0 && all.Pending == 0 {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for vectors: %w", context.Cause(ctx))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (w *world) dropSpaces(ctx context.Context) error {
	list, err := w.store.Vectors().Spaces(ctx)
	if err != nil {
		return err
	}
	for _, s := range list {
		if err := w.store.Vectors().Drop(ctx, s.ID, true); err != nil {
			return err
		}
	}
	return nil
}

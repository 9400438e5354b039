package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/embedding/embeddingtest"
)

const (
	modelBatch    = 8
	modelParallel = 2
	// A chunk whose page.stored was lost with the broker's store is found when an embedder looks at all chunks.
	vectorPatience = 6 * time.Minute
)

// modelServer is the server that makes vectors, and what it was asked.
type modelServer struct {
	*embeddingtest.Server

	mu       sync.Mutex
	rng      *rand.Rand
	fails    bool
	failed   map[string]int // answers by the kind of their fault
	answered map[string]int // how often each text was answered with its vector
}

// startModel starts the server. A third of its answers are wrong until it is calmed.
func (w *world) startModel() {
	m := &modelServer{Server: embeddingtest.NewServer(w.t), rng: w.plan.random(3), fails: true, failed: map[string]int{}, answered: map[string]int{}}
	m.Fault = m.fault
	w.model = m
}

// env is the environment of an embedder with the model.
func (m *modelServer) env() []string {
	return []string{
		"EMBEDDINGS_URL=" + m.URL, "EMBEDDINGS_MODEL=torture",
		fmt.Sprint("EMBEDDINGS_BATCH=", modelBatch), fmt.Sprint("EMBEDDINGS_PARALLEL=", modelParallel),
	}
}

func (m *modelServer) calm() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fails = false
}

// fault decides about one call. A server that is slow answers in the end.
func (m *modelServer) fault(_ int, texts []string, w http.ResponseWriter, r *http.Request) bool {
	m.mu.Lock()
	kind, slow := "", time.Duration(0)
	if m.fails {
		kind = pick(m.rng, "away", "slow", "busy", "broken", "dimensions", "no number", "zeros", "half", "truncated", "page",
			"", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "")
		slow = between(m.rng, 100*time.Millisecond, 2*time.Second)
	}
	if kind == "" || kind == "slow" {
		for _, text := range texts {
			if !embeddingtest.IsProbe(text) {
				m.answered[text]++
			}
		}
	}
	if kind != "" {
		m.failed[kind]++
	}
	m.mu.Unlock()
	answer := func() embeddingtest.Answer { return embeddingtest.NewAnswer(texts, m.Dims) }
	switch kind {
	case "slow":
		pause(r.Context(), slow)
		return false
	case "away":
		panic(http.ErrAbortHandler)
	case "busy":
		w.Header().Set("Retry-After", "1")
		embeddingtest.Refuse(w, http.StatusTooManyRequests, "rate limit")
	case "broken":
		embeddingtest.Refuse(w, http.StatusInternalServerError, "out of memory")
	case "dimensions":
		embeddingtest.Reply(w, embeddingtest.NewAnswer(texts, m.Dims-1))
	case "no number":
		_, _ = w.Write([]byte(`{"data":[{"index":0,"embedding":[NaN,1e999]}]}`))
	case "zeros":
		a := answer()
		clear(a.Data[len(a.Data)-1].Embedding)
		embeddingtest.Reply(w, a)
	case "half":
		a := answer()
		a.Data = a.Data[:len(a.Data)/2]
		embeddingtest.Reply(w, a)
	case "truncated":
		_, _ = w.Write([]byte(`{"data":[{"index":0,"embedding":[0.1,`))
	case "page":
		_, _ = w.Write([]byte(`<html>Please log in</html>`))
	default:
		return false
	}
	return true
}

// vectorZeros must each be zero once nothing waits.
var vectorZeros = map[string]string{
	"chunks that are neither embedded nor failed": `SELECT count(*) FROM archon_crawled_pages c WHERE NOT EXISTS (
		SELECT FROM confluence_chunk_texts t JOIN confluence_texts x USING (space_id, key) WHERE t.chunk_id = c.id AND x.state IN ('embedded', 'failed'))`,
	"chunks that failed": `SELECT count(*) FROM confluence_chunk_texts t JOIN confluence_texts x USING (space_id, key) WHERE x.state = 'failed'`,
	"embedded texts without a vector": `SELECT count(*) FROM confluence_texts x WHERE state = 'embedded' AND NOT EXISTS (
		SELECT FROM confluence_vectors_1 v WHERE v.key = x.key)`,
	"vectors that no embedded text has": `SELECT count(*) FROM confluence_vectors_1 v WHERE NOT EXISTS (
		SELECT FROM confluence_texts x WHERE v.key = x.key AND state = 'embedded')`,
	"vectors that are not of length 1": `SELECT count(*) FROM confluence_vectors_1 WHERE abs(l2_norm(embedding) - 1) > 0.01`,
	"spaces that are not the first":    `SELECT count(*) FROM confluence_vector_spaces WHERE space_id <> 1 OR state <> 'active'`,
}

// compareVectors waits until nothing is pending, and checks that each chunk has its vector, and that no text was
// embedded again without a crash that explains it.
func (w *world) compareVectors(ctx context.Context) {
	if w.model == nil {
		return
	}
	count := func(sql string) (n int) {
		if err := w.query(ctx, sql, nil, func(r pgx.Rows) error { return r.Scan(&n) }); err != nil {
			w.wrong("cannot look at the vectors: %v", err)
			return -1
		}
		return n
	}
	began := time.Now()
	for deadline := began.Add(vectorPatience); count(vectorZeros["chunks that are neither embedded nor failed"]) != 0; {
		if !pause(ctx, 300*time.Millisecond) || time.Now().After(deadline) {
			break
		}
	}
	for what, sql := range vectorZeros {
		if n := count(sql); n != 0 {
			w.wrong("%d %s", n, what)
		}
	}
	w.model.mu.Lock()
	defer w.model.mu.Unlock()
	again := 0
	for _, n := range w.model.answered {
		again += n - 1
	}
	// What was on its way when an embedder or the database was killed is lost, and may be embedded again: an embedder
	// stores as many batches as it has calls under way.
	most := (w.embedderKills() + w.result.blows[killPostgres]*embedders()) * 2 * modelBatch * modelParallel
	w.t.Logf("vectors: %d texts embedded, %d of them again (%d may be, for the crashes); pending for %s at the end; wrong answers: %v",
		len(w.model.answered), again, most, time.Since(began).Round(time.Second), w.model.failed)
	if again > most {
		w.wrong("%d texts were embedded again, and the crashes explain %d", again, most)
	}
}

// embedders is the number of replicas of the embedder.
func embedders() (n int) {
	for _, name := range replicas {
		if name == "embedder" {
			n++
		}
	}
	return n
}

// embedderKills counts the starts of embedders after their first.
func (w *world) embedderKills() (n int) {
	for i, p := range w.stages {
		if replicas[i] == "embedder" {
			p.mu.Lock()
			n += p.starts - 1
			p.mu.Unlock()
		}
	}
	return n
}

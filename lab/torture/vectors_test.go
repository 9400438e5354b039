package torture

import (
	"context"
	"fmt"
	"maps"
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

// modelServer is a server that makes vectors, and what it was asked.
type modelServer struct {
	*embeddingtest.Server
	name string // of its model

	mu       sync.Mutex
	rng      *rand.Rand
	fails    bool
	failed   map[string]int // answers by the kind of their fault
	answered map[string]int // how often each text was answered with its vector
}

// startModel starts a server with a model. A third of its answers are wrong until it is calmed.
func (w *world) startModel(name string, use uint64) *modelServer {
	m := &modelServer{Server: embeddingtest.NewServer(w.t), name: name, rng: w.plan.random(use), fails: true, failed: map[string]int{}, answered: map[string]int{}}
	m.Fault = m.fault
	return m
}

// env is the environment of an embedder with the model.
func (m *modelServer) env() []string {
	return []string{
		"EMBEDDINGS_URL=" + m.URL, "EMBEDDINGS_MODEL=" + m.name,
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

// vectorZeros must each be zero once nothing waits. Each space, the one that was replaced too, has the vectors that its
// ledger says, and the last model's has all.
var vectorZeros = map[string]string{
	"chunks that are neither embedded nor failed": `SELECT count(*) FROM archon_crawled_pages c WHERE NOT EXISTS (
		SELECT FROM confluence_chunk_texts t JOIN confluence_texts x USING (space_id, key)
		WHERE t.chunk_id = c.id AND t.space_id = (SELECT space_id FROM confluence_vector_spaces WHERE model = '` + secondModel + `') AND x.state IN ('embedded', 'failed'))`,
	"chunks that failed":                        `SELECT count(*) FROM confluence_chunk_texts t JOIN confluence_texts x USING (space_id, key) WHERE x.state = 'failed'`,
	"spaces of another model that are searched": `SELECT count(*) FROM confluence_vector_spaces WHERE (model = '` + secondModel + `') <> (state = 'active')`,
	"spaces too few or too many":                `SELECT abs(count(*) - 2) FROM confluence_vector_spaces`,
}

// spaceZeros are the same of one space.
func spaceZeros(space int) map[string]string {
	return map[string]string{
		"embedded texts without a vector": fmt.Sprintf(`SELECT count(*) FROM confluence_texts x WHERE space_id = %[1]d AND state = 'embedded' AND NOT EXISTS (
			SELECT FROM confluence_vectors_%[1]d v WHERE v.key = x.key)`, space),
		"vectors that no embedded text has": fmt.Sprintf(`SELECT count(*) FROM confluence_vectors_%[1]d v WHERE NOT EXISTS (
			SELECT FROM confluence_texts x WHERE space_id = %[1]d AND v.key = x.key AND state = 'embedded')`, space),
		"vectors that are not of length 1": fmt.Sprintf(`SELECT count(*) FROM confluence_vectors_%d WHERE abs(l2_norm(embedding) - 1) > 0.01`, space),
	}
}

// compareVectors waits until nothing is pending and the second model is searched, and checks that each chunk has its vector,
// and that no text was embedded again without a crash that explains it.
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
	waiting := func() (n int) {
		for _, sql := range vectorZeros {
			n += count(sql)
		}
		return n
	}
	began := time.Now()
	for deadline := began.Add(vectorPatience); waiting() != 0; {
		if !pause(ctx, 300*time.Millisecond) || time.Now().After(deadline) {
			break
		}
	}
	w.t.Logf("vectors: pending for %s at the end", time.Since(began).Round(time.Second))
	checks := maps.Clone(vectorZeros)
	err := w.query(ctx, `SELECT space_id, model FROM confluence_vector_spaces`, nil, func(r pgx.Rows) error {
		var id int
		var model string
		err := r.Scan(&id, &model)
		for what, sql := range spaceZeros(id) {
			checks[what+", of "+model] = sql
		}
		return err
	})
	if err != nil {
		w.wrong("cannot look at the spaces: %v", err)
	}
	for what, sql := range checks {
		if n := count(sql); n != 0 {
			w.wrong("%d %s", n, what)
		}
	}
	w.embeddedAgain()
}

// embeddedAgain checks that no text was embedded again without a crash that explains it.
func (w *world) embeddedAgain() {
	// What was on its way when an embedder or the database was killed is lost, and may be embedded again: an embedder
	// stores as many batches as it has calls under way.
	most := (w.embedderKills() + w.result.blows[killPostgres]*embedders()) * 2 * modelBatch * modelParallel
	again := 0
	for _, m := range []*modelServer{w.model, w.second} {
		m.mu.Lock()
		mine := 0
		for _, n := range m.answered {
			mine += n - 1
		}
		w.t.Logf("vectors of %s: %d texts embedded, %d of them again; wrong answers: %v", m.name, len(m.answered), mine, m.failed)
		again += mine
		m.mu.Unlock()
	}
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

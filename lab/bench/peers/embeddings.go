package peers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/sluicehq/sluice/lab/bench/site"
	"github.com/sluicehq/sluice/shared/embedding/embeddingtest"
)

// The server that makes vectors, the same for all: as quick as a small model on a graphics card.
const (
	dimensions    = 384
	modelBatch    = 128 // texts a call, at the most
	modelParallel = 4   // calls at a time; others wait
	modelCall     = 10 * time.Millisecond
	modelWord     = 10 * time.Microsecond // in addition, for each word
)

// asked is what a server that makes vectors was asked.
type asked struct{ Calls, Texts, Words int }

// model is a server with OpenAI's API for embeddings.
type model struct {
	lanes chan struct{}
	mu    sync.Mutex
	asked asked
}

// ServeEmbeddings serves vectors until ctx ends and writes the address to out. GET /asked is what the server was asked
// since the last POST /forget.
func ServeEmbeddings(ctx context.Context, out io.Writer) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("serve vectors: %w", err)
	}
	m := &model{lanes: make(chan struct{}, modelParallel)}
	routes := http.NewServeMux()
	routes.HandleFunc("POST /v1/embeddings", m.embed)
	routes.HandleFunc("GET /asked", func(w http.ResponseWriter, _ *http.Request) {
		m.mu.Lock()
		defer m.mu.Unlock()
		embeddingtest.Reply(w, m.asked)
	})
	routes.HandleFunc("POST /forget", func(http.ResponseWriter, *http.Request) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.asked = asked{}
	})
	srv := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: routes}
	defer context.AfterFunc(ctx, func() { _ = srv.Close() })()
	fmt.Fprintln(out, "http://"+listener.Addr().String())
	if err := srv.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve vectors: %w", err)
	}
	return nil
}

func (m *model) embed(w http.ResponseWriter, r *http.Request) {
	var call struct{ Input []string }
	if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
		embeddingtest.Refuse(w, http.StatusBadRequest, "input is not a list of texts")
		return
	}
	if len(call.Input) > modelBatch {
		embeddingtest.Refuse(w, http.StatusUnprocessableEntity, fmt.Sprintf("%d texts are more than %d", len(call.Input), modelBatch))
		return
	}
	select {
	case m.lanes <- struct{}{}:
	case <-r.Context().Done():
		return
	}
	began := time.Now()
	answer := embeddingtest.NewAnswer(call.Input, dimensions)
	words := answer.Usage.TotalTokens
	select {
	case <-time.After(time.Until(began.Add(modelCall + time.Duration(words)*modelWord))):
	case <-r.Context().Done():
	}
	<-m.lanes
	m.mu.Lock()
	m.asked.Calls, m.asked.Texts, m.asked.Words = m.asked.Calls+1, m.asked.Texts+len(call.Input), m.asked.Words+words
	m.mu.Unlock()
	embeddingtest.Reply(w, answer)
}

// embeddings is such a server as its callers see it.
type embeddings struct{ site.Site }

// api is the address for a client of OpenAI's API.
func (e embeddings) api() string { return e.URL + "/v1" }

func (e embeddings) forget(ctx context.Context) error {
	return e.Ask(ctx, http.MethodPost, "/forget", nil, nil)
}

func (e embeddings) asked(ctx context.Context) (asked, error) {
	var a asked
	return a, e.Ask(ctx, http.MethodGet, "/asked", nil, &a)
}

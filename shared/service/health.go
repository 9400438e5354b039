package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Health serves /healthz, which answers while the process lives, and /readyz, which answers 200 once the
// process has started and all servers that it needs answer too. A nil Health records nothing.
type Health struct {
	mu     sync.Mutex
	ready  bool
	waits  []string // what is waited for while the process starts, the newest last
	names  []string
	checks map[string]func(context.Context) error
}

// NewHealth returns the page of a process that is starting: not ready.
func NewHealth() *Health { return &Health{checks: map[string]func(context.Context) error{}} }

// Check adds a check that must pass for the process to be ready.
func (h *Health) Check(name string, check func(context.Context) error) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.names = append(h.names, name)
	h.checks[name] = check
}

// Ready says that the process has started.
func (h *Health) Ready() {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ready = true
}

// waiting says what the process waits for, until the returned function is called.
func (h *Health) waiting(what string) (done func()) {
	if h == nil {
		return func() {}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waits = append(h.waits, what)
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		i := slices.Index(h.waits, what)
		h.waits = slices.Delete(h.waits, i, i+1)
	}
}

// Serve listens on addr until the returned function is called. An empty addr serves nothing.
func (h *Health) Serve(addr string, log zerolog.Logger) (stop func(), err error) {
	if addr == "" {
		return func() {}, nil
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("serve the health page (HEALTH_ADDR=%s; another service may have the port, an empty value turns the page off): %w", addr, err)
	}
	srv := &http.Server{Handler: h.handler(), ReadHeaderTimeout: 5 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := srv.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error().Err(err).Msg("health page ended")
		}
	}()
	return func() { _ = srv.Close(); <-done }, nil
}

func (h *Health) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", h.serveReady)
	return mux
}

func (h *Health) serveReady(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.ready {
		what := "the servers that this service needs"
		if len(h.waits) > 0 {
			what = h.waits[len(h.waits)-1]
		}
		http.Error(w, "starting: waiting for "+what, http.StatusServiceUnavailable)
		return
	}
	for _, name := range h.names {
		if err := h.checks[name](ctx); err != nil {
			// The error may name addresses; the page says only which part is wrong.
			http.Error(w, name+" does not answer", http.StatusServiceUnavailable)
			return
		}
	}
	_, _ = io.WriteString(w, "ready\n")
}

// AskHealth returns nil when the service that listens on addr is ready.
func AskHealth(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return errors.New("HEALTH_ADDR is empty or not an address: there is no health page to ask")
	}
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		return fmt.Errorf("ask for health: %w", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask for health: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 200))
		return fmt.Errorf("not ready: %s", text)
	}
	return nil
}

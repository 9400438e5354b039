package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	stdlog "log"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/services/gateway/console"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
)

// Record is what the API needs of the database besides Control.
type Record interface {
	Ping(ctx context.Context) error
}

// Bus is what the API needs of the broker.
type Bus interface {
	FollowProgress(ctx context.Context, sourceID, runID string) iter.Seq2[event.Progress, error]
	Healthy() error
}

var (
	_ Record = (*store.Store)(nil)
	_ Bus    = (*bus.Bus)(nil)
)

// Options are the dependencies and settings of the API.
type Options struct {
	Control *control.Control
	Record  Record
	Keys    keyStore
	// Sessions stores who is logged in at the console.
	Sessions console.Sessions
	Bus      Bus
	API      config.API
	Log      zerolog.Logger
}

// Gateway is the HTTP API. Its handler is safe for concurrent use.
type Gateway struct {
	control *control.Control
	record  Record
	bus     Bus
	cfg     config.API
	log     zerolog.Logger

	keys        *keyring
	proxies     proxies
	crossOrigin *http.CrossOriginProtection
	metrics     *metrics
	budget      *keyBudget
	streams     *streams
	stopping    chan struct{} // closed when the process shuts down
	router      *router
	document    []byte // the OpenAPI document
	handler     http.Handler
}

// ErrNoKeys is returned by Serve if there is no API key: no request could be answered.
var ErrNoKeys = errors.New("there is no API key; create one with: sluice key create --name NAME --role admin, or set GATEWAY_KEY_FILE to the file for one")

// New returns the API. It fails if a route has no role in routes.
func New(o Options) (*Gateway, error) {
	useProblems()
	g := &Gateway{
		control: o.Control, record: o.Record, bus: o.Bus, cfg: o.API, log: o.Log,
		proxies: o.API.Proxies(), crossOrigin: http.NewCrossOriginProtection(),
		streams: newStreams(o.API.MaxStreams), budget: newKeyBudget(o.API.KeyRate), stopping: make(chan struct{}),
	}
	var err error
	if g.keys, err = newKeyring(o.Keys, o.Log); err != nil {
		return nil, err
	}
	if o.API.KeyFile != "" {
		if g.keys.local, err = readLocalKey(o.API.KeyFile); err != nil {
			return nil, err
		}
	}
	g.metrics = newMetrics(o.Control, o.Log)
	g.router = newRouter(g)
	api := humago.New(g.router, huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "Sluice", Version: version,
				Description: "Confluence spaces as search-ready Markdown chunks: sources, syncs, progress, search.",
			},
			Components: &huma.Components{
				Schemas:         huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{"key": {Type: "http", Scheme: "bearer", BearerFormat: "sluice_<key id>_<secret>"}}, //nolint:gosec // the shape of a key, for the OpenAPI document
			},
			Security: []map[string][]string{{"key": {}}},
		},
		Formats:                      map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
	})
	g.register(api)
	if err := g.router.checkRoutes(); err != nil {
		return nil, err
	}
	if err := g.serveConsole(o); err != nil {
		return nil, err
	}
	if g.document, err = json.Marshal(api.OpenAPI()); err != nil {
		return nil, fmt.Errorf("write the OpenAPI document: %w", err)
	}
	g.handler = g.withRecord(exactPath(g.router))
	return g, nil
}

// Handler serves the API.
func (g *Gateway) Handler() http.Handler { return g.handler }

// withLimits limits the size of a request's body and its time.
func (g *Gateway) withLimits(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, int64(g.cfg.MaxBody)+1) // the handler responds with 413 at the limit itself
		ctx, cancel := context.WithTimeout(r.Context(), g.cfg.Timeout)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// Serve listens until ctx ends, then waits for active requests. It returns ErrNoKeys if there is no key.
func (g *Gateway) Serve(ctx context.Context) error {
	has, err := g.keys.store.HasAPIKeys(ctx)
	if err != nil {
		return err
	}
	if !has && g.keys.local == nil {
		return ErrNoKeys
	}
	listener, err := net.Listen("tcp", g.cfg.Addr)
	if err != nil {
		return fmt.Errorf("serve the HTTP API: %w", AddrError(g.cfg.Addr, err))
	}
	g.log.Info().Str("addr", listener.Addr().String()).Msg("serving the HTTP API")
	return g.serveOn(ctx, listener)
}

// AddrError describes a failure to listen on addr: which address it is and how to choose another one.
func AddrError(addr string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("another program already listens on %s; choose another address with GATEWAY_ADDR, for example GATEWAY_ADDR=127.0.0.1:8282: %w", addr, err)
	}
	return fmt.Errorf("cannot listen on GATEWAY_ADDR=%s: %w", addr, err)
}

// serveOn serves on an open listener.
func (g *Gateway) serveOn(ctx context.Context, listener net.Listener) error {
	srv := g.server()
	srv.BaseContext = func(net.Listener) context.Context { return context.WithoutCancel(ctx) }
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve the HTTP API: %w", err)
	case <-ctx.Done():
	}
	close(g.stopping) // event streams end now; their clients reconnect to another replica
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.cfg.Timeout)
	defer cancel()
	err := srv.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		err = srv.Close()
	}
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// server returns an HTTP server with timeouts and limits against slow clients.
func (g *Gateway) server() *http.Server {
	return &http.Server{
		Handler:           g.handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       g.cfg.Timeout,
		WriteTimeout:      g.cfg.Timeout + 5*time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          stdlog.New(g.log.Level(zerolog.DebugLevel), "", 0),
	}
}

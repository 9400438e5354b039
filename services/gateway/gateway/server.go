package gateway

import (
	"cmp"
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

	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
)

// Record is what the API asks the database beside what people do.
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

// Options are what the API stands on.
type Options struct {
	Control *control.Control
	Record  Record
	Keys    keyStore
	Bus     Bus
	API     config.API
	Log     zerolog.Logger

	// KeyCost is what the hashes of keys cost, so that a key that is none costs the same; 0 is
	// that of real keys.
	KeyCost apikey.Cost
}

// Gateway is the HTTP API. Its handler may be used from many goroutines.
type Gateway struct {
	control *control.Control
	record  Record
	bus     Bus
	cfg     config.API
	log     zerolog.Logger

	keys        *keyring
	crossOrigin *http.CrossOriginProtection
	metrics     *metrics
	streams     chan struct{} // a place for each event stream
	stopping    chan struct{} // closed when the process is to end
	router      *router
	document    []byte // the OpenAPI document
	handler     http.Handler
}

// ErrNoKeys is returned by Serve when there is no key: nobody could be answered.
var ErrNoKeys = errors.New("there is no API key; make one with: sluice key create --name NAME --role admin, or name a file for one with GATEWAY_KEY_FILE")

// New makes the API. It fails when a route has no place in the table of who may what.
func New(o Options) (*Gateway, error) {
	useProblems()
	g := &Gateway{
		control: o.Control, record: o.Record, bus: o.Bus, cfg: o.API, log: o.Log,
		crossOrigin: http.NewCrossOriginProtection(),
		streams:     make(chan struct{}, o.API.MaxStreams), stopping: make(chan struct{}),
	}
	var err error
	if g.keys, err = newKeyring(o.Keys, cmp.Or(o.KeyCost, apikey.DefaultCost)); err != nil {
		return nil, err
	}
	if o.API.KeyFile != "" {
		if g.keys.local, err = readLocalKey(o.API.KeyFile); err != nil {
			return nil, err
		}
	}
	g.metrics = newMetrics(o.Control.Reader, o.Log)
	g.router = newRouter(g)
	api := humago.New(g.router, huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "Sluice", Version: "1.0.0",
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
	if err := g.router.complete(); err != nil {
		return nil, err
	}
	if g.document, err = json.Marshal(api.OpenAPI()); err != nil {
		return nil, fmt.Errorf("write the OpenAPI document: %w", err)
	}
	g.handler = g.recorded(plain(g.router))
	return g, nil
}

// Handler serves the API.
func (g *Gateway) Handler() http.Handler { return g.handler }

// bounded bounds a request's body and time.
func (g *Gateway) bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, int64(g.cfg.MaxBody)+1) // the route says 413 at the bound itself
		ctx, cancel := context.WithTimeout(r.Context(), g.cfg.Timeout)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// Serve listens until ctx ends, then lets what is under way finish. It returns ErrNoKeys
// where there is no key.
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

// AddrError says of a failure to listen on addr which address it was, and how to choose another.
func AddrError(addr string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("another program has %s already; choose another address with GATEWAY_ADDR, such as GATEWAY_ADDR=127.0.0.1:8282: %w", addr, err)
	}
	return fmt.Errorf("cannot listen on GATEWAY_ADDR=%s: %w", addr, err)
}

// serveOn serves on a listener that is there.
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
	close(g.stopping) // event streams end now; their clients come back to another replica
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

// server has every bound that keeps a slow client from holding on to us.
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

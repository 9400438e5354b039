package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/service"
)

// Main serves the site that the environment describes until SIGINT or SIGTERM. With the argument
// "health" it checks the health of the running one instead.
func Main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.LookupEnv, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, lookup func(string) (string, bool), stderr io.Writer) int {
	c, err := config.Load[config.Sandbox](lookup)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 2
	}
	if len(args) == 1 && args[0] == "health" {
		err = service.AskHealth(c.HealthAddr)
	} else {
		err = serveConfigured(ctx, c, stderr)
	}
	if err != nil {
		fmt.Fprintln(stderr, "sandbox:", err)
		return 1
	}
	return 0
}

func serveConfigured(ctx context.Context, c config.Sandbox, stderr io.Writer) error {
	log := service.Logger(stderr, c.Process).With().Str("service", "sandbox").Logger()
	site, err := Configured(c.Standin)
	if err != nil {
		return err
	}
	served, err := Serve(c.Addr, site)
	if err != nil {
		return err
	}
	health := service.NewHealth()
	health.Ready()
	stopHealth, err := health.Serve(c.HealthAddr, log)
	if err != nil {
		_ = served.Close()
		return err
	}
	defer stopHealth()
	log.Info().Str("url", served.URL).Msg("serving")
	<-ctx.Done()
	return served.Close()
}

// Configured returns the site that the settings describe, with its content and its faults.
func Configured(c config.Standin) (*Site, error) {
	zone, err := time.LoadLocation(c.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("SANDBOX_TIME_ZONE: %w", err)
	}
	site := New(Options{
		Email: c.Email, Token: c.Token.Reveal(), SiteTitle: c.Title, BaseURL: c.BaseURL, CloudID: c.CloudID,
		Latency: c.Latency, IndexLag: c.IndexLag, TimeZone: zone, Scoped: c.Scoped, V1Gone: c.OldAPI == "gone", V1Lists: c.OldAPI == "lists",
	})
	if err := site.Fill(c.Corpus, c.Pages, c.Seed); err != nil {
		return nil, err
	}
	if err := site.setFaults(c.Faults); err != nil {
		return nil, fmt.Errorf("SANDBOX_FAULTS: %w", err)
	}
	if err := site.MoveTo(c.MovedTo); err != nil {
		return nil, fmt.Errorf("SANDBOX_MOVED_TO: %w", err)
	}
	return site, nil
}

// Fill gives the site its content: a folder of storage bodies, a number of generated pages, or the
// built-in space if neither is requested.
func (s *Site) Fill(corpus string, pages int, seed int64) error {
	switch {
	case corpus != "" && pages > 0:
		return errors.New("a folder of bodies and generated pages are asked for; choose one")
	case corpus != "":
		return s.AddCorpus(corpus)
	case pages > 0:
		s.AddGenerated(GeneratedSpace, pages, seed)
	default:
		s.AddBuiltin()
	}
	return nil
}

// The keys of the spaces that Fill makes.
const (
	BuiltinSpace   = "DEMO"
	CorpusSpace    = "CORPUS"
	GeneratedSpace = "GEN"
)

// Served is a site that is being served.
type Served struct {
	URL string // http://host:port

	servers []*http.Server
	done    chan error
}

// Serve serves the site on addr; port 0 means any free port. It serves the site's files on another port of the same host, any free
// one, as a site whose files are on another host.
func Serve(addr string, site *Site) (*Served, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("serve the stand-in on %s: %w", addr, err)
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		_ = listener.Close()
		return nil, fmt.Errorf("serve the stand-in on %s: %w", addr, err)
	}
	media, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		_ = listener.Close()
		return nil, fmt.Errorf("serve the stand-in's files: %w", err)
	}
	if at, ok := media.Addr().(*net.TCPAddr); ok {
		site.mediaAt(at.Port)
	}
	s := &Served{URL: "http://" + listener.Addr().String(), done: make(chan error, 2)}
	s.serve(listener, site.Handler())
	s.serve(media, site.mediaHandler())
	return s, nil
}

func (s *Served) serve(l net.Listener, h http.Handler) {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	s.servers = append(s.servers, srv)
	go func() {
		err := srv.Serve(l)
		if errors.Is(err, http.ErrServerClosed) {
			err = nil
		}
		s.done <- err
	}()
}

// Close stops serving and waits until it has stopped.
func (s *Served) Close() error {
	var all error
	for _, srv := range s.servers {
		_ = srv.Close()
	}
	for range s.servers {
		all = errors.Join(all, <-s.done)
	}
	return all
}

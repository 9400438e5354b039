package service_test

import (
	"context"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/secret"
	"github.com/sluicehq/sluice/shared/service"
	"github.com/sluicehq/sluice/shared/store"
)

// environment is that of a fetcher.
func environment(given map[string]string) config.Environment {
	all := map[string]string{
		"CONFLUENCE_BASE_URL": "https://acme.atlassian.net/wiki", "CONFLUENCE_EMAIL": "reader@acme.com", "CONFLUENCE_API_TOKEN": "token",
	}
	for name, value := range given {
		all[name] = value
	}
	return config.Read(config.NewProgram("fetcher", config.TypeOf[config.Fetcher]()), func(name string) (string, bool) {
		v, ok := all[name]
		return v, ok
	})
}

func TestAHostOpensEachPartOnce(t *testing.T) {
	kit, health := bustest.New(t), service.NewHealth()
	h := service.NewHost(service.HostOptions{
		Name: "fetcher", Log: zerolog.Nop(), Health: health,
		Env: environment(map[string]string{"DATABASE_URL": pgtest.MigratedURL(t), "NATS_URL": kit.URL(), "SLUICE_MASTER_PASSPHRASE": "correct horse battery sandwich"}),
	})
	site, err := h.Credentials(t.Context())
	require.NoError(t, err)
	again, err := h.Credentials(t.Context())
	require.NoError(t, err)
	require.Same(t, site, again)
	s, err := h.Store(t.Context())
	require.NoError(t, err)
	same, err := h.Store(t.Context())
	require.NoError(t, err)
	require.Same(t, s, same)
	b, err := h.Bus(t.Context())
	require.NoError(t, err)
	require.NoError(t, b.Healthy())
	ring, err := h.Keys(t.Context())
	require.NoError(t, err)
	trust, err := h.Trust(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, ring.Current())
	require.Equal(t, ring.Current(), trust.Ring.Current())
	_, err = site.Client(t.Context(), store.Source{ID: "docs", BaseURL: "https://acme.atlassian.net/wiki"})
	require.NoError(t, err)

	// What was opened is what the health page tells of.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := listener.Addr().String()
	require.NoError(t, listener.Close())
	stop, err := health.Serve(addr, zerolog.Nop())
	require.NoError(t, err)
	defer stop()
	health.Ready()
	require.NoError(t, service.AskHealth(addr))
	h.Close()
	require.ErrorContains(t, service.AskHealth(addr), "postgres")
	require.Error(t, b.Healthy())
}

// A process that starts says on its health page what it waits for, and ends when waiting is no help.
func TestAHostSaysWhatItWaitsFor(t *testing.T) {
	free := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer func() { require.NoError(t, l.Close()) }()
		return l.Addr().String()
	}
	page, health := free(), service.NewHealth()
	stop, err := health.Serve(page, zerolog.Nop())
	require.NoError(t, err)
	defer stop()
	hostOf := func(address string) *service.Host {
		return service.NewHost(service.HostOptions{Name: "fetcher", Log: zerolog.Nop(), Health: health, Env: environment(map[string]string{"DATABASE_URL": address})})
	}
	says := func(text string) func() bool {
		return func() bool {
			err := service.AskHealth(page)
			return err != nil && strings.Contains(err.Error(), text)
		}
	}
	for address, text := range map[string]string{
		"postgres://app:hunter2@" + free() + "/sluice": "waiting for Postgres",
		pgtest.URL(t): "waiting for the migrations",
	} {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := hostOf(address).Store(ctx)
			ended <- err
		}()
		require.Eventually(t, says(text), 10*time.Second, 10*time.Millisecond)
		cancel()
		require.Error(t, <-ended)
	}
	wrong, err := url.Parse(pgtest.URL(t))
	require.NoError(t, err)
	wrong.Path = "/not_there"
	_, err = hostOf(wrong.String()).Store(t.Context())
	require.ErrorContains(t, err, "3D000")
}

// What a host was lent it does not close, and what it was not told of it does not open.
func TestAHostLeavesOpenWhatItWasLent(t *testing.T) {
	kit := bustest.New(t)
	s, err := store.Open(t.Context(), pgtest.MigratedURL(t))
	require.NoError(t, err)
	t.Cleanup(s.Close)
	h := service.NewHost(service.HostOptions{Name: "fetcher", Log: zerolog.Nop(), Env: environment(nil), Store: s, Bus: kit.Bus})
	lent, err := h.Store(t.Context())
	require.NoError(t, err)
	require.Same(t, s, lent)
	h.Close()
	require.NoError(t, s.Ping(t.Context()))
	require.NoError(t, kit.Bus.Healthy())
}

// Whoever opens the database searches it in the language that is set, which the database has to
// know, whatever else is done to it.
func TestEveryWayToOpenTheDatabaseKnowsTheLanguage(t *testing.T) {
	url := pgtest.MigratedURL(t)
	for _, care := range []service.Care{service.Usual, service.Make, service.Leave} {
		open := func(language string) error {
			h := service.NewHost(service.HostOptions{
				Name: "fetcher", Log: zerolog.Nop(), Database: care, Env: environment(map[string]string{"DATABASE_URL": url, "SEARCH_LANGUAGE": language}),
			})
			defer h.Close()
			_, err := h.Store(t.Context())
			return err
		}
		require.NoError(t, open("german"))
		require.ErrorContains(t, open("klingon"), "klingon")
	}
}

// A stage is given its settings and nothing that it does not name.
func TestAStageIsGivenItsOwnConfiguration(t *testing.T) {
	type narrow struct {
		config.Process
		config.Nats
	}
	env := config.Read(config.NewProgram("narrow", config.TypeOf[narrow]()), func(name string) (string, bool) {
		v, ok := map[string]string{"NATS_URL": "nats://elsewhere:4222"}[name]
		return v, ok
	})
	var got narrow
	s := service.Stage{Name: "narrow", Open: func(ctx context.Context, h *service.Host) (_ service.Runner, err error) {
		if got, err = service.Config[narrow](h); err != nil {
			return nil, err
		}
		_, err = h.Store(ctx)
		return nil, err
	}}
	err := service.Run(t.Context(), service.NewHost(service.HostOptions{Env: env, Log: zerolog.Nop()}), 0, s)
	require.EqualError(t, err, "narrow: DATABASE_URL is not among the settings of narrow")
	require.Equal(t, secret.New("nats://elsewhere:4222"), got.NatsURL)
}

// Two installations that are told the same NATS account and no prefix do not mix their runs: the second
// one says so and does not start.
func TestTwoInstallationsOnOneAccount(t *testing.T) {
	kit := bustest.New(t)
	host := func(address, prefix string) *service.Host {
		h := service.NewHost(service.HostOptions{
			Name: "fetcher", Log: zerolog.Nop(),
			Env: environment(map[string]string{"DATABASE_URL": address, "NATS_URL": kit.URL(), "NATS_PREFIX": prefix}),
		})
		t.Cleanup(h.Close)
		return h
	}
	first, second := pgtest.MigratedURL(t), pgtest.MigratedURL(t)
	for range 2 { // a second process of the same
		_, err := host(first, "").Bus(t.Context())
		require.NoError(t, err)
	}
	_, err := host(second, "").Bus(t.Context())
	require.ErrorIs(t, err, bus.ErrForeign)
	require.ErrorContains(t, err, "NATS_PREFIX")
	_, err = host(second, "second").Bus(t.Context())
	require.NoError(t, err)
	require.NoError(t, host(second, "").Adopt(t.Context()))
	_, err = host(second, "").Bus(t.Context())
	require.NoError(t, err)
}

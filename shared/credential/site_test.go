package credential

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/secret"
	"github.com/sluicehq/sluice/shared/store"
)

// replica is a process's site, on a connection of its own to the kit's broker.
func replica(t *testing.T, kit *bustest.Kit, address string, with ...SiteOption) *confluence.Client {
	t.Helper()
	site, err := NewSite(config.Confluence{
		BaseURL: address, Email: "reader@acme.com", APIToken: secret.New("token"), Sites: config.Sites{AllowHTTP: true},
		RequestsPerSecond: 50, Concurrency: 2,
	}, zerolog.Nop(), append(with, Sharing(kit.Connect()))...)
	require.NoError(t, err)
	client, err := site.Client(t.Context(), store.Source{ID: "docs", BaseURL: address})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

// A 429 with a long Retry-After that one process sees parks the work of all of them, and
// whoever is refused knows until when.
func TestSharedSiteObeysAPauseThatAnotherSaw(t *testing.T) {
	var calls atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.Header().Set("Retry-After", "600")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	t.Cleanup(server.Close)
	kit := bustest.New(t)
	one, two := replica(t, kit, server.URL+"/wiki"), replica(t, kit, server.URL+"/wiki")

	_, err := one.SpaceByKey(t.Context(), "DOCS")
	var limited *confluence.RateLimitError
	require.ErrorAs(t, err, &limited)
	require.EqualValues(t, 1, calls.Load())
	for _, c := range []*confluence.Client{one, two, replica(t, kit, server.URL+"/wiki")} {
		_, err := c.SpaceByKey(t.Context(), "DOCS")
		require.ErrorAs(t, err, &limited)
		require.WithinDuration(t, time.Now().Add(10*time.Minute), limited.RetryAt, 10*time.Second)
		at, ok := failure.RetryAt(err)
		require.True(t, ok)
		require.WithinDuration(t, limited.RetryAt, at, time.Second)
	}
	require.EqualValues(t, 1, calls.Load(), "nobody asks again")
}

// Whatever becomes of a call, its place comes back: far more calls than places, each with
// another end.
func TestSharedSiteGivesEveryPlaceBack(t *testing.T) {
	var calls atomic.Int64
	var giveUp atomic.Pointer[context.CancelFunc]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch n := calls.Add(1); n % 4 {
		case 0:
			w.WriteHeader(http.StatusNotFound)
		case 1:
			_, _ = io.WriteString(w, "<html>")
		case 2:
			(*giveUp.Load())() // the caller gives up while it is answered
			<-r.Context().Done()
		default:
			w.Header().Set("Content-Length", strconv.Itoa(100))
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	t.Cleanup(server.Close)
	kit := bustest.New(t)
	one, two := replica(t, kit, server.URL+"/wiki"), replica(t, kit, server.URL+"/wiki")
	for i := range 5 {
		for _, c := range []*confluence.Client{one, two} {
			// Shorter than a place that was not given back stays taken, and long enough for
			// a busy machine.
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			giveUp.Store(&cancel)
			began := calls.Load()
			_, err := c.SpaceByKey(ctx, "DOCS")
			cancel()
			require.Error(t, err)
			require.Greater(t, calls.Load(), began, "call %d found a place", i)
		}
	}
}

func TestSharedSiteNeedsItsBus(t *testing.T) {
	kit := bustest.New(t)
	b := kit.Connect()
	b.Close()
	_, err := NewSite(config.Confluence{
		BaseURL: "https://acme.atlassian.net/wiki", Email: "reader@acme.com", APIToken: secret.New("token"),
		RequestsPerSecond: 1, Concurrency: 1,
	}, zerolog.Nop(), Sharing(b))
	require.ErrorIs(t, err, bus.ErrClosed)
}

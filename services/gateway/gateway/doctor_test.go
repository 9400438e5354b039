package gateway

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/secret"
	"github.com/sluicehq/sluice/shared/store"
)

// The doctor answers before the request's time is up, whatever the sites do, says what it has not reached, and tells no
// token, although a site repeats it.
func TestTheDoctorEndsInTime(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	served := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.RawQuery, "ECHO") {
			_, token, _ := r.BasicAuth()
			http.Error(w, "no such token: "+token+" "+r.Header.Get("Authorization"), http.StatusForbidden)
			return
		}
		select { // it accepts calls, and never answers
		case <-over:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(served.Close)
	t.Cleanup(func() { close(over) })
	w := bareWorld(t, func(o *setup) {
		o.API.Timeout = 4 * time.Second
		cfg := config.Confluence{
			Sites: config.Sites{AllowedHosts: strings.TrimPrefix(served.URL, "http://"), AllowHTTP: true}, RequestsPerSecond: 1000, Concurrency: 8,
			BaseURL: served.URL + "/wiki", Email: "reader@acme.com", APIToken: secret.New(canary),
		}
		var err error
		o.Site, err = credential.NewSite(cfg, zerolog.Nop())
		require.NoError(t, err)
	})
	w.addKey("operate", apikey.Operate)
	w.addKey("read", apikey.Read)
	require.NoError(t, w.store.AddSource(t.Context(), store.Source{ID: "a-echo", BaseURL: served.URL + "/wiki", SpaceKey: "ECHO"}))
	for i := range 6 {
		require.NoError(t, w.store.AddSource(t.Context(), store.Source{ID: fmt.Sprintf("b%d", i), BaseURL: served.URL + "/wiki", SpaceKey: fmt.Sprintf("B%d", i)}))
	}
	a := w.wants(http.StatusOK, "operate", "GET", "/api/doctor", "")
	var found struct{ Findings []control.Finding }
	a.into(&found)
	require.NotContains(t, string(a.body), canary)
	require.NotContains(t, w.log.String(), canary)
	says := map[string]string{}
	for _, f := range found.Findings {
		says[f.Check] += f.Says
		require.Equal(t, f.Verdict != control.VerdictOK, f.Mend != "", "every problem has a fix: %+v", f)
	}
	require.Contains(t, says["database"], "accepts connections")
	require.NotEmpty(t, says["nats"])
	require.NotEmpty(t, says["source a-echo"])
	require.NotContains(t, says["source a-echo"], "the time was up")
	waits := 0
	for i := range 6 {
		if strings.Contains(says[fmt.Sprintf("source b%d", i)], "the time was up") {
			waits++
		}
	}
	require.Positive(t, waits, "%v", says)
	w.wants(http.StatusForbidden, "read", "GET", "/api/doctor", "")
}

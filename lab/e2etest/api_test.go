package e2etest

import (
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/gateway/gateway"
	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/confluence/outgoing"
	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/vault"
	"github.com/sluicehq/sluice/shared/viewer"
)

// The examples in docs/api.md, run as a reader would paste them, against the real API and the real stages.
func TestTheExamplesOfTheAPI(t *testing.T) {
	t.Parallel()
	site := sandbox.New(sandbox.Options{})
	site.AddBuiltin()
	w := newWorld(t, sandbox.BuiltinSpace, site)
	w.startAll()
	g, err := gateway.New(gateway.Options{
		Control: control.New(w.store, w.bus, control.NewVault(credential.Trust{Hosts: outgoing.Hosts{"*.atlassian.net"}}, w.store)),
		Record:  w.store, Keys: w.store.Vault(), Sessions: w.store.Vault(), Bus: w.bus, Log: zerolog.Nop(),
		API: config.API{Addr: "127.0.0.1:0", MaxBody: 1 << 20, Timeout: 30 * time.Second, MaxStreams: 10},
	})
	require.NoError(t, err)
	srv := httptest.NewServer(g.Handler())
	t.Cleanup(srv.Close)
	id, token, hash := apikey.New()
	require.NoError(t, w.store.Vault().AddAPIKey(t.Context(), vault.APIKey{Key: apikey.Key{ID: id, Name: "reader", Role: apikey.Admin}, Hash: hash}))

	page, err := os.ReadFile("../../docs/api.md")
	require.NoError(t, err)
	dir := t.TempDir()
	examples := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	require.Greater(t, len(examples), 6)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var script strings.Builder
	script.WriteString("set -eu\n")
	for _, one := range examples {
		script.WriteString(one[1] + "\necho\n")
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", script.String())
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "SLUICE_API="+srv.URL, "SLUICE_KEY="+token.Reveal(), "no_proxy=*")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, part := range []string{`"operation_id":"idem-`, `"status":"completed"`, "event: progress", `"progress":100`, `"markdown":`, "signing keys", "sluice_pages{", "ready"} {
		require.Contains(t, string(out), part)
	}
	runs, err := w.store.Reader().Runs(t.Context(), viewer.All(), source, store.First(10))
	require.NoError(t, err)
	require.Len(t, runs, 1)
	require.Equal(t, event.StateCompleted, runs[0].State)
	_, err = w.store.Source(t.Context(), "handbook")
	require.ErrorIs(t, err, store.ErrNotFound)
}

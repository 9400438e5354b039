package e2etest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/services/stages"
	"github.com/sluicehq/sluice/shared/broker"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/event"
)

// Every service runs as its own process with its own key, on a broker with the configuration in deploy/: full and
// incremental runs and a removal work as on a broker without access control.
func TestEveryServiceWorksWithItsOwnKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := bus.WriteKeys(dir, "", bus.Anyone)
	require.NoError(t, err)
	for _, name := range []string{"nats.conf", "nats-secured.conf"} {
		text, err := os.ReadFile(filepath.Join("../../deploy", name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	nats, err := broker.Start(broker.Options{StoreDir: t.TempDir(), Port: -1, ConfigFile: filepath.Join(dir, "nats-secured.conf"), Log: zerolog.Nop()})
	require.NoError(t, err)
	t.Cleanup(nats.Stop)

	site := sandbox.New(sandbox.Options{})
	site.AddBuiltin()
	leaving, err := site.CreatePage(sandbox.Draft{Space: sandbox.BuiltinSpace, Title: "Leaves", Body: "<p>Words.</p>"})
	require.NoError(t, err)
	served, err := sandbox.Serve("127.0.0.1:0", site)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, served.Close()) })
	w := newWorldOver(t, sandbox.BuiltinSpace, site, served, ground{natsURL: nats.URL(), natsKeys: dir})
	for _, name := range stages.Names() {
		w.start(name)
	}
	first := w.sync(event.Full)
	require.Equal(t, event.StateCompleted, first.State)
	require.Positive(t, first.Counts.Created)
	require.Zero(t, first.Counts.Failed)
	require.Equal(t, first.Counts.Created, w.count(`SELECT count(*) FROM confluence_pages WHERE NOT is_deleted`))
	require.Equal(t, event.StateCompleted, w.sync(event.Incremental).State)
	require.NoError(t, site.TrashPage(leaving.ID))
	last := w.sync(event.Full)
	require.Equal(t, event.StateCompleted, last.State)
	require.Equal(t, 1, last.Counts.Removed)
}

package e2etest

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/services/sluice/cli"
	"github.com/sluicehq/sluice/shared/event"
)

// A request from the command line is stored while NATS is down, which the command reports within seconds, and is
// carried out when NATS is back. Ctrl-C on a waiting command ends only the waiting.
func TestARequestByTheCommandOutlivesNats(t *testing.T) {
	t.Parallel()
	site := sandbox.New(sandbox.Options{})
	site.AddBuiltin()
	served, err := sandbox.Serve("127.0.0.1:0", site)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, served.Close()) })
	nats := newNats(t, "nats", "nats.conf")
	nats.start()
	w := newWorldOver(t, sandbox.BuiltinSpace, site, served, ground{natsURL: nats.url, ackWait: 5 * time.Second, stallAfter: 10 * time.Second})
	w.startAll()
	nats.kill()

	began := time.Now()
	var said lines
	w.types(&said, "", "sync", source, "--request-id", "early")
	require.Less(t, time.Since(began), 30*time.Second)
	require.Contains(t, said.String(), "The request is stored: run early starts")
	run, err := w.store.Run(t.Context(), "early")
	require.NoError(t, err)
	require.Equal(t, event.StateRequested, run.State)

	ctx, ctrlC := context.WithCancel(t.Context())
	defer ctrlC()
	env := map[string]string{"NATS_URL": nats.url, "DATABASE_URL": w.ground.dbURL}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	var told lines
	ended := make(chan int, 1)
	go func() {
		ended <- cli.Run(ctx, []string{"sync", source, "--request-id", "tired", "--wait", "--data", t.TempDir()}, lookup, strings.NewReader(""), io.Discard, &told)
	}()
	require.Eventually(t, func() bool { return strings.Contains(told.String(), "run tired starts") }, time.Minute, 20*time.Millisecond)
	ctrlC()
	require.Equal(t, 130, <-ended)
	require.Contains(t, told.String(), "run tired continues: sluice status tired --follow")

	nats.start()
	for _, id := range []string{"early", "tired"} {
		require.Eventually(t, func() bool {
			run, err = w.store.Run(t.Context(), id)
			return err == nil && run.State.Final()
		}, 2*time.Minute, 100*time.Millisecond, id)
		require.Equal(t, event.StateCompleted, run.State)
	}
	require.Positive(t, w.count(`SELECT count(*) FROM confluence_pages`))
}

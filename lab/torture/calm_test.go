package torture

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/services/stages"
	"github.com/sluicehq/sluice/shared/broker"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/service"
	"github.com/sluicehq/sluice/shared/store"
)

// calmRun fills another database from the same site with one full run, with every stage in this process and without
// faults. The extractor is a process of its own: what starts it must be able to be its child, too.
func (w *world) calmRun(ctx context.Context, databaseURL string) {
	nats, err := broker.Start(broker.Options{StoreDir: filepath.Join(w.dir, "nats-calm"), Port: -1, Log: zerolog.Nop()})
	require.NoError(w.t, err)
	defer nats.Stop()
	st, err := store.Open(ctx, databaseURL)
	require.NoError(w.t, err)
	defer st.Close()
	_, err = st.Migrate(ctx)
	require.NoError(w.t, err)
	require.NoError(w.t, st.AddSource(ctx, w.source()))
	b, err := bus.Connect(ctx, bus.Options{URL: nats.URL(), Name: "calm", Log: zerolog.Nop()})
	require.NoError(w.t, err)
	defer b.Close()
	require.NoError(w.t, b.Apply(ctx))

	given := map[string]string{
		"CONFLUENCE_BASE_URL": w.served.URL + "/wiki", "CONFLUENCE_EMAIL": sandbox.DefaultEmail, "CONFLUENCE_API_TOKEN": sandbox.DefaultToken,
		"CONFLUENCE_ALLOW_HTTP": "true", "CONFLUENCE_REQUESTS_PER_SECOND": "1000",
	}
	host := service.NewHost(service.HostOptions{
		Name: "sluice", Log: zerolog.Nop(), Store: st, Bus: b,
		Env: config.Read(stages.Command(), func(name string) (string, bool) { v, ok := given[name]; return v, ok }),
	})
	reader := &process{name: "extractor-calm", path: filepath.Join(w.bin, extractorName), env: w.settings(nats.URL(), databaseURL), dir: w.dir}
	require.NoError(w.t, reader.start())
	defer func() { require.NoError(w.t, reader.terminate(20*time.Second)) }()
	others := slices.DeleteFunc(stages.Pipeline(), func(s service.Stage) bool { return s.Name == extractorName })
	stageCtx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- service.Run(stageCtx, host, 20*time.Second, others...)
	}()
	defer func() {
		cancel()
		require.NoError(w.t, <-ended)
	}()
	require.NoError(w.t, b.Publish(ctx, event.SyncRequested{SourceID: source, RequestID: "calm", Mode: event.Full}))
	follow, stop := context.WithTimeout(ctx, runPatience)
	defer stop()
	var last event.Progress
	for p, err := range b.FollowProgress(follow, source, "calm") {
		require.NoError(w.t, err)
		last = p
	}
	require.Equal(w.t, event.StateCompleted, last.State, "the undisturbed run: %+v", last)
}

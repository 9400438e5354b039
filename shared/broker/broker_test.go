package broker_test

import (
	"bytes"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/shared/broker"
	"github.com/sluicehq/sluice/shared/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, o broker.Options) *broker.Server {
	t.Helper()
	o.Log = zerolog.New(zerolog.NewTestWriter(t))
	s, err := broker.Start(o)
	require.NoError(t, err)
	t.Cleanup(s.Stop)
	return s
}

func connect(t *testing.T, s *broker.Server) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(s.URL())
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return js
}

func portOf(t *testing.T, s *broker.Server) int {
	t.Helper()
	u, err := url.Parse(s.URL())
	require.NoError(t, err)
	port, err := strconv.Atoi(u.Port())
	require.NoError(t, err)
	return port
}

// What a person sees first is no warning about our own server.
func TestAServerWithAPasswordWarnsOfNothing(t *testing.T) {
	var log bytes.Buffer
	s, err := broker.Start(broker.Options{
		StoreDir: t.TempDir(), Port: -1, User: "ann", Password: secret.New("hunter2"), Log: zerolog.New(zerolog.SyncWriter(&log)).Level(zerolog.WarnLevel),
	})
	require.NoError(t, err)
	nc, err := nats.Connect(s.URL(), nats.UserInfo("ann", "hunter2"))
	require.NoError(t, err)
	nc.Close()
	_, err = nats.Connect(s.URL(), nats.UserInfo("ann", "hunter3"))
	require.ErrorIs(t, err, nats.ErrAuthorization)
	s.Stop()
	require.NotContains(t, log.String(), "assword")
}

func TestJetStreamAnswersWhenStartReturns(t *testing.T) {
	s := start(t, broker.Options{StoreDir: t.TempDir(), Port: -1})
	info, err := connect(t, s).AccountInfo(t.Context())
	require.NoError(t, err)
	require.Zero(t, info.Streams)
	host, _, err := net.SplitHostPort(s.URL()[len("nats://"):])
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1", host)
}

func TestRestartKeepsStreams(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	s := start(t, broker.Options{StoreDir: dir, Port: -1})
	js := connect(t, s)
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "KEPT", Subjects: []string{"kept.>"}})
	require.NoError(t, err)
	_, err = js.Publish(t.Context(), "kept.one", []byte("hello"))
	require.NoError(t, err)
	port := portOf(t, s)
	s.Stop()
	s.Stop()

	s = start(t, broker.Options{StoreDir: dir, Port: port})
	stream, err := connect(t, s).Stream(t.Context(), "KEPT")
	require.NoError(t, err)
	msg, err := stream.GetLastMsgForSubject(t.Context(), "kept.one")
	require.NoError(t, err)
	require.Equal(t, "hello", string(msg.Data))
}

func TestBusyPort(t *testing.T) {
	first := start(t, broker.Options{StoreDir: t.TempDir(), Port: -1})
	dir := t.TempDir()
	_, err := broker.Start(broker.Options{StoreDir: dir, Port: portOf(t, first), Log: zerolog.Nop()})
	require.ErrorIs(t, err, broker.ErrPortBusy)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries, "a server that cannot have its port does not touch its store")
}

func TestUnusableOptions(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	blocked := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(blocked, "jetstream"), nil, 0o600))
	for name, o := range map[string]struct {
		options broker.Options
		says    string
	}{
		"no store folder":              {broker.Options{Port: -1}, "no store folder"},
		"a file where the folder is":   {broker.Options{Port: -1, StoreDir: file}, "store folder cannot be made"},
		"a file within the folder":     {broker.Options{Port: -1, StoreDir: blocked}, "not a directory"},
		"an address of another host":   {broker.Options{Port: -1, StoreDir: t.TempDir(), Host: "192.0.2.1"}, "listen"},
		"a payload above what is sent": {broker.Options{Port: -1, StoreDir: t.TempDir(), MaxPayload: 1 << 30}, "max_payload"},
	} {
		t.Run(name, func(t *testing.T) {
			o.options.Log = zerolog.Nop()
			_, err := broker.Start(o.options)
			require.ErrorContains(t, err, o.says)
			require.NotErrorIs(t, err, broker.ErrPortBusy)
		})
	}
}

func TestMaxPayload(t *testing.T) {
	s := start(t, broker.Options{StoreDir: t.TempDir(), Port: -1, MaxPayload: 4096})
	require.EqualValues(t, 4096, connect(t, s).Conn().MaxPayload())
}

func TestStopEndsConnections(t *testing.T) {
	s := start(t, broker.Options{StoreDir: t.TempDir(), Port: -1})
	gone := make(chan struct{})
	nc, err := nats.Connect(s.URL(), nats.NoReconnect(), nats.ClosedHandler(func(*nats.Conn) { close(gone) }))
	require.NoError(t, err)
	defer nc.Close()
	s.Stop()
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		require.Fail(t, "the connection outlived its server")
	}
}
